"""What the published code of AdaSwarm does and its paper does not say, for reproduction alone."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from thalweg.swarm.particles import Draw, Particles

LOGITS = (-4.0, 1.0)  # where the published vision scripts begin: at these, other classes and the true one, plus U(0, 1)


def around_targets(outputs: Tensor, targets: Tensor, draws: Tensor, bounds: tuple[Tensor, Tensor]) -> Tensor:
    """Where the published code begins: at the labels. `draws` are uniform, (particles, problems, dimensions).

    `clamp(label + sqrt(0.1) U(0, 1))`, so that ones stay ones; of classes without bounds, logits plus U(0, 1).
    """
    classes = targets.shape != outputs.shape
    labels = one_hot(targets, outputs.shape[-1]) if classes else targets
    labels = labels.to(outputs).reshape(draws.shape[1:])
    begun = labels + math.sqrt(0.1) * draws
    if classes:
        low, high = LOGITS
        begun = torch.where(torch.isinf(bounds[0]), low + (high - low) * labels + draws, begun)
    return torch.clamp(begun, *bounds)


@dataclass(frozen=True)
class ElementwiseRotation(Particles):
    """The published "rotation": products of matrices taken element by element, which leave a diagonal.

    Of D axes `2 floor(0.4 D)` are drawn; the pull along them is scaled by `cos(theta)^2`, and nothing is rotated. The
    momentum is never written, which leaves PSO with inertia 1 - beta.
    """

    per_dimension: bool = False  # one factor a particle
    beta: float = 0.1
    theta: float = math.pi / 5
    share: float = 0.4

    def draw(self, uniform: Callable[[tuple[int, ...]], Tensor], shape: tuple[int, ...]) -> Draw:
        plain = super().draw(uniform, shape)
        chosen = uniform(shape).argsort(dim=-1)[..., : 2 * int(self.share * shape[-1])]
        return Draw(plain.r1, plain.r2, chosen)

    def pull(self, x: Tensor, own: Tensor, best: Tensor, draw: Draw) -> Tensor:
        assert draw.axes is not None
        scale = torch.ones_like(x).scatter_(-1, draw.axes, math.cos(self.theta) ** 2)
        return super().pull(x, own, best, draw) * scale

    def move(self, x: Tensor, memory: list[Tensor], pull: Tensor) -> None:
        (v,) = memory
        v.mul_(1 - self.beta).add_(pull)
        x.add_(v)
