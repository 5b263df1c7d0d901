"""A method: all that decides how a task is trained, and the one shape in which everything trains."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from thalweg.optim import RuleOptimizer
from thalweg.race.record import Value
from thalweg.race.spaces import Space
from thalweg.rules import Rule
from thalweg.tasks import Examples
from thalweg.tasks.task import Loss


@dataclass(frozen=True)
class Method:
    """A rule with hyperparameters, and the space in which they are tuned.

    `hyperparameters` are those of draw 0, the published defaults. `ablations` names the plain methods that this one
    reduces to; a race compares it with those that run beside it.
    """

    name: str
    rule: Rule
    hyperparameters: Mapping[str, Value]
    space: Space
    ablations: tuple[str, ...] = ()

    def at(self, hyperparameters: Mapping[str, Value]) -> "Method":
        """The same method with other hyperparameters."""
        return replace(self, hyperparameters=hyperparameters)

    def start(self, network: nn.Module, loss: Loss, generator: torch.Generator) -> "Training":
        """Begins to train the network in place; what the rule draws comes from the generator."""
        hyperparameters: dict[str, Any] = dict(self.hyperparameters)
        optimizer = RuleOptimizer(network.parameters(), self.rule, generator=generator, **hyperparameters)
        return Training(network, loss, optimizer)


class Training:
    """Training by backpropagation, a batch at a time. It counts what it spends."""

    def __init__(self, network: nn.Module, loss: Loss, optimizer: torch.optim.Optimizer) -> None:
        self.network = network
        self.loss = loss
        self.optimizer = optimizer
        self._weights = list(network.parameters())
        self.forward_passes = 0
        self.backward_passes = 0
        self.examples = 0
        self.seconds = 0.0

    def step(self, batch: Examples) -> Tensor:
        """Takes one step on the batch and returns its loss from before the step, a detached tensor of shape ()."""
        start = time.perf_counter()
        for (
            weight
        ) in self._weights:  # what zero_grad() does, which here takes a tenth of the step to say so to a profiler
            weight.grad = None
        loss = self.loss(self.network(batch.inputs), batch.targets)
        loss.backward()
        self.optimizer.step()
        self.forward_passes += 1
        self.backward_passes += 1
        self.examples += len(batch)
        self.seconds += time.perf_counter() - start
        return loss.detach()
