"""What a paper says in words, each sentence with a rule by which it is judged, and what is to be said of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from thalweg.names import shown
from thalweg.race.report.table import BAD, GOOD, SOFT, Cell, Table

HOLDS, PARTLY, FAILS, UNDECIDED, NOT_MEASURED = "holds", "holds in part", "does not hold", "undecided", "not measured"
VERDICTS = (HOLDS, PARTLY, FAILS, UNDECIDED, NOT_MEASURED)
MARKS = {HOLDS: GOOD, FAILS: BAD}

E = TypeVar("E")  # a paper's evidence: what its records say, put so that statements can be held against it


@dataclass(frozen=True)
class Judgement:
    """A verdict, and the measured numbers that it rests on, in words."""

    verdict: str
    because: str


Judge = Callable[[E], Judgement | None]  # None where the part that it needs was not run


@dataclass(frozen=True)
class Statement(Generic[E]):
    """A sentence of a paper, where it stands, the rule by which it is judged, and that rule as a function."""

    name: str
    section: str
    quote: str
    rule: str
    judge: Judge[E]

    def judged(self, evidence: E) -> Judgement:
        """What is to be said of it."""
        return self.judge(evidence) or Judgement(NOT_MEASURED, "the part that it needs was not run")


@dataclass(frozen=True)
class Judged:
    """A statement, and what is to be said of it."""

    statement: Statement[Any]
    judgement: Judgement


def all_judged(statements: Sequence[Statement[E]], evidence: E) -> list[Judged]:
    """What is to be said of each, in their order."""
    return [Judged(statement, statement.judged(evidence)) for statement in statements]


def statement_table(judged: Sequence[Judged], caption: str, source: str = "the paper") -> Table:
    """A statement a line: what `source` says, by what rule it is judged, the verdict, and what was measured."""
    rows = [
        [
            Cell(one.statement.name, note=f"section {one.statement.section}"),
            Cell(f"“{one.statement.quote}”", wide=True),
            Cell(one.statement.rule, wide=True),
            verdict_cell(one.judgement.verdict),
            Cell(one.judgement.because, wide=True),
        ]
        for one in judged
    ]
    return Table("statements", caption, ["", source, "holds where", "verdict", "measured"], rows)


def verdict_cell(verdict: str) -> Cell:
    """A verdict in its colour."""
    return Cell(verdict, mark=MARKS.get(verdict, SOFT))


def listed(values: Mapping[str, float]) -> str:
    """Numbers by name, as a judgement says them."""
    return ", ".join(f"{shown(name)} {_signed(value)}" for name, value in values.items())


def _signed(value: float) -> str:
    return f"{value:.2f}".replace("-", "−")
