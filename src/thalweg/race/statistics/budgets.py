"""What tuning bought: the best score to expect from a budget, and how wide the range of good learning rates is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def expected_best(scores: ArrayLike, first: float | None = None) -> Array:
    """The expected highest validation score of 1, 2, ..., B draws, shape (B,), from the scores of B draws.

    The estimator of Dodge et al. 2019: draws at random, with replacement, from those that were seen. It
    holds for random draws; for a sampler that learns it is what random draws of the same scores would give. `first` is
    the score of a setting that is always tried first (the published default): it takes the place of one draw, and the
    result has the shape (B + 1,). Give a diverged draw the worst score of its task. Raises ValueError where there is no
    draw, or a score is not finite.

    >>> expected_best([0.0, 1.0]).tolist()
    [0.5, 0.75]
    """
    drawn = np.sort(np.asarray(scores, dtype=float))
    if drawn.ndim != 1 or len(drawn) == 0 or not np.isfinite(drawn).all():
        raise ValueError(f"scores must be finite, of shape (draws,), got {drawn.tolist()}")
    best = drawn if first is None else np.maximum(drawn, first)
    count = len(drawn)
    budgets = np.arange(1, count + 1)[:, None]
    upto = (np.arange(count + 1) / count) ** budgets  # P(the best of a budget is among the lowest i scores)
    expected = np.diff(upto, axis=1) @ best
    return expected if first is None else np.concatenate([[first], expected])


@dataclass(frozen=True)
class Width:
    """The range of learning rates around the best with a score within 1 % of it.

    `decades` is log10(high / low). Where `open_low` or `open_high` is true the range goes on beyond what was tried, so
    that it is at least so wide.
    """

    decades: float
    low: float
    high: float
    open_low: bool
    open_high: bool


def lr_width(lrs: ArrayLike, scores: ArrayLike, start: float = 0.0, tolerance: float = 0.01) -> Width:
    """How sensitive a method is, from the scores of a scan of learning rates, shape (points,), in any order.

    "Within 1 %" is of the way from `start` (0, or the score of a constant answer) to the best score. The ends lie where
    straight lines between neighbouring points, over log lr, cross that level. Raises ValueError for a rate that is not
    positive or is there twice, for scores that are not finite, and where the best is not above the start.
    """
    rates, values = np.asarray(lrs, dtype=float), np.asarray(scores, dtype=float)
    if rates.shape != values.shape or rates.ndim != 1 or len(rates) == 0 or not np.isfinite(values).all():
        raise ValueError(f"scores must be finite, one for each lr, got {values.tolist()} for {rates.tolist()}")
    if not (np.isfinite(rates) & (rates > 0)).all() or len(np.unique(rates)) < len(rates):
        raise ValueError(f"lrs must be positive and all different, got {rates.tolist()}")
    order = np.argsort(rates)
    log, values = np.log10(rates[order]), values[order]
    best = int(values.argmax())
    if values[best] <= start:
        raise ValueError(f"the best score must be above start, got {values[best]} and {start}")
    level = values[best] - tolerance * (values[best] - start)
    low, open_low = _end(log, values, best, -1, level)
    high, open_high = _end(log, values, best, 1, level)
    return Width(high - low, 10.0**low, 10.0**high, open_low, open_high)


def _end(log: Array, values: Array, best: int, step: int, level: float) -> tuple[float, bool]:
    """Where the curve first falls below the level, going by `step` from the best; whether it never does."""
    inside = best
    while 0 <= inside + step < len(log):
        outside = inside + step
        if values[outside] < level:
            share = (values[inside] - level) / (values[inside] - values[outside])
            return float(log[inside] + share * (log[outside] - log[inside])), False
        inside = outside
    return float(log[inside]), True
