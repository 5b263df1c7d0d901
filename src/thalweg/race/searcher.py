"""`Searcher`: one network that is trained by a strategy, as a team that gets no more passes than any other."""

from __future__ import annotations

import math
import time

import numpy as np
import torch
from torch import Tensor

from thalweg.race.alone import OneNetwork
from thalweg.race.searching import Searching
from thalweg.race.seeds import Stream
from thalweg.race.teams import Member, synchronise
from thalweg.search.networks.hybrids import GRADIENT


class Searcher(OneNetwork):
    """One network as a `Team`, whose method is a `Searching`.

    Each step pays in what a step of gradient descent costs, a forward and a backward pass. As soon as that is enough
    for the trainer's next step, it is made on the batch at hand: a generation of 50 takes 17 steps. So methods are
    compared at equal numbers of passes, less than one generation fewer, and the curves of all have the same axis.

    Raises ValueError where there are not passes enough for a single step of the trainer.
    """

    def __init__(self, trial: Member, device: torch.device) -> None:
        super().__init__(trial, device)
        searching = trial.method.optimizer
        assert isinstance(searching, Searching)
        generator = torch.Generator(device).manual_seed(trial.seed.generator(Stream.OPTIMIZER).initial_seed())
        per_epoch = -(-len(trial.workload.train) // trial.batch)
        steps = trial.epochs * per_epoch
        with self._randomness:
            self.trainer = searching.make(
                self.network, trial.workload.loss, generator, steps * GRADIENT, **trial.hyperparameters
            )
        if self.trainer.cost > steps * GRADIENT:
            enough = math.ceil(self.trainer.cost / (GRADIENT * per_epoch))
            raise ValueError(
                f"population of {trial.method.name} must be smaller, or the training longer, by epochs of at least "
                f"{enough} (--epochs on the command line): a generation costs {self.trainer.cost:g} passes, and there "
                f"are {steps * GRADIENT} in all"
            )
        self._credit = 0.0

    def step(self, rows: Tensor, factors: np.ndarray, active: np.ndarray) -> None:
        start = time.perf_counter()
        self._credit += GRADIENT
        forward, backward = self.trainer.forward, self.trainer.backward
        batch = self._data["train"][rows[0].to(self.device)]
        self._switch("train")
        with self._randomness:
            while self.trainer.cost <= self._credit:
                before = self.trainer.spent
                self.trainer.step(batch.inputs, batch.targets)
                self._credit -= self.trainer.spent - before
        synchronise(self.device)
        self.counts.seconds += time.perf_counter() - start
        forward, backward = self.trainer.forward - forward, self.trainer.backward - backward
        self.counts.add(
            active,
            forward=np.array([forward]),
            backward=np.array([backward]),
            examples=round(forward * len(batch)),
            losses=round(forward),
        )

    def _state_bytes(self) -> int:
        return self.trainer.state_bytes
