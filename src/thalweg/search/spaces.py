"""What is searched: a box of real vectors, bits, choices, or orders."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from thalweg.search.checks import check_whole, is_whole


@dataclass(frozen=True)
class Bits:
    """Vectors of `dim` zeros and ones."""

    dim: int

    def __post_init__(self) -> None:
        check_whole(dim=self.dim)
        object.__setattr__(self, "dim", int(self.dim))

    def holds(self, x: Tensor) -> bool:
        """Whether all of points (..., D) are such vectors."""
        return bool(((x == 0) | (x == 1)).all())


@dataclass(frozen=True)
class Choices:
    """Vectors of whole numbers: the one at place i is one of 0, ..., sizes[i] - 1."""

    sizes: tuple[int, ...]

    def __post_init__(self) -> None:
        sizes = tuple(self.sizes) if isinstance(self.sizes, Iterable) else ()
        if not sizes or not all(is_whole(size) and size >= 1 for size in sizes):
            raise ValueError(f"sizes must be whole numbers >= 1, at least one of them, got {self.sizes!r:.80}")
        object.__setattr__(self, "sizes", tuple(map(int, sizes)))

    @property
    def dim(self) -> int:
        return len(self.sizes)

    def holds(self, x: Tensor) -> bool:
        """Whether all of points (..., D) are such vectors."""
        return bool(((x == x.floor()) & (x >= 0) & (x < torch.tensor(self.sizes, device=x.device))).all())


@dataclass(frozen=True)
class Orders:
    """The orders of 0, ..., dim - 1, such as tours through so many cities."""

    dim: int

    def __post_init__(self) -> None:
        check_whole(dim=self.dim)
        object.__setattr__(self, "dim", int(self.dim))

    def holds(self, x: Tensor) -> bool:
        """Whether all of points (..., D) are such orders."""
        return bool((x.sort(dim=-1).values == torch.arange(self.dim, device=x.device)).all())


@dataclass(frozen=True, eq=False)
class Box:
    """Real vectors between `low` and `high`, each (D,); infinite where nothing bounds them."""

    low: Tensor
    high: Tensor

    @property
    def dim(self) -> int:
        return len(self.low)

    @property
    def bounded(self) -> bool:
        """Whether all sides are finite."""
        return bool((self.high - self.low).isfinite().all())

    @property
    def free(self) -> bool:
        """Whether no side is finite."""
        return bool((self.low.isinf() & self.high.isinf()).all())

    def reflect(self, x: Tensor) -> Tensor:
        """Points (..., D) mirrored at the sides, again and again, until they are inside; those inside do not move."""
        # The larger of x and its image at the lower side is x itself wherever x is inside.
        image = 2 * self.low - x
        once = torch.maximum(x, image, out=image)
        image = 2 * self.high - once
        once = torch.minimum(once, image, out=image)
        inside = once.clamp(self.low, self.high)
        if torch.equal(once, inside):
            return once
        width = self.high - self.low  # some were more than a width away
        phase = torch.remainder(once - self.low, 2 * width)
        folded = self.low + torch.minimum(phase, 2 * width - phase)
        return torch.where(once == inside, once, folded.clamp_(self.low, self.high))


Space = Box | Bits | Choices | Orders


def space_of(
    bounds: Any, dim: int | None, x0: Any, dtype: torch.dtype, device: torch.device | str | None
) -> tuple[Space, torch.device]:
    """The space that is meant by bounds: a space, a pair (low, high) of numbers or vectors, or None for all real
    vectors; and the device of what was given. Raises ValueError, naming the argument."""
    if not isinstance(dtype, torch.dtype) or not dtype.is_floating_point:
        raise ValueError(f"dtype must be a floating torch.dtype, got {dtype}")
    parts = [*(bounds if isinstance(bounds, (tuple, list)) else ()), x0]
    devices = {part.device for part in parts if isinstance(part, Tensor)}
    if device is not None:
        devices.add(_device(device))
    if len(devices) > 1:
        raise ValueError(f"bounds, x0 and device must be on one device, got {', '.join(sorted(map(str, devices)))}")
    where = devices.pop() if devices else torch.device("cpu")
    if isinstance(bounds, (Box, Bits, Choices, Orders)):
        if dim is not None and dim != bounds.dim:
            raise ValueError(f"dim must be that of the space, {bounds.dim}, or left out, got {dim}")
        return bounds, where
    return _box(bounds, dim, x0, dtype, where), where


def _device(device: Any) -> torch.device:
    try:
        return torch.empty(0, device=device).device
    except (TypeError, RuntimeError, AssertionError) as error:  # which torch raises where it was built without
        raise ValueError(f"device must be one that torch has here, such as 'cpu', got {device!r:.80}") from error


def _box(bounds: Any, dim: int | None, x0: Any, dtype: torch.dtype, device: torch.device) -> Box:
    _check_unambiguous(bounds)
    try:
        first, second = (-math.inf, math.inf) if bounds is None else bounds
        low, high = (torch.as_tensor(part, dtype=dtype, device=device) for part in (first, second))
    except (TypeError, ValueError, RuntimeError) as error:
        allowed = "a pair (low, high) of numbers or vectors, a space, or None"
        raise ValueError(f"bounds must be {allowed}, got {bounds!r:.80}{_hint(bounds)}") from error
    if low.dim() > 1 or high.dim() > 1:
        raise ValueError(f"bounds must be numbers or vectors, got shapes {tuple(low.shape)} and {tuple(high.shape)}")
    check_whole(dim=dim)
    sizes = [len(part) for part in (low, high) if part.dim() == 1]
    sizes += [int(dim)] if dim is not None else []
    try:
        sizes += [] if x0 is None else torch.as_tensor(x0).shape[-1:]
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"x0 must be numbers, (D,) or (runs, D), got {x0!r:.80}") from error
    if not sizes:
        raise ValueError("dim must be given where bounds are two numbers and there is no x0, got None")
    if len(set(sizes)) > 1 or 0 in sizes:
        raise ValueError(f"bounds, dim and x0 must have one number of dimensions, got {', '.join(map(str, sizes))}")
    low, high = low.expand(sizes[0]).contiguous(), high.expand(sizes[0]).contiguous()
    odd = ~(low < high)
    if odd.any():
        at = int(odd.nonzero()[0])
        raise ValueError(
            f"bounds must be low < high, got {low[at]:g} and {high[at]:g} in dimension {at}{_hint(bounds)}"
        )
    return Box(low, high)


def _check_unambiguous(bounds: Any) -> None:
    """Raises ValueError for a list of two pairs that could be (low, high) as well as one pair a dimension, as SciPy has
    them. A tuple is (low, high)."""
    listed = isinstance(bounds, list) and len(bounds) == 2 and all(isinstance(one, (list, tuple)) for one in bounds)
    if listed and _are_pairs(bounds) and _are_pairs(turned := tuple(zip(*bounds, strict=True))):
        raise ValueError(
            f"bounds must say which they are, got {bounds}, which may be low and high, or a pair for each dimension: "
            f"give {tuple(bounds)} for the former, {turned} for the latter"
        )


def _hint(bounds: Any) -> str:
    """How pairs (low, high), one a dimension, become bounds; "" where they are none."""
    return "; of pairs, one a dimension, tuple(zip(*bounds)) makes bounds" if _are_pairs(bounds) else ""


def _are_pairs(bounds: Any) -> bool:
    """Whether these are numbers low < high, one pair a dimension."""
    try:
        return all(bool(low < high) for low, high in bounds)
    except (TypeError, ValueError, RuntimeError):
        return False


def names_of(spaces: Sequence[type[Space]]) -> str:
    """Kinds of space, in words."""
    return ", ".join(space.__name__ for space in spaces)
