"""How far a search is: what a callback is told, and a line on the terminal."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from torch import Tensor


@dataclass(frozen=True)
class Progress:
    """A search after a generation: so many evaluations and the best value of each run, () or (runs,), the generations
    since the last restart, the restarts, and how many runs are still under way."""

    evals: Tensor
    f: Tensor
    generation: int
    restarts: int
    under_way: int
    budget: int


class Line(AbstractContextManager["Line"]):
    """A line on the terminal, as long as it is entered; nothing where errors do not go to a terminal."""

    def __init__(self, budget: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bar

        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
        console = Console(stderr=True)
        self._bar = Bar(*columns, console=console, disable=not console.is_terminal, transient=True)
        self._task = self._bar.add_task("", total=budget)

    def __enter__(self) -> Line:
        self._bar.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._bar.stop()

    def __call__(self, progress: Progress) -> None:
        """Shows it."""
        best = progress.f.median().item()
        restarts = f", restart {progress.restarts}" if progress.restarts else ""
        self._bar.update(
            self._task, completed=int(progress.evals.max()), description=f"best {best:.6g}{restarts}, evaluations"
        )
