"""Supplementary tables 10 and 11: Adam and AdaSwarm on images, with the network of section VI-D and with ResNet-18.

Table 10 is read as the published code counts in the tables of the UCI data sets: binary cross entropy, and the share of
outputs that round to their label. Only so can all of it be: the 99.0 % that it gives for CIFAR-100's test part are what
an answer of zeros scores. On a CPU both tables are run on few and small images, on a GPU on all of them.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from statistics import fmean
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from thalweg.race import Float, Method, Record
from thalweg.race.method import method_named
from thalweg.race.record import Value
from thalweg.race.result import Place
from thalweg.race.through import Through
from thalweg.reproduce.adaswarm.labels import ELEMENTWISE, LabelLoss
from thalweg.reproduce.claims import Claim, claims_of
from thalweg.reproduce.paper import Options, Part, Tell
from thalweg.reproduce.pixels import first_images
from thalweg.reproduce.races import raced
from thalweg.reproduce.records import Measured, Records
from thalweg.swarm import OutputGradient
from thalweg.tasks import ACCURACY, Examples, Task
from thalweg.tasks.images import ImageSet
from thalweg.tasks.models import resnet18
from thalweg.tasks.models.layers import Conv2d, Linear
from thalweg.tasks.vision import IMAGE_SETS

TABLES = ("S10", "S11")
SETS = ("mnist", "fashion_mnist", "cifar10")
ABSENT = {"cifar100": ("CIFAR-100", 100), "ibeans": ("iBeans", 3)}  # with the number of classes
NOT_HERE = {"adashift": "AdaShift", "wngrad": "WNGrad", "diffgrad": "DiffGrad"}
CLASSES = 10
PUBLISHED_LR = 0.1  # the default of the published scripts
LR = {"S10": 0.001, "S11": PUBLISHED_LR}  # at 0.1 the network of table 10 learns nothing: Adam's own default is taken
RATES = (Float("lr", 1e-4, 3e-2),)  # that the fair races try, after Adam's 0.001
AT_PUBLISHED_LR = "_at_published_lr"  # what follows the names of table 10's methods at 0.1
PLAIN = "adam_label_distance"  # what AdaSwarm reduces to

MISSING = {
    "S10": "the loss, how accuracies are counted (here as in the other published scripts: the share of outputs that "
    "round to their label), the learning rate, the epochs and the dropout of this network, which no script uses",
    "S11": "the learning rate (here 0.1, the default of the published scripts), and of how many runs a number is",
}
MISSING_SECONDS = "the machine and the epochs, so that only the ratio of AdaSwarm's seconds to Adam's compares"


@dataclass(frozen=True)
class Scale:
    """How much is run: `runs` seeds by the paper's protocol, and the fair race's `seeds`, `draws` and `studies`.

    `train`, `validation` and `test` are numbers of images, None for all (of which a tenth validates), averaged over
    squares of `shrink` by `shrink` pixels. `narrow` is a ResNet-18 with fewer channels. Batches and epochs are by
    table: of two batches the first is AdaSwarm's, and in the fair race everyone's, the second that of the others; a
    table without fair epochs has no fair race.
    """

    sets: tuple[str, ...]
    train: int | None
    validation: int | None
    test: int | None
    shrink: int
    narrow: bool
    batches: Mapping[str, tuple[int, int]]
    epochs: Mapping[str, int]
    fair_epochs: Mapping[str, int]
    runs: int
    seeds: int
    draws: int
    studies: int = 1

    def words(self, table: str) -> str:
        """What is smaller than the paper's; "" for nothing."""
        words = []
        if self.train is not None:
            words = [f"{self.train:,} images to train on and {self.test:,} to test, shrunk to 1/{self.shrink}"]
            words.append(f"{self.epochs[table]} epochs in batches of {self.batches[table][0]}")
        if table == "S11":
            words += [f"a ResNet-18 with {NARROW[0][0]} to {NARROW[-1][0]} channels"] * self.narrow
            words.append("no crops and flips")
        return "; ".join(words)


QUICK = Scale(
    ("mnist",), 300, 150, 300, shrink=2, narrow=True, batches={"S10": (25, 25), "S11": (25, 25)},
    epochs={"S10": 6, "S11": 4}, fair_epochs={"S10": 6}, runs=3, seeds=3, draws=3,
)  # fmt: skip
FULL = Scale(
    SETS, 400, 200, 300, shrink=2, narrow=True, batches={"S10": (25, 25), "S11": (40, 40)},
    epochs={"S10": 8, "S11": 8}, fair_epochs={"S10": 6, "S11": 5}, runs=3, seeds=5, draws=4,
)  # fmt: skip
# The batches, and 200 epochs of ResNet-18, are the published scripts'; of the other network nothing is said.
WHOLE = Scale(
    SETS, None, None, None, shrink=1, narrow=False, batches={"S10": (125, 128), "S11": (125, 128)},
    epochs={"S10": 12, "S11": 200}, fair_epochs={"S10": 12, "S11": 30}, runs=3, seeds=15, draws=4, studies=3,
)  # fmt: skip


