"""What has to hold for a race to be believed: pairing, equal budgets, a test part read once; and what went wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from thalweg.race import statistics
from thalweg.race.record import Record
from thalweg.race.result import Place, RaceResult


@dataclass(frozen=True)
class Edge:
    """A chosen value at an edge of its range, in so many studies of a method on a task."""

    task: str
    method: str
    warning: str
    studies: int


@dataclass(frozen=True)
class Divergences:
    """How many final and tuning trials of a method diverged on a task, of how many."""

    task: str
    method: str
    final: int
    finals: int
    tuning: int
    tunings: int


@dataclass(frozen=True)
class Fairness:
    """Proved from the records, not taken from the protocol."""

    result: RaceResult

    @cached_property
    def unpaired(self) -> list[tuple[str, int]]:
        """(task, repetition) where methods differed in data, initial weights or batch order, as the hashes show."""
        return [
            (task.name, rep)
            for task in self.result.tasks
            for rep in range(self.result.protocol.seeds)
            if len({self.result.records[task.name, m.name][rep].pairing for m in self.result.methods}) > 1
        ]

    @cached_property
    def budgets(self) -> set[tuple[int, int]]:
        """(settings, tuning trials) of a method on a task: more than one where the budget was not the same for all."""
        return {
            (sum(len(s.draws) for s in studies), sum(len(d.records) for s in studies for d in s.draws))
            for studies in self.result.studies.values()
        }

    @cached_property
    def read_test_once(self) -> bool:
        """Whether no tuning trial has a test score, and each seed of a method has one final trial and no other."""
        unread = all(record.test_metric is None and record.test_loss is None for _, record in self._tuning())
        reps = [[record.rep for record in records] for records in self.result.records.values()]
        return unread and all(len(set(of_place)) == len(of_place) for of_place in reps)

    @property
    def fewest_seeds(self) -> int:
        """With fewer nothing can be called better or worse, however large a difference is."""
        return statistics.smallest_n(max(1, len(self.result.methods) - 1))

    @property
    def can_decide(self) -> bool:
        return self.result.protocol.seeds >= self.fewest_seeds

    @cached_property
    def edges(self) -> list[Edge]:
        """Where tuning chose a value at an edge of its range; the published default may lie where it likes."""
        spaces = {method.name: method.space for method in self.result.methods}
        found = Counter(
            (task, name, warning)
            for (task, name), studies in self.result.studies.items()
            for study in studies
            if study.chosen is not study.draws[0]
            for dimension in spaces[name]
            if (warning := dimension.edge_warning(study.chosen.hyperparameters))
        )
        return [Edge(*place, studies) for place, studies in found.items()]

    @cached_property
    def divergences(self) -> list[Divergences]:
        """Where any trial diverged."""
        tuning: dict[Place, list[Record]] = {}
        for place, record in self._tuning():
            tuning.setdefault(place, []).append(record)
        counted = [
            Divergences(
                *place,
                final=sum(record.diverged for record in records),
                finals=len(records),
                tuning=sum(record.diverged for record in tuning.get(place, ())),
                tunings=len(tuning.get(place, ())),
            )
            for place, records in self.result.records.items()
        ]
        return [one for one in counted if one.final or one.tuning]

    def _tuning(self) -> Iterator[tuple[Place, Record]]:
        for place, studies in self.result.studies.items():
            for study in studies:
                for draw in study.draws:
                    yield from ((place, record) for record in draw.records)
