"""Racing on seeds: which contenders are worse than the best for certain, so that they need no more of them."""

from __future__ import annotations

import math

import numpy as np
from scipy.stats import binomtest, chi2, rankdata
from scipy.stats import t as student

LEAST_SEEDS = 3


def eliminated(scores: np.ndarray, alpha: float = 0.05) -> np.ndarray:
    """Which contenders are out, as F-race decides (Birattari et al. 2002): (candidates, seeds) scores give a mask.

    Higher scores are better, and -inf is a failure. Contenders are paired: a column is one seed for all of them. Their
    ranks within each seed decide: where Friedman's test says at level `alpha` that they differ at all, those are out
    whose rank sum is significantly below the highest one (Conover 1999, section 5.8; two-sided, as in the paper). Of
    two contenders a paired t-test decides. The best is never out, and nobody is before three seeds.

    Raises ValueError where scores are NaN or of another shape, or alpha is not between 0 and 1.

    >>> eliminated(np.array([[0.9, 0.8, 0.9, 0.8], [0.8, 0.9, 0.8, 0.9], [0.1, 0.2, 0.1, 0.2]])).tolist()
    [False, False, True]
    """
    scores = np.asarray(scores, dtype=np.float64)
    if scores.ndim != 2 or np.isnan(scores).any():
        raise ValueError(f"scores must be of shape (candidates, seeds) without NaN, got shape {scores.shape}")
    if not 0 < alpha < 1:
        raise ValueError(f"alpha must be between 0 and 1, got {alpha!r}")
    candidates, seeds = scores.shape
    if candidates < 2 or seeds < LEAST_SEEDS:
        return np.zeros(candidates, dtype=np.bool_)
    return _worse_of_two(scores, alpha) if candidates == 2 else _worse_by_ranks(scores, alpha)


def _worse_by_ranks(scores: np.ndarray, alpha: float) -> np.ndarray:
    """Friedman's test, with ties, and after it the comparison of each with the best."""
    candidates, seeds = scores.shape
    ranks = rankdata(scores, axis=0)  # 1 is worst
    sums = ranks.sum(axis=1)
    spread = float((ranks**2).sum()) - seeds * candidates * (candidates + 1) ** 2 / 4
    if spread <= 0:  # all are equal on every seed
        return np.zeros(candidates, dtype=np.bool_)
    statistic = (candidates - 1) * float(((sums - seeds * (candidates + 1) / 2) ** 2).sum()) / spread
    if statistic <= chi2.ppf(1 - alpha, candidates - 1):
        return np.zeros(candidates, dtype=np.bool_)
    freedom = (seeds - 1) * (candidates - 1)
    left = max(0.0, 1 - statistic / (seeds * (candidates - 1)))  # 0 where every seed ranks them alike
    critical = student.ppf(1 - alpha / 2, freedom) * math.sqrt(2 * seeds * left * spread / freedom)
    return np.asarray(sums.max() - sums > critical)


def _worse_of_two(scores: np.ndarray, alpha: float) -> np.ndarray:
    """A paired t-test; where one fails on a seed, by no measurable amount, a sign test."""
    one, other = scores
    seeds = len(one)
    if np.isfinite(scores).all():
        differences = one - other
        lead = float(differences.mean())
        significant = abs(lead) > student.ppf(1 - alpha / 2, seeds - 1) * differences.std(ddof=1) / math.sqrt(seeds)
    else:
        wins, losses = int((one > other).sum()), int((one < other).sum())
        lead = wins - losses
        significant = lead != 0 and binomtest(wins, wins + losses).pvalue <= alpha
    return np.array([significant and lead < 0, significant and lead > 0])