@dataclass(frozen=True)
class Pictures:
    """A data set in memory: what is trained on, what validates (None for a tenth of that), what tests."""

    title: str
    train: Examples
    validation: Examples | None
    test: Examples


def run(
    options: Options, tell: Tell, scale: Scale | None = None, sets: Mapping[str, Pictures] | None = None
) -> Records:
    """Both protocols for both tables, one race each. Raises DataMissing where a data set is not there."""
    if scale is None:
        scale = QUICK if options.quick else WHOLE if options.device.startswith("cuda") else FULL
    if sets is None:
        sets = {name: pictures(IMAGE_SETS[name], options, scale) for name in scale.sets}
    measured: list[Measured] = []
    figures: dict[str, Any] = {}
    for table in TABLES:
        published = raced(
            published_tasks(table, sets, scale), published_methods(table, scale), options, tell,
            f"images-published-{table}", baseline="adam", seeds=scale.runs,
        ).records  # fmt: skip
        fair: Mapping[Place, tuple[Record, ...]] = {}
        if table in scale.fair_epochs:
            fair = raced(
                fair_tasks(table, sets, scale), fair_methods(table), options, tell, f"images-fair-{table}",
                baseline="adam", seeds=scale.seeds, budget=scale.draws, studies=scale.studies,
            ).records  # fmt: skip
        for name in sets:
            ours, theirs = (_by_method(found, name) for found in (published, fair))
            measured += cells(table, name, scale, ours, theirs)
            figures.setdefault(f"images_{table}", {})[name] = figures_of(ours, theirs)
    ran = {one.cell for one in measured}
    others = [claim for claim in claims_of("adaswarm") if claim.table in TABLES and claim.cell not in ran]
    return Records("adaswarm", (*measured, *map(not_run, others)), figures, {"images_scale": asdict(scale)})


IMAGES_PART = Part(
    "images",
    "Supplementary tables 10 and 11: images",
    TABLES,
    "about 8 minutes on two cores, quick 2; on a GPU, with the data sets whole, days",
    SETS,
    run,
    quick_minutes=2,
)


# Data and networks


def pictures(images: ImageSet, options: Options, scale: Scale) -> Pictures:
    """A data set at a scale: of each part the first images, which are in no order. Raises DataMissing."""
    wanted = None if scale.train is None else scale.train + (scale.validation or 0)
    train, test = first_images(images, options.data_dir, wanted, scale.test, scale.shrink)
    validation = train[scale.train :] if scale.validation else None
    return Pictures(images.title, train[: scale.train], validation, test)


def two_convolutions(
    generator: torch.Generator, *, channels: int = 1, size: int = 28, sigmoid: bool = False
) -> nn.Sequential:
    """The network of section VI-D, from (n, channels, size, size) to (n, 10): 1,199,882 weights for 28 by 28 pixels.

    The paper gives the two convolutions of 3 by 3, the pooling, 128 neurons and that number of weights, which leaves 32
    and 64 channels. Weights and biases are drawn as torch draws them, uniform within 1/sqrt(inputs).
    """
    side = (size - 4) // 2
    layers: list[nn.Module] = [Conv2d(channels, 32, 3), nn.ReLU(), Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2)]
    layers += [nn.Flatten(), Linear(64 * side * side, 128), nn.ReLU(), Linear(128, CLASSES)]
    return _drawn(nn.Sequential(*layers, *[nn.Sigmoid()] * sigmoid), generator)


NARROW = ((8, 1), (16, 2), (32, 2), (64, 2))  # of the stages the channels, an eighth of ResNet-18's, and the strides


def narrow_resnet18(generator: torch.Generator, *, channels: int = 3) -> nn.Sequential:
    """ResNet-18 with an eighth of its channels, from (n, channels, height, width) to (n, 10); drawn as torch does."""
    width = NARROW[0][0]
    layers = [_convolution(channels, width), nn.BatchNorm2d(width), nn.ReLU()]
    for outputs, stride in NARROW:
        layers += [Residual(width, outputs, stride), Residual(outputs, outputs, 1)]
        width = outputs
    return _drawn(nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), Linear(width, CLASSES)), generator)


