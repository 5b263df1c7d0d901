"""Restarts of a search that has come to rest: with ever larger populations (IPOP), or large and small ones in turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from thalweg.search.checks import check_whole, check_within


@dataclass(frozen=True)
class Plan:
    """How a search begins: `scale` times the population, and `spread` times sigma0, of the first one.

    `most`: so many evaluations it may take, a generation at least; None: all that are left. `large`: whether it is one
    of those whose population grows.
    """

    scale: float = 1.0
    spread: float = 1.0
    most: int | None = None
    large: bool = False


class Past(NamedTuple):
    """A search that is over: how it began, and how many evaluations it took."""

    plan: Plan
    evals: int


@dataclass(frozen=True)
class IPOP:
    """A population `factor` times as large at each restart (Auger and Hansen, A restart CMA evolution strategy with
    increasing population size, CEC 2005); `most` restarts, or as many as the budget allows."""

    factor: float = 2.0
    most: int | None = None

    def __post_init__(self) -> None:
        _check(self.factor, self.most)

    def next(self, past: Sequence[Past], first: float, second: float) -> Plan | None:
        """How to begin after what went before; None: not again. `first` and `second` are uniform in [0, 1)."""
        if self.most is not None and len(past) > self.most:
            return None
        return Plan(self.factor ** len(past), large=True)


@dataclass(frozen=True)
class BIPOP:
    """Of two kinds of restart the one that has taken fewer evaluations (Hansen, Benchmarking a BI-population CMA-ES on
    the BBOB-2009 function testbed, GECCO 2009).

    Large ones have a population `factor` times that of the last large one, and sigma0. Small ones have a population of
    λ (λ_large / 2λ)^(u²), a spread of 10^(-2v) sigma0, for u and v uniform in [0, 1), and take at most half as many
    evaluations as the last large one. The first search counts as small, as in pycma, so the first restart is large.
    `most` is of large restarts.
    """

    factor: float = 2.0
    most: int | None = None

    def __post_init__(self) -> None:
        _check(self.factor, self.most)

    def next(self, past: Sequence[Past], first: float, second: float) -> Plan | None:
        """As that of `IPOP`."""
        large = [one for one in past if one.plan.large]
        small = [one for one in past if not one.plan.large]
        if sum(one.evals for one in small) < sum(one.evals for one in large):
            scale = max(1.0, 0.5 * large[-1].plan.scale) ** (first**2)
            return Plan(scale, 10 ** (-2 * second), most=large[-1].evals // 2)
        if self.most is not None and len(large) >= self.most:
            return None
        return Plan(self.factor ** (len(large) + 1), large=True)


Restarts = IPOP | BIPOP
RESTARTS: dict[str, type[Restarts]] = {"ipop": IPOP, "bipop": BIPOP}


def restarts_named(restarts: str | Restarts | None) -> Restarts | None:
    """The restarts of this name. Raises ValueError if there are none."""
    if isinstance(restarts, str) and restarts in RESTARTS:
        return RESTARTS[restarts]()
    if restarts is None or isinstance(restarts, (IPOP, BIPOP)):
        return restarts
    raise ValueError(f"restarts must be None, 'ipop', 'bipop', an IPOP or a BIPOP, got {restarts!r:.80}")


def _check(factor: float, most: int | None) -> None:
    check_within("[1, inf]", factor=factor)
    check_whole(0, most=most)
