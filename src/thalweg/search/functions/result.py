"""`SearchResult`: what a search found, when, and why it stopped."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from thalweg.search.strategy import Strategy

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class History:
    """The best value of a run, evaluation by evaluation: it became `f[i]` at evaluation `evals[i]`, counted from one.

    Both are (improvements,), on the CPU: values in float64, evaluations in int64.
    """

    evals: Tensor
    f: Tensor

    def at(self, evals: Any) -> Tensor:
        """The best value after so many evaluations, of any shape; inf after none."""
        asked = torch.as_tensor(evals)
        before = torch.cat([torch.tensor([torch.inf], dtype=self.f.dtype), self.f])
        return before[torch.searchsorted(self.evals, asked.contiguous(), right=True)]

    def first(self, target: float) -> int | None:
        """The evaluation that was the first of at most `target`; None where there is none."""
        reached = (self.f <= target).nonzero()
        return int(self.evals[reached[0, 0]]) if len(reached) else None


@dataclass(frozen=True)
class SearchResult:
    """What `minimize` found. Of several runs `x`, `f`, `evals` and `restarts` have a leading axis of runs; `history`
    and `reason` are tuples with one entry a run.

    Attributes:
        x: the best point, (D,), or with several runs (runs, D).
        f: its value.
        evals: how many evaluations it took, those of local searches and of all restarts with them; where the target was
            reached, up to and with the first that did.
        history: the best value, evaluation by evaluation.
        reason: why it stopped: "target", "budget", "patience", "restarts" (no more were allowed), "callback", or a
            reason of the algorithm's own, such as "tolx".
        restarts: how often it began anew.
        failures: how often f raised an exception that was counted as the worst value.
        strategy: the strategy as it is now, of several restarts the last one; it can go on.
    """

    x: Tensor
    f: Tensor
    evals: Tensor
    history: History | tuple[History, ...]
    reason: str | tuple[str, ...]
    restarts: Tensor
    failures: int
    strategy: Strategy

    @property
    def solved(self) -> Tensor:
        """Whether the target was reached, bool () or (runs,)."""
        reasons = [self.reason] if isinstance(self.reason, str) else self.reason
        return torch.tensor([reason == "target" for reason in reasons]).reshape(self.evals.shape)

    def plot(self, path: str | Path | None = None) -> Figure:
        """The best value over evaluations, of several runs the median and the quartiles; saved where a path is given,
        in the format that its suffix says."""
        from thalweg.search.convergence import convergence  # matplotlib takes a second, and few plot

        histories = [self.history] if isinstance(self.history, History) else self.history
        steps = [(history.evals.numpy(), history.f.numpy()) for history in histories]
        figure = convergence(steps, int(self.evals.max()))
        if path is not None:
            figure.savefig(path)
        return figure
