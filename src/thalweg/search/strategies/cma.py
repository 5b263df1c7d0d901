"""CMA-ES: evolution with a covariance of its own."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from thalweg.search.algorithm import State
from thalweg.search.checks import check_positive, check_within
from thalweg.search.strategies.covariance_adaptation import CovarianceAdaptation, Rates, in_range

GIB = 2**30


@dataclass(frozen=True)
class CMA(CovarianceAdaptation):
    """Covariance matrix adaptation, with the weights, rates and tolerances of pycma 4.5:

        x = mean + sigma N(0, C)
        C = (1 - c_1 - c_mu sum(w)) C + c_1 p p' + c_mu sum(w y y'),  y = (x - mean) / sigma

    where w are weights by rank, negative for the worse half, whose y are cut to length sqrt(D) before; p is the path of
    the mean. C is taken apart every max(1, 1 / (10 D (c_1 + c_mu))) generations, and held in float64 whatever the dtype
    of points.

    Arguments beyond those of `CovarianceAdaptation`:
        stale: samples may also be of a C that is as old as this share of 1 / (c_1 + c_mu), the generations in which C
            changes. The published 1 / (10 D) is that share in 10 dimensions and ever smaller above, where it has C
            taken apart in every generation at most of the cost; 0 is as published.
        memory_limit: in bytes; a search that would take more, about 8 (6 D^2 + population D) a run, is refused.

    It finds its scale and its directions by itself: sigma0 of about a fifth of the region is enough.
    """

    title = "CMA-ES"
    purpose = (
        "The first to try where there is no gradient and D is at most some hundreds, however ill-conditioned it is."
    )
    source = "Hansen, The CMA evolution strategy: a tutorial, arXiv:1604.00772, 2016; pycma 4.5"

    stale: float = 0.01
    memory_limit: int = 2 * GIB

    def __post_init__(self) -> None:
        super().__post_init__()
        check_within("[0, 1)", stale=self.stale)
        check_positive(memory_limit=self.memory_limit)

    def init(self, s: State) -> None:
        points, dim = self.points(s), s.problem.dim
        needed = 8 * s.problem.runs * (6 * dim**2 + points * dim)
        if needed > self.memory_limit:
            raise ValueError(
                f"memory_limit must be at least {needed} bytes ({needed / GIB:.1f} GiB) for cma in {dim} dimensions, "
                f"got {self.memory_limit}; sep-cma does without the matrices"
            )
        super().init(s)

    def begin(self, s: State, variances: Tensor) -> None:
        runs, dim = s.problem.runs, s.problem.dim
        s.C = torch.diag_embed(variances).reshape(1, dim, dim).repeat(runs, 1, 1)
        s.axes = torch.eye(dim).to(s.C).repeat(runs, 1, 1)  # a row each
        s.lengths = variances.sqrt().repeat(runs, 1, 1)
        s.taken_apart = 0  # in which generation

    def sample(self, s: State) -> Tensor:
        points, dim = self.points(s), s.problem.dim
        rates = self.rates(dim, points)
        if s.generation - s.taken_apart >= max(1, math.floor(max(0.1 / dim, self.stale) / (rates.one + rates.mu))):
            self._take_apart(s)
        z = s.draws.normal(points, dim)
        z.mul_((s.sigma * s.lengths).to(z.dtype))
        return in_range(torch.baddbmm(s.mean.to(z.dtype), z, s.axes.to(z.dtype)))

    def _take_apart(self, s: State) -> None:
        variances, axes = torch.linalg.eigh(s.C)
        smallest = torch.finfo(variances.dtype).eps * variances[:, -1:]  # rounding may leave less than nothing
        s.lengths = torch.maximum(variances, smallest).sqrt_().unsqueeze_(1)
        s.axes = axes.mT.contiguous()
        s.taken_apart = s.generation

    def whitened(self, s: State, y: Tensor) -> Tensor:
        return torch.bmm(y, s.axes.mT.to(y.dtype)).div_(s.lengths.to(y.dtype))

    def upright(self, s: State, z: Tensor) -> Tensor:
        return torch.bmm(z, s.axes)

    def learn(self, s: State, lost: Tensor, path: Tensor, y: Tensor, weights: Tensor, rates: Rates) -> None:
        s.C.addcmul_(s.C, lost, value=-1)
        s.C.baddbmm_(path.mT, path, alpha=rates.one)
        s.C.baddbmm_((weights * y).mT, y, alpha=rates.mu)

    def variances(self, s: State) -> Tensor:
        return s.C.diagonal(dim1=1, dim2=2).unsqueeze(1)

    def spectrum(self, s: State) -> Tensor:
        return s.lengths
