"""The figures of a race, as its table and its report show them."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from statistics import median

import numpy as np

from thalweg.race import statistics
from thalweg.race.races import RaceResult
from thalweg.race.statistics import Comparison, Scores


@dataclass(frozen=True)
class Score:
    """Mean and standard deviation (nan for one seed) of the test accuracy, with the verdict against the best."""

    mean: float
    sd: float
    verdict: str


@dataclass(frozen=True)
class Row:
    """A method: its score by task, its mean rank over the tasks, and the seconds to train once on every task."""

    method: str
    scores: Mapping[str, Score]
    rank: float
    seconds: float


@dataclass(frozen=True)
class Ablation:
    """A method against a plain one that it reduces to, on one task."""

    task: str
    method: str
    plain: str
    comparison: Comparison


@dataclass(frozen=True)
class Summary:
    """What a race says. Every figure is read from its records."""

    result: RaceResult

    @cached_property
    def rows(self) -> list[Row]:
        """A row a method, the lowest mean rank first."""
        by_task = {task.name: self._scores_on(task.name) for task in self.result.tasks}
        ranks = statistics.mean_ranks([{m: s.mean for m, s in scores.items()} for scores in by_task.values()])
        rows = [
            Row(name, {task: scores[name] for task, scores in by_task.items()}, ranks[name], self._seconds(name))
            for name in ranks
        ]
        return sorted(rows, key=lambda row: row.rank)

    @cached_property
    def constant(self) -> dict[str, Score]:
        """By task, the test accuracy of always answering with the most frequent class."""
        first = self.result.methods[0].name
        values = {t.name: [r.constant_accuracy for r in self.result.records[t.name, first]] for t in self.result.tasks}
        return {task: _score(np.array(v, dtype=float), "") for task, v in values.items()}

    @cached_property
    def ablations(self) -> list[Ablation]:
        """Every method of the race against each of its ablations in the race, on each task; one family for Holm."""
        raced = {method.name for method in self.result.methods}
        places = [
            (task.name, method.name, plain)
            for method in self.result.methods
            for plain in method.ablations
            if plain in raced
            for task in self.result.tasks
        ]
        compared = statistics.compare([(self.accuracies(t, m), self.accuracies(t, plain)) for t, m, plain in places])
        return [Ablation(*place, comparison) for place, comparison in zip(places, compared, strict=True)]

    @cached_property
    def paired(self) -> bool:
        """Whether every method had the same data, initial weights and batch order as the others, seed by seed."""
        return all(
            len({self.result.records[task.name, m.name][index].pairing for m in self.result.methods}) == 1
            for task in self.result.tasks
            for index in range(self.result.protocol.seeds)
        )

    @cached_property
    def equal_budget(self) -> bool:
        """Whether every method had the same number of tuning trials on every task."""
        return len({sum(len(draw.records) for draw in study.draws) for study in self.result.studies.values()}) == 1

    @cached_property
    def edges(self) -> list[tuple[str, str, str]]:
        """(task, method, warning) where the chosen value of a hyperparameter lies at an edge of its space."""
        return [
            (task.name, method.name, warning)
            for method in self.result.methods
            for task in self.result.tasks
            for dimension in method.space
            if (warning := dimension.edge_warning(self.result.studies[task.name, method.name].chosen.hyperparameters))
        ]

    @cached_property
    def divergences(self) -> list[tuple[str, str, int, int]]:
        """(task, method, final trials, tuning trials) where any diverged."""
        counts = [
            (task, method, sum(r.diverged for r in records), self._diverged_in_tuning(task, method))
            for (task, method), records in self.result.records.items()
        ]
        return [count for count in counts if count[2] or count[3]]

    @property
    def can_decide(self) -> bool:
        """Whether any verdict but "undecided" is possible with so few seeds and so many methods."""
        others = max(1, len(self.result.methods) - 1)
        return statistics.smallest_p(self.result.protocol.seeds, others) < statistics.LEVEL

    def accuracies(self, task: str, method: str) -> Scores:
        """The test accuracies, of shape (seeds,)."""
        return np.array([record.test_accuracy for record in self.result.records[task, method]], dtype=float)

    def _scores_on(self, task: str) -> dict[str, Score]:
        scores = {method.name: self.accuracies(task, method.name) for method in self.result.methods}
        verdicts = statistics.verdicts_against_best(scores)
        return {name: _score(scores[name], verdicts[name]) for name in scores}

    def _seconds(self, method: str) -> float:
        return sum(median(r.seconds for r in self.result.records[t.name, method]) for t in self.result.tasks)

    def _diverged_in_tuning(self, task: str, method: str) -> int:
        return sum(record.diverged for draw in self.result.studies[task, method].draws for record in draw.records)


def _score(values: Scores, verdict: str) -> Score:
    return Score(float(values.mean()), float(values.std(ddof=1)) if len(values) > 1 else float("nan"), verdict)
