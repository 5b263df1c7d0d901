"""What finalists are worth: re-tests on seeds that evolution never saw, so that a lucky score never wins.

The best of many noisy scores is too high on average (the winner's curse). So the winner is chosen by one set of seeds,
and what is reported of it comes from another.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from thalweg.race import statistics
from thalweg.race.statistics import Verdict

FEWEST = 10  # seeds on which a score is reported


@dataclass(frozen=True)
class Retest:
    """The mean of scores over `n` seeds, its 95 % interval from `low` to `high`, and its one-sided lower 95 % bound."""

    mean: float
    low: float
    high: float
    bound: float
    n: int


@dataclass(frozen=True)
class Difference:
    """Ours less theirs over `n` paired seeds: the mean, its 95 % interval, its one-sided lower 95 % bound, and what
    may be said: better, equivalent, worse or undecided (see `thalweg.race.statistics.Comparison`)."""

    mean: float
    low: float
    high: float
    bound: float
    n: int
    verdict: Verdict


def retest(scores: ArrayLike, worst: float | None = None) -> Retest:
    """Sums up scores of shape (seeds,). `worst` takes the place of those that are not finite: a run that diverged.

    Raises ValueError where there are no scores, or some are not finite and there is no `worst`.
    """
    values = _finite(scores, worst)
    (low, high), (bound, _) = statistics.mean_intervals(values, (0.95, 0.90))
    return Retest(float(values.mean()), float(low), float(high), float(bound), len(values))


def choose(scores: Mapping[str, ArrayLike], worst: float | None = None) -> str:
    """The finalist of the best mean, by name; of equals the first. What it is worth is to be measured on other seeds.

    Raises ValueError where there are no finalists, or as `retest` does.
    """
    if not scores:
        raise ValueError("scores must have at least one finalist, got none")
    return max(scores, key=lambda name: float(_finite(scores[name], worst).mean()))


def reported(scores: Mapping[int, float], chosen_on: Collection[int], worst: float | None = None) -> Retest:
    """What is said of a winner: its scores by seed, on at least ten seeds that had no part in choosing it.

    Raises ValueError where there are fewer, or one of them was used to choose.
    """
    used = sorted(set(scores) & set(chosen_on))
    if used:
        raise ValueError(f"scores must be of seeds that did not choose the winner, got {used[0]}; give fresh ones")
    if len(scores) < FEWEST:
        raise ValueError(f"scores must be of at least {FEWEST} seeds, got {len(scores)}; train more")
    return retest([scores[seed] for seed in sorted(scores)], worst)


def difference(
    ours: ArrayLike, theirs: ArrayLike, margin: float | None = None, worst: float | None = None
) -> Difference:
    """Compares scores of shape (seeds,), paired by position. `margin` is the difference that is too small to matter.

    Raises ValueError where their numbers differ, or as `retest` does.
    """
    (found,) = statistics.compare([(_finite(ours, worst), _finite(theirs, worst))], margin)
    return Difference(found.difference, found.low, found.high, found.low_90, found.n, found.verdict)


def _finite(scores: ArrayLike, worst: float | None) -> NDArray[np.float64]:
    values = np.asarray(scores, dtype=float)
    if values.ndim != 1 or not values.size:
        raise ValueError(f"scores must have shape (seeds,), at least one, got shape {values.shape}")
    if worst is not None:
        values = np.where(np.isfinite(values), values, worst)
    if not np.isfinite(values).all():
        raise ValueError(f"scores must be finite, got {values[~np.isfinite(values)][0]}; say what a run that diverged "
                         "counts as by `worst`")  # fmt: skip
    return values
