"""What may be said of paired scores: Wilcoxon's exact signed-rank test, Holm's correction, bootstrap intervals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import bootstrap, rankdata

LEVEL = 0.05

Scores = NDArray[np.float64]


@dataclass(frozen=True)
class Comparison:
    """Paired scores A minus B: mean difference, its 95 % confidence interval, p after Holm, and the verdict on A.

    The verdict is "better" or "worse" where p < 0.05, else "undecided": a large p does not show that A equals B.
    """

    difference: float
    low: float
    high: float
    p: float

    @property
    def verdict(self) -> str:
        if self.p >= LEVEL or self.difference == 0:
            return "undecided"
        return "better" if self.difference > 0 else "worse"


def compare(pairs: Sequence[tuple[Scores, Scores]]) -> list[Comparison]:
    """Compares A with B in each pair of score arrays, of shape (seeds,); the pairs are one family for Holm."""
    differences = [(a - b).round(12) for a, b in pairs]  # or 0.97 - 0.93 and 1.0 - 0.96 would not tie
    adjusted = holm([signed_rank_p(difference) for difference in differences])
    return [
        Comparison(float(difference.mean()), *mean_interval(difference), p)
        for difference, p in zip(differences, adjusted, strict=True)
    ]


def verdicts_against_best(scores: Mapping[str, Scores]) -> dict[str, str]:
    """For each method "best" if its mean score is the highest, else "worse" or "undecided" against the best.

    `scores` holds an array of shape (seeds,) a method, paired by position; the others form one family for Holm. That
    the best was picked by the same scores makes it look a little better than it is.
    """
    means = {name: round(float(values.mean()), 12) for name, values in scores.items()}
    best = max(means, key=lambda name: means[name])
    others = [name for name in scores if means[name] < means[best]]
    compared = compare([(scores[name], scores[best]) for name in others])
    verdicts = {name: comparison.verdict for name, comparison in zip(others, compared, strict=True)}
    return {name: verdicts.get(name, "best") for name in scores}


def mean_ranks(means: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The rank of each method by mean score, 1 the highest, equals sharing theirs, averaged over the tasks."""
    names = list(means[0])
    ranks = [rankdata([-round(task[name], 12) for name in names]) for task in means]
    return dict(zip(names, np.mean(ranks, axis=0).tolist(), strict=True))


def signed_rank_p(differences: Scores) -> float:
    """The two-sided p of Wilcoxon's signed-rank test, exact also with ties; zero differences are left out.

    Under the null each sign is a fair coin, so the distribution of the sum of positive ranks is found by adding the
    ranks one at a time. Ranks are doubled, which makes those of ties whole.
    """
    nonzero = differences[differences != 0]
    ranks = np.rint(2 * rankdata(np.abs(nonzero))).astype(int)
    chances = np.zeros(ranks.sum() + 1)
    chances[0] = 1.0
    for rank in ranks:
        with_rank = np.concatenate([np.zeros(rank), chances[:-rank]])
        chances = (chances + with_rank) / 2
    observed = min(ranks[nonzero > 0].sum(), ranks[nonzero < 0].sum())
    return float(min(1.0, 2 * chances[: observed + 1].sum()))


def smallest_p(seeds: int, comparisons: int) -> float:
    """The smallest p that a family of comparisons can reach with so many seeds, after Holm."""
    return min(1.0, 2.0 ** (1 - seeds) * comparisons)


def holm(p: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment of a family of p values (Holm 1979)."""
    adjusted = [0.0] * len(p)
    running = 0.0
    for position, index in enumerate(sorted(range(len(p)), key=lambda i: p[i])):
        running = max(running, min(1.0, (len(p) - position) * p[index]))
        adjusted[index] = running
    return adjusted


def mean_interval(differences: Scores) -> tuple[float, float]:
    """The 95 % bootstrap interval of the mean (BCa, Efron 1987), drawn with a fixed seed."""
    if np.ptp(differences) == 0:  # nothing to resample
        return float(differences[0]), float(differences[0])
    interval = bootstrap((differences,), np.mean, rng=np.random.default_rng(0)).confidence_interval
    return float(interval.low), float(interval.high)
