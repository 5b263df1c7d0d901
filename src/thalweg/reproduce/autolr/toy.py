"""The toy test of equation 8: a network of two layers on digits, trained until its loss is no number any more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from thalweg.optim import RuleOptimizer
from thalweg.race.jobs import one_thread
from thalweg.race.seeds import Stream, final_seed
from thalweg.race.training import batch_order
from thalweg.rules import Rule
from thalweg.tasks import find


@dataclass(frozen=True)
class Walk:
    """A training: the loss of each batch before its step, and the gradients of all weights, (steps, weights), float32.
    It ends early where the loss is not finite; `diverged` is the number of that step, from 1, None for none."""

    losses: list[float]
    gradients: Tensor
    diverged: int | None

    @property
    def loss(self) -> float:
        """The mean of the last ten batches; not a number where it diverged."""
        return float("nan") if self.diverged else sum(self.losses[-10:]) / len(self.losses[-10:])


def train(rule: Rule, steps: int, rep: int, *, keep_gradients: bool = False, **hyperparameters: Any) -> Walk:
    """Trains the network of `digits`, 64-64-10, on batches of 128 by a rule; `rep` draws split, weights and batches."""
    task = find("digits")
    seed = final_seed(0, task.name, rep)
    workload = task.workload(seed.generator(Stream.SPLIT))
    network = workload.network(seed.generator(Stream.INIT))
    weights = list(network.parameters())
    optimizer = RuleOptimizer(weights, rule, **hyperparameters)
    examples, size = len(workload.train), task.batch_size
    epochs = -(-steps // (examples // size))
    orders = batch_order(examples, epochs, seed.generator(Stream.ORDER))
    batches = [rows for order in orders for rows in order.split(size) if len(rows) == size][:steps]
    losses: list[float] = []
    gradients: list[Tensor] = []
    with one_thread():
        for step, rows in enumerate(batches, start=1):
            batch = workload.train[rows]
            optimizer.zero_grad()
            loss = workload.loss(network(batch.inputs), batch.targets)
            if not torch.isfinite(loss):
                return Walk(losses, _stacked(gradients), step)
            loss.backward()
            losses.append(loss.item())
            if keep_gradients:
                gradients.append(torch.cat([weight.grad.flatten() for weight in weights if weight.grad is not None]))
            optimizer.step()
    return Walk(losses, _stacked(gradients), None)


def _stacked(gradients: list[Tensor]) -> Tensor:
    return torch.stack(gradients) if gradients else torch.empty(0, 0)
