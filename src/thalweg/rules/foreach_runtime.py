"""What the sources of the foreach step call, beside torch's own operations on lists."""

from __future__ import annotations

import math
from typing import Any, Protocol

import torch

from thalweg.rules import arithmetic
from thalweg.rules.operators import MAXIMUM, MEAN, ROOT_OF_SUM

Tensors = list[torch.Tensor]


class Across(Protocol):
    """Combines the totals of the local parts of parameters to those of the whole ones, in place."""

    sizes: list[int]  # of the whole parameters

    def combine(self, totals: torch.Tensor, combined: int) -> None: ...


def _fit(scalar: float, like: Tensors) -> float:
    """A scalar as torch takes it for a factor: beyond the range of the weights' dtype it is infinite."""
    return math.copysign(math.inf, scalar) if abs(scalar) > torch.finfo(like[0].dtype).max else scalar


def _lift(scalar: Any, like: torch.Tensor) -> torch.Tensor:
    """A scalar as a 0-d tensor beside `like`, made there: a copy from the host would wait for the device."""
    if isinstance(scalar, torch.Tensor):
        return scalar
    dtype = torch.bool if isinstance(scalar, bool) else like.dtype
    value = torch.tensor(scalar, dtype=dtype).item()  # infinite where the dtype cannot hold it
    return torch.full((), value, dtype=dtype, device=like.device)


def _choose(condition: bool, a: Any, b: Any, like: torch.Tensor) -> torch.Tensor:
    """A copy of the one that a scalar condition selects; a scalar becomes one value for each of the other's."""
    chosen, other = (a, b) if condition else (b, a)
    if isinstance(chosen, torch.Tensor):
        return chosen.expand(torch.broadcast_shapes(chosen.shape, getattr(other, "shape", ()))).clone()
    return _lift(chosen, like).expand_as(other).clone()


def _copy(targets: Tensors, values: Tensors) -> None:
    """Writes values to targets, which may be of larger shapes."""
    torch._foreach_copy_(targets, values)


def _max_abs(tensors: Tensors, across: Across | None) -> Tensors:
    return _whole(_norms(tensors, math.inf) or [arithmetic._max_abs(x) for x in tensors], across, MAXIMUM)


def _norm(tensors: Tensors, across: Across | None) -> Tensors:
    if across is None and (norms := _norms(tensors, 2)):
        return norms
    totals = [x.square().sum() for x in tensors]
    return list(torch._foreach_sqrt(_whole(totals, across, ROOT_OF_SUM)))


def _norms(tensors: Tensors, order: float) -> Tensors:
    """Norms by one operation on the whole list; [] where there is no such kernel, or none for empty tensors.

    A CPU has none: torch would make a vector norm of each, which is many times slower than the largest magnitude, and
    scales a 2-norm otherwise than the square root of a sum of squares.
    """
    if tensors[0].device.type == "cpu" or not all(x.numel() for x in tensors):
        return []
    return list(torch._foreach_norm(tensors, order))


def _mean(tensors: Tensors, across: Across | None) -> Tensors:
    totals = _whole([x.sum() for x in tensors], across, MEAN)
    sizes = [x.numel() for x in tensors] if across is None else across.sizes
    return list(torch._foreach_div(totals, [float(max(size, 1)) for size in sizes]))


def _whole(totals: Tensors, across: Across | None, combined: int) -> Tensors:
    if across is None:
        return totals
    together = torch.stack(totals)
    across.combine(together, combined)
    return list(together.unbind())


NAMES: dict[str, Any] = {
    "torch": torch, "math": math, **arithmetic.NAMES,
    **{f.__name__: f for f in (_fit, _lift, _choose, _copy, _max_abs, _norm, _mean)},
}  # fmt: skip

# Scalars that are tensors follow IEEE by themselves, and must not be looked at while a compiler traces.
OF_TENSORS: dict[str, Any] = {"_div": torch.div}
