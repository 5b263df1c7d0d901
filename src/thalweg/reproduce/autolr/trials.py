"""One trial by the paper's protocol: no early stopping, and a test with the weights that validated best."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from thalweg.race import Method
from thalweg.race.alone import Alone
from thalweg.race.jobs import one_thread
from thalweg.race.seeds import final_seed
from thalweg.race.teams import Member
from thalweg.reproduce.keras import keras_cnn
from thalweg.reproduce.pixels import Amount, parts_of
from thalweg.reproduce.trials import trained
from thalweg.rules.gallery import find
from thalweg.tasks import ACCURACY, Task

KERAS_EPS = 1e-7
ADES = {"fashion_mnist": (0.87621, 0.76132), "cifar10": (0.92226, 0.69285)}

# By data set and method the rule, and the hyperparameters of Tables 2 and 3. Beside them RMSprop with Keras' defaults,
# which the result files have too, and what ADES is without its quadratic terms.
Chosen = tuple[str, Mapping[str, Any]]
METHODS: Mapping[str, Mapping[str, Chosen]] = {
    "fashion_mnist": {
        "ades": ("ades", {"betas": ADES["fashion_mnist"]}),
        "sign": ("sign", {"lr": 0.0009}),
        "adam": ("adam", {"lr": 0.00127, "betas": (0.07355, 0.78162), "eps": KERAS_EPS}),
        "rmsprop": ("rmsprop", {"lr": 0.00097, "alpha": 0.85779, "eps": KERAS_EPS}),
        "nesterov": ("nesterov", {"lr": 0.09999, "momentum": 0.86715}),
        "rmsprop_defaults": ("rmsprop", {"lr": 0.001, "alpha": 0.9, "eps": KERAS_EPS}),
        "ades_heavy_ball": ("ades_heavy_ball", {"betas": ADES["fashion_mnist"]}),
    },
    "cifar10": {
        "ades": ("ades", {"betas": ADES["cifar10"]}),
        "sign": ("sign", {"lr": 0.0009}),
        "adam": ("adam", {"lr": 0.00163, "betas": (0.81344, 0.71023), "eps": KERAS_EPS}),
        "rmsprop": ("rmsprop", {"lr": 0.00085, "alpha": 0.64813, "eps": KERAS_EPS}),
        "nesterov": ("nesterov", {"lr": 0.00907, "momentum": 0.98433}),
        "rmsprop_defaults": ("rmsprop", {"lr": 0.001, "alpha": 0.9, "eps": KERAS_EPS}),
        "ades_heavy_ball": ("ades_heavy_ball", {"betas": ADES["cifar10"]}),
    },
}


@dataclass(frozen=True)
class Trial:
    """A method on a data set with a seed, at a scale."""

    data: str
    method: str
    rep: int
    amount: Amount
    batch: int
    epochs: int
    data_dir: Path | None = None
    device: str = "cpu"


def run(trial: Trial) -> dict[str, Any]:
    """Trains it. Accuracies are in per cent: `curve` on the validation part, before training and after each epoch;
    `validation` the best of them and `epoch` where that was first, `test` with the weights of then;
    `last_test` those of the last epoch. `largest_state` is what the largest element of a state came to, 0 for none."""
    seed = final_seed(0, trial.data, trial.rep)
    parts = parts_of(trial.data, trial.data_dir, trial.amount, seed)
    channels, size = parts.train.inputs.shape[1:3]
    task = Task(
        partial(keras_cnn, channels, size), cross_entropy, parts.train, parts.validation, parts.test, ACCURACY,
        name=trial.data, batch_size=trial.batch, epochs=trial.epochs,
    )  # fmt: skip
    workload, test = task.workload_and_test(torch.Generator())
    name, hyperparameters = METHODS[trial.data][trial.method]
    method = Method(trial.method, find(name).rule, hyperparameters)
    with one_thread():
        team = Alone(Member(method, workload, seed, test), torch.device(trial.device))
        curve, largest, best = [_accuracy(team, "validation")], 0.0, 0
        better = np.ones(1, dtype=np.bool_)
        team.keep(better)
        for _ in trained(team, trial.batch, trial.epochs, seed):
            curve.append(_accuracy(team, "validation"))
            largest = max(largest, _largest(team))
            if curve[-1] > curve[best]:
                best = len(curve) - 1
                team.keep(better)
        last = _accuracy(team, "test")
        team.swap_kept()
        tested = _accuracy(team, "test")
    return {
        "validation": curve[best], "epoch": best, "test": tested, "last_test": last, "curve": curve,
        "largest_state": largest,
    }  # fmt: skip


def _accuracy(team: Alone, part: str) -> float:
    return 100 * float(team.metrics(team.outputs(part), part)[0])


def _largest(team: Alone) -> float:
    """Of the elements of all states; what is not finite counts as infinite."""
    tensors = [x for state in team.optimizer.state.values() for x in state.values() if torch.is_tensor(x) and x.dim()]
    found = max((float(x.abs().max()) for x in tensors), default=0.0)
    return found if np.isfinite(found) else float("inf")
