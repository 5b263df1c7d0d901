"""Many methods on many tasks: ranks, Wilcoxon-Holm groups, interquartile means. Here the task is the sample."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import chi2, rankdata, studentized_range

from thalweg.race.statistics.significance import LEVEL, holm, paired_differences, signed_rank_p

Array = NDArray[np.float64]

DESCRIPTIVE_BELOW = 10  # tasks: with fewer nothing can be said of others
RESAMPLES = 2000


@dataclass(frozen=True)
class AcrossTasks:
    """Methods over tasks, by place in the arrays.

    `ranks` has shape (tasks, methods), 1 the highest score, equals sharing theirs; `mean_ranks` and `order` (best
    first) follow from it. `friedman` and `friedman_p` test that all methods are alike. `p` holds Wilcoxon's p of each
    pair over tasks after Holm over all pairs, shape (methods, methods). `groups` are the largest sets of methods of
    which no two differ at 5 %, each best first: the bars of a critical-difference diagram. A group may leave out a
    method whose rank lies between its members', so draw which are in it. `descriptive` is true below ten tasks: ranks
    describe these tasks then, and nothing is to be concluded on others.
    """

    ranks: Array
    mean_ranks: Array
    order: tuple[int, ...]
    friedman: float
    friedman_p: float
    p: Array
    groups: tuple[tuple[int, ...], ...]
    descriptive: bool


def across_tasks(means: ArrayLike) -> AcrossTasks:
    """Compares methods by their mean scores of shape (tasks, methods), higher better.

    Wilcoxon's test compares the sizes of differences between tasks: scores should be in one unit, or normalised. It is
    used in place of Nemenyi's because the latter's verdict on two methods depends on the others (Benavoli et al. 2016).
    """
    scores = _table(means)
    ranks = rank(scores)
    mean_ranks = ranks.mean(axis=0)
    order = tuple(int(i) for i in np.argsort(mean_ranks, kind="stable"))
    p = pairwise_p(scores)
    statistic, friedman_p = friedman(scores)
    return AcrossTasks(
        ranks, mean_ranks, order, statistic, friedman_p, p, groups(p, mean_ranks), len(scores) < DESCRIPTIVE_BELOW
    )


def rank(means: ArrayLike) -> Array:
    """Ranks on each task of mean scores of shape (tasks, methods): 1 the highest, equals sharing theirs."""
    scores = _table(means)
    largest = np.abs(scores).max(axis=1, keepdims=True)
    unit = np.where(largest > 0, largest, 1.0)
    ranks: Array = rankdata(-np.round(scores / unit, 12), axis=1)  # means that differ by rounding alone are equal
    return ranks


def friedman(means: ArrayLike) -> tuple[float, float]:
    """Friedman's chi-square of mean scores of shape (tasks, methods), corrected for ties, and its p; (0, 1) if all tie.

    Conover 1999, section 5.8. The p is that of the limit of many tasks, and cautious with few.
    """
    ranks = rank(means)
    tasks, methods = ranks.shape
    middle = (methods + 1) / 2
    spread = float(((ranks - middle) ** 2).sum())
    if spread == 0:
        return 0.0, 1.0
    statistic = (methods - 1) * float(((ranks.sum(axis=0) - tasks * middle) ** 2).sum()) / spread
    return statistic, float(chi2.sf(statistic, methods - 1))


def pairwise_p(means: ArrayLike) -> Array:
    """Wilcoxon's exact signed-rank p of all pairs of methods over tasks, after Holm; shape (methods, methods)."""
    scores = _table(means)
    i, j = np.triu_indices(scores.shape[1], 1)
    p = np.ones((scores.shape[1], scores.shape[1]))
    if len(i):
        p[i, j] = p[j, i] = holm(signed_rank_p(paired_differences(scores.T[i], scores.T[j])))
    return p


def groups(p: ArrayLike, ranks: ArrayLike, level: float = LEVEL) -> tuple[tuple[int, ...], ...]:
    """The maximal sets of two or more methods of which no pair has p < level, each best rank first, best group first.

    Takes p of shape (methods, methods) and mean ranks of shape (methods,). The sets are the
    maximal cliques of the graph of pairs that do not differ (Bron and Kerbosch 1973).
    """
    alike = np.asarray(p, dtype=float) >= level
    order = [int(i) for i in np.argsort(np.asarray(ranks, dtype=float), kind="stable")]
    place = {method: position for position, method in enumerate(order)}
    neighbours = {i: {j for j in order if j != i and alike[i, j]} for i in order}
    found: list[tuple[int, ...]] = []

    def extend(clique: set[int], candidates: set[int], done: set[int]) -> None:
        if not candidates and not done:
            found.append(tuple(sorted(clique, key=place.__getitem__)))
        for method in sorted(candidates, key=place.__getitem__):
            extend(clique | {method}, candidates & neighbours[method], done & neighbours[method])
            candidates = candidates - {method}
            done = done | {method}

    extend(set(), set(order), set())
    return tuple(sorted((g for g in found if len(g) > 1), key=lambda group: [place[m] for m in group]))


