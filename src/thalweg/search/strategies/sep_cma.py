"""Separable CMA-ES: the covariance is a diagonal, so that memory and time grow as D does."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

from torch import Tensor

from thalweg.search.algorithm import State
from thalweg.search.strategies.covariance_adaptation import CovarianceAdaptation, Rates, full_rates, in_range


@lru_cache(maxsize=256)
def separable_rates(dim: int, population: int) -> Rates:
    """Those for a diagonal: without negative weights, and c_mu (D + 2) / 3 times as large (Ros and Hansen 2008), for
    there is less to learn."""
    full = full_rates(dim, population)
    weights = tuple(max(weight, 0.0) for weight in full.weights)
    return replace(full, weights=weights, total=1.0, mu=min(1 - full.one, full.mu * (dim + 2) / 3))


@dataclass(frozen=True)
class SepCMA(CovarianceAdaptation):
    """CMA-ES with a variance for each dimension and no correlations.

    It learns faster than `CMA` where the function is separable, or nearly so, and is lost where directions matter.
    """

    title = "separable CMA-ES"
    purpose = "Thousands of dimensions and more, where matrices do not fit; each dimension has a scale of its own."
    source = "Ros and Hansen, A simple modification in CMA-ES achieving linear time and space complexity, PPSN 2008"

    def rates(self, dim: int, population: int) -> Rates:
        return separable_rates(dim, population)

    def begin(self, s: State, variances: Tensor) -> None:
        s.C = variances.repeat(s.problem.runs, 1, 1)

    def sample(self, s: State) -> Tensor:
        x = s.draws.normal(self.points(s), s.problem.dim)
        return in_range(x.mul_((s.sigma * s.C.sqrt()).to(x.dtype)).add_(s.mean.to(x.dtype)))

    def whitened(self, s: State, y: Tensor) -> Tensor:
        return y / s.C.sqrt().to(y.dtype)

    def upright(self, s: State, z: Tensor) -> Tensor:
        return z

    def learn(self, s: State, lost: Tensor, path: Tensor, y: Tensor, weights: Tensor, rates: Rates) -> None:
        s.C.addcmul_(s.C, lost, value=-1).addcmul_(path, path, value=rates.one)
        s.C.baddbmm_(weights.mT, y.square_(), alpha=rates.mu)

    def variances(self, s: State) -> Tensor:
        return s.C

    def spectrum(self, s: State) -> Tensor:
        return s.C.sqrt()
