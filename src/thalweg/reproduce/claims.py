"""What papers claim: every number of their tables, from the data files beside each paper's module."""

from __future__ import annotations

import csv
from dataclasses import dataclass, field
from decimal import Decimal
from importlib import resources
from importlib.resources.abc import Traversable

Cell = tuple[str, str, str, str]  # table, row, column, quantity

SETTING = "fixed beforehand"  # how the note of a number begins that is no result but was given to the run


@dataclass(frozen=True)
class Claim:
    """A number as it is printed: in which table (a numeral, "S5" for the supplement's fifth, "text" for a sentence), of
    what, by which method, what it counts. `value` is None where nothing is printed; `note` says what a reader must
    know; `printed` has all digits, "3.00". Accuracies are in per cent. Of "at_most" and "at_least" it is a bound."""

    table: str
    row: str
    column: str
    quantity: str
    value: float | None
    note: str = ""
    printed: str = field(default="", compare=False)

    @property
    def cell(self) -> Cell:
        """What it is about, without the number."""
        return self.table, self.row, self.column, self.quantity

    @property
    def is_result(self) -> bool:
        """Whether there is a number that something came to: one that is a setting has nothing to reproduce."""
        return self.value is not None and not self.note.startswith(SETTING)

    @property
    def rounding(self) -> float:
        """Half a unit of the last place that is printed; 0 where that is not known."""
        exponent = Decimal(self.printed or "inf").as_tuple().exponent
        return 0.5 * 10.0**exponent if isinstance(exponent, int) else 0.0


def claims_of(paper: str) -> tuple[Claim, ...]:
    """All that a paper claims, in the order of its tables; `paper` is a room of `thalweg.reproduce`."""
    return claims_in(folder_of(paper))


def claims_in(folder: Traversable) -> tuple[Claim, ...]:
    """The claims in the files of `folder`/claims, file by file in the order of their names; none where it is absent."""
    files = folder / "claims"
    found: list[Claim] = []
    for file in sorted(files.iterdir(), key=lambda entry: entry.name) if files.is_dir() else []:
        if file.name.endswith(".csv"):
            with resources.as_file(file) as path, path.open(encoding="utf-8", newline="") as lines:
                found += [_claim(line) for line in csv.DictReader(lines)]
    return tuple(found)


def folder_of(paper: str) -> Traversable:
    """Where a paper's module and its files are."""
    return resources.files(f"thalweg.reproduce.{paper}")


def _claim(line: dict[str, str]) -> Claim:
    value = float(line["value"]) if line["value"] else None
    return Claim(line["table"], line["row"], line["column"], line["quantity"], value, line["note"], line["value"])
