"""Before a race: the margin that is too small to matter, and how many paired seeds a verdict needs."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr, ndtri

from thalweg.race.statistics.intervals import FEWEST
from thalweg.race.statistics.significance import LEVEL, smallest_n

POWER = 0.8


def default_margin(baseline: ArrayLike, floor: float = 0.005) -> float:
    """The difference too small to matter: the larger of `floor` and half the baseline's deviation over its seeds.

    The floor is half a point where scores are shares or R2; pass 0 for a score without a natural unit.
    """
    values = np.asarray(baseline, dtype=float)
    return max(floor, float(values.std(ddof=1)) / 2) if len(values) > 1 else floor


def pairs_needed(sd: float, difference: float, margin: float = 0.0, comparisons: int = 1) -> int | None:
    """Pairs that decide with 80 % power, if `difference` is true and `sd` the deviation of paired differences.

    The smaller of two numbers. One shows the difference, at the first step of Holm's: Wilcoxon's test needs pi / 3
    times the pairs of a z test, and some more because the deviation is estimated (Guenther 1981). The other shows
    equivalence, where the margin exceeds the difference: if that is 0 and the margin half a standard deviation over
    seeds, it is 68 (1 - rho). None if neither can be.
    """
    shift = abs(difference)
    numbers: list[float] = []
    if shift > 0:
        z = float(ndtri(1 - LEVEL / (2 * comparisons)))
        pairs = math.pi / 3 * ((z + float(ndtri(POWER))) * sd / shift) ** 2 + z**2 / 2
        numbers.append(max(smallest_n(comparisons), pairs))
    if margin > shift:
        numbers.append(max(FEWEST, _pairs_for_equivalence(sd, shift, margin)))
    return math.ceil(min(numbers) - 1e-9) if numbers else None


def _pairs_for_equivalence(sd: float, shift: float, margin: float) -> float:
    """Solves for n: both one-sided z tests at 5 % reject with 80 % power."""

    def power(n: float) -> float:
        nearer, further = (math.sqrt(n) * (margin + side) / sd - ndtri(1 - LEVEL) for side in (-shift, shift))
        return float(ndtr(nearer) + ndtr(further) - 1)

    if sd == 0:
        return 1.0
    low, high = 0.0, 1.0
    while power(high) < POWER:
        low, high = high, 2 * high
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if power(middle) >= POWER else (middle, high)
    return high
