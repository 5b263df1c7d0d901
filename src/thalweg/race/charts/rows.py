"""Charts of one row a thing: differences and intervals, scores of seeds, gaps between two scores, costs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from thalweg.race.charts.panel import Panel
from thalweg.race.charts.scale import Scale, extent, near, number, padded, signed
from thalweg.race.charts.sheet import LABEL, TICK, WIDTH, Sheet, label, shortened, text_width
from thalweg.race.charts.style import Style

_ROW = 16.0  # points a row
_COLOURS = {"better": "good", "worse": "bad", "equivalent": "fg"}


@dataclass(frozen=True)
class Difference:
    """A row of `differences`: a difference and its interval; `verdict` is better, worse, equivalent or undecided.

    `margin` is the difference too small to matter, drawn as a band; None: none. Rows of the same `group` that follow
    each other are under a heading of that name.
    """

    label: str
    difference: float
    low: float
    high: float
    verdict: str = ""
    margin: float | None = None
    group: str = ""


@dataclass(frozen=True)
class Interval:
    """A value with its confidence interval."""

    value: float
    low: float
    high: float


def differences(rows: Sequence[Difference], title: str, *, x_label: str = "difference") -> Figure:
    """Forest plot around zero. Rows far out of the others' range are arrows at the edge; the value stands at the right,
    with the verdict. Higher is better."""
    low, high = _focus([(row.difference, row.low, row.high) for row in rows])
    margins = [row.margin for row in rows if row.margin is not None and math.isfinite(row.margin)]
    low, high = min(low, 0.0, *(-m for m in margins)), max(high, 0.0, *margins)
    limits = padded(low, high)
    span = limits[1] - limits[0]
    texts = [f"{signed(row.difference, span)} {row.verdict}".rstrip() for row in rows]
    colours = [_COLOURS.get(row.verdict, "soft") for row in rows]
    headings = [row.group if i == 0 or row.group != rows[i - 1].group else "" for i, row in enumerate(rows)]
    panel, heights = row_panel(title, [label(row.label) for row in rows], texts, limits, x_label, colours, headings)
    for row, height in zip(rows, heights, strict=True):
        if row.margin is not None and math.isfinite(row.margin):
            box = (panel.x.at(-row.margin), height - 7, panel.x.at(row.margin), height + 7)
            panel.sheet.boxes([box], "line", 0.8)
    zero = panel.x.at(0.0)
    panel.sheet.segments([(zero, panel.y.start, zero, panel.y.stop)], "soft", 0.8)
    for row, height, colour in zip(rows, heights, colours, strict=True):
        _interval(panel, height, row.difference, row.low, row.high, colour, hollow=colour == "soft")
    return panel.sheet.figure


def intervals(
    rows: Mapping[str, Interval],
    drawn: Mapping[str, Style],
    title: str,
    *,
    x_label: str = "",
    reference: float | None = None,
) -> Figure:
    """A dot and a line a method, in the order given, with the value at the right. `reference`: a vertical line."""
    low, high = _focus([(one.value, one.low, one.high) for one in rows.values()])
    if reference is not None:
        low, high = min(low, reference), max(high, reference)
    limits = padded(low, high)
    texts = [number(one.value, limits[1] - limits[0]) for one in rows.values()]
    panel, heights = row_panel(title, [label(name) for name in rows], texts, limits, x_label)
    _reference(panel, reference)
    for height, (name, one) in zip(heights, rows.items(), strict=True):
        _interval(panel, height, one.value, one.low, one.high, drawn[name].variable)
    return panel.sheet.figure


def seed_scores(
    scores: Mapping[str, Sequence[float]],
    drawn: Mapping[str, Style],
    title: str,
    *,
    x_label: str = "",
    diverged: Mapping[str, Sequence[bool]] | None = None,
) -> Figure:
    """A dot a seed and a bar at the median, one row a method in the order given; diverged seeds are crosses at the
    left edge."""
    lost = {
        name: np.asarray((diverged or {}).get(name, np.zeros(len(values), bool)), bool) | ~np.isfinite(values)
        for name, values in scores.items()
    }
    finite = {name: np.asarray(values, float)[~lost[name]] for name, values in scores.items()}
    limits = padded(*extent([value for values in finite.values() for value in values]), share=0.08)
    span = limits[1] - limits[0]
    texts = [number(float(np.median(values)) if values.size else math.nan, span) for values in finite.values()]
    panel, heights = row_panel(title, [label(name) for name in scores], texts, limits, x_label)
    for height, (name, values) in zip(heights, finite.items(), strict=True):
        colour = drawn[name].variable
        panel.sheet.dots(panel.x(values), height + _swarm(panel.x(values)), colour, 3.0, 0.55)
        if values.size:
            middle = float(panel.x(np.median(values)))
            panel.sheet.segments([(middle, height - 6, middle, height + 6)], "fg", 1.6)
        crosses = int(lost[name].sum())
        across = panel.x.start + 3 + np.minimum(6.0, 40 / max(1, crosses)) * np.arange(crosses)
        panel.sheet.crosses(across, np.full(crosses, height), colour, 4.5)
    return panel.sheet.figure


def gaps(
    pairs: Mapping[str, tuple[float, float]],
    drawn: Mapping[str, Style],
    title: str,
    *,
    ends: tuple[str, str] = ("train", "test"),
    x_label: str = "",
) -> Figure:
    """Two scores a method and the line between: a hollow dot is the first, a full one the second of `ends`.

    At the right is the second less the first.
    """
    values = np.array(list(pairs.values()), float).reshape(-1, 2)
    limits = padded(near(values, higher=True), extent(values)[1])
    with np.errstate(invalid="ignore"):
        texts = [signed(float(second - first), limits[1] - limits[0]) for first, second in values]
    panel, heights = row_panel(title, [label(name) for name in pairs], texts, limits, x_label, above=14.0)
    for height, (name, pair) in zip(heights, pairs.items(), strict=True):
        colour = drawn[name].variable
        at = [panel.x.at(value) for value in pair if not math.isnan(value)]
        if len(at) == 2:
            panel.sheet.segments([(at[0], height, at[1], height)], colour, 1.6)
        for value, hollow in zip(pair, (True, False), strict=True):
            _mark(panel, value, height, colour, hollow=hollow)
    sheet = panel.sheet
    sheet.hollow([panel.x.start + 3], [panel.y.stop + 7], "soft")
    sheet.text(panel.x.start + 9, panel.y.stop + 7, ends[0], "soft", TICK)
    second = panel.x.start + 21 + text_width(ends[0], TICK)
    sheet.dots([second], [panel.y.stop + 7], "soft", 6)
    sheet.text(second + 6, panel.y.stop + 7, ends[1], "soft", TICK)
    return sheet.figure


def costs(
    bars: Mapping[str, float],
    drawn: Mapping[str, Style],
    title: str,
    *,
    x_label: str = "",
    texts: Mapping[str, str] | None = None,
    reference: float | None = None,
) -> Figure:
    """A bar a method from zero, with its value (or text) at the end. A bar far longer than the others is cut, with a
    mark that says so. `reference`: a vertical line, 1 for an overhead."""
    longest = near(list(bars.values()), higher=False)
    limits = (0.0, 1.04 * max(longest if longest > 0 else 1.0, reference or 0.0))
    ends = [(texts or {}).get(name, number(value, longest)) for name, value in bars.items()]
    panel, heights = row_panel(title, [label(name) for name in bars], ends, limits, x_label)
    for height, (name, value) in zip(heights, bars.items(), strict=True):
        if math.isnan(value):
            continue
        end = panel.x.at(value)
        panel.sheet.boxes([(panel.x.start, height - 4.5, end, height + 4.5)], drawn[name].variable, 0.85)
        if value > limits[1]:
            cut = [(-5.0, -7.0), (-1.0, 7.0), (2.0, 7.0), (-2.0, -7.0)]
            panel.sheet.polygons([cut], [(end - 8, height)], "bg", 1.0)
    _reference(panel, reference)
    return panel.sheet.figure


def row_panel(
    title: str,
    labels: Sequence[str],
    texts: Sequence[str],
    limits: tuple[float, float],
    x_label: str,
    colours: Sequence[str] | None = None,
    headings: Sequence[str] | None = None,
    above: float = 4.0,
    whole: bool = False,
) -> tuple[Panel, list[float]]:
    """A panel with a row a label, `texts` at its right, `above` points over it; and its rows' heights, from the top.
    A heading stands above the row that has one."""
    headings = headings or [""] * len(labels)
    texts = [shortened(text, 24) for text in texts]
    bottom = 13.0 + (12.5 if x_label else 0.0)
    top = bottom + _ROW * (len(labels) + sum(map(bool, headings))) + 2
    sheet = Sheet(top + above, title)
    left = 10.0 + max((text_width(text, LABEL) for text in labels), default=0.0)
    right = WIDTH - 10.0 - max((text_width(text, TICK) for text in texts), default=0.0)
    panel = Panel(sheet, Scale(*limits, left, right, whole=whole), Scale(0, 1, bottom, top))
    panel.frame(x_label, y_ticks=[])
    heights, height = [], top + _ROW / 2 - 1
    for index, (text, value, heading) in enumerate(zip(labels, texts, headings, strict=True)):
        if heading:
            height -= _ROW
            sheet.text(2, height - 2, heading, "soft", LABEL)
        height -= _ROW
        sheet.segments([(left, height, right, height)], "line", 0.5)
        sheet.text(left - 6, height, text, ha="right")
        sheet.text(right + 6, height, value, colours[index] if colours else "soft", TICK)
        heights.append(height)
    return panel, heights


def _focus(triples: Sequence[tuple[float, float, float]]) -> tuple[float, float]:
    """A range with all intervals but those whose value is far out of the others', NaN where there is none."""
    values = np.array(triples, float).reshape(-1, 3)
    low, high = near(values[:, 0], higher=True), near(values[:, 0], higher=False)
    if math.isnan(low):
        return 0.0, 0.0
    middle = np.nanmedian(values[np.isfinite(values[:, 0]), 0])
    # Far out on either side; the middle half is never far.
    low, high = min(low, middle), max(high, middle)
    kept = values[(values[:, 0] >= low) & (values[:, 0] <= high)]
    # An interval may be much longer than all differences: it goes off the edge.
    room = 2 * max(high - low, float(np.nanmedian(kept[:, 2] - kept[:, 1])) if np.isfinite(kept).all() else 0.0)
    ends = extent(kept)
    return max(ends[0], low - room), min(ends[1], high + room)


