"""Cohorts that one training after another borrows, so that a network is traced once for each number of members."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from thalweg.cohort import Cohort, Unstackable
from thalweg.cohort.likeness import check_alike
from thalweg.tasks import Examples, Task, dropout

# What the members of a cohort may take together, and how many they may be. More are no faster: a member of a cohort of
# 64 takes as long a step as one of 512, of all networks but the smallest.
MOST_BYTES = 64 * 2**20
MOST_MEMBERS = 512
WEIGHT_SIZED = 6  # tensors of its weights' size that a member takes: weights, gradients, copies, and some states

# Each task's cohorts by their number of members, with the network that they were made of.
_COHORTS: WeakKeyDictionary[Task, dict[int, tuple[Cohort, nn.Module]]] = WeakKeyDictionary()


@dataclass(frozen=True)
class Tensors:
    """The tensors of the members of a cohort, each with a leading axis of members."""

    params: dict[str, Tensor]
    frozen: dict[str, Tensor]
    buffers: dict[str, Tensor]

    @classmethod
    def of(cls, network: nn.Module, members: int) -> Tensors:
        """So many members, all as this network is."""
        params: dict[str, Tensor] = {}
        frozen: dict[str, Tensor] = {}
        for name, w in network.named_parameters():
            (params if w.requires_grad else frozen)[name] = _repeated(w, members)
        return cls(params, frozen, {name: _repeated(b, members) for name, b in network.named_buffers()})

    def chosen(self, places: Tensor) -> Tensors:
        """A copy of some members."""
        parts = (self.params, self.frozen, self.buffers)
        return Tensors(*({name: x.index_select(0, places) for name, x in part.items()} for part in parts))


@contextmanager
def lent(task: Task, network: nn.Module, tensors: Tensors, members: int) -> Iterator[Cohort]:
    """A cohort of the task with these tensors in it, for as long as the block takes.

    `network`: one of that shape; what it is beside its tensors is the same for all members. Raises Unstackable where
    networks like it cannot be stacked.
    """
    cohorts = _COHORTS.setdefault(task, {})
    if members in cohorts and not _alike(cohorts[members][1], network):
        del cohorts[members]  # this seed's network differs in more than its tensors, and a trace would not show it
    if members not in cohorts:
        generators = [torch.Generator() for _ in range(members)]
        cohorts[members] = Cohort([network] * members, task.loss, generators), network
    cohort = cohorts[members][0]
    cohort.params, cohort.frozen, cohort.buffers = tensors.params, tensors.frozen, tensors.buffers
    try:
        yield cohort
    finally:
        cohort.params, cohort.frozen, cohort.buffers = {}, {}, {}


def padded(members: int) -> int:
    """The size of the cohort in which so many train: a power of two, or three quarters of one, so that few sizes are
    traced, and few members idle."""
    power = 1 << (members - 1).bit_length()
    return power * 3 // 4 if members <= power * 3 // 4 and power >= 4 else power


def most_members(task: Task, network: nn.Module, batch: Examples) -> int:
    """How many train in one cohort. It follows from the network and the batch alone, so that no result depends on the
    machine or on the number of its processes. Raises ValueError where network or loss raise on the batch."""
    saved = 0

    def note(x: Tensor) -> Tensor:
        nonlocal saved
        saved += x.numel() * x.element_size()
        return x

    tried = copy.deepcopy(network)
    for layer in dropout.layers(tried).values():
        layer.generator = torch.Generator()
    try:
        with torch.random.fork_rng(devices=[]), torch.autograd.graph.saved_tensors_hooks(note, lambda x: x):
            task.loss(tried(batch.inputs.clone()), batch.targets)
    except Exception as error:  # whatever a user's network or loss raise
        raise ValueError(f"task {task.name}: training its network failed: {type(error).__name__}: {error}") from error
    own = sum(x.numel() * x.element_size() for x in itertools.chain(tried.parameters(), tried.buffers()))
    return max(1, min(MOST_MEMBERS, MOST_BYTES // (WEIGHT_SIZED * own + 2 * saved)))


def _alike(one: nn.Module, other: nn.Module) -> bool:
    try:
        check_alike([one, other])
    except (Unstackable, ValueError):
        return False
    return True


def _repeated(x: Tensor, members: int) -> Tensor:
    return x.detach().unsqueeze(0).repeat(members, *[1] * x.dim())
