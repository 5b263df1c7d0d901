"""What is scored without a look at the input: the losses that a target has to be below, and accuracies."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from thalweg.reproduce.position_wise.protocol import EPS, binary_cross_entropy


def chance_levels(targets: Tensor, eps: float = EPS) -> dict[str, Any]:
    """The loss of `uniform` answers, that of the `shares` of the classes, which is the best constant answer, and the
    `accuracy` of the commonest class in per cent; by targets of 0 and 1, (n, classes), one column for two classes."""
    shares = targets.double().mean(0, keepdim=True)
    several = targets.shape[1] > 1
    uniform = torch.full_like(shares, 1 / targets.shape[1] if several else 0.5)
    commonest = shares.max() if several else torch.maximum(shares, 1 - shares).max()
    return {
        "uniform": _of_constant(uniform, shares, eps),
        "shares": _of_constant(shares, shares, eps),
        "accuracy": 100 * float(commonest),
    }


def _of_constant(answer: Tensor, shares: Tensor, eps: float) -> float:
    """The mean loss of one answer to all examples; it is linear in the targets, so their means will do."""
    return float(binary_cross_entropy(answer, shares, eps))
