"""`DistanceToLabel`: the squared distance to the label, to which swarm gradients come down where labels are optimal."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from thalweg.swarm.objective import LossFunction
from thalweg.swarm.outputs import OutputGradient, working

KAPPA = 8.5  # (c1 + c2) / 2 / eta with the paper's 0.8, 0.9 and 0.1


class DistanceToLabel(OutputGradient):
    """`kappa (y - label)`, whatever the loss is: `SwarmGradient` where the swarm finds the label, without a swarm.

    Labels are the targets, or for classes (n,) and outputs (n, classes) zeros with a one at the class. Arguments: those
    of `OutputGradient`; `kappa`, by default that of the paper. Raises ValueError where targets are neither.
    """

    evaluations = 0

    def __init__(
        self,
        loss_fn: LossFunction,
        *,
        kappa: float = KAPPA,
        level: str | None = None,
        reduction: str = "mean",
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(loss_fn, level=level, reduction=reduction, generator=generator)
        if not 0 < kappa < float("inf"):
            raise ValueError(f"kappa must be > 0 and finite, got {kappa}")
        self.kappa = kappa

    def gradients(self, outputs: Tensor, targets: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        difference = working(outputs) - labels(outputs, targets)
        return self.kappa * difference / self.objective.terms(outputs, self.reduction)

    def _model(self, outputs: Tensor, targets: Tensor, generator: torch.Generator) -> Tensor:
        away = working(outputs) - labels(outputs.unsqueeze(0), targets.unsqueeze(0))[0]
        return self.kappa / 2 * away.square().sum() / self.objective.terms(outputs.unsqueeze(0), self.reduction)


def labels(outputs: Tensor, targets: Tensor) -> Tensor:
    """Targets in the shape of the outputs (members, n, ...)."""
    if targets.shape == outputs.shape:
        return targets.to(working(outputs).dtype)
    if targets.is_floating_point() or targets.shape != outputs.shape[:2] + outputs.shape[3:]:
        raise ValueError(
            f"targets must be of the outputs' shape, or classes, got {tuple(targets.shape[1:])} for outputs "
            f"{tuple(outputs.shape[1:])}"
        )
    return one_hot(targets, outputs.shape[2]).movedim(-1, 2).to(working(outputs).dtype)
