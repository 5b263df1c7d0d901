"""How large a difference is, whether seeds correlate, and what pairing them saved."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import f as f_distribution

from thalweg.race.statistics.intervals import FEWEST, bca_interval, student_interval
from thalweg.race.statistics.significance import paired_differences

Array = NDArray[np.float64]

RESAMPLES = 1999  # of `pairing`, which has to go over all pairs of methods in each


def superiority(a: ArrayLike, b: ArrayLike) -> float:
    """P(A better than B) on one and the same seed: the share of pairs in which A scores higher, ties counted half."""
    return float((1 + np.sign(paired_differences(a, b)).mean()) / 2)


def cliffs_delta(a: ArrayLike, b: ArrayLike) -> float:
    """Cliff's delta: P(A > B) - P(A < B) over all n x n pairs of runs, whatever their seeds (Cliff 1993)."""
    first, second = np.broadcast_arrays(np.asarray(a, float)[:, None], np.asarray(b, float)[None, :])
    return float(np.sign(paired_differences(first, second)).mean())


def hedges_g(a: ArrayLike, b: ArrayLike) -> float:
    """The difference of means in standard deviations over seeds, corrected for small samples (paired Hedges g).

    The unit is the root of the mean of both variances, as the two have one spread for a reader, not that of the
    differences; the correction has n - 1 degrees of freedom (Borenstein et al. 2009, chapter 4). It is
    nan for one pair, and infinite where both never vary and differ.
    """
    first, second = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    if len(first) < 2:
        return float("nan")
    difference = float(paired_differences(first, second).mean())
    unit = float(np.sqrt((_variance(first) + _variance(second)) / 2))
    if unit == 0:
        return float(np.copysign(np.inf, difference)) if difference else 0.0
    return difference / unit * (1 - 3 / (4 * (len(first) - 1) - 1))


def seed_correlation(a: ArrayLike, b: ArrayLike) -> float:
    """Pearson's correlation of two methods over paired seeds; nan below three seeds or where one never varies."""
    first, second = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    if len(first) < 3 or _variance(first) == 0 or _variance(second) == 0:
        return float("nan")
    return float(np.clip(np.corrcoef(first, second)[0, 1], -1, 1))


@dataclass(frozen=True)
class Pairing:
    """What pairing the seeds was worth, with 95 % intervals over seeds.

    `correlation` is Pearson's, averaged over all pairs of methods. `saved` is how many seeds an unpaired comparison
    would need for each paired one: the variance of an unpaired difference over that of the paired one, 1 / (1 - rho)
    where both methods vary alike; above 1 pairing helped, below 1 it hurt. The shares 1 / saved are averaged over the
    pairs of methods.
    """

    correlation: float
    correlation_low: float
    correlation_high: float
    saved: float
    saved_low: float
    saved_high: float


