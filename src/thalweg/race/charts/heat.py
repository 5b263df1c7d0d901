"""Heat maps: tasks by methods, probability of improvement, one hyperparameter by another."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from thalweg.race.charts.scale import extent, number
from thalweg.race.charts.sheet import TICK, WIDTH, Sheet, label, text_width

_STRONGEST = 0.6  # of a colour: text must be readable on it, on light and on dark
_STEPS = 12  # kinds of a colour, so that equal cells are one path
_CELL = 20.0  # points: what a cell is high, and at most 2.5 times as wide
_NARROWEST = 12.0  # points: with more columns than that allows the sheet is wider
_ANGLE = 60.0  # degrees at which column names rise
_COS, _SIN = math.cos(math.radians(_ANGLE)), math.sin(math.radians(_ANGLE))


def heat_map(
    values: NDArray[np.float64] | Sequence[Sequence[float]],
    rows: Sequence[str],
    columns: Sequence[str],
    title: str,
    *,
    texts: Sequence[Sequence[str]] | None = None,
    diverging: bool = False,
    centre: float = 0.0,
    limit: float | None = None,
    row_label: str = "",
    column_label: str = "",
) -> Figure:
    """Cells coloured by their values, of shape (rows, columns), with `texts` in them (short: 5 characters).

    `diverging`: good above `centre` and bad below, full colour at a distance of `limit` (None: the 90th percentile of
    all distances), for differences, and for probabilities around 50 %. Otherwise paler to stronger from the lowest
    value to the highest. NaN is an empty cell with a dash; infinite values have the full colour.
    Raises ValueError when shapes disagree.
    """
    values = np.asarray(values, float)
    if values.shape != (len(rows), len(columns)):
        raise ValueError(f"values must have shape {(len(rows), len(columns))} (rows, columns), got {values.shape}")
    if texts is not None and [len(row) for row in texts] != [len(columns)] * len(rows):
        raise ValueError(f"texts must have the shape of values, {values.shape}, got {[len(row) for row in texts]}")
    row_names, column_names = [label(name) for name in rows], [label(name) for name in columns]
    left = 8.0 + max((text_width(name) for name in [*row_names, row_label]), default=0.0)
    widths = [text_width(name) for name in column_names]
    flat = all(width <= 22 for width in widths)
    rise = 0.0 if flat else _SIN * max(widths, default=0.0)
    cells = [2.5 * _CELL, (WIDTH - left - 2) / max(1, len(columns))]
    # No column's name is to leave the sheet.
    cells += [] if flat else [(WIDTH - left - 4 - _COS * length) / (i + 0.5) for i, length in enumerate(widths)]
    cell = max(min(cells), _NARROWEST)
    width = max(WIDTH, WIDTH + (cell - min(cells)) * len(columns))
    bottom = 17.0
    top = bottom + _CELL * len(rows)
    sheet = Sheet(top + 6 + (12 if flat else rise + 8) + (12 if column_label else 0), title, width)
    colours = ("bad", "good") if diverging else ("series-0", "series-0")
    grid = [[(left + cell * j, top - _CELL * (i + 1)) for j in range(len(columns))] for i in range(len(rows))]
    _paint(sheet, _shades(values, diverging, centre, limit), grid, cell, _CELL, colours)
    for index, name in enumerate(row_names):
        sheet.text(left - 5, top - _CELL * (index + 0.5), name, ha="right")
    for index, name in enumerate(column_names):
        middle = left + cell * (index + 0.5)
        sheet.text(
            middle, top + 6, name, ha="center" if flat else "left", va="baseline", rotation=0 if flat else _ANGLE
        )
    if column_label:
        sheet.text(left, sheet.height - 9, column_label, "soft", TICK, va="baseline")
    if row_label:
        sheet.text(left - 5, top + 6, row_label, "soft", TICK, ha="right", va="baseline")
    written = [[("–" if math.isnan(v) else "") for v in row] for row in values] if texts is None else texts
    lengths = [text_width(text, 1.0) for line in written for text in line if text]
    common = min(TICK, (cell - 1) / float(np.quantile(lengths, 0.9, method="lower"))) if lengths else TICK
    for i, line in enumerate(written):
        for j, text in enumerate(line):
            size = min(common, (cell - 1) / text_width(text, 1.0)) if text else 0.0
            if size >= 4.5:  # smaller letters nobody reads; the page has a table
                x, y = left + cell * (j + 0.5), top - _CELL * (i + 0.5)
                sheet.text(x, y, text, "soft" if math.isnan(values[i, j]) else "fg", size, ha="center")
    if np.isfinite(values).any():
        reach = _reach(values, centre, limit)
        ends = (centre - reach, centre + reach) if diverging else extent(values)
        low, high = (number(float(f"{end:.3g}")) for end in ends)
        start = left + text_width(low, TICK) + 4
        sheet.text(left, 5, low, "soft", TICK)
        shades = np.linspace(-1 if diverging else 0, 1, 9)[None]
        _paint(sheet, shades, [[(start + 9 * j, 1.0) for j in range(9)]], 9, 9, colours)
        sheet.text(start + 9 * 9 + 4, 5, high, "soft", TICK)
    return sheet.figure


def _shades(values: NDArray[np.float64], diverging: bool, centre: float, limit: float | None) -> NDArray[np.float64]:
    """How strong each cell is, from -1 to 1 if diverging and from 0 to 1 if not; NaN stays."""
    if diverging:
        return np.clip((values - centre) / _reach(values, centre, limit), -1, 1)
    low, high = extent(values)
    room = high - low if high > low else 1.0
    return np.clip((values - (low if math.isfinite(low) else 0.0)) / room, 0, 1)


def _reach(values: NDArray[np.float64], centre: float, limit: float | None) -> float:
    distances = np.abs(values[np.isfinite(values)] - centre)
    reach = limit if limit is not None else float(np.quantile(distances, 0.9)) if distances.size else 1.0
    return reach if reach > 0 else 1.0


def _paint(
    sheet: Sheet,
    shades: NDArray[np.float64],
    corners: Sequence[Sequence[tuple[float, float]]],
    width: float,
    height: float,
    colours: tuple[str, str],
) -> None:
    """Cells from their lower left corners, those of one shade as one path, on the colour of panels."""
    steps = np.round(shades * _STEPS)
    boxes = {
        (i, j): (x + 0.5, y + 0.5, x + width - 0.5, y + height - 0.5)
        for i, row in enumerate(corners)
        for j, (x, y) in enumerate(row)
        if not math.isnan(steps[i, j])
    }
    sheet.boxes(list(boxes.values()), "panel")
    for step in np.unique(steps[~np.isnan(steps) & (steps != 0)]):
        alpha = round(_STRONGEST * abs(float(step)) / _STEPS, 3)
        sheet.boxes([box for place, box in boxes.items() if steps[place] == step], colours[int(step > 0)], alpha)
