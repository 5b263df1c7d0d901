"""Tables 2 and 3: five optimizers at their published hyperparameters on Fashion-MNIST and CIFAR-10, by the paper's
protocol at a smaller scale, on a GPU at its own.

At a smaller scale accuracies say nothing of those printed, so that they stand beside them as "scaled" ones, and the
cells of the paper are not run; what a scaled run can decide is who is ahead of whom, which statements are judged by.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from thalweg.reproduce.autolr.trials import METHODS, Trial
from thalweg.reproduce.autolr.trials import run as train
from thalweg.reproduce.paper import Options, Part, Tell
from thalweg.reproduce.pixels import Amount, training_images
from thalweg.reproduce.records import Measured, Records
from thalweg.reproduce.trials import all_of

TABLES = {"fashion_mnist": "2", "cifar10": "3"}
TITLES = {"fashion_mnist": "Fashion-MNIST", "cifar10": "CIFAR-10"}
FULL_TRAIN = {"fashion_mnist": 53_000, "cifar10": 43_000}
PUBLISHED = ("ades", "sign", "adam", "rmsprop", "nesterov")
QUANTITIES = {"validation": "validation_accuracy", "test": "test_accuracy"}
GUESSED = "how images are prepared (here x/255 less the mean image), and that every trial draws weights of its own"
AT_SCALE = "accuracies need the paper's own scale; what a smaller one decides is the order, in the statements"


@dataclass(frozen=True)
class Scale:
    """How much is run: images, batch and epochs by data set, and trials of each method."""

    amounts: Mapping[str, Amount]
    batch: int
    epochs: Mapping[str, int]
    seeds: int
    whole: bool = False  # the paper's own scale

    def words(self, name: str) -> str:
        """What is smaller than the paper's; "" for nothing."""
        if self.whole:
            return ""
        amount = self.amounts[name]
        return (
            f"{amount.train:,} images to train on, {amount.validation:,} to validate and {amount.test:,} to test, "
            f"shrunk to 1/{amount.shrink}; batches of {self.batch}; {self.epochs[name]} epochs"
        )


# Images and batch are a twentieth of the paper's, a tenth in the full run: an epoch has about 53 steps, as there.
QUICK = Scale(
    {"fashion_mnist": Amount(2650, 1000, 2000, 2), "cifar10": Amount(2150, 1000, 2000, 2)}, 50,
    {"fashion_mnist": 14, "cifar10": 10}, seeds=3,
)  # fmt: skip
FULL = Scale(
    {"fashion_mnist": Amount(5300, 1400, 10_000, 2), "cifar10": Amount(4300, 1400, 10_000, 2)}, 100,
    {"fashion_mnist": 24, "cifar10": 20}, seeds=8,
)  # fmt: skip
WHOLE = Scale(
    {name: Amount(train, 7000, None, 1) for name, train in FULL_TRAIN.items()}, 1000,
    dict.fromkeys(TABLES, 1000), seeds=30, whole=True,
)  # fmt: skip


def scale_of(options: Options) -> Scale:
    """The scale of a run: the paper's own on a GPU alone."""
    return QUICK if options.quick else WHOLE if options.device.startswith("cuda") else FULL


def run(name: str, options: Options, tell: Tell, scale: Scale | None = None) -> Records:
    """All methods on a data set, the same seeds for each. Raises DataMissing."""
    scale = scale or scale_of(options)
    training_images(name, options.data_dir, scale.amounts[name])  # raises before anything is done
    wanted = [
        Trial(name, method, rep, scale.amounts[name], scale.batch, scale.epochs[name], options.data_dir, options.device)
        for rep in range(scale.seeds)
        for method in METHODS[name]
    ]
    found = all_of(wanted, train, options.workers, tell, TITLES[name])
    trials = {method: [found[one] for one in wanted if one.method == method] for method in METHODS[name]}
    measured = [one for method, own in trials.items() for one in cells(name, method, own, scale)]
    settings = {"seeds": scale.seeds, "batch": scale.batch, "epochs": scale.epochs[name], **asdict(scale.amounts[name])}
    return Records("autolr", tuple(measured), {name: {"trials": trials}}, {name: settings})


def cells(name: str, method: str, trials: list[dict[str, Any]], scale: Scale) -> list[Measured]:
    """Those of a method: at the paper's scale as printed; otherwise beside it, with why the printed one was not run."""
    table, found = TABLES[name], []
    for part, quantity in QUANTITIES.items():
        values = tuple(float(trial[part]) for trial in trials)
        if scale.whole:
            found.append(Measured(table, name, method, quantity, values, missing=GUESSED))
            continue
        if method in PUBLISHED:
            found.append(Measured(table, name, method, quantity, missing=AT_SCALE))
            found.append(Measured(table, name, method, f"{quantity}_sd", missing=AT_SCALE))
        found.append(
            Measured(table, name, method, f"scaled_{quantity}", values, missing=GUESSED, scale=scale.words(name))
        )
    return found


def _part(name: str, cost: str) -> Part:
    title = f"Table {TABLES[name]}: {TITLES[name]} by the paper's protocol, scaled"
    return Part(name, title, (TABLES[name],), cost, (name,), partial(run, name), quick_minutes=3)


FASHION_PART = _part("fashion_mnist", "about 20 minutes on two cores, quick 3; at the paper's scale, on a GPU, a day")
CIFAR_PART = _part("cifar10", "about 20 minutes on two cores, quick 3; at the paper's scale, on a GPU, days")
