"""Losses of numbers that are predicted: quantiles, and a zone without cost."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from thalweg.swarm.losses.base import SeparableLoss, nan_where, positive, wide


@dataclass(frozen=True)
class QuantileLoss(SeparableLoss):
    """The pinball loss (Koenker and Bassett 1978), least at the `q`-quantile: max(q r, (q - 1) r), r = target - output.

    Outputs and targets have one shape. It has a gradient wherever r is not 0. The smooth loss has one everywhere:
    q r + temperature softplus(-r / temperature) (Zheng 2011).

    Raises ValueError unless 0 < q < 1.
    """

    q: float
    level = "element"

    def __post_init__(self) -> None:
        if not 0 < self.q < 1:
            raise ValueError(f"q must be above 0 and below 1, got {self.q}")
        object.__setattr__(self, "q", float(self.q))

    def unreduced(self, outputs: Tensor, targets: Tensor) -> Tensor:
        r = _difference(outputs, targets)
        return torch.maximum(self.q * r, (self.q - 1) * r)

    def unreduced_smooth(self, outputs: Tensor, targets: Tensor, temperature: float | Tensor) -> Tensor:
        r = _difference(outputs, targets)
        return self.q * r + temperature * functional.softplus(-r / temperature)


@dataclass(frozen=True)
class DeadZoneCost(SeparableLoss):
    """0 where an output is within the `tolerance` of its target, 1 outside; outputs and targets have one shape.

    The smooth loss is the chance to be outside after noise from a logistic distribution of scale temperature.

    Raises ValueError unless the tolerance is > 0 and finite.
    """

    tolerance: float
    level = "element"

    def __post_init__(self) -> None:
        object.__setattr__(self, "tolerance", positive("tolerance", self.tolerance))

    def unreduced(self, outputs: Tensor, targets: Tensor) -> Tensor:
        r = _difference(outputs, targets)
        return nan_where(r.isnan(), (r.abs() > self.tolerance).to(r.dtype))

    def unreduced_smooth(self, outputs: Tensor, targets: Tensor, temperature: float | Tensor) -> Tensor:
        r = _difference(outputs, targets)
        return ((r - self.tolerance) / temperature).sigmoid() + ((-r - self.tolerance) / temperature).sigmoid()


def _difference(outputs: Tensor, targets: Tensor) -> Tensor:
    if outputs.shape != targets.shape:  # (n, 1) against (n,) would become a square of n by n
        raise ValueError(
            f"outputs and targets must have the same shape, got {tuple(outputs.shape)} and {tuple(targets.shape)}: "
            "reshape one"
        )
    return targets - wide(outputs)
