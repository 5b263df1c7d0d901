"""`Algorithm`: the mathematics of a strategy, as frozen hyperparameters and three functions of a `State`."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from thalweg.search.draws import Draws
from thalweg.search.spaces import Box, Space


@dataclass(frozen=True, eq=False)
class Problem:
    """What is to be searched, and from where.

    `x0`, (runs, 1, D) or None: where the search begins. `sigma0`, (1, 1, D) or None: how far around it, in each
    dimension. `budget`: how many evaluations a run will take, where that is known.
    """

    space: Space
    runs: int
    x0: Tensor | None
    sigma0: Tensor | None
    budget: int | None
    dtype: torch.dtype
    device: torch.device

    @property
    def dim(self) -> int:
        return self.space.dim

    @property
    def low(self) -> Tensor:
        """The lower sides of the box, (D,)."""
        assert isinstance(self.space, Box)
        return self.space.low

    @property
    def high(self) -> Tensor:
        """The upper sides of the box, (D,)."""
        assert isinstance(self.space, Box)
        return self.space.high

    @property
    def width(self) -> Tensor:
        """How wide the region to search is, (D,): five sigma0 where there is one, else that of the box."""
        return self.high - self.low if self.sigma0 is None else 5 * self.sigma0.reshape(-1)


class State:
    """A search under way, as its algorithm sees it.

    What an algorithm carries from one generation to the next is set as an attribute: tensors with a leading axis of
    runs, usually (runs, rows, D) so that all broadcast with a population, or plain numbers that all runs share. That,
    the draws' generators and nothing else is what is saved. `evals`, int64 (runs,), and `generation` are kept for it.
    """

    __slots__ = ("__dict__", "draws", "problem")

    problem: Problem
    draws: Draws

    def __init__(self, problem: Problem, draws: Draws) -> None:
        self.problem, self.draws = problem, draws
        self.evals = torch.zeros(problem.runs, dtype=torch.int64, device=problem.device)
        self.generation = 0

    @property
    def carried(self) -> dict[str, Any]:
        """All that is set as an attribute, by name."""
        return self.__dict__

    if TYPE_CHECKING:  # what an algorithm carries is its own affair

        def __getattr__(self, name: str) -> Any: ...
        def __setattr__(self, name: str, value: Any) -> None: ...

    @property
    def progress(self) -> Tensor:
        """The share of the budget that is spent, (runs, 1, 1); 0 where there is no budget."""
        budget = self.problem.budget
        spent = self.evals.to(self.problem.dtype).reshape(-1, 1, 1)
        return torch.zeros_like(spent) if budget is None else (spent / budget).clamp_(max=1.0)


@dataclass(frozen=True)
class Algorithm:
    """Hyperparameters, and what a strategy does in a generation; lower fitness is better.

    `Strategy` calls it, ranks nothing for it, but counts, keeps the best ever, maps NaN to +inf, checks shapes, saves
    and restores. A subclass says in its docstring what it is, and in `title`, `purpose` (what it is for, two lines) and
    `source` the rest.

    `batched` names the hyperparameters that may be tensors (runs,), one value a run: `Strategy` makes them
    (runs, 1, 1), so that they broadcast with populations. `tables` names those that are tensors of a shape of their
    own. `spaces` are those it can search. `inside`: whether it keeps its points in the box by itself; those of one that
    does not are mirrored at the sides before anybody sees them, and it goes on as if nothing bounded it, unless it
    `learns_mirrored`: its middle then cannot wander among images of the box, but points are nearer to it than they were
    drawn, which shrinks a distribution that has nothing against it.
    """

    title: ClassVar[str] = ""
    purpose: ClassVar[str] = ""
    source: ClassVar[str] = ""
    batched: ClassVar[tuple[str, ...]] = ()
    tables: ClassVar[tuple[str, ...]] = ()
    spaces: ClassVar[tuple[type[Space], ...]] = (Box,)
    inside: ClassVar[bool] = True
    learns_mirrored: ClassVar[bool] = False

    def init(self, s: State) -> None:
        """Sets what the first generation needs."""
        raise NotImplementedError

    def sample(self, s: State) -> Tensor:
        """The points to evaluate, (runs, P, D); P may differ from generation to generation."""
        raise NotImplementedError

    def update(self, s: State, x: Tensor, fitness: Tensor) -> None:
        """Learns from points (runs, P, D), which are those that were sampled or others in their place, and their
        fitness (runs, P), where no NaN is left. Both are its own: it may keep or overwrite them."""
        raise NotImplementedError

    def center(self, s: State) -> Tensor | None:
        """What the search holds to be the middle of the good region, (runs, D); None where it has no such thing."""
        return None

    def recenter(self, s: State, x: Tensor) -> None:
        """Moves the middle to points (runs, D), where there is one: it is `s.mean` unless a subclass says otherwise."""
        if self.center(s) is not None:
            s.mean = x.unsqueeze(1).to(s.mean.dtype, copy=True)

    def receive(self, s: State, x: Tensor, fitness: Tensor, runs: Tensor) -> None:
        """Takes in points (runs, D) of fitness (runs,) that were found by somebody else, for those of the `runs`
        (bool) marked; does nothing where the algorithm has no use for them."""

    def stops(self, s: State) -> dict[str, Tensor]:
        """Reasons to go on no longer, each bool (runs,)."""
        return {}

    def hyperparameters(self) -> dict[str, Any]:
        """By name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def initial(s: State, count: int) -> Tensor:
    """Points to begin with, (runs, count, D): around x0 where there is a sigma0, with x0 itself the first; else uniform
    in the box, and x0 the first if there is one."""
    problem = s.problem
    if problem.x0 is not None and problem.sigma0 is not None:
        x = problem.x0 + problem.sigma0 * s.draws.normal(count, problem.dim)
        x = problem.space.reflect(x) if isinstance(problem.space, Box) else x
    else:
        x = torch.lerp(problem.low, problem.high, s.draws.uniform(count, problem.dim))
    if problem.x0 is not None:
        x[:, :1] = problem.x0
    return x


def middle(s: State) -> tuple[Tensor, Tensor]:
    """Where a distribution begins, (runs, 1, D), and its standard deviation in each dimension, (1, 1, D): x0 and
    sigma0; without x0 a point drawn from the box, without sigma0 a fifth of the box."""
    problem = s.problem
    sigma = 0.2 * (problem.high - problem.low).reshape(1, 1, -1) if problem.sigma0 is None else problem.sigma0
    if problem.x0 is not None:
        return problem.x0.clone(), sigma.clone()
    return torch.lerp(problem.low, problem.high, s.draws.uniform(1, problem.dim)), sigma.clone()
