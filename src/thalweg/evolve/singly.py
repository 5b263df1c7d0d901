"""Candidates that are trained one after another, where their network cannot be stacked, or is on a GPU."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from thalweg.optim import RuleOptimizer
from thalweg.race.alone import OwnRandomness, outputs_of
from thalweg.race.seeds import Seed, Stream
from thalweg.rules import Rule
from thalweg.tasks import Examples, Task, dropout


class Singly:
    """A `Group` of networks of which each has an optimizer of its own. Network and batches are on the device.

    Raises ValueError, in training, where network or loss raise although no step has been made.
    """

    def __init__(self, rules: Sequence[Rule], task: Task, network: nn.Module, seed: Seed, device: torch.device) -> None:
        self.alive = np.ones(len(rules), dtype=np.bool_)
        self.examples = np.zeros(len(rules), dtype=np.int64)
        self._wanted = self.alive.copy()
        self._task = task
        self._members = [_Member(rule, network, seed, device) for rule in rules]

    def train(self, batches: Sequence[Examples]) -> None:
        for place in np.flatnonzero(self.alive & self._wanted):
            for batch in batches:
                self.alive[place] = self._members[place].step(self._task, batch)
                if not self.alive[place]:
                    break
                self.examples[place] += len(batch)

    def keep(self, wanted: np.ndarray) -> None:
        self._wanted &= wanted

    def outputs(self, inputs: Tensor) -> tuple[np.ndarray, Tensor]:
        answers = {place: self._members[place].outputs(inputs) for place in np.flatnonzero(self.alive & self._wanted)}
        answered = {place: answer for place, answer in answers.items() if answer is not None}
        self.alive[[place for place in answers if place not in answered]] = False
        return np.array(list(answered), dtype=np.int64), torch.stack([*answered.values()] or [torch.empty(0)])


class _Member:
    """One network and its optimizer. What its layers draw they draw from a stream of the seed, as all others do."""

    def __init__(self, rule: Rule, network: nn.Module, seed: Seed, device: torch.device) -> None:
        self.network = copy.deepcopy(network)
        self.optimizer = RuleOptimizer(
            [w for w in self.network.parameters() if w.requires_grad], rule, generator=seed.generator(Stream.OPTIMIZER)
        )
        generator = torch.Generator(device).manual_seed(seed.generator(Stream.DROPOUT).initial_seed())
        for layer in dropout.layers(self.network).values():
            layer.generator = generator
        self.stepped = False
        self.randomness = OwnRandomness(seed.generator(Stream.DROPOUT), device)

    def step(self, task: Task, batch: Examples) -> bool:
        """Trains on a batch; says whether the loss was finite. Where it was not, or where network or loss raise on what
        the candidate has made of the weights, nothing is stepped."""
        self.network.train()
        self.optimizer.zero_grad()
        try:
            with self.randomness:
                loss = task.loss(self.network(batch.inputs.clone()), batch.targets)
                if not torch.isfinite(loss):
                    return False
                loss.backward()
        except Exception as error:  # whatever a user's network or loss raise
            if self.stepped:
                return False
            raise ValueError(
                f"task {task.name}: training its network failed: {type(error).__name__}: {error}"
            ) from error
        self.stepped = True
        self.optimizer.step()
        return True

    def outputs(self, inputs: Tensor) -> Tensor | None:
        """What it answers, in evaluation mode; None where its weights are not finite, or it raises at what they are."""
        if not all(bool(torch.isfinite(w).all()) for w in self.network.parameters()):
            return None
        try:
            with self.randomness:
                return outputs_of(self.network.eval(), inputs)
        except Exception:  # whatever a user's network raises
            if self.stepped:
                return None
            raise
