"""A swarm's iteration on a CPU in one pass over memory, where torch takes some twenty operations; and random bits."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from thalweg.optim.native import unavailable

if TYPE_CHECKING:
    from thalweg.swarm.search import Swarm


@cache
def compiled() -> Any:
    """The module of compiled loops; None where numba does not fit this machine, which is said once."""
    if unavailable():
        return None
    from thalweg.swarm import native_loop

    return native_loop


def random_words(count: int, generator: torch.Generator) -> Tensor:
    """Random int64 on the generator's device; on a CPU expanded from one word of it, which takes far less time."""
    if generator.device.type != "cpu" or compiled() is None:
        words = torch.empty(count, dtype=torch.int64, device=generator.device)
        return words.random_(-(2**63), None, generator=generator)
    seed = torch.empty(1, dtype=torch.int64).random_(-(2**63), None, generator=generator).numpy().view(np.uint64)[0]
    filled = np.empty(count, np.uint64)
    compiled().fill(filled, seed)
    return torch.from_numpy(filled.view(np.int64))


class Loop:
    """Does for a swarm what `Swarm.note` and `Swarm.move` do, to rounding. `low` and `high` are of the best's shape;
    `bits` are those of all iterations, as `Factors` has them."""

    def __init__(self, swarm: Swarm, low: Tensor, high: Tensor, bits: Tensor) -> None:
        particles, loops = swarm.particles, compiled()
        assert particles.one_buffer is not None
        self._constants = (particles.c1, particles.c2, *particles.one_buffer)
        self._nearest, each = swarm.near is not None, particles.per_dimension
        numbers = swarm.best.shape[1] == 1  # a problem is a number
        self._noting = loops.note_numbers if numbers else loops.note
        self._moving = loops.move if each else loops.move_together

        none = swarm.best_loss[:0]
        near, own_distance, best_distance = none.reshape(0, 0), none.reshape(0, 0), none
        if swarm.near is not None:
            near, own_distance, best_distance = swarm.near, swarm.own_distance, swarm.best_distance
        # Loops over numbers take (particles, problems) and (problems,), the others have dimensions besides.
        x, own, best, target = _arrays(numbers, swarm.x, swarm.own, swarm.best, near)
        losses = [array.numpy() for array in (swarm.own_loss, swarm.best_loss, own_distance, best_distance)]
        self._note = (x, own, losses[0], best, losses[1], target, losses[2], losses[3])
        self._move = _arrays(each, swarm.x, swarm.memory[0], swarm.own, swarm.best, low, high)
        (self._bits,) = _arrays(each, bits)

    @staticmethod
    def fits(swarm: Swarm) -> bool:
        """Whether it can: on a CPU, in float32 or float64, for variants of one buffer."""
        plain = swarm.x.device.type == "cpu" and swarm.x.dtype in (torch.float32, torch.float64)
        return plain and swarm.particles.one_buffer is not None and compiled() is not None

    def iterate(self, i: int, loss: Tensor, *, moves: bool) -> None:
        """Takes note of the losses, of the swarm's dtype, and moves by the factors of iteration i unless that is not
        wanted."""
        self._noting(*self._note, loss.contiguous().numpy(), self._nearest)
        if moves:
            self._moving(*self._move, self._bits[i], self._constants)


def _arrays(flat: bool, *tensors: Tensor) -> list[np.ndarray]:
    """As NumPy sees them; flat: problems and dimensions are one axis, the last."""
    return [(x.flatten(-2) if flat else x).contiguous().numpy() for x in tensors]
