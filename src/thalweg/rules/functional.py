"""The step as pure functions of tensors, scalars among them: what `torch.func` can run for many networks at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch

from thalweg.rules import scalars
from thalweg.rules.lowering import Lowered
from thalweg.rules.plain import compiled, namespace, scalar_names, torch_text
from thalweg.rules.program import Equation, Kind, Read, kind_of
from thalweg.rules.rule import Rule


@dataclass(frozen=True)
class PureStep:
    """`scalars(t, *hyperparameters, *scalar states)`, all float64 tensors without dimensions, gives the values that a
    step reads and the new scalar states. `step(w, g, *tensor states, *values)` gives the new w and tensor states."""

    scalars: Callable[..., tuple[tuple[torch.Tensor, ...], tuple[torch.Tensor, ...]]]
    step: Callable[..., tuple[torch.Tensor, ...]]


@lru_cache(maxsize=1024)
def pure_step(rule: Rule, flags: frozenset[str]) -> PureStep:
    """The pure step of a rule under the driver's flags."""
    lowered = scalars.lowered(rule, flags)
    # To torch a scalar is a tensor without dimensions now, as a per-tensor value is; what follows from the numbers of
    # the text alone is a number still.
    kinds = {name: max(kind, Kind.TENSOR) for name, kind in lowered.kinds.items()}
    for equation in lowered.equations:
        if lowered.kinds[equation.name] == Kind.SCALAR:
            kinds[equation.name] = kind_of(equation.value, kinds)
    names = {**namespace(), "_lift": _lift, "_cast": _cast}
    return PureStep(
        compiled(_scalar_source(rule, lowered, kinds), "scalars", dict(names)),
        compiled(_step_source(rule, lowered, kinds), "step", dict(names)),
    )


def _scalar_source(rule: Rule, lowered: Lowered, kinds: dict[str, Kind]) -> str:
    equations, after = scalars.worked_out(rule, lowered)
    lines = [f"def scalars({', '.join(['t', *scalar_names(rule), *rule.program.scalar_states])}):", "    w = t"]
    lines += [_line(equation, kinds) for equation in equations]
    values, states = (f"({''.join(f'{name}, ' for name in names)})" for names in (lowered.scalars, after))
    return "\n".join([*lines, f"    return {values}, {states}"]) + "\n"


def _step_source(rule: Rule, lowered: Lowered, kinds: dict[str, Kind]) -> str:
    columns = ("w", "g", *rule.program.tensor_states)
    final = [lowered.final[column] for column in columns if column != "g"]
    lines = [f"def step({', '.join([*columns, *lowered.scalars])}):"]
    lines += [f"    {name} = _cast({name}, w)" for name in lowered.scalars]
    for equation in lowered.of_tensors(final):
        copied = equation.name in final and isinstance(equation.value, Read)  # a new state is no one's old tensor
        lines.append(_line(equation, kinds) + ".clone()" * copied)
    return "\n".join([*lines, f"    return {', '.join(final)},"]) + "\n"


def _line(equation: Equation, kinds: dict[str, Kind]) -> str:
    return f"    {equation.name} = {torch_text(equation.value, kinds)}"


def _lift(scalar: Any, like: torch.Tensor) -> torch.Tensor:
    return torch.as_tensor(scalar, dtype=torch.bool if isinstance(scalar, bool) else like.dtype, device=like.device)


def _cast(scalar: Any, like: torch.Tensor) -> Any:
    """A scalar in the dtype of the weights; a condition stays one, and a number of the text is one."""
    if not isinstance(scalar, torch.Tensor) or scalar.dtype == torch.bool:
        return scalar
    return scalar.to(like.dtype)
