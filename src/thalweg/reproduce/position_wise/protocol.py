"""The paper's training run, as the code of its time has it: the network, how it is drawn, the loss, when it stops.

The paper names no learning rate, no seed and no rule of stopping; the code does, and with them all six published
numbers of epochs come out. Where the two differ the code is followed: it draws weights by the number of inputs, not by
equation 6, and its loss for ten classes is no additive margin softmax (see `published_loss`).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from thalweg.sweep import PositionWise, layerwise_lr

HIDDEN = (20, 7, 5)
SEED = 1  # of the published runs
MOST = 5000  # epochs
EPS = 1e-5  # in the logarithms of the loss, not in its gradient

METHODS: Mapping[str, str] = {
    "gradient_descent": "gradient descent",
    "position_wise": "position-wise",
    "layerwise_lr": "gradient descent, layer-wise rates",
}


@dataclass(frozen=True)
class Goal:
    """An experiment's learning rate, and when it stops: at the first loss below `target`, but in no epoch that
    `printed` divides, in which the code prints the loss and looks no further."""

    lr: float
    target: float
    printed: int

    def reached(self, loss: float, epoch: int) -> bool:
        """Whether a run stops in an epoch, counted from 0."""
        return loss < self.target and epoch % self.printed != 0


@dataclass(frozen=True)
class Descent:
    """A run, by epoch: `losses` as they are published; `before`, the loss of the weights that an epoch begins with; and
    the seconds that all epochs up to it took.

    The two differ for position-wise training alone. The published epochs come out by the loss of a sweep's last stage,
    when all layers but the first have been updated, the last one three times of four (Algorithm 2, "Compute E"); by the
    loss before a sweep they do not (883 for 881).
    """

    goal: Goal
    losses: Sequence[float]
    before: Sequence[float]
    clock: Sequence[float]

    @property
    def epochs(self) -> float:
        """The epoch in which it stops, counted from 0 as the code does; infinite where it does not."""
        return _first(self.goal, self.losses)

    @property
    def epochs_before(self) -> float:
        """The same by the loss that epochs begin with, which compares with that of gradient descent."""
        return _first(self.goal, self.before)

    @property
    def seconds(self) -> float:
        """Until it stops."""
        return self.clock[int(self.epochs)] if math.isfinite(self.epochs) else math.inf

    @property
    def seconds_an_epoch(self) -> float:
        return self.clock[-1] / len(self.clock)


def drawn(inputs: int, outputs: int, seed: int, *, xavier: bool = False) -> list[Tensor]:
    """Weights of each layer, (outputs, inputs) in float64: normal, divided by the root of the number of inputs as in
    the code, or with the deviation of equation 6 (`xavier`).

    The published numbers are those of NumPy's old generator, so it is taken here, as a stream of its own.
    """
    random = np.random.RandomState(seed)
    sizes = (inputs, *HIDDEN, outputs)
    found = []
    for before, after in pairwise(sizes):
        deviation = math.sqrt(2 / (before + after)) if xavier else 1 / math.sqrt(before)
        found.append(torch.from_numpy(random.randn(after, before) * deviation))
    return found


def network(weights: Sequence[Tensor], dtype: torch.dtype = torch.float64) -> list[nn.Sequential]:
    """Blocks with copies of these weights and with zero biases, each but the last with a ReLU. The sigmoid or softmax
    at the end is part of the loss."""
    blocks = []
    for place, weight in enumerate(weights, 1):
        layer = nn.Linear(weight.shape[1], weight.shape[0], device="meta")  # there nothing is drawn
        layer.weight = nn.Parameter(weight.to(dtype, copy=True))
        layer.bias = nn.Parameter(torch.zeros(len(weight), dtype=dtype))
        blocks.append(nn.Sequential(layer, *[nn.ReLU()] * (place < len(weights))))
    return blocks


def answers(outputs: Tensor) -> Tensor:
    """What the network says of each class, (n, classes): a sigmoid of one output, a softmax of several."""
    return torch.sigmoid(outputs) if outputs.shape[1] == 1 else torch.softmax(outputs, 1)


def binary_cross_entropy(answer: Tensor, targets: Tensor, eps: float = EPS) -> Tensor:
    """Summed over outputs, mean over examples; both (n, classes)."""
    terms = targets * torch.log(answer + eps) + (1 - targets) * torch.log(1 - answer + eps)
    return -terms.sum() / len(answer)


def published_loss(outputs: Tensor, targets: Tensor) -> Tensor:
    """The code's loss of outputs before sigmoid or softmax, (n, classes), and targets of 0 and 1.

    Its value is the binary cross entropy of `answers`, also for ten classes; its gradient is (answer - target)/n, which
    is that of the binary cross entropy for one output, and for several that of the categorical one.
    """
    with torch.no_grad():
        answer = answers(outputs)
        value = binary_cross_entropy(answer, targets)
        pull = (answer - targets) / len(targets)
    along = (outputs * pull).sum()
    return value + along - along.detach()


def descend(
    weights: Sequence[Tensor],
    x: Tensor,
    targets: Tensor,
    goal: Goal,
    method: str,
    *,
    factor: float = 1.0,
    further: bool = False,
) -> tuple[Descent, nn.Sequential]:
    """Trains on the whole of `x`, (n, inputs), until the run stops; returns it and the network then.

    `factor` multiplies the learning rate. `further`: until it would have stopped by the loss before the epoch as well.
    Seconds are those of the process, as in the code; where it has several threads they add up.
    """
    blocks = network(weights, x.dtype)
    step = _stepper(blocks, method, factor * goal.lr)
    losses: list[float] = []
    before: list[float] = []
    clock: list[float] = []
    stopped = [False, False]
    start = time.process_time()
    for epoch in range(MOST):
        first, noted = step(x, targets)
        before.append(float(first))
        losses.append(float(noted))
        clock.append(time.process_time() - start)
        stopped[0] |= goal.reached(losses[-1], epoch)
        stopped[1] |= goal.reached(before[-1], epoch)
        if stopped[0] and (stopped[1] or not further):
            break
    return Descent(goal, losses, before, clock), nn.Sequential(*blocks)


def _stepper(
    blocks: Sequence[nn.Sequential], method: str, lr: float
) -> Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """An epoch of a method: returns the loss before it, and the one that is published."""
    net = nn.Sequential(*blocks)
    groups = layerwise_lr(blocks, lr) if method == "layerwise_lr" else net.parameters()
    optimizer = torch.optim.SGD(groups, lr=lr)
    if method == "position_wise":
        sweep = PositionWise(blocks, published_loss, optimizer)

        def swept(x: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
            return sweep.step(x, targets), sweep.losses[-1]

        return swept

    def stepped(x: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        optimizer.zero_grad()
        loss = published_loss(net(x), targets)
        loss.backward()
        optimizer.step()
        return loss.detach(), loss.detach()

    return stepped


def _first(goal: Goal, losses: Sequence[float]) -> float:
    stops = (epoch for epoch, loss in enumerate(losses) if goal.reached(loss, epoch))
    return float(next(stops, math.inf))
