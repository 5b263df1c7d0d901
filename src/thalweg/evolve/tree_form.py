"""A rule as a tree: its equations as nodes, how they are measured, searched for places, and kept tidy."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Any

from thalweg.evolve.tree_text import text
from thalweg.rules import Rule, plain
from thalweg.rules.operators import NEGATIVE, Operator
from thalweg.rules.program import (
    Apply,
    Equation,
    Kind,
    Kinds,
    Node,
    Number,
    Program,
    Read,
    apply,
    kind_of,
    names_read,
    state_kinds,
    walk,
)

GIVEN: dict[str, Kind] = {"w": Kind.WEIGHT, "g": Kind.WEIGHT, "t": Kind.SCALAR}
ZERO, ONE = Number(0.0), Number(1.0)
DIGITS = 12  # of a constant that is worked out from others: what rounding adds beyond would only be read as meant


@dataclass(frozen=True)
class Place:
    """Where a node stands: in which equation, and on the path of which arguments from its top."""

    equation: int
    path: tuple[int, ...]
    node: Node
    kind: Kind

    @property
    def condition(self) -> bool:
        """Whether it is the condition of a `where`, and no value."""
        return isinstance(self.node, Apply) and self.node.operator.compares

    def within(self, other: Place) -> bool:
        """Whether it is below the other place."""
        above = len(other.path)
        return self.equation == other.equation and len(self.path) > above and self.path[:above] == other.path


@dataclass(frozen=True)
class Tree:
    """The equations of a rule in order, with every constant a number; what they say is what `Rule` says they do.

    A name read before its equation is a state. It begins at 0, or at what `init` says for it.
    """

    equations: tuple[Equation, ...]
    init: tuple[tuple[str, Node], ...] = ()
    first_step: int = 1

    @cached_property
    def states(self) -> tuple[str, ...]:
        """Those with an initial value first, in the order of `init`: random ones are drawn in this order."""
        known, early = set(GIVEN), dict[str, None]()
        for equation in self.equations:
            early.update((name, None) for name in reads(equation.value) if name not in known)
            known.add(equation.name)
        begun = dict.fromkeys(name for name, _ in self.init)
        return tuple(begun | early)

    @cached_property
    def kinds(self) -> tuple[Kinds, ...]:
        """The kinds of all names as each equation is reached."""
        given: dict[str, Kind] = {**GIVEN, **dict.fromkeys(self.states, Kind.SCALAR)}
        given |= {name: kind_of(node, GIVEN) for name, node in self.init}
        program = Program(self.equations, self.states, state_kinds(self.equations, given))
        return tuple(dict(kinds) for _, kinds in program.with_kinds())

    @cached_property
    def size(self) -> int:
        """Operators, numbers and names on the right-hand sides."""
        return sum(size(equation.value) for equation in self.equations)

    @cached_property
    def depth(self) -> int:
        return max(depth(equation.value) for equation in self.equations)

    @cached_property
    def text(self) -> str:
        return "\n".join(f"{equation.name} = {text(equation.value)}" for equation in self.equations)

    @cached_property
    def whole(self) -> tuple[str, tuple[tuple[str, str], ...], int]:
        """All that its rule says: trees of which it is equal are one."""
        return self.text, tuple((name, text(node)) for name, node in self.init), self.first_step

    @cached_property
    def places(self) -> tuple[Place, ...]:
        """Every node of every equation, parents first."""
        return tuple(place for i in range(len(self.equations)) for place in self._within(i))

    def _within(self, equation: int) -> Iterator[Place]:
        kinds = self.kinds[equation]
        waiting: list[tuple[tuple[int, ...], Node]] = [((), self.equations[equation].value)]
        while waiting:
            path, node = waiting.pop()
            yield Place(equation, path, node, kind_of(node, kinds))
            if isinstance(node, Apply):
                waiting.extend(((*path, i), part) for i, part in reversed([*enumerate(node.arguments)]))

    @cached_property
    def of_w(self) -> int:
        """Which equation is that of the weight."""
        return next(i for i, equation in enumerate(self.equations) if equation.name == "w")

    def with_node(self, place: Place, node: Node) -> Tree:
        """The tree with another node in that place."""
        equation = self.equations[place.equation]
        value = replaced(equation.value, place.path, node)
        return self.with_equations(
            (*self.equations[: place.equation], replace(equation, value=value), *self.equations[place.equation + 1 :])
        )

    def with_equations(self, equations: Iterable[Equation]) -> Tree:
        return Tree(tuple(equations), self.init, self.first_step)

    def rule(self) -> Rule:
        """Raises ValueError where the equations are not in the language, such as a line that is too long."""
        init = {name: text(node) for name, node in self.init}
        return Rule("evolved", self.text, state=self.states, init=init, first_step=self.first_step)


def reads(node: Node) -> Iterator[str]:
    """The names that a node reads, in order of reading."""
    return (part.name for part in walk(node) if isinstance(part, Read))


def size(node: Node) -> int:
    return sum(1 for _ in walk(node))


def depth(node: Node) -> int:
    """Nodes from the top to the lowest leaf."""
    return 1 + max(map(depth, node.arguments)) if isinstance(node, Apply) else 1


def replaced(node: Node, path: tuple[int, ...], other: Node) -> Node:
    """The node with `other` where the path ends."""
    if not path:
        return other
    assert isinstance(node, Apply)
    arguments = list(node.arguments)
    arguments[path[0]] = replaced(arguments[path[0]], path[1:], other)
    return Apply(node.operator, tuple(arguments))


def renamed(node: Node, names: Mapping[str, Node]) -> Node:
    """The node with other nodes for some of the names that it reads."""
    if isinstance(node, Read):
        return names.get(node.name, node)
    if isinstance(node, Apply) and any(name in names for name in reads(node)):
        return Apply(node.operator, tuple(renamed(part, names) for part in node.arguments))
    return node


# What is kept tidy: numbers are worked out, what does nothing is dropped, no equation is dead.


def tidy(tree: Tree) -> Tree:
    """The same rule to rounding, without what is dead or does nothing; tidying it again changes nothing."""
    while (tidier := live(_restated(tree))) != tree:
        tree = tidier
    return tree


def _restated(tree: Tree) -> Tree:
    """Every value tidied, and no equation that only gives another name to a number or to what keeps its value."""
    equations: list[Equation] = []
    meant: dict[str, Node] = {}
    settled = {"g", "t"}  # names that no later equation changes
    for equation in tree.equations:
        value = tidied(renamed(equation.value, meant))
        named = isinstance(value, Number) or (isinstance(value, Read) and value.name in settled)
        if named and equation.name != "w" and equation.name not in tree.states:
            meant[equation.name] = value
        else:
            equations.append(replace(equation, value=value))
            settled.add(equation.name)
    return tree.with_equations(equations)


def live(tree: Tree) -> Tree:
    """The tree without the equations that the weight follows from in no step, and without what those begin at."""
    known = {equation.name: names_read(equation.value) for equation in tree.equations}
    reached, waiting = {"w"}, ["w"]
    while waiting:
        new = known.get(waiting.pop(), set()) - reached
        reached |= new
        waiting += new
    if len(reached & known.keys()) == len(known) and not tree.init:
        return tree
    kept = Tree(tuple(e for e in tree.equations if e.name in reached), (), tree.first_step)
    return Tree(kept.equations, tuple(pair for pair in tree.init if pair[0] in kept.states), tree.first_step)


def tidied(node: Node) -> Node:
    """The expression with its numbers worked out, and without what does nothing."""
    if not isinstance(node, Apply):
        return node
    arguments = tuple(map(tidied, node.arguments))
    if arguments != node.arguments:
        node = Apply(node.operator, arguments)
    if node.operator.draws or node.operator.compares or node.operator.reduces:
        return node
    if all(isinstance(part, Number) for part in arguments):
        return _worked_out(node)
    return _shorter(node.operator.name, arguments) or node


def _shorter(name: str, arguments: tuple[Node, ...]) -> Node | None:
    """What an operator with a neutral argument comes to, or with a factor on a factor, or a sign on a sign."""
    first, last = arguments[0], arguments[-1]
    if name in ("*", "+") and first == {"*": ONE, "+": ZERO}[name]:
        return last
    if name in ("*", "/", "**", "+", "-") and last == (ONE if name in ("*", "/", "**") else ZERO):
        return first
    if name == "negative" and isinstance(first, Apply) and first.operator is NEGATIVE:
        return first.arguments[0]
    outer = scaled(first, last) if name == "*" else None
    if outer and isinstance(outer[1], Apply) and outer[1].operator.name == "*":
        inner = scaled(*outer[1].arguments)
        both = _worked_out(apply("*", outer[0], inner[0])) if inner else None
        if inner and isinstance(both, Number):
            return inner[1] if both == ONE else apply("*", both, inner[1])
    return None


def scaled(first: Node, last: Node) -> tuple[Number, Node] | None:
    """The number and the other of two factors; None where neither is a number."""
    if isinstance(first, Number):
        return first, last
    return (last, first) if isinstance(last, Number) else None


def _worked_out(node: Apply) -> Node:
    """The number that an operator on numbers comes to; the node itself where that is not finite."""
    values = [part.value for part in node.arguments if isinstance(part, Number)]
    value = float(_on_floats(node.operator)(*values))
    return Number(float(f"{value:.{DIGITS}g}")) if math.isfinite(value) else node


@cache
def _on_floats(operator: Operator) -> Callable[..., Any]:
    """The operator as a function of floats, from its column of the table."""
    names = [f"a{i}" for i in range(operator.arity)]
    source = f"def fold({', '.join(names)}):\n    return {operator.scalar.template.format(*names)}\n"
    return plain.compiled(source, "fold", plain.namespace())


def sound(tree: Tree) -> bool:
    """Whether it is a rule: all names assigned, the weight per-weight, and all that is reduced, too."""
    known = GIVEN.keys() | {equation.name for equation in tree.equations}
    if not all(name in known for equation in tree.equations for name in reads(equation.value)):
        return False
    if kind_of(tree.equations[tree.of_w].value, tree.kinds[tree.of_w]) != Kind.WEIGHT:
        return False
    for equation, kinds in zip(tree.equations, tree.kinds, strict=True):
        for part in walk(equation.value):
            if isinstance(part, Apply) and part.operator.reduces and kind_of(part.arguments[0], kinds) != Kind.WEIGHT:
                return False
    return True


def gradient_reaches(tree: Tree) -> bool:
    """Whether a tidy tree's weight follows from the gradient, in this step or a later one, and from itself."""
    read = set().union(*(names_read(equation.value) for equation in tree.equations))
    return {"g", "w"} <= read
