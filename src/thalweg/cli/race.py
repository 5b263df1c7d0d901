"""`thalweg race`: tune with equal effort, train on paired seeds, report."""

import difflib
import os
import shlex
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from thalweg.cli.console import end, messages, output, refuse
from thalweg.names import shown

if TYPE_CHECKING:  # these import torch, which takes seconds: `thalweg --help` need not wait
    from thalweg.race import Method, RaceResult, Summary
    from thalweg.race.summary import Score
    from thalweg.tasks import Task

DEFAULT_TASKS = "iris,wine,breast-cancer,digits"
DEFAULT_METHODS = "sgd,heavy-ball,rmsprop,adam,adamw,lion,gravity,ades,sign"


def command(
    tasks: Annotated[str, typer.Option(help="Tasks, separated by commas.")] = DEFAULT_TASKS,
    methods: Annotated[str, typer.Option(help="Rules, separated by commas; their plain forms join.")] = DEFAULT_METHODS,
    seeds: Annotated[int, typer.Option(help="Final trials of each method on each task.")] = 15,
    draws: Annotated[int, typer.Option(help="Settings tried when tuning, the published default included.")] = 9,
    epochs: Annotated[int | None, typer.Option(help="Epochs of every trial, in place of each task's own.")] = None,
    store: Annotated[Path, typer.Option(help="Folder of finished trials; what it holds is not run again.")] = Path(
        "race-store"
    ),
    out: Annotated[Path, typer.Option(help="The report.")] = Path("race.html"),
    workers: Annotated[int | None, typer.Option(help="Processes; by default one a CPU.")] = None,
    seed: Annotated[int, typer.Option(help="Master seed of all randomness.")] = 0,
) -> None:
    """Tune optimizers with equal effort, train them on fresh paired seeds, and report."""
    for name, number, least in (
        ("--seeds", seeds, 1),
        ("--draws", draws, 1),
        ("--epochs", epochs, 1),
        ("--workers", workers, 1),
        ("--seed", seed, 0),
    ):
        if number is not None and number < least:
            refuse(name, number, f"must be >= {least}")
    raced = _methods(methods)
    chosen = _tasks(tasks, epochs)
    if out.is_dir() or not out.parent.is_dir():
        refuse("--out", out, "must be a file in a folder that exists")
    _check_writable("--out", out, out if out.exists() else out.parent)
    _check_writable("--store", store, _nearest_existing(store))
    result = _run(chosen, raced, seeds=seeds, draws=draws, seed=seed, store=store, workers=workers)
    _report(result, out, store)


def _methods(text: str) -> "list[Method]":
    from thalweg.race import method_named, with_ablations
    from thalweg.rules.gallery import GALLERY

    allowed = [name for name, entry in GALLERY.items() if not entry.reference]
    return [method_named(name) for name in with_ablations(_names("--methods", text, allowed))]


def _tasks(text: str, epochs: int | None) -> "list[Task]":
    from dataclasses import replace

    from thalweg.tasks import TASKS

    tasks = [TASKS[name]() for name in _names("--tasks", text, TASKS)]
    return tasks if epochs is None else [replace(task, epochs=epochs) for task in tasks]


def _run(
    tasks: "list[Task]", methods: "list[Method]", *, seeds: int, draws: int, seed: int, store: Path, workers: int | None
) -> "RaceResult":
    from thalweg.race import Protocol, StoreError, WorkerDied, available_cpus, race

    protocol = Protocol(seeds=seeds, draws=draws, master=seed)
    workers = workers or available_cpus()
    trials = len(tasks) * len(methods) * protocol.trials_per_cell
    messages.print(
        f"{len(methods)} methods x {len(tasks)} tasks x ({draws} settings x {protocol.tuning_splits} tuning splits"
        f" + {seeds} seeds) = {trials} trials, on {workers} {'process' if workers == 1 else 'processes'}\n"
        f"Methods: {', '.join(shown(method.name) for method in methods)}",
        highlight=False,
    )
    kept = f"finished trials are kept in {store}, and the same command goes on from there"
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    try:
        with Progress(*columns, console=messages) as progress:
            bar = progress.add_task("trials", total=trials)
            advance: Callable[[object], None] = lambda _: progress.advance(bar, protocol.trials_per_cell)  # noqa: E731
            return race(
                tasks, methods, seeds=seeds, draws=draws, seed=seed, store=store, workers=workers, on_done=advance
            )
    except KeyboardInterrupt:
        end(f"Interrupted: {kept}", 130)
    except WorkerDied as error:
        end(f"Error: {error}; {kept}", 1)
    except StoreError as error:
        end(f"Error: {error}", 1)


