"""`Bandit`: a strategy or an optimizer, whichever gains more per pass."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from thalweg.search.networks.hybrids import GRADIENT, Hybrid
from thalweg.search.networks.population import Loss


class Bandit(Hybrid):
    """Chooses in each turn between a generation of the strategy and a step of an optimizer, by what each has gained of
    late per pass (an epsilon-greedy bandit with constant step size; Sutton and Barto, chapter 2).

    Arguments, beside those of `Hybrid`:
        strategy: one that has a middle, which the optimizer can move: snes, cma, sep-cma, pgpe, openai-es.
        explore: how often it takes one of the two by chance.
        memory: the weight of the newest gain in the average.

    The gain is how far the loss on the batch fell; to know it costs two passes more for a generation, one for a step.
    What ends in a loss that is not finite has lost as much as there was. `gains` has the averages, `taken` how often
    each was chosen.
    """

    def __init__(
        self,
        network: nn.Module,
        loss: Loss,
        strategy: Any = "snes",
        *,
        explore: float = 0.1,
        memory: float = 0.3,
        **others: Any,
    ) -> None:
        super().__init__(network, loss, strategy, **others)
        if self.strategy.algorithm.center(self.strategy.state) is None:
            raise ValueError(f"strategy must have a middle, such as snes or cma, for a bandit, got {strategy!r}")
        for name, value in (("explore", explore), ("memory", memory)):
            if not 0 < value <= 1:
                raise ValueError(f"{name} must be in (0, 1], got {value}")
        self.explore, self.memory = explore, memory
        self.gains: dict[str, float] = {}
        self.taken = {"strategy": 0, "gradient": 0}
        self._next = "strategy"

    @property
    def cost(self) -> float:
        return len(self.strategy.ask()) + 2 if self._next == "strategy" else GRADIENT + 1

    def step(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Returns the loss of the network."""
        arm, spent = self._next, self.spent
        if arm == "strategy":
            before = self._own_loss(inputs, targets)
            super().step(inputs, targets)
        else:
            before = self._gradient(inputs, targets)
            self.optimizer.step()
            self.strategy.recenter(self.members.weights())
        passes = self.spent - spent
        after = self._own_loss(inputs, targets)
        self._learn(arm, float(before), float(after), passes)
        return after

    def _learn(self, arm: str, before: float, after: float, passes: float) -> None:
        had = before if math.isfinite(before) else 0.0
        gain = (had - after if math.isfinite(after) else -abs(had)) / passes
        known = self.gains.get(arm, gain)
        self.gains[arm] = known + self.memory * (gain - known)
        self.taken[arm] += 1
        chance, which = torch.rand(2, generator=self.generator, device=self.generator.device).tolist()
        untried = [other for other in self.taken if other not in self.gains]
        if untried:
            self._next = untried[0]
        elif chance < self.explore:
            self._next = "strategy" if which < 0.5 else "gradient"
        else:
            self._next = max(self.gains, key=self.gains.__getitem__)

    def _own_loss(self, inputs: Tensor, targets: Tensor) -> Tensor:
        return self._losses(self.members.weights().unsqueeze(0), inputs, targets)[0]
