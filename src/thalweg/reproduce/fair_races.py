"""Fair races: all methods of a race are tuned by one budget, on images shrunk for two cores among other tasks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

from torch.nn.functional import cross_entropy

from thalweg.names import shown
from thalweg.race import Method, RaceResult
from thalweg.race.method import method_named
from thalweg.race.record import Value
from thalweg.race.report.table import Cell, Table
from thalweg.reproduce.keras import keras_cnn
from thalweg.reproduce.pixels import Amount, training_images
from thalweg.reproduce.records import Measured
from thalweg.tasks import ACCURACY, Task

BATCH = 32
SHRINK = 2  # of height and width
NONE = "–"


@dataclass(frozen=True)
class Effort:
    """How a race tunes and how many seeds it has. Of n seeds the smallest p is 2^(1-n), which Holm multiplies by the
    number of methods beside the baseline: 8 decide nothing about seven methods, 9 do. Of one study the luck of its
    draws is in no interval."""

    seeds: int
    draws: int
    studies: int


def image_task(name: str, data_dir: Path | None, images: int, epochs: int) -> Task:
    """The first training images of a set, of which each seed cuts its three parts, shrunk to half, for the Keras
    network. Raises DataMissing."""
    examples = training_images(name, data_dir, Amount(images, 0, 1, SHRINK))
    channels, size = examples.inputs.shape[1:3]
    return Task(
        partial(keras_cnn, channels, size), cross_entropy, examples, metric=ACCURACY, name=name,
        title=f"{name}, {images} images", batch_size=BATCH, epochs=epochs,
    )  # fmt: skip


def plain(name: str) -> Method:
    """The method of this name without its ablations, which would join a race by themselves."""
    return replace(method_named(name), ablations=())


def untuned(name: str, hyperparameters: Mapping[str, Value], suffix: str = "defaults") -> Method:
    """The method of this name at its defaults but for those given, with nothing to search; called `name@suffix`."""
    method = plain(name)
    own = {**method.hyperparameters, **hyperparameters}
    return replace(method, name=f"{name}@{suffix}", hyperparameters=own, space=())


def cells(result: RaceResult, table: str, task: str, quantity: str = "accuracy") -> list[Measured]:
    """A hundred times the test scores of each method on a task, one a seed, as cells of the fair protocol."""
    scores = {method: result.summary.scores(task, method) for method in result.summary.methods}
    return [
        Measured(table, task, method, quantity, fair=tuple(float(100 * score) for score in own))
        for method, own in scores.items()
    ]


def figures(result: RaceResult, task: str) -> dict[str, Any]:
    """ "constant": what an answer scores that does not look at the input, times 100; "lr": the learning rates that
    tuning chose, by method, each once."""
    constants = (one.constant_metric for one in result.records[task, result.summary.baseline])
    rates = {
        method: sorted({study.chosen.hyperparameters["lr"] for study in result.studies[task, method]})
        for method in result.summary.methods
    }
    return {"constant": 100 * fmean(constant or 0.0 for constant in constants), "lr": rates}


def rates_table(found: Mapping[str, Mapping[str, Any]], name: str, caption: str) -> Table:
    """A line a task, a column a method: the learning rates that tuning chose; `found` has `figures` by task."""
    methods = list(dict.fromkeys(method for of in found.values() for method in of["lr"]))
    rows = [
        [Cell(shown(task)), *(Cell(", ".join(f"{lr:.2g}" for lr in of["lr"].get(method, ())) or NONE, wide=True)
                              for method in methods)]
        for task, of in found.items()
    ]  # fmt: skip
    return Table(name, caption, ["", *map(shown, methods)], rows)
