"""Tasks and races small enough for tests, and what of a race must be the same each time."""

import os
import signal
from dataclasses import replace

import torch
from torch import nn

from thalweg.race import Float, Method, Record, race
from thalweg.race.foreign import Foreign
from thalweg.race.manifest import Manifest
from thalweg.race.result import MethodInfo, Protocol, TaskInfo
from thalweg.tasks import ACCURACY, TASKS, Task

PROTOCOL = {"seeds": 4, "budget": 3, "studies": 2, "repeats": 1}  # 14 trials a method
TRIALS = 2 * (3 + 3) + 4


def small_tasks(*names):
    return [replace(TASKS[name](), epochs=2, batch_size=16) for name in names]


def line(**changes):
    """Points on both sides of a line, and the one layer that finds it: a race takes about a second."""
    random = torch.Generator().manual_seed(0)
    inputs = torch.randn(60, 3, generator=random)
    targets = (inputs[:, 0] + 0.3 * torch.randn(60, generator=random) > 0).long()
    settings = {"model": layer, "train": (inputs, targets), "name": "line", "epochs": 2, "batch_size": 16}
    return Task(**{"loss": nn.functional.cross_entropy, "metric": ACCURACY, **settings, **changes})


def layer():
    return nn.Linear(3, 2)


def fragile():
    """A layer at whose making the process dies, once, where the file that $KILL_ONCE names is there."""
    try:
        os.unlink(os.environ.get("KILL_ONCE", ""))
    except FileNotFoundError:
        return nn.Linear(3, 2)
    os.kill(os.getpid(), signal.SIGKILL)


def plain_method(name="plain", make=torch.optim.SGD, **hyperparameters):
    """A method that is no rule, so that its trials train one after another: nothing is compiled or traced for it."""
    optimizer = Foreign(make, f"{make.__module__}:{make.__qualname__}")
    return Method(name, optimizer, {"lr": 0.1, **hyperparameters}, (Float("lr", 1e-3, 1.0),))


def small_race(store, task=None, methods=None, **changes):
    """A race of one method on the line, in this process."""
    return race(task or line(), methods or plain_method(), **{**PROTOCOL, "workers": 1, "store": store, **changes})


def comparable(result):
    """Everything in a result but the time that it took."""

    def timeless(records):
        return [replace(record, seconds=0) for record in records]

    studies = {
        place: [[(dict(draw.hyperparameters), timeless(draw.records)) for draw in study.draws] for study in studies]
        for place, studies in result.studies.items()
    }
    return studies, {place: timeless(records) for place, records in result.records.items()}


def made_record(**changes):
    """A record of no trial."""
    values = {
        "key": "abc", "task": "iris", "method": "adam", "hyperparameters": {"lr": 0.1 + 0.2, "betas": (0.9, 0.999)},
        "master": 0, "rep": 3, "role": "final", "train_loss": (1.5, 1e-300), "validation_loss": (2.0, 1 / 3),
        "validation_metric": (0.3, 1.0), "train_metric": 0.9, "test_metric": 0.95, "test_metric_best": 0.9,
        "test_loss": 0.1, "constant_metric": 0.35, "untrained_metric": 0.3, "diverged": False, "stopped": 1,
        "seconds": 0.125, "steps": 12, "forward_passes": 12, "backward_passes": 12, "loss_evaluations": 12,
        "examples": 180, "state_bytes": 8,
        "parameters": 2, "members": 1, "data_hash": "d", "init_hash": "i", "order_hash": "o",
    }  # fmt: skip
    return Record(**values | changes)


def made_manifest(**changes):
    """The manifest of a race that was never run."""
    task = TaskInfo("iris", "Iris", "Accuracy", True, 16, 2, 150, 259, "MLP", "UCI", "f" * 64)
    space = (Float("lr", 1e-3, 1.0),)
    method = MethodInfo("adam", "Adam", "w = w - lr*g", "torch.optim.Adam(model.parameters(), {})", "", space, ())
    fields = {
        "tasks": (task,), "methods": (method,), "protocol": Protocol(seeds=1, draws=1, studies=1, baseline="adam"),
        "definitions": {"adam": {"text": "w = w - lr*g", "state": ["m"]}},
        "hyperparameters": {"adam": {"lr": 0.1 + 0.2, "betas": (0.9, 0.999)}},
        "references": {"task iris": "iris", "method adam": "adam"}, "checksums": {"iris": {"inputs": "0" * 64}},
        "provenance": {"command": None, "versions": {"torch": "2"}, "machine": {"cpus": 2}, "git": {"commit": "c0ff"}},
    }  # fmt: skip
    return Manifest(**fields | changes)
