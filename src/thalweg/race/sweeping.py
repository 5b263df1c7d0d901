"""`Sweeping`: in which turns, or at which learning rates, the blocks of a network are stepped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

BLOCKS = "thalweg.sweep.propose_blocks(model)"
SCHEDULES = ("nested", "stochastic", "layerwise")


@dataclass(frozen=True)
class Sweeping:
    """How a method treats the blocks that `thalweg.sweep.propose_blocks` cuts a network into.

    `schedule`: "nested" or "stochastic" sweeps (`thalweg.sweep.PositionWise`), or "layerwise": plain steps at learning
    rates that are 1, 2, ..., L times as large. Raises ValueError for another one.
    """

    schedule: str

    def __post_init__(self) -> None:
        if self.schedule not in SCHEDULES:
            raise ValueError(f"schedule must be one of {', '.join(SCHEDULES)}, got {self.schedule!r}")

    @property
    def sweeps(self) -> bool:
        """Whether blocks are stepped in turns."""
        return self.schedule != "layerwise"

    def lr_factors(self, blocks: int) -> list[float]:
        """What the learning rate of each block is multiplied by, input side first."""
        return [1.0] * blocks if self.sweeps else [float(place) for place in range(1, blocks + 1)]

    @property
    def parameters_code(self) -> str:
        """The expression of what the optimizer is made over, with {lr} where its learning rate goes."""
        return "model.parameters()" if self.sweeps else f"thalweg.sweep.layerwise_lr({BLOCKS}, {{lr}})"

    @property
    def step_code(self) -> str:
        """The expression that makes what is stepped in place of the optimizer; empty where that is."""
        made = f'thalweg.sweep.PositionWise({BLOCKS}, loss_fn, optimizer, schedule="{self.schedule}")'
        return made if self.sweeps else ""


def passes(costs: Sequence[float], firsts: Sequence[np.ndarray]) -> Mapping[str, np.ndarray]:
    """What a step costs each member, in passes through the whole network: forward, and backward.

    `costs` are those of a forward pass of each block; `firsts` has for each stage the first block that each member
    trains. Blocks are run once, and those that a stage has changed once more before the next one.
    """
    whole, places = sum(costs), np.arange(len(costs))
    trained = [(places >= first[:, None]) @ np.asarray(costs) / whole for first in firsts]
    backward = np.sum(trained, axis=0)
    return {"forward": 1.0 + backward - trained[-1], "backward": backward}
