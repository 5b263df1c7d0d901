"""A rule as a graph: expressions, the equations that assign them, and the kind of every value.

Everything derived from a rule (the steps, LaTeX, the canonical form) is a walk over a `Program`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum
from functools import cached_property

from thalweg.rules.operators import ATOM, NEGATIVE, OPERATORS, SIGN, Form, Operator


class Kind(IntEnum):
    """What a value depends on. What is computed from several values has the largest of their kinds."""

    SCALAR = 0  # no tensor: one float for a whole bucket of parameters
    TENSOR = 1  # a reduction and what follows from it: one value a parameter tensor
    WEIGHT = 2  # one value a weight

    def __str__(self) -> str:
        return {Kind.SCALAR: "scalar", Kind.TENSOR: "per-tensor", Kind.WEIGHT: "per-weight"}[self]


@dataclass(frozen=True)
class Number:
    value: float


@dataclass(frozen=True)
class Read:
    """What a name holds when its equation is reached: the value last assigned, or that from before the step."""

    name: str


@dataclass(frozen=True)
class Apply:
    """An operator and its arguments; `line` and `column` (from 1) place it in the text, for errors.

    Known once it is made: `depth`, how many operators other than + - * nest in it, and of its kind the least that it
    can be and the names that `follows` from, those inside a reduction aside.
    """

    operator: Operator
    arguments: tuple[Node, ...]
    line: int = field(default=0, compare=False)
    column: int = field(default=0, compare=False)
    depth: int = field(init=False, compare=False, repr=False)
    least: Kind = field(init=False, compare=False, repr=False)
    follows: frozenset[str] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        inner = [argument for argument in self.arguments if isinstance(argument, Apply)]
        depth = max((argument.depth for argument in inner), default=0) + (self.operator.name not in ("+", "-", "*"))
        least, follows = Kind.SCALAR, frozenset[str]()
        if self.operator.reduces or self.operator.draws:
            least = Kind.TENSOR if self.operator.reduces else Kind.WEIGHT
        else:
            least = max((argument.least for argument in inner), default=Kind.SCALAR)
            names = {argument.name for argument in self.arguments if isinstance(argument, Read)}
            follows = follows.union(names, *(argument.follows for argument in inner))
        for name, value in (("depth", depth), ("least", least), ("follows", follows)):
            object.__setattr__(self, name, value)


Node = Number | Read | Apply
Kinds = Mapping[str, Kind]


def apply(name: str, *arguments: Node) -> Apply:
    """`apply("+", a, b)` is the node a + b."""
    return Apply(OPERATORS[name], arguments)


def kind_of(node: Node, kinds: Kinds) -> Kind:
    """The kind of a value, given those of the names it reads."""
    if isinstance(node, Number):
        return Kind.SCALAR
    if isinstance(node, Read):
        return kinds[node.name]
    return max(node.least, max((kinds[name] for name in node.follows), default=Kind.SCALAR))


def walk(node: Node) -> Iterator[Node]:
    """The node and all below it, parents first."""
    waiting = [node]
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, Apply):
            waiting.extend(reversed(node.arguments))


def names_read(node: Node) -> set[str]:
    return {part.name for part in walk(node) if isinstance(part, Read)}


def leaf_binding(node: Number | Read) -> int:
    """How tightly a name or a number binds as Python prints it."""
    return SIGN if isinstance(node, Number) and str(node.value).startswith("-") else ATOM


def write(
    node: Node,
    form_of: Callable[[Apply], Form],
    leaf: Callable[[Number | Read], str],
    leaf_binds: Callable[[Number | Read], int] = leaf_binding,
) -> str:
    """Prints an expression with the brackets that its forms need and no others."""

    def written(node: Node) -> tuple[str, int]:
        if not isinstance(node, Apply):
            return leaf(node), leaf_binds(node)
        form = form_of(node)
        texts = []
        for argument, need in zip(node.arguments, form.needs, strict=True):
            text, binds = written(argument)
            texts.append(text if binds >= need else f"({text})")
        return form.template.format(*texts), form.binds

    return written(node)[0]


@dataclass(frozen=True)
class Equation:
    """`name = value`, done only under the driver's flag `when` ("": always); `line` and `column` as in `Apply`."""

    name: str
    value: Node
    when: str = ""
    line: int = field(default=0, compare=False)
    column: int = field(default=0, compare=False)


# The driver's flags: which of its own equations come before the rule's.
MAXIMIZE, COUPLED, DECOUPLED = "maximize", "coupled", "decoupled"

_W, _G, _DECAY = Read("w"), Read("g"), Read("weight_decay")
DRIVER_EQUATIONS = (
    Equation("g", Apply(NEGATIVE, (_G,)), MAXIMIZE),
    Equation("g", apply("+", _G, apply("*", _DECAY, _W)), COUPLED),
    Equation("w", apply("*", _W, apply("-", Number(1.0), apply("*", Read("lr"), _DECAY))), DECOUPLED),
)


@dataclass(frozen=True)
class Program:
    """The equations of one step in order, and the kinds of the names that have a value before it."""

    equations: tuple[Equation, ...]
    states: tuple[str, ...]
    kinds: Kinds

    @property
    def outputs(self) -> tuple[str, ...]:
        """What a step changes: the weight, then the states."""
        return ("w", *self.states)

    @cached_property
    def tensor_states(self) -> tuple[str, ...]:
        """The states that are tensors, per-tensor or per-weight."""
        return tuple(state for state in self.states if self.kinds[state] > Kind.SCALAR)

    @cached_property
    def scalar_states(self) -> tuple[str, ...]:
        return tuple(state for state in self.states if self.kinds[state] == Kind.SCALAR)

    @cached_property
    def elementwise(self) -> bool:
        """Whether a weight's step depends on that weight alone, so that a tensor may be stepped in pieces."""
        parts = (part for equation in self.equations for part in walk(equation.value))
        return not any(isinstance(part, Apply) and part.operator.reduces for part in parts)

    def specialised(self, flags: Collection[str]) -> Program:
        """The program under fixed flags: what they leave out is gone, what they ask for is unconditional."""
        kept = [replace(equation, when="") for equation in self.equations if equation.when in ("", *flags)]
        return replace(self, equations=tuple(kept))

    def with_kinds(self) -> Iterator[tuple[Equation, dict[str, Kind]]]:
        """Each equation with the kinds of all names as it is reached. A state keeps its kind when it is assigned."""
        kinds = dict(self.kinds)
        for equation in self.equations:
            yield equation, kinds
            kinds[equation.name] = self.assigned_kind(equation, kinds)

    def assigned_kind(self, equation: Equation, kinds: Kinds) -> Kind:
        return max(kind_of(equation.value, kinds), self.kinds.get(equation.name, Kind.SCALAR))


def state_kinds(equations: Iterable[Equation], given: Kinds) -> dict[str, Kind]:
    """The smallest kinds of the states that hold from step to step: `given` has those that they begin with."""
    program = Program(tuple(equations), (), dict(given))
    while True:
        after = dict(program.kinds)
        for equation, kinds in program.with_kinds():
            if equation.name in after:
                after[equation.name] = max(after[equation.name], kind_of(equation.value, kinds))
        if after == program.kinds:
            return after
        program = replace(program, kinds=after)
