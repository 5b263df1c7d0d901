"""What trains a network batch by batch and counts its passes: `Generations` of a strategy, and `ESDescent`."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from thalweg.optim import RuleOptimizer
from thalweg.rules import Rule
from thalweg.rules.gallery import find
from thalweg.search.algorithm import Algorithm
from thalweg.search.checks import check_positive, checked_generator
from thalweg.search.networks.chunks import AUTO
from thalweg.search.networks.es_gradient import ESGradient
from thalweg.search.networks.norms import take_statistics
from thalweg.search.networks.population import Loss, Population
from thalweg.search.networks.start import strategy_for

BACKWARD = 2  # what a backward pass costs, in forward passes: gradients of inputs and of weights, a product each


class Trainer:
    """Trains `network`, whose weights it changes in place, on the batches that it is given.

    `forward` and `backward` count the passes of one network over one batch so far; a look at the running statistics of
    normalisation layers is not counted. Every trainer takes:
        network: its weights are where training begins.
        loss: `loss(outputs, targets)`, a tensor of one number; it may have no derivative: a gradient is then 0.
        generator: where all draws come from; without one, a generator with seed 0.
        chunk: how many members are evaluated at once, as `Population` has it.

    Raises ValueError, naming the argument and quoting the value.
    """

    def __init__(
        self, network: nn.Module, loss: Loss, generator: torch.Generator | None = None, chunk: Any = AUTO
    ) -> None:
        self.network, self.loss = network, loss
        root = checked_generator(generator)
        # Streams of their own: what one purpose draws moves no other.
        self.generator, searching, dropping = (_stream(root) for _ in range(3))
        self.search_generator = searching
        self.members = Population(network, loss, generator=dropping, chunk=chunk)
        self.forward = self.backward = 0.0

    @property
    def cost(self) -> float:
        """About what the next step costs, in forward passes."""
        raise NotImplementedError

    def step(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Trains on a batch; returns a loss on it, ()."""
        raise NotImplementedError

    @property
    def spent(self) -> float:
        """What all steps have cost, in forward passes."""
        return self.forward + BACKWARD * self.backward

    @property
    def state_bytes(self) -> int:
        """Of what is carried from step to step beside the weights."""
        raise NotImplementedError

    def _losses(self, x: Tensor, inputs: Tensor, targets: Tensor) -> Tensor:
        """Those of members (P, D), (P,)."""
        self.forward += len(x)
        return self.members.losses(x, inputs, targets)

    def _take(self, x: Tensor, inputs: Tensor) -> None:
        """Gives the network weights (D,), and moves its running statistics as a training step does."""
        self.members.load(x)
        take_statistics(self.network, [inputs], momentum=True)


class Generations(Trainer):
    """One generation of a strategy a step: no gradient anywhere.

    Arguments, beside those of `Trainer`:
        strategy: a name (`thalweg.search.names()`) or an `Algorithm`.
        population: how many members a generation has; None for the strategy's own.
        scale: how far the strategy looks around, in units of the initial weights' standard deviation.
        budget: how many forward passes there will be, by which some strategies cool down.
        hyperparameters: the strategy's others.

    >>> network = nn.Linear(2, 1)
    >>> trainer = Generations(network, nn.functional.mse_loss, "random", population=20)
    >>> loss = trainer.step(torch.ones(8, 2), torch.zeros(8, 1))
    >>> trainer.forward, trainer.backward
    (20.0, 0.0)
    """

    def __init__(
        self,
        network: nn.Module,
        loss: Loss,
        strategy: str | Algorithm = "snes",
        *,
        population: int | None = None,
        scale: float = 0.1,
        budget: int | None = None,
        generator: torch.Generator | None = None,
        chunk: Any = AUTO,
        **hyperparameters: Any,
    ) -> None:
        super().__init__(network, loss, generator, chunk)
        check_positive(scale=scale)
        self.strategy = strategy_for(
            self.members,
            strategy,
            hyperparameters,
            population=population,
            scale=scale,
            budget=budget,
            generator=self.search_generator,
        )

    @property
    def cost(self) -> float:
        return len(self.strategy.ask())

    def step(self, inputs: Tensor, targets: Tensor) -> Tensor:
        x = self.strategy.ask()
        losses = self._losses(x, inputs, targets)
        self.strategy.tell(losses)
        return self._follow(x, losses, inputs)

    @property
    def state_bytes(self) -> int:
        return bytes_of(self.strategy.state.carried.values())

    def _follow(self, x: Tensor, losses: Tensor, inputs: Tensor) -> Tensor:
        """Gives the network the middle of the strategy's distribution, or where it has none the best of the generation:
        the best ever was so on another batch. Returns the loss of the generation's best."""
        center = self.strategy.algorithm.center(self.strategy.state)
        low = losses.nan_to_num(math.inf, math.inf).argmin()
        self._take(x[low] if center is None else center[0], inputs)
        return losses[low]


class ESDescent(Trainer):
    """An optimizer that follows an evolution strategy's estimate of the gradient (`ESGradient`).

    Arguments, beside those of `Trainer`:
        rule: the optimizer, by its name in the gallery, or a `Rule`.
        lr: its learning rate.
        population, scale: how many members are evaluated, and how far from the weights, in units of the initial
            weights' standard deviation.
    """

    def __init__(
        self,
        network: nn.Module,
        loss: Loss,
        *,
        rule: str | Rule = "adam",
        lr: float = 0.01,
        population: int = 50,
        scale: float = 0.1,
        generator: torch.Generator | None = None,
        chunk: Any = AUTO,
    ) -> None:
        super().__init__(network, loss, generator, chunk)
        check_positive(scale=scale)
        sigma = scale * self.members.spread
        self.estimate = ESGradient(
            network, loss, population=population, sigma=sigma, chunk=chunk, generator=self.search_generator
        )
        rule = find(rule).rule if isinstance(rule, str) else rule
        self.optimizer = RuleOptimizer(network.parameters(), rule, lr=lr, generator=self.generator)

    @property
    def cost(self) -> float:
        return self.estimate.population

    def step(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Returns the mean loss of the population."""
        loss = self.estimate.backward(inputs, targets)
        self.optimizer.step()
        self.forward += self.cost
        return loss

    @property
    def state_bytes(self) -> int:
        return bytes_of(x for state in self.optimizer.state.values() for x in state.values())


def bytes_of(held: Iterable[Any]) -> int:
    """Of the tensors among what is held."""
    return sum(x.numel() * x.element_size() for x in held if isinstance(x, Tensor))


def _stream(root: torch.Generator) -> torch.Generator:
    """A generator that begins where `root` says."""
    seed = int(torch.randint(2**62, (), generator=root, device=root.device))
    return torch.Generator(root.device).manual_seed(seed)
