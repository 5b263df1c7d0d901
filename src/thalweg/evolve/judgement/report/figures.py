"""The pictures of an evolution, in the manner of the race's charts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from thalweg.evolve.judgement.genealogy import Birth
from thalweg.evolve.judgement.report.data import HELD, Batch, FrontPoint, Response, Stage
from thalweg.race.charts.panel import Panel, line_panel, stairs
from thalweg.race.charts.scale import Scale, extent, near, padded
from thalweg.race.charts.sheet import LABEL, TICK, WIDTH, Sheet, text_width
from thalweg.race.charts.style import Style

_ROW = 16.0  # points a row
_HUGE = 1e100  # from here on a value is as good as infinite
_SERIES = tuple(Style(colour, dashes) for colour, dashes in ((0, 0), (1, 0), (2, 1)))


def fitness(history: Sequence[Batch], title: str, y_label: str, scale: float) -> Figure:
    """Best and mean score over the candidates generated; scores that were never finite are left out."""
    lines = {
        "best": [(batch.candidates, scale * batch.best) for batch in history],
        "mean": [(batch.candidates, scale * batch.mean) for batch in history],
    }
    seen = {name: [point for point in points if abs(point[1]) < _HUGE] for name, points in lines.items()}
    curves = {name: tuple(zip(*points, strict=True)) for name, points in seen.items() if points}
    return _lines(curves, title, "candidates", y_label, late=True)


def front(points: Sequence[FrontPoint], title: str, y_label: str, scale: float) -> Figure:
    """Score against size, as steps: what a rule of at most that size reaches."""
    ordered = sorted(points, key=lambda point: point.size)
    x, y = [point.size for point in ordered], [scale * point.score for point in ordered]
    return _lines({"front": (x, y)}, title, "size: operators, numbers and names", y_label, steps=True)


def lineage(line: Sequence[Birth], title: str, y_label: str, scale: float) -> Figure:
    """The score of each ancestor over the batch in which it was born, founders first."""
    y = [scale * birth.score for birth in line]
    return _lines({"line": ([birth.born for birth in line], y)}, title, "batch of birth", y_label, dots=True)


def response(curve: Response, title: str) -> Figure:
    """Steps against the gradient, first and with the gradient held."""
    lines = {"first step": (curve.gradients, curve.first)}
    lines[f"step {HELD}"] = (curve.gradients, curve.held)
    return _lines(lines, title, "gradient", "step against the gradient")


def funnel(stages: Sequence[Stage], title: str) -> Figure:
    """A bar a stage on a logarithmic axis, with the count and the share of the first stage at its end."""
    largest = max([stage.count for stage in stages] + [10])
    whole = max(stages[0].count, 1)
    texts = [f"{stage.count:,} ({100 * stage.count / whole:.3g} %)" for stage in stages]
    top = 25.5 + _ROW * len(stages) + 2
    sheet = Sheet(top + 4, title)
    left = 10.0 + max(text_width(stage.name, LABEL) for stage in stages)
    right = WIDTH - 10.0 - max(text_width(text, TICK) for text in texts)
    panel = Panel(sheet, Scale(0.8, 1.1 * largest, left, right, log=True), Scale(0, 1, 25.5, top))
    panel.frame("candidates", y_ticks=[])
    for row, (stage, text) in enumerate(zip(stages, texts, strict=True)):
        height = top - _ROW * (row + 0.5)
        sheet.text(left - 6, height, printable(stage.name), ha="right")
        sheet.text(right + 6, height, text, "soft", TICK)
        if stage.count > 0:
            sheet.boxes([(left, height - 5, panel.x.at(stage.count), height + 5)], "series-0", 0.85)
    return sheet.figure


def _lines(
    curves: Mapping[str, tuple[ArrayLike, ...]],
    title: str,
    x_label: str,
    y_label: str,
    *,
    steps: bool = False,
    dots: bool = False,
    late: bool = False,
) -> Figure:
    """A line a name, its name at the end; a line alone needs none. `late`: where the lines begin, far below the rest,
    may be off the edge."""
    drawn = dict(zip(curves, _SERIES, strict=False))
    shown = {name: _drawable(*curve) for name, curve in curves.items()}
    across, up = (np.concatenate([curve[i] for curve in shown.values()]) for i in (0, 1))
    low, high = extent(up)
    later = [y[len(y) // 4 :] for _, y in shown.values()]
    floor = near(np.concatenate(later), higher=True) if late else low
    texts = {name: name if len(shown) > 1 else "" for name in shown}
    panel = line_panel(
        title, padded(*extent(across), share=0.02), padded(max(low, floor), high), list(texts.values()),
        x_label=x_label, y_label=y_label, whole_x=x_label != "gradient",
    )  # fmt: skip
    ends = {}
    for name, (x, y) in shown.items():
        number = np.flatnonzero(~np.isnan(y))
        if number.size:
            ends[name] = (panel.x.at(x[number[-1]]), panel.y.at(y[number[-1]]))
        line = stairs(x, y) if steps else (x, y)
        panel.curve(line[0], line[1], drawn[name].variable, 1.6, drawn[name].dashes)
        if dots or steps:
            held = panel.y.holds(y)
            panel.sheet.dots(panel.x(x[held]), panel.y(y[held]), drawn[name].variable, 5.0)
    if len(shown) > 1:
        panel.ends(ends, texts, drawn)
    return panel.sheet.figure


def _drawable(x: ArrayLike, y: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The points, with NaN, where a line is broken, for values that are as good as infinite."""
    up = np.asarray(y, float)
    return np.asarray(x, float), np.where(np.abs(up) < _HUGE, up, np.nan)


def printable(text: str) -> str:
    """Text that an SVG may hold: no control characters."""
    return "".join(letter if letter.isprintable() else "·" for letter in text)
