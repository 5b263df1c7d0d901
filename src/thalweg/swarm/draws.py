"""The random factors of a swarm, drawn ahead for all its iterations: drawn carelessly, half of what a swarm costs."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from thalweg.swarm.native import random_words

BITS = 16  # of a factor: four come of one random word, and that is finer than any use of a factor here


class Factors:
    """Uniform numbers in (0, 1) for the problems of several members, each of whom draws from a generator of its own.

    `bits` are those of all iterations, int16 (iterations, 2, particles, problems, dimensions or 1): a member's problems
    lie side by side and get the same numbers whoever else is there. Called with a shape (..., problems, n), it gives
    the next iteration's where that is their shape, and draws others where it is not.
    """

    def __init__(
        self, generators: Sequence[torch.Generator], iterations: int, shape: tuple[int, ...], dtype: torch.dtype
    ) -> None:
        self._generators = generators
        self._dtype = dtype
        self.shape = (2, *shape)
        self.bits = self._drawn((iterations, *self.shape))
        self._next = 0

    def __call__(self, shape: tuple[int, ...]) -> Tensor:
        """Numbers of the dtype, of this shape."""
        if shape != self.shape:
            return self.more(shape)
        self._next += 1
        return uniform(self.bits[self._next - 1], self._dtype)

    def more(self, shape: tuple[int, ...]) -> Tensor:
        """Other numbers."""
        return uniform(self._drawn(shape), self._dtype)

    def last(self) -> Tensor:
        """The numbers of the last iteration."""
        return uniform(self.bits[-1], self._dtype)

    def _drawn(self, shape: tuple[int, ...]) -> Tensor:
        *outer, problems, dimensions = shape
        own = (*outer, problems // len(self._generators), dimensions)
        parts = [random_bits(own, generator) for generator in self._generators]
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=-2)


def random_bits(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Random int16 on the generator's device."""
    count = math.prod(shape)
    return random_words(-(-count * BITS // 64), generator).view(torch.int16)[:count].reshape(shape)


def uniform(bits: Tensor, dtype: torch.dtype) -> Tensor:
    """The numbers in (0, 1) that random int16 stand for."""
    return bits.to(dtype).add_(2 ** (BITS - 1) + 0.5).mul_(2**-BITS)
