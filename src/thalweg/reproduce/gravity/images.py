"""Figures 10 to 19: Gravity, its ablations, Adam and RMSprop on image sets at the published rates, by the paper's
protocol: on a GPU at its own scale, elsewhere with smaller networks and fewer images.

At a smaller scale losses and accuracies say nothing of those published, so that they stand beside them as "scaled"
ones, and the published cells are not run; what a scaled run can decide is who is ahead of whom, which statements are
judged by.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

from thalweg.reproduce.claims import claims_of
from thalweg.reproduce.gravity.networks import NARROWER
from thalweg.reproduce.gravity.trials import METHODS, SETS, Trial
from thalweg.reproduce.gravity.trials import run as train
from thalweg.reproduce.paper import Options, Part, Tell
from thalweg.reproduce.pixels import Amount, read_images
from thalweg.reproduce.records import Measured, Records
from thalweg.reproduce.trials import all_of

FIGURES = {
    ("mnist", "vgg16"): "Figure 10", ("mnist", "vgg19"): "Figure 11",
    ("fashion_mnist", "vgg16"): "Figure 12", ("fashion_mnist", "vgg19"): "Figure 13",
    ("cifar10", "vgg16"): "Figure 14", ("cifar10", "vgg19"): "Figure 15",
    ("cifar100_coarse", "vgg16"): "Figure 16", ("cifar100_coarse", "vgg19"): "Figure 17",
    ("cifar100_fine", "vgg16"): "Figure 18", ("cifar100_fine", "vgg19"): "Figure 19",
}  # fmt: skip
REPOSITORY = ("Repository, beta", "Repository, m")  # more runs of CIFAR-10 on VGG16 in the authors' files
TITLES = {
    "mnist": "MNIST", "fashion_mnist": "Fashion-MNIST", "cifar10": "CIFAR-10",
    "cifar100_coarse": "CIFAR-100 (coarse)", "cifar100_fine": "CIFAR-100 (fine)",
}  # fmt: skip
CLASSES = {"mnist": 10, "fashion_mnist": 10, "cifar10": 10, "cifar100_coarse": 20, "cifar100_fine": 100}
SCALED = ("final_train_loss", "final_loss", "final_accuracy", "best_accuracy")
AT_SCALE = (
    "what is published needs its own scale, VGG16 or VGG19 whole for 100 epochs, on a GPU; what a smaller one decides "
    "is the order, in the statements"
)
BATCH, EPOCHS, LEAST_IMAGES = 128, 100, 50_000  # the paper's own
MORE_RUNS = "it takes 100 epochs of the whole VGG16 more for each value, which no part spends"


@dataclass(frozen=True)
class Run:
    """How a network is trained on a data set: images, batch and epochs, and trials of each method."""

    network: str
    amount: Amount
    batch: int
    epochs: int
    seeds: int = 3

    @property
    def whole(self) -> bool:
        """Whether it is the paper's own scale; the number of trials is ours."""
        return (self.amount.shrink, self.amount.test, self.batch, self.epochs) == (1, None, BATCH, EPOCHS) and (
            self.network in ("vgg16", "vgg19") and self.amount.train >= LEAST_IMAGES
        )

    def words(self) -> str:
        """What is smaller than the paper's; "" for nothing."""
        if self.whole:
            return ""
        network = {
            "vgg16_narrow": f"VGG16 with widths divided by {NARROWER} and without the last pool",
            "keras_cnn": "Keras' CNN without dropout",
        }.get(self.network, "")
        amount = self.amount
        tested = "all" if amount.test is None else f"{amount.test:,}"
        shrunk = f", shrunk to 1/{amount.shrink}" if amount.shrink > 1 else ""
        said = (
            f"{amount.train:,} images to train on and {tested} to validate{shrunk}; batches of {self.batch}; "
            f"{self.epochs} epochs"
        )
        return f"{network}; {said}" if network else said


Plan = Mapping[str, Sequence[Run]]  # by data set


def _whole(network: str, images: int) -> Run:
    return Run(network, Amount(images, 0, None, 1), BATCH, EPOCHS)


# Images are halved and fewer, and batches smaller by less, so that an epoch has 75 and 150 steps.
SMALL = Run("keras_cnn", Amount(1200, 0, 1000, 2), 16, 10)
NARROW = Run("vgg16_narrow", Amount(1200, 0, 500, 2), 8, 6, seeds=2)
QUICK: Plan = {name: (SMALL,) if name == "mnist" else (SMALL, NARROW) for name in SETS}
FULL: Plan = dict.fromkeys(
    SETS,
    (Run("keras_cnn", Amount(5000, 0, 2000, 2), 16, 20), Run("vgg16_narrow", Amount(5000, 0, 2000, 2), 16, 20)),
)
WHOLE: Plan = {
    name: [_whole(network, 60_000 if "mnist" in name else 50_000) for network in ("vgg16", "vgg19")] for name in SETS
}


def plan_of(options: Options) -> Plan:
    """What a run of these options trains: on a GPU the paper's own networks and images."""
    return QUICK if options.quick else WHOLE if options.device.startswith("cuda") else FULL


