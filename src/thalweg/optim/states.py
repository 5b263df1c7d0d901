"""The states of a parameter: how they begin, and what a loaded state dict must hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from thalweg.optim import shards
from thalweg.optim.hyperparameters import check_rounding
from thalweg.optim.rounding import COMPENSATION, EXTRA, EXTRA_STATES, LOW_PRECISION, SEED
from thalweg.optim.steps import DTYPES, compute_dtype
from thalweg.rules import Rule, plain
from thalweg.rules.arithmetic import _normal, _stream
from thalweg.rules.program import Kind

Group = Mapping[str, Any]


def as_real(tensor: torch.Tensor) -> torch.Tensor:
    """A complex tensor as pairs of reals, in the same memory unless its conjugation was put off."""
    return torch.view_as_real(tensor.resolve_conj()) if tensor.is_complex() else tensor


def state_like(p: torch.Tensor) -> torch.Tensor:
    """Zeros laid out as the states of a parameter are, and split over processes as it is."""
    real = as_real(p.detach())
    return torch.zeros_like(real, dtype=compute_dtype(real.dtype), memory_format=torch.preserve_format)


def check_parameter(p: torch.Tensor) -> None:
    """Raises ValueError on a parameter that no step can change."""
    if as_real(p.detach()).dtype not in DTYPES:
        raise ValueError(
            f"a parameter must be of float64, float32, bfloat16 or float16 (or complex), got {p.dtype}; keep weights "
            "in one of these and cast them where they are used"
        )
    if p.is_conj():
        raise ValueError(f"a parameter's conjugation must not be put off, got {p!r:.80}; call resolve_conj() first")


def first_states(rule: Rule, p: torch.Tensor, group: Group, seed: int, index: int) -> dict[str, Any]:
    """The states that a parameter begins with, in the order of a state dict; `index` is its place in the optimizer.

    Random ones are drawn from a stream of the place's own, for the whole parameter on every process, so that neither
    the order of joining nor how parameters are split changes anybody's.
    """
    like = state_like(p)
    w = shards.local(like).clone().copy_(shards.local(as_real(p.detach())))
    initial = plain.initial(rule) if not shards.is_split(p) else _split_initial(rule, p)
    values = initial(w, _stream(seed, index), **rule.scalars(group))
    states: dict[str, Any] = {"step": 0}
    for name, value in zip(rule.states, values, strict=True):
        kind = rule.program.kinds[name]
        if kind == Kind.SCALAR:
            states[name] = float(value)
        elif kind == Kind.TENSOR:
            states[name] = w.new_zeros(()).copy_(torch.as_tensor(value, dtype=w.dtype))
        else:
            states[name] = torch.zeros_like(like)
            shards.local(states[name]).copy_(torch.as_tensor(value, dtype=w.dtype))
    return states


def is_rounded(p: torch.Tensor) -> bool:
    """Whether a parameter is of half precision, its real and imaginary parts if it is complex."""
    return as_real(p.detach()).dtype in LOW_PRECISION


def extra_states(p: torch.Tensor, rounding: str, seed: int, index: int) -> dict[str, Any]:
    """What rounding keeps beside the rule's states."""
    if not is_rounded(p):
        return {}
    if rounding == "kahan":
        # bfloat16 for float16 too, whose smallest numbers are too large for what its rounding leaves over.
        return {COMPENSATION: torch.zeros_like(state_like(p), dtype=torch.bfloat16)}
    return {SEED: _stream(seed, index).initial_seed()} if rounding == "stochastic" else {}


def rounding_kept(p: torch.Tensor, state: Mapping[str, Any], rounding: str) -> bool:
    """Whether the state holds what this rounding needs, and nothing that another one does."""
    check_rounding(rounding)
    needed = EXTRA_STATES[rounding] if is_rounded(p) else ()
    return all((name in state) == (name in needed) for name in EXTRA)


def _split_initial(rule: Rule, p: torch.Tensor) -> Any:
    """The first values of this process's part: a draw is made for the whole parameter, and this part taken of it."""

    def normal(mean: float, std: float, like: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        whole = torch.empty(p.shape, dtype=like.dtype, device="meta")
        drawn = _normal(mean, std, torch.empty_like(whole, device=like.device), generator)
        return shards.part_of(drawn, p)

    return plain.compiled(plain.init_source(rule), "initial", {**plain.namespace(), "_normal": normal})


# Loading


_OF_SCHEDULERS = ("initial_", "base_", "max_", "min_")  # how the keys begin that torch's schedulers put into groups


def check_loaded(rule: Rule, groups: list[dict[str, Any]], loaded: Mapping[str, Any]) -> None:
    """Refuses the states of another rule, of other shapes, or of other processes, before anything is changed."""
    ids = [i for group in loaded["param_groups"] for i in group["params"]]
    parameters = [p for group in groups for p in group["params"]]
    expected = {"step", *rule.states}
    for i, p in zip(ids, parameters, strict=False):
        state = loaded["state"].get(i)
        if state is None:
            continue
        if set(state) - set(EXTRA) != expected:  # what rounding keeps is made anew where it is missing
            found, needed = ", ".join(sorted(state)), ", ".join(sorted(expected))
            raise ValueError(f"the state dict holds {found}; {rule.name} needs {needed}")
        if not isinstance(state["step"], int):
            raise ValueError(
                f"the state dict has the step {state['step']!r} for parameter {i}; it must be a whole number"
            )
        for name in set(state) - {"step", SEED}:
            _check_placed(name, state[name], p, i, rule.program.kinds.get(name, Kind.WEIGHT))
    # Rules may have states of the same names; one hyperparameter more, or one less, is another version of one rule.
    for saved, group in zip(loaded["param_groups"], groups, strict=False):
        missing = [key for key in rule.hyperparameters if key not in saved]
        foreign = [key for key in saved if key not in group and not key.startswith(_OF_SCHEDULERS)]
        if missing and foreign:
            raise ValueError(
                f"the state dict has the hyperparameter {foreign[0]!r} and no {missing[0]!r}; {rule.name} needs "
                f"{', '.join(rule.hyperparameters)}"
            )


def _check_placed(name: str, value: Any, p: torch.Tensor, i: int, kind: Kind) -> None:
    if kind == Kind.SCALAR:
        return
    shape = state_shape(p) if kind == Kind.WEIGHT else torch.Size([])
    if value.shape != shape:
        raise ValueError(
            f"the state dict has {name!r} of shape {tuple(value.shape)} for parameter {i}, needed: {tuple(shape)}"
        )
    if kind == Kind.WEIGHT and shards.is_split(value) != shards.is_split(p):
        held = "split over processes" if shards.is_split(value) else "whole"
        raise ValueError(
            f"the state dict has {name!r} of parameter {i} {held}, and the parameter is not; "
            "torch.distributed.checkpoint.state_dict converts between the two"
        )
    if shards.is_split(value) and shards.layout(value) != shards.layout(p):
        raise ValueError(
            f"the state dict has {name!r} of parameter {i} split as {shards.layout(value)}, and the parameter is split "
            f"as {shards.layout(p)}; save and load through torch.distributed.checkpoint, which moves the parts"
        )


def state_shape(p: torch.Tensor) -> torch.Size:
    return torch.Size((*p.shape, 2)) if p.is_complex() else p.shape


def restored(value: torch.Tensor, p: torch.Tensor) -> torch.Tensor:
    """A loaded state in the dtype it was saved in, laid out as the parameter is."""
    layout = state_like(p) if value.dim() else value
    fresh = torch.empty_like(layout, dtype=value.dtype, device=p.device)
    return fresh.copy_(value)
