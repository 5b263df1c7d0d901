"""A stand-in for Figure 2: a network trained with true error gradients and with a swarm's at its outputs (equation 24).

The paper's simulated data are not published in it, nor the network, the loss, the learning rate. Here 200 points of
four coordinates, normal, have the label of a fixed random network of the same kind, four inputs and ten tanh units, and
half the squared error is descended on by SGD. The swarm's gradient is 8.5 times as long as the true one on average, so
the true one is descended on with 8.5 times the learning rate besides.
"""

from __future__ import annotations

from collections.abc import Callable
from statistics import fmean
from typing import Any

import torch
from torch import Tensor, nn

from thalweg.reproduce.adaswarm.descents import ETA
from thalweg.swarm.gradient import SwarmGradient

LR = 0.04
FACTOR = (0.8 + 0.9) / 2 / ETA  # the mean of C / eta
SAMPLES, BATCH, INPUTS, UNITS = 200, 40, 4, 10

Loss = Callable[[Tensor, Tensor], Tensor]


def half_squared_error(outputs: Tensor, targets: Tensor) -> Tensor:
    """The paper's MSE, one number an output."""
    return (outputs - targets).square() / 2


def error_curves(seeds: int, epochs: int) -> dict[str, Any]:
    """Training loss before each epoch and after the last, mean over seeds: `true` gradients, `paper` by a swarm,
    `fitted` by one with the curvature fitted, and `true_longer` with the learning rate that the paper's come to."""
    kinds: dict[str, tuple[Callable[[torch.Generator], Loss], float]] = {
        "true": (lambda _: true_loss, LR),
        "paper": (lambda generator: _swarm("paper", generator), LR),
        "fitted": (lambda generator: _swarm("fitted", generator), LR),
        "true_longer": (lambda _: true_loss, FACTOR * LR),
    }
    losses: dict[str, list[float]] = {}
    for kind, (made, lr) in kinds.items():
        runs = [trained(made(torch.Generator().manual_seed(1000 + seed)), lr, epochs, seed) for seed in range(seeds)]
        losses[kind] = [fmean(values) for values in zip(*runs, strict=True)]
    return {"loss": losses, "epochs": epochs, "seeds": seeds, "lr": LR, "factor": FACTOR}


def trained(loss: Loss, lr: float, epochs: int, seed: int) -> list[float]:
    """Training losses of one network, epochs + 1 of them. The data are the same for all seeds."""
    data = torch.Generator().manual_seed(0)
    x = torch.randn(SAMPLES, INPUTS, generator=data)
    with torch.no_grad():
        y = network(data)(x)
    random = torch.Generator().manual_seed(seed + 1)
    net = network(random)
    optimizer = torch.optim.SGD(net.parameters(), lr)
    seen = [_full(net, x, y)]
    for _ in range(epochs):
        for rows in torch.randperm(SAMPLES, generator=random).split(BATCH):
            optimizer.zero_grad()
            loss(net(x[rows]), y[rows]).backward()
            optimizer.step()
        seen.append(_full(net, x, y))
    return seen


def network(generator: torch.Generator) -> nn.Sequential:
    """One hidden layer of tanh units and one output, with weights of variance 1 / inputs."""
    net = nn.Sequential(nn.Linear(INPUTS, UNITS), nn.Tanh(), nn.Linear(UNITS, 1))
    with torch.no_grad():
        for layer in (net[0], net[2]):
            assert isinstance(layer, nn.Linear)
            layer.weight.normal_(0, layer.in_features**-0.5, generator=generator)
            layer.bias.zero_()
    return net


def true_loss(outputs: Tensor, targets: Tensor) -> Tensor:
    return half_squared_error(outputs, targets).mean()


def _swarm(coeff: str, generator: torch.Generator) -> Loss:
    return SwarmGradient(half_squared_error, level="element", coeff=coeff, eta=ETA, span=2.0, generator=generator)


def _full(net: nn.Module, x: Tensor, y: Tensor) -> float:
    with torch.no_grad():
        return float(true_loss(net(x), y))