def run(names: Sequence[str], options: Options, tell: Tell, plan: Plan | None = None) -> Records:
    """All methods on these data sets, the same seeds for each. The figures are, by "data set network" and method, what
    `trials.run` gives, a seed each. Raises DataMissing."""
    plan = plan or plan_of(options)
    for name in names:
        read_images(SETS[name], options.data_dir, plan[name][0].amount)  # raises before anything is done
    records = [_on_one(name, plan[name], options, tell) for name in names]
    found = Records("gravity", ()).joined(records)
    return replace(found, measured=(*found.measured, *_not_run(names, found)))


def ends(trial: Mapping[str, Any]) -> dict[str, float]:
    """What its curves come to: the last numbers, the best ones on the test set with the epochs at which they were
    first, from 1, and the first accuracy. Losses that are not finite are never the lowest."""
    loss, accuracy = trial["loss"], trial["accuracy"]
    lowest = min(range(len(loss)), key=lambda epoch: loss[epoch] if math.isfinite(loss[epoch]) else math.inf)
    best = max(range(len(accuracy)), key=accuracy.__getitem__)
    return {
        "final_train_loss": trial["train_loss"][-1], "final_train_accuracy": trial["train_accuracy"][-1],
        "final_loss": loss[-1], "final_accuracy": accuracy[-1],
        "best_accuracy": accuracy[best], "best_epoch": best + 1.0,
        "lowest_loss": loss[lowest], "lowest_loss_epoch": lowest + 1.0, "first_accuracy": accuracy[0],
    }  # fmt: skip


def cells(name: str, run: Run, method: str, trials: Sequence[Mapping[str, Any]], *, mixed: bool) -> list[Measured]:
    """Those of a method: at the paper's scale as published, otherwise beside it."""
    found = [ends(trial) for trial in trials]
    precision = "products in bfloat16" if mixed else ""
    if run.whole:
        table, scale, quantities = FIGURES[name, run.network], precision, tuple(found[0])
    else:
        table, scale, quantities = FIGURES[name, "vgg16"], "; ".join(filter(None, (run.words(), precision))), SCALED
    prefix = "" if run.whole else "scaled_"
    return [
        Measured(table, f"{name} {run.network}", method, f"{prefix}{quantity}", tuple(one[quantity] for one in found),
                 scale=scale)
        for quantity in quantities
    ]  # fmt: skip


def _on_one(name: str, runs: Sequence[Run], options: Options, tell: Tell) -> Records:
    """All runs on a data set."""
    mixed = options.mixed_precision
    measured: list[Measured] = []
    figures: dict[str, Any] = {}
    for one in runs:
        wanted = [
            Trial(
                name, one.network, method, rep, one.amount, one.batch, one.epochs, options.data_dir, options.device,
                mixed,
            )
            for rep in range(one.seeds)
            for method in METHODS
        ]  # fmt: skip
        found = all_of(wanted, train, options.workers, tell, f"{TITLES[name]}, {one.network}")
        figures[f"{name} {one.network}"] = trials = {m: [found[t] for t in wanted if t.method == m] for m in METHODS}
        measured += [cell for m, own in trials.items() for cell in cells(name, one, m, own, mixed=mixed)]
    settings = {"mixed_precision": mixed, **{one.network: asdict(one) for one in runs}}
    return Records("gravity", tuple(measured), figures, {name: settings})


def _not_run(names: Sequence[str], found: Records) -> list[Measured]:
    """The published cells of these data sets that nothing was measured for, with why."""
    tables = _tables(names)
    return [
        Measured(*claim.cell, missing=MORE_RUNS if claim.table in REPOSITORY else AT_SCALE)
        for claim in claims_of("gravity")
        if claim.table in tables and claim.is_result and found.of(claim.cell) is None
    ]


def _tables(names: Sequence[str]) -> tuple[str, ...]:
    figures = tuple(table for (data, _), table in FIGURES.items() if data in names)
    return (*figures, *REPOSITORY) if "cifar10" in names else figures


def _part(name: str, figures: str, names: Sequence[str], cost: str, quick_minutes: float) -> Part:
    title = f"Figures {figures}: {' and '.join(TITLES[one] for one in names)} by the paper's protocol"
    needs = tuple(SETS[one] for one in names)
    return Part(
        name, title, _tables(names), f"{cost}; at the paper's scale, on a GPU, hours", needs,
        partial(run, tuple(names)), quick_minutes=quick_minutes, mixed_precision=True,
    )  # fmt: skip


MNIST_PART = _part("mnist", "10 and 11", ["mnist"], "about 20 minutes on two cores, quick 1", 1.1)
FASHION_PART = _part("fashion_mnist", "12 and 13", ["fashion_mnist"], "about 20 minutes on two cores, quick 3", 2.5)
CIFAR10_PART = _part("cifar10", "14 and 15", ["cifar10"], "about 30 minutes on two cores, quick 3", 3.0)
CIFAR100_PART = _part(
    "cifar100", "16 to 19", ["cifar100_coarse", "cifar100_fine"], "about an hour on two cores, quick 5", 5.0
)
