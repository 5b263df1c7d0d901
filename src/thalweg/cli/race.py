"""`thalweg race`: tune with equal effort, train on paired seeds, report."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from thalweg.cli import options, running
from thalweg.cli.console import end, output, refuse

if TYPE_CHECKING:  # these import torch, which takes seconds: `thalweg --help` need not wait
    from thalweg.race import RaceResult
    from thalweg.race.again import Again


# With --from the race is that of the source: these say where and how it is run, and nothing about what.
WITH_FROM = ("again", "store", "out", "workers", "engine", "data_dir")


def command(
    context: typer.Context,
    preset: Annotated[str, typer.Argument(help="bundled (no data needed), uci, or vision.")] = "bundled",
    tasks: options.Tasks = None,
    methods: options.Methods = None,
    task: options.Task = None,
    optimizer: options.Optimizer = None,
    space: options.Space = None,
    seeds: Annotated[int | None, typer.Option(help="Final trials of each method on each task.")] = None,
    draws: options.Draws = None,
    studies: options.Studies = None,
    sampler: options.Sampler = "qmc",
    epochs: options.Epochs = None,
    baseline: Annotated[str | None, typer.Option(help="The method that the others are compared with.")] = None,
    margin: Annotated[float | None, typer.Option(help="The difference in score that is too small to matter.")] = None,
    store: options.StoreFolder = None,
    out: Annotated[
        Path | None, typer.Option(help="The report; by default race.html, with --from race-again.html.")
    ] = None,
    again: Annotated[
        Path | None, typer.Option("--from", help="Run the race of this store or report again, and compare.")
    ] = None,
    workers: options.Workers = None,
    engine: options.Engine = None,
    device: options.Device = "cpu",
    data_dir: options.DataDir = None,
    seed: options.Seed = 0,
) -> None:
    """Tune optimizers with equal effort, train them on fresh paired seeds, and report.

    Three races have a name: bundled (the default), uci and vision. Every option changes one thing of them.
    """
    if again is not None:
        _check_alone(context)
    out = out or Path("race.html" if again is None else "race-again.html")
    if again is not None and out.resolve() == again.resolve():
        refuse("--out", out, "must be another file than the one that --from reads")
    options.check_counts(
        ("--seeds", seeds, 1),
        ("--draws", draws, 1),
        ("--studies", studies, 1),
        ("--epochs", epochs, 1),
        ("--workers", workers, 1),
        ("--seed", seed, 0),
    )
    if margin is not None and not margin >= 0:
        refuse("--margin", margin, "must be >= 0")
    _check_places(store, out)
    from thalweg.race import available_cpus

    workers = workers or available_cpus()
    if again is not None:
        _run_again(again, store, out, engine, workers, data_dir)
        return
    presets = options.presets()
    options.check_choice("PRESET", preset, list(presets))
    chosen = presets[preset]
    entrants = options.entered(chosen, tasks, methods, task, optimizer, space, epochs, data_dir)
    protocol = options.protocol_of(
        entrants,
        baseline,
        seeds=seeds or chosen.seeds,
        draws=draws or chosen.draws,
        studies=studies or chosen.studies,
        sampler=sampler,
        margin=margin,
        master=seed,
        device=device,
    )
    running.announce(entrants, protocol, workers)
    result = running.race(entrants, protocol, store, engine, workers)
    _report(result, out)


def _check_alone(context: typer.Context) -> None:
    """Refuses options that would have to change the race that --from names."""
    for name in context.params:
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE" and name not in WITH_FROM:
            option = "PRESET" if name == "preset" else f"--{name.replace('_', '-')}"
            refuse(option, context.params[name], "cannot be given with --from: the race is that of the source")


def _run_again(
    source: Path, store: Path | None, out: Path, engine: str | None, workers: int, data_dir: Path | None
) -> None:
    from thalweg.race.again import again

    if not source.exists():
        refuse("--from", source, "must be the store or the report of a race, and is not there")
    outcome = running.run(
        lambda board: again(
            source,
            store=store,
            engine=engine,
            workers=workers,
            data_dir=data_dir,
            on_progress=board,
            command=running.typed(),
        ),
        workers=workers,
    )
    _report(outcome.result, out)
    output.print(_compared(outcome), highlight=False, markup=False, soft_wrap=True)


def _compared(outcome: "Again") -> str:
    """Which records are equal and which differ, and why they might."""
    differing = outcome.differing
    lines = [f"{len(outcome.outcomes) - len(differing)} of {len(outcome.outcomes)} records are equal to the bit."]
    for one in differing[:20]:
        scores = "" if one.theirs is None else f": {_score(one.theirs)} there, {_score(one.ours)} here"
        lines.append(f"  differs: {one.trial}{scores}")
    if len(differing) > 20:
        lines.append(f"  and {len(differing) - 20} more")
    lines += [f"Other than there: {circumstance}" for circumstance in outcome.circumstances]
    return "\n".join(lines)


def _score(score: float | None) -> str:
    return "none" if score is None else f"{score:.6g}"


def _report(result: "RaceResult", out: Path) -> None:
    from thalweg.cli.results import console_table, notes
    from thalweg.race.report import write_report

    try:
        write_report(result, out, command=running.typed())
    except OSError as error:
        end(f"Error: cannot write {out}: {error.strerror}", 1)
    summary = result.summary
    output.print(console_table(summary))
    output.print(notes(summary), highlight=False, markup=False)
    found = f" ({result.found} of {result.trials} trials were there before)" if result.found else ""
    output.print(f"Report: {out}   Records: {result.store}{found}", highlight=False, soft_wrap=True)


def _check_places(store: Path | None, out: Path) -> None:
    from thalweg.race.store import writable

    if out.is_dir() or not out.parent.is_dir():
        refuse("--out", out, "must be a file in a folder that exists")
    place = out if out.exists() else out.parent
    if not os.access(place, os.W_OK):
        refuse("--out", out, f"cannot be written: {place} is read-only")
    if store is not None and (why := writable(store)):
        refuse("--store", store, why)
