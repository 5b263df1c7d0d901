"""`Stack`: a cohort that is trained together, each member by a rule of its own."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from thalweg.cohort import Cohort
from thalweg.optim import StackedOptimizer
from thalweg.race.recipe import sign_penalty, smoothed
from thalweg.race.seeds import Stream
from thalweg.race.sweeping import passes
from thalweg.race.teams import EVALUATED, Counts, Member, kind_of, metrics_of, size_of, synchronise
from thalweg.rules import Rule
from thalweg.sweep import block_costs
from thalweg.sweep.stacked import StackedSweep
from thalweg.tasks import Examples
from thalweg.tasks.task import tensor_hash


class Stack:
    """A cohort as a `Team`. Its members are ordered so that those of one rule lie side by side and are one call's work
    (`order_of`). What is not finite in one of them, or that one of them has stopped, changes no bit of the others.

    Raises Unstackable, here or at the first step or output, where the network is none that can be stacked.
    """

    def __init__(self, members: Sequence[Member], device: torch.device) -> None:
        self.trials = list(members)
        self.members = len(self.trials)
        self.counts = Counts(self.members)
        first = self.trials[0]
        networks = [trial.network() for trial in self.trials]
        self.init_hashes = [tensor_hash(*network.parameters()) for network in networks]
        self.parameters = size_of(networks[0])
        self._device = device
        plain, smoothing = first.workload.loss, self._of_members([trial.recipe.label_smoothing for trial in members])
        networks = [network.to(device) for network in networks]
        generators = [trial.dropout_generator(device) for trial in self.trials]
        self._extras = (smoothing,) if smoothing.any() else ()
        self.cohort = Cohort(networks, smoothed(plain) if self._extras else plain, generators)
        self._plain_loss = Cohort(networks[:1], plain) if self._extras else self.cohort
        l1 = self._of_members([trial.recipe.l1 for trial in members])
        self._l1 = l1 if l1.any() else None
        self._data = {name: _Data([trial.part(name) for trial in members], name, device) for name in first.parts}
        self._sweep, self._costs = None, [1]
        blocks, factors = [list(self.cohort.params)], [1.0]
        if (sweeping := first.method.sweep) is not None:
            stochastic = sweeping.schedule == "stochastic"
            starts = [trial.seed.generator(Stream.STARTS) for trial in self.trials] if stochastic else None
            sweep = StackedSweep(self.cohort, starts)
            blocks, factors = sweep.names, sweeping.lr_factors(len(sweep.names))
            if sweeping.sweeps:
                one = first.part("train").inputs[:1].to(device)
                self._sweep, self._costs = sweep, block_costs([block.module for block in sweep.blocks], one)
        self._steppers = [
            _Stepper(self.cohort.params, place, blocks, factors[place], group, self.trials)
            for group in _groups(self.trials)
            for place in range(len(blocks))
        ]
        for stepper in self._steppers:
            self.counts.state_bytes[stepper.members] += stepper.state_bytes
        self._through = None
        if first.method.through is not None:
            settings = [trial.through for trial in self.trials]
            targets = self._data["train"].targets()
            self._through = first.method.through.make(plain, targets, settings, device)
            self._candidates = [trial.candidates_generator(device) for trial in self.trials]
        self._prepared: set[int] = set()
        self._kept = {name: w.clone() for name, w in self._state().items()}

    def step(self, rows: Tensor, factors: np.ndarray, active: np.ndarray) -> None:
        self._prepare(rows)
        start = time.perf_counter()
        inputs, targets = self._data["train"].rows(rows)
        all_active = bool(active.all())
        before = {} if all_active else {name: b.clone() for name, b in self.cohort.buffers.items()}
        stages = []
        for grads, firsts in self._stages(inputs, targets):
            if self._l1 is not None:
                grads = {name: g + sign_penalty(self.cohort.params[name], self._l1) for name, g in grads.items()}
            start = self._share(start, active)
            for stepper in self._steppers:
                running = active & (firsts <= stepper.block)
                stepper.step(grads, factors, None if running.all() else running)
                start = self._share(start, active, stepper.members)
            stages.append(firsts)
        if before:
            _take(self.cohort.buffers, before, ~active)
        losses = 1 if self._through is None else self._through.evaluations
        spent = passes(self._costs, stages)
        self.counts.add(active, **spent, examples=rows.shape[1], losses=losses * len(stages))

    def outputs(self, part: str) -> Tensor:
        data = self._data[part]
        size = min(data.examples, EVALUATED)
        chunks = []
        # All chunks have one size, for which the cohort is traced once: the last begins early and its head is dropped.
        for start in range(0, data.examples, size):
            begin = min(start, data.examples - size)
            chunks.append(self.cohort.outputs(data.stretch(begin, size))[:, start - begin :])
        return chunks[0] if len(chunks) == 1 else torch.cat(chunks, dim=1)

    def losses(self, outputs: Tensor, part: str) -> np.ndarray:
        return self._plain_loss.losses(outputs, self._data[part].targets()).double().cpu().numpy()

    def metrics(self, outputs: Tensor, part: str) -> np.ndarray:
        return metrics_of(self.trials[0].workload, outputs, self._data[part].targets())

    def keep(self, better: np.ndarray) -> None:
        _take(self._kept, self._state(), better)

    def swap_kept(self) -> None:
        for name, own in self._state().items():
            kept = self._kept[name].clone()
            self._kept[name].copy_(own)
            own.copy_(kept)

    def _stages(self, inputs: Tensor, targets: Tensor) -> Iterator[tuple[dict[str, Tensor], np.ndarray]]:
        """The gradients by the parameters' names, with the first block that each member steps: once, or in a sweep
        again and again, each time after a step."""
        through = self._through

        def of_outputs(outputs: Tensor) -> Tensor:
            if through is None:
                return self.cohort.loss_gradients(outputs, targets, *self._extras)[1]
            return through.gradients(outputs, targets, self._candidates)

        every = np.zeros(self.members, dtype=np.int64)
        if self._sweep is not None:
            yield from self._sweep.stages(inputs, of_outputs)
        elif through is None:
            yield self.cohort.gradients(inputs, targets, *self._extras)[1], every
        else:
            yield self.cohort.gradients_through(inputs, of_outputs), every

    def _prepare(self, rows: Tensor) -> None:
        """What is done once for each batch size and is no part of the time of a step."""
        if self._through is None and self._sweep is None and rows.shape[1] not in self._prepared:
            self._prepared.add(rows.shape[1])
            self.cohort.prepare(*self._data["train"].rows(rows), *self._extras)

    def _state(self) -> dict[str, Tensor]:
        return self.cohort.params | self.cohort.buffers

    def _of_members(self, values: list[float]) -> Tensor:
        return torch.tensor(values, dtype=torch.float64, device=self._device)

    def _share(self, start: float, active: np.ndarray, among: slice = slice(None)) -> float:
        """Shares the time since then among the active members of a stretch; returns what time it is."""
        synchronise(self._device)
        now = time.perf_counter()
        running = active[among]
        self.counts.seconds[among] += running * ((now - start) / max(1, int(running.sum())))
        return now


class _Stepper:
    """The stacked optimizer of a block of the members that share a rule and a kind of decay: a stretch of the cohort.

    `blocks`: the parameters of all blocks by their names, of which it steps those at `block`, at learning rates that
    are `factor` times the members'.
    """

    def __init__(
        self,
        params: Mapping[str, Tensor],
        block: int,
        blocks: Sequence[Sequence[str]],
        factor: float,
        group: range,
        trials: Sequence[Member],
    ) -> None:
        self.block, self._names = block, blocks[block]
        self.members = slice(group.start, group.stop)
        self._whole = len(group) == len(trials)
        own = [trials[i] for i in group]
        rule = own[0].method.optimizer
        assert isinstance(rule, Rule)
        settings = _columns([trial.hyperparameters for trial in own])
        if factor != 1:
            settings["lr"] = [factor * lr for lr in settings["lr"]]
        self.optimizer = StackedOptimizer(
            {name: params[name][self.members] for name in self._names},
            rule,
            decay=own[0].recipe.decay,
            generators=[trial.seed.generator(Stream.OPTIMIZER) for trial in own],
            first=sum(map(len, blocks[:block])),
            **settings,
        )
        self.optimizer.prepare()
        self._lr = self.optimizer.hyper["lr"].numpy()
        self._factors = np.ones(len(own))

    @property
    def state_bytes(self) -> int:
        """Of the tensors of one member."""
        states = [state for state in self.optimizer.state.values() if isinstance(state, dict)]
        held = itertools.chain(*(state.values() for state in states))
        return sum(x.numel() * x.element_size() for x in held) // len(self._lr)

    def step(self, grads: Mapping[str, Tensor], factors: np.ndarray, active: np.ndarray | None) -> None:
        """Steps those that are active: all of them for None."""
        running = None if active is None else active[self.members]
        if running is not None and not running.any():
            return
        own = factors[self.members]
        if (own != self._factors).any():
            self.optimizer.set(lr=self._lr * own)
            self._factors = own.copy()
        grads = {name: grads[name] for name in self._names}
        self.optimizer.step(grads if self._whole else {name: g[self.members] for name, g in grads.items()}, running)


class _Data:
    """A part of the data of all members; those that share a split share the tensors."""

    def __init__(self, examples: Sequence[Examples], part: str, device: torch.device) -> None:
        distinct = {id(one.targets): one for one in examples}
        places = {key: place for place, key in enumerate(distinct)}
        sizes = {len(one) for one in distinct.values()}
        if len(sizes) > 1:
            raise ValueError(f"the {part} parts of a cohort must be of one size, got {sorted(sizes)}")
        self.examples = sizes.pop()
        self._streams = torch.tensor([places[id(one.targets)] for one in examples], device=device)
        self._inputs = _stacked([one.inputs for one in distinct.values()]).to(device)
        self._targets = _stacked([one.targets for one in distinct.values()]).to(device)

    def rows(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Rows, one list a member: (members, batch) gives inputs and targets (members, batch, ...)."""
        rows = rows.to(self._streams.device)
        flat = (rows if len(self._inputs) == 1 else rows + self._streams[:, None] * self.examples).flatten()
        return _taken(self._inputs, flat, rows.shape), _taken(self._targets, flat, rows.shape)

    def stretch(self, begin: int, size: int) -> Tensor:
        """The inputs of all members from one example on."""
        return self._of_members(self._inputs[:, begin : begin + size])

    def targets(self) -> Tensor:
        """The targets of all members, (members, n, ...)."""
        return self._of_members(self._targets)

    def _of_members(self, x: Tensor) -> Tensor:
        if len(x) == 1:
            return x.expand(len(self._streams), *x.shape[1:])
        return x.index_select(0, self._streams)


