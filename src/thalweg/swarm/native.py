"""A swarm's iteration on a CPU in one pass over memory, where torch takes some twenty operations; and random bits."""

from __future__ import annotations

import warnings
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from thalweg.swarm.search import Swarm


@cache
def compiled() -> Any:
    """The module of compiled loops; None, with one warning, where numba does not fit this machine."""
    try:
        from thalweg.swarm import native_loop
    except Exception as error:  # numba and llvmlite fail in many ways of their own where they do not fit the machine
        reason = f"numba cannot be used ({type(error).__name__}: {error})"
        warnings.warn(f"{reason}: swarms move by torch operations", stacklevel=2)
        return None
    return native_loop


def random_words(count: int, generator: torch.Generator) -> Tensor:
    """Random int64 on the generator's device; on a CPU expanded from one word of it, four times as fast."""
    if generator.device.type != "cpu" or compiled() is None:
        words = torch.empty(count, dtype=torch.int64, device=generator.device)
        return words.random_(-(2**63), None, generator=generator)
    seed = torch.empty(1, dtype=torch.int64).random_(-(2**63), None, generator=generator).numpy().view(np.uint64)[0]
    filled = np.empty(count, np.uint64)
    compiled().fill(filled, seed)
    return torch.from_numpy(filled.view(np.int64))


class Loop:
    """Does for a swarm what `Swarm.note` and `Swarm.move` do, to rounding. `low` and `high` are of the best's shape."""

    def __init__(self, swarm: Swarm, low: Tensor, high: Tensor) -> None:
        none = swarm.best_loss[:0]
        near, own_distance, best_distance = none.reshape(0, 0), none.reshape(0, 0), none
        self._nearest = swarm.near is not None
        if swarm.near is not None:
            near, own_distance, best_distance = swarm.near, swarm.own_distance, swarm.best_distance
        particles = swarm.particles
        assert particles.one_buffer is not None
        self._constants = (particles.c1, particles.c2, *particles.one_buffer)
        self._each = particles.per_dimension
        self._dtype = swarm.x.dtype
        count, _, dimensions = swarm.x.shape
        numbers = dimensions == 1
        x, m, own = (array.numpy() for array in (swarm.x, swarm.memory[0], swarm.own))
        best, low_, high_, near_ = (array.contiguous().numpy() for array in (swarm.best, low, high, near))
        losses = (swarm.own_loss.numpy(), swarm.best_loss.numpy(), own_distance.numpy(), best_distance.numpy())
        flat = [array.reshape(count, -1) for array in (x, m, own)] + [a.reshape(-1) for a in (best, low_, high_, near_)]
        to_note, to_move = (flat, flat) if numbers else ([x, m, own, best, low_, high_, near_], flat)
        if not self._each:
            to_move = [x, m, own, best, low_, high_, near_]
        own_loss, best_loss, own_far, best_far = losses
        x_, _, own_, best_, _, _, near_ = to_note
        self._note = (x_, own_, own_loss, best_, best_loss, near_, own_far, best_far)
        self._move = to_move[:6]
        loops = compiled()
        self._noting = loops.note_numbers if numbers else loops.note
        self._moving = loops.move if self._each else loops.move_together

    @staticmethod
    def fits(swarm: Swarm) -> bool:
        """Whether it can: on a CPU, in float32 or float64, for variants of one buffer."""
        plain = swarm.x.device.type == "cpu" and swarm.x.dtype in (torch.float32, torch.float64)
        return plain and swarm.particles.one_buffer is not None and compiled() is not None

    def iterate(self, loss: Tensor, bits: Tensor, *, moves: bool) -> None:
        """Takes note of the losses, and moves unless that is not wanted."""
        self._noting(*self._note, loss.to(self._dtype).contiguous().numpy(), self._nearest)
        if moves:
            self._moving(*self._move, (bits.flatten(2) if self._each else bits).numpy(), self._constants)
