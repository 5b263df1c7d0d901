"""Strategies and gradients together: local steps inside a strategy, gradients after one, mutations that know the
gradient, and a bandit that chooses between the two."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from thalweg.cohort import Cohort
from thalweg.optim import RuleOptimizer, StackedOptimizer
from thalweg.rules import Rule
from thalweg.rules.gallery import find
from thalweg.search.checks import check_whole
from thalweg.search.networks.population import Loss
from thalweg.search.networks.trainers import BACKWARD, Generations

GRADIENT = 1 + BACKWARD  # what a step of an optimizer costs, in forward passes


class Hybrid(Generations):
    """A strategy and steps of an optimizer.

    Arguments, beside those of `Generations`:
        rule: the optimizer, by its name in the gallery, or a `Rule`.
        lr: its learning rate.
    """

    def __init__(
        self,
        network: nn.Module,
        loss: Loss,
        strategy: Any = "snes",
        *,
        rule: str | Rule = "adam",
        lr: float = 0.01,
        **others: Any,
    ) -> None:
        super().__init__(network, loss, strategy, **others)
        self.rule = find(rule).rule if isinstance(rule, str) else rule
        self.lr = lr
        self.optimizer = RuleOptimizer(network.parameters(), self.rule, lr=lr)

    def _gradient(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """The loss of the network on a batch, whose gradient its weights get."""
        self.network.train()
        self.optimizer.zero_grad()
        loss = self.loss(self.network(inputs), targets)
        loss.backward()
        self.forward += 1
        self.backward += 1
        return loss.detach()

    def _gradient_step(self, inputs: Tensor, targets: Tensor) -> Tensor:
        loss = self._gradient(inputs, targets)
        self.optimizer.step()
        return loss


class Memetic(Hybrid):
    """Every member of a generation takes `steps` steps of an optimizer before it is judged (Moscato 1989).

    `lamarckian`: the strategy learns the improved members; else it learns what they were born as with the fitness that
    they reached (Baldwinian; Hinton and Nowlan 1987). The network takes the best of the generation, improved. A
    generation costs P (3 steps + 1) forward passes.
    """

    def __init__(
        self,
        network: nn.Module,
        loss: Loss,
        strategy: Any = "ga",
        *,
        rule: str | Rule = "sgd",
        lr: float = 0.1,
        steps: int = 1,
        lamarckian: bool = True,
        budget: int | None = None,
        **others: Any,
    ) -> None:
        check_whole(steps=steps)
        judged = None if budget is None else max(1, budget // (GRADIENT * steps + 1))
        super().__init__(network, loss, strategy, rule=rule, lr=lr, budget=judged, **others)
        self.steps, self.lamarckian = steps, lamarckian
        self._cohorts: dict[int, Cohort] = {}

    @property
    def cost(self) -> float:
        return len(self.strategy.ask()) * (GRADIENT * self.steps + 1)

    def step(self, inputs: Tensor, targets: Tensor) -> Tensor:
        x = self.strategy.ask()
        improved = self._improved(x, inputs, targets)
        losses = self._losses(improved, inputs, targets)
        loss = self._told(improved, losses, improved if self.lamarckian else None)
        self.members.load(improved[losses.nan_to_num(math.inf).argmin()])
        return loss

    def _improved(self, x: Tensor, inputs: Tensor, targets: Tensor) -> Tensor:
        """Members (P, D) after their steps."""
        count = len(x)
        cohort = self._cohorts.setdefault(count, Cohort([self.network] * count, self.loss, [self.generator] * count))
        for name, w in self.members.unflatten(x).items():
            cohort.params[name].copy_(w)
        stepper = StackedOptimizer(cohort.params, self.rule, lr=self.lr)
        shared = [given.expand(count, *given.shape) for given in (inputs, targets)]
        for _ in range(self.steps):
            stepper.step(cohort.gradients(*shared)[1])
        self.forward += count * self.steps
        self.backward += count * self.steps
        return self.members.flatten(cohort.params)


class ThenGradient(Hybrid):
    """A strategy first, then an optimizer from where it stopped making progress.

    It changes over once `patience` generations in a row were no better, by a share `least`, than the best before them.
    """

    def __init__(
        self,
        network: nn.Module,
        loss: Loss,
        strategy: Any = "snes",
        *,
        patience: int = 5,
        least: float = 0.01,
        **others: Any,
    ) -> None:
        super().__init__(network, loss, strategy, **others)
        check_whole(patience=patience)
        if not 0 <= least < 1:
            raise ValueError(f"least must be in [0, 1), got {least}")
        self.patience, self.least = patience, least
        self.searching = True
        self._lowest, self._since = math.inf, 0

    @property
    def cost(self) -> float:
        return len(self.strategy.ask()) if self.searching else GRADIENT

    def step(self, inputs: Tensor, targets: Tensor) -> Tensor:
        if not self.searching:
            return self._gradient_step(inputs, targets)
        loss = super().step(inputs, targets)
        if float(loss) < self._lowest - self.least * abs(self._lowest) or math.isinf(self._lowest):
            self._lowest, self._since = float(loss), 0
        else:
            self._since += 1
        self.searching = self._since < self.patience
        return loss


class InformedMutation(Hybrid):
    """What the strategy proposes, moved down the gradient at the network: member i by `u_i lr` times the spread of the
    strategy's start, along the gradient's direction, u_i uniform in [0, 1).

    One gradient serves the whole generation: it costs P + 3 forward passes.
    """

    @property
    def cost(self) -> float:
        return len(self.strategy.ask()) + GRADIENT

    def step(self, inputs: Tensor, targets: Tensor) -> Tensor:
        self._gradient(inputs, targets)
        slope = self.members.gradient()
        x = self.strategy.ask()
        share = torch.rand(len(x), 1, generator=self.generator, device=self.generator.device, dtype=x.dtype).to(x)
        direction = torch.nan_to_num(slope / slope.norm(), 0.0, 0.0, 0.0)
        moved = x - share * self.lr * self.members.spread.norm() * direction
        return self._told(moved, self._losses(moved, inputs, targets), moved)


class Bandit(Hybrid):
    """Chooses in each turn between a generation of the strategy and steps of an optimizer at about its cost, by what
    each has gained of late per pass (an epsilon-greedy bandit with constant step size; Sutton and Barto, chapter 2).

    Arguments, beside those of `Hybrid`:
        explore: how often it takes one of the two by chance.
        memory: the weight of the newest gain in the average.

    The gain is how far the loss on the batch fell, which costs two forward passes more. After steps of the optimizer
    the middle of the strategy's distribution is where the network is.
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
        for name, value in (("explore", explore), ("memory", memory)):
            if not 0 < value <= 1:
                raise ValueError(f"{name} must be in (0, 1], got {value}")
        self.explore, self.memory = explore, memory
        self.gains: dict[str, float] = {}
        self.taken: Mapping[str, int] = {"strategy": 0, "gradient": 0}

    @property
    def cost(self) -> float:
        return len(self.strategy.ask()) + 2

    def step(self, inputs: Tensor, targets: Tensor) -> Tensor:
        arm = self._arm()
        before = self._own_loss(inputs, targets)
        spent = self.spent
        if arm == "strategy":
            super().step(inputs, targets)
        else:
            for _ in range(max(1, len(self.strategy.ask()) // GRADIENT)):
                self._gradient_step(inputs, targets)
        gain_of = self.spent - spent
        after = self._own_loss(inputs, targets)
        if arm == "gradient":
            self.strategy.recenter(self.members.weights())
        gain = float(before - after) / gain_of
        known = self.gains.get(arm, gain)
        self.gains[arm] = known + self.memory * ((gain if math.isfinite(gain) else 0.0) - known)
        self.taken = {**self.taken, arm: self.taken[arm] + 1}
        return after

    def _arm(self) -> str:
        chance, which = torch.rand(2, generator=self.generator, device=self.generator.device).tolist()
        untried = [arm for arm in self.taken if arm not in self.gains]
        if untried:
            return untried[0]
        if chance < self.explore:
            return "strategy" if which < 0.5 else "gradient"
        return max(self.gains, key=self.gains.__getitem__)

    def _own_loss(self, inputs: Tensor, targets: Tensor) -> Tensor:
        return self._losses(self.members.weights().unsqueeze(0), inputs, targets)[0]