def _interval(
    panel: Panel, height: float, value: float, low: float, high: float, colour: str, *, hollow: bool = False
) -> None:
    """A line from low to high with a dot at the value; an arrow where the value is out of range."""
    if not (math.isnan(low) or math.isnan(high)):
        panel.sheet.segments([(panel.x.at(low), height, panel.x.at(high), height)], colour, 1.6)
    _mark(panel, value, height, colour, hollow=hollow)


def _mark(panel: Panel, value: float, height: float, colour: str, *, hollow: bool = False) -> None:
    if math.isnan(value):
        return
    if not panel.x.holds(value):
        side = 1 if value > panel.x.high else -1
        panel.sheet.arrow(panel.x.at(value) - 3 * side, height, side, colour)
    elif hollow:
        panel.sheet.hollow([panel.x.at(value)], [height], colour)
    else:
        panel.sheet.dots([panel.x.at(value)], [height], colour, 6.0)


def _reference(panel: Panel, value: float | None) -> None:
    if value is not None and math.isfinite(value):
        at = panel.x.at(value)
        panel.sheet.segments([(at, panel.y.start, at, panel.y.stop)], "soft", 0.8)


def _swarm(x: np.ndarray) -> np.ndarray:
    """Offsets in points that keep dots which would lie on each other apart: up and down in turn within 2.5 points."""
    order = np.argsort(x, kind="stable")
    offsets = np.zeros(len(x))
    last, run = -math.inf, 0
    for index in order:
        run = run + 1 if x[index] - last < 2.5 else 0
        offsets[index] = ((run + 1) // 2) % 3 * 2.0 * (1 if run % 2 else -1)
        last = x[index]
    return offsets
