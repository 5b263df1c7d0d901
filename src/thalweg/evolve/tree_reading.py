"""From a rule to a tree: hyperparameters become numbers, decay becomes part of the equations."""

from __future__ import annotations

import math
from dataclasses import replace

from thalweg.evolve.tree_form import ZERO, Tree, reads, renamed, tidied, tidy
from thalweg.rules import Rule
from thalweg.rules.program import COUPLED, DECOUPLED, Apply, Equation, Node, Number, Read, walk


def tree_of(rule: Rule) -> Tree:
    """The tree of a rule at its default hyperparameters; it does what the rule does, to rounding."""
    numbers: dict[str, Node] = {name: Number(value) for name, value in rule.scalars(rule.hyperparameters).items()}
    flag = {"coupled": COUPLED, "decoupled": DECOUPLED}[rule.decay]
    decays = rule.hyperparameters["weight_decay"] != 0
    equations = [
        replace(equation, value=_of_numbers(renamed(equation.value, numbers)))
        for equation in rule.program.specialised([flag] if decays else []).equations
    ]
    if decays:
        equations = _with_decay(equations[0], equations[1:])
    init = [(name, tidied(renamed(rule.initial[name], numbers))) for name in rule.states if name in rule.initial]
    return tidy(Tree(tuple(equations), tuple(init), rule.first_step))


def _with_decay(decayed: Equation, own: list[Equation]) -> list[Equation]:
    """The rule's own equations reading a decayed w or g, which is written out where it is read but once."""
    value, until = decayed.value, next((i + 1 for i, e in enumerate(own) if e.name == decayed.name), len(own))
    before = []
    if sum(name == decayed.name for equation in own[:until] for name in reads(equation.value)) > 1:
        taken = {name for equation in own for name in (equation.name, *reads(equation.value))}
        name = next(f"decayed{'_' * i}" for i in range(len(own) + 1) if f"decayed{'_' * i}" not in taken)
        before, value = [Equation(name, value)], Read(name)
    reading = {decayed.name: value}
    return [*before, *(replace(e, value=renamed(e.value, reading)) for e in own[:until]), *own[until:]]


def _of_numbers(node: Node) -> Node:
    """The node tidied, and without 0 times a sum of the clock and numbers: that is 0, for they are finite."""
    if isinstance(node, Apply):
        node = tidied(Apply(node.operator, tuple(map(_of_numbers, node.arguments))))
    if isinstance(node, Apply) and node.operator.name == "*" and ZERO in node.arguments:
        other = node.arguments[0 if node.arguments[1] == ZERO else 1]
        return ZERO if all(map(_finite, walk(other))) else node
    return node


def _finite(part: Node) -> bool:
    if isinstance(part, Number):
        return math.isfinite(part.value)
    return part == Read("t") if isinstance(part, Read) else part.operator.name in ("+", "-")
