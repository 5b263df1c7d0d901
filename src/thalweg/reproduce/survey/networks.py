"""Networks from 15 to 100,000 weights, shallow and deep, on tables and on images: gradients, strategies and hybrids at
equal numbers of passes, tuned alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from statistics import fmean
from typing import Any

import torch

from thalweg.race import RaceResult
from thalweg.race.method import method_named
from thalweg.reproduce.paper import Options, Part, Tell
from thalweg.reproduce.position_wise.fair_race import first_images, network
from thalweg.reproduce.races import raced
from thalweg.reproduce.records import Measured, Records
from thalweg.tasks import DataMissing, Task
from thalweg.tasks.catalogue import find

TABLE = "networks"
GRADIENTS = ("sgd", "adam")
STRATEGIES = (
    "random", "hillclimb", "ga", "ga_truncation", "pso", "de", "cma", "sep_cma", "snes", "openai_es", "pgpe", "aco",
    "sa", "tabu",
)  # fmt: skip
HYBRIDS = ("ga_lamarckian", "ga_informed_mutation", "snes_then_adam", "snes_adam_bandit", "es_adam")
BASELINE = "adam"
BATCH = 32  # examples a step
# Weights, beyond which a covariance matrix takes most of the time, and a neighbourhood more passes than there are.
MOST = {"cma": 3000, "tabu": 500}
# Where a trial takes long, fewer methods are raced.
FEWER = ("sgd", "adam", "random", "ga", "pso", "de", "snes", "sep_cma", "pgpe", "snes_then_adam", "es_adam")


@dataclass(frozen=True)
class Net:
    """A network: the data that it learns, the widths of its hidden layers, and epochs of a trial of its own."""

    data: str
    hidden: tuple[int, ...]
    epochs: int
    methods: tuple[str, ...] = ()  # that are raced on it, all where empty


# By name; `task_of` says how many weights each has.
NETS: dict[str, Net] = {
    "iris": Net("iris", (), 60),
    "iris 16": Net("iris", (16,), 60),
    "digits 32": Net("digits", (32,), 20),
    "digits 16 layers": Net("digits", (32,) * 15, 20),
    "digits 280 280": Net("digits", (280, 280), 20, FEWER),
    "fashion 100": Net("fashion_mnist", (100,), 5, FEWER),
}


@dataclass(frozen=True)
class Scale:
    """How much is run."""

    nets: tuple[str, ...] = ("iris", "iris 16", "digits 32", "digits 16 layers", "digits 280 280")
    methods: tuple[str, ...] = (*GRADIENTS, *STRATEGIES, *HYBRIDS)
    seeds: int = 12
    draws: int = 4


QUICK = Scale(
    nets=("iris", "digits 32", "digits 16 layers"),
    methods=("sgd", "adam", "random", "ga", "pso", "de", "snes", "ga_lamarckian", "snes_then_adam", "es_adam"),
    seeds=6,
    draws=2,
)


def task_of(name: str, options: Options) -> Task:
    """The task of a network. Raises DataMissing where its data are not there."""
    net = NETS[name]
    base = find(net.data, options.data_dir)
    examples = base.workload(torch.Generator()).train
    sizes = (examples.inputs[0].numel(), *net.hidden, int(examples.targets.max()) + 1)
    task = replace(
        base,
        model=partial(network, sizes),
        name=name.replace(" ", "_").replace(",", ""),
        title=f"{base.title}, {' - '.join(map(str, sizes))}",
        epochs=net.epochs,
        batch_size=BATCH,
    )
    return replace(task, train=partial(first_images, base), test=None) if net.data == "fashion_mnist" else task


def run(options: Options, tell: Tell, scale: Scale | None = None) -> Records:
    """A race a network; those whose data are missing are left out."""
    scale = scale or (QUICK if options.quick else Scale())
    measured: list[Measured] = []
    figures: dict[str, Any] = {}
    left: list[str] = []
    for name in scale.nets:
        try:
            task = task_of(name, options)
        except DataMissing:
            left.append(name)
            continue
        weights = sum(w.numel() for w in task.network(torch.Generator()).parameters())
        wanted = [method for method in scale.methods if method in (NETS[name].methods or scale.methods)]
        chosen = [method for method in wanted if weights <= MOST.get(method, weights)]
        result = raced(
            [task],
            [method_named(method) for method in chosen],
            options,
            tell,
            f"survey_{task.name}",
            baseline=BASELINE,
            seeds=scale.seeds,
            budget=scale.draws,
        )
        measured += _measured(result, task.name, name)
        figures[name] = {"weights": weights, **_figures(result, task.name)}
    return Records(
        "survey", tuple(measured), {"networks": figures}, {"networks": {**vars(scale), "data missing": left}}
    )


def _measured(result: RaceResult, task: str, row: str) -> list[Measured]:
    """Test accuracies and final training losses, a seed each."""
    found = []
    for column in result.summary.methods:
        records = result.records[task, column]
        for quantity, values in (
            ("accuracy", [float(100 * score) for score in result.summary.scores(task, column)]),
            ("loss", [record.train_loss[-1] for record in records]),
        ):
            found.append(Measured(TABLE, row, column, quantity, fair=tuple(values)))
    return found


def _figures(result: RaceResult, task: str) -> dict[str, Any]:
    """Of each method: passes and seconds of a trial, the mean training loss by epoch, and what all draws of tuning
    scored on the validation part, with the place of each in its range."""
    found: dict[str, Any] = {}
    for column in result.summary.methods:
        records = result.records[task, column]
        curves = zip(*(record.train_loss for record in records if not record.diverged), strict=False)
        found[column] = {
            "passes": fmean(record.forward_passes + 2 * record.backward_passes for record in records),
            "seconds": fmean(record.seconds for record in records),
            "state_bytes": fmean(record.state_bytes for record in records),
            "curve": [fmean(losses) for losses in curves],
            "tuning": [_draw(draw) for study in result.studies[task, column] for draw in study.draws],
        }
    return {"methods": found}


def _draw(draw: Any) -> dict[str, Any]:
    scales: Mapping[str, Any] = draw.hyperparameters
    own = {name: scales[name] for name in ("lr", "scale") if name in scales}
    score = None if draw.diverged else draw.score
    return {**own, "score": score}


PART = Part(
    "networks",
    "Networks from 15 to 100,000 weights: gradients, strategies, hybrids",
    (),
    "about 20 minutes on one core, quick 2",
    (),
    run,
    quick_minutes=2,
)
