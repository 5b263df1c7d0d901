"""A trial: one method, one workload, one seed, one record."""

import hashlib
import json
import math
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor, nn

from thalweg import __version__
from thalweg.race.method import Method, Training
from thalweg.race.record import SCHEMA, Record
from thalweg.race.seeds import Seed, Stream
from thalweg.tasks import Examples, Workload
from thalweg.tasks.task import tensor_hash


@dataclass(frozen=True, eq=False)
class Trial:
    """Trains the method on the workload with the seed. A final trial has the test part and reads it once, at its end;
    a tuning trial has none."""

    method: Method
    workload: Workload
    seed: Seed
    test: Examples | None = None

    @property
    def role(self) -> str:
        return "tuning" if self.test is None else "final"

    @cached_property
    def key(self) -> str:
        """The hash of everything that decides the result, and so the name of the trial in a run store."""
        network = self.workload.network(self.seed.generator(Stream.INIT))
        decides = {
            "schema": SCHEMA,
            "versions": [__version__, torch.__version__],
            "task": self.workload.task,
            "data": self.workload.data_hash,
            "network": [repr(network), tensor_hash(*network.parameters())],
            "batch_size": self.workload.batch_size,
            "epochs": self.workload.epochs,
            "method": self.method.name,
            "rule": self.method.rule.definition(),
            "hyperparameters": dict(self.method.hyperparameters),
            "seed": [self.seed.master, self.seed.rep],
            "role": self.role,
        }
        return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()

    def run(self) -> Record:
        """Trains from the start to the last epoch, or to divergence."""
        network = self.workload.network(self.seed.generator(Stream.INIT))
        init_hash = tensor_hash(*network.parameters())
        order = batch_order(len(self.workload.train), self.workload.epochs, self.seed.generator(Stream.ORDER))
        training = self.method.start(network, self.workload.loss, self.seed.generator(Stream.OPTIMIZER))
        curve = _train(training, self.workload, order)
        return Record(
            key=self.key,
            task=self.workload.task,
            method=self.method.name,
            hyperparameters=self.method.hyperparameters,
            master=self.seed.master,
            rep=self.seed.rep,
            role=self.role,
            train_loss=tuple(curve.train_loss),
            validation_loss=tuple(curve.validation_loss),
            validation_accuracy=tuple(curve.validation_accuracy),
            test_accuracy=self._test_accuracy(network, curve.diverged),
            constant_accuracy=self._constant_accuracy(),
            diverged=curve.diverged,
            seconds=training.seconds,
            forward_passes=training.forward_passes,
            backward_passes=training.backward_passes,
            examples=training.examples,
            data_hash=self.workload.data_hash,
            init_hash=init_hash,
            order_hash=tensor_hash(*order),
        )

    def _test_accuracy(self, network: nn.Module, diverged: bool) -> float | None:
        if self.test is None:
            return None
        return 0.0 if diverged else self.workload.metric(_outputs(network, self.test), self.test.targets)

    def _constant_accuracy(self) -> float | None:
        """The test accuracy of always answering with the most frequent class of the training part."""
        if self.test is None:
            return None
        majority = self.workload.train.targets.bincount().argmax()
        return (self.test.targets == majority).double().mean().item()


def batch_order(examples: int, epochs: int, generator: torch.Generator) -> list[Tensor]:
    """For each epoch the order in which the examples are visited; cut in turn into batches, the last one shorter."""
    return [torch.randperm(examples, generator=generator) for _ in range(epochs)]


@dataclass
class _Curve:
    train_loss: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)
    validation_accuracy: list[float] = field(default_factory=list)
    diverged: bool = False

    def measure(self, network: nn.Module, workload: Workload) -> None:
        """Appends a point, or marks the curve as diverged."""
        outputs = _outputs(network, workload.validation)
        train_loss = workload.loss(_outputs(network, workload.train), workload.train.targets).item()
        validation_loss = workload.loss(outputs, workload.validation.targets).item()
        if not (math.isfinite(train_loss) and math.isfinite(validation_loss)):
            self.diverged = True
            return
        self.train_loss.append(train_loss)
        self.validation_loss.append(validation_loss)
        self.validation_accuracy.append(workload.metric(outputs, workload.validation.targets))


def _train(training: Training, workload: Workload, order: list[Tensor]) -> _Curve:
    curve = _Curve()
    curve.measure(training.network, workload)
    for rows in order:
        shuffled = workload.train[rows]
        for start in range(0, len(shuffled), workload.batch_size):
            training.step(shuffled[start : start + workload.batch_size])
        curve.measure(training.network, workload)
        if curve.diverged:
            break
    return curve


def _outputs(network: nn.Module, examples: Examples) -> Tensor:
    with torch.no_grad():
        return network(examples.inputs)
