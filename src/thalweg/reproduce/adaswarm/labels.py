"""The paper's networks and losses: outputs between 0 and 1, one a class, against labels of zeros and a one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from thalweg.tasks import Examples, Metric
from thalweg.tasks.models import mlp

LOSSES = ("bce", "mse", "mae")
ELEMENTS: dict[str, Callable[..., Tensor]] = {"bce": F.binary_cross_entropy, "mse": F.mse_loss, "mae": F.l1_loss}


@dataclass(frozen=True)
class Labelled:
    """Data whose classes are given as labels, float32 (n, classes)."""

    data: Any  # a source of classified examples
    classes: int

    def __call__(self) -> Examples:
        examples = self.data()
        return Examples(examples.inputs, labels(torch.empty(0, self.classes), examples.targets))

    def checksums(self) -> dict[str, str]:
        """Those of the data."""
        return self.data.checksums()

    def look(self) -> None:
        """Raises DataMissing where the data are not there."""
        self.data.look()


@dataclass(frozen=True)
class LabelLoss:
    """Binary cross entropy, squared or absolute error of outputs (n, classes) against classes (n,) as labels."""

    kind: str
    level = "element"

    def __call__(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The mean over samples and classes."""
        return ELEMENTS[self.kind](outputs, labels(outputs, targets))

    def unreduced(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """One number a class of each sample, (n, classes)."""
        return ELEMENTS[self.kind](outputs, labels(outputs, targets), reduction="none")


def labels(outputs: Tensor, targets: Tensor) -> Tensor:
    """Zeros and a one at the class, (n, classes)."""
    return (targets.unsqueeze(-1) == torch.arange(outputs.shape[-1], device=targets.device)).to(outputs.dtype)


def elementwise(outputs: Tensor, targets: Tensor) -> Tensor:
    """The share of outputs that round to their label: the published code's "accuracy", float64 (). Targets are classes
    (n,) or labels (n, classes)."""
    return (outputs.round() == (targets if targets.is_floating_point() else labels(outputs, targets))).double().mean()


ELEMENTWISE = Metric("elementwise", "Element-wise accuracy", elementwise, percent=True, worst=0.0)


def network(sizes: tuple[int, ...], generator: torch.Generator) -> nn.Sequential:
    """A multi-layer perceptron with a sigmoid at its end."""
    return mlp(sizes, generator).append(nn.Sigmoid())


def network_of(inputs: int, hidden: int, classes: int) -> partial[nn.Sequential]:
    """The same as a function of a generator."""
    return partial(network, (inputs, hidden, classes))
