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
        self.tasks, self.trial, self.combined = list(tasks), settings.trial, settings.across
        stages = [PROXY, *map(rung_named, settings.rungs), FULL]
        self._order = {stage: place for place, stage in enumerate(stages)}

    def of(self, scores: Mapping[int, Sequence[Score]]) -> dict[int, Standing]:
        """The standing of each candidate by its id."""
        full = {key: values for key, own in scores.items() if (values := self._by_task(own)) is not None}
        means = self._means(full)
        error = self._deviation(full)
        standings = {}
        for key, own in scores.items():
            if key in full:
                count = min(map(len, full[key]))
                value = means[key] - CAUTION * error / math.sqrt(count) if self.trial == "mean" else means[key]
                shown = means[key] if self.combined != "rank" else float(np.mean([np.mean(v) for v in full[key]]))
                standings[key] = Standing(self._order[FULL], value, shown, count)
            else:
                standings[key] = max(map(self._early, own), default=NOWHERE)
        return standings

    def _early(self, score: Score) -> Standing:
        stage = self._order.get(score.stage, -1) if score.stage != FULL else self._order[FULL] - 1
        return Standing(stage, score.value, score.value, 1)

    def _by_task(self, scores: Sequence[Score]) -> list[list[float]] | None:
        """The full scores of each task, by seed; None where one has none."""
        values = [
            sorted((s.seed, s.value) for s in scores if s.stage == FULL and s.task == task) for task in self.tasks
        ]
        return [[value for _, value in own] for own in values] if all(values) else None

    def _means(self, full: Mapping[int, list[list[float]]]) -> dict[int, float]:
        inner = min if self.trial == "worst" else np.mean
        table = np.array([[float(inner(own)) for own in values] for values in full.values()])
        if not len(table):
            return {}
        if self.combined == "rank":
            ranks = np.stack([rankdata(column) for column in table.T], axis=1)  # higher is better
            combined = ranks.mean(1)
        else:
            combined = table.min(1) if self.combined == "worst" else table.mean(1)
        return dict(zip(full, map(float, combined), strict=True))

    def _deviation(self, full: Mapping[int, list[list[float]]]) -> float:
        """The pooled standard deviation of the scores of one candidate on one task."""
        squares, freedom = 0.0, 0
        for values in full.values():
            for own in values:
                if len(own) > 1 and np.isfinite(own).all():
                    squares += float(np.var(own)) * len(own)
                    freedom += len(own) - 1
        return math.sqrt(squares / freedom) if freedom >= 5 else UNSURE
