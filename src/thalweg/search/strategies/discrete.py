"""Points of bits, choices and orders: drawn uniformly, moved by one step, shaken, and the best of them."""

from __future__ import annotations

import torch
from torch import Tensor

from thalweg.search.algorithm import State
from thalweg.search.spaces import Bits, Choices, Orders, Space

ORDER_MOVES = ("reversal", "swap")


def drawn(s: State, count: int) -> Tensor:
    """Points drawn uniformly from the space, (runs, count, D); x0 the first of them if there is one."""
    problem = s.problem
    if isinstance(problem.space, Orders):
        x = s.draws.orders(count, problem.dim).to(problem.dtype)
    else:
        x = (s.draws.uniform(count, problem.dim) * sizes(problem.space, problem.device)).floor_()
    if problem.x0 is not None:
        x[:, :1] = problem.x0
    return x


def sizes(space: Space, device: torch.device) -> Tensor:
    """How many values there are at each place of bits or choices, int64 (D,)."""
    assert isinstance(space, (Bits, Choices))
    return torch.tensor(space.sizes if isinstance(space, Choices) else [2] * space.dim, device=device)


def move_count(space: Space) -> int:
    """How many moves there are from any point: other values of one place, or pairs of places in an order."""
    if isinstance(space, Orders):
        return space.dim * (space.dim - 1) // 2
    return sum(space.sizes) - space.dim if isinstance(space, Choices) else space.dim


def moved(space: Space, x: Tensor, which: Tensor, move: str) -> Tensor:
    """What becomes of points (runs, 1, D) by the moves of these numbers, int64 (runs, P) or (1, P), each below
    `move_count`: (runs, P, D). Where no move can be made, the points themselves.

    A move gives one place of bits or choices another value. In an order it reverses the stretch between two places,
    both included (a 2-opt step of a tour), or swaps what is at them.
    """
    x = x.expand(-1, which.shape[-1], -1)
    if move_count(space) == 0:
        return x.clone()
    which = which.expand(len(x), -1).unsqueeze(-1)
    if isinstance(space, Orders):
        return x.gather(-1, _source(which, space.dim, move))
    size = sizes(space, x.device)
    ends = (size - 1).cumsum(0)
    place = torch.searchsorted(ends, which.contiguous(), right=True)
    further = 1 + which - (ends - size + 1)[place]
    return x.scatter(-1, place, torch.remainder(x.gather(-1, place) + further, size[place]))


def shaken(s: State, x: Tensor, share: float) -> Tensor:
    """Points (runs, 1, D) moved further than by one step: of bits and choices each place is drawn anew with probability
    `share`; of an order two neighbouring stretches change places, which no few reversals undo (the double bridge of
    Martin, Otto and Felten 1991)."""
    space, dim = s.problem.space, s.problem.dim
    if not isinstance(space, Orders):
        anew = (s.draws.uniform(1, dim) * sizes(space, x.device)).floor_()
        return torch.where(s.draws.uniform(1, dim) < share, anew, x)
    cuts = s.draws.integers(dim, 3).sort(dim=-1).values.unsqueeze(1)
    stretch = (torch.arange(dim, device=x.device).reshape(-1, 1) >= cuts).sum(-1)
    rank = torch.tensor([0, 2, 1, 3], device=x.device)[stretch]
    return x.gather(-1, rank.argsort(dim=-1, stable=True).unsqueeze(1))


def best_of(x: Tensor, fitness: Tensor) -> tuple[Tensor, Tensor]:
    """The best of points (runs, P, D) of fitness (runs, P): (runs, 1, D) and (runs, 1, 1)."""
    value, at = fitness.unsqueeze(-1).min(dim=1, keepdim=True)
    return x.gather(1, at.expand(-1, 1, x.shape[-1])), value


def _source(which: Tensor, dim: int, move: str) -> Tensor:
    """From which place each place of an order is filled. Moves are numbered by the pairs of places (0, 1), (0, 2),
    (1, 2), (0, 3), ..."""
    high = ((1 + (1 + 8 * which.double()).sqrt()) / 2).long()
    low = which - high * (high - 1) // 2
    place = torch.arange(dim, device=which.device)
    if move == "swap":
        return torch.where(place == low, high, torch.where(place == high, low, place))
    return torch.where((low <= place) & (place <= high), low + high - place, place)
