"""The plain step: torch operations one by one, the truth that every other step is tested against."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch

from thalweg.rules.arithmetic import NAMES
from thalweg.rules.operators import COMPARISON, Form
from thalweg.rules.program import (
    COUPLED,
    DECOUPLED,
    MAXIMIZE,
    Apply,
    Equation,
    Kind,
    Kinds,
    Node,
    Number,
    Read,
    kind_of,
    write,
)
from thalweg.rules.rule import Rule

_CONDITION = {
    MAXIMIZE: "maximize",
    COUPLED: 'weight_decay != 0 and decay == "coupled"',
    DECOUPLED: 'weight_decay != 0 and decay == "decoupled"',
}


def torch_text(node: Node, kinds: Kinds) -> str:
    """An expression as Python source: on torch tensors where one is in it, on floats otherwise."""

    def form_of(node: Apply) -> Form:
        if kind_of(node, kinds) == Kind.SCALAR:
            return node.operator.scalar
        form = node.operator.torch
        slots, needs = [f"{{{i}}}" for i in range(node.operator.arity)], list(form.needs)
        for i in node.operator.lifts:
            if kind_of(node.arguments[i], kinds) == Kind.SCALAR:
                slots[i], needs[i] = f"_lift({{{i}}}, w)", COMPARISON
        return Form(form.template.format(*slots), form.binds, tuple(needs))

    return write(node, form_of, _leaf)


def _leaf(node: Number | Read) -> str:
    if isinstance(node, Read):
        return node.name
    return repr(node.value) if math.isfinite(node.value) else f"math.{node.value!r}".replace("math.-", "-math.")


def scalar_names(rule: Rule) -> list[str]:
    """The scalars that a step is given beside t, in order."""
    return [*rule.scalars(rule.hyperparameters)]


def step_source(rule: Rule) -> str:
    """`step(w, g, *states, t, *hyperparameters, maximize, decay)`, which returns the new w and states."""
    arguments = ", ".join(["w", "g", *rule.states, "t", *scalar_names(rule), "maximize", "decay"])
    lines = [f"def step({arguments}):"]
    for equation, kinds in rule.program.with_kinds():
        kept = equation.name in rule.program.outputs
        lines += _equation_lines(equation, kinds, rule.program.assigned_kind(equation, kinds), kept)
    lines.append(f"    return {', '.join(rule.program.outputs)},")
    return "\n".join(lines) + "\n"


def _equation_lines(equation: Equation, kinds: Kinds, kind: Kind, kept: bool) -> list[str]:
    value = torch_text(equation.value, kinds)
    if kept and isinstance(equation.value, Read) and kind_of(equation.value, kinds) > Kind.SCALAR:
        value += ".clone()"  # outputs are written one after another: none may be another's memory
    if kind > kind_of(equation.value, kinds):  # a state takes on a value of a smaller kind than its own
        value = f"_spread({value}, w)" if kind == Kind.WEIGHT else f"_lift({value}, w)"
    assignment = f"{equation.name} = {value}"
    if not equation.when:
        return [f"    {assignment}"]
    return [f"    if {_CONDITION[equation.when]}:", f"        {assignment}"]


def init_source(rule: Rule) -> str:
    """`initial(w, generator, *hyperparameters)`, which returns the states' first values; 0.0 where none is given."""
    arguments = ", ".join(["w", "generator", *scalar_names(rule)])
    kinds = dict(rule.program.kinds)
    values = [torch_text(rule.initial[s], kinds) if s in rule.initial else "0.0" for s in rule.states]
    returned = f"{', '.join(values)}," if values else "()"
    return f"def initial({arguments}):\n    return {returned}\n"


def namespace() -> dict[str, Any]:
    """What the generated sources call."""
    return {"torch": torch, "math": math, **NAMES}


def compiled(source: str, name: str, names: dict[str, Any]) -> Callable[..., Any]:
    """The function that a generated source defines. The source is ours: table text, and names that were checked."""
    exec(compile(source, f"<thalweg {name}>", "exec"), names)
    function: Callable[..., Any] = names[name]
    return function


@lru_cache(maxsize=1024)
def step(rule: Rule) -> Callable[..., tuple[Any, ...]]:
    """The compiled `step_source`."""
    return compiled(step_source(rule), "step", namespace())


@lru_cache(maxsize=1024)
def initial(rule: Rule) -> Callable[..., tuple[Any, ...]]:
    """The compiled `init_source`."""
    return compiled(init_source(rule), "initial", namespace())
