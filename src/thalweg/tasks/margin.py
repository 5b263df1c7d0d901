"""Additive-margin softmax: cross entropy of cosines, of which that of the right class has to win by a margin."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

REDUCTIONS = ("mean", "sum", "none")


@dataclass(frozen=True)
class AdditiveMarginSoftmax:
    """The loss -log(exp(s (cos_y - m)) / (exp(s (cos_y - m)) + sum of exp(s cos_j) over the other classes j).

    (Wang, Cheng, Liu and Liu, Additive margin softmax for face verification, IEEE Signal Processing Letters 25, 2018,
    equation 6.) Called as `loss(cosines, targets)`: cosines of features and class weights, (n, classes), as `Cosines`
    gives them, and classes, int64 (n,).

    Arguments:
        scale: s, 30 in the paper.
        margin: m, 0.35 in the paper's best runs; at 0 it is cross entropy of s * cosines.
        reduction: "mean", "sum" or "none".

    Raises ValueError, naming the argument, on a scale or a margin that is none, and where shapes do not fit.

    >>> loss = AdditiveMarginSoftmax(scale=1.0, margin=0.0)
    >>> round(float(loss(torch.zeros(5, 4), torch.zeros(5, dtype=torch.long))), 4)   # log 4
    1.3863
    """

    scale: float = 30.0
    margin: float = 0.35
    reduction: str = "mean"
    level: ClassVar[str] = "sample"  # for swarms: each sample has a loss of its own

    def __post_init__(self) -> None:
        if not (isinstance(self.scale, (int, float)) and 0 < self.scale < math.inf):
            raise ValueError(f"scale must be a number above 0, got {self.scale!r}")
        if not (isinstance(self.margin, (int, float)) and 0 <= self.margin < 2):  # two cosines differ by 2 at most
            raise ValueError(f"margin must be at least 0 and below 2, got {self.margin!r}")
        if self.reduction not in REDUCTIONS:
            raise ValueError(f"reduction must be one of {', '.join(REDUCTIONS)}, got {self.reduction!r}")

    def __call__(self, cosines: Tensor, targets: Tensor) -> Tensor:
        losses = self.unreduced(cosines, targets)
        if self.reduction == "none":
            return losses
        return losses.mean() if self.reduction == "mean" else losses.sum()

    def unreduced(self, cosines: Tensor, targets: Tensor) -> Tensor:
        """The loss of each sample, (n,)."""
        if cosines.dim() != 2 or targets.shape != cosines.shape[:1]:
            raise ValueError(
                f"cosines must be (n, classes) and targets (n,), got {tuple(cosines.shape)} and {tuple(targets.shape)}"
            )
        right = F.one_hot(targets, cosines.shape[1]).to(cosines.dtype)
        return F.cross_entropy(self.scale * (cosines - self.margin * right), targets, reduction="none")


class Cosines(nn.Module):
    """The cosines of features (n, features) and of each class's weights: (n, classes). It has no bias.

    Features or weights of zeros have cosine 0. `weight`, (classes, features), is drawn from `generator`, normal; only
    its directions matter.
    """

    def __init__(self, features: int, classes: int, generator: torch.Generator) -> None:
        super().__init__()
        if features < 1 or classes < 1:
            raise ValueError(f"features and classes must be at least 1, got {features} and {classes}")
        self.weight = nn.Parameter(torch.randn(classes, features, generator=generator))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(F.normalize(x, dim=1), F.normalize(self.weight, dim=1))
