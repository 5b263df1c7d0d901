"""Ant colony optimization of bits, choices and orders."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from thalweg.search.algorithm import Algorithm, State
from thalweg.search.checks import check_whole, check_within
from thalweg.search.spaces import Bits, Choices, Orders
from thalweg.search.strategies.discrete import best_of, sizes


@dataclass(frozen=True)
class DiscreteAnts(Algorithm):
    """A MAX-MIN ant system in the hyper-cube framework.

    Pheromone tau lies on each value of each place or, of orders, on each step from one value to the next, on a round
    trip. An ant takes a value (of those that it has not taken yet) with probability proportional to tau^alpha
    eta^beta, where eta is the `heuristic`. After a generation

        tau <- (1 - evaporation) tau + evaporation ((1 - elitism) b + elitism g)

    where b is 1 on what the generation's best ant took and 0 elsewhere, and g is that of the best ant ever. So deposits
    are normalised, whatever sign and scale fitness has, and tau is at most tau_max = 1, where it begins. It is kept at
    or above tau_min = tau_max (1 - p) / ((n - 1) p), with p = p_best^(1 / D) and n the number of values to choose from
    (in orders D / 2, the average): a colony that has converged repeats its best point with probability `p_best`.

    Arguments:
        population: so many ants a generation.
        heuristic: what is known beforehand, larger for what is better, positive: (D, K) for choices of at most K
            values, (D, 2) for bits, (D, D) for orders, from a row's value to a column's, such as 1 / distance.
        symmetric: whether in orders a step is as good as the step back.
    """

    title = "ant colony optimization, discrete"
    purpose = "Tours, and choices that are good or bad mostly by themselves; what is known beforehand helps it much."
    source = (
        "Stuetzle and Hoos, MAX-MIN ant system, Future Generation Computer Systems 16, 2000; Blum and Dorigo, The "
        "hyper-cube framework for ant colony optimization, IEEE Transactions on Systems, Man and Cybernetics B 34, 2004"
    )
    spaces = (Bits, Choices, Orders)
    batched = ("evaporation", "alpha", "beta", "elitism")
    tables = ("heuristic",)

    population: int = 30
    evaporation: float | Tensor = 0.05
    alpha: float | Tensor = 1.0
    beta: float | Tensor = 2.0
    elitism: float | Tensor = 0.5
    p_best: float = 0.05
    heuristic: Tensor | None = None
    symmetric: bool = True

    def __post_init__(self) -> None:
        check_whole(population=self.population)
        check_within("[0, 1]", evaporation=self.evaporation, elitism=self.elitism)
        check_within("[0, inf]", alpha=self.alpha, beta=self.beta)
        check_within("(0, 1)", p_best=self.p_best)

    def init(self, s: State) -> None:
        problem = s.problem
        shape = (problem.dim, int(self._sizes(s).max()))
        if self.heuristic is not None:
            _check_heuristic(self.heuristic, shape, isinstance(problem.space, Orders))
        s.pheromone = torch.ones(problem.runs, *shape, dtype=problem.dtype, device=problem.device)
        s.best_x = torch.zeros(problem.runs, 1, problem.dim, dtype=problem.dtype, device=problem.device)
        s.best_f = torch.full_like(s.best_x[..., :1], math.inf)

    def sample(self, s: State) -> Tensor:
        u = s.draws.uniform(self.population, s.problem.dim)
        weights = self.weights(s)
        if isinstance(s.problem.space, Orders):
            x = _tours(weights, u).to(u.dtype)
        else:
            x = torch.minimum(_choices(weights, u), self._sizes(s) - 1).to(u.dtype)
        if s.generation == 0 and s.problem.x0 is not None:
            x[:, :1] = s.problem.x0
        return x

    def update(self, s: State, x: Tensor, fitness: Tensor) -> None:
        found, value = best_of(x, fitness)
        self._note(s, found, value)
        deposit = torch.lerp(self._taken(s, found), self._taken(s, s.best_x), self._each(s, self.elitism))
        pheromone = torch.lerp(s.pheromone, deposit, self._each(s, self.evaporation))
        pheromone = torch.maximum(pheromone, self.least(s)).clamp_(max=1.0)
        s.pheromone = torch.where(value < math.inf, pheromone, s.pheromone)

    def receive(self, s: State, x: Tensor, fitness: Tensor, runs: Tensor) -> None:
        self._note(s, x.unsqueeze(1), torch.where(runs, fitness, math.inf).reshape(-1, 1, 1))

    def weights(self, s: State) -> Tensor:
        """To what the probabilities of values are proportional, (runs, D, K); 0 for values that a place has not."""
        weights = s.pheromone**self.alpha
        if self.heuristic is not None:
            known = self.heuristic.to(weights)
            if isinstance(s.problem.space, Orders):
                known = known.clone().fill_diagonal_(1.0)  # on which nobody goes, and which may be 1 / 0
            weights = weights * known**self.beta
        return weights * (torch.arange(weights.shape[-1], device=weights.device) < self._sizes(s).unsqueeze(1))

    def least(self, s: State) -> Tensor:
        """tau_min, (D, 1)."""
        orders = isinstance(s.problem.space, Orders)
        count = self._sizes(s).to(s.pheromone.dtype).unsqueeze(1) / (2 if orders else 1)
        p = self.p_best ** (1 / s.problem.dim)
        return ((1 - p) / ((count - 1).clamp(min=0) * p)).clamp(max=1.0)

    def _sizes(self, s: State) -> Tensor:
        """How many values a place can have, int64 (D,); in orders, how many can come next."""
        space, device = s.problem.space, s.problem.device
        return torch.full((space.dim,), space.dim, device=device) if isinstance(space, Orders) else sizes(space, device)

    def _note(self, s: State, x: Tensor, fitness: Tensor) -> None:
        better = fitness < s.best_f
        s.best_x, s.best_f = torch.where(better, x, s.best_x), torch.where(better, fitness, s.best_f)

    def _taken(self, s: State, x: Tensor) -> Tensor:
        """1 where a point (runs, 1, D) took a value, or made a step, and 0 elsewhere."""
        value = x.squeeze(1).long()
        table = torch.zeros_like(s.pheromone)
        if not isinstance(s.problem.space, Orders):
            return table.scatter_(2, value.unsqueeze(-1), 1.0)
        dim, after = s.problem.dim, value.roll(-1, dims=-1)
        steps = table.view(len(table), -1)
        steps.scatter_(1, value * dim + after, 1.0)
        if self.symmetric:
            steps.scatter_(1, after * dim + value, 1.0)
        return table

    def _each(self, s: State, value: float | Tensor) -> Tensor:
        return torch.as_tensor(value, dtype=s.pheromone.dtype, device=s.pheromone.device)


def _choices(weights: Tensor, u: Tensor) -> Tensor:
    """A value for each place by its weights (runs, D, K) and a uniform number (runs, P, D): int64 (runs, P, D)."""
    total = weights.cumsum(-1)
    return torch.searchsorted(total, (u.mT * total[..., -1:]).contiguous(), right=True).mT


def _tours(weights: Tensor, u: Tensor) -> Tensor:
    """A tour for each ant by the weights of steps (runs, D, D) and uniform numbers (runs, P, D): int64 (runs, P, D).

    All ants of all runs go at once, step by step."""
    runs, ants, dim = u.shape
    rows = weights.reshape(runs * dim, dim)
    first_row = dim * torch.arange(runs, device=u.device).reshape(-1, 1, 1)
    left = torch.ones(runs, ants, dim, dtype=weights.dtype, device=u.device)
    here = (u[..., :1] * dim).long()
    tour = [here]
    for step in range(1, dim):
        left.scatter_(2, here, 0.0)
        total = (rows[(first_row + here).squeeze(-1)] * left).cumsum_(-1)
        there = torch.searchsorted(total, u[..., step : step + 1] * total[..., -1:], right=True).clamp_(max=dim - 1)
        # Where sums are rounded in another order than they grow, as in parallel, it may be a place that is not left.
        here = torch.where(left.gather(2, there) > 0, there, left.argmax(-1, keepdim=True))
        tour.append(here)
    return torch.cat(tour, dim=-1)


def _check_heuristic(heuristic: Tensor, shape: tuple[int, int], orders: bool) -> None:
    if tuple(heuristic.shape) != shape:
        raise ValueError(f"heuristic must be of shape {shape}, got {tuple(heuristic.shape)}")
    counts = ~torch.eye(shape[0], dtype=torch.bool, device=heuristic.device) if orders else torch.ones_like(heuristic)
    if not bool((((heuristic > 0) & heuristic.isfinite()) | ~counts.bool()).all()):
        raise ValueError("heuristic must be positive and finite, got a value that is not")
