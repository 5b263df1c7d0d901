"""Ranks across tasks: the critical-difference diagram and how the ranks are spread."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from thalweg.race.charts.rows import row_panel
from thalweg.race.charts.scale import Scale, number
from thalweg.race.charts.sheet import TICK, WIDTH, Sheet, label, text_width
from thalweg.race.charts.style import Style

_ROW = 14.0  # points from one name to the next
_BAR = 6.0  # and from one bar to the next


def critical_difference(
    mean_ranks: Mapping[str, float],
    groups: Sequence[Sequence[str]],
    title: str,
    *,
    drawn: Mapping[str, Style] | None = None,
    note: str = "",
) -> Figure:
    """Mean ranks on an axis, best at the left, names left and right; a bar joins each of `groups`, the methods that
    the tests did not tell apart (Demšar 2006). For 1 to 40 methods. `note` stands below ("descriptive only").

    Raises ValueError for a mean rank that is not finite, or a group with a method that has none.
    """
    for name, rank in mean_ranks.items():
        if not math.isfinite(rank):
            raise ValueError(f"mean_ranks must be finite, got {rank} of {name}; leave out what was not ranked")
    unknown = {name for group in groups for name in group} - set(mean_ranks)
    if unknown:
        raise ValueError(f"groups must be of methods in mean_ranks, got {', '.join(sorted(unknown))}")
    names = sorted(mean_ranks, key=lambda name: mean_ranks[name])
    half = math.ceil(len(names) / 2)
    texts = {name: label(name) for name in names}
    gutter = 25.0 + max((text_width(text) for text in texts.values()), default=0.0)
    spans = [
        (min(ranks), max(ranks)) for group in groups if (ranks := [mean_ranks[n] for n in group]) and len(group) > 1
    ]
    scale = _rank_scale(list(mean_ranks.values()), gutter)
    bars = [(scale.at(low) - 3, scale.at(high) + 3) for low, high in spans]
    levels = _levels(bars)
    below = 4.0 + (14.0 if note else 0.0)
    first = below + _ROW * (half - 1) + 6  # the height of the first name
    axis = first + 12 + _BAR * (1 + max(levels, default=-1))
    sheet = Sheet(axis + 22, title)
    ticks = scale.ticks(8)
    sheet.segments([(scale.start, axis, scale.stop, axis)], "fg", 1.0)
    sheet.segments([(scale.at(value), axis, scale.at(value), axis + 4) for value, _ in ticks], "fg", 1.0)
    for value, text in ticks:
        sheet.text(scale.at(value), axis + 8, text, "soft", TICK, ha="center", va="baseline")
    for index, name in enumerate(names):
        left = index < half
        row = first - _ROW * (index if left else len(names) - 1 - index)
        at, side = scale.at(mean_ranks[name]), gutter - 20 if left else WIDTH - gutter + 20
        colour = drawn[name].variable if drawn else "soft"
        sheet.line([at, at, side], [axis, row, row], colour, 0.9)
        ink = colour if drawn else "fg"
        sheet.text(side + (-4 if left else 4), row, texts[name], ink, ha="right" if left else "left")
        mean = f"{mean_ranks[name]:.{2 if mean_ranks[name] < 9.995 else 1}f}"
        sheet.text(side + (1 if left else -1), row + 3, mean, "soft", 7.5, "left" if left else "right", "baseline")
    for (start, stop), level in zip(bars, levels, strict=True):
        height = axis - 5.0 - _BAR * level
        sheet.segments([(start, height, stop, height)], "fg", 3.0)
    if note:
        sheet.text(WIDTH / 2, 4, note, "soft", TICK, ha="center", va="baseline")
    return sheet.figure


def _rank_scale(ranks: Sequence[float], gutter: float) -> Scale:
    """All possible ranks, so that those that occur are between the gutters where the names stand; the others reach
    over them."""
    low, high = 1.0, max(2.0, len(ranks), math.ceil(max(ranks, default=1)))
    first, last = min(ranks, default=low), max(ranks, default=high)
    unit = (WIDTH - 2 * gutter) / max(last - first, 0.25 * (high - low))
    unit = min([unit] + [(gutter - 8) / room for room in (first - low, high - last) if room > 0])
    start = (WIDTH - unit * (last - first)) / 2 - unit * (first - low)
    return Scale(low, high, start, start + unit * (high - low), whole=True)


def _levels(bars: Sequence[tuple[float, float]]) -> list[int]:
    """For each bar (from, to) how far below the axis it is: the nearest level where it is clear of every other."""
    levels: list[int] = []
    for start, stop in bars:
        before = list(zip(bars, levels, strict=False))
        taken = {level for (a, b), level in before if start <= b + 6 and a - 6 <= stop}
        levels.append(next(level for level in range(len(bars)) if level not in taken))
    return levels


def rank_distribution(
    ranks: Mapping[str, Sequence[float]], drawn: Mapping[str, Style], title: str, *, x_label: str = "rank on a task"
) -> Figure:
    """A row a method, best mean rank first: a disc at each rank, its area the number of tasks, and a bar at the mean.

    `ranks` has one a task, 1 the best, halves where methods tie; NaN where a method was not ranked.
    """
    given = {name: [float(rank) for rank in values if math.isfinite(rank)] for name, values in ranks.items()}
    means = {name: float(np.mean(values)) if values else math.inf for name, values in given.items()}
    names = sorted(given, key=lambda name: means[name])
    last = max([2.0, float(len(names)), *(rank for values in given.values() for rank in values)])
    texts = [number(means[name], 1.0) if given[name] else "–" for name in names]
    panel, heights = row_panel(title, [label(name) for name in names], texts, (0.5, last + 0.5), x_label, whole=True)
    most = max((len(values) for values in given.values()), default=1)
    for height, name in zip(heights, names, strict=True):
        counts = Counter(given[name])
        for rank, count in sorted(counts.items()):
            size = 14.0 * math.sqrt(count / max(most, 4))
            panel.sheet.dots([panel.x.at(rank)], [height], drawn[name].variable, size, 0.7)
        if given[name]:
            middle = panel.x.at(means[name])
            panel.sheet.segments([(middle, height - 7, middle, height + 7)], "fg", 1.6)
    return panel.sheet.figure
