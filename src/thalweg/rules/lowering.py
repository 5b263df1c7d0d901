"""A program as loops see it: scalars worked out beforehand, reductions cut out, every name assigned once.

The native step, and every other that runs its own loops, is printed from this form.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from thalweg.rules.program import Apply, Equation, Kind, Node, Number, Program, Read, kind_of, names_read


@dataclass(frozen=True)
class Lowered:
    """Equations in single assignment. Those that are not scalar read scalars only through the names in `scalars`.

    `final` has the name under which each output (w, then the states) ends the step. A reduction is an equation of its
    own, of a named argument; `levels` says how many passes over the weights come before each.
    """

    equations: tuple[Equation, ...]
    kinds: dict[str, Kind]
    final: dict[str, str]
    scalars: tuple[str, ...]
    levels: dict[str, int]

    def needed(self, names: Iterable[str]) -> list[Equation]:
        """The equations that the given names follow from, in order; of a reduction, not what it reduces."""
        wanted, kept = set(names), []
        for equation in reversed(self.equations):
            if equation.name in wanted:
                kept.append(equation)
                if not is_reduction(equation.value):
                    wanted |= names_read(equation.value)
        return kept[::-1]

    def of_tensors(self, names: Iterable[str]) -> list[Equation]:
        """The equations, scalars' aside, that the given names follow from, in order; what is reduced, too."""
        wanted, kept = set(names), []
        for equation in reversed(self.equations):
            if equation.name in wanted and self.kinds[equation.name] > Kind.SCALAR:
                kept.append(equation)
                wanted |= names_read(equation.value)
        return kept[::-1]

    def inputs(self, equations: Iterable[Equation], kind: Kind) -> set[str]:
        """The names of one kind that the equations read and that have their values from before the step."""
        read = set().union(*(names_read(e.value) for e in equations if not is_reduction(e.value)))
        return {name for name in read if not name.startswith("_") and self.kinds[name] == kind}


def lower(program: Program, flags: Collection[str]) -> Lowered:
    """The program under the driver's flags, lowered."""
    lowering = _Lowering(program.specialised(flags))
    lowering.run()
    return Lowered(
        tuple(lowering.equations), lowering.kinds, lowering.final, tuple(lowering.scalars), lowering.levels()
    )


def is_reduction(node: Node) -> bool:
    return isinstance(node, Apply) and node.operator.reduces


class _Lowering:
    def __init__(self, program: Program) -> None:
        self.program = program
        self.equations: list[Equation] = []
        self.kinds = dict(program.kinds)
        self.current: dict[str, str] = {}  # the name that holds the present value of each of the program's names
        self.scalars: list[str] = []
        self.final: dict[str, str] = {}

    def run(self) -> None:
        for index, (equation, kinds) in enumerate(self.program.with_kinds()):
            kind = self.program.assigned_kind(equation, kinds)
            value = self.renamed(equation.value) if kind == Kind.SCALAR else self.lowered(equation.value)
            self.assign(f"_{equation.name}_{index}", value, kind)
            self.current[equation.name] = f"_{equation.name}_{index}"
        self.final = {name: self.current.get(name, name) for name in self.program.outputs}

    def assign(self, name: str, value: Node, kind: Kind) -> Read:
        self.equations.append(Equation(name, value))
        self.kinds[name] = kind
        return Read(name)

    def renamed(self, node: Node) -> Node:
        if isinstance(node, Read):
            return Read(self.current.get(node.name, node.name))
        if isinstance(node, Apply):
            return Apply(node.operator, tuple(map(self.renamed, node.arguments)))
        return node

    def lowered(self, node: Node) -> Node:
        """The node with its largest scalar parts, and its reductions, moved to equations of their own."""
        if isinstance(node, Number):
            return node
        renamed = self.renamed(node)
        if kind_of(renamed, self.kinds) == Kind.SCALAR:
            name = f"_s{len(self.scalars)}"
            self.scalars.append(name)
            return self.assign(name, renamed, Kind.SCALAR)
        if isinstance(node, Read):
            return renamed
        arguments = tuple(map(self.lowered, node.arguments))
        if not node.operator.reduces:
            return Apply(node.operator, arguments)
        argument = self.assign(f"_a{len(self.equations)}", arguments[0], Kind.WEIGHT)
        return self.assign(f"_r{len(self.equations)}", Apply(node.operator, (argument,)), Kind.TENSOR)

    def levels(self) -> dict[str, int]:
        """For each reduction, how many passes over the weights come before its own."""
        depth: dict[str, int] = {}
        levels: dict[str, int] = {}
        for equation in self.equations:
            depth[equation.name] = max((depth.get(name, 0) for name in names_read(equation.value)), default=0)
            if is_reduction(equation.value):
                levels[equation.name] = depth[equation.name]
                depth[equation.name] += 1
        return levels
