"""Published tables as a reader wants them: rows and columns of cells, each with what is claimed, what was measured, and
the verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from thalweg.names import shown
from thalweg.race.notation import listed
from thalweg.reproduce import notation
from thalweg.reproduce.claims import Cell, Claim
from thalweg.reproduce.paper import Paper
from thalweg.reproduce.records import Records
from thalweg.reproduce.remarks import Marks, Place, Remarks, Subject
from thalweg.reproduce.summary import tables_of, title_of
from thalweg.reproduce.verdicts import Verdict

WIDEST = 9  # columns side by side; quantities that would be more stand below one another
WORDS = {"accuracy_sd": "sd of accuracy"}  # of quantities whose names are not what a reader would write


@dataclass(frozen=True)
class Shown:
    """A cell as text. `ours` and `fair` are empty where nothing was measured, `verdict` is None where no number is
    claimed; `marks` are the numbers of its remarks, `value` is the number claimed."""

    cell: Cell
    claimed: str
    ours: str
    fair: str
    verdict: Verdict | None
    marks: tuple[int, ...]
    value: float | None


@dataclass(frozen=True)
class Grid:
    """Quantities of a published table whose columns fit side by side. `constants` are the scores of a constant answer,
    by row and quantity; `seeds` says of how many numbers the means are."""

    quantities: tuple[str, ...]
    rows: tuple[str, ...]
    columns: tuple[Place, ...]
    cells: Mapping[tuple[str, Place], Shown]
    constants: Mapping[tuple[str, str], str]
    marks: Marks
    seeds: str
    has_claims: bool
    has_ours: bool
    has_fair: bool

    @property
    def with_constants(self) -> list[str]:
        """The quantities that a constant answer has a score in."""
        return [quantity for quantity in self.quantities if any(of == quantity for _, of in self.constants)]

    @property
    def caption(self) -> str:
        """What it counts."""
        return listed([in_words(quantity) for quantity in self.quantities])

    def title(self, place: Place) -> tuple[str, str]:
        """A column's name, and what it counts where the grid has several quantities."""
        return shown(place[0]), in_words(place[1]) if len(self.quantities) > 1 else ""


@dataclass(frozen=True)
class Published:
    """A published table: its grids, its numbered remarks, and those on all cells."""

    name: str
    title: str
    about: str
    grids: tuple[Grid, ...]
    remarks: tuple[str, ...]
    general: tuple[str, ...]


def published(paper: Paper, records: Records) -> list[Published]:
    """All tables of a paper; what was measured without a claim stands in them too."""
    words = paper.verdicts(records)
    claims = {claim.cell: claim for claim in paper.claims}
    cells = dict.fromkeys([*claims, *(one.cell for one in records.measured)])
    found = []
    for table in tables_of(paper, records):
        reason = _reason(paper, records, table)
        of_table = [
            Subject(cell, claims.get(cell), records.of(cell), words.get(cell), reason)
            for cell in cells
            if cell[0] == table
        ]
        found.append(_table(table, paper.about.get(table, ""), of_table))
    return found


def in_words(quantity: str) -> str:
    """What is counted, as a reader writes it."""
    return WORDS.get(quantity, quantity.replace("_", " "))


def _table(table: str, about: str, subjects: list[Subject]) -> Published:
    remarks = Remarks(subjects)
    columns: dict[str, set[str]] = {}
    for subject in subjects:
        column, quantity = subject.place
        columns.setdefault(quantity, set()).add(column)
    groups: list[list[str]] = []
    for quantity in columns:
        if groups and sum(len(columns[one]) for one in (*groups[-1], quantity)) <= WIDEST:
            groups[-1].append(quantity)
        else:
            groups.append([quantity])
    grids = tuple(_grid(tuple(group), [s for s in subjects if s.place[1] in group], remarks) for group in groups)
    return Published(table, title_of(table), about, grids, tuple(remarks.numbered), tuple(remarks.general))


def _grid(quantities: tuple[str, ...], subjects: list[Subject], remarks: Remarks) -> Grid:
    marks = remarks.marks(subjects)
    ours = _commonest(len(subject.measured.protocol) for subject in subjects if subject.measured)
    fair = _commonest(len(subject.measured.fair) for subject in subjects if subject.measured)
    ways = [f"{ours} by the paper's protocol"] if ours else []
    ways += [f"{fair} by the fair {'one' if ours else 'protocol'}"] if fair else []
    return Grid(
        quantities,
        tuple(dict.fromkeys(subject.row for subject in subjects)),
        tuple(dict.fromkeys(subject.place for subject in subjects)),
        {(s.row, s.place): _shown(s, ours, fair, marks.cells.get(s.cell, ())) for s in subjects},
        _constants(subjects),
        marks,
        f"n = {listed(ways)}" if ways else "",
        any(subject.claim for subject in subjects),
        ours > 0,
        fair > 0,
    )


def _shown(subject: Subject, ours: int, fair: int, marks: tuple[int, ...]) -> Shown:
    claim, measured = subject.claim, subject.measured
    return Shown(
        subject.cell,
        notation.claimed(claim),
        _counted(measured.protocol if measured else (), ours, claim),
        _counted(measured.fair if measured else (), fair, claim),
        subject.verdict if subject.is_claim else None,
        marks,
        claim.value if claim else None,
    )


def _counted(values: tuple[float, ...], usual: int, claim: Claim | None) -> str:
    """Mean and standard deviation, and of how many where that is not as for most."""
    if not values:
        return ""
    return notation.measured(values, claim) + ("" if len(values) == usual else f" (n = {len(values)})")


def _commonest(numbers: Iterable[int]) -> int:
    counted = Counter(number for number in numbers if number)
    return counted.most_common(1)[0][0] if counted else 0


def _constants(subjects: list[Subject]) -> dict[tuple[str, str], str]:
    """By row and quantity; where columns have different ones, from the least to the largest."""
    found: dict[tuple[str, str], dict[float, str]] = {}
    for subject in subjects:
        if subject.measured and subject.measured.constant is not None:
            value = subject.measured.constant
            of_row = found.setdefault((subject.row, subject.place[1]), {})
            of_row.setdefault(value, notation.measured((value,), subject.claim))
    return {key: " to ".join(dict.fromkeys((of[min(of)], of[max(of)]))) for key, of in found.items()}


def _reason(paper: Paper, records: Records, table: str) -> str:
    """Why claims of a table that have no measurement have none."""
    part, runs = paper.part_of(table), records.settings.get("parts", {})
    if part is None:
        return "no part measures it"
    left = records.settings.get("not_run", {}).get(part.name)
    if left:
        return str(left)
    if not all(one.name in runs for one in paper.parts):
        return "no part that was run measures it"
    return "the quick run leaves it out" if runs[part.name].get("scale") == "quick" else "the run left it out"
