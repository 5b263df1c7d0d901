"""How candidates stand among each other: how far they came, and how good they are for certain."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import rankdata

from thalweg.evolve.entry import Score
from thalweg.evolve.evaluation import FULL, PROXY, rung_named
from thalweg.evolve.settings import Settings

UNSURE = 0.01  # the standard deviation of a score, until two scores of one candidate tell
ENOUGH = 5  # scores, or candidates, from which on they tell something of all
CAUTION = 2.0  # standard errors below its mean at which a candidate stands


class Standing(NamedTuple):
    """Compared in order: the stage that was reached, then the value there; `mean` is of all full scores, for people.

    Of those trained in full, the value is the mean less two standard errors, drawn from all candidates: what is
    good by luck of a single seed stands below what is nearly as good on many.
    """

    stage: int
    value: float
    mean: float
    scores: int


NOWHERE = Standing(-1, -math.inf, -math.inf, 0)


class Standings:
    """Works out the standings of candidates from their scores."""

    def __init__(self, settings: Settings, tasks: Sequence[str]) -> None:
        self.tasks, self.trial, self.across, self.trials = list(tasks), settings.trial, settings.across, settings.trials
        stages = [PROXY, *map(rung_named, settings.rungs), FULL]
        self._order = {stage: place for place, stage in enumerate(stages)}

    def of(self, scores: Mapping[int, Sequence[Score]]) -> dict[int, Standing]:
        """The standing of each candidate by its id. Who failed in one training in full stands nowhere."""
        full = {key: values for key, own in scores.items() if (values := self._by_task(own)) is not None}
        sound = {key: values for key, values in full.items() if all(map(math.isfinite, _flat(values)))}
        certain = self._values(sound)
        standings = {}
        for key, own in scores.items():
            if key in sound:
                mean = float(np.mean([self._trials(list(by_seed.values())) for by_seed in sound[key]]))
                count = min(map(len, sound[key]))
                standings[key] = Standing(self._order[FULL], certain[key], mean, count)
            else:
                standings[key] = NOWHERE if key in full else max(map(self._early, own), default=NOWHERE)
        return standings

    def _early(self, score: Score) -> Standing:
        """Of one that has not been trained in full on all tasks."""
        stage = self._order.get(score.stage, -1) if score.stage != FULL else self._order[FULL] - 1
        return Standing(stage, score.value, score.value, 1) if math.isfinite(score.value) else NOWHERE

    def _by_task(self, scores: Sequence[Score]) -> list[dict[int, float]] | None:
        """The full scores on each task, by seed; None where one has none."""
        full = [score for score in scores if score.stage == FULL]
        by_task = [{s.seed: s.value for s in full if s.task == task} for task in self.tasks]
        return [dict(sorted(own.items())) for own in by_task] if all(by_task) else None

    def _values(self, full: Mapping[int, list[dict[int, float]]]) -> dict[int, float]:
        """What is known of each for certain, the tasks combined."""
        if not full:
            return {}
        table = np.stack([self._certain([own[place] for own in full.values()]) for place in range(len(self.tasks))], 1)
        if self.across == "rank":
            table = np.stack([rankdata(column) for column in table.T], axis=1)  # higher is better
        combined = table.min(1) if self.across == "worst" else table.mean(1)
        return dict(zip(full, map(float, combined), strict=True))

    def _certain(self, scores: Sequence[Mapping[int, float]]) -> np.ndarray:
        """On one task, for each candidate its mean less some standard errors, or the worst of its trials.

        Some seeds are harder than others: what those score on one who have also the first seed says by how much, so
        that candidates with other seeds can be compared.
        """
        if self.trial == "worst":
            return np.array([self._trials(list(own.values())) for own in scores])
        harder = {seed: _harder(seed, scores) for seed in {seed for own in scores for seed in own}}
        levelled = [np.array([value - harder[seed] for seed, value in own.items()]) for own in scores]
        freedom = sum(len(own) - 1 for own in levelled)
        squares = sum(float(np.var(own)) * len(own) for own in levelled)
        error = math.sqrt(squares / freedom) if freedom >= ENOUGH else UNSURE
        return np.array([float(own.mean()) - CAUTION * error / math.sqrt(len(own)) for own in levelled])

    def _trials(self, values: Sequence[float]) -> float:
        return min(values[: self.trials]) if self.trial == "worst" else float(np.mean(values))


def _harder(seed: int, scores: Sequence[Mapping[int, float]]) -> float:
    """By how much scores with a seed are above those of the same candidates with the first one: a median."""
    differences = [own[seed] - own[0] for own in scores if seed in own and 0 in own]
    return float(np.median(differences)) if len(differences) >= ENOUGH else 0.0


def _flat(values: Sequence[Mapping[int, float]]) -> list[float]:
    return [value for own in values for value in own.values()]
