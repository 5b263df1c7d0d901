"""The scalars of a step, worked out in Python floats before any loop over weights runs."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from thalweg.rules.lowering import Lowered, lower
from thalweg.rules.plain import compiled, namespace, scalar_names, torch_text
from thalweg.rules.rule import Rule

Scalars = Callable[..., tuple[tuple[float, ...], tuple[float, ...]]]


@lru_cache(maxsize=1024)
def lowered(rule: Rule, flags: frozenset[str]) -> Lowered:
    """The rule's program under the driver's flags, lowered once."""
    return lower(rule.program, flags)


@lru_cache(maxsize=1024)
def scalars(rule: Rule, flags: frozenset[str]) -> Scalars:
    """`scalars(t, *hyperparameters, *scalar states)`: what the loops read, in the order of `Lowered.scalars`, and the
    new scalar states."""
    program = lowered(rule, flags)
    after = [program.final[state] for state in rule.program.scalar_states]
    arguments = ", ".join(["t", *scalar_names(rule), *rule.program.scalar_states])
    lines = [f"def scalars({arguments}):"]
    for equation in program.needed([*program.scalars, *after]):
        lines.append(f"    {equation.name} = {torch_text(equation.value, program.kinds)}")
    values, states = (f"({''.join(f'{name}, ' for name in names)})" for names in (program.scalars, after))
    lines.append(f"    return {values}, {states}")
    return compiled("\n".join(lines) + "\n", "scalars", namespace())
