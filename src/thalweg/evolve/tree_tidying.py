"""Trees kept tidy: numbers are worked out, what does nothing is dropped, and no equation is dead."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

from thalweg.evolve.tree_form import Tree, renamed
from thalweg.rules import plain
from thalweg.rules.operators import NEGATIVE, Operator
from thalweg.rules.program import Apply, Equation, Node, Number, Read, apply, names_read

ZERO, ONE = Number(0.0), Number(1.0)
DIGITS = 12  # of a constant that is worked out from others: what rounding adds beyond would only be read as meant


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
