"""The fair question: tuned by one budget, is ADES or Sign better at home, on Fashion-MNIST, or away from it?"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from functools import partial
from statistics import fmean
from typing import Any

from torch.nn.functional import cross_entropy

from thalweg.race.method import method_named
from thalweg.race.report.table import Table
from thalweg.reproduce.autolr.networks import keras_cnn
from thalweg.reproduce.autolr.pixels import Amount, training_images
from thalweg.reproduce.autolr.recall import recall
from thalweg.reproduce.fair import verdict_table
from thalweg.reproduce.paper import Options, Part, Tell
from thalweg.reproduce.races import raced
from thalweg.reproduce.records import Measured, Records
from thalweg.tasks import ACCURACY, Examples, Task
from thalweg.tasks.catalogue import find

TABLE = "Fair race"
EVOLVED = ("ades", "sign")
HUMAN_MADE = ("adam", "rmsprop", "nesterov")
METHODS = (*EVOLVED, *HUMAN_MADE, "ades_heavy_ball")
BASELINE = "adam"
HOME = "fashion_mnist"
IMAGES = (HOME, "cifar10")
BUNDLED = ("digits", "wine", "diabetes", "recall")
QUANTITY = {"diabetes": "r2"}  # scored otherwise than by accuracy


@dataclass(frozen=True)
class Effort:
    """How a race tunes and how many seeds it has. Fewer than 8 decide nothing about five methods beside another one
    (Holm); of one study the luck of its draws is in no interval."""

    seeds: int
    draws: int
    studies: int


@dataclass(frozen=True)
class Scale:
    """How much is run. Of image sets so many images are taken, of which each seed cuts its three parts."""

    images: int = 2000
    image_sets: tuple[str, ...] = IMAGES
    image_epochs: int = 10
    on_images: Effort = Effort(seeds=10, draws=6, studies=2)
    bundled: tuple[str, ...] = BUNDLED
    on_bundled: Effort = Effort(seeds=20, draws=9, studies=4)


QUICK = Scale(
    images=800,
    image_sets=(HOME,),
    image_epochs=8,
    on_images=Effort(seeds=8, draws=4, studies=2),
    on_bundled=Effort(seeds=15, draws=6, studies=3),
)


def task_of(name: str, options: Options, scale: Scale) -> Task:
    """A task; images are shrunk to half, for the network of the paper. Raises DataMissing."""
    if name not in IMAGES:
        return recall() if name == "recall" else find(name)
    examples = first_images(name, options, scale.images)
    channels, size = examples.inputs.shape[1:3]
    return Task(
        partial(keras_cnn, channels, size), cross_entropy, examples, metric=ACCURACY, name=name,
        title=f"{name}, {scale.images} images", batch_size=32, epochs=scale.image_epochs,
    )  # fmt: skip


def first_images(name: str, options: Options, count: int) -> Examples:
    """The first training images. Raises DataMissing."""
    return training_images(name, options.data_dir, Amount(count, 0, 1, 2))


def run(options: Options, tell: Tell, scale: Scale | None = None) -> Records:
    """A race a task, all methods tuned by one budget. Raises DataMissing."""
    scale = scale or (QUICK if options.quick else Scale())
    methods = [replace(method_named(name), ablations=()) for name in METHODS]  # ADES' runs anyway
    measured: list[Measured] = []
    figures: dict[str, Any] = {}
    for name in (*scale.image_sets, *scale.bundled):
        effort = scale.on_images if name in IMAGES else scale.on_bundled
        result = raced(
            [task_of(name, options, scale)], methods, options, tell, f"autolr_{name}", baseline=BASELINE,
            seeds=effort.seeds, budget=effort.draws, studies=effort.studies,
        )  # fmt: skip
        for method in result.summary.methods:
            scores = tuple(float(100 * score) for score in result.summary.scores(name, method))
            measured.append(Measured(TABLE, name, method, QUANTITY.get(name, "accuracy"), fair=scores))
            chosen = {study.chosen.hyperparameters["lr"] for study in result.studies[name, method]}
            figures.setdefault(name, {}).setdefault("lr", {})[method] = sorted(chosen)
        constants = (one.constant_metric for one in result.records[name, BASELINE])
        figures[name]["constant"] = 100 * fmean(constant or 0.0 for constant in constants)
    return Records("autolr", tuple(measured), {"fair": figures}, {"fair": asdict(scale)})


def fair_tables(records: Records) -> list[Table]:
    """Verdicts of all methods against Adam, and of the others against ADES."""
    found = []
    for quantity in ("accuracy", "r2"):
        if not any(one.table == TABLE and one.quantity == quantity for one in records.measured):
            continue
        for baseline in (BASELINE, "ades"):
            others = [method for method in METHODS if method != baseline]
            what = "test accuracy" if quantity == "accuracy" else "100 R2 of the test part"
            caption = f"Tuned by one budget: {what} against {baseline}, the home task first"
            table = verdict_table(records, TABLE, quantity, baseline, others, caption)
            found.append(replace(table, name=f"fair-{quantity}-against-{baseline}"))
    return found


PART = Part(
    "fair",
    "The fair race: at home on Fashion-MNIST, and away",
    (),
    "about 15 minutes on two cores, quick 2",
    (HOME, "cifar10"),
    run,
)
