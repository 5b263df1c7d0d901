"""Hurdles: what a score must be to go on to the next stage, and how much that loses."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np
import torch
from scipy.stats import binomtest

from thalweg.tasks import Task

Values = Sequence[float] | np.ndarray


class RollingHurdle:
    """A quantile of the distinct scores seen lately (AutoML-Zero, Real et al. 2020, section 3.2), and never below a
    floor.

    Arguments:
        quantile: the share of the distinct scores that does not pass; higher is harsher.
        window: how many distinct scores count. One that is seen again is the latest again.
        floor: below which nothing passes, such as a little more than `chance_level`; -inf for none.
        least: how many distinct scores there must be before they decide; the floor does until then.

    Clones do not move it, because it is of distinct scores. Of a coarse metric, such as the accuracy on few examples,
    distinct scores are few, and the quantile is one of the range that was reached rather than of candidates.

    Raises ValueError, naming the argument, on one out of bounds.

    >>> hurdle = RollingHurdle(0.5, least=3)
    >>> hurdle.see([0.1, 0.1, 0.1, 0.3, 0.8])
    >>> hurdle.threshold
    0.3
    >>> hurdle.passes([0.2, 0.3, 0.9]).tolist()
    [False, True, True]
    """

    def __init__(self, quantile: float, window: int = 1000, floor: float = -math.inf, *, least: int = 20) -> None:
        if not 0 <= quantile <= 1:
            raise ValueError(f"quantile must be from 0 to 1, got {quantile!r}")
        if least < 1:
            raise ValueError(f"least must be at least 1, got {least!r}")
        if window < least:
            raise ValueError(f"window must be at least {least}, which is `least`, got {window!r}")
        if math.isnan(floor):
            raise ValueError(f"floor must be a number, got {floor!r}")
        self.quantile, self.window, self.floor, self.least = quantile, window, floor, least
        self._seen: dict[float, None] = {}  # the latest last

    @property
    def threshold(self) -> float:
        """What a score must reach."""
        if len(self._seen) < self.least:
            return self.floor
        return max(self.floor, float(np.quantile(list(self._seen), self.quantile)))

    def passes(self, scores: Values) -> np.ndarray:
        """Which scores go on. What is not finite never does."""
        values = np.asarray(scores, dtype=np.float64)
        return np.isfinite(values) & (values >= self.threshold)

    def see(self, scores: Values) -> None:
        """Takes note of scores; of those that are not finite, nothing is to be learnt about the others."""
        for score in map(float, scores):
            if math.isfinite(score):
                self._seen.pop(score, None)
                self._seen[score] = None
        for oldest in list(self._seen)[: max(0, len(self._seen) - self.window)]:
            del self._seen[oldest]

    def state(self) -> list[float]:
        """The scores that count, as JSON has them."""
        return list(self._seen)

    def restore(self, state: Any) -> None:
        """Takes back what `state` told. Raises ValueError where that is no list of numbers."""
        numbers = isinstance(state, list) and all(type(value) in (int, float) for value in state)
        if not numbers or not all(map(math.isfinite, state)):
            raise ValueError(f"state must be a list of finite numbers, got {state!r:.80}")
        self._seen = {}
        self.see(state)


@dataclass(frozen=True)
class FalseRejects:
    """Of `viable` candidates that no hurdle stopped, `lost` would have been: `rate`, with its 95 % interval.

    The interval is the exact one (Clopper and Pearson 1934).
    """

    lost: int
    viable: int
    rate: float
    low: float
    high: float


class Control:
    """The candidates, drawn at random, that no hurdle stops: they tell what hurdles lose of the others.

    `share`: of all candidates; 0.01 to 0.02 costs little, because only those count whom a hurdle would have stopped.
    Raises ValueError where it is no share.
    """

    def __init__(self, share: float) -> None:
        if not 0 <= share <= 1:
            raise ValueError(f"share must be from 0 to 1, got {share!r}")
        self.share, self.lost, self.viable = share, 0, 0

    def pick(self, count: int, random: Random) -> np.ndarray:
        """Which of so many candidates no hurdle is to stop: one draw each, whatever the share."""
        return np.array([random.random() < self.share for _ in range(count)], dtype=np.bool_)

    def see(self, stopped: Sequence[bool] | np.ndarray, viable: Sequence[bool] | np.ndarray) -> None:
        """Takes note of picked candidates: whether a hurdle would have stopped each, and whether it turned out well."""
        would, well = np.asarray(stopped, dtype=np.bool_), np.asarray(viable, dtype=np.bool_)
        if would.shape != well.shape:
            raise ValueError(f"stopped and viable must be of one length, got {len(would)} and {len(well)}")
        self.lost += int((would & well).sum())
        self.viable += int(well.sum())

    def false_rejects(self) -> FalseRejects:
        """What the hurdles lose; of no viable candidate nothing is known, and the rate is NaN."""
        return false_rejects(self.lost, self.viable)

    def state(self) -> list[int]:
        """The counts, as JSON has them."""
        return [self.lost, self.viable]

    def restore(self, state: Any) -> None:
        """Takes back what `state` told. Raises ValueError where these are no such counts."""
        fit = isinstance(state, list) and len(state) == 2 and all(type(count) is int for count in state)
        if not fit or not 0 <= state[0] <= state[1]:
            raise ValueError(f"state must be the lost and the viable, two counts, got {state!r:.80}")
        self.lost, self.viable = state


def false_rejects(lost: int, viable: int) -> FalseRejects:
    """The rate at which viable candidates are lost, from counts.

    >>> false_rejects(0, 100).high < 0.037
    True
    """
    if viable == 0:
        return FalseRejects(lost, viable, math.nan, 0.0, 1.0)
    interval = binomtest(lost, viable).proportion_ci(0.95, method="exact")
    return FalseRejects(lost, viable, lost / viable, float(interval.low), float(interval.high))


def chance_level(task: Task) -> float | None:
    """The validation metric of an answer that does not look at the input: the most frequent class of the training
    part, or the mean of its targets. None where the network's outputs are of a shape that has no such answer.
    """
    workload = task.workload(torch.Generator().manual_seed(0))
    train, targets = workload.train.targets, workload.validation.targets
    with torch.no_grad():
        outputs = workload.network(torch.Generator().manual_seed(0)).eval()(workload.validation.inputs)
    if train.is_floating_point():
        if outputs.shape != targets.shape:
            return None
        answer = train.mean(dim=0).expand_as(outputs)
    else:
        frequent = int(train.flatten().bincount().argmax())
        if outputs.dim() < 2 or outputs.shape[1] <= frequent:
            return None
        answer = torch.zeros_like(outputs)
        answer.select(1, frequent).fill_(1.0)
    value = float(workload.metric.function(answer, targets))
    return value if math.isfinite(value) else None


def worst_of(task: Task) -> float:
    """What a training that diverged counts as: the metric's worst value, or what an answer gets that does not look at
    the input, or where there is neither, what the untrained network does."""
    if task.metric.worst is not None:
        return task.metric.worst
    if (chance := chance_level(task)) is not None:
        return chance
    workload = task.workload(torch.Generator().manual_seed(0))
    with torch.no_grad():
        outputs = workload.network(torch.Generator().manual_seed(0)).eval()(workload.validation.inputs)
    return float(workload.metric.function(outputs, workload.validation.targets))