class Residual(nn.Module):
    """A block of ResNet-18."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        first, second = _convolution(inputs, outputs, stride), _convolution(outputs, outputs)
        self.branch = nn.Sequential(first, nn.BatchNorm2d(outputs), nn.ReLU(), second, nn.BatchNorm2d(outputs))
        self.shortcut: nn.Module = nn.Identity()
        if inputs != outputs:
            self.shortcut = nn.Sequential(
                Conv2d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.branch(x) + self.shortcut(x))


def _convolution(inputs: int, outputs: int, stride: int = 1) -> Conv2d:
    return Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)


def _drawn(network: nn.Sequential, generator: torch.Generator) -> nn.Sequential:
    for layer in network.modules():
        if isinstance(layer, (Conv2d, Linear)):
            bound = 1 / math.sqrt(layer.weight[0].numel())
            for weight in layer.parameters():
                nn.init.uniform_(weight, -bound, bound, generator=generator)
    return network


# Tasks and methods


def published_tasks(table: str, sets: Mapping[str, Pictures], scale: Scale) -> list[Task]:
    """As published: nothing validates, so what tests stands in for it."""
    own = [_task(table, name, given, scale, scale.epochs[table]) for name, given in sets.items()]
    metric = ELEMENTWISE if table == "S10" else ACCURACY
    return [replace(task, val=task.test, metric=metric) for task in own]


def fair_tasks(table: str, sets: Mapping[str, Pictures], scale: Scale) -> list[Task]:
    """The same, scored by the most likely class; what validates is held out."""
    return [_task(table, name, given, scale, scale.fair_epochs[table]) for name, given in sets.items()]


def _task(table: str, name: str, given: Pictures, scale: Scale, epochs: int) -> Task:
    channels, size = given.train.inputs.shape[1:3]
    if table == "S10":
        model: Callable[..., nn.Module] = partial(two_convolutions, channels=channels, size=size, sigmoid=True)
    else:
        model = partial(narrow_resnet18 if scale.narrow else resnet18, channels=channels)
    return Task(
        model,
        LabelLoss("bce") if table == "S10" else cross_entropy,
        given.train,
        given.validation,
        given.test,
        ACCURACY,
        name=name,
        title=given.title,
        batch_size=scale.batches[table][0],
        epochs=epochs,
    )


def published_methods(table: str, scale: Scale) -> list[Method]:
    """Adam and AdaSwarm with the constants of the published vision scripts; for table 11 AMSGrad too. For table 10 the
    two again at the scripts' learning rate."""
    own: dict[str, Value] = {"lr": LR[table]}
    others = own | {"batch_size": scale.batches[table][1]}
    adam, adaswarm = _method("adam", others), _method("adam", own, "adaswarm", published_swarm(table))
    if table == "S11":
        return [adam, adaswarm, _method("amsgrad", others)]
    hot = [one.at({**one.hyperparameters, "lr": PUBLISHED_LR}) for one in (adam, adaswarm)]
    return [adam, adaswarm, *(replace(one, name=one.name + AT_PUBLISHED_LR) for one in hot)]


class Unsettled(Through):
    """A swarm with the published constants, without the warning that they do not settle: that is what is measured."""

    def make(self, *arguments: Any) -> OutputGradient:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", r"PSO\(.*\) does not settle", UserWarning)
            return super().make(*arguments)


def published_swarm(table: str) -> Through:
    """The swarm of the published vision scripts: it begins at the labels (as logits, or between bounds), a batch shares
    one best, a particle has one factor, and the momentum is never written, which leaves PSO with inertia 1 - 0.1;
    gradients are summed."""
    fixed = {
        "init": "target", "reference": True, "level": "joint", "reduction": "sum", "variant": "pso", "inertia": 0.9,
        "c1": 2.0, "c2": 2.0, "per_dimension": False, "coeff": "paper", "eta": 0.4, "particles": 10, "iterations": 5,
    }  # fmt: skip
    return Unsettled("SwarmGradient", {}, (), fixed | ({"bounds": (0.0, 1.0)} if table == "S10" else {}))


def fair_methods(table: str) -> list[Method]:
    """Each tuned over the same learning rates. Swarms never see the labels: for table 10 they begin anywhere in (0, 1),
    where what they find depends on the label alone and is found once for each; for table 11 around the outputs."""
    fixed: dict[str, Any] = {"coeff": "expected", "particles": 10, "iterations": 20}
    fixed |= {"init": "bounds", "bounds": (0.0, 1.0), "cache": True} if table == "S10" else {"init": "output"}
    honest, label = Through("SwarmGradient", {}, (), fixed), Through("DistanceToLabel")
    return [_method("adam", {}), _method("adam", {}, "adaswarm", honest), _method("adam", {}, PLAIN, label)]


