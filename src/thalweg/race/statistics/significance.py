"""Tests of paired differences: Wilcoxon's exact signed-rank test, sign flips, Holm's correction; what n can reach."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import count

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

LEVEL = 0.05
FLIPS = 9999  # of the sign-flip test where 2^n are too many
EXACT = 14  # pairs up to which all sign flips are counted
BATCH = 2**22  # numbers that a resampling holds at a time, 32 MB

Scores = NDArray[np.float64]


def paired_differences(a: ArrayLike, b: ArrayLike) -> Scores:
    """A minus B, each rounded to twelve digits of the larger: or 0.97 - 0.93 and 1.0 - 0.96 would not tie.

    Raises ValueError where a score is not finite, or the shapes do not fit.
    """
    first, second = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    if first.shape[-1:] != second.shape[-1:] or not first.shape or first.shape[-1] == 0:
        raise ValueError(f"paired scores need equally many seeds, at least 1, got {first.shape} and {second.shape}")
    for scores in (first, second):
        if not np.isfinite(scores).all():
            bad = scores[~np.isfinite(scores)][0]
            raise ValueError(f"scores must be finite, got {bad}: give a diverged trial the worst score of its task")
    larger = np.maximum(np.abs(first), np.abs(second))
    with np.errstate(divide="ignore"):
        digits = np.ceil(np.log10(larger))
    shift = 10.0 ** np.clip(12 - digits, -22, 22)  # a power that a double holds exactly, so that equals stay equal
    rounded: Scores = np.rint((first - second) * shift) / shift
    return rounded


def signed_ranks(differences: ArrayLike) -> NDArray[np.int64]:
    """Ranks of |difference| among the differences that are not zero, doubled (whole also for ties), with their signs.

    Takes and returns shape (..., n); zero differences get rank 0.
    """
    d = np.asarray(differences, dtype=float)
    zeros = (d == 0).sum(axis=-1, keepdims=True)
    ranks = np.rint(2 * (rankdata(np.abs(d), axis=-1) - zeros)).astype(np.int64)
    return np.sign(d).astype(np.int64) * np.where(d == 0, 0, ranks)


def signed_rank_p(differences: ArrayLike) -> NDArray[np.float64]:
    """The two-sided p of Wilcoxon's signed-rank test, exact also with ties; zero differences are left out.

    Takes shape (..., n), returns (...). Under the null each sign is a fair coin, given the sizes (Wilcoxon 1945; with
    ties: Pratt and Gibbons 1981).
    """
    signed = signed_ranks(differences)
    smaller = np.minimum(np.where(signed > 0, signed, 0).sum(-1), np.where(signed < 0, -signed, 0).sum(-1))
    sizes = np.sort(np.abs(signed), axis=-1).reshape(-1, signed.shape[-1])
    tails = [
        _lower_tail(tuple(row[row > 0].tolist()))[observed]
        for row, observed in zip(sizes, smaller.ravel(), strict=True)
    ]
    p: NDArray[np.float64] = np.minimum(1.0, 2 * np.array(tails, dtype=np.float64))
    return p.reshape(smaller.shape)


@lru_cache(maxsize=4096)
def _lower_tail(ranks: tuple[int, ...]) -> NDArray[np.float64]:
    """P(sum of positive ranks <= s) for s = 0, 1, ..., found by adding the ranks one at a time."""
    chances = np.zeros(sum(ranks) + 1)
    chances[0] = 1.0
    for rank in ranks:
        with_rank = np.concatenate([np.zeros(rank), chances[:-rank]])
        chances = (chances + with_rank) / 2
    return np.cumsum(chances)


def sign_flip_p(differences: ArrayLike) -> NDArray[np.float64]:
    """The two-sided p of the mean under sign flips: all of them up to 14 pairs, else 9,999 drawn with a fixed seed.

    Takes shape (..., n), returns (...). Drawn flips count the observed one among them, so p is never below 1/10,000
    (Phipson and Smyth 2010).
    """
    d = np.asarray(differences, dtype=float)
    rows, n = d.reshape(-1, d.shape[-1]), d.shape[-1]
    exact = n <= EXACT
    flips = _all_flips(n) if exact else np.random.default_rng(0).choice((-1.0, 1.0), size=(FLIPS, n))
    noise = 1e-12 * np.abs(rows).sum(axis=1)
    sums = np.abs(rows.sum(axis=1)) - noise
    extreme = np.concatenate([(np.abs(rows[s] @ flips.T) >= sums[s, None]).sum(1) for s in batches(rows, flips)])
    p = extreme / len(flips) if exact else (1 + extreme) / (1 + FLIPS)
    return np.asarray(p, dtype=float).reshape(d.shape[:-1])


def _all_flips(n: int) -> NDArray[np.float64]:
    """Half of the 2^n vectors of signs; the other half are their opposites, which are as extreme."""
    backwards = np.arange(2 ** (n - 1))[:, None] >> np.arange(n) & 1
    return 1.0 - 2.0 * backwards.astype(np.float64)


def batches(rows: NDArray[np.float64], resamples: NDArray[np.float64]) -> Iterator[slice]:
    """Slices of the rows, each so short that a number for every resample of every row fits into BATCH."""
    size = max(1, BATCH // len(resamples))
    yield from (slice(start, start + size) for start in range(0, len(rows), size))


def holm(p: ArrayLike) -> NDArray[np.float64]:
    """Holm's step-down adjustment of families of p values (Holm 1979). Each row of shape (..., k) is a family.

    >>> holm([0.01, 0.04, 0.03, 0.005]).tolist()
    [0.03, 0.06, 0.06, 0.02]
    """
    values = np.asarray(p, dtype=float)
    order = np.argsort(values, axis=-1, kind="stable")
    steps = np.take_along_axis(values, order, axis=-1) * np.arange(values.shape[-1], 0, -1)
    adjusted = np.empty_like(values)
    np.put_along_axis(adjusted, order, np.minimum(1.0, np.maximum.accumulate(steps, axis=-1)), axis=-1)
    return adjusted


def smallest_p(pairs: int, comparisons: int) -> float:
    """The smallest p that a family of comparisons can reach with so many pairs, after Holm."""
    return min(1.0, 2.0 ** (1 - pairs) * comparisons)


def smallest_n(comparisons: int) -> int:
    """The fewest pairs with which a family of comparisons can reach p < 0.05 after Holm.

    >>> smallest_n(1), smallest_n(7), smallest_n(28)
    (6, 9, 11)
    """
    return next(n for n in count(1) if smallest_p(n, comparisons) < LEVEL)
