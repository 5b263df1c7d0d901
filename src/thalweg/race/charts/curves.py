"""Curves over training and over tuning: a median and a band a method, thin lines a seed, names at the ends."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from thalweg.race.charts.panel import MUTED, Panel, line_panel, stairs, thinned
from thalweg.race.charts.scale import extent, near, number, padded
from thalweg.race.charts.sheet import label
from thalweg.race.charts.style import Style

Curves = Sequence[Sequence[float]]
Floats = NDArray[np.float64]
LOWEST_LOSS = 1e-6  # what lies below is float32's rounding, and may be zero
_MOST_THIN, _MOST_BANDS = 6, 8  # methods with a line a seed, and with a band: more are a mist
_LINE_POINTS, _BAND_POINTS, _THIN_POINTS = 200, 80, 2000  # a line's, a band's, and all thin lines' together
_MARK_ROWS = 6


@dataclass(frozen=True)
class Band:
    """Median and quartiles of a method's curves, each of shape (points,), over so many `trials`; `diverged` has, for
    each trial that diverged, the index of its last finite point."""

    median: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    diverged: tuple[int, ...] = ()
    trials: int = 0


def band(curves: Curves, worst: float, *, diverged: Sequence[bool] | None = None, points: int = 0) -> Band:
    """Median and quartiles over curves, of any lengths, as long as the longest or as `points`.

    A curve that ends early goes on with `worst` where it diverged (infinity for a loss, the task's worst for a metric)
    and with its last value where it was stopped. `diverged` says which did; None: every curve that ends early did.
    Raises ValueError when there are no curves, one is empty, or `diverged` has another length.
    """
    if not all([len(curves), *map(len, curves)]):
        raise ValueError(f"curves must be at least one, none of them empty, got lengths {[len(c) for c in curves]}")
    length = max(points, *map(len, curves))
    ended = [len(curve) < length for curve in curves] if diverged is None else list(diverged)
    if len(ended) != len(curves):
        raise ValueError(f"diverged must have a value a curve, {len(curves)}, got {len(ended)}")
    values = np.full((len(curves), length), float(worst))
    for row, curve, end in zip(values, curves, ended, strict=True):
        row[: len(curve)] = curve
        if not end:
            row[len(curve) :] = curve[-1]
    # "nearest" takes a value that is there: between two of them an infinite one would make all infinite or nan.
    low, median, high = np.quantile(values, (0.25, 0.5, 0.75), axis=0, method="nearest")
    marks = tuple(len(curve) - 1 for curve, end in zip(curves, ended, strict=True) if end)
    return Band(median, low, high, marks, len(curves))


def learning_curves(
    bands: Mapping[str, Band],
    drawn: Mapping[str, Style],
    title: str,
    *,
    x: Mapping[str, Sequence[float]] | None = None,
    x_label: str = "epoch",
    log: bool = False,
    higher: bool | None = None,
    thin: Mapping[str, Curves] | None = None,
    highlight: Collection[str] | None = None,
) -> Figure:
    """A line a method, its band, and its name where it ends.

    `x` is the methods' own x values, one a point (steps, examples, seconds); None: 0, 1, 2, ... `log` is for losses:
    a logarithmic y axis, down to 1e-6. `higher` says whether higher is better; None: not on a logarithmic axis.
    `thin` has the curves of the single seeds; they are drawn where at most 6 methods are highlighted. `highlight`
    names the methods to stand out: the others are thin and pale, without bands; None: all. Bands are drawn for at
    most 8. Trials that diverged are crosses at the worse edge, where they ended. A method whose end is far out of
    the others' range is not allowed to flatten them: its name has an arrow and its last value.
    """
    higher = not log if higher is None else higher
    lines = {name: _Line.of(one, (x or {}).get(name)) for name, one in bands.items()}
    strong = _strong(bands, highlight)
    limits = _loss_limits(lines.values(), higher=higher) if log else _limits(lines.values(), higher=higher)
    panel = _panel(title, lines, drawn, limits, x_label, strong, log=log, higher=higher, whole=x is None)
    few = [name for name in strong if thin is not None and name in thin]
    if thin is not None and len(strong) <= _MOST_THIN:
        each = max(8, _THIN_POINTS // max(1, sum(len(thin[name]) for name in few)))
        for name in few:
            for curve in thin[name]:
                kept = thinned(len(curve), each)
                panel.curve(lines[name].x[kept], np.asarray(curve, float)[kept], drawn[name].variable, 0.5, 0, 0.3)
    if len(strong) <= _MOST_BANDS:
        for name in strong:
            kept = thinned(len(lines[name].x), _BAND_POINTS)
            line = lines[name]
            panel.band(line.x[kept], line.low[kept], line.high[kept], drawn[name].variable)
    for name in sorted(lines, key=lambda name: name in strong):
        kept = thinned(len(lines[name].x), _LINE_POINTS)
        _draw(panel, lines[name].x[kept], lines[name].median[kept], drawn[name], name in strong)
    _mark_divergences(panel, lines, drawn, strong, higher=higher)
    return panel.sheet.figure


def best_so_far(
    curves: Mapping[str, Curves],
    drawn: Mapping[str, Style],
    title: str,
    *,
    x_label: str = "settings tried",
    highlight: Collection[str] | None = None,
) -> Figure:
    """Tuning's best validation score after 1, 2, ... draws: a thin step line a study, their median in bold.

    `curves` has a curve a study, higher is better; minus infinity while every draw diverged.
    """
    bands = {name: band(studies, -np.inf, diverged=[False] * len(studies)) for name, studies in curves.items()}
    lines = {name: _Line.of(one, np.arange(1.0, len(one.median) + 1)) for name, one in bands.items()}
    strong = _strong(bands, highlight)
    limits = _limits(lines.values(), higher=True, skipped=0)
    panel = _panel(title, lines, drawn, limits, x_label, strong, log=False, higher=True, whole=True)
    if len(strong) <= _MOST_THIN:
        for name in strong:
            for curve in curves[name]:
                panel.curve(*stairs(lines[name].x[: len(curve)], curve), drawn[name].variable, 0.6, 0, 0.45)
    for name in sorted(lines, key=lambda name: name in strong):
        _draw(panel, *stairs(lines[name].x, lines[name].median), drawn[name], name in strong)
    return panel.sheet.figure


def expected_best(
    bands: Mapping[str, Band],
    drawn: Mapping[str, Style],
    title: str,
    *,
    x_label: str = "settings tried",
    highlight: Collection[str] | None = None,
) -> Figure:
    """Expected best score of 1, 2, ... random draws (`median` of a band), with its band."""
    lines = {name: _Line.of(one, np.arange(1.0, len(one.median) + 1)) for name, one in bands.items()}
    strong = _strong(bands, highlight)
    limits = _limits(lines.values(), higher=True, skipped=0)
    panel = _panel(title, lines, drawn, limits, x_label, strong, log=False, higher=True, whole=True)
    for name in strong if len(strong) <= _MOST_BANDS else ():
        panel.band(lines[name].x, lines[name].low, lines[name].high, drawn[name].variable)
    for name in sorted(lines, key=lambda name: name in strong):
        _draw(panel, lines[name].x, lines[name].median, drawn[name], name in strong)
    return panel.sheet.figure


@dataclass(frozen=True)
class _Line:
    """A band over its x values, all of shape (points,)."""

    x: Floats
    median: Floats
    low: Floats
    high: Floats
    diverged: tuple[int, ...]

    trials: int

    @classmethod
    def of(cls, one: Band, x: Sequence[float] | Floats | None) -> _Line:
        places = np.arange(len(one.median), dtype=float) if x is None else np.asarray(x, float)
        if places.shape != np.shape(one.median):
            raise ValueError(f"x must have a value for each of {len(one.median)} points, got shape {places.shape}")
        median, low, high = (np.asarray(edge, float) for edge in (one.median, one.low, one.high))
        return cls(places, median, low, high, one.diverged, one.trials)

    @property
    def end(self) -> float:
        """The last value that is a number; infinite where most trials diverged, for then it says nothing of a range."""
        values = self.median[~np.isnan(self.median)]
        return math.nan if not values.size else math.inf if 2 * len(self.diverged) > self.trials else float(values[-1])


def _strong(names: Collection[str], highlight: Collection[str] | None) -> list[str]:
    return [name for name in names if highlight is None or name in highlight]


def _loss_limits(lines: Collection[_Line], *, higher: bool) -> tuple[float, float]:
    """All values above `LOWEST_LOSS`, but no loss of more than three times where training began: that is divergence."""
    edges = [edge for line in lines for edge in (line.low, line.median, line.high)]
    low, high = extent(np.concatenate([*edges, [math.nan]]), log=True)
    begin = extent([line.median[0] for line in lines], log=True)[1]
    top = high if higher else min(high, 3 * begin)
    return padded(max(low, LOWEST_LOSS), max(top, 2 * LOWEST_LOSS), log=True)


def _limits(lines: Collection[_Line], *, higher: bool, skipped: float = 0.25) -> tuple[float, float]:
    """What the lines do after the first quarter, which rises from chance and would flatten what follows; none of the
    ends that are far from the others'."""
    worst = near([line.end for line in lines], higher=higher)
    shown = [line for line in lines if (worst <= line.end < math.inf if higher else line.end <= worst)]
    later = [line.median[int(skipped * len(line.median)) :] for line in shown]
    edges = [edge for line in shown for edge in (line.low[-1:], line.high[-1:])]
    low, high = extent(np.concatenate([*later, *edges, [math.nan]]))
    best = extent(np.concatenate([*(line.high if higher else line.low for line in shown), [math.nan]]))[higher]
    # However bad the way was, the ends have at least a quarter of the height.
    span = 4 * max(abs(best - worst), 0.05 * abs(best))
    return padded(max(low, best - span), max(high, best)) if higher else padded(min(low, best), min(high, best + span))


def _panel(
    title: str,
    lines: Mapping[str, _Line],
    drawn: Mapping[str, Style],
    limits: tuple[float, float],
    x_label: str,
    strong: Sequence[str],
    *,
    log: bool,
    higher: bool,
    whole: bool,
) -> Panel:
    """The panel with the names at the ends, before any line."""
    width = padded(*extent([value for line in lines.values() for value in line.x]), share=0)
    texts = {name: label(name) + _beyond(line, limits) for name, line in lines.items()}
    panel = line_panel(title, width, limits, list(texts.values()), log_y=log, whole_x=whole, x_label=x_label)
    edge = panel.y.start if higher else panel.y.stop
    ends = {}
    for name, line in lines.items():
        seen = np.flatnonzero(np.isfinite(line.x) & ~np.isnan(line.median))
        across = panel.x.at(line.x[seen[-1]]) if seen.size else panel.x.stop
        ends[name] = (across, panel.y.at(line.end) if math.isfinite(line.end) else edge)
    panel.ends(ends, texts, drawn, frozenset(lines) - frozenset(strong))
    return panel


def _beyond(line: _Line, limits: tuple[float, float]) -> str:
    """What is said of an end that is out of the range."""
    if math.isnan(line.end):
        return " –"
    if not math.isfinite(line.end):
        return " ×"
    if limits[0] <= line.end <= limits[1]:
        return ""
    return f" {'↓' if line.end < limits[0] else '↑'} {number(line.end, max(abs(line.end), 1e-9))}"


def _draw(panel: Panel, x: Floats, y: Floats, style: Style, strong: bool) -> None:
    panel.curve(x, y, style.variable, 1.6 if strong else 0.9, style.dashes, 1.0 if strong else MUTED)


def _mark_divergences(
    panel: Panel, lines: Mapping[str, _Line], drawn: Mapping[str, Style], strong: Sequence[str], *, higher: bool
) -> None:
    """Crosses where trials diverged, in rows from the worse edge inwards, a row a method."""
    edge, inwards = (panel.y.start, 1) if higher else (panel.y.stop, -1)
    for row, (name, line) in enumerate((n, line) for n, line in lines.items() if line.diverged):
        x = np.unique(line.x[np.minimum(line.diverged, len(line.x) - 1)])
        height = edge + inwards * (4 + 6 * (row % _MARK_ROWS))
        colour = drawn[name].variable if name in strong else "soft"
        panel.sheet.crosses(panel.x(x), np.full(len(x), height), colour, 4.5)
