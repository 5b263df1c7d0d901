"""The foreach step over a bucket: one operation for a whole list of tensors, with at most one list of temporaries."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from thalweg.optim.bucket import Bucket, Member, Settings
from thalweg.optim.shards import Parts
from thalweg.optim.steps import unfit_for_blocks
from thalweg.rules.foreach import foreach_step

_ROUNDING = 6  # temporaries of a member that `Rounding.write` has at most


@dataclass(frozen=True)
class WholeParameters:
    """Combines the reductions of a list of parameters that are split over processes."""

    parts: Parts
    sizes: list[int]

    def combine(self, totals: torch.Tensor, combined: int) -> None:
        self.parts.combine(totals, combined)


class Foreach(Bucket):
    """Steps all members together, or where that would take more temporaries than the weights, some after others."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.columns = _columns(self.members)

    def run(self, settings: Settings) -> tuple[float, ...]:
        foreach = foreach_step(self.rule, settings.flags())
        values, after = settings.worked_out(self.rule)
        for members in self.portions(foreach.needs):
            w, *states = self.columns if members is self.members else _columns(members)
            g = [member.g for member in members]
            if members[0].low_precision:
                w, g = _widened(members)
            across = WholeParameters(self.parts, [member.size for member in members]) if self.parts else None
            foreach.step(w, g, *states, values, across)
            if members[0].low_precision:
                _narrowed(members, w)
        return after

    def portions(self, needs: frozenset[tuple[int, int]]) -> Iterator[list[Member]]:
        """The members in portions whose temporaries take no more memory than all weights do.

        `needs`: as `ForeachStep` has them. A member too large for that is cut into flat pieces, if the rule is
        element-wise. Sizes are those of whole parameters, so that every process makes the same portions: it must take
        part in the others' reductions.
        """
        total = sum(member.size for member in self.members)
        if self.members[0].low_precision:
            # Weights and gradients are copied to float32, which is twice as large; rounding has temporaries of its own.
            own = 0 if all(map(_rounds_to_nearest, self.members)) else _ROUNDING
            total, needs = total // 2, frozenset({(lists + 2, more) for lists, more in needs} | {(2, own)})
        if all(lists + more <= 1 for lists, more in needs):
            yield self.members
            return
        piece = max(1, total // max(lists + more for lists, more in needs))
        portion: list[Member] = []
        taken = largest = 0
        for member in self.members:
            if member.size > piece and not unfit_for_blocks(self.rule, member):
                yield from ([part] for part in member.pieces(piece))
                continue
            taken, largest = taken + member.size, max(largest, member.size)
            if portion and any(lists * taken + more * largest > total for lists, more in needs):
                yield portion
                portion, taken, largest = [], member.size, member.size
            portion.append(member)
        if portion:
            yield portion


def _columns(members: list[Member]) -> list[list[torch.Tensor]]:
    """The members' weights, and for each state theirs."""
    return [list(column) for column in zip(*((member.w, *member.states) for member in members), strict=True)]


def _widened(members: list[Member]) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    if any(member.rounding.compensation is not None for member in members):
        w = [member.weight() for member in members]
    else:
        w = _as_float32([member.w for member in members])
    return w, _as_float32([member.g for member in members])


def _as_float32(tensors: list[torch.Tensor]) -> list[torch.Tensor]:
    wide = [torch.empty_like(tensor, dtype=torch.float32) for tensor in tensors]
    torch._foreach_copy_(wide, tensors)
    return wide


def _narrowed(members: list[Member], wide: list[torch.Tensor]) -> None:
    if all(map(_rounds_to_nearest, members)):
        torch._foreach_copy_([member.w for member in members], wide)
        return
    for member, new in zip(members, wide, strict=True):
        member.write(new)


def _rounds_to_nearest(member: Member) -> bool:
    return member.rounding.noise is None and member.rounding.compensation is None
