"""The scalars of a step, worked out in Python floats before any loop over weights runs."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from thalweg.rules.lowering import Lowered, lower
from thalweg.rules.plain import compiled, namespace, scalar_names, torch_text
from thalweg.rules.program import Equation
from thalweg.rules.rule import Rule

Scalars = Callable[..., tuple[tuple[float, ...], tuple[float, ...]]]


@lru_cache(maxsize=1024)
def lowered(rule: Rule, flags: frozenset[str]) -> Lowered:
    """The rule's program under the driver's flags, lowered once."""
    return lower(rule.program, flags)


def worked_out(rule: Rule, program: Lowered) -> tuple[list[Equation], list[str]]:
    """The equations of the scalars that loops read and of the new scalar states, and the names of the latter."""
    after = [program.final[state] for state in rule.program.scalar_states]
    return program.needed([*program.scalars, *after]), after


@lru_cache(maxsize=1024)
def scalars(rule: Rule, flags: frozenset[str]) -> Scalars:
    """`scalars(t, *hyperparameters, *scalar states)`: what the loops read, in the order of `Lowered.scalars`, and the
    new scalar states."""
    program = lowered(rule, flags)
    equations, after = worked_out(rule, program)
    arguments = ", ".join(["t", *scalar_names(rule), *rule.program.scalar_states])
    lines = [f"def scalars({arguments}):"]
    for equation in equations:
        lines.append(f"    {equation.name} = {torch_text(equation.value, program.kinds)}")
    values, states = (f"({''.join(f'{name}, ' for name in names)})" for names in (program.scalars, after))
    lines.append(f"    return {values}, {states}")
    return compiled("\n".join(lines) + "\n", "scalars", namespace())
