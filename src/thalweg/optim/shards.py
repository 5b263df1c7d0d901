"""Parameters that are split over processes (DTensors): the part that this process holds, and sums over all parts.

FSDP2 and tensor parallelism make such parameters. Steps work on the local parts with any backend, as if they were
whole; only a reduction is combined across the processes that hold the other parts, once a bucket.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from thalweg.rules.operators import MAXIMUM

if TYPE_CHECKING:
    from torch.distributed.device_mesh import DeviceMesh

_BITS = {torch.float32: torch.int32, torch.float64: torch.int64}


@dataclass(frozen=True)
class Parts:
    """Which processes hold the parts of a parameter: those along the dimensions of a mesh that split it."""

    mesh: DeviceMesh
    dimensions: tuple[int, ...]

    def combine(self, totals: torch.Tensor, combined: int) -> None:
        """Combines totals of the local parts, in place, to those of the whole parameters, on every process."""
        from torch.distributed import ReduceOp, all_reduce

        values, operation = totals, ReduceOp.SUM
        if combined == MAXIMUM:
            # The bits of magnitudes are in the order of the magnitudes, NaN above all, which a maximum of floats loses.
            values, operation = totals.abs_().view(_BITS[totals.dtype]), ReduceOp.MAX
        for dimension in self.dimensions:
            all_reduce(values, operation, group=self.mesh.get_group(dimension))

    @property
    def place(self) -> str:
        """Which part this process holds."""
        coordinate = self.mesh.get_coordinate() or ()
        return ",".join(str(coordinate[dimension]) for dimension in self.dimensions)


def is_split(tensor: torch.Tensor) -> bool:
    """Whether a tensor is a DTensor. There is none unless its module was imported, which takes seconds."""
    if type(tensor) in (torch.Tensor, torch.nn.Parameter):
        return False
    module = sys.modules.get("torch.distributed.tensor")
    return module is not None and isinstance(tensor, module.DTensor)


def parts(p: torch.Tensor) -> Parts | None:
    """Who holds the parts of a parameter; None where this process holds it whole."""
    if not is_split(p):
        return None
    split: Any = p
    dimensions = tuple(i for i, placement in enumerate(split.placements) if not placement.is_replicate())
    if any(split.placements[i].is_partial() for i in dimensions):
        raise RuntimeError(f"a parameter must be split or replicated, got one placed as {split.placements}")
    return Parts(split.device_mesh, dimensions) if dimensions else None


def local(tensor: torch.Tensor) -> torch.Tensor:
    """The part of a tensor that this process holds: the memory itself, not a copy."""
    part: torch.Tensor = tensor.to_local() if is_split(tensor) else tensor  # type: ignore[attr-defined]
    return part


def local_gradient(p: torch.Tensor, grad: torch.Tensor) -> torch.Tensor:
    """The part of a gradient that belongs to this process's part of the parameter."""
    if not is_split(p):
        if is_split(grad):
            raise RuntimeError("the gradient is a DTensor and its parameter is not; distribute both or neither")
        return grad
    if not is_split(grad):
        raise RuntimeError("the parameter is a DTensor and its gradient is not; distribute both or neither")
    whole: Any = grad
    parameter: Any = p
    if whole.placements != parameter.placements:
        whole = whole.redistribute(parameter.device_mesh, parameter.placements)
    return local(whole)


def part_of(whole: torch.Tensor, p: torch.Tensor) -> torch.Tensor:
    """This process's part of a tensor that every process has whole, split as the parameter is."""
    if not is_split(p):
        return whole
    from torch.distributed.tensor import distribute_tensor

    split: Any = p
    return local(distribute_tensor(whole, split.device_mesh, split.placements, src_data_rank=None))


def layout(tensor: Any) -> str:
    """How a DTensor is split, in words: over how many processes, along which dimensions of it."""
    return f"{tensor.placements} over a mesh of {tuple(tensor.device_mesh.shape)}"
