"""Two methods on one task over paired seeds: better, equivalent, worse or undecided, and by how much."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from thalweg.race.statistics.effects import cliffs_delta, hedges_g, seed_correlation, superiority
from thalweg.race.statistics.intervals import FEWEST, mean_intervals
from thalweg.race.statistics.planning import pairs_needed
from thalweg.race.statistics.significance import (
    LEVEL,
    Scores,
    holm,
    paired_differences,
    sign_flip_p,
    signed_rank_p,
    signed_ranks,
)

Verdict = Literal["better", "equivalent", "worse", "undecided"]
Test = Literal["signed-rank", "sign-flip"]
SWAPPED: dict[Verdict, Verdict] = {"better": "worse", "worse": "better"}


@dataclass(frozen=True)
class Comparison:
    """What paired scores of A and B say about A. Higher scores are better.

    `low` to `high` is the 95 % interval of the mean difference A - B over pairs, `low_90` to `high_90` the 90 % one.
    `p` is the test's after Holm, `p_alone` before. `probability` is P(A better than B) on a shared seed, `cliff`
    Cliff's delta, `hedges` the difference in standard deviations over seeds, `correlation` that of the seeds.

    The verdict is "equivalent" where the 90 % interval lies within plus and minus `margin` (two one-sided tests at
    5 %; Schuirmann 1987), also where the difference is significant: real, but too small to matter. Else it is "better"
    or "worse" where p < 0.05 and mean and test point the same way. Else it is "undecided", and `needed` says how many
    pairs would decide with 80 % power if the true difference were the observed one (None: no number would). A large p
    never shows that A equals B: without a margin nothing is equivalent.
    """

    n: int
    difference: float
    low: float
    high: float
    low_90: float
    high_90: float
    p_alone: float
    p: float
    probability: float
    cliff: float
    hedges: float
    correlation: float
    margin: float
    verdict: Verdict
    needed: int | None


@dataclass(frozen=True)
class Judgement:
    """Families of comparisons as arrays of shape (..., k); the fields are those of `Comparison`."""

    difference: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    low_90: NDArray[np.float64]
    high_90: NDArray[np.float64]
    p_alone: NDArray[np.float64]
    p: NDArray[np.float64]
    margin: NDArray[np.float64]
    verdict: NDArray[np.str_]


def against(
    scores: Mapping[str, ArrayLike], baseline: str, margin: float | None = None, test: Test = "signed-rank"
) -> dict[str, Comparison]:
    """Each other method of one task against the baseline, by name: one family for Holm.

    `scores` has an array of shape (seeds,) a method, paired by position. Each comparison is of the method minus the
    baseline. See `default_margin` for a margin; None or 0 knows no equivalence.

    >>> base = np.linspace(0.90, 0.92, 15)
    >>> found = against({"sgd": base, "adam": base + np.linspace(0.01, 0.02, 15)}, "sgd", margin=0.005)
    >>> found["adam"].verdict, round(found["adam"].difference, 3)
    ('better', 0.015)
    """
    if baseline not in scores:
        raise ValueError(f"baseline must be one of {', '.join(scores)}, got {baseline}")
    others = [name for name in scores if name != baseline]
    compared = compare([(scores[name], scores[baseline]) for name in others], margin, test)
    return dict(zip(others, compared, strict=True))


def compare(
    pairs: Sequence[tuple[ArrayLike, ArrayLike]],
    margin: float | Sequence[float] | None = None,
    test: Test = "signed-rank",
) -> list[Comparison]:
    """Compares A with B in each pair of score arrays, of shape (seeds,); the pairs are one family for Holm.

    `margin` is one for all or one a pair. Raises ValueError where scores are not finite or their numbers differ.
    """
    if not pairs:
        return []
    lengths = {np.shape(scores) for pair in pairs for scores in pair}
    if len(lengths) > 1 or len(next(iter(lengths))) != 1:
        raise ValueError(f"all scores of a family need one shape (seeds,), got {sorted(lengths)}")
    differences = np.stack([paired_differences(a, b) for a, b in pairs])
    judged = judge(differences, margin, test)
    return [_comparison(a, b, judged, i, _needed(differences[i], judged, i)) for i, (a, b) in enumerate(pairs)]


def judge(differences: ArrayLike, margin: ArrayLike | None = None, test: Test = "signed-rank") -> Judgement:
    """Verdicts on paired differences of shape (..., k, n): n pairs, k comparisons to a family, any number of families.

    `margin` has the shape (..., k) or one that broadcasts to it. Equivalence is tested one comparison at a time: Holm
    adjusts the differences alone. Below six pairs all is undecided: no p can fall under 0.05.
    """
    if test not in ("signed-rank", "sign-flip"):
        raise ValueError(f"test must be signed-rank or sign-flip, got {test}")
    d = np.asarray(differences, dtype=float)
    margins = np.broadcast_to(np.asarray(0.0 if margin is None else margin, dtype=float), d.shape[:-1])
    if not (np.isfinite(margins) & (margins >= 0)).all():
        raise ValueError(f"margin must be finite and >= 0, got {margin!r}")
    mean = d.mean(axis=-1)
    mean = np.where(np.abs(mean) <= 1e-12 * np.abs(d).max(axis=-1), 0.0, mean)
    (low, high), (low_90, high_90) = mean_intervals(d, (0.95, 0.90))
    p_alone = signed_rank_p(d) if test == "signed-rank" else sign_flip_p(d)
    p = holm(p_alone)
    # One seed far off can turn the mean against the ranks: then nothing may be called better.
    direction = np.sign(mean) * (np.sign(signed_ranks(d).sum(axis=-1)) == np.sign(mean))
    equivalent = (low_90 > -margins) & (high_90 < margins) & (d.shape[-1] >= FEWEST)
    verdict = np.select(
        [equivalent, (p < LEVEL) & (direction > 0), (p < LEVEL) & (direction < 0)],
        ["equivalent", "better", "worse"],
        "undecided",
    )
    return Judgement(mean, low, high, low_90, high_90, p_alone, p, margins, verdict)


def _comparison(a: ArrayLike, b: ArrayLike, judged: Judgement, i: int, needed: int | None) -> Comparison:
    return Comparison(
        n=np.size(a),
        difference=float(judged.difference[i]),
        low=float(judged.low[i]),
        high=float(judged.high[i]),
        low_90=float(judged.low_90[i]),
        high_90=float(judged.high_90[i]),
        p_alone=float(judged.p_alone[i]),
        p=float(judged.p[i]),
        probability=superiority(a, b),
        cliff=cliffs_delta(a, b),
        hedges=hedges_g(a, b),
        correlation=seed_correlation(a, b),
        margin=float(judged.margin[i]),
        verdict=cast(Verdict, str(judged.verdict[i])),
        needed=needed,
    )


def _needed(differences: Scores, judged: Judgement, i: int) -> int | None:
    """More pairs than there are, or None: it is decided, one pair shows no spread, or mean and test disagree."""
    n, k = len(differences), len(judged.p)
    if judged.verdict[i] != "undecided" or n == 1 or judged.p[i] < LEVEL:
        return None
    sd = float(differences.std(ddof=1))
    needed = pairs_needed(sd, float(judged.difference[i]), float(judged.margin[i]), k)
    return None if needed is None else max(needed, n + 1)
