"""What a race says: verdicts, scores and sentences, all read from its records."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from thalweg.race import statistics
from thalweg.race.fairness import Fairness
from thalweg.race.result import MethodInfo, Place, RaceResult, TaskInfo
from thalweg.race.statistics import AcrossTasks, Comparison

Scores = NDArray[np.float64]
VERDICTS = ("better", "equivalent", "undecided", "worse")


@dataclass(frozen=True)
class Verdict:
    """A method against the baseline on a task, by the test metric of the last epoch's weights, paired by seed.

    `difference` is method minus baseline with its 95 % interval `low` to `high`, `p` after Holm over the methods of the
    task. An undecided one says how many seeds would decide (`needed`; None: no number would).
    """

    task: str
    method: str
    baseline: str
    verdict: str
    difference: float
    low: float
    high: float
    p: float
    margin: float
    probability: float
    seeds: int
    needed: int | None


@dataclass(frozen=True)
class Best:
    """The method of highest mean on a task, the next, and what the two say: `bold` unless they are equivalent."""

    method: str
    next: str | None
    comparison: Comparison | None

    @property
    def bold(self) -> bool:
        return self.comparison is not None and self.comparison.verdict != "equivalent"


@dataclass(frozen=True)
class Ablation:
    """A published method against a plain one that it reduces to, on one task."""

    task: str
    method: str
    plain: str
    comparison: Comparison


class Summary:
    """The figures that a race's table, report, and paper share. Each is worked out once, when first asked for."""

    def __init__(self, result: RaceResult) -> None:
        self.result = result
        self.tasks: dict[str, TaskInfo] = {task.name: task for task in result.tasks}
        self.methods: dict[str, MethodInfo] = {method.name: method for method in result.methods}
        named = result.protocol.baseline.replace("-", "_")
        self.baseline = named if named in self.methods else result.methods[0].name

    @cached_property
    def fairness(self) -> Fairness:
        """What has to hold for verdicts to mean something."""
        return Fairness(self.result)

    @property
    def others(self) -> list[str]:
        """All methods but the baseline, in the order of the race."""
        return [name for name in self.methods if name != self.baseline]

    @property
    def has_finals(self) -> bool:
        """Whether any final trial was run: a race of 0 seeds has tuned alone."""
        return self.result.protocol.seeds > 0

    # Scores

    def scores(self, task: str, method: str) -> Scores:
        """Test metrics with the last epoch's weights, of shape (seeds,).

        A trial whose metric was not finite without any divergence of its loss scores the worst that the race saw on the
        task: it is never left out.
        """
        return self._scores[task, method]

    @cached_property
    def _scores(self) -> dict[Place, Scores]:
        return {
            (task, method): np.array([self._worst(task) if r.test_metric is None else r.test_metric for r in records])
            for (task, method), records in self.result.records.items()
        }

    def _worst(self, task: str) -> float:
        seen = [
            value
            for (name, _), records in self.result.records.items()
            if name == task
            for record in records
            for value in (record.test_metric, record.untrained_metric)
            if value is not None
        ]
        return min(seen, default=0.0)

    def worst_validation(self, task: str) -> float:
        """What a curve of the validation metric goes on with after a divergence: nothing seen on the task is lower."""
        finals = (record for method in self.methods for record in self.result.records.get((task, method), ()))
        return min((value for record in finals for value in record.validation_metric), default=0.0)

    @cached_property
    def means(self) -> dict[Place, float]:
        return {place: float(scores.mean()) if len(scores) else math.nan for place, scores in self._scores.items()}

    @cached_property
    def sds(self) -> dict[Place, float]:
        """Standard deviations over the seeds; nan for one seed."""
        return {
            place: float(scores.std(ddof=1)) if len(scores) > 1 else math.nan for place, scores in self._scores.items()
        }

    def reference(self, task: str, field: str) -> tuple[float, float]:
        """Mean and deviation of `constant_metric` or `untrained_metric`, which no method has a part in."""
        records = self.result.records.get((task, self.baseline), ())
        values = np.array([v for r in records if (v := getattr(r, field)) is not None], dtype=float)
        if not len(values):
            return math.nan, math.nan
        return float(values.mean()), float(values.std(ddof=1)) if len(values) > 1 else math.nan

    # Verdicts

    def margin(self, task: str) -> float:
        """The difference that is too small to matter on a task, in units of its metric."""
        given = self.result.protocol.margin
        if given is not None:
            return given
        # Half a point is a natural floor for shares and R2; a negative loss has no natural unit.
        natural = self.tasks[task].percent or self.tasks[task].metric.lower() in ("r2", "r²")
        return statistics.default_margin(self.scores(task, self.baseline), 0.005 if natural else 0.0)

    @cached_property
    def comparisons(self) -> dict[Place, Comparison]:
        """Each other method against the baseline, by task and method; the methods of a task are one family for Holm."""
        if not self.has_finals:
            return {}
        return {
            (task, name): comparison
            for task in self.tasks
            for name, comparison in statistics.against(
                {name: self.scores(task, name) for name in self.methods}, self.baseline, self.margin(task)
            ).items()
        }

    @cached_property
    def verdicts(self) -> tuple[Verdict, ...]:
        """The comparisons as rows, task by task."""
        return tuple(
            Verdict(
                task, method, self.baseline, c.verdict, c.difference, c.low, c.high, c.p, c.margin, c.probability, c.n,
                c.needed,
            )
            for (task, method), c in self.comparisons.items()
        )  # fmt: skip

    def counts(self, method: str) -> Counter[str]:
        """How often each verdict was given to a method."""
        return Counter(self.comparisons[task, method].verdict for task in self.tasks)

    @cached_property
    def best(self) -> dict[str, Best]:
        """By task. The comparisons of best and next are one family for Holm."""
        order = {task: sorted(self.methods, key=lambda name: -round(self.means[task, name], 12)) for task in self.tasks}
        if len(self.methods) < 2 or not self.has_finals:
            return {task: Best(names[0], None, None) for task, names in order.items()}
        compared = statistics.compare(
            [(self.scores(task, names[0]), self.scores(task, names[1])) for task, names in order.items()],
            [self.margin(task) for task in order],
        )
        return {t: Best(names[0], names[1], c) for (t, names), c in zip(order.items(), compared, strict=True)}

    @cached_property
    def ablations(self) -> list[Ablation]:
        """Every method against each of its ablations in the race, on each task; all of them are one family for Holm."""
        places = [
            (task, method.name, plain)
            for method in self.result.methods
            for plain in method.ablations
            if plain in self.methods
            for task in self.tasks
        ]
        if not self.has_finals:
            return []
        compared = statistics.compare(
            [(self.scores(task, method), self.scores(task, plain)) for task, method, plain in places],
            [self.margin(task) for task, _, _ in places],
        )
        return [Ablation(*place, comparison) for place, comparison in zip(places, compared, strict=True)]

    # Across tasks

    def has_unit(self, task: str) -> bool:
        """Whether the baseline did better than the constant answer, so that the two make a scale."""
        zero = self.reference(task, "constant_metric")[0]
        return self.means[task, self.baseline] > zero  # false also where zero is nan

    def unit(self, task: str) -> tuple[float, float]:
        """The scores that count as 0 and as 1 where tasks are compared: the constant answer's and the baseline's.

        Without such a scale they are the lowest and the highest mean on the task.
        """
        if self.has_unit(task):
            return self.reference(task, "constant_metric")[0], self.means[task, self.baseline]
        means = [self.means[task, name] for name in self.methods]
        return min(means), max(means) if max(means) > min(means) else min(means) + 1

    @cached_property
    def across(self) -> AcrossTasks:
        """Ranks of the mean scores on each task, Wilcoxon-Holm over tasks; the methods in the order of the race."""
        percent = all(task.percent for task in self.result.tasks)  # one unit for all already
        units = {task: (0.0, 1.0) if percent else self.unit(task) for task in self.tasks}
        table = [[(self.means[t, m] - zero) / (one - zero) for m in self.methods] for t, (zero, one) in units.items()]
        return statistics.across_tasks(table)

    def mean_rank(self, method: str) -> float:
        return float(self.across.mean_ranks[list(self.methods).index(method)])

    @cached_property
    def order(self) -> list[str]:
        """The methods, the lowest mean rank first."""
        names = list(self.methods)
        return [names[place] for place in self.across.order] if self.has_finals else names
