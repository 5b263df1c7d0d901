"""What a reader must know of the cells of a table, said once: of all cells, of a row, of a column, or of one."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

from thalweg.reproduce.claims import Cell, Claim
from thalweg.reproduce.records import Measured
from thalweg.reproduce.verdicts import Verdict, is_constant

Place = tuple[str, str]  # a column and what it counts
Kind = str
CLAIMED, MEASURED, MISSING = "claimed", "measured", "missing"


@dataclass(frozen=True)
class Subject:
    """A cell with all that is known of it; `reason` says why nothing was measured, where nothing was."""

    cell: Cell
    claim: Claim | None
    measured: Measured | None
    verdict: Verdict | None
    reason: str = ""

    @property
    def row(self) -> str:
        return self.cell[1]

    @property
    def place(self) -> Place:
        return self.cell[2], self.cell[3]

    @property
    def is_claim(self) -> bool:
        """Whether a result is claimed."""
        return self.claim is not None and self.claim.is_result

    @property
    def has_numbers(self) -> bool:
        return self.measured is not None and bool(self.measured.protocol or self.measured.fair)


@dataclass(frozen=True)
class Marks:
    """Numbers of remarks: those on rows, on columns, and on cells."""

    rows: dict[str, tuple[int, ...]]
    columns: dict[Place, tuple[int, ...]]
    cells: dict[Cell, tuple[int, ...]]


class Remarks:
    """The remarks on one table: `general` ones on all cells that they can be on, as sentences, and `numbered` ones in
    the order in which they are met."""

    def __init__(self, subjects: Sequence[Subject]) -> None:
        self.numbered: list[str] = []
        self._said = {subject.cell: _remarks(subject) for subject in subjects}
        kinds: dict[Kind, list[list[str]]] = {}
        for said in self._said.values():
            for kind, texts in said.items():
                kinds.setdefault(kind, []).append(texts)
        self._of_all = [
            (kind, text)
            for kind, cells in kinds.items()
            for text in dict.fromkeys(cells[0])
            if len(cells) > 1 and all(text in texts for texts in cells)
        ]
        self.general = [
            f"{text[0].upper()}{text[1:]}." if kind == MISSING else f"All cells: {text}." for kind, text in self._of_all
        ]

    def marks(self, subjects: Sequence[Subject]) -> Marks:
        """Of a grid: what is said of a whole row or column is marked there alone."""
        rows: dict[Hashable, list[int]] = {}
        columns: dict[Hashable, list[int]] = {}
        cells: dict[Hashable, list[int]] = {}
        met = [(kind, text) for subject in subjects for kind, said in self._said[subject.cell].items() for text in said]
        for kind, text in dict.fromkeys(met):
            if (kind, text) in self._of_all:
                continue
            number = self._number(text)
            left = {s.cell for s in subjects if text in self._said[s.cell].get(kind, ())}
            for marked, key in ((rows, _row), (columns, _place), (cells, _cell)):
                for name, members in _grouped(subjects, key, kind).items():
                    if members <= left and (len(members) > 1 or key is _cell):
                        marked.setdefault(name, []).append(number)
                        left -= members
        return Marks(_tuples(rows), _tuples(columns), _tuples(cells))

    def _number(self, text: str) -> int:
        if text not in self.numbered:
            self.numbered.append(text)
        return self.numbered.index(text) + 1


def _remarks(subject: Subject) -> dict[Kind, list[str]]:
    """By what they are about: what is claimed, what was measured, or why nothing was."""
    found: dict[Kind, list[str]] = {}
    claim, measured = subject.claim, subject.measured
    if claim is not None:
        found[CLAIMED] = [claim.note] if claim.note else []
        if measured is not None and is_constant(claim, measured):
            found[CLAIMED].append("a constant answer scores that too, within the allowance")
    if measured is not None and subject.has_numbers:
        missing = measured.missing.removeprefix("not said: ")
        found[MEASURED] = [f"not said by the paper, so guessed: {missing}"] if missing else []
        found[MEASURED] += [f"run at a smaller scale than the paper's: {measured.scale}"] if measured.scale else []
    elif subject.is_claim:
        found[MISSING] = [f"not run: {(measured and measured.missing) or subject.reason}"]
    return found


def _grouped(subjects: Sequence[Subject], key: Callable[[Subject], Hashable], kind: Kind) -> dict[Hashable, set[Cell]]:
    """Cells of a row, a column, or alone; what is said of measurements is not about cells that have none."""
    found: dict[Hashable, set[Cell]] = {}
    for subject in subjects:
        if kind != MEASURED or subject.has_numbers:
            found.setdefault(key(subject), set()).add(subject.cell)
    return found


def _row(subject: Subject) -> Hashable:
    return subject.row


def _place(subject: Subject) -> Hashable:
    return subject.place


def _cell(subject: Subject) -> Hashable:
    return subject.cell


def _tuples(marks: dict) -> dict:
    return {name: tuple(numbers) for name, numbers in marks.items()}
