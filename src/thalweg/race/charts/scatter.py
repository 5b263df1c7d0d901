"""Points in a plane: seeds of one method against another's, and draws over two hyperparameters."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from thalweg.race.charts.panel import Panel
from thalweg.race.charts.scale import Scale, extent, padded
from thalweg.race.charts.sheet import TICK, WIDTH, Sheet, label, shortened, text_width
from thalweg.race.charts.style import Style
from thalweg.race.charts.tuning import Searched, check_draws, draw_key, mark_draws

_LEVELS = 5  # kinds of a colour for scores


def seed_scatter(
    baseline: Sequence[float],
    others: Mapping[str, Sequence[float]],
    drawn: Mapping[str, Style],
    title: str,
    *,
    baseline_label: str = "baseline",
    notes: Mapping[str, str] | None = None,
) -> Figure:
    """A panel a method: its score with each seed against the baseline's with the same seed, and the diagonal.

    `notes` are written in the panels, the correlation for one. NaN and infinite scores are crosses at the edges.
    Raises ValueError when a method has another number of seeds than the baseline.
    """
    first = np.asarray(baseline, float)
    seeds = {name: np.asarray(values, float) for name, values in others.items()}
    for name, values in seeds.items():
        if values.shape != first.shape:
            raise ValueError(f"{name} must have a score a seed of the baseline, {first.size}, got {values.size}")
    columns = min(3, max(1, len(seeds)))
    limits = padded(*extent(np.concatenate([first, *seeds.values()])), share=0.08)
    left = 10 + max(text_width(text, TICK) for _, text in Scale(*limits, 0, 90).ticks(3))
    side = min(180.0, (WIDTH - left - 8 - 12 * (columns - 1)) / columns)
    lines = math.ceil(len(seeds) / columns)
    sheet = Sheet(lines * (side + 17) + 28, title)
    for index, (name, values) in enumerate(seeds.items()):
        start = left + index % columns * (side + 12)
        bottom = sheet.height - (index // columns + 1) * (side + 17)
        panel = Panel(sheet, Scale(*limits, start, start + side), Scale(*limits, bottom, bottom + side))
        ticks = panel.x.ticks(3)
        below = index + columns >= len(seeds)
        blank = [(value, "") for value, _ in ticks]
        panel.frame(x_ticks=ticks if below else blank, y_ticks=ticks if index % columns == 0 else blank)
        panel.sheet.segments([(start, bottom, start + side, bottom + side)], "soft", 0.6)
        colour = drawn[name].variable
        both = np.isfinite(first) & np.isfinite(values)
        sheet.dots(panel.x(first[both]), panel.y(values[both]), colour, 4.0, 0.65)
        x, y = (
            [panel_scale.at(v) if math.isfinite(v) else panel_scale.start + 3 for v in seeds_of[~both]]
            for panel_scale, seeds_of in ((panel.x, first), (panel.y, values))
        )
        sheet.crosses(x, y, colour, 4.5)
        sheet.text(start, bottom + side + 4, shortened(label(name), max(6, int(side / 5.7))), colour, va="baseline")
        if notes and name in notes:
            sheet.text(start + side - 3, bottom + 7, notes[name], "soft", TICK, ha="right")
    sheet.text(left, 3, f"across: {label(baseline_label)}, up: the method, a dot a seed", "soft", TICK, va="baseline")
    return sheet.figure


def landscape(
    x: Searched,
    y: Searched,
    scores: Sequence[float],
    title: str,
    *,
    default: Collection[int] = (),
    chosen: Collection[int] = (),
) -> Figure:
    """Draws over two hyperparameters, stronger when better; diverged ones (score not finite) are crosses."""
    values = check_draws([x, y], scores)
    finite = np.isfinite(values)
    sheet = Sheet(250, title)
    height = y.scale(28, 230)
    up_ticks = y.ticks(height, 6)
    left = 10 + max((text_width(text, TICK) for _, text in up_ticks), default=0.0)
    panel = Panel(sheet, x.scale(left, WIDTH - 8), height)
    panel.frame(x.label, y.label, x_ticks=x.ticks(panel.x, 7), y_ticks=up_ticks)
    across, up = panel.x(x.places), panel.y(y.places)
    order = np.argsort(values[finite], kind="stable")
    level = np.full(len(values), -1)
    level[np.flatnonzero(finite)[order]] = np.arange(len(order)) * _LEVELS // max(1, len(order))
    for step in range(_LEVELS):
        sheet.dots(across[level == step], up[level == step], "series-0", 6.0, 0.15 + 0.85 * step / (_LEVELS - 1))
    sheet.crosses(across[~finite], up[~finite], "bad")
    mark_draws(sheet, across, up, default, chosen)
    draw_key(sheet, bool(default), bool(chosen), not finite.all())
    return sheet.figure
