"""`Strategy`: a search without gradients, by `ask()` and `tell()`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from thalweg.search.algorithm import Algorithm, Problem, State
from thalweg.search.arguments import check_start, generators_of, resolved, spread_of, start_of
from thalweg.search.checks import check_whole
from thalweg.search.draws import Draws
from thalweg.search.spaces import Box, space_of


@dataclass(frozen=True)
class Best:
    """The best point ever told, `x` (D,), and its fitness `f`, (); of several runs (runs, D) and (runs,)."""

    x: Tensor
    f: Tensor


class Strategy:
    """A search for points of low fitness, which asks and is told.

    Arguments:
        algorithm: a name (`thalweg.search.names()`), with `hyperparameters` other than its defaults; or an `Algorithm`.
        bounds: a pair (low, high) of numbers or vectors (D,), a space such as `Bits(100)`, or None for all real
            vectors, which needs x0 and sigma0. A pair for each dimension is something else: of such pairs
            `tuple(zip(*pairs))` makes bounds.
        dim: D, which must be said where the bounds are numbers and there is no x0.
        x0: where to begin, (D,) or (runs, D).
        sigma0: how far around x0, a number or (D,).
        runs: so many searches that know nothing of each other, in one tensor program. A hyperparameter in `batched` of
            the algorithm may be a tensor (runs,), or a list.
        budget: how many evaluations a run will take: some algorithms cool down, or reduce their population, by it.
        generator: where all draws come from; without one, a generator with seed 0. A sequence of one a run makes each
            run what it would be alone.

    With one run, points are (P, D) and fitness is (P,); with more they are (runs, P, D) and (runs, P).

    Raises ValueError, naming the argument and quoting the value.

    >>> strategy = Strategy("random", bounds=(-5, 5), dim=3)
    >>> for _ in range(10):
    ...     x = strategy.ask()
    ...     strategy.tell((x**2).sum(-1))
    >>> strategy.best.x.shape, strategy.evals
    (torch.Size([3]), tensor(1000))
    """

    def __init__(
        self,
        algorithm: str | Algorithm,
        bounds: Any = None,
        *,
        dim: int | None = None,
        x0: Any = None,
        sigma0: Any = None,
        runs: int = 1,
        budget: int | None = None,
        generator: torch.Generator | Sequence[torch.Generator] | None = None,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str | None = None,
        **hyperparameters: Any,
    ) -> None:
        check_whole(runs=runs, budget=budget)
        runs, budget = int(runs), None if budget is None else int(budget)
        space, where = space_of(bounds, dim, x0, dtype, device)
        start = None if x0 is None else start_of(x0, space.dim, runs, dtype, where)
        spread = None if sigma0 is None else spread_of(sigma0, space.dim, dtype, where)
        check_start(space, start, spread)
        self.problem = Problem(space, runs, start, spread, budget, dtype, where)
        self.algorithm = resolved(algorithm, hyperparameters, self.problem)
        self.state = State(self.problem, Draws(generators_of(generator, runs, where), runs, dtype, where))
        self._mirrors = not self.algorithm.inside and isinstance(space, Box) and not space.free
        self._asked: Tensor | None = None
        self._parked, self._rests = torch.zeros(runs, dtype=torch.bool, device=where), False
        self._best_x = torch.zeros(runs, space.dim, dtype=dtype, device=where)
        self._best_f = torch.full((runs,), math.inf, dtype=dtype, device=where)
        with torch.no_grad():
            self.algorithm.init(self.state)

    # The interface

    @torch.no_grad()
    def ask(self) -> Tensor:
        """The points to evaluate next; the same again until `tell` is called."""
        if self._asked is None:
            self._asked = self.algorithm.sample(self.state)
            if self.algorithm.learns_mirrored:
                self._asked = self._inside(self._asked)
        seen = self._asked if self.algorithm.learns_mirrored else self._inside(self._asked)
        return self._shaped(seen.clone() if seen is self._asked else seen)

    @torch.no_grad()
    def tell(self, fitness: Any, x: Tensor | None = None) -> None:
        """Learns the fitness of what was asked, or of `x`, points of the same shape that take its place (repaired, or
        improved by somebody else). Lower is better; NaN is worse than any number.

        Raises RuntimeError where nothing was asked, ValueError where shapes do not fit. What raises changes nothing.
        """
        if self._asked is None:
            raise RuntimeError("tell() must follow ask(), but nothing was asked since the last tell()")
        points = self._asked if x is None else self._own(x)
        values = self._fitness(fitness, points)
        self._count(values.shape[1])
        self._note(points, values)
        self.algorithm.update(self.state, points, values)
        self.state.generation += 1
        self._asked = None

    @torch.no_grad()
    def receive(self, x: Tensor, fitness: Any, evals: Tensor | int = 0) -> None:
        """Takes in one point a run, (D,) or (runs, D), that was found elsewhere, such as by a local search that took
        `evals` evaluations, a number or (runs,)."""
        x, values = self._one_a_run(x), self._on("fitness", _numbers(fitness))
        if values.numel() != self.problem.runs:
            raise ValueError(f"fitness must be one number a run ({self.problem.runs}), got {tuple(values.shape)}")
        values = self._ranked(values.reshape(self.problem.runs))
        self._count(torch.as_tensor(evals, device=self.problem.device))
        better = values < self._best_f
        self._note(x.unsqueeze(1), values.unsqueeze(1))
        self.algorithm.receive(self.state, x, values, better)

    @torch.no_grad()
    def recenter(self, x: Tensor) -> None:
        """Moves the middle of the distribution to (D,) or (runs, D), for those that have one; what was asked and not
        yet told is forgotten."""
        self.algorithm.recenter(self.state, self._one_a_run(x))
        self._asked = None

    def park(self, runs: Tensor) -> None:
        """Lets the marked runs, bool (runs,), rest for good: whatever they are told is inf, and is not counted."""
        self._parked = self._parked | runs.to(self._parked)
        self._rests = bool(self._parked.any())

    @property
    def best(self) -> Best:
        """The best point that was ever told; zeros and inf before the first."""
        if self.problem.runs == 1:
            return Best(self._best_x[0].clone(), self._best_f[0].clone())
        return Best(self._best_x.clone(), self._best_f.clone())

    @property
    def center(self) -> Tensor:
        """The point to recommend where fitness is noisy, (D,) or (runs, D): the middle of the distribution for those
        that have one, for others the best."""
        center = self.algorithm.center(self.state)
        center = self._best_x.clone() if center is None else self._inside(center)
        return center[0] if self.problem.runs == 1 else center

    @property
    def evals(self) -> Tensor:
        """The evaluations so far, () or (runs,)."""
        return self.state.evals[0] if self.problem.runs == 1 else self.state.evals.clone()

    @property
    def generation(self) -> int:
        """How often it was told."""
        return int(self.state.generation)

    @property
    def parked(self) -> Tensor:
        """Which runs rest, bool (runs,)."""
        return self._parked.clone()

    @property
    def reasons(self) -> list[str]:
        """For each run why it should go on no longer; "" where nothing speaks against it."""
        reasons = [""] * self.problem.runs
        for name, stopped in self.algorithm.stops(self.state).items():
            for run in stopped.nonzero().flatten().tolist():
                reasons[run] = reasons[run] or name
        return reasons

    def state_dict(self) -> dict[str, Any]:
        """All that a fresh strategy of the same arguments needs to go on, bit for bit: nothing in it is shared."""
        own = {"asked": self._asked, "parked": self._parked, "best_x": self._best_x, "best_f": self._best_f}
        return {
            "algorithm": type(self.algorithm).__name__,
            "strategy": {name: _copied(value) for name, value in own.items()},
            "state": {name: _copied(value) for name, value in self.state.carried.items()},
            "generators": [generator.get_state() for generator in self.state.draws.generators],
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Goes on where `state_dict` was taken. Raises ValueError where that was another algorithm's or another
        problem's, and then changes nothing."""
        try:
            kind, own = state_dict["algorithm"], state_dict["strategy"]
            carried, generators = state_dict["state"], state_dict["generators"]
            asked, parked, best_x, best_f = (own[name] for name in ("asked", "parked", "best_x", "best_f"))
        except (KeyError, TypeError) as error:
            raise ValueError(f"state_dict must be what state_dict() gave, got {state_dict!r:.80}") from error
        if kind != type(self.algorithm).__name__:
            raise ValueError(f"state_dict must be of {type(self.algorithm).__name__}, got one of {kind}")
        if best_x.shape != self._best_x.shape or len(generators) != len(self.state.draws.generators):
            raise ValueError(
                f"state_dict must be of {self.problem.runs} runs in {self.problem.dim} dimensions with "
                f"{len(self.state.draws.generators)} generators, got {tuple(best_x.shape)} and {len(generators)}"
            )
        self._asked, self._parked, self._best_x, self._best_f = (
            _copied(value, self.problem.device) for value in (asked, parked, best_x, best_f)
        )
        self._rests = bool(self._parked.any())
        self.state.carried.clear()
        self.state.carried.update({name: _copied(x, self.problem.device) for name, x in carried.items()})
        for generator, kept in zip(self.state.draws.generators, generators, strict=True):
            generator.set_state(kept.cpu())

    # What it does

    def _inside(self, x: Tensor) -> Tensor:
        """Points mirrored at the sides of the box where the algorithm does not keep to it: x itself, or new ones."""
        space = self.problem.space
        return space.reflect(x) if self._mirrors and isinstance(space, Box) else x

    def _note(self, x: Tensor, fitness: Tensor) -> None:
        values, at = fitness.min(dim=1)
        better = values < self._best_f
        if better.device.type == "cpu" and not bool(better.any()):  # from a GPU the answer takes longer than the rest
            return
        found = self._inside(x.gather(1, at.reshape(-1, 1, 1).expand(-1, 1, x.shape[-1])).squeeze(1))
        self._best_x = torch.where(better.unsqueeze(1), found, self._best_x)
        self._best_f = torch.where(better, values, self._best_f)

    def _own(self, x: Tensor) -> Tensor:
        assert self._asked is not None
        points = self._on("x", x)
        points = points.unsqueeze(0) if self.problem.runs == 1 and points.dim() == 2 else points
        if points.shape != self._asked.shape:
            raise ValueError(f"x must have the shape of what was asked, {self._shape()}, got {tuple(x.shape)}")
        return points.clone()

    def _one_a_run(self, x: Any) -> Tensor:
        """A point of each run, (runs, D), of (D,) or (runs, D)."""
        point, runs, dim = self._on("x", x), self.problem.runs, self.problem.dim
        if point.shape != (runs, dim) and (runs > 1 or point.shape != (dim,)):
            expected = f"({runs}, {dim})" if runs > 1 else f"({dim},)"
            raise ValueError(f"x must be one point a run, of shape {expected}, got {tuple(point.shape)}")
        return point.reshape(runs, dim)

    def _fitness(self, fitness: Any, x: Tensor) -> Tensor:
        values = self._on("fitness", _numbers(fitness))
        expected = x.shape[:2]
        if values.shape != (expected if self.problem.runs > 1 else expected[1:]):
            raise ValueError(
                f"fitness must be one number a point, of shape {self._shape()[:-1]}, got {tuple(values.shape)}"
            )
        return self._ranked(values.reshape(expected))

    def _ranked(self, values: Tensor) -> Tensor:
        """Values (runs, ...) in which NaN, and all of runs that rest, are inf."""
        values = values.nan_to_num(math.inf, math.inf, -math.inf)
        if self._rests:
            values.masked_fill_(self._parked.reshape(-1, *[1] * (values.dim() - 1)), math.inf)
        return values

    def _count(self, evals: Tensor | int) -> None:
        """Counts evaluations, of runs that do not rest."""
        self.state.evals = self.state.evals + ((~self._parked) * evals if self._rests else evals)

    def _on(self, name: str, value: Any) -> Tensor:
        if not isinstance(value, Tensor):
            raise ValueError(f"{name} must be a tensor, got {value!r:.80}")
        if value.is_complex():
            raise ValueError(f"{name} must be real, got {value.dtype}")
        if value.device != self.problem.device and value.numel() and value.dim():
            raise ValueError(f"{name} must be on {self.problem.device} as the strategy is, got {value.device}")
        return value.detach().to(self.problem.device, self.problem.dtype)

    def _shape(self) -> tuple[int, ...]:
        assert self._asked is not None
        return tuple(self._asked.shape[self.problem.runs == 1 :])

    def _shaped(self, x: Tensor) -> Tensor:
        return x[0] if self.problem.runs == 1 else x


def _numbers(fitness: Any) -> Tensor:
    try:
        return torch.as_tensor(fitness)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"fitness must be numbers, got {fitness!r:.80}") from error


def _copied(value: Any, device: torch.device | None = None) -> Any:
    if isinstance(value, Tensor):
        return value.detach().clone(memory_format=torch.contiguous_format).to(device or value.device)
    return value
