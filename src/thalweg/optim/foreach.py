"""The foreach step over a bucket: one operation for a whole list of tensors, with at most one list of temporaries."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from thalweg.optim.bucket import Bucket, Settings, Slot
from thalweg.optim.shards import Parts
from thalweg.optim.steps import unfit_for_blocks
from thalweg.rules.foreach import ForeachStep, foreach_step

# Temporaries that writing a slot has at most: of `stochastic`, noise, bits, their sum, what is kept of it, which values
# are beyond, and the result.
_ROUNDING = 6


@dataclass(frozen=True)
class WholeParameters:
    """Combines the reductions of a list of parameters that are split over processes."""

    parts: Parts
    sizes: list[int]

    def combine(self, totals: torch.Tensor, combined: int) -> None:
        self.parts.combine(totals, combined)


class Foreach(Bucket):
    """Steps all slots together, or where that would take more temporaries than the weights, some after others."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.columns = _columns(self.slots)

    def run(self, settings: Settings) -> tuple[float, ...]:
        foreach = foreach_step(self.rule, settings.flags())
        values, after = settings.worked_out(self.rule)
        for slots in self.portions(foreach.needs):
            self._step_portion(foreach, slots, values)
        return after

    def _step_portion(self, foreach: ForeachStep, slots: list[Slot], values: tuple[float, ...]) -> None:
        """A function of its own, so that the copies of one portion are gone before those of the next are made."""
        w, *states = self.columns if slots is self.slots else _columns(slots)
        w, g = _widened(slots) if slots[0].low_precision else (w, gradients(slots))
        across = WholeParameters(self.parts, [slot.size for slot in slots]) if self.parts else None
        foreach.step(w, g, *states, values, across)
        if slots[0].low_precision:
            _narrowed(slots, w)

    def portions(self, needs: frozenset[tuple[int, int]]) -> Iterator[list[Slot]]:
        """The slots in portions whose temporaries take no more memory than all weights do.

        `needs`: as `ForeachStep` has them. A slot too large for that is cut into flat pieces, if the rule is
        element-wise. Sizes are those of whole parameters, so that every process makes the same portions: it must take
        part in the others' reductions.
        """
        total = sum(slot.size for slot in self.slots)
        if self.slots[0].low_precision:
            # Weights and gradients are copied to float32, which is twice as large; rounding has temporaries of its own.
            own = 0 if all(map(_rounds_to_nearest, self.slots)) else _ROUNDING
            total, needs = total // 2, frozenset({(lists + 2, more) for lists, more in needs} | {(2, own)})
        if all(lists + more <= 1 for lists, more in needs):
            yield self.slots
            return
        piece = max(1, total // max(lists + more for lists, more in needs))
        portion: list[Slot] = []
        taken = largest = 0
        for slot in self.slots:
            if slot.size > piece and not unfit_for_blocks(self.rule, slot):
                yield from ([part] for part in slot.pieces(piece))
                continue
            taken, largest = taken + slot.size, max(largest, slot.size)
            if portion and any(lists * taken + more * largest > total for lists, more in needs):
                yield portion
                portion, taken, largest = [], slot.size, slot.size
            portion.append(slot)
        if portion:
            yield portion


def gradients(slots: list[Slot]) -> list[torch.Tensor]:
    """The gradients, in the dtype that steps compute in where a gradient may have another than its parameter."""
    grads = [slot.g for slot in slots]
    dtype = slots[0].w.dtype
    return grads if {g.dtype for g in grads} == {dtype} else [g.to(dtype) for g in grads]


def _columns(slots: list[Slot]) -> list[list[torch.Tensor]]:
    """The slots' weights, and for each state theirs."""
    return [list(column) for column in zip(*((slot.w, *slot.states) for slot in slots), strict=True)]


def _widened(slots: list[Slot]) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    if any(slot.rounding.compensation is not None for slot in slots):
        w = [slot.weight() for slot in slots]
    else:
        w = _as_float32([slot.w for slot in slots])
    return w, _as_float32([slot.g for slot in slots])


def _as_float32(tensors: list[torch.Tensor]) -> list[torch.Tensor]:
    wide = [torch.empty_like(tensor, dtype=torch.float32) for tensor in tensors]
    torch._foreach_copy_(wide, tensors)
    return wide


def _narrowed(slots: list[Slot], wide: list[torch.Tensor]) -> None:
    if all(map(_rounds_to_nearest, slots)):
        torch._foreach_copy_([slot.w for slot in slots], wide)
        return
    for slot, new in zip(slots, wide, strict=True):
        slot.write(new)


def _rounds_to_nearest(slot: Slot) -> bool:
    return slot.rounding.noise is None and slot.rounding.compensation is None
