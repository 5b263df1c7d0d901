"""`Tally`: what the runs of a search have come to, evaluation by evaluation."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from thalweg.search.functions.result import History

Ints = NDArray[np.int64]
_MANY = 1000  # small arrays, before they are made one


class Tally:
    """Evaluations, the best of each run, when it became that, and which runs have reached the target.

    Points are counted one after another as they stand in a generation, although they are evaluated together. A run
    that has reached the target is closed: nothing after the evaluation that did is counted.
    """

    def __init__(self, runs: int, dim: int, target: float | None, dtype: torch.dtype, device: torch.device) -> None:
        self.target = -np.inf if target is None else target
        self.evals = np.zeros(runs, np.int64)
        self.f = np.full(runs, np.inf)
        self.x = torch.zeros(runs, dim, dtype=dtype, device=device)
        self.solved = np.zeros(runs, bool)
        self._steps: list[tuple[Ints, Ints, NDArray[np.float64]]] = []  # run, evaluation, value

    def begin(self, evals: Tensor, x: Tensor, f: Tensor) -> None:
        """Goes on from what a strategy had found before, each with a leading axis of runs."""
        self.evals, self.f, self.x = evals.cpu().numpy().copy(), f.double().cpu().numpy().copy(), x.clone()
        self.solved = self._reaches(self.f)
        begun = self.evals.nonzero()[0]
        self._steps.append((begun, self.evals[begun], self.f[begun]))

    def add(self, runs: Ints, x: Tensor, values: Tensor) -> None:
        """Counts points (k, P, D) of `runs` (k,), none of them closed, and their values (k, P), none of them nan."""
        f = values.double().cpu().numpy()
        if self.evals[runs].all() and (f.min(1) >= self.f[runs]).all():  # as in most generations
            self.evals[runs] += f.shape[1]
            return
        hits = self._reaches(f)
        self.solved[runs] = hits.any(1)
        counted = np.where(self.solved[runs], hits.argmax(1) + 1, f.shape[1])
        best = np.minimum.accumulate(np.concatenate([self.f[runs, None], f], axis=1), axis=1)
        better = f < best[:, :-1]
        better[:, 0] |= self.evals[runs] == 0  # the first point is the best even where its value is inf
        better &= np.arange(f.shape[1]) < counted[:, None]
        row, column = better.nonzero()
        if len(row):
            self._steps.append((runs[row], self.evals[runs[row]] + column + 1, f[row, column]))
            if len(self._steps) >= _MANY:
                self._joined()
            self.f[runs[row]] = f[row, column]  # of several of a row the last one stays, which is the best
            last = {int(at): int(place) for at, place in zip(row, column, strict=True)}
            self.x[runs[list(last)]] = x[list(last), list(last.values())]
        self.evals[runs] += counted

    def _reaches(self, f: NDArray[np.float64]) -> NDArray[np.bool_]:
        return f <= self.target if np.isfinite(self.target) else np.zeros(f.shape, bool)

    def histories(self) -> tuple[History, ...]:
        """One a run."""
        run, evals, f = self._joined()
        parts = [run == one for one in range(len(self.evals))]
        return tuple(History(torch.from_numpy(evals[part]), torch.from_numpy(f[part])) for part in parts)

    def _joined(self) -> tuple[Ints, Ints, NDArray[np.float64]]:
        if len(self._steps) > 1:
            run, evals, f = zip(*self._steps, strict=True)
            self._steps = [(np.concatenate(run), np.concatenate(evals), np.concatenate(f))]
        empty = np.zeros(0, np.int64)
        return self._steps[0] if self._steps else (empty, empty, np.zeros(0))

    def state(self) -> dict[str, Any]:
        """All of it, as tensors."""
        arrays = {"evals": self.evals, "f": self.f, "solved": self.solved}
        kept = dict(zip(("run", "at", "value"), self._joined(), strict=True))
        return {name: torch.from_numpy(array.copy()) for name, array in (arrays | kept).items()} | {"x": self.x.clone()}

    def load(self, state: dict[str, Any]) -> None:
        """Goes on where `state` was taken."""
        arrays = {name: value.cpu().numpy().copy() for name, value in state.items() if name != "x"}
        self.evals, self.f, self.solved = arrays["evals"], arrays["f"], arrays["solved"]
        self._steps = [(arrays["run"], arrays["at"], arrays["value"])]
        self.x = state["x"].to(self.x.device).clone()
