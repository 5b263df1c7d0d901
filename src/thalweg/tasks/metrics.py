"""Metrics: what a trained network is judged by. Better when higher."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

Loss = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Metric:
    """A number by which networks are compared, better when higher.

    `function(outputs, targets)` returns a tensor of shape (). Where it is pure torch, a whole cohort is judged in one
    call. `percent` metrics are shown times 100. `worst` is the score of a trial that diverged; None stands for the
    score of that trial's untrained network.
    """

    name: str
    title: str
    function: Callable[[Tensor, Tensor], Tensor]
    percent: bool = False
    worst: float | None = None


def accuracy(outputs: Tensor, targets: Tensor) -> Tensor:
    """The share of places whose largest output is at the target class, a float64 tensor of shape ().

    `outputs` have shape (n, classes) or, for sequences, (n, classes, length), `targets` (n,) or (n, length): the shapes
    of torch's cross_entropy.

    >>> accuracy(torch.tensor([[0.0, 1.0], [2.0, 1.0]]), torch.tensor([1, 1])).item()
    0.5
    """
    return (outputs.argmax(dim=1) == targets).double().mean()


def r2(outputs: Tensor, targets: Tensor) -> Tensor:
    """The share of the targets' variance that the outputs explain, a float64 tensor of shape (); both are (n, ...).

    1 is perfect, 0 what the mean of the targets would reach. It is cut off below at -1, so that one trial that went
    astray does not decide a mean over trials.
    """
    outputs, targets = outputs.double(), targets.double()
    missed = (outputs - targets).square().sum()
    spread = (targets - targets.mean(dim=0)).square().sum()
    return (1 - missed / spread).clamp(min=-1.0)


def negative_loss(loss: Loss) -> Metric:
    """The loss with its sign turned: the metric of a task that names none."""
    return Metric("negative_loss", "Negative loss", partial(_negative, loss))


def named_metric(function: Callable[[Tensor, Tensor], Tensor | float]) -> Metric:
    """A metric from a plain function, named after it; a float that it returns becomes a tensor."""
    name = getattr(function, "__name__", type(function).__name__).strip("_")
    name = "metric" if name in ("", "<lambda>") else name
    return Metric(name, name.replace("_", " ").capitalize(), partial(_as_tensor, function))


ACCURACY = Metric("accuracy", "Accuracy", accuracy, percent=True, worst=0.0)
R2 = Metric("r2", "R²", r2, worst=-1.0)


def _negative(loss: Loss, outputs: Tensor, targets: Tensor) -> Tensor:
    return -loss(outputs, targets)


def _as_tensor(function: Callable[[Tensor, Tensor], Tensor | float], outputs: Tensor, targets: Tensor) -> Tensor:
    return torch.as_tensor(function(outputs, targets))