def _stacked(tensors: Sequence[Tensor]) -> Tensor:
    """With a leading axis; a single one is not copied."""
    return tensors[0].unsqueeze(0) if len(tensors) == 1 else torch.stack(list(tensors))


def _taken(x: Tensor, flat: Tensor, shape: torch.Size) -> Tensor:
    return x.flatten(0, 1).index_select(0, flat).reshape(*shape, *x.shape[2:])


def _take(own: Mapping[str, Tensor], others: Mapping[str, Tensor], chosen: np.ndarray) -> None:
    """Gives the chosen members what they have in `others`."""
    if not chosen.any():
        return
    for name, x in own.items():
        mask = torch.from_numpy(chosen).to(x.device).reshape(-1, *[1] * (x.dim() - 1))
        x.copy_(torch.where(mask, others[name], x))


def _groups(trials: Sequence[Member]) -> list[range]:
    kinds = [kind_of(trial) for trial in trials]
    starts = [i for i in range(len(trials)) if i == 0 or kinds[i] != kinds[i - 1]]
    return [range(a, b) for a, b in zip(starts, [*starts[1:], len(trials)], strict=True)]


def _columns(settings: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Hyperparameters by name, each one value a member; of a tuple each part so."""
    columns: dict[str, Any] = {}
    for name, first in settings[0].items():
        values = [setting[name] for setting in settings]
        columns[name] = tuple(map(list, zip(*values, strict=True))) if isinstance(first, tuple) else values
    return columns