def _method(rule: str, changes: Mapping[str, Value], name: str = "", through: Through | None = None) -> Method:
    plain = method_named(rule)
    own = {**plain.hyperparameters, **changes}
    return Method(name or rule, plain.optimizer, own, RATES, (), plain.title, plain.source, through)


# What they come to


Scores = Mapping[str, tuple[Record, ...]]  # by method


def cells(table: str, name: str, scale: Scale, published: Scores, fair: Scores) -> list[Measured]:
    """Those of a data set in a table, and AdaSwarm's ablation, for which the paper has no column; accuracies in per
    cent, in the fair race of the most likely class."""
    found = []
    quantity = "test_accuracy" if table == "S10" else "accuracy"
    right, least = scores_of_zeros(CLASSES)
    for column in [one for one in published if not one.endswith(AT_PUBLISHED_LR)]:
        ours, theirs = published[column], fair.get(column, ())
        cell = partial(Measured, table, name, column, missing=MISSING[table], scale=scale.words(table))
        constant = right if table == "S10" else _percent(ours, "constant_metric")[0]
        found.append(cell(quantity, _percent(ours, "test_metric"), _percent(theirs, "test_metric"), constant))
        if table == "S10":
            trained = _percent(ours, "train_metric"), _percent(theirs, "train_metric")
            seconds = tuple(one.seconds for one in ours)
            found += [
                cell("train_accuracy", *trained, constant),
                cell("best_loss", _best_losses(ours), _best_losses(theirs), least),
                replace(cell("seconds", seconds), missing=MISSING_SECONDS),
            ]
    if fair:
        tests = _percent(fair[PLAIN], "test_metric")
        found.append(Measured(table, name, PLAIN, quantity, (), tests, scale=scale.words(table)))
    return found


def not_run(claim: Claim) -> Measured:
    """What is to be said of a claimed number that nothing was run for."""
    if claim.row in ABSENT:
        title, classes = ABSENT[claim.row]
        right, least = scores_of_zeros(classes)
        constants = {"best_loss": least, "train_accuracy": right, "test_accuracy": right}  # table 11 has "accuracy"
        return Measured(*claim.cell, constant=constants.get(claim.quantity), missing=f"the data are absent ({title})")
    lacks = claim.column in NOT_HERE
    return Measured(*claim.cell, missing=f"Thalweg has no {NOT_HERE[claim.column]}" if lacks else "not at this scale")


def scores_of_zeros(classes: int) -> tuple[float, float]:
    """Of as many outputs as classes: the share, in per cent, of zeros among the labels, and the least binary cross
    entropy of outputs that do not look at the input.

    >>> [round(number, 3) for number in scores_of_zeros(100)]
    [99.0, 0.056]
    """
    one = 1 / classes
    return 100 * (1 - one), -one * math.log(one) - (1 - one) * math.log(1 - one)


def figures_of(published: Scores, fair: Scores) -> dict[str, Any]:
    """Of a data set: how much longer AdaSwarm takes than Adam, the learning rates that the fair race chose, and what
    table 10's methods score at the scripts' one."""
    adam, adaswarm = (fmean(one.seconds for one in published[column]) for column in ("adam", "adaswarm"))
    chosen = {column: sorted({one.hyperparameters["lr"] for one in records}) for column, records in fair.items()}
    hot = {
        column.removesuffix(AT_PUBLISHED_LR): _percent(records, "test_metric")
        for column, records in published.items()
        if column.endswith(AT_PUBLISHED_LR)
    }
    return {"seconds_ratio": adaswarm / adam, "fair_lr": chosen, "at_published_lr": hot}


def _by_method(records: Mapping[Place, tuple[Record, ...]], name: str) -> Scores:
    """Those of a data set."""
    return {method: found for (task, method), found in records.items() if task == name}


def _best_losses(records: Sequence[Record]) -> tuple[float, ...]:
    """The least at the end of an epoch; what diverged in the first one has none."""
    return tuple(min(one.train_loss[1:], default=math.inf) for one in records)


def _percent(records: Sequence[Record], metric: str) -> tuple[float, ...]:
    """A metric by seed; one that has none has diverged and scores 0."""
    return tuple(100 * (getattr(one, metric) or 0.0) for one in records)
