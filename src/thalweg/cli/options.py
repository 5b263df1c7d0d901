"""The options that `race` and `tune` share, and how names are read."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from thalweg.cli.console import end, refuse

if TYPE_CHECKING:  # these import torch, which takes seconds: `thalweg --help` need not wait
    from thalweg.race import Protocol
    from thalweg.race.races import Entrants

Tasks = Annotated[str | None, typer.Option(help="Tasks, separated by commas: see `thalweg tasks`.")]
Methods = Annotated[str | None, typer.Option(help="Methods, separated by commas; their plain forms join.")]
Task = Annotated[
    list[str] | None, typer.Option("--task", help="A task of your own, file.py:function; may be given several times.")
]
Optimizer = Annotated[
    list[str] | None,
    typer.Option("--optimizer", help="An optimizer of your own, module:Class or file.py:Class; several times."),
]
Space = Annotated[
    list[str] | None, typer.Option("--space", help="Another search space for a method, name=file.toml; several times.")
]
Draws = Annotated[int | None, typer.Option(help="Settings that each study tries, the published default included.")]
Studies = Annotated[int | None, typer.Option(help="Independent tunings of each method on each task.")]
Sampler = Annotated[str, typer.Option(help="How settings are drawn: qmc, grid, random, tpe or gp.")]
Epochs = Annotated[int | None, typer.Option(help="Epochs of every trial, in place of each task's own.")]
Seed = Annotated[int, typer.Option(help="Master seed of all randomness.")]
StoreFolder = Annotated[
    Path | None, typer.Option("--store", help="Folder of finished trials; what it holds is not run again.")
]
Workers = Annotated[int | None, typer.Option(help="Processes; by default one a CPU.")]
Engine = Annotated[str | None, typer.Option(help="The address of a Dask scheduler, tcp://host:port.")]
Device = Annotated[str, typer.Option(help="Where networks train: cpu, or cuda.")]
DataDir = Annotated[
    Path | None, typer.Option("--data-dir", help="Folder of data sets; by default $THALWEG_DATA. See docs/data.md.")
]


@dataclass(frozen=True)
class Preset:
    """What a race is by default."""

    tasks: tuple[str, ...]
    methods: tuple[str, ...]
    seeds: int
    draws: int
    studies: int


_RULES = ("sgd", "heavy-ball", "rmsprop", "adam", "adamw", "lion", "gravity", "ades")


def presets() -> dict[str, Preset]:
    """The races that have a name."""
    from thalweg.tasks.catalogue import PRESETS

    return {
        "bundled": Preset(tuple(PRESETS["bundled"]), (*_RULES, "sign"), seeds=15, draws=9, studies=3),
        "uci": Preset(tuple(PRESETS["uci"]), _RULES, seeds=30, draws=25, studies=3),
        "vision": Preset(
            tuple(PRESETS["vision"]), ("heavy-ball", "adam", "adamw", "gravity"), seeds=5, draws=5, studies=1
        ),
    }


def check_counts(*counts: tuple[str, int | None, int]) -> None:
    """Refuses a number that is below the least that its option allows."""
    for name, number, least in counts:
        if number is not None and number < least:
            refuse(name, number, f"must be >= {least}")


def check_choice(option: str, given: str, allowed: Sequence[str]) -> None:
    """Refuses a word that is none of those allowed."""
    if given not in allowed:
        near = difflib.get_close_matches(given, allowed, n=1)
        meant = f" (did you mean {near[0]}?)" if near else ""
        refuse(option, given, f"is unknown{meant}; allowed: {', '.join(allowed)}")


def listed(option: str, text: str) -> list[str]:
    """The names between the commas; refused where there is none."""
    names = [part.strip() for part in text.split(",") if part.strip()]
    if not names:
        refuse(option, text, "must name at least one")
    return list(dict.fromkeys(names))


def spaces_of(given: Sequence[str]) -> dict[str, Path]:
    """By method, the file of another search space."""
    found = {}
    for text in given:
        name, sign, file = text.partition("=")
        if not sign or not name or not file:
            refuse("--space", text, "must be name=file.toml")
        if not Path(file).is_file():
            refuse("--space", text, f"names no file: {file}")
        found[name] = Path(file)
    return found


def entered(
    preset: Preset,
    tasks: str | None,
    methods: str | None,
    own_tasks: Sequence[str] | None,
    own_optimizers: Sequence[str] | None,
    spaces: Sequence[str] | None,
    epochs: int | None,
    data_dir: Path | None,
) -> "Entrants":
    """The tasks and methods of a race: those named, and one's own; the preset's where none is named.

    Ends the command where one is unknown, its data are not there, or they are not fit to learn from.
    """
    from thalweg.race.races import Entrants
    from thalweg.tasks import DataMissing

    own_tasks, own_optimizers = list(own_tasks or []), list(own_optimizers or [])
    named_tasks = listed("--tasks", tasks) if tasks is not None else [] if own_tasks else list(preset.tasks)
    named_methods = listed("--methods", methods) if methods is not None else list(preset.methods)
    try:
        entrants = Entrants.named(
            [*named_tasks, *own_tasks],
            [*named_methods, *own_optimizers],
            data_dir,
            epochs,
            spaces_of(spaces or []),
        )
        for task in entrants.tasks:  # reads the data, and tries network, loss and metric on them
            task.check()
        return entrants
    except (ValueError, DataMissing) as error:
        end(f"Error: {error}", 2)


def protocol_of(entrants: "Entrants", baseline: str | None, **settings: Any) -> "Protocol":
    """The protocol; ends the command where a setting is out of its range."""
    from thalweg.race import Protocol
    from thalweg.race.races import baseline_of
    from thalweg.race.sampling import SAMPLERS

    check_choice("--sampler", settings["sampler"], SAMPLERS)
    try:
        return Protocol(baseline=baseline_of(baseline, entrants.methods), **settings)
    except ValueError as error:
        end(f"Error: {error}", 2)
