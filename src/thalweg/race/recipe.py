"""What surrounds an optimizer in training: learning-rate schedule, regularisation, batch size, early stopping."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, log_softmax

from thalweg.names import shown
from thalweg.race.record import Value
from thalweg.rules.rule import DECAYS
from thalweg.tasks.task import Loss

SCHEDULES = ("constant", "cosine", "step", "one_cycle", "plateau")
FULL = "full"
PLATEAU_FACTOR = 0.1  # as torch's ReduceLROnPlateau
IGNORED = -100  # the target that torch's cross entropy passes over


@dataclass(frozen=True)
class Recipe:
    """Hyperparameters that every method has beside its optimizer's own.

    Arguments:
        schedule: how the learning rate moves over the training: "constant", "cosine" to 0, "step" (a tenth at a half
            and again at three quarters), "one_cycle" (Smith and Topin 2018, with torch's shares: by half cosines from
            1/25 up in 30 %, then to 0) or "plateau" (a tenth after a tenth of the epochs, at least 2, without a lower
            validation loss).
        warmup: the share of the training, from 0 to below 1, in which the rate first rises in a line from 0.
        decay: "coupled" (L2) or "decoupled", how `weight_decay` acts, where the optimizer is a rule; None as it says.
        l1: l1 * sign(weight) is added to the gradient.
        dropout: the rate of every dropout layer of the network; None leaves the network's own.
        label_smoothing: the share of the target that is spread evenly over the classes (Szegedy et al. 2016).
        batch_size: examples a step, "full" for all of them; None for the task's own.
        patience: training ends after so many epochs without a lower validation loss; 0 never.
        length: how long training is, as a multiple of the task's epochs, of which it has a whole number and at least 1:
            with it methods of unequal cost are given equal compute.

    Raises ValueError, naming the argument, quoting the value.
    """

    schedule: str = "constant"
    warmup: float = 0.0
    decay: str | None = None
    l1: float = 0.0
    dropout: float | None = None
    label_smoothing: float = 0.0
    batch_size: int | str | None = None
    patience: int = 0
    length: float = 1.0

    def __post_init__(self) -> None:
        if not isinstance(self.schedule, str) or shown(self.schedule) not in map(shown, SCHEDULES):
            raise ValueError(f"schedule must be one of {', '.join(map(shown, SCHEDULES))}, got {self.schedule!r}")
        if self.decay is not None and self.decay not in DECAYS:
            raise ValueError(f"decay must be one of {', '.join(DECAYS)}, got {self.decay!r}")
        _check_range("warmup", self.warmup, 1)
        _check_range("l1", self.l1, math.inf)
        _check_range("dropout", 0.0 if self.dropout is None else self.dropout, 1)
        _check_range("label_smoothing", self.label_smoothing, 1)
        if self.batch_size not in (None, FULL) and not (_is_whole(self.batch_size) and self.batch_size >= 1):  # type: ignore[operator]
            raise ValueError(f"batch_size must be a whole number >= 1 or 'full', got {self.batch_size!r}")
        if not (_is_whole(self.patience) and self.patience >= 0):
            raise ValueError(f"patience must be a whole number >= 0, got {self.patience!r}")
        if not (isinstance(self.length, (int, float)) and 0 < self.length < math.inf):
            raise ValueError(f"length must be a number above 0, got {self.length!r}")

    def batch_of(self, own: int, examples: int) -> int:
        """The batch size on a task whose own is `own`, with so many training examples."""
        if self.batch_size == FULL:
            return examples
        return min(examples, int(self.batch_size or own))

    def of_gradients(self) -> list[str]:
        """Which of these are set that need a gradient, and a learning rate by which it is followed."""
        needing = ("schedule", "warmup", "l1", "label_smoothing")
        return [each.name for each in fields(self) if each.name in needing and getattr(self, each.name) != each.default]

    def factors(self, first: int, count: int, total: int) -> np.ndarray:
        """What the learning rate is multiplied by in steps `first` to `first + count` of `total`: float64 (count,)."""
        steps = np.arange(first, first + count, dtype=np.float64)
        rising = self.warmup * total
        progress = np.clip((steps - rising) / max(1.0, total - rising), 0, 1)
        ramp = np.minimum(1.0, (steps + 1) / rising) if rising >= 1 else np.ones(count)
        return ramp * _shape(self.schedule.replace("-", "_"), progress)


RECIPE = tuple(field.name for field in fields(Recipe))


def split(hyperparameters: Mapping[str, Value]) -> tuple[Recipe, dict[str, Any]]:
    """The recipe among hyperparameters, and the others, which are the optimizer's."""
    recipe: dict[str, Any] = {name: hyperparameters[name] for name in RECIPE if name in hyperparameters}
    return Recipe(**recipe), {name: value for name, value in hyperparameters.items() if name not in RECIPE}


def smoothed(loss: Loss) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """The cross entropy against smoothed labels, as `loss(outputs, targets, smoothing)`.

    Raises ValueError where the loss is another, or has weights or options of its own.
    """
    if loss is not cross_entropy and not _is_plain_cross_entropy(loss):
        raise ValueError(f"label_smoothing needs torch's cross entropy, without options, as loss, got {loss!r}")

    def of(outputs: Tensor, targets: Tensor, smoothing: Tensor) -> Tensor:
        smoothing = smoothing.to(outputs.dtype)
        even = -log_softmax(outputs, 1).mean(1)  # of each place
        if targets.is_floating_point():
            return (1 - smoothing) * loss(outputs, targets) + smoothing * even.mean()
        counted = (targets != IGNORED).to(outputs.dtype)
        return (1 - smoothing) * loss(outputs, targets) + smoothing * (even * counted).sum() / counted.sum()

    return of


def sign_penalty(weight: Tensor, l1: Tensor | float) -> Tensor:
    """The gradient of l1 * |weight|; `l1` may have one value a member."""
    if isinstance(l1, Tensor):
        l1 = l1.to(weight.dtype).reshape(-1, *[1] * (weight.dim() - 1))
    return l1 * torch.sign(weight)


def _is_plain_cross_entropy(loss: Loss) -> bool:
    plain = nn.CrossEntropyLoss()
    options = ("weight", "ignore_index", "reduction", "label_smoothing")
    return type(loss) is nn.CrossEntropyLoss and all(getattr(loss, o) == getattr(plain, o) for o in options)


def _shape(schedule: str, progress: np.ndarray) -> np.ndarray:
    if schedule == "cosine":
        return (1 + np.cos(np.pi * progress)) / 2
    if schedule == "step":
        return np.where(progress < 0.5, 1.0, np.where(progress < 0.75, 0.1, 0.01))
    if schedule == "one_cycle":
        up = 1 / 25 + (1 - 1 / 25) * (1 - np.cos(np.pi * progress / 0.3)) / 2
        down = (1 + np.cos(np.pi * (progress - 0.3) / 0.7)) / 2
        return np.where(progress < 0.3, up, down)
    return np.ones_like(progress)


def _check_range(name: str, value: float, below: float) -> None:
    if not (isinstance(value, (int, float)) and 0 <= value < below):
        raise ValueError(f"{name} must be in [0, {below:g}), got {value!r}")


def _is_whole(value: object) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value) and value == int(value)