def critical_difference(methods: int, tasks: int, level: float = LEVEL) -> float:
    """Nemenyi's critical difference of mean ranks (Demsar 2006, section 3.2.2), for reference only.

    q is the quantile of the studentized range over the root of 2: 3.031 for 8 methods.

    >>> round(critical_difference(8, 5), 2), round(critical_difference(8, 15), 2)
    (4.7, 2.71)
    """
    q = float(studentized_range.ppf(1 - level, methods, np.inf)) / np.sqrt(2)
    return float(q * np.sqrt(methods * (methods + 1) / (6 * tasks)))


@dataclass(frozen=True)
class InterquartileMeans:
    """Interquartile means of normalised scores, with 95 % intervals; arrays of shape (methods,).

    `difference` and its interval are against the reference method, from the same resamples.
    """

    mean: Array
    low: Array
    high: Array
    difference: Array
    difference_low: Array
    difference_high: Array


def normalise(scores: ArrayLike, zero: ArrayLike, one: ArrayLike) -> Array:
    """Scores of shape (tasks, methods, seeds) so that on each task `zero` becomes 0 and `one` becomes 1.

    `zero` and `one` have shape (tasks,): say the constant answer's score and the tuned baseline's mean. Raises
    ValueError where `one` is not above `zero`: leave such a task out, and say so.
    """
    low, high = np.asarray(zero, dtype=float), np.asarray(one, dtype=float)
    if not (high > low).all():
        task = int(np.argmin(high > low))
        raise ValueError(f"one must be above zero on each task, got {high[task]} and {low[task]} on task {task}")
    return (np.asarray(scores, dtype=float) - low[:, None, None]) / (high - low)[:, None, None]


def iqm(values: ArrayLike) -> Array:
    """The mean without the lowest and the highest quarter, over the last axis (Agarwal et al. 2021)."""
    ordered = np.sort(np.asarray(values, dtype=float), axis=-1)
    cut = ordered.shape[-1] // 4
    return np.asarray(ordered[..., cut : ordered.shape[-1] - cut].mean(axis=-1))


def interquartile_means(scores: ArrayLike, reference: int = 0, resamples: int = RESAMPLES) -> InterquartileMeans:
    """The IQM of each method over all tasks and seeds of normalised scores of shape (tasks, methods, seeds).

    The intervals are percentiles of a bootstrap that draws tasks, then seeds within each, with a fixed seed; all
    methods share what is drawn, so that pairing is kept. With few tasks such intervals are too short.
    """
    values = _cube(scores)
    tasks, methods, seeds = values.shape
    rng = np.random.default_rng(0)
    drawn_tasks = rng.integers(0, tasks, (resamples, tasks, 1))
    drawn_seeds = rng.integers(0, seeds, (resamples, tasks, seeds))
    resampled = np.stack(
        [iqm(values[drawn_tasks, m, drawn_seeds].reshape(resamples, -1)) for m in range(methods)], axis=1
    )
    observed = iqm(np.moveaxis(values, 1, 0).reshape(methods, -1))
    low, high = np.quantile(resampled, (0.025, 0.975), axis=0)
    less, more = np.quantile(resampled - resampled[:, [reference]], (0.025, 0.975), axis=0)
    return InterquartileMeans(observed, low, high, observed - observed[reference], less, more)


def probability_of_improvement(scores: ArrayLike) -> Array:
    """P(row better than column) on the same task and seed, ties half, averaged over tasks: shape (methods, methods).

    Takes scores of shape (tasks, methods, seeds). Unlike rliable's it compares runs of one seed, as they are paired.
    """
    values = _cube(scores)
    differences = paired_differences(values[:, :, None], values[:, None, :])
    return np.asarray((1 + np.sign(differences)).mean(axis=(0, 3)) / 2)


def _table(means: ArrayLike) -> Array:
    scores = np.asarray(means, dtype=float)
    if scores.ndim != 2 or 0 in scores.shape or not np.isfinite(scores).all():
        raise ValueError(f"means must be finite, of shape (tasks, methods), got {scores.tolist()}")
    return scores


def _cube(scores: ArrayLike) -> Array:
    values = np.asarray(scores, dtype=float)
    if values.ndim != 3 or 0 in values.shape or not np.isfinite(values).all():
        raise ValueError(f"scores must be finite, of shape (tasks, methods, seeds), got shape {values.shape}")
    return values
