"""The network that sweeps are timed on: equal blocks one behind the other; and the ways to train it on one batch."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from timing import Step
from torch import nn
from torch.nn.functional import mse_loss

from thalweg.sweep import PositionWise, propose_blocks

WIDTH, BATCH = 512, 1024
BLOCKS = (2, 4, 8, 16)
LR = 1e-4  # small, so that weights stay what they were drawn as, however often they are stepped

Optimizer = Callable[[Any], torch.optim.Optimizer]


class Tower:
    """So many blocks, `nn.Linear` and `nn.Tanh` of 512, with an optimizer and a batch."""

    def __init__(self, blocks: int, batch: int, optimizer: Optimizer, width: int = WIDTH) -> None:
        torch.manual_seed(0)
        layers = [layer for _ in range(blocks) for layer in (nn.Linear(width, width), nn.Tanh())]
        self.network = nn.Sequential(*layers)
        self.optimizer = optimizer(self.network.parameters())
        self.x, self.y = torch.randn(batch, width), torch.randn(batch, width)

    def plain(self) -> Step:
        def step() -> None:
            self.optimizer.zero_grad()
            mse_loss(self.network(self.x), self.y).backward()
            self.optimizer.step()

        return step

    def nested(self) -> Step:
        sweep = PositionWise(self.network, mse_loss, self.optimizer)
        return lambda: sweep.step(self.x, self.y)

    def naive(self) -> Step:
        """A sweep that runs the whole network at every stage, and back as far as the stage's blocks."""
        own = [list(block.parameters()) for block in propose_blocks(self.network)]

        def step() -> None:
            for first in range(len(own) - 1, -1, -1):
                self.optimizer.zero_grad()
                trained = [p for params in own[first:] for p in params]
                mse_loss(self.network(self.x), self.y).backward(inputs=trained)
                self.optimizer.step()

        return step

    def from_every_start(self) -> Step:
        """A stochastic step from each block, one after another."""
        sweep = PositionWise(self.network, mse_loss, self.optimizer, schedule="stochastic")
        seeds = seeds_of_starts(len(sweep.updates))

        def step() -> None:
            for seed in seeds:
                sweep.generator.manual_seed(seed)
                sweep.step(self.x, self.y)

        return step


def seeds_of_starts(blocks: int) -> Sequence[int]:
    """For each block a seed with which a stochastic step begins there, found on a network that is next to nothing."""
    tiny = Tower(blocks, 1, lambda params: torch.optim.SGD(params, lr=LR), width=1)
    sweep = PositionWise(tiny.network, mse_loss, tiny.optimizer, schedule="stochastic")
    seeds: dict[int, int] = {}
    for seed in itertools.count():
        sweep.generator.manual_seed(seed)
        sweep.step(tiny.x, tiny.y)
        seeds.setdefault(sweep.starts[0], seed)
        if len(seeds) == blocks:
            break
    return [seeds[start] for start in range(blocks)]
