"""One trial by the paper's protocol: a constant learning rate, no augmentation, no early stopping; after each epoch
the test set is watched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from thalweg.race import Method
from thalweg.race.alone import Alone
from thalweg.race.jobs import one_thread
from thalweg.race.seeds import final_seed
from thalweg.race.teams import Member
from thalweg.reproduce.gravity.networks import build
from thalweg.reproduce.pixels import Amount, read_images
from thalweg.reproduce.trials import trained
from thalweg.rules.gallery import find
from thalweg.tasks import ACCURACY, Task
from thalweg.tasks.vision import IMAGE_SETS

KERAS_EPS = 1e-7
SETS = {  # by the name of a data set, that of Thalweg's
    "mnist": "mnist", "fashion_mnist": "fashion_mnist", "cifar10": "cifar10",
    "cifar100_coarse": "cifar100_coarse", "cifar100_fine": "cifar100",
}  # fmt: skip

# Table 5: by data set and depth the learning rates of Adam and RMSprop. The smaller networks have those of VGG16.
TABLE_5: Mapping[str, Mapping[str, tuple[float, float]]] = {
    "mnist": {"vgg16": (2.5e-4, 1e-4), "vgg19": (2.5e-4, 2.5e-5)},
    "fashion_mnist": {"vgg16": (2.5e-4, 5e-5), "vgg19": (1e-5, 5e-5)},
    "cifar10": {"vgg16": (1e-4, 5e-5), "vgg19": (1e-4, 2.5e-5)},
    "cifar100_coarse": {"vgg16": (1e-4, 2.5e-4), "vgg19": (7.5e-5, 1e-4)},
    "cifar100_fine": {"vgg16": (1e-4, 1e-4), "vgg19": (5e-5, 1e-4)},
}
METHODS = ("gravity", "gravity_ema_noise", "gravity_ema", "adam", "rmsprop")
GRAVITY: Mapping[str, Mapping[str, float]] = {
    "gravity": {"lr": 0.1, "alpha": 0.01, "beta": 0.9},
    "gravity_ema_noise": {"lr": 0.1, "alpha": 0.01, "beta": 0.9},
    "gravity_ema": {"lr": 0.1, "beta": 0.9},
}


@dataclass(frozen=True)
class Trial:
    """A method on a data set with a network and a seed, at a scale."""

    data: str
    network: str
    method: str
    rep: int
    amount: Amount
    batch: int
    epochs: int
    data_dir: Path | None = None
    device: str = "cpu"
    mixed_precision: bool = False


def hyperparameters(data: str, network: str, method: str) -> dict[str, Any]:
    """Those of the paper: Gravity's are the same everywhere, the learning rates of the others are those of Table 5.
    No network has dropout: the paper trains without whatever prevents overfitting."""
    if method in GRAVITY:
        return {**GRAVITY[method], "dropout": 0.0}
    adam, rmsprop = TABLE_5[data]["vgg19" if network == "vgg19" else "vgg16"]
    own = {"lr": adam, "betas": (0.9, 0.999)} if method == "adam" else {"lr": rmsprop, "alpha": 0.9}
    return {**own, "eps": KERAS_EPS, "dropout": 0.0}


def run(trial: Trial) -> dict[str, Any]:
    """Trains it, and gives its curves, a number an epoch, the first after the first one.

    `train_loss` and `train_accuracy` are means over the batches of an epoch while the weights move, as Keras reports
    them; `loss` and `accuracy` are those of the test set after it. Accuracies are in per cent. What diverges goes on,
    as it does in Keras, with losses that are not finite.
    """
    seed = final_seed(0, trial.data, trial.rep)
    train, test = read_images(SETS[trial.data], trial.data_dir, trial.amount)
    channels, size = train.inputs.shape[1:3]
    classes = IMAGE_SETS[SETS[trial.data]].classes
    watch = Watch()
    task = Task(
        partial(build, trial.network, channels, size, classes, trial.mixed_precision), watch, train, test, test,
        ACCURACY, name=trial.data, batch_size=trial.batch, epochs=trial.epochs,
    )  # fmt: skip
    workload = task.workload(torch.Generator())
    method = Method(trial.method, find(trial.method).rule, hyperparameters(trial.data, trial.network, trial.method))
    curves: dict[str, list[float]] = {name: [] for name in ("train_loss", "train_accuracy", "loss", "accuracy")}
    with one_thread():
        team = Alone(Member(method, workload, seed, None), torch.device(trial.device))
        for _ in trained(team, trial.batch, trial.epochs, seed):
            seen = watch.taken()
            outputs = team.outputs("validation")
            curves["train_loss"].append(seen[0])
            curves["train_accuracy"].append(100 * seen[1])
            curves["loss"].append(float(team.losses(outputs, "validation")[0]))
            curves["accuracy"].append(100 * float(team.metrics(outputs, "validation")[0]))
    return {"seed": trial.rep, **curves}


class Watch:
    """Cross-entropy that remembers what batches it was given to learn from: their losses and right answers."""

    def __init__(self) -> None:
        self._batches: list[Tensor] = []
        self._examples = 0

    def __call__(self, outputs: Tensor, targets: Tensor) -> Tensor:
        loss = cross_entropy(outputs, targets)
        if torch.is_grad_enabled():
            right = (outputs.argmax(dim=-1) == targets).sum()
            self._batches.append(torch.stack([loss.detach().double() * len(targets), right.double()]))
            self._examples += len(targets)
        return loss

    def taken(self) -> tuple[float, float]:
        """The mean loss and the share of right answers since this was last asked, over all examples."""
        loss, right = (torch.stack(self._batches).sum(dim=0) / self._examples).tolist()
        self._batches, self._examples = [], 0
        return loss, right
