"""One pass's instructions for a block of weights, and the registers that they share."""

from __future__ import annotations

from typing import NamedTuple

from thalweg.evolve.machine.graph import Graph
from thalweg.evolve.machine.opcodes import BLOCK_SCALAR, LOAD, MIRRORED, PLACE, SCALAR_BLOCK, SPREAD, STORE
from thalweg.rules.program import Kind

Instruction = tuple[int, int, int, int, int]


class _Line(NamedTuple):
    """An instruction whose registers have no number yet: which of the operands are registers, and whether `to` is."""

    operation: int
    to: int
    operands: tuple[int, ...]
    reads: tuple[bool, ...]
    writes: bool


class Block:
    """Collects the instructions of a pass. `inputs`: what loads of w, g and the per-weight states are given;
    `slots`: where scalar and per-tensor values are."""

    def __init__(self, graph: Graph, inputs: dict[int, int], slots: dict[int, int]) -> None:
        self.graph, self.values, self.inputs, self.slots = graph, graph.values, inputs, slots
        self.lines: list[_Line] = []
        self.made: dict[int, int] = {}

    def fold(self, reduction: int) -> None:
        """Adds the block to a reduction's total."""
        value = self.values[reduction]
        argument = self.register(value.arguments[0])
        self.lines.append(_Line(PLACE[value.what], self.slots[reduction], (argument,), (True,), False))

    def store(self, stores: list[tuple[int, int]]) -> None:
        """Writes values to inputs, once all of them are made: (input, value)."""
        for place, register in [(place, self.register(value)) for place, value in stores]:
            self.lines.append(_Line(STORE, place, (register,), (True,), False))

    def register(self, root: int) -> int:
        """The register of a value, made with all that it is made of where it is not there yet."""
        for index in self.graph.needed([root]):
            if self.values[index].kind == Kind.WEIGHT and index not in self.made and index not in self.inputs:
                self.make(index)
        return self.operand(root)

    def make(self, index: int) -> None:
        """The instruction of a value, all of whose arguments are made."""
        name, arguments = self.values[index].what, self.values[index].arguments
        scalar = [self.values[argument].kind < Kind.WEIGHT for argument in arguments]
        if len(arguments) != 2 or not any(scalar):
            registers = tuple(map(self.operand, arguments))
            return self.write(index, PLACE[name], registers, (True,) * len(registers))
        if scalar[0] and name in MIRRORED:
            name, arguments, scalar = MIRRORED[name], arguments[::-1], [False, True]
        if scalar[0]:
            operands = (self.slots[arguments[0]], self.operand(arguments[1]))
            return self.write(index, PLACE[name] + SCALAR_BLOCK, operands, (False, True))
        operands = (self.operand(arguments[0]), self.slots[arguments[1]])
        return self.write(index, PLACE[name] + BLOCK_SCALAR, operands, (True, False))

    def operand(self, index: int) -> int:
        """The register of a value that is made, an input, or one for all weights."""
        if index not in self.made:
            if index in self.inputs:
                self.write(index, LOAD, (self.inputs[index],), (False,))
            else:
                self.write(index, SPREAD, (self.slots[index],), (False,))
        return self.made[index]

    def write(self, index: int, operation: int, operands: tuple[int, ...], reads: tuple[bool, ...]) -> None:
        self.made[index] = len(self.made)
        self.lines.append(_Line(operation, self.made[index], operands, reads, True))

    def allocated(self) -> tuple[list[Instruction], int]:
        """The instructions with numbered registers, and how many of these they need.

        A register is free again once it is read for the last time, but not for the instruction that reads it: loops
        that may read what they write do not vectorize.
        """
        last = {x: place for place, line in enumerate(self.lines) for x in self._read(line)}
        numbers: dict[int, int] = {}
        free: list[int] = []
        count = 0
        instructions = []
        for place, line in enumerate(self.lines):
            to = line.to
            if line.writes:
                if not free:
                    free.append(count)
                    count += 1
                to = numbers[line.to] = free.pop()
            operands = [numbers[x] if read else x for x, read in zip(line.operands, line.reads, strict=True)]
            a, b, c = (*operands, 0, 0)[:3]
            instructions.append((line.operation, to, a, b, c))
            free += [numbers[x] for x in dict.fromkeys(self._read(line)) if last[x] == place]
        return instructions, count

    @staticmethod
    def _read(line: _Line) -> list[int]:
        return [x for x, read in zip(line.operands, line.reads, strict=True) if read]
