"""The steps that go through torch operations one parameter after another, and what each backend can step.

Native is the default on a CPU, foreach on a GPU; plain can be had everywhere, and blocks are plain steps of pieces that
stay in the cache. All give the same numbers, to rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch

from thalweg.optim import rounding
from thalweg.optim.bucket import Bucket, Settings, Slot
from thalweg.optim.shards import Parts
from thalweg.rules import Rule, plain
from thalweg.rules.arithmetic import _max_abs
from thalweg.rules.operators import MAXIMUM, MEAN, ROOT_OF_SUM

BLOCK = 32 * 1024  # elements: what a block reads and its temporaries stay in a core's cache

NATIVE_DTYPES = (torch.float32, torch.float64)
DTYPES = (*NATIVE_DTYPES, *rounding.LOW_PRECISION)
_KNOWN_TYPES = {torch.Tensor, torch.nn.Parameter}


def compute_dtype(dtype: torch.dtype) -> torch.dtype:
    """The dtype that states are kept in and steps computed in: float32 for half precision, else the weights' own."""
    return torch.float32 if dtype in rounding.LOW_PRECISION else dtype


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


def _unaligned(slot: Slot) -> str:
    """Why the tensors of a slot cannot be gone through as flat memory; "" if they can."""
    if slot.w.layout != torch.strided or not is_dense(slot.w):
        return "the parameter is not dense in memory"
    if slot.w.numel() == 0:
        return ""
    compensation = slot.rounding.compensation
    for other in (slot.g, *slot.states, *([] if compensation is None else [compensation])):
        if other.dim() and other.stride() != slot.w.stride():  # a per-tensor state has no dimensions
            return "gradient or state has other strides than the parameter"
    return ""


def unfit_for_blocks(rule: Rule, slot: Slot) -> str:
    """Why a parameter cannot be stepped in blocks; "" if it can."""
    return _unaligned(slot) if rule.program.elementwise else f"{rule.name} reduces over whole tensors"


def unfit_for_native(slot: Slot) -> str:
    """Why a parameter cannot take the native step; "" if it can."""
    w = slot.w
    if w.device.type != "cpu":
        return f"the parameter is on {w.device}"
    if not {type(w), type(slot.g)} <= _KNOWN_TYPES:
        return f"the parameter is a {type(w).__name__}, its gradient a {type(slot.g).__name__}"
    if w.dtype not in NATIVE_DTYPES or w.is_neg():
        return f"the parameter is {w.dtype}" + " with its sign put off" * w.is_neg()
    for other in (slot.g, *slot.states):
        if other.dtype != w.dtype or other.is_neg():
            return f"gradient or state is {other.dtype}" + " with its sign put off" * other.is_neg()
    return _unaligned(slot)


def unfit_for_lists(slot: Slot) -> str:
    """Why a parameter cannot be stepped by operations on lists of tensors; "" if it can."""
    if not {type(slot.w), type(slot.g)} <= _KNOWN_TYPES:
        return f"the parameter is a {type(slot.w).__name__}, its gradient a {type(slot.g).__name__}"
    if slot.w.is_neg():
        return "the parameter has its sign put off"
    if slot.w.layout != torch.strided:
        return f"the parameter is {slot.w.layout}"
    return ""


class Plain(Bucket):
    """Steps each slot by torch operations one by one."""

    def run(self, settings: Settings) -> tuple[float, ...]:
        after = tuple(settings.scalar_states.values())
        for slot in self.slots:
            for piece in self.pieces(slot):
                after = _step_one(self.rule, piece, settings, self.parts)
        return after

    def pieces(self, slot: Slot) -> list[Slot]:
        return [slot]


class Blocks(Plain):
    """Steps each slot a block of memory at a time, so that temporaries stay in the cache."""

    def pieces(self, slot: Slot) -> list[Slot]:
        return list(slot.pieces(BLOCK))


def _step_one(rule: Rule, slot: Slot, settings: Settings, parts: Parts | None) -> tuple[float, ...]:
    program = rule.program
    step = plain.step(rule) if parts is None else _split_step(rule, parts)
    before = dict(zip(program.tensor_states, slot.states, strict=True))
    w = slot.weight()
    new_w, *new = step(
        w, slot.g.to(w.dtype), **before, **settings.scalar_states,
        t=settings.t, **settings.scalars, maximize=settings.maximize, decay=settings.decay,
    )  # fmt: skip
    # Everything is worked out before anything is written: a new value may be made of an old one's storage.
    slot.write(new_w)
    after = dict(zip(rule.states, new, strict=True))
    for name, state in before.items():
        state.copy_(after[name])
    return tuple(after[name] for name in program.scalar_states)


@lru_cache(maxsize=1024)
def _split_step(rule: Rule, parts: Parts) -> Callable[..., tuple[Any, ...]]:
    """The plain step of a part of a parameter, whose reductions are those of the whole."""

    def whole(total: torch.Tensor, combined: int) -> torch.Tensor:
        parts.combine(total, combined)
        return total

    def mean(x: torch.Tensor) -> torch.Tensor:
        size = x.new_tensor(x.numel())
        return whole(x.sum(), MEAN) / whole(size, MEAN).clamp(min=1)

    reductions = {
        "_max_abs": lambda x: whole(_max_abs(x), MAXIMUM),
        "_norm": lambda x: whole(x.square().sum(), ROOT_OF_SUM).sqrt(),
        "_mean": mean,
    }
    return plain.compiled(plain.step_source(rule), "step", {**plain.namespace(), **reductions})
