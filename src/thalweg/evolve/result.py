"""`Result`: what an evolution found, and what it is worth."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from thalweg.evolve.evaluation import FULL
from thalweg.evolve.finals import Finalist
from thalweg.evolve.judgement.report import EvolutionReport, text_summary
from thalweg.evolve.judgement.retest import Retest
from thalweg.evolve.search import Row, Search
from thalweg.evolve.store import REPORT, WINNER
from thalweg.rules import Rule


@dataclass(frozen=True)
class Point:
    """A candidate that none is both smaller and better than: its size, its mean score in the search, and its rule."""

    size: int
    score: float
    rule: Rule


@dataclass(frozen=True)
class Result:
    """What `evolve` returns.

    Attributes:
        best: the winner as one would write it, named "evolved".
        score: its mean on fresh seeds that had no part in choosing it, with intervals.
        finalists: the best candidates with their scores on fresh seeds, the winner first.
        front: what is gained by size: `Point`s, the smallest first.
        history: what each batch came to.
        counts: what became of the candidates.
        page: all that the report shows.
        folder: the store.
    """

    best: Rule
    score: Retest
    finalists: tuple[Finalist, ...]
    front: tuple[Point, ...]
    history: tuple[Row, ...]
    counts: dict[str, float]
    page: EvolutionReport
    folder: Path

    @property
    def optimizer(self) -> Path:
        """The file of the winner, a `torch.optim.Optimizer` that needs torch alone."""
        return self.folder / WINNER

    def report(self) -> Path:
        """The report: a page that needs no network."""
        return self.folder / REPORT

    def summary(self) -> str:
        """The result in a few lines."""
        return text_summary(self.page)


def front(search: Search) -> tuple[Point, ...]:
    """Of all candidates that were ever trained on as many seeds as a first evaluation may have, those that none is both
    smaller and better than. Their scores are means over at least so many seeds."""
    entries = search.archive.ranked(FULL, least_scores=search.settings.trials * len(search.tasks))
    standing = search.standings.of({entry.id: entry.scores for entry in entries})
    full = len(search.settings.rungs) + 1
    able = [entry for entry in entries if standing[entry.id].stage >= full]
    points: list[Point] = []
    highest = float("-inf")
    for entry in sorted(able, key=lambda entry: (entry.size, -standing[entry.id].value, entry.id)):
        if standing[entry.id].value > highest:
            highest = standing[entry.id].value
            points.append(Point(entry.size, standing[entry.id].mean, entry.rule))
    return tuple(points)
