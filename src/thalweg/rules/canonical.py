"""The canonical form: equal for rules that differ in names, in the order of sums and products, or in dead code alone.

Values are numbered, so that what is shared is worked out once however the text says it. A sum becomes a table of
coefficients, a product a table of exponents: both commute, and x + x is 2*x. What could change a NaN or an infinity
(0*x, x - x, x/x) is left alone. Association is not kept, so the form equals the rule to rounding.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

from thalweg.rules import plain
from thalweg.rules.operators import OPERATORS, Operator
from thalweg.rules.program import COUPLED, DECOUPLED, Kinds, Node, Number, Read, kind_of
from thalweg.rules.rule import Rule

SUM, PRODUCT, NUMBER = "sum", "product", "number"
TRIED = 8  # of states that are alike


def canonical(rule: Rule) -> str:
    """See `Rule.canonical`."""
    graph = _Graph(rule)
    order = graph.order(graph.live_states(rule))
    named = {state: f"s{i}" for i, state in enumerate(order, start=1)}
    return _Text(graph, named, graph.keys(named)).written(rule)


@dataclass(frozen=True)
class _Value:
    """A sum (`number` + coefficient * part ...), a product (part ** exponent ...), a number, a leaf, or an operator.

    `parts` pairs the indices of earlier values with their coefficients, exponents, or, of an operator, zeros. The
    `number` of a random draw counts those before it: no two draws are one.
    """

    what: str
    number: float = 0.0
    parts: tuple[tuple[int, float], ...] = ()


class _Graph:
    """The values of a rule, each once, later ones made of earlier ones."""

    def __init__(self, rule: Rule) -> None:
        self.values: list[_Value] = []
        self.index: dict[str, int] = {}
        self.draws = 0
        self._needed: list[int] | None = None
        self.leaves = {name: self.add(_Value(name)) for name in ("w", "g", "t", *rule.states)}
        self.names = {name: self.number(value) for name, value in rule.scalars(rule.hyperparameters).items()}
        self.names |= self.leaves
        self.first = {state: self.begun(rule, state) for state in rule.states}
        decay = {"coupled": COUPLED, "decoupled": DECOUPLED}[rule.decay]
        flags = [decay] if rule.hyperparameters["weight_decay"] != 0 else []
        for equation, kinds in rule.program.specialised(flags).with_kinds():
            self.names[equation.name] = self.of(equation.value, kinds)

    def begun(self, rule: Rule, state: str) -> int:
        """What a state begins as."""
        self.draws = 0
        return self.of(rule.initial.get(state, Number(0.0)), rule.program.kinds)

    def add(self, value: _Value) -> int:
        key = repr(value)  # tells 0 and -0 apart, and no NaN from another
        if key not in self.index:
            self.index[key] = len(self.values)
            self.values.append(value)
        return self.index[key]

    def number(self, value: float) -> int:
        return self.add(_Value(NUMBER, value))

    def of(self, node: Node, kinds: Kinds) -> int:
        """The value of an expression, where the names stand at present."""
        if isinstance(node, Number):
            return self.number(node.value)
        if isinstance(node, Read):
            return self.names[node.name]
        name, arguments = node.operator.name, [self.of(argument, kinds) for argument in node.arguments]
        numbers = [self.values[a].number for a in arguments if self.values[a].what == NUMBER]
        if len(numbers) == len(arguments) and not node.operator.draws:
            return self.number(float(_on_floats(node.operator)(*numbers)))
        if name == "where" and self.values[arguments[0]].what == NUMBER:
            chosen = 1 if numbers[0] else 2
            if kind_of(node.arguments[chosen], kinds) == kind_of(node, kinds):
                return arguments[chosen]
            zero = self.number(0.0)  # the other branch still makes a tensor of it
            arguments[0] = self.add(_Value("==" if chosen == 1 else "!=", 0.0, ((zero, 0.0), (zero, 0.0))))
        if node.operator.draws:
            self.draws += 1
            return self.add(_Value(name, float(self.draws), tuple((a, 0.0) for a in arguments)))
        if name in ("+", "-", "negative"):
            signs = {"+": (1.0, 1.0), "-": (1.0, -1.0), "negative": (-1.0,)}[name]
            return self.sum(zip(arguments, signs, strict=True))
        if name == "*":
            return self.product((a, 1.0) for a in arguments)
        if name == "square":
            return self.product([(arguments[0], 2.0)])
        exponent = self.values[arguments[-1]]
        if name == "**" and exponent.what == NUMBER and exponent.number >= 1 and exponent.number.is_integer():
            return self.product([(arguments[0], exponent.number)])
        if node.operator.commutes:
            arguments.sort()
        return self.add(_Value(name, 0.0, tuple((a, 0.0) for a in arguments)))

    def sum(self, terms: Iterable[tuple[int, float]]) -> int:
        constant, table = 0.0, dict[int, float]()
        for index, factor in terms:
            value = self.values[index]
            if value.what == NUMBER:
                constant += factor * value.number
            elif value.what == SUM:
                constant += factor * value.number
                for part, coefficient in value.parts:
                    table[part] = table.get(part, -0.0) + factor * coefficient
            else:
                table[index] = table.get(index, -0.0) + factor
        if not table:
            return self.number(constant)
        if constant == 0 and list(table.values()) == [1.0]:
            return next(iter(table))
        return self.add(_Value(SUM, constant + 0.0, tuple(sorted(table.items()))))

    def product(self, factors: Iterable[tuple[int, float]]) -> int:
        coefficient, table = 1.0, dict[int, float]()
        for index, exponent in factors:
            value = self.values[index]
            if value.what == SUM and value.number == 0 and len(value.parts) == 1:  # a coefficient goes to the front
                index, scale = value.parts[0]
                coefficient *= _power(scale, exponent)
                value = self.values[index]
            if value.what == NUMBER:
                coefficient *= _power(value.number, exponent)
            elif value.what == PRODUCT:
                for part, inner in value.parts:
                    table[part] = table.get(part, 0.0) + exponent * inner
            else:
                table[index] = table.get(index, 0.0) + exponent
        if list(table.values()) == [1.0]:
            return self.sum([(next(iter(table)), coefficient)])
        return self.sum([(self.add(_Value(PRODUCT, 1.0, tuple(sorted(table.items())))), coefficient)])

    def live_states(self, rule: Rule) -> list[str]:
        """The states that the weight follows from, in this step or a later one."""
        live: set[str] = set()
        names = ["w"]
        while names:
            reached = self.below(self.names[names.pop()])
            new = [s for s in rule.states if self.leaves[s] in reached and s not in live]
            live.update(new)
            names += new
        return [state for state in rule.states if state in live]

    def below(self, root: int) -> set[int]:
        """The value and all that it is made of."""
        seen, waiting = {root}, [root]
        while waiting:
            parts = {part for part, _ in self.values[waiting.pop()].parts} - seen
            seen |= parts
            waiting += parts
        return seen

    def order(self, states: list[str]) -> list[str]:
        """The states in an order that does not depend on their names: by colour, ties broken one after another.

        Of states alike, each is marked in turn, and the one stays marked whose mark gives the smallest colours. States
        that play one part give the same; where more than a few are alike, only a few are tried.
        """
        beginnings = self.keys(dict.fromkeys(states, ""))
        colours = self.refined({state: beginnings[self.first[state]] for state in states})
        while len(set(colours.values())) < len(states):
            counts = Counter(colours.values())
            tied = min(colour for colour, count in counts.items() if count > 1)
            alike = [state for state in states if colours[state] == tied][:TRIED]
            marked = [self.refined({**colours, state: _hash("marked", tied)}) for state in alike]
            colours = min(marked, key=lambda trial: sorted(trial.values()))
        return sorted(states, key=lambda state: colours[state])

    def refined(self, colours: dict[str, str]) -> dict[str, str]:
        """A hash for each state by its colour and how it is updated, whatever it is called."""
        states = list(colours)
        distinct = 0
        while len(set(colours.values())) > distinct:  # each round tells apart states that differ one step further on
            distinct = len(set(colours.values()))
            keys = self.keys(colours)
            colours = {state: _hash(colours[state], keys[self.names[state]]) for state in states}
        return colours

    def keys(self, colours: dict[str, str]) -> list[str]:
        """A hash for each value by its structure, given those of the states."""
        leaves = {self.leaves[state]: colour for state, colour in colours.items()}
        keys = [""] * len(self.values)
        for index in self.needed(tuple(colours)):
            value = self.values[index]
            parts = [f"{keys[part]}:{factor!r}" for part, factor in value.parts]
            if value.what in (SUM, PRODUCT) or (value.what in OPERATORS and OPERATORS[value.what].commutes):
                parts.sort()
            keys[index] = _hash("state", leaves[index]) if index in leaves else _hash(value.what, value.number, *parts)
        return keys

    def needed(self, states: tuple[str, ...]) -> list[int]:
        """The values that the weight, these states, and what they begin as are made of, earlier ones first."""
        if self._needed is None:
            roots = [*(self.names[name] for name in ("w", *states)), *(self.first[state] for state in states)]
            self._needed = sorted(set().union(*map(self.below, roots)))
        return self._needed


class _Text:
    """Writes the values that the outputs follow from, one a line, in an order that depends on their structure alone."""

    def __init__(self, graph: _Graph, states: dict[str, str], keys: list[str]) -> None:
        self.graph, self.states = graph, states
        self.order = keys
        self.heights: list[int] = []
        for value in graph.values:
            self.heights.append(1 + max((self.heights[part] for part, _ in value.parts), default=-1))
        self.texts = {graph.leaves[name]: name for name in ("w", "g", "t")}
        self.texts |= {graph.leaves[state]: short for state, short in states.items()}

    def written(self, rule: Rule) -> str:
        graph = self.graph
        needed: set[int] = set().union(*(graph.below(graph.names[name]) for name in ("w", *self.states)))
        lines = []
        for state, short in self.states.items():
            if graph.values[graph.first[state]] != _Value(NUMBER, 0.0):
                lines.append(f"# {short} begins as {self.inline(graph.first[state])}")
        if graph.leaves["t"] in needed:
            lines.append(f"# t begins at {rule.first_step}")
        for index in sorted(needed, key=lambda i: (self.heights[i], self.order[i])):
            value = graph.values[index]
            if value.what == NUMBER or (value.what in OPERATORS and OPERATORS[value.what].compares):
                self.texts[index] = self.expression(value)
            elif index not in self.texts:
                text = self.expression(value)
                self.texts[index] = f"c{sum(line.startswith('c') for line in lines) + 1}"
                lines.append(f"{self.texts[index]} = {text}")
        return "\n".join([*lines, *self.assignments()])

    def assignments(self) -> list[str]:
        """The new states, then the new weight; what takes over a state's old value reads it first."""
        first, last = [], []
        leaves = {self.graph.leaves[state] for state in self.states}
        for name, short in (*self.states.items(), ("w", "w")):
            root = self.graph.names[name]
            text = self.texts[root]
            if root in leaves:
                first.append(f"{short}_next = {text}")
                text = f"{short}_next"
            last.append(f"{short} = {text}")
        return [*first, *last]

    def expression(self, value: _Value) -> str:
        parts = sorted(value.parts, key=lambda part: (self.draw(part[0]), self.order[part[0]]))
        if value.what == NUMBER:
            return _number(value.number)
        if value.what == SUM:
            terms = [self.term(part, coefficient) for part, coefficient in parts]
            return " + ".join(terms + [_number(value.number)] * (value.number != 0))
        if value.what == PRODUCT:
            return "*".join(self.texts[part] + f"**{_number(e)}" * (e != 1) for part, e in parts)
        operator = OPERATORS[value.what]
        arguments = parts if operator.commutes else value.parts
        if operator.name.isidentifier():
            return f"{operator.name}({', '.join(self.texts[part] for part, _ in arguments)})"
        return f" {operator.name} ".join(self.texts[part] for part, _ in arguments)

    def draw(self, index: int) -> float:
        """Which random draw a value is; they keep their order."""
        value = self.graph.values[index]
        return value.number if value.what in OPERATORS and OPERATORS[value.what].draws else math.inf

    def term(self, part: int, coefficient: float) -> str:
        return self.texts[part] if coefficient == 1 else f"{_number(coefficient)}*{self.texts[part]}"

    def inline(self, index: int) -> str:
        """An initial value in one expression; it is small."""
        value = self.graph.values[index]
        for part, _ in value.parts:
            if part not in self.texts:
                self.texts[part] = f"({self.inline(part)})"
        text = self.expression(value) if index not in self.texts else self.texts[index]
        for part, _ in value.parts:
            if self.texts[part].startswith("("):
                del self.texts[part]
        return text


@cache
def _on_floats(operator: Operator) -> Any:
    """The operator as a function of floats, from its column of the table."""
    names = [f"a{i}" for i in range(operator.arity)]
    source = f"def fold({', '.join(names)}):\n    return {operator.scalar.template.format(*names)}\n"
    return plain.compiled(source, "fold", plain.namespace())


def _power(base: float, exponent: float) -> float:
    return float(_on_floats(OPERATORS["**"])(base, exponent))


def _number(value: float) -> str:
    if value != value:
        return "(0/0)"
    text = "1e999" if math.isinf(value) else repr(abs(value))
    return f"(-{text})" if math.copysign(1.0, value) < 0 else text


def _hash(*parts: object) -> str:
    return hashlib.sha256("|".join(map(str, parts)).encode()).hexdigest()[:16]
