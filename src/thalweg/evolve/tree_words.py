"""What random trees are made of: names, constants, and expressions of a kind over the operator table."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeVar

from thalweg.evolve.tree_constants import complement, constant, decay, log_uniform, rate, rounded
from thalweg.evolve.tree_form import GIVEN, ONE, ZERO, Tree, size, tidy
from thalweg.rules.operators import COMPARISONS, FUNCTIONS, NEGATIVE, OPERATORS
from thalweg.rules.program import Equation, Kind, Node, Number, Read, apply

Item = TypeVar("Item")
Names = Mapping[str, Kind]

STATE_NAMES = ("m", "v", "s", "u", "x", "y", "z")
NEEDED = ("+", "-", "*")  # to write a step and a running average at all

# How often an operator is drawn, against a leaf. Products, signs, roots and quotients make steps of one size, which is
# what optimizers are about; exp and log blow up, reductions and conditions cost a reader more than they give.
LEAF = "leaf"
_WEIGHTS = {
    LEAF: 4.0,
    "*": 2.0, "+": 1.5, "-": 1.0, "safe_div": 1.2, "/": 0.6, "**": 0.1,
    "sign": 1.2, "sqrt": 0.6, "square": 0.5, "tanh": 0.6, "abs": 0.4, "negative": 0.2, "exp": 0.1, "log": 0.1,
    "minimum": 0.2, "maximum": 0.3, "where": 0.1,
    "norm": 0.15, "mean": 0.05, "max_abs": 0.1,
}  # fmt: skip
MEANINGFUL = tuple(name for name in _WEIGHTS if name != LEAF)

ROOTS = ("sqrt", "log")  # of what is negative they are no number
ORDERS = COMPARISONS[:4]  # == and != of two floats say little
_POSITIVE = ("abs", "square", "exp", "norm", "max_abs", "sqrt")


def chosen(random: Random, weighted: Mapping[Item, float]) -> Item:
    """One of the keys, by weight."""
    return random.choices([*weighted], [*weighted.values()])[0]


def fresh(names: Collection[str]) -> str:
    """A name for one more state."""
    spare = (name for name in STATE_NAMES if name not in names)
    return next(spare, "") or next(f"s{i}" for i in range(1, len(names) + 2) if f"s{i}" not in names)


def never_negative(node: Node) -> bool:
    """Whether it shows in the expression itself that it is never below 0."""
    if isinstance(node, Number):
        return node.value >= 0
    if isinstance(node, Read):
        return node.name == "t"
    name, arguments = node.operator.name, map(never_negative, node.arguments)
    if name in ("+", "*", "/", "safe_div", "minimum"):
        return all(arguments)
    return name in _POSITIVE or (name == "maximum" and any(arguments))


@dataclass(frozen=True)
class Words:
    """The operators that random parts are made of, and how they are put together.

    `operators`: names from the operator table; + - * are always among them, and comparisons come with `where`.
    """

    operators: tuple[str, ...] = MEANINGFUL

    def __post_init__(self) -> None:
        known = (*NEEDED, "/", "**", NEGATIVE.name, *FUNCTIONS)
        for name in self.operators:
            if name not in known:
                raise ValueError(f"operators must be names of {', '.join(known)}, got {name!r}")
        missing = [name for name in NEEDED if name not in self.operators]
        if missing:
            raise ValueError(f"operators must have + - * among them, got {', '.join(self.operators)!r}")

    def has(self, name: str) -> bool:
        return name in self.operators

    def weighted(self, arities: Sequence[int] = (1, 2, 3)) -> dict[str, float]:
        """The operators with these numbers of arguments, and how often each is drawn."""
        return {name: _WEIGHTS[name] for name in self.operators if OPERATORS[name].arity in arities}

    # Expressions. `names` are what may be read; `room` is how many nodes an expression may have.

    def expression(self, random: Random, kind: Kind, names: Names, room: int) -> Node:
        """An expression of exactly that kind."""
        if kind == Kind.SCALAR:
            return self.scalar(random, names, room)
        if kind == Kind.TENSOR:
            return self.tensor(random, names, room)
        return self.weight(random, names, room)

    def weight(self, random: Random, names: Names, room: int) -> Node:
        """A value for each weight."""
        if room < 2:
            return self.leaf(random, names)
        name = chosen(random, {LEAF: _WEIGHTS[LEAF], **self.weighted((1,) if room < 3 else (1, 2, 3))})
        if name == LEAF:
            return self.leaf(random, names)
        return self.applied(name, random, names, room)

    def applied(self, name: str, random: Random, names: Names, room: int, inner: Node | None = None) -> Node:
        """The operator on `inner`, or on a random expression, with what else it needs; at times beyond its room."""
        operator, room = OPERATORS[name], room - 1
        if operator.reduces:  # a factor that is one for all weights of a tensor
            first = inner or self.weight(random, names, room // 2)
            reduced = apply(name, self.weight(random, names, room // 2 - 2))
            return apply(self._quotient() if random.random() < 0.7 else "*", first, reduced)
        if operator.arity == 1:
            argument = inner or self.weight(random, names, room)
            return apply(name, self.magnitude(argument) if name in ROOTS else argument)
        first = inner or self.weight(random, names, random.randint(1, max(room - 1, 1)))
        left = room - (1 if inner else size(first))
        if name == "where":
            return apply(name, self.condition(random, names), first, self.weight(random, names, left - 5))
        if name == "**":  # of what is never negative, and to a power that keeps the size in hand
            return apply(name, self.magnitude(first), Number(random.choice((0.25, 0.5, 0.75, 1.5, 2.0))))
        if name == "/":
            return apply(name, first, self.divisor(random, names, left - 2))
        pair = (first, self.second(name, random, names, left))
        return apply(name, *(pair if operator.commutes or random.random() < 0.7 else pair[::-1]))

    def condition(self, random: Random, names: Names) -> Node:
        """A comparison of something with 0, or with something else."""
        other = self.weight(random, names, 2) if random.random() < 0.5 else ZERO
        return apply(random.choice(ORDERS), self.weight(random, names, 3), other)

    def second(self, name: str, random: Random, names: Names, room: int) -> Node:
        """The other argument: mostly for each weight, at times one for all."""
        of_one = {"*": 0.45, "+": 0.05, "-": 0.05, "safe_div": 0.0, "minimum": 0.4, "maximum": 0.4}.get(name, 0.1)
        draw = random.random()
        if draw < of_one:
            return self.scalar(random, names, 1)
        if draw > 0.96 and room > 2:
            return self.scalar(random, names, room)
        return self.weight(random, names, room)

    def divisor(self, random: Random, names: Names, room: int) -> Node:
        """A root or a size, and a little more, so that it is never 0."""
        known = self.magnitude(self.weight(random, names, room - 2))
        if self.has("sqrt") and random.random() < 0.7:
            known = apply("sqrt", known)
        return apply("+", known, Number(rounded(log_uniform(random, 1e-8, 1.0))))

    def magnitude(self, node: Node) -> Node:
        """The node itself where it is never negative, else its size or its square: the root of either is a number."""
        if never_negative(node):
            return node
        return apply("abs", node) if self.has("abs") else apply("*", node, node)

    def tensor(self, random: Random, names: Names, room: int) -> Node:
        """One value for a parameter tensor: a reduction, as it is or with a factor; a state that is one already."""
        known = [name for name, kind in names.items() if kind == Kind.TENSOR]
        if known and random.random() < 0.5:
            return Read(random.choice(known))
        reductions = {n: weight for n, weight in self.weighted((1,)).items() if OPERATORS[n].reduces} or {"norm": 1.0}
        reduced = apply(chosen(random, reductions), self.weight(random, names, room - 3))
        return apply("*", constant(random), reduced) if room > 4 and random.random() < 0.3 else reduced

    def scalar(self, random: Random, names: Names, room: int) -> Node:
        """One value for all: nearly always a constant; seldom the clock, tamed by a power or a root."""
        known = [name for name, kind in names.items() if kind == Kind.SCALAR and name != "t"]
        draw = random.random()
        if draw < 0.15 and known:
            return Read(random.choice(known))
        if draw < 0.9 or room < 5 or "t" not in names:
            return constant(random)
        if self.has("**") and random.random() < 0.6:
            return apply("-", Number(1.0), apply("**", decay(random), Read("t")))
        if self.has("/"):
            clock = apply("sqrt", Read("t")) if self.has("sqrt") and random.random() < 0.5 else Read("t")
            return apply("/", Number(1.0), clock)
        return constant(random)

    def leaf(self, random: Random, names: Names) -> Node:
        """A name that is per-weight: the gradient in half of the cases or more, a state, seldom the weight."""
        known = [name for name, kind in names.items() if kind == Kind.WEIGHT and name not in GIVEN]
        draw = random.random()
        if draw < 0.07:
            return Read("w")
        return Read(random.choice(known)) if known and draw < 0.5 else Read("g")

    def _quotient(self) -> str:
        return next((name for name in ("safe_div", "/") if self.has(name)), "*")

    # Whole trees.

    def average(self, state: str, inner: Node, random: Random) -> Equation:
        """An equation by which a state follows an expression: kept*state + share*inner; or it keeps the most of it."""
        kept = decay(random)
        if self.has("maximum") and random.random() < 0.05:
            return Equation(state, apply("maximum", apply("*", kept, Read(state)), inner))
        shares = {
            (kept, Number(complement(kept.value))): 0.5,  # it averages
            (kept, ONE): 0.25,  # accumulates
            (kept, rate(random)): 0.2,
            (ONE, ONE): 0.05,  # adds up
        }
        kept, share = chosen(random, shares)
        return Equation(state, apply("+", apply("*", kept, Read(state)), apply("*", share, inner)))

    def followed(self, random: Random, names: Names) -> Node:
        """What a drawn state follows: mostly the gradient or its square."""
        draw = random.random()
        if draw < 0.5:
            return Read("g")
        if draw < 0.7:
            return apply("square", Read("g")) if self.has("square") else apply("*", Read("g"), Read("g"))
        return self.weight(random, names, random.randint(2, 5))

    def tree(self, random: Random, states: int, room: int) -> Tree:
        """A small rule: some states that follow the gradient, and a step against what they and it come to."""
        equations: list[Equation] = []
        names: dict[str, Kind] = dict(GIVEN)
        for _ in range(states):
            state = fresh(names)
            equations.append(self.average(state, self.followed(random, names), random))
            names[state] = Kind.WEIGHT
        fitting = {name: weight for name, weight in self.weighted().items() if 2 * OPERATORS[name].arity <= room}
        if fitting and random.random() < (0.6 if states else 0.9):  # gradient descent itself is drawn often enough
            step = self.applied(chosen(random, fitting), random, names, room)
        else:
            step = self.weight(random, names, room)
        return tidy(Tree((*equations, Equation("w", apply("-", Read("w"), apply("*", rate(random), step))))))
