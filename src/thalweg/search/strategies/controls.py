"""What every strategy has to beat: random search and hill climbing."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from thalweg.search.algorithm import Algorithm, State, initial, middle
from thalweg.search.checks import check_whole
from thalweg.search.spaces import Bits, Box, Choices, Orders
from thalweg.search.strategies.discrete import ORDER_MOVES, best_of, drawn, move_count, moved


@dataclass(frozen=True)
class RandomSearch(Algorithm):
    """Points drawn anew in every generation: uniform, or in a box normal around x0 where there is a sigma0."""

    title = "random search"
    purpose = "The control: whatever does not beat it at equal evaluations has learnt nothing."
    source = "Brooks, A discussion of random methods for seeking maxima, Operations Research 6, 1958"
    spaces = (Box, Bits, Choices, Orders)

    population: int = 100

    def __post_init__(self) -> None:
        check_whole(population=self.population)

    def init(self, s: State) -> None:
        pass

    def sample(self, s: State) -> Tensor:
        return _anywhere(s, self.population)

    def update(self, s: State, x: Tensor, fitness: Tensor) -> None:
        pass


@dataclass(frozen=True)
class HillClimb(Algorithm):
    """Steps from the best point so far, `population` of them at once; the best is taken if it is no worse.

    In a box steps are normal. The share p of them that were better widens or narrows the next ones by Rechenberg's
    rule that it should be one in five, sigma <- sigma exp((p - 1/5) / d), with the damping d = 1 + D / (2 population)
    that Igel, Hansen and Roth use for so many at once. Elsewhere a step changes one bit or one choice, or makes one
    `move` in an order: the "reversal" of a stretch, as suits tours, or the "swap" of two places.

    The climb begins at the best of a first generation that may be anywhere, and never begins again.
    """

    title = "hill climbing"
    purpose = "The control for whatever claims to leave local optima; good by itself where there is but one."
    source = (
        "Rechenberg, Evolutionsstrategie, 1973; the damping: Igel, Hansen and Roth, Covariance matrix adaptation for "
        "multi-objective optimization, Evolutionary Computation 15, 2007"
    )
    spaces = (Box, Bits, Choices, Orders)

    population: int = 10
    move: str = "reversal"

    def __post_init__(self) -> None:
        check_whole(population=self.population)
        if self.move not in ORDER_MOVES:
            raise ValueError(f"move must be one of {', '.join(ORDER_MOVES)}, got {self.move!r}")

    def init(self, s: State) -> None:
        problem = s.problem
        s.best_x = torch.zeros(problem.runs, 1, problem.dim, dtype=problem.dtype, device=problem.device)
        s.best_f = torch.full_like(s.best_x[..., :1], math.inf)
        if isinstance(problem.space, Box):
            _, spread = middle(s)
            s.sigma = spread.repeat(problem.runs, 1, 1)

    def sample(self, s: State) -> Tensor:
        space = s.problem.space
        if s.generation == 0:
            return _anywhere(s, self.population)
        if isinstance(space, Box):
            return space.reflect(s.best_x + s.sigma * s.draws.normal(self.population, space.dim))
        which = s.draws.integers(max(move_count(space), 1), self.population)
        return moved(space, s.best_x, which, self.move)

    def update(self, s: State, x: Tensor, fitness: Tensor) -> None:
        if isinstance(s.problem.space, Box) and s.generation:
            share = (fitness.unsqueeze(-1) < s.best_f).to(x.dtype).mean(dim=1, keepdim=True)
            damping = 1 + s.problem.dim / (2 * self.population)
            # Where nothing was ever better than inf, there is nothing to be learnt of steps.
            s.sigma = torch.where(s.best_f < math.inf, s.sigma * ((share - 0.2) / damping).exp(), s.sigma)
        found, value = best_of(x, fitness)
        self._take(s, found, value, value <= s.best_f)

    def receive(self, s: State, x: Tensor, fitness: Tensor, runs: Tensor) -> None:
        self._take(s, x.unsqueeze(1), fitness.reshape(-1, 1, 1), runs.reshape(-1, 1, 1))

    def stops(self, s: State) -> dict[str, Tensor]:
        """In a box, where steps no longer move a point."""
        if not isinstance(s.problem.space, Box):
            return {}
        return {"step size": (s.best_x + s.sigma == s.best_x).all(-1).flatten()}

    def _take(self, s: State, x: Tensor, fitness: Tensor, taken: Tensor) -> None:
        s.best_x, s.best_f = torch.where(taken, x, s.best_x), torch.where(taken, fitness, s.best_f)


def _anywhere(s: State, count: int) -> Tensor:
    return initial(s, count) if isinstance(s.problem.space, Box) else drawn(s, count)
