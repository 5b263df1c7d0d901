"""A rule as a tree: its equations as nodes, and how they are written, measured and searched for places."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from thalweg.rules import Rule
from thalweg.rules.operators import ATOM, COMPARISON, NEGATIVE, OPERATORS, Form, Operator
from thalweg.rules.program import (
    Apply,
    Equation,
    Kind,
    Kinds,
    Node,
    Number,
    Program,
    Read,
    kind_of,
    names_read,
    state_kinds,
    walk,
    write,
)

GIVEN: dict[str, Kind] = {"w": Kind.WEIGHT, "g": Kind.WEIGHT, "t": Kind.SCALAR}


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


# How a tree is written: in the rule language.


def _form(operator: Operator) -> Form:
    if operator.name.isidentifier() and operator is not NEGATIVE:
        slots = ", ".join(f"{{{i}}}" for i in range(operator.arity))
        return Form(f"{operator.name}({slots})", ATOM, (COMPARISON,) * operator.arity)
    return operator.numba  # the signs and powers of the language are Python's, and so are those of that column


_FORMS = {name: _form(operator) for name, operator in OPERATORS.items()}


def text(node: Node) -> str:
    """An expression in the rule language; reading it gives the node again, if it is tidy."""
    return write(node, lambda apply: _FORMS[apply.operator.name], _leaf)


def _leaf(leaf: Number | Read) -> str:
    if isinstance(leaf, Read):
        return leaf.name
    if math.isinf(leaf.value):
        return f"{leaf.value:+}".replace("+", "").replace("inf", "1e999")
    return repr(leaf.value).removesuffix(".0")


# What makes a rule of it.


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
