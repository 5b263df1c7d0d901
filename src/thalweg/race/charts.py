"""Learning curves as SVG for the report: no network, no font, the same bytes for the same records."""

import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from thalweg.names import shown
from thalweg.race.method import Method
from thalweg.race.record import Record

# The page's style sheet gives these variables a colour each for light and for dark; matplotlib only knows colours, so
# each is drawn in a stand-in of its own, which is then replaced.
SERIES = 9
_FOREGROUND, _GRID = "#010203", "#010204"
_VARIABLES = {_FOREGROUND: "var(--fg)", _GRID: "var(--line)"} | {
    f"#0a0b{index:02x}": f"var(--series-{index})" for index in range(SERIES)
}
_DASHES: tuple[str | tuple[float, Sequence[float]], ...] = ("-", (0, (5, 2)), (0, (1.5, 1.5)), (0, (6, 1.5, 1.5, 1.5)))

_WIDTH, _HEIGHT = 5.6, 4.2  # inches; on a phone the drawing is scaled to about two thirds
LOWEST_LOSS = 1e-6  # what lies below is float32's rounding, and may be zero
_LABEL_GAP = 0.062  # of the height of the axes: one line of text


@dataclass(frozen=True)
class Style:
    """How a method is drawn in every chart: the index of its colour, and a dash pattern."""

    colour: int
    dashes: int

    @property
    def stand_in(self) -> str:
        return f"#0a0b{self.colour:02x}"


@dataclass(frozen=True)
class Band:
    """Median and quartiles over the seeds, each of shape (epochs + 1,)."""

    median: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


def styles(methods: Sequence[Method]) -> dict[str, Style]:
    """A colour a method, shared by its ablations, which are dashed. More methods than colours begin again, dashed."""
    owner = {plain: method.name for method in methods for plain in method.ablations}
    names = [method.name for method in methods]
    owners = [name for name in names if name not in owner or owner[name] not in names]
    chosen = {name: Style(place % SERIES, place // SERIES % len(_DASHES)) for place, name in enumerate(owners)}
    for name in names:
        if name not in chosen:
            siblings = [other for other in names if owner.get(other) == owner[name]]
            chosen[name] = Style(chosen[owner[name]].colour, 1 + siblings.index(name) % (len(_DASHES) - 1))
    return chosen


def train_loss_chart(records: dict[str, tuple[Record, ...]], drawn: dict[str, Style], title: str) -> str:
    """Train loss by epoch, on a logarithmic scale; a diverged trial is infinite from there on."""
    bands = {name: band(runs, lambda record: record.train_loss, np.inf) for name, runs in records.items()}
    return _chart(bands, drawn, f"{title}: train loss", logarithmic=True)


def validation_accuracy_chart(records: dict[str, tuple[Record, ...]], drawn: dict[str, Style], title: str) -> str:
    """Validation accuracy in % by epoch; a diverged trial has 0 from there on."""
    percent: Callable[[Record], Sequence[float]] = lambda record: [100 * a for a in record.validation_accuracy]  # noqa: E731
    bands = {name: band(runs, percent, 0.0) for name, runs in records.items()}
    return _chart(bands, drawn, f"{title}: validation accuracy, %", logarithmic=False)


def band(records: Sequence[Record], curve: Callable[[Record], Sequence[float]], worst: float) -> Band:
    """Median and quartiles of a curve over records; a curve that stops early goes on with the worst value."""
    curves = [curve(record) for record in records]
    length = max(map(len, curves))
    values = np.array([[*points, *[worst] * (length - len(points))] for points in curves])
    # "nearest" takes a value that is there: between two of them an infinite one would make all infinite or nan.
    low, median, high = np.quantile(values, (0.25, 0.5, 0.75), axis=0, method="nearest")
    return Band(median, low, high)


def _chart(bands: dict[str, Band], drawn: dict[str, Style], title: str, *, logarithmic: bool) -> str:
    with matplotlib.rc_context({"svg.hashsalt": title, "svg.fonttype": "none", "font.family": "sans-serif"}):
        figure = Figure(figsize=(_WIDTH, _HEIGHT))
        axes = figure.add_axes((0.095, 0.11, 0.6, 0.8))
        if logarithmic:
            axes.set_yscale("log", nonpositive="clip")
        else:  # the first quarter of the epochs rises from chance and would flatten all that follows
            axes.set_ylim(min(float(one.low[len(one.low) // 4 :].min()) for one in bands.values()) - 1, 100.5)
        for name, one in bands.items():
            epochs = np.arange(len(one.median))
            colour = drawn[name].stand_in
            axes.fill_between(epochs, one.low, one.high, color=colour, alpha=0.08, linewidth=0)
            axes.plot(epochs, one.median, color=colour, linewidth=1.6, linestyle=_DASHES[drawn[name].dashes])
        if logarithmic:
            axes.set_ylim(bottom=max(axes.get_ylim()[0], LOWEST_LOSS))
        _dress(axes, title)
        _label_ends(axes, {name: float(one.median[-1]) for name, one in bands.items()}, drawn)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return _inline(buffer.getvalue(), title)


def _dress(axes: Axes, title: str) -> None:
    axes.set_title(title, loc="left", color=_FOREGROUND, fontsize=11)
    axes.set_xlabel("epoch", color=_FOREGROUND)
    axes.tick_params(which="both", colors=_FOREGROUND, length=0)
    axes.grid(color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.margins(x=0)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    for spine in axes.spines.values():
        spine.set_visible(False)


def _label_ends(axes: Axes, ends: dict[str, float], drawn: dict[str, Style]) -> None:
    """Writes each method's name to the right of its curve's end, moved up or down until no two overlap."""
    low, high = axes.get_ylim()
    axes.set(xlim=axes.get_xlim(), ylim=(low, high))  # what is drawn beside the axes must not stretch them
    to_axes = axes.transData + axes.transAxes.inverted()
    heights = {name: float(to_axes.transform((0, min(max(end, low), high)))[1]) for name, end in ends.items()}
    names = sorted(heights, key=lambda name: heights[name])
    for name, height in zip(names, spread([heights[name] for name in names], _LABEL_GAP), strict=True):
        style = drawn[name]
        axes.plot(
            [1, 1.02, 1.05, 1.1],
            [heights[name], heights[name], height, height],
            transform=axes.transAxes,
            clip_on=False,
            color=style.stand_in,
            linewidth=1.6,
            linestyle=_DASHES[style.dashes],
        )
        axes.text(
            1.12,
            height,
            shown(name),
            transform=axes.transAxes,
            color=style.stand_in,
            va="center_baseline",
            fontsize=9.5,
        )


def spread(heights: Sequence[float], gap: float) -> list[float]:
    """Ascending heights within 0 to 1, moved so that neighbours are at least `gap` apart, or evenly if too many."""
    gap = min(gap, 1 / max(1, len(heights) - 1))
    placed: list[float] = []
    for height in heights:
        placed.append(max(height, placed[-1] + gap) if placed else height)
    ceiling = 1.0
    for index in reversed(range(len(placed))):
        placed[index] = min(placed[index], ceiling)
        ceiling = placed[index] - gap
    return placed


def _inline(svg: str, title: str) -> str:
    """The <svg> element alone, scaling to its container, in the colours of the page."""
    element = svg[svg.index("<svg") :]
    element = re.sub(r' (width|height)="[\d.]+pt"', "", element, count=2)
    for stand_in, variable in _VARIABLES.items():
        element = element.replace(stand_in, variable)
    return element.replace("<svg", f'<svg role="img" aria-label="{title}"', 1)
