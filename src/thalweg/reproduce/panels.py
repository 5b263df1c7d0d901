"""Small panels side by side on one sheet, with one key for the lines of all of them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from thalweg.race.charts import Style
from thalweg.race.charts.sheet import TICK, WIDTH, Sheet, text_width

Lines = Mapping[str, tuple[str, Style]]  # by name what a line is called, and how it is drawn

ABOVE, BELOW, BETWEEN = 15.0, 14.0, 29.0  # points around a small panel: for its name, its ticks, and its y ticks


def small_panels(
    title: str, count: int, columns: int, height: float
) -> tuple[Sheet, Iterator[tuple[float, float, float, float]]]:
    """A sheet with room for small panels and a key, and where they are: left, right, bottom and top of each."""
    rows, across = math.ceil(count / columns), WIDTH / columns
    sheet = Sheet(rows * (height + ABOVE + BELOW) + 17, title)

    def places() -> Iterator[tuple[float, float, float, float]]:
        for index in range(count):
            left = index % columns * across + BETWEEN
            bottom = sheet.height - (index // columns + 1) * (height + ABOVE + BELOW) + BELOW
            yield left, left + across - BETWEEN - 7, bottom, bottom + height

    return sheet, places()


def key(sheet: Sheet, lines: Lines) -> None:
    """What the lines of small panels are, along the lower edge."""
    x = 2.0
    for text, style in lines.values():
        sheet.line([x, x + 16], [6, 6], style.variable, 1.6, style.dashes)
        sheet.text(x + 19, 6, text, style.variable, TICK)
        x += 19 + text_width(text, TICK) + 8
