"""`thalweg evolve`: find an optimizer for a network of one's own."""

from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from thalweg.cli import options
from thalweg.cli.console import end, messages, output

if TYPE_CHECKING:  # these import torch, which takes seconds
    from thalweg.evolve import Result
    from thalweg.evolve.evolution import Told

KEPT = "what was found by then is kept in the store, and the same command goes on from there"


def command(
    task: Annotated[
        list[str], typer.Option("--task", help="A task, or file.py:function of your own; several: one rule for all.")
    ],
    budget: Annotated[str, typer.Option(help="How long: 90s, 10m, 2h, or 2000c for candidates.")] = "10m",
    preset: Annotated[str, typer.Option(help="laptop, gpu, or paper (Adaptive AutoLR's protocol).")] = "laptop",
    grammar: Annotated[
        str | None, typer.Option(help="Evolve sentences of a grammar, paper, rich, or a BNF file, in place of trees.")
    ] = None,
    seed_rules: Annotated[
        str | None,
        typer.Option("--seed-rules", help="Begin with these rules, separated by commas, and mutants of them."),
    ] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="Another setting of the preset, name=value; several times.")
    ] = None,
    epochs: Annotated[float | None, typer.Option(help="Epochs of a full training, in place of the task's own.")] = None,
    away: Annotated[
        str | None, typer.Option(help="Tasks that the winner is tried on besides; by default bundled ones; none: none.")
    ] = None,
    controls: Annotated[
        bool, typer.Option(help="Spend the same budget on random search and on hyperparameters alone, to compare.")
    ] = True,
    race: Annotated[bool, typer.Option(help="Race the winner with tuned known optimizers.")] = True,
    store: Annotated[Path | None, typer.Option(help="Folder of the evolution; the same command resumes it.")] = None,
    workers: options.Workers = None,
    engine: options.Engine = None,
    device: options.Device = "cpu",
    data_dir: options.DataDir = None,
    seed: options.Seed = 0,
) -> None:
    """Evolve an optimizer for a task: breed equations, train with them, and report what the best one is worth.

    The store holds the archive, the report and winner.py, an optimizer that needs torch alone. The same command again
    goes on where it was.
    """
    options.check_counts(("--workers", workers, 1), ("--seed", seed, 0))
    from thalweg.evolve import evolve
    from thalweg.evolve.settings import parsed

    try:
        changes = dict(parsed(text) for text in set_ or ())
    except ValueError as error:
        end(f"Error: --set: {error}", 2)
    if grammar is not None:
        changes |= {"representation": "grammar", "grammar": grammar}
    result = _run(
        lambda board: evolve(
            task,
            budget=budget,
            seed=seed,
            preset=preset,
            seed_rules=seed_rules or (),
            epochs=epochs,
            away=away,
            controls=controls,
            race=race,
            store=store,
            workers=workers,
            engine=engine,
            device=device,
            data_dir=data_dir,
            on_progress=board,
            **changes,
        )
    )
    output.print(result.summary(), highlight=False, markup=False, soft_wrap=True)
    output.print(f"\nReport: {result.report()}\nOptimizer: {result.optimizer}", highlight=False, soft_wrap=True)


def _run(call: "Callable[[Board], Result]") -> "Result":
    """Calls with a board to tell of progress, and turns what goes wrong into words and an exit code.

    2 where the input cannot be, 1 where the machine failed, 130 on Ctrl-C.
    """
    from thalweg.race import EngineError, StoreError, WorkerDied
    from thalweg.tasks import DataMissing

    try:
        with Board() as board:
            return call(board)
    except KeyboardInterrupt:
        end(f"Interrupted: {KEPT}", 130)
    except WorkerDied as error:
        end(f"Error: {error}; {KEPT}", 1)
    except (EngineError, DataMissing, ValueError) as error:
        end(f"Error: {error}", 2)
    except (OSError, StoreError) as error:
        end(f"Error: {error}; {KEPT}", 1)


class Board:
    """A bar of the budget, what became of the candidates, and the best equations so far."""

    def __init__(self) -> None:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:.0f} %"),
            TimeElapsedColumn(),
        )
        self._bar = Progress(*columns, TextColumn("{task.fields[rate]}"), console=messages)
        self._all = self._bar.add_task("beginning", total=1.0, rate="")
        self._told: Told | None = None
        self._first: tuple[int, float] | None = None
        self._live = Live(console=messages, get_renderable=self._drawn, refresh_per_second=2, transient=True)

    def __enter__(self) -> "Board":
        self._live.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._live.stop()

    def __call__(self, told: "Told") -> None:
        """Takes note of how far it is."""
        self._told = told
        now = monotonic()
        if self._first is None or told.candidates < self._first[0]:
            self._first = told.candidates, now
        bred, seconds = told.candidates - self._first[0], now - self._first[1]
        rate = f"{bred / seconds:.0f} candidates a second" if seconds > 1 and bred else ""
        self._bar.update(self._all, description=told.doing, completed=told.share, rate=rate)

    def _drawn(self) -> Group:
        if self._told is None:
            return Group(self._bar)
        return Group(self._bar, Text(self._told.funnel), Text(self._told.best))