def pairing(scores: ArrayLike) -> Pairing:
    """What pairing was worth between methods with scores of shape (methods, seeds).

    A method that never varies counts as uncorrelated with all others. The intervals are corrected BCa over seeds, the
    same resample for all methods; below six seeds they say nothing: (-1, 1) and (0, inf). Raises ValueError below two
    methods.
    """
    values = np.asarray(scores, dtype=float)
    if values.ndim != 2 or len(values) < 2:
        raise ValueError(f"scores must have the shape (methods, seeds) with 2 methods or more, got {values.shape}")
    paired_differences(values, values)  # refuses what is not finite
    seeds = values.shape[1]
    centred = values - values.mean(axis=1, keepdims=True)
    scale = np.abs(centred).max(axis=1, keepdims=True)
    steady = scale <= 1e-12 * np.abs(values).max(axis=1, keepdims=True)
    centred = np.where(steady, 0.0, centred)
    centred = centred / max(float(scale.max()), np.finfo(float).tiny)
    i, j = np.triu_indices(len(values), 1)
    products = centred[i] * centred[j]

    def moments(weights: Array) -> tuple[Array, Array, Array]:
        means = weights @ centred.T
        variances = np.maximum(weights @ (centred**2).T - means**2, 0.0)
        covariances = weights @ products.T - means[:, i] * means[:, j]
        return covariances, variances[:, i], variances[:, j]

    def correlation(weights: Array) -> Array:
        covariance, first, second = moments(weights)
        return np.clip(_ratio(covariance, np.sqrt(first * second)), -1, 1).mean(axis=1)

    def agreement(weights: Array) -> Array:
        covariance, first, second = moments(weights)
        return np.clip(_ratio(2 * covariance, first + second), -1, 1).mean(axis=1)

    everything = np.full((1, seeds), 1 / seeds)
    rho, shared = float(correlation(everything)[0]), float(agreement(everything)[0])
    if seeds < FEWEST:
        return Pairing(rho, -1.0, 1.0, _saved(shared), 0.0, np.inf)
    rho_low, rho_high = bca_interval(correlation, seeds, resamples=RESAMPLES)
    low, high = bca_interval(agreement, seeds, resamples=RESAMPLES)
    return Pairing(rho, rho_low, rho_high, _saved(shared), _saved(low), _saved(high))


@dataclass(frozen=True)
class TuningNoise:
    """How much the choice of settings matters to a difference: would another tuning give another verdict?

    `share` (0 to 1) is how much of the variance of the differences lies between independent tunings, `p` the F test's
    that none does. `low` to `high` is the 95 % interval of the mean difference where the tunings are the sample.

    Verdicts take the final runs as independent, which they are given the settings that were chosen: they are about
    these settings. About the methods as they are tuned only this interval speaks, and three tunings say little.
    """

    share: float
    p: float
    low: float
    high: float


def tuning_noise(differences: ArrayLike, studies: ArrayLike) -> TuningNoise:
    """Splits the variance of paired differences of shape (n,) by the study that each run's setting is from.

    Components by the method of moments (Searle et al. 1992, chapter 3); the interval is Student's of the means of the
    studies. The former are nan, the latter infinite where they cannot be had: one study, no study of two runs.
    """
    values, labels = np.asarray(differences, dtype=float), np.asarray(studies)
    if values.shape != labels.shape or values.ndim != 1:
        raise ValueError(f"differences and studies must have one shape (n,), got {values.shape} and {labels.shape}")
    names, index = np.unique(labels, return_inverse=True)
    sizes = np.bincount(index).astype(float)
    n, k = len(values), len(names)
    means = np.bincount(index, weights=values) / sizes
    low, high = (float(end) for end in student_interval(means))
    if k < 2 or n == k:
        return TuningNoise(math.nan, math.nan, low, high)
    between = float((sizes * (means - values.mean()) ** 2).sum() / (k - 1))
    within = float(((values - means[index]) ** 2).sum() / (n - k))
    noise = (1e-12 * float(np.abs(values).max())) ** 2
    if within <= noise:
        return TuningNoise(0.0, 1.0, low, high) if between <= noise else TuningNoise(1.0, 0.0, low, high)
    typical = (n - (sizes**2).sum() / n) / (k - 1)  # runs a study
    component = max(0.0, float((between - within) / typical))
    p = float(f_distribution.sf(between / within, k - 1, n - k))
    return TuningNoise(component / (component + within), p, low, high)


def _variance(values: Array) -> float:
    """The unbiased variance, exactly 0 where all values are equal up to rounding."""
    steady = np.ptp(values) <= 1e-12 * np.abs(values).max()
    return 0.0 if steady else float(values.var(ddof=1))


def _ratio(above: Array, below: Array) -> Array:
    """above / below, 0 where below is 0 up to rounding (scores are scaled to 1)."""
    empty = below <= 1e-20
    return np.where(empty, 0.0, above / np.where(empty, 1.0, below))


def _saved(agreement: float) -> float:
    return float("inf") if agreement >= 1 - 1e-12 else 1 / (1 - agreement)
