"""A rule's step as a graph of numbered values: each value once, dead ones gone, numbers worked out.

Values are what the plain step makes of them, to the bit but for the order of sums in reductions: nothing is
reassociated. What does not touch a tensor is a Python float there, so numbers and hyperparameters fold as floats.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from thalweg.rules import Rule
from thalweg.rules.canonical import _on_floats
from thalweg.rules.operators import OPERATORS
from thalweg.rules.program import COUPLED, DECOUPLED, Kind, Node, Number, Read

NUMBER, LIFT = "a number", "a lifted scalar"  # no state can be called so


class Value(NamedTuple):
    """A leaf (`what` is "w", "g", "t" or a state), a number, an operator of earlier values, or a lifted scalar.

    A lifted scalar is one that a tensor state has taken on: what is made of it is rounded as weights are, so it counts
    as per-tensor. `level` says how many passes over the weights come before the value is known.
    """

    what: str
    kind: Kind
    level: int
    arguments: tuple[int, ...] = ()
    number: float = 0.0


class Graph:
    """The values of a rule's step at its default hyperparameters, later ones made of earlier ones.

    `final`: the values that the weight and the live states have after the step. A state is live if the weight follows
    from it, in this step or a later one.
    """

    def __init__(self, rule: Rule) -> None:
        self.values: list[Value] = []
        self._index: dict[object, int] = {}
        program = rule.program
        flags = [{"coupled": COUPLED, "decoupled": DECOUPLED}[rule.decay]] * (rule.hyperparameters["weight_decay"] != 0)
        kinds = {"w": Kind.WEIGHT, "g": Kind.WEIGHT, "t": Kind.SCALAR} | {s: program.kinds[s] for s in rule.states}
        self.leaves = {name: self._add(name, Value(name, kind, 0)) for name, kind in kinds.items()}
        self._names = {name: self._number(value) for name, value in rule.scalars(rule.hyperparameters).items()}
        self._names |= self.leaves
        for equation in program.equations:
            if equation.when in ("", *flags):
                value = self._of(equation.value)
                if program.kinds.get(equation.name, Kind.SCALAR) > Kind.SCALAR:
                    value = self._lifted(value)
                self._names[equation.name] = value
        self.final = {name: self._names[name] for name in ("w", *self._live(rule.states))}

    def needed(self, roots: Iterable[int]) -> list[int]:
        """The values that the given ones are made of, themselves among them, earlier ones first."""
        seen: set[int] = set()
        waiting = list(roots)
        while waiting:
            index = waiting.pop()
            if index not in seen:
                seen.add(index)
                waiting += self.values[index].arguments
        return sorted(seen)

    def _live(self, states: tuple[str, ...]) -> list[str]:
        roots = ["w"]
        for name in roots:  # grows while it is gone through
            reached = set(self.needed([self._names[name]]))
            roots += [s for s in states if self.leaves[s] in reached and s not in roots]
        return [state for state in states if state in roots]

    def _of(self, node: Node) -> int:
        """The value of an expression, where the names stand at present."""
        if isinstance(node, Number):
            return self._number(node.value)
        if isinstance(node, Read):
            return self._names[node.name]
        return self._apply(node.operator.name, tuple(map(self._of, node.arguments)))

    def _apply(self, name: str, arguments: tuple[int, ...]) -> int:
        operands = [self.values[index] for index in arguments]
        operator = OPERATORS[name]
        if not operator.reduces and all(operand.what is NUMBER for operand in operands):
            return self._number(float(_on_floats(operator)(*(operand.number for operand in operands))))
        if name == "**" and operands[0].kind > Kind.SCALAR and operands[1].what is NUMBER:
            base, exponent = arguments[0], operands[1].number
            if exponent == 2:  # as torch has them
                return self._apply("square", (base,))
            if exponent == 3:
                return self._apply("*", (self._apply("square", (base,)), base))
            if exponent == -1:
                return self._apply("/", (self._number(1.0), base))
        kind = max(operand.kind for operand in operands)
        level = max(operand.level for operand in operands)
        if operator.reduces:
            kind, level = Kind.TENSOR, level + 1
        return self._add((name, arguments), Value(name, kind, level, arguments))

    def _lifted(self, index: int) -> int:
        if self.values[index].kind > Kind.SCALAR:
            return index
        return self._add((LIFT, index), Value(LIFT, Kind.TENSOR, 0, (index,)))

    def _number(self, value: float) -> int:
        return self._add((NUMBER, repr(value)), Value(NUMBER, Kind.SCALAR, 0, (), value))

    def _add(self, key: object, value: Value) -> int:
        index = self._index.setdefault(key, len(self.values))
        if index == len(self.values):
            self.values.append(value)
        return index
