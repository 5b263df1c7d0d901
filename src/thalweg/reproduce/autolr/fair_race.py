"""The fair question: tuned by one budget, is ADES or Sign better at home, on Fashion-MNIST, or away from it?"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from thalweg.race.report.table import Table
from thalweg.reproduce.fair import verdict_table
from thalweg.reproduce.fair_races import Effort, cells, figures, image_task, plain
from thalweg.reproduce.paper import Options, Part, Tell
from thalweg.reproduce.races import raced
from thalweg.reproduce.recall import recall
from thalweg.reproduce.records import Measured, Records
from thalweg.tasks import Task
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
class Scale:
    """How much is run. Of image sets so many images are taken, of which each seed cuts its three parts."""

    images: int
    image_sets: tuple[str, ...]
    image_epochs: int
    on_images: Effort
    bundled: tuple[str, ...]
    on_bundled: Effort


FULL = Scale(
    images=2000,
    image_sets=IMAGES,
    image_epochs=10,
    on_images=Effort(seeds=10, draws=6, studies=2),
    bundled=BUNDLED,
    on_bundled=Effort(seeds=20, draws=9, studies=4),
)
QUICK = Scale(
    images=800,
    image_sets=(HOME,),
    image_epochs=8,
    on_images=Effort(seeds=8, draws=4, studies=2),
    bundled=BUNDLED,
    on_bundled=Effort(seeds=15, draws=6, studies=3),
)


def task_of(name: str, options: Options, scale: Scale) -> Task:
    """A task; images are shrunk to half, for the network of the paper. Raises DataMissing."""
    if name not in IMAGES:
        return recall() if name == "recall" else find(name)
    return image_task(name, options.data_dir, scale.images, scale.image_epochs)


def run(options: Options, tell: Tell, scale: Scale | None = None) -> Records:
    """A race a task, all methods tuned by one budget. Raises DataMissing."""
    scale = scale or (QUICK if options.quick else FULL)
    methods = [plain(name) for name in METHODS]  # ADES' ablation runs anyway
    measured: list[Measured] = []
    found: dict[str, Any] = {}
    for name in (*scale.image_sets, *scale.bundled):
        effort = scale.on_images if name in IMAGES else scale.on_bundled
        result = raced(
            [task_of(name, options, scale)], methods, options, tell, f"autolr_{name}", baseline=BASELINE,
            seeds=effort.seeds, budget=effort.draws, studies=effort.studies,
        )  # fmt: skip
        measured += cells(result, TABLE, name, QUANTITY.get(name, "accuracy"))
        found[name] = figures(result, name)
    return Records("autolr", tuple(measured), {"fair": found}, {"fair": asdict(scale)})


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
    quick_minutes=2,
)
