"""Strategies and gradients together: local steps inside a strategy, gradients after one, and mutations that know the
gradient."""

from __future__ import annotations

import math
from collections import deque
from typing import Any

import torch
from torch import Tensor, nn

from thalweg.cohort import Cohort, Unstackable
from thalweg.cohort.likeness import copied
from thalweg.optim import RuleOptimizer, StackedOptimizer
from thalweg.rules import Rule
from thalweg.rules.gallery import find
from thalweg.search.checks import check_whole
from thalweg.search.networks.evaluators import seeded
from thalweg.search.networks.population import Loss
from thalweg.search.networks.trainers import BACKWARD, Generations, bytes_of
from thalweg.tasks import dropout

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
        self.optimizer = self._fresh_optimizer()

    @property
    def state_bytes(self) -> int:
        return super().state_bytes + bytes_of(x for state in self.optimizer.state.values() for x in state.values())

    def _fresh_optimizer(self) -> RuleOptimizer:
        return RuleOptimizer(self.network.parameters(), self.rule, lr=self.lr, generator=self.generator)

    def _gradient(self, inputs: Tensor, targets: Tensor, moves: bool = True) -> Tensor:
        """The loss of the network on a batch, whose gradient its weights get: 0 where it has none. `moves`: whether
        running statistics move by it."""
        statistics = [] if moves else [(b, b.clone()) for b in self.network.buffers()]
        self.network.train()
        self.optimizer.zero_grad()
        seed = int(torch.randint(2**62, (), generator=self.generator, device=self.generator.device))
        with seeded(seed, inputs.device), torch.enable_grad():
            loss = self.loss(self.network(inputs), targets)
            if loss.requires_grad:
                loss.backward()
        for w in self.network.parameters():
            if w.requires_grad and w.grad is None:
                w.grad = torch.zeros_like(w)
        for own, kept in statistics:
            own.copy_(kept)
        self.forward += 1
        self.backward += 1
        return loss.detach()


class Memetic(Hybrid):
    """Every member of a generation takes `steps` steps of an optimizer before it is judged (Moscato 1989).

    `lamarckian`: the strategy learns the improved members; else it learns what they were born as with the fitness that
    they reached (Baldwinian; Hinton and Nowlan 1987). The network takes the best of the generation, improved. A
    generation costs P (3 steps + 1) forward passes. Members are stepped all at once, or one after another where the
    network cannot be stacked.
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
        self._stackable = True

    @property
    def cost(self) -> float:
        return len(self.strategy.ask()) * (GRADIENT * self.steps + 1)

    def step(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Returns the loss of the generation's best."""
        improved = self._improved(self.strategy.ask(), inputs, targets)
        losses = self._losses(improved, inputs, targets)
        self.strategy.tell(losses, improved if self.lamarckian else None)
        low = losses.nan_to_num(math.inf, math.inf).argmin()
        self._take(improved[low], inputs)
        return losses[low]

    def _improved(self, x: Tensor, inputs: Tensor, targets: Tensor) -> Tensor:
        """Members (P, D) after their steps."""
        if self._stackable:
            try:
                return self._together(x, inputs, targets)
            except Unstackable:
                self._stackable = False
        return torch.stack([self._alone(row, inputs, targets) for row in x])

    def _together(self, x: Tensor, inputs: Tensor, targets: Tensor) -> Tensor:
        count = len(x)
        if count not in self._cohorts:
            network = dropout.with_own_dropout(copied(self.network))
            self._cohorts[count] = Cohort([network] * count, self.loss, [self.generator] * count)
        cohort = self._cohorts[count]
        for name, w in self.members.unflatten(x).items():
            cohort.params[name].copy_(w)
        stepper = StackedOptimizer(cohort.params, self.rule, lr=self.lr)
        shared = [given.expand(count, *given.shape) for given in (inputs, targets)]
        for _ in range(self.steps):
            stepper.step(cohort.gradients(*shared)[1])
        self.forward += count * self.steps
        self.backward += count * self.steps
        return self.members.flatten(cohort.params)

    def _alone(self, row: Tensor, inputs: Tensor, targets: Tensor) -> Tensor:
        self.members.load(row)
        self.optimizer = self._fresh_optimizer()
        for _ in range(self.steps):
            self._gradient(inputs, targets, moves=False)
            self.optimizer.step()
        return self.members.weights()


class ThenGradient(Hybrid):
    """A strategy first, then an optimizer from where it stopped making progress.

    It changes over once the lowest loss of the last `patience` generations is on average no better, by a share `least`,
    than that of the `patience` before them: generations are judged on different batches, so no single one says much.
    Where there is a budget it does so at the latest when a share `most` of it is spent.
    """

    def __init__(
        self,
        network: nn.Module,
        loss: Loss,
        strategy: Any = "snes",
        *,
        patience: int = 5,
        least: float = 0.01,
        most: float = 0.5,
        budget: int | None = None,
        **others: Any,
    ) -> None:
        super().__init__(network, loss, strategy, budget=budget, **others)
        check_whole(patience=patience)
        if not 0 <= least < 1:
            raise ValueError(f"least must be in [0, 1), got {least}")
        if not 0 < most <= 1:
            raise ValueError(f"most must be in (0, 1], got {most}")
        self.patience, self.least = patience, least
        self.limit = math.inf if budget is None else most * budget
        self.searching = True
        self._lowest: deque[float] = deque(maxlen=2 * patience)

    @property
    def cost(self) -> float:
        return len(self.strategy.ask()) if self.searching else GRADIENT

    def step(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Returns the loss of the generation's best, later that of the network."""
        if not self.searching:
            loss = self._gradient(inputs, targets)
            self.optimizer.step()
            return loss
        loss = super().step(inputs, targets)
        if math.isfinite(value := float(loss)):  # a generation of which nothing is finite says nothing
            self._lowest.append(value)
        self.searching = not self._stalled() and self.spent + len(self.strategy.ask()) <= self.limit
        return loss

    def _stalled(self) -> bool:
        if len(self._lowest) < 2 * self.patience:
            return False
        values = list(self._lowest)
        before, now = sum(values[: self.patience]), sum(values[self.patience :])
        return now > before - self.least * abs(before)


class InformedMutation(Hybrid):
    """What the strategy proposes, moved down the gradient at the network: member i by `u_i lr |sigma0|` along the
    gradient's direction, u_i uniform in [0, 1), and |sigma0| the length of how far the strategy looks around at first.

    One gradient serves the whole generation: it costs P + 3 forward passes.
    """

    @property
    def cost(self) -> float:
        return len(self.strategy.ask()) + GRADIENT

    def step(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Returns the loss of the generation's best."""
        self._gradient(inputs, targets, moves=False)  # they do once a step, for the weights that the network takes
        slope = self.members.gradient()
        x = self.strategy.ask()
        share = torch.rand(len(x), 1, generator=self.generator, device=self.generator.device, dtype=x.dtype).to(x)
        direction = torch.nan_to_num(slope / slope.norm(), 0.0, 0.0, 0.0)
        assert self.strategy.problem.sigma0 is not None
        moved = x - share * self.lr * self.strategy.problem.sigma0.norm() * direction
        losses = self._losses(moved, inputs, targets)
        self.strategy.tell(losses, moved)
        return self._follow(moved, losses, inputs)
