"""Runs a race on the command line: what it will cost, a table that lives while it runs, how it ends when it cannot."""

import math
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

from rich.console import Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from thalweg.cli.console import end, messages
from thalweg.names import shown

if TYPE_CHECKING:  # these import torch, which takes seconds
    import torch

    from thalweg.race import Protocol, RaceResult
    from thalweg.race.races import Entrants
    from thalweg.race.races import Progress as RaceProgress

Made = TypeVar("Made")
KEPT = "finished trials are kept in the store, and the same command goes on from there"


def announce(entrants: "Entrants", protocol: "Protocol", workers: int) -> None:
    """Says what a race will cost before it begins."""
    tasks, methods = entrants.tasks, entrants.methods
    steps = sum(task.epochs * -(-len(task.workload(torch_generator()).train) // task.batch_size) for task in tasks)
    again = f" + {protocol.finalists} x {protocol.repeats} again" if protocol.finalists else ""
    finals = f" + {protocol.seeds} seeds" if protocol.seeds else ""
    cell = f"{protocol.studies} studies x ({protocol.draws} settings{again}){finals}"
    trials = len(methods) * protocol.trials_per_cell
    messages.print(
        f"{len(methods)} methods x {len(tasks)} tasks x ({cell}) = {trials * len(tasks)} trials, "
        f"{_rounded(trials * steps)} steps of training, on {workers} {'process' if workers == 1 else 'processes'}\n"
        f"Methods: {', '.join(shown(method.name) for method in methods)}\n"
        f"Tasks: {', '.join(shown(task.name) for task in tasks)}",
        highlight=False,
        soft_wrap=True,
    )


def race(
    entrants: "Entrants", protocol: "Protocol", store: Path | None, engine: str | None, workers: int
) -> "RaceResult":
    """The race, with a board that shows how far it is."""
    from thalweg.race import races

    return run(lambda board: races.run(entrants, protocol, store, engine, workers, board, typed()), workers=workers)


def typed() -> str:
    """The command as it was typed."""
    return shlex.join(["thalweg", *sys.argv[1:]])


def run(call: Callable[["Board"], Made], *, workers: int) -> Made:
    """Calls with a board to tell of progress, and turns what goes wrong into words and an exit code.

    2 where the input cannot be, 1 where the machine failed, 130 on Ctrl-C.
    """
    from thalweg.race import EngineError, OtherRace, StoreError, WorkerDied
    from thalweg.race.store import Unreadable
    from thalweg.tasks import DataMissing

    try:
        with Board(workers) as board:
            return call(board)
    except KeyboardInterrupt:
        end(f"Interrupted: {KEPT}", 130)
    except WorkerDied as error:
        end(f"Error: {error}; {KEPT}", 1)
    except (OtherRace, Unreadable, EngineError, DataMissing, ValueError) as error:
        end(f"Error: {error}", 2)
    except StoreError as error:
        end(f"Error: {error}", 1)


class Board:
    """A progress bar over all trials, and a line a task: how far it is, and who leads."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
        self._bar = Progress(*columns, TextColumn("{task.fields[left]}"), console=messages)
        self._all = self._bar.add_task("trials", total=None, left="")
        self._tasks: dict[str, RaceProgress] = {}
        self._best: dict[str, tuple[float, str]] = {}
        self._seconds: dict[str, float] = {}
        self._live = Live(console=messages, get_renderable=self._drawn, refresh_per_second=2, transient=True)
        self._start = monotonic()
        self._at_start: int | None = None

    def __enter__(self) -> "Board":
        self._live.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._live.stop()

    def __call__(self, progress: "RaceProgress") -> None:
        """Takes note of what has arrived."""
        if progress.arrangement is not None:
            self._seconds[progress.task] = progress.arrangement.seconds
        self._tasks[progress.task] = progress
        for record in progress.records:
            value = -math.inf if record.diverged else record.validation_metric[-1]
            if value > self._best.get(progress.task, (-math.inf, ""))[0]:
                self._best[progress.task] = value, record.method
        done = sum(one.done for one in self._tasks.values())
        if self._at_start is None and progress.records:
            self._at_start = done - len(progress.records)
        total = sum(one.trials for one in self._tasks.values())
        self._bar.update(self._all, completed=done, total=total, left=self._left())

    def _left(self) -> str:
        """About how long it will still take: at first from the timed steps, later from how fast trials arrive."""
        remaining = {name: one.trials - one.done for name, one in self._tasks.items()}
        ran = sum(one.done for one in self._tasks.values()) - (self._at_start or 0)
        if self._at_start is not None and ran * 20 > sum(remaining.values()):
            seconds = sum(remaining.values()) * (monotonic() - self._start) / ran
        else:
            seconds = sum(self._seconds.get(name, 0.0) * left for name, left in remaining.items()) / self.workers
        return f"about {duration(seconds)} left" if seconds > 2 else ""

    def _drawn(self) -> Group:
        table = Table(box=None, pad_edge=False)
        for column in ("task", "trials", "best validation so far"):
            table.add_column(column, no_wrap=True)
        for name, one in self._tasks.items():
            value, method = self._best.get(name, (math.nan, ""))
            best = f"{value:.4f} {shown(method)}" if method else ""
            how = f", {one.arrangement.arrangement}" if one.arrangement else ""
            table.add_row(shown(name), f"{one.done} of {one.trials}{how}", best)
        return Group(self._bar, table)


def duration(seconds: float) -> str:
    """Seconds in words: `40 s`, `12 min`, `3.5 h`, `4 days`."""
    for unit, length in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 1.5 * length:
            number = seconds / length
            return f"{number:.1f} {unit}" if number < 10 else f"{number:.0f} {unit}"
    return f"{seconds:.0f} s"


def torch_generator() -> "torch.Generator":
    """One for whoever only wants to know sizes."""
    import torch

    return torch.Generator().manual_seed(0)


def _rounded(number: int) -> str:
    for unit, size in (("million", 1_000_000), ("thousand", 1000)):
        if number >= size:
            return f"{number / size:.3g} {unit}"
    return str(number)