def _report(result: "RaceResult", out: Path, store: Path) -> None:
    from thalweg.race import Summary, write_report

    try:
        write_report(result, out, command=shlex.join(["thalweg", *sys.argv[1:]]))
    except OSError as error:
        end(f"Error: cannot write {out}: {error.strerror}", 1)
    summary = Summary(result)
    output.print(_table(summary))
    output.print(_notes(summary), highlight=False)
    found = f" ({result.found} of {result.trials} trials were there before)" if result.found else ""
    output.print(f"Report: {out}   Records: {store}{found}", highlight=False, soft_wrap=True)


def _table(summary: "Summary") -> Table:
    """Held-out accuracy by method and task."""
    marks = {"best": "*", "worse": "-", "undecided": " "}
    table = Table(box=None, title="Held-out accuracy, %", title_justify="left", pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("method", no_wrap=True)
    for task in summary.result.tasks:
        table.add_column(shown(task.name), no_wrap=True)
    table.add_column("rank", justify="right")
    table.add_column("s", justify="right")
    for row in summary.rows:
        scores = [f"{_percent(score)} {marks[score.verdict]}" for score in row.scores.values()]
        table.add_row(shown(row.method), *scores, f"{row.rank:.1f}", f"{row.seconds:.2f}")
    table.add_row("constant answer", *map(_percent, summary.constant.values()), "", "", style="dim")
    return table


def _percent(score: "Score") -> str:
    from thalweg.race.report import percent

    return percent(score).replace(" ", "")  # the table should fit 80 columns


def _notes(summary: "Summary") -> str:
    lines = [
        "Mean ± sd over the seeds. * best mean; - worse than it (paired Wilcoxon, Holm, p < 0.05); no mark: undecided.",
        "rank: mean over the tasks. s: seconds to train once on every task.",
    ]
    if not summary.can_decide:
        lines.append("Too few seeds for any verdict but undecided.")
    if not summary.paired:
        lines.append("NOT paired: the methods differed in data, initial weights or batch order.")
    for task, method, final, tuning in summary.divergences:
        lines.append(f"Diverged: {shown(method)} on {shown(task)}, {final} final and {tuning} tuning trials.")
    for task, method, warning in summary.edges:
        lines.append(f"At an edge: {shown(method)} on {shown(task)}, {warning}.")
    return "\n".join(lines)


def _names(option: str, text: str, known: Iterable[str]) -> list[str]:
    """The names in a comma list, with underscores, each once; refused if there is none or one is unknown."""
    allowed = [shown(name) for name in known]
    names = [name for part in text.split(",") if (name := shown(part.strip()))]
    if not names:
        refuse(option, text, f"must name at least one of: {', '.join(allowed)}")
    for name in names:
        if name not in allowed:
            near = difflib.get_close_matches(name, allowed, n=1)
            meant = f" (did you mean {near[0]}?)" if near else ""
            refuse(option, name, f"is unknown{meant}; allowed: {', '.join(allowed)}")
    return list(dict.fromkeys(name.replace("-", "_") for name in names))


def _check_writable(option: str, given: Path, place: Path) -> None:
    if not os.access(place, os.W_OK):
        refuse(option, given, f"cannot be written: {place} is read-only")


def _nearest_existing(folder: Path) -> Path:
    """The folder, or what it would be made in. Refused if that is a file."""
    place = folder
    while not place.exists():
        place = place.parent
    if not place.is_dir():
        refuse("--store", folder, f"must be a folder, but {place} is a file")
    return place
