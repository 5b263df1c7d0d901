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
        for members in self.portions(foreach.temporaries):
            w, *states = self.columns if members is self.members else _columns(members)
            g = [member.g for member in members]
            if members[0].low_precision:
                w, g = _widened(members)
            across = WholeParameters(self.parts, [member.size for member in members]) if self.parts else None
            foreach.step(w, g, *states, values, across)
            if members[0].low_precision:
                _narrowed(members, w)
        return after

    def portions(self, temporaries: int) -> Iterator[list[Member]]:
        """The members in portions whose temporaries take no more memory than all weights do.

        A member too large for that is cut into flat pieces, if the rule is element-wise. Sizes are those of whole
        parameters, so that every process makes the same portions: it must take part in the others' reductions.
        """
        # Weights and gradients of half precision are copied to float32, which is twice as large.
        copies = 2 * (temporaries + 2) if self.members[0].low_precision else temporaries
        if copies <= 1:
            yield self.members
            return
        most = max(1, sum(member.size for member in self.members) // copies)
        portion: list[Member] = []
        for member in self.members:
            if member.size > most and not unfit_for_blocks(self.rule, member):
                yield from ([piece] for piece in member.pieces(most))
                continue
            if portion and sum(other.size for other in portion) + member.size > most:
                yield portion
                portion = []
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
    if all(member.rounding.noise is None and member.rounding.compensation is None for member in members):
        torch._foreach_copy_([member.w for member in members], wide)
        return
    for member, new in zip(members, wide, strict=True):
        member.write(new)
