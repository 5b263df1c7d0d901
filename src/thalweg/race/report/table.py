"""Tables as data: the page sorts and exports them, the paper sets them."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from thalweg.race import notation

GOOD, BAD, SOFT = "good", "bad", "soft"  # how a cell is marked, beside what it says in words


@dataclass(frozen=True)
class Cell:
    """What a cell shows, and the `value` that it sorts by and that a CSV file gets (None: its text).

    The `note` is a small line below; `mark` one of GOOD, BAD, SOFT or empty; `code` is set in a fixed width, `wide`
    text is broken into lines.
    """

    text: str
    value: float | str | None = None
    note: str = ""
    mark: str = ""
    bold: bool = False
    code: bool = False
    wide: bool = False

    @property
    def exported(self) -> float | str:
        """What a CSV file gets: nothing for nan."""
        if self.value is None:
            return self.text
        return "" if self.value != self.value else self.value


@dataclass(frozen=True)
class Table:
    """A table with a name (of its file), a caption, titles of columns, and rows; the first cell of a row names it.

    `fixed` rows stay at the end however it is sorted: what is there for comparison and is no method.
    """

    name: str
    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    fixed: Sequence[Sequence[Cell]] = ()

    @property
    def numeric(self) -> list[bool]:
        """Which columns hold numbers alone, where they hold anything."""
        cells = [[row[place] for row in self.rows] for place in range(len(self.columns))]
        return [
            any(isinstance(cell.value, int | float) for cell in column)
            and all(isinstance(cell.value, int | float) or not cell.text for cell in column)
            for column in cells
        ]

    @property
    def csv(self) -> str:
        """Its content: full precision, a line a row."""
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerow(self.columns)
        writer.writerows([cell.exported for cell in row] for row in (*self.rows, *self.fixed))
        return buffer.getvalue()

    @property
    def csv_link(self) -> str:
        """The same as a link that needs no network."""
        return "data:text/csv;charset=utf-8," + quote(self.csv, safe=" ,;:/()[]=+*!'")


def number(value: float, digits: int = 3, **how: Any) -> Cell:
    """A cell with a number to significant digits."""
    return Cell(notation.number(value, digits), value, **how)


def decimal(value: float, **how: Any) -> Cell:
    """A cell with a number of known size, to two places: a correlation, an effect size."""
    return Cell(notation.fixed(value), value, **how)


def seconds(value: float, **how: Any) -> Cell:
    """A cell with a time; it sorts by, and exports, seconds."""
    return Cell(notation.seconds(value), value, **how)


def count(value: float, **how: Any) -> Cell:
    """A cell with a whole number."""
    return Cell(notation.count(value), value, **how)


def share(value: float, **how: Any) -> Cell:
    """A cell with a share of one in per cent; it exports the share."""
    return Cell(notation.share(value), value, **how)


def p_value(p: float, **how: Any) -> Cell:
    """A cell with a p value."""
    return Cell(notation.p_value(p), p, **how)
