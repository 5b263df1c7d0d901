"""How float32 results are written to half-precision weights, so that updates below their spacing are not lost.

bfloat16 has 8 bits of precision: near 1 its numbers are 2**-7 apart, and rounding to the nearest loses every update
smaller than half of that. Stochastic rounding keeps updates on average; Kahan's compensation keeps them in a second
tensor, of bfloat16, which is what rounding left over.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import torch

ROUNDINGS = ("nearest", "stochastic", "kahan")
LOW_PRECISION = (torch.bfloat16, torch.float16)

# What the driver keeps in `state[p]` for them; no state of a rule begins with an underscore.
SEED, COMPENSATION = "_rounding_seed", "_compensation"
EXTRA = (SEED, COMPENSATION)
EXTRA_STATES = {"nearest": (), "stochastic": (SEED,), "kahan": (COMPENSATION,)}

_DROPPED = {torch.bfloat16: 16, torch.float16: 13}  # bits of a float32's fraction that the narrower one has not


@dataclass(slots=True)
class Noise:
    """The random bits of one parameter: a stream of its own for every step, equal on every rank and after a resume.

    `place` tells apart the parts of a parameter that is split over processes.
    """

    generator: torch.Generator
    seed: int
    place: str = ""

    def begin(self, step: int) -> None:
        digest = hashlib.sha256(f"{self.seed} {self.place} {step}".encode()).digest()
        self.generator.manual_seed(int.from_bytes(digest[:8], "little"))


@dataclass(slots=True)
class Rounding:
    """How the weights of one parameter are read and written. Without noise and compensation: to the nearest."""

    noise: Noise | None = None
    compensation: torch.Tensor | None = None

    def widened(self, w: torch.Tensor) -> torch.Tensor:
        """The weights in float32, with what earlier roundings left over."""
        wide = w.to(torch.float32)
        return wide if self.compensation is None else wide + self.compensation

    def write(self, w: torch.Tensor, new: torch.Tensor) -> None:
        """Writes float32 weights to `w`, rounded."""
        w.copy_(new if self.noise is None else stochastic(new, w.dtype, self.noise.generator))
        if self.compensation is not None:
            self.compensation.copy_(new - w)

    def split(self, length: int) -> list[Rounding]:
        """The roundings of the flat pieces of a dense parameter; [] stands for as many as there are of this one."""
        if self.compensation is None:
            return []
        flat = self.compensation.as_strided((self.compensation.numel(),), (1,))
        return [replace(self, compensation=piece) for piece in flat.split(length)]


def stochastic(x: torch.Tensor, dtype: torch.dtype, generator: torch.Generator) -> torch.Tensor:
    """Float32 values as `dtype`, each one of its two neighbours there, with the probabilities that make `x` the mean.

    `dtype`: bfloat16 or float16. What is not finite, and what is beyond the largest number, goes to the nearest.
    """
    dropped = _DROPPED[dtype]
    bits = x.contiguous().view(torch.int32)
    noise = torch.randint(1 << dropped, bits.shape, generator=generator, dtype=torch.int32, device=x.device)
    rounded = ((bits + noise) & (-1 << dropped)).view(torch.float32)
    if dtype == torch.float16:
        # Below its normal range float16 has a fixed spacing, in which fewer bits of the fraction count.
        spacing = torch.finfo(dtype).smallest_normal * torch.finfo(dtype).eps
        scaled = x / spacing + noise / (1 << dropped)
        rounded = torch.where(x.abs() < torch.finfo(dtype).smallest_normal, scaled.floor() * spacing, rounded)
    beyond = ~(x.abs() < torch.finfo(dtype).max)  # NaN too
    return torch.where(beyond, x, rounded).to(dtype)
