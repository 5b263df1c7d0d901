"""The steps that a bucket of parameters can take, and which of them a parameter is fit for.

Native is the default on a CPU; blocks and plain go through torch operations and can be had everywhere. All give the
same numbers, to rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch

from thalweg.rules import Rule, plain
from thalweg.rules.program import COUPLED, DECOUPLED, MAXIMIZE

BACKENDS = ("native", "blocks", "plain")
BLOCK = 32 * 1024  # elements: what a block reads and its temporaries stay in a core's cache

NATIVE_DTYPES = (torch.float32, torch.float64)
LOW_PRECISION = (torch.bfloat16, torch.float16)


@dataclass(slots=True)
class Member:
    """A parameter that takes part in a step: weight and gradient as real tensors, and the states that are tensors."""

    w: torch.Tensor
    g: torch.Tensor
    states: tuple[torch.Tensor, ...]


@dataclass(frozen=True)
class Settings:
    """What the members of a bucket have in common: hyperparameters, the driver's options, and the clock."""

    scalars: dict[str, float]
    maximize: bool
    decay: str
    t: float
    scalar_states: tuple[float, ...]

    def flags(self) -> frozenset[str]:
        """The driver's equations that are in force."""
        decay = {"coupled": COUPLED, "decoupled": DECOUPLED}[self.decay]
        return frozenset([MAXIMIZE] * self.maximize + [decay] * (self.scalars["weight_decay"] != 0))


def compute_dtype(dtype: torch.dtype) -> torch.dtype:
    """The dtype that states are kept in and steps computed in: float32 for half precision, else the weights' own."""
    return torch.float32 if dtype in LOW_PRECISION else dtype


def is_dense(tensor: torch.Tensor) -> bool:
    """Whether the elements fill one stretch of memory, each once, in whatever order of dimensions."""
    if tensor.is_contiguous():
        return True
    expected = 1
    for stride, size in sorted(zip(tensor.stride(), tensor.shape, strict=True)):
        if size != 1 and stride != expected:
            return False
        expected *= size
    return True


def unfit_for_blocks(rule: Rule, member: Member) -> str:
    """Why a parameter cannot be stepped in blocks; "" if it can."""
    if not rule.program.elementwise:
        return f"{rule.name} reduces over whole tensors"
    if member.w.layout != torch.strided or not is_dense(member.w):
        return "the parameter is not dense in memory"
    if any(other.stride() != member.w.stride() for other in (member.g, *member.states)):
        return "gradient or state has other strides than the parameter"
    return ""


def unfit_for_native(member: Member) -> str:
    """Why a parameter cannot take the native step; "" if it can."""
    w = member.w
    if w.device.type != "cpu":
        return f"the parameter is on {w.device}"
    if type(w) not in (torch.Tensor, torch.nn.Parameter) or type(member.g) is not torch.Tensor:
        return f"the parameter is a {type(w).__name__}, its gradient a {type(member.g).__name__}"
    if w.dtype not in NATIVE_DTYPES or w.is_neg():
        return f"the parameter is {w.dtype}" + " with its sign put off" * w.is_neg()
    if w.layout != torch.strided or not is_dense(w):
        return "the parameter is not dense in memory"
    for other in (member.g, *member.states):
        if other.dtype != w.dtype or other.device != w.device or other.is_neg():
            return f"gradient or state is {other.dtype} on {other.device}"
        if other.dim() and other.stride() != w.stride():  # a per-tensor state has no dimensions
            return "gradient or state has other strides than the parameter"
    return ""


def plain_step(rule: Rule, members: list[Member], settings: Settings) -> tuple[float, ...]:
    """Steps each member by torch operations one by one; returns the new scalar states."""
    step = _bound(rule, settings)
    after: tuple[float, ...] = settings.scalar_states
    for member in members:
        after = _step_one(step, rule, member.w, member.g, member.states, settings.scalar_states)
    return after


def blocks_step(rule: Rule, members: list[Member], settings: Settings) -> tuple[float, ...]:
    """Steps each member a block of memory at a time, so that temporaries stay in the cache."""
    step = _bound(rule, settings)
    after: tuple[float, ...] = settings.scalar_states
    for member in members:
        for w, g, *states in _blocks(member):
            after = _step_one(step, rule, w, g, tuple(states), settings.scalar_states)
    return after


def _bound(rule: Rule, settings: Settings) -> Callable[..., tuple[Any, ...]]:
    step = plain.step(rule)

    def bound(w: torch.Tensor, g: torch.Tensor, states: dict[str, Any]) -> tuple[Any, ...]:
        return step(w, g, **states, t=settings.t, **settings.scalars, maximize=settings.maximize, decay=settings.decay)

    return bound


def _step_one(
    step: Callable[..., tuple[Any, ...]],
    rule: Rule,
    w: torch.Tensor,
    g: torch.Tensor,
    states: tuple[torch.Tensor, ...],
    scalar_states: tuple[float, ...],
) -> tuple[float, ...]:
    program = rule.program
    before = dict(zip(program.tensor_states, states, strict=True)) | dict(
        zip(program.scalar_states, scalar_states, strict=True)
    )
    dtype = compute_dtype(w.dtype)
    new_w, *new = step(w.to(dtype), g.to(dtype), before)
    # Everything is worked out before anything is written: a new value may be made of an old one's storage.
    w.copy_(new_w)
    after = dict(zip(rule.states, new, strict=True))
    for name, state in zip(program.tensor_states, states, strict=True):
        state.copy_(after[name])
    return tuple(after[name] for name in program.scalar_states)


def _blocks(member: Member) -> Iterator[tuple[torch.Tensor, ...]]:
    size = member.w.numel()
    flat = [tensor.as_strided((size,), (1,)) for tensor in (member.w, member.g, *member.states)]
    yield from zip(*(tensor.split(BLOCK) for tensor in flat), strict=True)
