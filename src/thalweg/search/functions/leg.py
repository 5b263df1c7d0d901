"""`Leg`: what is searched from one beginning to its end, between restarts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from thalweg.search.functions.restarts import Plan

Ints = NDArray[np.int64]
GENERATIONS, EVALUATIONS = 10, 2  # between two local searches of a run at least, the latter times D


@dataclass
class Leg:
    """Runs that one strategy searches together, and how far each of them is; all arrays are (k,).

    `number`: of restarts before. `budget`: what the strategy was told. `begun`: the evaluations of each run when it
    began. `under_way`: which are not over. `best`: the best value of the leg, and `stale` for how many generations it
    has been that. `refined`: the best value after the last local search, when that was.
    """

    runs: Ints
    plan: Plan
    number: int
    budget: int
    begun: Ints
    under_way: NDArray[np.bool_] = field(init=False)
    best: NDArray[np.float64] = field(init=False)
    stale: Ints = field(init=False)
    refined: NDArray[np.float64] = field(init=False)
    refined_generation: Ints = field(init=False)
    refined_evals: Ints = field(init=False)

    def __post_init__(self) -> None:
        k = len(self.runs)
        self.under_way = np.ones(k, bool)
        self.best, self.refined = np.full(k, np.inf), np.full(k, np.inf)
        self.stale = np.zeros(k, np.int64)
        self.refined_generation, self.refined_evals = np.full(k, -1), np.zeros(k, np.int64)

    def told(self, values: Tensor) -> None:
        """Takes note of a generation's values, (k, P), inf for those who are over."""
        lowest = values.double().amin(1).cpu().numpy()
        better = lowest < self.best
        self.stale = np.where(better, 0, self.stale + 1)
        self.best = np.where(better, lowest, self.best)

    def was_refined(self, row: int, value: float, generation: int, evals: int) -> None:
        """Takes note of a local search of one row, and of the best value that it found."""
        if value < self.best[row]:
            self.best[row], self.stale[row] = value, 0
        self.refined[row], self.refined_generation[row], self.refined_evals[row] = self.best[row], generation, evals

    def fresh(self) -> NDArray[np.bool_]:
        """Which have a best point that no local search has begun at, or come back with."""
        return self.under_way & np.isfinite(self.best) & (self.best < self.refined)

    def due(self, generation: int, evals: Ints, dim: int) -> NDArray[np.bool_]:
        """Which of the fresh have waited long enough since their last local search."""
        waited = (generation - self.refined_generation >= GENERATIONS) & (
            evals - self.refined_evals >= EVALUATIONS * dim
        )
        return self.fresh() & (waited | (self.refined_generation < 0))

    def state(self) -> dict[str, Any]:
        """All of it, as tensors and numbers."""
        plain = {"plan": plan_state(self.plan), "number": self.number, "budget": self.budget}
        return plain | {name: torch.from_numpy(value.copy()) for name, value in self._arrays().items()}

    @classmethod
    def of(cls, state: dict[str, Any]) -> Leg:
        """The leg whose `state` that is."""
        arrays = {name: value.cpu().numpy().copy() for name, value in state.items() if isinstance(value, Tensor)}
        leg = cls(arrays["runs"], Plan(*state["plan"]), state["number"], state["budget"], arrays["begun"])
        for name, value in arrays.items():
            setattr(leg, name, value)
        return leg

    def _arrays(self) -> dict[str, NDArray[Any]]:
        return {name: value for name, value in vars(self).items() if isinstance(value, np.ndarray)}


def plan_state(plan: Plan) -> Sequence[Any]:
    """A plan as numbers, which `Plan(*...)` takes."""
    return [plan.scale, plan.spread, plan.most, plan.large]
