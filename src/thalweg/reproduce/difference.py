"""A mean difference over seeds with its interval, and what several of them say together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from thalweg.race.statistics import mean_interval
from thalweg.reproduce.statements import FAILS, HOLDS, PARTLY, UNDECIDED


@dataclass(frozen=True)
class Difference:
    """A mean over seeds, and its 95 % interval; of fewer than six seeds Student's, else corrected BCa. Where a seed's
    number is not finite nothing is known: all three are not a number, neither above nor below nothing.

    Of a family of comparisons, of which one that is clear decides, the intervals are wider (Bonferroni): all of them
    hold together in 95 of 100 cases."""

    mean: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float], family: int = 1) -> Difference:
        """That of numbers, one a seed; `family` is of how many comparisons it is one."""
        if not all(map(math.isfinite, values)):
            return cls(math.nan, math.nan, math.nan)
        low, high = mean_interval(np.asarray(values, dtype=float), 1 - 0.05 / family)
        return cls(fmean(values), float(low), float(high))

    @property
    def above(self) -> bool:
        """Whether it is clearly more than nothing."""
        return self.low > 0

    @property
    def below(self) -> bool:
        """Whether it is clearly less than nothing."""
        return self.high < 0

    def __str__(self) -> str:
        if math.isnan(self.mean):
            return "not finite on every seed"
        return f"{self.mean:+.2f} [{self.low:+.2f}, {self.high:+.2f}]".replace("-", "−")


def all_above(found: Sequence[Difference]) -> str:
    """Whether all differences are above nothing, clearly or at least on the whole."""
    if any(one.below for one in found):
        return FAILS
    if all(one.above for one in found):
        return HOLDS
    return PARTLY if all(one.mean > 0 for one in found) else UNDECIDED
