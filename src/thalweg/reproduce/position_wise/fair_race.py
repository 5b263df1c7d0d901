"""The fair question: at equal compute, tuned equally, do sweeps beat plain training and layer-wise learning rates?"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import nn

from thalweg.race import Method, RaceResult
from thalweg.race.method import method_named
from thalweg.race.report.table import Cell, Table
from thalweg.reproduce.fair import verdict_table
from thalweg.reproduce.paper import Options, Part, Tell
from thalweg.reproduce.races import raced
from thalweg.reproduce.records import Measured, Records
from thalweg.sweep import block_costs, nested_cost, plain_cost, propose_blocks, stochastic_cost
from thalweg.tasks import Examples, Task
from thalweg.tasks.catalogue import find
from thalweg.tasks.models import mlp

WIDTH = 32
IMAGES = 3000  # of Fashion-MNIST's training images the first
SWEEPS = ("position_wise", "position_wise_stochastic")
PLAIN = ("sgd", "layerwise_sgd")
# Epochs of a plain trial, so many that a nested sweep through 16 blocks has a few.
EPOCHS = {"digits": 40, "fashion_mnist": 24, "car": 40, "banknote": 40}
DATA = {"fashion_mnist": "fashion_mnist", "car": "uci_car", "banknote": "uci_banknote", "digits": "digits"}


@dataclass(frozen=True)
class Scale:
    """How much is run."""

    sets: tuple[str, ...] = tuple(EPOCHS)
    depths: tuple[int, ...] = (2, 4, 8, 16)
    seeds: int = 15
    draws: int = 8
    studies: int = 2
    repeats: int = 2  # of the best draws, on seeds of their own: near the edge of divergence luck decides otherwise


QUICK = Scale(sets=("digits", "banknote"), depths=(2, 8), seeds=9, draws=4, studies=1, repeats=0)


def network(sizes: tuple[int, ...], generator: torch.Generator) -> nn.Sequential:
    """Layers of these sizes with ReLU between them; a block is a layer and its activation."""
    return nn.Sequential(nn.Flatten(), *mlp(sizes, generator))


def task_of(name: str, depth: int, options: Options) -> Task:
    """A data set with a network of so many blocks."""
    base = find(DATA[name], options.data_dir)
    examples = base.workload(torch.Generator()).train
    inputs, classes = examples.inputs[0].numel(), int(examples.targets.max()) + 1
    sizes = (inputs, *[WIDTH] * (depth - 1), classes)
    task = replace(
        base,
        model=partial(network, sizes),
        name=f"{name}_{depth}",
        title=f"{base.title}, {depth} blocks",
        epochs=EPOCHS[name],
        batch_size=32,
    )
    return replace(task, train=partial(first_images, base), test=None) if name == "fashion_mnist" else task


def first_images(base: Task) -> Examples:
    """Fewer images, of which each seed cuts its parts."""
    train = base.workload(torch.Generator()).train
    return train[:IMAGES]


def lengths_of(task: Task) -> dict[str, float]:
    """For how long each method trains, in plain training's epochs, so that all do as many operations."""
    made = task.network(torch.Generator())
    costs = block_costs(propose_blocks(made), task.workload(torch.Generator()).train.inputs[:1])
    plain = plain_cost(costs)
    return {
        **dict.fromkeys(PLAIN, 1.0),
        "position_wise": plain / nested_cost(costs),
        "position_wise_stochastic": plain / stochastic_cost(costs),
    }


def run(options: Options, tell: Tell, scale: Scale | None = None) -> Records:
    """The races, one a data set and depth. Raises DataMissing where a data set is not there."""
    scale = scale or (QUICK if options.quick else Scale())
    measured: list[Measured] = []
    epochs: dict[str, Any] = {}
    for name in scale.sets:
        for depth in scale.depths:
            task = task_of(name, depth, options)
            lengths = lengths_of(task)
            result = raced(
                [task],
                [_lasting(method, length) for method, length in lengths.items()],
                options,
                tell,
                f"position_wise_{task.name}",
                baseline="sgd",
                seeds=scale.seeds,
                budget=scale.draws,
                studies=scale.studies,
                repeats=scale.repeats,
            )
            measured += _measured(result, task, name, depth)
            epochs[task.name] = {method: max(1, round(length * task.epochs)) for method, length in lengths.items()}
    return Records("position_wise", tuple(measured), {"fair": {"epochs": epochs}}, {"fair": vars(scale)})


def _lasting(name: str, length: float) -> Method:
    method = method_named(name)
    return method.at({**method.hyperparameters, "length": length})


def _measured(result: RaceResult, task: Task, name: str, depth: int) -> list[Measured]:
    """The test accuracies in per cent."""
    return [
        Measured(
            f"{depth} blocks",
            name,
            column,
            "accuracy",
            fair=tuple(float(100 * score) for score in result.summary.scores(task.name, column)),
        )
        for column in result.summary.methods
    ]


def fair_tables(records: Records) -> list[Table]:
    """Verdicts against plain training and against layer-wise rates, a depth each, and for how long each trained."""
    found: list[Table] = []
    if epochs := records.figures.get("fair", {}).get("epochs"):
        columns = (*PLAIN, *SWEEPS)
        rows = [[Cell(name), *(Cell(f"{own[c]}", own[c]) for c in columns)] for name, own in epochs.items()]
        heads = ["", *(column.replace("_", "-") for column in columns)]
        found.append(Table("fair-epochs", "Epochs of each method, so that all do as many operations", heads, rows))
    for depth in dict.fromkeys(one.table for one in records.measured if one.table.endswith(" blocks")):
        for baseline in PLAIN:
            others = [name for name in (*PLAIN, *SWEEPS) if name != baseline]
            caption = f"{depth}, equal compute: accuracy against {baseline.replace('_', '-')}"
            found.append(verdict_table(records, depth, "accuracy", baseline, others, caption))
    return found


PART = Part(
    "fair",
    "Sweeps against plain training and layer-wise rates, at equal compute",
    (),
    "about 45 minutes on one core, quick 3",
    ("fashion_mnist", "uci_car", "uci_banknote"),
    run,
    quick_minutes=3,
)
