"""Tuning: the same number of draws for every method, chosen between on the validation part."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean

from scipy.stats import qmc

from thalweg.race.method import Method
from thalweg.race.record import Record, Value
from thalweg.race.seeds import Seed
from thalweg.race.trial import Trial
from thalweg.tasks import Workload


@dataclass(frozen=True)
class Draw:
    """A setting tried by tuning, and its trials, one a tuning split."""

    hyperparameters: Mapping[str, Value]
    records: tuple[Record, ...]

    @property
    def accuracy(self) -> float:
        """Mean validation accuracy after the last epoch; a diverged trial counts as 0."""
        return fmean(0.0 if record.diverged else record.validation_accuracy[-1] for record in self.records)

    @property
    def loss(self) -> float:
        """Mean validation loss after the last epoch; infinite if a trial diverged."""
        return fmean(math.inf if record.diverged else record.validation_loss[-1] for record in self.records)


@dataclass(frozen=True)
class Study:
    """The tuning of one method on one task: all its draws, draw 0 being the published default."""

    draws: tuple[Draw, ...]

    @cached_property
    def chosen(self) -> Draw:
        """The draw of highest validation accuracy; of equals that of lower loss, of equals the first."""
        return min(self.draws, key=lambda draw: (-draw.accuracy, draw.loss))


def settings(method: Method, draws: int, master: int) -> list[Mapping[str, Value]]:
    """The hyperparameters of every draw: the published default, then a scrambled Halton sequence over the space.

    The sequence depends on the master seed alone, so methods that tune the same number of hyperparameters are tried
    at the same relative places of their spaces, on every task.
    """
    points = qmc.Halton(len(method.space), scramble=True, rng=master).random(draws - 1)
    drawn: list[Mapping[str, Value]] = [method.hyperparameters]
    for point in points:
        hyperparameters = method.hyperparameters
        for dimension, position in zip(method.space, point, strict=True):
            hyperparameters = dimension.with_value_at(hyperparameters, float(position))
        drawn.append(hyperparameters)
    return drawn


def tune(
    method: Method,
    workloads: Sequence[tuple[Seed, Workload]],
    drawn: Sequence[Mapping[str, Value]],
    run: Callable[[Trial], Record],
) -> Study:
    """Tries every drawn setting on every tuning workload. A workload has no test part."""
    return Study(
        tuple(
            Draw(hyperparameters, tuple(run(Trial(method.at(hyperparameters), load, seed)) for seed, load in workloads))
            for hyperparameters in drawn
        )
    )
