"""Time to target: what it costs to reach a score, with the runs that never did."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

FRACTIONS = (1.0, 0.9, 0.75, 0.5)  # of the way from the start to the baseline's final score
PROFILE_END = 4.0  # AlgoPerf integrates its profiles up to four times the best cost (Dahl et al. 2023)


@dataclass(frozen=True)
class Target:
    """A score to reach: `fraction` of the way from the start to the tuned baseline's median final score."""

    fraction: float
    score: float


@dataclass(frozen=True)
class Steps:
    """A curve of shares that jumps at each of `costs`, ascending, to the value beside it, and starts at 0."""

    costs: tuple[float, ...]
    shares: tuple[float, ...]


@dataclass(frozen=True)
class TimeToTarget:
    """What runs of one method paid to reach a target.

    `costs` are infinite where a run never did; `spent` is what it cost until it arrived or ended. `median` counts the
    infinite ones, so it is infinite where fewer than half arrived. `expected` is the expected running time: all that
    was spent over the number of successes, as if one restarted until it works (ERT; Hansen et al. 2021, COCO).
    """

    costs: tuple[float, ...]
    spent: tuple[float, ...]
    success_rate: float
    median: float
    expected: float


def target_levels(baseline: ArrayLike, start: float) -> tuple[Target, ...]:
    """The targets of a task, hardest first, from the baseline's final validation scores and the score at the start.

    The hardest is the median of the former; three easier ones lie 0.9, 0.75 and 0.5 of the way to it from `start`, that
    of an untrained network or a constant answer, whichever is higher. There are none where the baseline's median is not
    above the start: it learned nothing that could be a target.
    """
    goal = float(np.median(_finite(baseline, "baseline")))
    if goal <= start:
        return ()
    return tuple(Target(fraction, start + fraction * (goal - start)) for fraction in FRACTIONS)


def cost_to_target(curves: ArrayLike, costs: ArrayLike, target: float) -> Array:
    """The cost at which each learning curve first reaches the target, infinite where it never does.

    Takes scores and the costs paid until then, both of shape (..., points), returns shape (...). A score that is nan (a
    run that ended) reaches nothing. A curve that falls below the target again has reached it all the same.
    """
    scores = np.asarray(curves, dtype=float)
    paid = np.broadcast_to(np.asarray(costs, dtype=float), scores.shape)
    reached = scores >= target
    first = np.take_along_axis(paid, reached.argmax(axis=-1)[..., None], axis=-1)[..., 0]
    return np.where(reached.any(axis=-1), first, np.inf)


def time_to_target(costs: ArrayLike, totals: ArrayLike) -> TimeToTarget:
    """Sums up costs to a target (infinite where it was not reached) of runs that paid `totals` in all, shape (n,)."""
    reached = np.asarray(costs, dtype=float)
    spent = np.minimum(reached, _finite(totals, "totals"))
    successes = int(np.isfinite(reached).sum())
    return TimeToTarget(
        costs=tuple(reached.tolist()),
        spent=tuple(spent.tolist()),
        success_rate=successes / len(reached),
        median=float(np.median(reached)),
        expected=float(spent.sum()) / successes if successes else float("inf"),
    )


def kaplan_meier(costs: ArrayLike, censored: ArrayLike) -> Steps:
    """The share of runs that have reached a target by each cost (1 minus the estimate of Kaplan and Meier 1958).

    `costs` are infinite where a run did not arrive by the cost in `censored`, shape (n,) both. Censored means that it
    might have arrived later: a diverged run never will, so give the whole budget for it, not the cost at which it
    broke, or its failure would look like bad luck.
    """
    reached = np.asarray(costs, dtype=float)
    until = np.minimum(reached, _finite(censored, "censored"))
    steps = np.unique(reached[np.isfinite(reached)])
    at_risk = (until[None] >= steps[:, None]).sum(axis=1)
    arrived = (reached[None] == steps[:, None]).sum(axis=1)
    return Steps(tuple(steps.tolist()), tuple((1 - np.cumprod(1 - arrived / at_risk)).tolist()))


def performance_profile(costs: ArrayLike, factors: ArrayLike) -> Array:
    """The share of tasks that each method solves within each factor of the cheapest (Dolan and Moré 2002).

    Takes costs of shape (tasks, methods), infinite where a target was not reached, and factors of shape (points,);
    returns shape (methods, points). A task that no method solves counts against all.
    """
    ratios = _cost_ratios(costs)
    return (ratios[:, :, None] <= np.asarray(factors, dtype=float) * (1 + 1e-12)).mean(axis=0)


def profile_integral(costs: ArrayLike, end: float = PROFILE_END) -> Array:
    """The mean height of each method's performance profile between 1 and `end`, shape (methods,): AlgoPerf's score."""
    ratios = _cost_ratios(costs)
    return np.maximum(0.0, end - ratios).mean(axis=0) / (end - 1)


def _cost_ratios(costs: ArrayLike) -> Array:
    """Each cost over the cheapest of its task; infinite where the target was not reached."""
    paid = np.asarray(costs, dtype=float)
    if paid.ndim != 2 or 0 in paid.shape or not (paid >= 0).all():
        raise ValueError(f"costs must be >= 0 or infinite, of shape (tasks, methods), got {paid.tolist()}")
    best = paid.min(axis=1, keepdims=True)
    comparable = np.isfinite(best) & (best > 0)
    ratios = np.where(comparable, paid / np.where(comparable, best, 1.0), np.inf)
    return np.where(np.isfinite(paid) & (paid == best), 1.0, ratios)


def _finite(values: ArrayLike, name: str) -> Array:
    array = np.asarray(values, dtype=float)
    if array.size == 0 or not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite and not empty, got {array.tolist()}")
    return array
