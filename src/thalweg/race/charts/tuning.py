"""What tuning saw: a hyperparameter against the score, all of them at once, and learning-rate scans."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from thalweg.race.charts.panel import MUTED, Panel, line_panel
from thalweg.race.charts.scale import Scale, extent, near, padded
from thalweg.race.charts.sheet import TICK, WIDTH, Sheet, label, shortened, text_width
from thalweg.race.charts.style import Style

_EDGE = 9.0  # points below a panel, for what diverged
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Searched:
    """A searched hyperparameter: its value in each draw (numbers, or texts for choices; None where it had none).

    `low` and `high` are the ends of the search space; None: of the values.
    """

    label: str
    values: Sequence[float | str | None]
    log: bool = False
    low: float | None = None
    high: float | None = None

    @property
    def choices(self) -> list[str]:
        """The texts, each once, in the order of their first draws; none for numbers."""
        return list(dict.fromkeys(value for value in self.values if isinstance(value, str)))

    @property
    def places(self) -> Floats:
        """Values as numbers, a choice as its index, NaN for None; of shape (draws,)."""
        choices = self.choices
        return np.array(
            [math.nan if v is None else choices.index(v) if isinstance(v, str) else float(v) for v in self.values]
        )

    def scale(self, start: float, stop: float) -> Scale:
        """The searched range on points, with a little room."""
        if self.choices:
            return Scale(-0.5, len(self.choices) - 0.5, start, stop)
        ends = [value for value in (self.low, self.high) if value is not None]
        low, high = extent([*self.places, *ends], log=self.log)
        return Scale(*padded(low, high, log=self.log), start, stop, self.log)

    def ticks(self, scale: Scale, most: int) -> list[tuple[float, str]]:
        """Round values, or the choices, shortened to what fits."""
        if not self.choices:
            return scale.ticks(most)
        room = int(abs(scale.stop - scale.start) / len(self.choices) / 5.5)
        return [(float(place), shortened(text, max(3, room))) for place, text in enumerate(self.choices)]


@dataclass(frozen=True)
class Scan:
    """Scores of one method by learning rate, ascending; each of shape (rates,). `diverged` is the share of seeds that
    diverged at each rate. `default` is the published rate; `within` the range of rates within 1 % of the best."""

    lr: Sequence[float]
    median: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]
    diverged: Sequence[float] = ()
    default: float | None = None
    within: tuple[float, float] | None = None


def slices(
    searched: Sequence[Searched],
    scores: Sequence[float],
    title: str,
    *,
    default: Collection[int] = (),
    chosen: Collection[int] = (),
    y_label: str = "validation score",
) -> Figure:
    """A panel a hyperparameter: the score of every draw against its value.

    `scores` has one a draw; minus infinity or NaN: it diverged, a cross at the lower edge. `default` and `chosen` are
    the indices of draws, of several studies perhaps, marked by a diamond and by a ring.
    """
    values = check_draws(searched, scores)
    columns = 1 if len(searched) == 1 else 2
    lines = math.ceil(len(searched) / columns)
    tall = 150.0 if columns == 1 else 105.0
    pitch = tall + 40
    sheet = Sheet((lines - 1) * pitch + tall + 26 + 15, title)
    finite = np.isfinite(values)
    limits = padded(near(values, higher=True), extent(values)[1], 0.06)
    left = 10 + max(text_width(text, TICK) for _, text in Scale(*limits, 0, tall).ticks(4))
    width = (WIDTH - left - 8 - 16 * (columns - 1)) / columns
    for index, one in enumerate(searched):
        start = left + index % columns * (width + 16)
        bottom = sheet.height - 15 - index // columns * pitch - tall
        panel = Panel(sheet, one.scale(start, start + width), Scale(*limits, bottom, bottom + tall))
        y_ticks = panel.y.ticks(4)
        first = index % columns == 0
        panel.frame(
            one.label,
            x_ticks=one.ticks(panel.x, max(2, round(width / 40))),
            y_ticks=y_ticks if first else [(value, "") for value, _ in y_ticks],
        )
        across = panel.x(one.places)
        up = np.where(values < limits[0], bottom + 2, panel.y(values))
        sheet.dots(across[finite], up[finite], "series-0", 4.0, 0.6)
        sheet.crosses(across[~finite], np.full((~finite).sum(), bottom + 3), "bad", 4.5)
        mark_draws(sheet, across, np.where(finite, up, bottom + 3), default, chosen)
    sheet.text(2, sheet.height - 8, y_label, "soft", TICK, va="baseline")
    draw_key(sheet, bool(default), bool(chosen), not finite.all())
    return sheet.figure


def parallel_coordinates(
    searched: Sequence[Searched],
    scores: Sequence[float],
    title: str,
    *,
    default: Collection[int] = (),
    chosen: Collection[int] = (),
    score_label: str = "score",
) -> Figure:
    """A line a draw through one axis a hyperparameter and the score at the right; stronger when better, diverged draws
    dashed in the colour of warnings, chosen ones bold."""
    values = check_draws(searched, scores)
    finite = np.isfinite(values)
    bottom, top = 30.0, 200.0
    sheet = Sheet(top + 22, title)
    limits = padded(near(values, higher=True), extent(values)[1], 0.03)
    score = Scale(*limits, bottom + _EDGE, top)
    scales = [one.scale(bottom, top) for one in searched]
    across = np.linspace(34, WIDTH - 34, len(searched) + 1)
    heights = np.column_stack(
        [scale(one.places) for scale, one in zip(scales, searched, strict=True)]
        + [np.where(finite, np.maximum(score(values), score.start), bottom)]
    )
    for x in across:
        sheet.segments([(x, bottom, x, top)], "line", 1.0)
    order = np.argsort(np.where(finite, values, -np.inf), kind="stable")
    strength = np.empty(len(values))
    strength[order] = np.linspace(0.1, 0.75, len(values)) if len(values) > 1 else 0.75
    for index in order:
        if not finite[index]:
            sheet.line(across, heights[index], "bad", 0.7, 1, 0.6)
        elif index not in chosen:
            sheet.line(across, heights[index], "series-0", 1.0, 0, round(float(strength[index]), 2))
    for index in chosen:
        sheet.line(across, heights[index], "fg", 2.0)
    for index in default:
        sheet.diamonds(across, heights[index], "series-6")
    names = [one.label for one in searched] + [score_label]
    ends = [one.ticks(scale, 5) for one, scale in zip(searched, scales, strict=True)] + [score.ticks(5)]
    for place, (x, name, ticks, scale) in enumerate(zip(across, names, ends, [*scales, score], strict=True)):
        last = place == len(searched)
        for value, text in ticks:
            at, wide = scale.at(value), text_width(text, 8.0)
            sheet.boxes(
                [(x + 3, at - 5, x + 5 + wide, at + 5) if last else (x - 5 - wide, at - 5, x - 3, at + 5)], "bg", 0.8
            )
            sheet.text(x + (4 if last else -4), at, text, "fg", 8.0, ha="left" if last else "right")
        low = 14.0 if place % 2 == 0 or len(searched) < 4 else 3.0
        sheet.text(x, low, shortened(name, 14), "fg", TICK, ha="center", va="baseline")
    draw_key(sheet, bool(default), False, False)
    return sheet.figure


def lr_scan(
    scans: Mapping[str, Scan],
    drawn: Mapping[str, Style],
    title: str,
    *,
    x_label: str = "learning rate",
    y_label: str = "",
    highlight: Collection[str] | None = None,
) -> Figure:
    """Score against learning rate, logarithmic, with the band over seeds; a cross at the lower edge where most seeds
    diverged, a diamond at the published rate, and above the axes a bar over the rates within 1 % of the best."""
    strong = [name for name in scans if highlight is None or name in highlight]
    bars = [name for name in strong if scans[name].within is not None]
    medians = {name: np.asarray(one.median, float) for name, one in scans.items()}
    best = {name: extent(values)[1] for name, values in medians.items()}
    worst = near(list(best.values()), higher=True)
    shown = np.concatenate([v[np.isfinite(v)] for v in medians.values()] or [np.array([])])
    top = extent([*shown, *(value for one in scans.values() for value in one.high)])[1]
    low = near(shown, higher=True) if shown.size else math.nan
    limits = padded(min(low, worst), top, 0.06)
    texts = {name: label(name) for name in scans}
    width = padded(*extent([rate for one in scans.values() for rate in one.lr], log=True), share=0.02, log=True)
    panel = line_panel(
        title,
        width,
        limits,
        list(texts.values()),
        log_x=True,
        x_label=x_label,
        y_label=y_label,
        above=4.0 * len(bars) + (3 if bars else 0),
    )
    ends = {}
    for name, values in medians.items():
        seen = np.flatnonzero(np.isfinite(values))
        rate = np.asarray(scans[name].lr, float)
        ends[name] = (
            (panel.x.at(rate[seen[-1]]), panel.y.at(values[seen[-1]])) if seen.size else (panel.x.stop, panel.y.start)
        )
    panel.ends(ends, texts, drawn, frozenset(scans) - frozenset(strong))
    for name in strong if len(strong) <= 6 else ():
        panel.band(scans[name].lr, scans[name].low, scans[name].high, drawn[name].variable)
    for name in sorted(scans, key=lambda name: name in strong):
        one, style, bold = scans[name], drawn[name], name in strong
        rates = np.asarray(one.lr, float)
        panel.curve(
            rates,
            np.where(np.isfinite(medians[name]), medians[name], np.nan),
            style.variable,
            1.6 if bold else 0.9,
            style.dashes,
            1.0 if bold else MUTED,
        )
        share = np.asarray(one.diverged, float) if len(one.diverged) else np.zeros(len(rates))
        lost = (share >= 0.5) | ~np.isfinite(medians[name])
        row = 4 + 5 * (list(scans).index(name) % 6)
        panel.sheet.crosses(
            panel.x(rates[lost]), np.full(lost.sum(), panel.y.start + row), style.variable if bold else "soft", 4.0
        )
        if one.default is not None and bold and panel.x.holds(one.default):
            height = np.interp(math.log(one.default), np.log(rates), np.nan_to_num(medians[name], nan=limits[0]))
            panel.sheet.diamonds([panel.x.at(one.default)], [panel.y.at(float(height))], style.variable)
    for place, name in enumerate(bars):
        low, high = scans[name].within or (math.nan, math.nan)
        height = panel.y.stop + 4 + 4 * place
        panel.sheet.segments([(panel.x.at(low), height, panel.x.at(high), height)], drawn[name].variable, 2.5)
    return panel.sheet.figure


def check_draws(searched: Sequence[Searched], scores: Sequence[float]) -> Floats:
    """The scores as an array. Raises ValueError when there is nothing searched, or values are missing."""
    if not searched:
        raise ValueError("searched must have at least one hyperparameter, got none")
    for one in searched:
        if len(one.values) != len(scores):
            raise ValueError(f"{one.label} must have a value a score, {len(scores)}, got {len(one.values)}")
    return np.asarray(scores, float)


def mark_draws(sheet: Sheet, x: Floats, y: Floats, default: Collection[int], chosen: Collection[int]) -> None:
    """Diamonds at the published defaults and rings around chosen draws; x and y in points."""
    defaults, rings = list(default), list(chosen)
    sheet.diamonds(x[defaults], y[defaults], "series-6")
    sheet.rings(x[rings], y[rings], "fg")


def draw_key(sheet: Sheet, default: bool, chosen: bool, diverged: bool) -> None:
    """Says at the upper right of a sheet what its marks are."""
    right, height = sheet.width - 4, sheet.height - 5
    for shown, text, mark, colour in (
        (diverged, "diverged", sheet.crosses, "bad"),
        (chosen, "chosen", sheet.rings, "fg"),
        (default, "published default", sheet.diamonds, "series-6"),
    ):
        if shown:
            sheet.text(right, height, text, "soft", TICK, ha="right")
            right -= text_width(text, TICK) + 6
            mark([right], [height], colour, 6.0)
            right -= 14
