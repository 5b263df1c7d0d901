"""Ant colony optimization of real vectors: an archive of good points, and normal noise around them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from thalweg.search.algorithm import Algorithm, State, initial
from thalweg.search.checks import check_positive, check_whole
from thalweg.search.spaces import Box


@dataclass(frozen=True)
class ACOR(Algorithm):
    """ACO_R. The pheromone is an archive of the `archive` best points ever, ranked. An ant follows one of them, l with
    probability proportional to `exp(-(l - 1)^2 / (2 (q k)^2))`, and goes to a normal point around it whose standard
    deviation in each dimension is `xi` times the mean distance from it to the other points of the archive.

    Arguments:
        population: so many ants in a generation. With 25 of them and q = 0.1 it is slower than the paper's 2 and 1e-4
            on functions of one valley, and finds the right one of many far more often.
        archive: so many points are kept; the first generation is as large.
        q: the smaller, the more ants follow the best.
        xi: the larger, the slower it contracts.
    """

    title = "ant colony for continuous domains"
    purpose = "Up to some tens of dimensions, where valleys are many but not too rugged, and evaluations are few."
    source = "Socha and Dorigo, Ant colony optimization for continuous domains, EJOR 185, 2008"
    batched = ("q", "xi")

    population: int = 25
    archive: int = 50
    q: float | Tensor = 0.1
    xi: float | Tensor = 0.85

    def __post_init__(self) -> None:
        check_whole(2, population=self.population, archive=self.archive)
        check_positive(q=self.q, xi=self.xi)

    def init(self, s: State) -> None:
        pass

    def sample(self, s: State) -> Tensor:
        if s.generation == 0:
            return initial(s, self.archive)
        problem = s.problem
        assert isinstance(problem.space, Box)
        ranks = torch.arange(self.archive, dtype=problem.dtype, device=problem.device)
        chances = weights(self.q, ranks).cumsum(-1).expand(problem.runs, 1, -1).contiguous()
        choice = torch.searchsorted(chances, s.draws.uniform(1, self.population)).clamp_(max=self.archive - 1)
        leader = s.archive.gather(1, choice.reshape(problem.runs, -1, 1).expand(-1, -1, problem.dim))
        distance = (s.archive.unsqueeze(1) - leader.unsqueeze(2)).abs_().sum(2).div_(self.archive - 1)
        return problem.space.reflect(leader + self.xi * distance * s.draws.normal(self.population, problem.dim))

    def update(self, s: State, x: Tensor, fitness: Tensor) -> None:
        if s.generation > 0:
            x, fitness = torch.cat([s.archive, x], 1), torch.cat([s.f, fitness], 1)
        fitness, order = fitness.sort(dim=1, stable=True)
        s.f = fitness[:, : self.archive].contiguous()
        s.archive = x.gather(1, order[:, : self.archive, None].expand(-1, -1, x.shape[-1]))

    def receive(self, s: State, x: Tensor, fitness: Tensor, runs: Tensor) -> None:
        if s.generation > 0:
            self.update(s, x.unsqueeze(1), torch.where(runs, fitness, math.inf).unsqueeze(1))


def weights(q: float | Tensor, ranks: Tensor) -> Tensor:
    """The probability with which an ant follows each of the points of these ranks, 0 of the best one."""
    return torch.softmax(-0.5 * (ranks / (q * ranks.shape[-1])) ** 2, -1)
