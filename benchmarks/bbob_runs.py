"""One run of a solver on an instance of a BBOB function, what it is charged with, and what is kept of it."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

TARGETS = tuple(10.0**power for power in range(1, -9, -1))  # above the optimum: 10, 1, ..., 1e-8
SIGMA = 2.0


class Over(Exception):
    """The last target is reached, or the budget spent: a solver that cannot be told to stop is stopped by this."""


@dataclass
class Run:
    """A function to minimize, 0 at its optimum, that counts how often it is evaluated and when targets are reached.

    `start` is a point of [-4, 4]^D and `seed` a whole number, both the same for all solvers.
    """

    function: int
    instance: int
    repeat: int
    dim: int
    budget: int
    evals: int = 0
    hits: list[int] = field(default_factory=list)  # evaluations up to and with the first that reached each target

    def __post_init__(self) -> None:
        from cma import bbobbenchmarks

        self._evaluate, self._optimum = bbobbenchmarks.instantiate(self.function, self.instance)
        self.seed = zlib.crc32(repr((self.function, self.instance, self.repeat, self.dim)).encode()) % 2**31
        self.start = np.random.default_rng(self.seed).uniform(-4, 4, self.dim)

    @property
    def solved(self) -> bool:
        return len(self.hits) == len(TARGETS)

    @property
    def over(self) -> bool:
        return self.solved or self.evals >= self.budget

    def __call__(self, x: Floats) -> Floats:
        """The values (n,) of points (n, D), or of one (D,). Those beyond the budget are computed, but not counted."""
        values = np.asarray(self._evaluate(x)) - self._optimum
        flat = values.reshape(-1)[: self.budget - self.evals] if not self.solved else values[:0].reshape(-1)
        while not self.solved and len(flat) and flat.min() <= TARGETS[len(self.hits)]:
            self.hits.append(self.evals + int((flat <= TARGETS[len(self.hits)]).argmax()) + 1)
        self.evals = self.hits[-1] if self.solved else self.evals + len(flat)
        return values

    def or_over(self, x: Any) -> Floats:
        """The values, or `Over` where there is nothing left to do."""
        if self.over:
            raise Over
        return self(np.asarray(x))


@dataclass(frozen=True)
class Cell:
    """What a solver came to on a function in so many dimensions: of each run the evaluations at which it reached the
    targets, as far as it did, and all of its evaluations."""

    solver: str
    function: int
    dim: int
    budget: int
    hits: tuple[tuple[int, ...], ...]
    evals: tuple[int, ...]
    seconds: float

    @property
    def key(self) -> str:
        return key_of(self.solver, self.function, self.dim)

    def reached(self, target: int) -> list[int]:
        """The evaluations of the runs that reached TARGETS[target]."""
        return [run[target] for run in self.hits if len(run) > target]

    def expected_running_time(self, target: int, chosen: Sequence[int] | None = None) -> float:
        """The evaluations of all runs (or of those chosen) until they reached the target, or in vain, by how many
        reached it; inf where none did."""
        runs = range(len(self.hits)) if chosen is None else chosen
        spent = [self.hits[i][target] if len(self.hits[i]) > target else self.evals[i] for i in runs]
        successes = sum(len(self.hits[i]) > target for i in runs)
        return sum(spent) / successes if successes else np.inf


def key_of(solver: str, function: int, dim: int) -> str:
    return f"{solver}, f{function}, {dim}-D"
