"""`Draws`: the random numbers of all runs at once."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from thalweg.swarm import draws as coarse

MANY = 1 << 14  # numbers, from which on numbers of 16 bits are worth their start


class Draws:
    """Random numbers with a leading axis of runs.

    From one generator they are drawn for all runs in one call, which is fast. From one generator a run, each run draws
    what it would draw alone.
    """

    def __init__(
        self, generators: Sequence[torch.Generator], runs: int, dtype: torch.dtype, device: torch.device
    ) -> None:
        self.generators, self.runs, self.dtype, self.device = list(generators), runs, dtype, device

    def uniform(self, *shape: int) -> Tensor:
        """In [0, 1), (runs, *shape)."""
        return self._each(torch.rand, shape)

    def factors(self, *shape: int) -> Tensor:
        """In (0, 1), (runs, *shape): where they are many, to 16 bits, which takes a fifth of the time of `uniform`."""
        each = (self.runs, *shape) if len(self.generators) == 1 else shape
        if math.prod(each) < MANY:
            return self.uniform(*shape)
        bits = [coarse.random_bits(each, own) for own in self.generators]
        together = bits[0] if len(bits) == 1 else torch.stack(bits)
        return coarse.uniform(together.to(self.device), self.dtype)

    def normal(self, *shape: int) -> Tensor:
        """Standard normal, (runs, *shape)."""
        return self._each(torch.randn, shape)

    def integers(self, high: int, *shape: int) -> Tensor:
        """Whole numbers 0, ..., high - 1, int64 (runs, *shape)."""
        if len(self.generators) == 1:
            return torch.randint(
                high, (self.runs, *shape), generator=self.generators[0], device=self.generators[0].device
            ).to(self.device)
        return torch.stack(
            [torch.randint(high, shape, generator=own, device=own.device).to(self.device) for own in self.generators]
        )

    def orders(self, count: int, length: int) -> Tensor:
        """Random orders of 0, ..., length - 1, int64 (runs, count, length)."""
        return self.uniform(count, length).argsort(dim=-1)

    def _each(self, draw: object, shape: tuple[int, ...]) -> Tensor:
        assert callable(draw)
        if len(self.generators) == 1:
            (own,) = self.generators
            return draw((self.runs, *shape), generator=own, device=own.device, dtype=self.dtype).to(self.device)
        rows = [draw(shape, generator=own, device=own.device, dtype=self.dtype) for own in self.generators]
        return torch.stack(rows).to(self.device)
