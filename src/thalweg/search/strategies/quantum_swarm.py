"""Quantum-behaved particle swarm: particles without velocities, found around an attractor with some probability."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from thalweg.search.algorithm import Algorithm, State, initial
from thalweg.search.checks import check_positive, check_whole
from thalweg.search.strategies.members import remember, rows, take_in


@dataclass(frozen=True)
class QPSO(Algorithm):
    """`x <- p +- b |m - x| ln(1 / u)`: p is a random point between a particle's best and the best of all, in each
    dimension, and m the mean of all particles' bests.

    The contraction b falls from `start` to `end` over the budget; without a budget it is their mean all the time.
    """

    title = "quantum-behaved particle swarm"
    purpose = "Smooth functions: a swarm with one constant to set, which leaps further than pso's."
    source = (
        "Sun, Feng and Xu, Particle swarm optimization with particles having quantum behavior, CEC 2004; Sun, Xu and "
        "Feng, A global search strategy of quantum-behaved particle swarm optimization, IEEE CIS 2004"
    )
    batched = ("start", "end")

    population: int = 40
    start: float | Tensor = 1.0
    end: float | Tensor = 0.5

    def __post_init__(self) -> None:
        check_whole(2, population=self.population)
        check_positive(start=self.start, end=self.end)

    def init(self, s: State) -> None:
        s.x = initial(s, self.population)
        s.own, s.own_f = s.x.clone(), torch.full_like(s.x[..., 0], math.inf)

    def sample(self, s: State) -> Tensor:
        if s.generation == 0:
            return s.x.clone()
        shape = s.x.shape[1:]
        best = rows(s.own, s.own_f.argmin(1, keepdim=True))
        attractor = torch.lerp(best, s.own, s.draws.factors(*shape))
        distance = (s.own.mean(1, keepdim=True) - s.x).abs_()
        x = attractor.addcmul_(distance.mul_(self._contraction(s)), _laplace(s.draws.uniform(*shape)))
        return x.clamp_(s.problem.low, s.problem.high)

    def update(self, s: State, x: Tensor, fitness: Tensor) -> None:
        remember(s.own, s.own_f, x, fitness)
        s.x = x

    def receive(self, s: State, x: Tensor, fitness: Tensor, runs: Tensor) -> None:
        take_in(s.own, s.own_f, x, fitness, runs)

    def _contraction(self, s: State) -> Tensor | float:
        if s.problem.budget is None:
            return (self.start + self.end) / 2
        return self.start + (self.end - self.start) * s.progress


def _laplace(u: Tensor) -> Tensor:
    """Plus or minus ln(1 / w), with w and the sign from one u, uniform in [0, 1)."""
    t = u.mul_(2).sub_(1)
    # Where |t| is 1 the logarithm is infinite, and so would be a step.
    size = t.abs().clamp_(max=1 - torch.finfo(u.dtype).eps).neg_().log1p_()
    return size.copysign_(t)
