"""A panel: two scales with their grid on a sheet, lines clipped to it, and names at the ends of lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from thalweg.race.charts.scale import Scale
from thalweg.race.charts.sheet import LABEL, TICK, WIDTH, Sheet, text_width
from thalweg.race.charts.style import Style

GAP = 11.5  # points from one label to the next
KEY = 26.0  # points of a line's end piece, which shows its dashes beside its name
MUTED = 0.35  # how much of its colour a line has that does not stand out

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Panel:
    """Two scales on a sheet, in its points."""

    sheet: Sheet
    x: Scale
    y: Scale

    def frame(
        self,
        x_label: str = "",
        y_label: str = "",
        *,
        x_ticks: Sequence[tuple[float, str]] | None = None,
        y_ticks: Sequence[tuple[float, str]] | None = None,
    ) -> None:
        """Grid lines, tick texts outside, and the labels: of x below, of y above."""
        x, y, sheet = self.x, self.y, self.sheet
        x_ticks = x.ticks(max(2, round((x.stop - x.start) / 36))) if x_ticks is None else x_ticks
        y_ticks = y.ticks(max(2, round((y.stop - y.start) / 30))) if y_ticks is None else y_ticks
        sheet.segments(
            [(float(x(v)), y.start, float(x(v)), y.stop) for v, _ in x_ticks]
            + [(x.start, float(y(v)), x.stop, float(y(v))) for v, _ in y_ticks],
            "line",
        )
        for value, text in x_ticks:
            sheet.text(float(x(value)), y.start - 10, text, "soft", TICK, ha="center", va="baseline")
        for value, text in y_ticks:
            sheet.text(x.start - 4, float(y(value)), text, "soft", TICK, ha="right")
        if x_label:
            sheet.text((x.start + x.stop) / 2, y.start - 21.5, x_label, "soft", TICK, ha="center", va="baseline")
        if y_label:
            sheet.text(2, sheet.height - 11, y_label, "soft", TICK, va="baseline")

    def curve(
        self, x: ArrayLike, y: ArrayLike, colour: str, width: float = 1.6, dashes: int = 0, alpha: float = 1.0
    ) -> None:
        """A line through values, clipped to the panel; a single value is a dot."""
        across, up = np.where(np.isfinite(x), self.x(x), np.nan), self.y(y)
        if (np.isfinite(across) & np.isfinite(up)).sum() == 1:
            seen = self.y.holds(y)
            self.sheet.dots(across[seen], up[seen], colour, max(3.0, 2 * width), alpha)
            return
        across, up = clipped(across, up, self.y.start, self.y.stop)
        if across.size:
            self.sheet.line(across, up, colour, width, dashes, alpha)

    def band(self, x: ArrayLike, low: ArrayLike, high: ArrayLike, colour: str, alpha: float = 0.12) -> None:
        """The area between two lines, clipped to the panel, where both are numbers."""
        across = np.where(np.isfinite(x), self.x(x), np.nan)
        down, up = (np.clip(self.y(edge), self.y.start, self.y.stop) for edge in (low, high))
        kept = np.isfinite(across) & np.isfinite(down) & np.isfinite(up)
        if kept.sum() > 1:
            self.sheet.area(across[kept], down[kept], up[kept], colour, alpha)

    def ends(
        self,
        ends: dict[str, tuple[float, float]],
        texts: Mapping[str, str],
        drawn: Mapping[str, Style],
        pale: frozenset[str] = frozenset(),
    ) -> None:
        """Writes texts to the right of the panel, at the heights of lines' ends (points), moved until none overlap; of
        equal ends the first is above."""
        names = sorted(reversed(ends), key=lambda name: ends[name][1])
        span = self.y.stop - self.y.start
        heights = spread([(ends[name][1] - self.y.start) / span for name in names], GAP / span)
        right = self.x.stop
        for name, share in zip(names, heights, strict=True):
            height = self.y.start + share * span
            style, alpha = drawn[name], MUTED if name in pale else 1.0
            if ends[name][0] < right - 1:
                self.sheet.line([ends[name][0], right], [ends[name][1]] * 2, style.variable, 0.6, 2, 0.5)
            self.sheet.line(
                [right, right + 3, right + 9, right + KEY],
                [ends[name][1], ends[name][1], height, height],
                style.variable,
                0.9 if name in pale else 1.6,
                style.dashes,
                alpha,
            )
            self.sheet.text(right + KEY + 4, height, texts[name], "soft" if name in pale else style.variable)


def line_panel(
    title: str,
    x: tuple[float, float],
    y: tuple[float, float],
    texts: Sequence[str],
    *,
    log_x: bool = False,
    log_y: bool = False,
    whole_x: bool = False,
    x_label: str = "",
    y_label: str = "",
    above: float = 0.0,
) -> Panel:
    """A panel for lines whose ends are labelled with `texts`, with room for them, on a new sheet. `above` points are
    left over it for marks."""
    bottom = 13.0 + (12.5 if x_label else 0.0)
    height = max(190.0, GAP * (len(texts) - 1))
    top = bottom + height
    sheet = Sheet(top + above + (18.0 if y_label else 8.0), title)
    scale_y = Scale(*y, bottom, top, log_y)
    ticks = scale_y.ticks(round(height / 30))
    left = 7.0 + max((text_width(text, TICK) for _, text in ticks), default=0.0)
    right = WIDTH - KEY - 6.0 - max((text_width(text, LABEL) for text in texts), default=0.0)
    panel = Panel(sheet, Scale(*x, left, right, log_x, whole_x), scale_y)
    panel.frame(x_label, y_label, y_ticks=ticks)
    return panel


def clipped(x: Floats, y: Floats, low: float, high: float) -> tuple[Floats, Floats]:
    """A line clipped to heights from low to high, with NaN where it leaves them."""
    if not x.size or (np.isfinite(x).all() and ((y >= low) & (y <= high)).all()):
        return x, y
    points: list[tuple[float, float]] = []
    for x0, y0, x1, y1 in zip(x[:-1].tolist(), y[:-1].tolist(), x[1:].tolist(), y[1:].tolist(), strict=True):
        if not np.isfinite([x0, y0, x1, y1]).all():
            continue
        if y0 == y1:
            first, last = (0.0, 1.0) if low <= y0 <= high else (1.0, 0.0)
        else:
            crossings = sorted(((low - y0) / (y1 - y0), (high - y0) / (y1 - y0)))
            first, last = max(0.0, crossings[0]), min(1.0, crossings[1])
        if first > last:
            continue
        start = (x0 + first * (x1 - x0), y0 + first * (y1 - y0))
        if points and points[-1] != start:
            points.append((np.nan, np.nan))
        if not points or points[-1] != start:
            points.append(start)
        points.append((x0 + last * (x1 - x0), y0 + last * (y1 - y0)))
    out = np.array(points, float).reshape(-1, 2)
    return out[:, 0], out[:, 1]


def thinned(length: int, most: int) -> NDArray[np.intp]:
    """Indices of at most `most` points of a line, evenly spaced, the first and the last among them."""
    return np.unique(np.round(np.linspace(0, length - 1, min(length, most))).astype(np.intp))


def stairs(x: ArrayLike, y: ArrayLike) -> tuple[Floats, Floats]:
    """The corners of a line that keeps each value until the next x; what changes nothing is left out."""
    x, y = np.asarray(x, float), np.asarray(y, float)
    corners_x, corners_y = np.repeat(x, 2)[1:], np.repeat(y, 2)[:-1]
    same = (corners_y[1:-1] == corners_y[:-2]) & (corners_y[1:-1] == corners_y[2:])
    kept = np.concatenate([[True], ~same, [True]]) if corners_x.size > 1 else np.ones(corners_x.size, bool)
    return corners_x[kept], corners_y[kept]


def spread(heights: Sequence[float], gap: float) -> list[float]:
    """Ascending heights within 0 to 1, moved as little as can be until neighbours are `gap` apart; evenly if too many.

    It is an isotonic regression (least squares, by pooling adjacent violators) of the heights less their due gaps.
    """
    gap = min(gap, 1 / max(1, len(heights) - 1))
    pools: list[tuple[float, int]] = []
    for index, height in enumerate(heights):
        pools.append((height - index * gap, 1))
        while len(pools) > 1 and pools[-2][0] >= pools[-1][0]:
            (mean, count), (other, others) = pools.pop(), pools.pop()
            pools.append(((mean * count + other * others) / (count + others), count + others))
    levels = [mean for mean, count in pools for _ in range(count)]
    room = 1 - gap * (len(levels) - 1)
    return [min(max(level, 0.0), room) + index * gap for index, level in enumerate(levels)]
