"""A rule as the machine's instructions: scalars once a step, then passes over the weights block by block.

An instruction is (operation, where to, a, b, c). A scalar or per-tensor value has a slot of its own; values of a block
of weights share registers, as few as hold what is read again. No instruction writes the register that it reads, or the
loops over blocks would not vectorize.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from thalweg.evolve.machine.block import Block, Instruction
from thalweg.evolve.machine.graph import LIFT, Graph
from thalweg.evolve.machine.opcodes import COPY, LOAD, PLACE, STATES, STORE, G, W
from thalweg.rules import Rule
from thalweg.rules.operators import OPERATORS
from thalweg.rules.program import Kind

CLOCK = 0  # the slot of t


@dataclass(frozen=True, eq=False)
class Encoded:
    """What the machine runs for a rule.

    `code`: int32 (instructions, 5). `ends`: where in it end the scalars, the new scalar states, and the per-tensor
    values known before the first pass. `passes`: int64 (passes, 2), where in it end each pass's instructions for a
    block and those for a tensor after it. `first`: the scalar slots before the first step. The states are the live
    ones: `scalar_states` with their slots, `tensor_states` and `weight_states` in the order that loads count them.
    `slots` and `registers`: how many are needed. `packed`: no value is per-tensor, so that a block may hold weights of
    several tensors. `work`: instructions a weight.
    """

    code: np.ndarray
    ends: tuple[int, int, int]
    passes: np.ndarray
    first: np.ndarray
    scalar_states: dict[str, int]
    tensor_states: tuple[str, ...]
    weight_states: tuple[str, ...]
    slots: int
    registers: int
    packed: bool
    work: int


@lru_cache(maxsize=8192)
def encoded(rule: Rule) -> Encoded:
    """The instructions of a rule at its default hyperparameters."""
    return _Encoder(Graph(rule)).encoded()


class _Encoder:
    def __init__(self, graph: Graph) -> None:
        self.graph, self.values = graph, graph.values
        self.needed = graph.needed(graph.final.values())
        states: dict[Kind, list[str]] = {kind: [] for kind in Kind}
        for name in list(graph.final)[1:]:
            states[self.values[graph.leaves[name]].kind].append(name)
        self.scalar_states, self.tensor_states, self.weight_states = (states[kind] for kind in Kind)
        self.inputs = {graph.leaves["w"]: W, graph.leaves["g"]: G}
        self.inputs |= {graph.leaves[name]: STATES + i for i, name in enumerate(self.weight_states)}
        self.slot: dict[int, int] = {}
        self.code: list[Instruction] = []
        self.registers = 0

    def encoded(self) -> Encoded:
        scalar = [index for index in self.needed if self.values[index].kind == Kind.SCALAR]
        tensor = [index for index in self.needed if self.values[index].kind == Kind.TENSOR]
        leaves = [self.graph.leaves[name] for name in ("t", *self.scalar_states)]
        self.slot = {index: place for place, index in enumerate(dict.fromkeys((*leaves, *scalar)))}
        first = np.array([self.values[index].number for index in self.slot])
        self.make(scalar)
        ends = [len(self.code)]
        first = np.append(first, np.zeros(self.keep_scalar_states(len(first))))
        ends.append(len(self.code))
        slots = len(first)
        for index in tensor:
            if self.values[index].what == LIFT:
                self.slot[index] = self.slot[self.values[index].arguments[0]]
            else:
                self.slot[index], slots = slots, slots + 1
        self.make(index for index in tensor if self.values[index].level == 0)
        ends.append(len(self.code))
        passes, work = self.passes(tensor)
        return Encoded(
            np.array(self.code, dtype=np.int32).reshape(-1, 5),
            (ends[0], ends[1], ends[2]),
            np.array(passes, dtype=np.int64),
            first,
            {name: self.slot[self.graph.leaves[name]] for name in self.scalar_states},
            tuple(self.tensor_states),
            tuple(self.weight_states),
            slots,
            self.registers,
            not any(map(self.is_reduction, tensor)) and not self.tensor_states,
            work,
        )

    def make(self, indices: Iterable[int]) -> None:
        """The instructions of values that have slots. A reduction's is what ends it."""
        for index in indices:
            value = self.values[index]
            if value.what in OPERATORS:
                a, b, c = (*(self.slot.get(argument, 0) for argument in value.arguments), 0, 0, 0)[:3]
                self.code.append((PLACE[value.what], self.slot[index], a, b, c))
            elif value.what in self.tensor_states:
                self.code.append((LOAD, self.slot[index], self.tensor_states.index(value.what), 0, 0))

    def keep_scalar_states(self, free: int) -> int:
        """Gives the scalar states their new values, all at once; returns how many slots at `free` that takes."""
        changed = self.changed(self.scalar_states)
        for i, (_, new) in enumerate(changed):
            self.code.append((COPY, free + i, self.slot[new], 0, 0))
        for i, (old, _) in enumerate(changed):
            self.code.append((COPY, self.slot[old], free + i, 0, 0))
        return len(changed)

    def changed(self, names: Iterable[str]) -> list[tuple[int, int]]:
        """Of some states, the old and the new value where they differ."""
        pairs = [(self.graph.leaves[name], self.graph.final[name]) for name in names]
        return [(old, new) for old, new in pairs if old != new]

    def passes(self, tensor: list[int]) -> tuple[list[tuple[int, int]], int]:
        """Where each pass ends, and how many instructions for a block they have together."""
        passes, work = [], 0
        for level in range(1, max((self.values[index].level for index in tensor), default=0) + 1):
            block = Block(self.graph, self.inputs, self.slot)
            for index in tensor:
                if self.values[index].level == level and self.is_reduction(index):
                    block.fold(index)
            work += self.take(block)
            end = len(self.code)
            self.make(index for index in tensor if self.values[index].level == level)
            passes.append((end, len(self.code)))
        block = Block(self.graph, self.inputs, self.slot)
        block.store([(self.inputs[old], new) for old, new in self.changed(("w", *self.weight_states))])
        work += self.take(block)
        end = len(self.code)
        for old, new in self.changed(self.tensor_states):
            self.code.append((STORE, self.tensor_states.index(self.values[old].what), self.slot[new], 0, 0))
        passes.append((end, len(self.code)))
        return passes, work

    def is_reduction(self, index: int) -> bool:
        what = self.values[index].what
        return what in OPERATORS and OPERATORS[what].reduces

    def take(self, block: Block) -> int:
        """Appends the instructions of a block; returns how many."""
        instructions, registers = block.allocated()
        self.code += instructions
        self.registers = max(self.registers, registers)
        return len(instructions)
