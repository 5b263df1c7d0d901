"""What was measured for claimed numbers, as one JSON file that a page and its verdicts are made of."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from thalweg.files import write_atomically
from thalweg.reproduce.claims import Cell

SCHEMA = 1
DIGITS = 6  # that a measured number is kept to: more than any table prints
EXACT = 2.0**53  # whole numbers below it are kept whole: what is counted is printed to the last digit


@dataclass(frozen=True)
class Measured:
    """What was measured for one claimed cell.

    `protocol`: by the paper's own protocol, one number a seed. `fair`: by the fair one, one number a seed, the same
    seeds for all columns of a row. `constant`: what an answer scores that does not look at the input. `missing`: what
    the paper does not say and had to be guessed. `scale`: what was made smaller than the paper's, "" for nothing.
    """

    table: str
    row: str
    column: str
    quantity: str
    protocol: tuple[float, ...] = ()
    fair: tuple[float, ...] = ()
    constant: float | None = None
    missing: str = ""
    scale: str = ""

    @property
    def cell(self) -> Cell:
        """The claim that it is held against."""
        return self.table, self.row, self.column, self.quantity


@dataclass(frozen=True)
class Records:
    """All that was measured for a paper: `measured` cells; `figures`, plain numbers that its pictures are drawn of;
    and `settings`, with what it was run: seeds, epochs, and in "parts" the seconds, versions and machine of each."""

    paper: str
    measured: tuple[Measured, ...]
    figures: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)

    def of(self, cell: Cell) -> Measured | None:
        """What was measured for a claim; None for nothing."""
        return self._by_cell.get(cell)

    def joined(self, others: Iterable[Records]) -> Records:
        """With those of other parts of the same paper; what is measured anew replaces what is there. Settings that are
        mappings are joined name by name."""
        cells, figures, settings = dict(self._by_cell), dict(self.figures), dict(self.settings)
        for one in others:
            cells |= one._by_cell
            figures |= one.figures
            for name, value in one.settings.items():
                before = settings.get(name)
                if isinstance(before, Mapping) and isinstance(value, Mapping):
                    value = {**before, **value}
                settings[name] = value
        return Records(self.paper, tuple(cells.values()), figures, settings)

    def write(self, path: Path) -> None:
        """As a file, a cell a line, in Python's JSON, which has infinity. Raises OSError."""
        write_atomically(path, self.to_json())

    def to_json(self) -> str:
        """What `write` writes: numbers to 6 digits, those of NumPy too, and counts to the last."""
        cells = ",\n".join(json.dumps(_compact(asdict(one)), default=float) for one in self.measured)
        top = {"schema": SCHEMA, "paper": self.paper, "settings": dict(self.settings)}
        head = json.dumps(top, indent=1, default=str)
        figures = json.dumps(_rounded(dict(self.figures)), default=float)
        return f'{head[:-2]},\n"figures": {figures},\n"measured": [\n{cells}\n]}}\n'

    @classmethod
    def read(cls, text: str) -> Records:
        """From what `write` wrote. Raises ValueError where the text is something else."""
        try:
            fields = json.loads(text)
            if fields["schema"] != SCHEMA:
                raise ValueError(f"schema must be {SCHEMA}, got {fields['schema']}")
            measured = tuple(_measured(one) for one in fields["measured"])
            return cls(str(fields["paper"]), measured, dict(fields["figures"]), dict(fields["settings"]))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"the records of a reproduction are damaged: {error}") from error

    @cached_property
    def _by_cell(self) -> dict[Cell, Measured]:
        return {one.cell: one for one in self.measured}


def _measured(fields: Mapping[str, Any]) -> Measured:
    numbers = {name: tuple(map(float, value)) for name, value in fields.items() if isinstance(value, list)}
    return Measured(**{**fields, **numbers})


def _compact(fields: dict[str, Any]) -> dict[str, Any]:
    """Without what is empty, but for the cell's own name."""
    named = {"table", "row", "column", "quantity"}
    return {name: _rounded(value) for name, value in fields.items() if name in named or value not in ((), None, "")}


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        is_count = value.is_integer() and abs(value) < EXACT
        return value if is_count else float(f"{value:.{DIGITS}g}")
    if isinstance(value, dict):
        return {name: _rounded(one) for name, one in value.items()}
    return [_rounded(one) for one in value] if isinstance(value, list | tuple) else value
