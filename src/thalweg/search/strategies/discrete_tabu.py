"""Tabu search of bits, choices and orders: to the best neighbour, but not back."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from thalweg.search.algorithm import Algorithm, State
from thalweg.search.checks import check_whole, check_within
from thalweg.search.spaces import Bits, Choices, Orders
from thalweg.search.strategies.discrete import ORDER_MOVES, best_of, drawn, move_count, moved, shaken


@dataclass(frozen=True)
class DiscreteTabuSearch(Algorithm):
    """Goes to the best neighbour that is not tabu, even if it is worse.

    A point has attributes: which value is at which place or, where orders are reversed, which values are neighbours on
    the way round. An attribute that a move takes away is tabu for a time. A neighbour is tabu if it brings nothing but
    what is tabu, unless it is better than all points before (aspiration). Where all neighbours are tabu, it waits.
    After `patience` generations without a point better than all since it last began, it begins again from the best of
    all, shaken.

    Arguments:
        neighbours: so many a generation, drawn from all; all of them where there are no more.
        tenure, spread: an attribute is tabu for `tenure` to `tenure + spread - 1` generations, drawn for each move.
        move: in orders the "reversal" of a stretch, as suits tours (of which it knows no beginning, end or direction),
            or the "swap" of two places.
        shake: the share of bits or choices that is drawn anew to begin again. In orders two stretches change places.
    """

    title = "tabu search, discrete"
    purpose = "Bits, choices and orders, where good points lie near good points and a wide front of them can be tried."
    source = (
        "Glover, Tabu search, part I, ORSA Journal on Computing 1, 1989; attributes in orders: Taillard, Robust taboo "
        "search for the quadratic assignment problem, Parallel Computing 17, 1991; beginning again: Palubeckis, "
        "Iterated tabu search for the unconstrained binary quadratic optimization problem, Informatica 17, 2006"
    )
    spaces = (Bits, Choices, Orders)

    neighbours: int = 500
    tenure: int = 7
    spread: int = 10
    patience: int = 30
    move: str = "reversal"
    shake: float = 0.2

    def __post_init__(self) -> None:
        check_whole(neighbours=self.neighbours, spread=self.spread, patience=self.patience)
        check_whole(0, tenure=self.tenure)
        if self.move not in ORDER_MOVES:
            raise ValueError(f"move must be one of {', '.join(ORDER_MOVES)}, got {self.move!r}")
        check_within("(0, 1]", shake=self.shake)

    def init(self, s: State) -> None:
        problem = s.problem
        s.x = drawn(s, 1)
        s.best_x = s.x.clone()
        s.best_f = torch.full_like(s.x[..., :1], math.inf)
        s.lately_f = s.best_f.clone()  # the best since it last began
        s.stale = torch.zeros_like(s.best_f, dtype=torch.int64)
        s.tabu_until = torch.zeros(
            problem.runs, problem.dim * self._values(s), dtype=torch.int64, device=problem.device
        )

    def sample(self, s: State) -> Tensor:
        """The neighbours; in the first generation the point itself is among them."""
        space = s.problem.space
        count = move_count(space)
        if count <= self.neighbours:
            which = torch.arange(max(count, 1), device=s.x.device).unsqueeze(0)
        else:
            which = s.draws.integers(count, self.neighbours)
        x = moved(space, s.x, which, self.move)
        return torch.cat((s.x, x), dim=1) if s.generation == 0 else x

    def update(self, s: State, x: Tensor, fitness: Tensor) -> None:
        self._go(s, x, torch.where(self._shut(s, x, fitness), math.inf, fitness))
        found, value = best_of(x, fitness)
        self._note(s, found, value)
        s.stale = torch.where(value < s.lately_f, 0, s.stale + 1)
        s.lately_f = torch.minimum(s.lately_f, value)
        over = s.stale >= self.patience
        s.x = torch.where(over, shaken(s, s.best_x, self.shake), s.x)
        s.lately_f = torch.where(over, math.inf, s.lately_f)
        s.stale = torch.where(over, 0, s.stale)
        s.tabu_until = torch.where(over.squeeze(-1), 0, s.tabu_until)

    def receive(self, s: State, x: Tensor, fitness: Tensor, runs: Tensor) -> None:
        """Goes on from there."""
        s.x = torch.where(runs.reshape(-1, 1, 1), x.unsqueeze(1), s.x)
        self._note(s, x.unsqueeze(1), torch.where(runs, fitness, math.inf).reshape(-1, 1, 1))

    def _shut(self, s: State, x: Tensor, fitness: Tensor) -> Tensor:
        """To which points (runs, P, D) it must not go, (runs, P): to those that bring nothing, or nothing but what is
        tabu, unless they are better than all before."""
        attributes = self._attributes(s, x)
        had = _looked_up(self._held(s, s.x), attributes)
        tabu = _looked_up(s.tabu_until, attributes) > s.generation
        return (had | tabu).all(-1) & (fitness >= s.best_f.squeeze(-1))

    def _go(self, s: State, x: Tensor, open_f: Tensor) -> None:
        """To the best of the points, any of those that are equally good; nowhere if all are inf."""
        value = open_f.amin(dim=1, keepdim=True)
        chance = torch.where(open_f == value, s.draws.uniform(x.shape[1]), 1.0)
        to, _ = best_of(x, chance)
        to = torch.where(value.unsqueeze(-1) < math.inf, to, s.x)
        tenure = self.tenure + s.draws.integers(self.spread, 1)
        gone = self._held(s, s.x) & ~self._held(s, to)
        s.tabu_until = torch.where(gone, s.generation + 1 + tenure, s.tabu_until)
        s.x = to

    def _note(self, s: State, x: Tensor, fitness: Tensor) -> None:
        better = fitness < s.best_f
        s.best_x, s.best_f = torch.where(better, x, s.best_x), torch.where(better, fitness, s.best_f)

    def _values(self, s: State) -> int:
        """How many values there can be at a place."""
        space = s.problem.space
        if isinstance(space, Orders):
            return space.dim
        return max(space.sizes) if isinstance(space, Choices) else 2

    def _attributes(self, s: State, x: Tensor) -> Tensor:
        """The numbers of the attributes of points (runs, P, D), int64 of the same shape."""
        value = x.long()
        if isinstance(s.problem.space, Orders) and self.move == "reversal":
            after = value.roll(-1, dims=-1)
            return torch.minimum(value, after) * s.problem.dim + torch.maximum(value, after)
        return torch.arange(s.problem.dim, device=x.device) * self._values(s) + value

    def _held(self, s: State, x: Tensor) -> Tensor:
        """Which of all attributes a point (runs, 1, D) has, bool (runs, A)."""
        return torch.zeros_like(s.tabu_until, dtype=torch.bool).scatter(1, self._attributes(s, x).squeeze(1), True)


def _looked_up(table: Tensor, attributes: Tensor) -> Tensor:
    return table.gather(1, attributes.flatten(1)).reshape(attributes.shape)
