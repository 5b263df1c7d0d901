"""Functions whose minimum is known: smooth, ill-conditioned, curved, with many minima, and a small network's loss."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

LOW, HIGH = -5.0, 5.0
SEED = 7  # of the optimum and of the rotation, which all methods share


@dataclass(frozen=True)
class Landscape:
    """A function of points (n, D), 0 at its optimum, in a box from -5 to 5; solved at `target`. `minima`: "one" or
    "many"."""

    name: str
    dim: int
    f: Callable[[Tensor], Tensor]
    target: float
    minima: str


def landscapes(dim: int) -> list[Landscape]:
    """Those of so many dimensions. The optimum is uniform in [-4, 4]; it is never in the middle of the box."""
    generator = torch.Generator().manual_seed(SEED)
    optimum = 8 * torch.rand(dim, generator=generator, dtype=torch.float64) - 4
    rotation = torch.linalg.qr(torch.randn(dim, dim, generator=generator, dtype=torch.float64)).Q
    powers = 1e6 ** torch.linspace(0, 1, dim, dtype=torch.float64)

    def sphere(x: Tensor) -> Tensor:
        return (x - optimum).square().sum(-1)

    def ellipsoid(x: Tensor) -> Tensor:
        return (((x - optimum) @ rotation).square() * powers).sum(-1)

    def rosenbrock(x: Tensor) -> Tensor:
        z = max(1.0, math.sqrt(dim) / 8) * (x - optimum) + 1
        return (100 * (z[..., :-1].square() - z[..., 1:]).square() + (z[..., :-1] - 1).square()).sum(-1)

    def rastrigin(x: Tensor) -> Tensor:
        z = x - optimum
        return (z.square() - 10 * torch.cos(2 * math.pi * z) + 10).sum(-1)

    def ackley(x: Tensor) -> Tensor:
        z = x - optimum
        # The root has no derivative at 0, where its argument is kept away from.
        mean = (z.square().mean(-1) + 1e-300).sqrt()
        return 20 + math.e - 20 * torch.exp(-0.2 * mean) - torch.exp(torch.cos(2 * math.pi * z).mean(-1))

    return [
        Landscape("sphere", dim, sphere, 1e-8, "one"),
        Landscape("ellipsoid", dim, ellipsoid, 1e-8, "one"),
        Landscape("Rosenbrock", dim, rosenbrock, 1e-8, "one"),
        Landscape("Rastrigin", dim, rastrigin, 1e-8, "many"),
        Landscape("Ackley", dim, ackley, 1e-8, "many"),
    ]


def exclusive_or() -> Landscape:
    """The loss of a network of two hidden units on exclusive or, 9 weights: the smallest that has local minima."""
    inputs = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], dtype=torch.float64)
    targets = torch.tensor([0.0, 1.0, 1.0, 0.0], dtype=torch.float64)

    def loss(x: Tensor) -> Tensor:
        first, bias, second, last = x[..., :4], x[..., 4:6], x[..., 6:8], x[..., 8:]
        hidden = torch.tanh(inputs @ first.unflatten(-1, (2, 2)).mT + bias.unsqueeze(-2))
        answers = torch.sigmoid((hidden @ second.unsqueeze(-1)).squeeze(-1) + last)
        return (answers - targets).square().mean(-1)

    return Landscape("exclusive or", 9, loss, 0.01, "many")
