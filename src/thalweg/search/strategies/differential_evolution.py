"""Differential evolution, rand/1/bin; and how all of its family cross and stay in the box."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from thalweg.search.algorithm import Algorithm, State, initial
from thalweg.search.checks import check_whole, check_within
from thalweg.search.strategies.members import remember, rows, take_in


@dataclass(frozen=True)
class DE(Algorithm):
    """`mutant = a + weight (b - c)` of three other members; a trial takes each coordinate of it with probability
    `crossover`, and one in any case, the others of its parent, whose place it takes if it is as good.

    a, b and c are distinct. A coordinate outside the box becomes the middle of the parent's and the side.
    """

    title = "differential evolution, rand/1/bin"
    purpose = (
        "Curved valleys, with patience; for many regular valleys crossover=0.1. Others of its kind set themselves."
    )
    source = (
        "Storn and Price, Differential evolution: a simple and efficient heuristic for global optimization over "
        "continuous spaces, Journal of Global Optimization 11, 1997"
    )
    batched = ("weight", "crossover")

    population: int = 100
    weight: float | Tensor = 0.5
    crossover: float | Tensor = 0.9

    def __post_init__(self) -> None:
        check_whole(4, population=self.population)  # a member and three others
        check_within("[0, inf)", weight=self.weight)
        check_within("[0, 1]", crossover=self.crossover)

    def init(self, s: State) -> None:
        s.own = initial(s, self.population)
        s.own_f = torch.full_like(s.own[..., 0], math.inf)

    def sample(self, s: State) -> Tensor:
        if s.generation == 0:
            return s.own.clone()
        a, b, c = (rows(s.own, places) for places in three_others(s, self.population))
        return crossed(s, s.own, a.add_(b.sub_(c).mul_(self.weight)), self.crossover)

    def update(self, s: State, x: Tensor, fitness: Tensor) -> None:
        remember(s.own, s.own_f, x, fitness, ties=True)

    def receive(self, s: State, x: Tensor, fitness: Tensor, runs: Tensor) -> None:
        take_in(s.own, s.own_f, x, fitness, runs)


def crossed(s: State, parents: Tensor, mutants: Tensor, crossover: float | Tensor) -> Tensor:
    """Trials, all (runs, P, D): binomial crossover after the mutants' return to the box; mutants are overwritten."""
    inside = mutants.clamp(s.problem.low, s.problem.high)
    outside = mutants.ne_(inside)  # 1 where it is: masks of the dtype are far faster than those of bool
    repaired = inside.lerp_(parents, outside.mul_(0.5))
    population, dim = parents.shape[1:]
    taken = s.draws.factors(population, dim).lt_(crossover)
    taken.scatter_(2, s.draws.integers(dim, population, 1), 1.0)
    return torch.lerp(parents, repaired, taken, out=repaired)


def past(drawn: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """Indices drawn among those that are left, as indices among all: they step over two that are taken."""
    low, high = torch.minimum(first, second), torch.maximum(first, second)
    drawn = drawn + (drawn >= low)
    return drawn + (drawn >= high)


def three_others(s: State, population: int) -> tuple[Tensor, Tensor, Tensor]:
    """For each member three others, each (runs, P): all different."""
    first, second, third = (s.draws.integers(population - taken, population) for taken in (1, 2, 3))
    second = second + (second >= first)
    third = past(third, first, second)
    # So far they count from the member after.
    after = torch.arange(1, population + 1, device=s.own.device)
    first, second, third = ((places + after).remainder_(population) for places in (first, second, third))
    return first, second, third
