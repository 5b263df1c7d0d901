"""Candidates that are trained together: one cohort for their gradients, one machine for their steps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from thalweg.cohort import Cohort, Unstackable
from thalweg.evolve.lending import Tensors, lent, padded
from thalweg.evolve.machine import Machine
from thalweg.race.seeds import Seed, Stream
from thalweg.race.teams import EVALUATED
from thalweg.rules import Rule
from thalweg.rules.arithmetic import _draw_seed
from thalweg.tasks import Examples, Task, dropout


class Group(Protocol):
    """Candidates that begin with the same weights and are given the same batches and the same dropout masks.

    `alive`: bool (candidates,), those whose losses and weights have been finite. `examples`: int64 (candidates,), how
    many each has been trained on.
    """

    alive: np.ndarray
    examples: np.ndarray

    def train(self, batches: Sequence[Examples]) -> None:
        """Steps all that are trained once for each batch. Who turns out not to be finite is trained no more."""
        ...

    def keep(self, wanted: np.ndarray) -> None:
        """From now on trains only these, bool (candidates,)."""
        ...

    def outputs(self, inputs: Tensor) -> tuple[np.ndarray, Tensor]:
        """The places of those that are trained, and what each answers to the inputs: (trained, n, ...)."""
        ...


class Together:
    """A `Group` in one cohort. Those trained no more are left out of it as soon as it then needs a smaller one.

    Raises Unstackable, in training or at an output, where the network cannot be stacked, or it or the loss raise.
    """

    def __init__(self, rules: Sequence[Rule], task: Task, network: nn.Module, seed: Seed) -> None:
        self.alive = np.ones(len(rules), dtype=np.bool_)
        self.examples = np.zeros(len(rules), dtype=np.int64)
        self._wanted = self.alive.copy()
        self._task, self._network = task, network
        self._masks = seed.generator(Stream.DROPOUT).get_state() if dropout.layers(network) else None
        self._rows = np.arange(len(rules))  # who is in the cohort; what it has beyond them only fills it up
        self._size = padded(len(rules))
        self._tensors = Tensors.of(network, self._size)
        first = _draw_seed(seed.generator(Stream.OPTIMIZER))
        self._machine = Machine(rules, self._stepped(), seeds=[first] * len(rules))

    def train(self, batches: Sequence[Examples]) -> None:
        self._leave_out()
        if not self._trained.any():
            return
        with lent(self._task, self._network, self._tensors, self._size) as cohort:
            self._give_masks(cohort)
            for batch in batches:
                losses, grads = self._gradients(cohort, batch)
                self.alive[self._rows] &= torch.isfinite(losses[: len(self._rows)]).numpy()
                active = self._trained[self._rows]
                if not active.any():
                    break
                self.examples[self._rows] += active * len(batch)
                stepped = {name: g[: len(self._rows)].contiguous() for name, g in grads.items()}
                self._machine.step(stepped, None if active.all() else active)
            self._take_masks(cohort)

    def keep(self, wanted: np.ndarray) -> None:
        self._wanted &= wanted

    def outputs(self, inputs: Tensor) -> tuple[np.ndarray, Tensor]:
        count = len(self._rows)
        for w in self._stepped().values():
            self.alive[self._rows] &= torch.isfinite(w).flatten(1).all(1).numpy()
        trained = self._trained[self._rows]
        if not trained.any():
            return self._rows[trained], torch.empty(0)
        size, chunks = min(len(inputs), EVALUATED), []
        with lent(self._task, self._network, self._tensors, self._size) as cohort:
            # All chunks have one size, for which the cohort is traced once: the last begins early.
            for start in range(0, len(inputs), size):
                begin = min(start, len(inputs) - size)
                chunk = inputs[begin : begin + size].expand(self._size, size, *inputs.shape[1:])
                with _blamed_on_one():
                    chunks.append(cohort.outputs(chunk)[:count, start - begin :])
        return self._rows[trained], torch.cat(chunks, dim=1)[torch.from_numpy(trained)]

    @property
    def _trained(self) -> np.ndarray:
        return self.alive & self._wanted

    def _gradients(self, cohort: Cohort, batch: Examples) -> tuple[Tensor, dict[str, Tensor]]:
        """Some losses raise for all where one answer is not finite: then without those whose it is, once more."""
        inputs, targets = (x.expand(self._size, *x.shape) for x in (batch.inputs, batch.targets))
        self._take_masks(cohort)
        try:
            with _blamed_on_one():
                return cohort.gradients(inputs, targets)
        except _Failed:
            # Running statistics have moved already: those that have any are better trained one after another.
            if self._tensors.buffers or not self._settle(cohort, inputs):
                raise
        self._give_masks(cohort)
        with _blamed_on_one():
            return cohort.gradients(inputs, targets)

    def _settle(self, cohort: Cohort, inputs: Tensor) -> bool:
        """Gives up those whose answers are not finite, and puts the untrained network in their place; says whether
        there were any."""
        with _blamed_on_one():
            failed = ~torch.isfinite(cohort.outputs(inputs)[: len(self._rows)]).flatten(1).all(1)
        self.alive[self._rows[failed.numpy()]] = False
        untrained = dict(self._network.named_parameters())
        for name, w in self._stepped().items():
            w[failed] = untrained[name].detach()
        return bool(failed.any())

    def _give_masks(self, cohort: Cohort) -> None:
        """All members draw the same masks, as each would alone."""
        if self._masks is not None:
            for generator in cohort.generators or ():
                generator.set_state(self._masks)

    def _take_masks(self, cohort: Cohort) -> None:
        if self._masks is not None and cohort.generators:
            self._masks = cohort.generators[0].get_state()

    def _leave_out(self) -> None:
        """Makes the cohort smaller where those that are trained need a smaller one."""
        places = np.flatnonzero(self._trained[self._rows])
        if not len(places) or (size := padded(len(places))) == self._size:
            return
        filled = np.concatenate([places, np.repeat(places[:1], size - len(places))])
        self._rows, self._size = self._rows[places], size
        self._tensors = self._tensors.chosen(torch.from_numpy(filled))
        self._machine = self._machine.keep(places, self._stepped())

    def _stepped(self) -> dict[str, Tensor]:
        """The weights of those in the cohort, those that fill it up aside."""
        return {name: w[: len(self._rows)] for name, w in self._tensors.params.items()}


class _Failed(Unstackable):
    """Network or loss raise for all, which may be the fault of one."""


@contextmanager
def _blamed_on_one() -> Iterator[None]:
    """Raises _Failed instead of whatever a user's network or loss raise."""
    try:
        yield
    except Unstackable:
        raise
    except Exception as error:
        raise _Failed(f"network or loss fail: {type(error).__name__}: {error}") from error
