"""What all losses here are: a hard one, and a smooth one that tends to it."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Literal

import torch
from torch import Tensor

Level = Literal["element", "sample", "joint"]


class HardLoss(ABC):
    """`loss(outputs, targets)`: a tensor of shape (), better when lower, whose gradient is 0 or of little use.

    `level` says what can be told apart: a number for each "element" of the outputs, for each "sample", or only one for
    the whole batch ("joint"). All but `BlackBox` are pure torch, so that `torch.vmap` may run over axes ahead of the
    batch. The result has the outputs' dtype, float32 at least. Outputs that are NaN make it NaN.

    Raises ValueError where the shapes are not those that the loss needs.
    """

    @property
    @abstractmethod
    def level(self) -> Level:
        """What has a number of its own."""

    @abstractmethod
    def __call__(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The loss of the batch, ()."""

    @abstractmethod
    def smooth(self, outputs: Tensor, targets: Tensor, temperature: float | Tensor) -> Tensor:
        """A loss () with a gradient, which tends to this one as the temperature falls to 0, ties apart.

        `temperature` is > 0, in units of the outputs: a float, or a tensor of shape ().
        """


class SeparableLoss(HardLoss):
    """A loss that is the mean of numbers which depend on one sample or one element each."""

    def __call__(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return self.unreduced(outputs, targets).mean()

    def smooth(self, outputs: Tensor, targets: Tensor, temperature: float | Tensor) -> Tensor:
        check_temperature(temperature)
        return self.unreduced_smooth(outputs, targets, temperature).mean()

    @abstractmethod
    def unreduced(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The numbers whose mean is the loss: (n,), or of the outputs' shape where the level is "element"."""

    @abstractmethod
    def unreduced_smooth(self, outputs: Tensor, targets: Tensor, temperature: float | Tensor) -> Tensor:
        """The numbers whose mean is the smooth loss, of the same shape."""


def check_temperature(temperature: float | Tensor) -> None:
    """Raises ValueError unless it is a number > 0 or a tensor (): what is in that may not be looked at under vmap."""
    fits = temperature.dim() == 0 if isinstance(temperature, Tensor) else 0 < temperature < math.inf
    if not fits:
        raise ValueError(f"temperature must be a finite number > 0 or a tensor of shape (), got {temperature}")


def positive(name: str, value: float) -> float:
    """The value as a float. Raises ValueError unless it is > 0 and finite."""
    if not 0 < value < math.inf:
        raise ValueError(f"{name} must be > 0 and finite, got {value}")
    return float(value)


def wide(outputs: Tensor) -> Tensor:
    """The outputs with a dtype that counts and sums of a batch fit into."""
    return outputs.to(torch.promote_types(outputs.dtype, torch.float32))


def nan_where(broken: Tensor, values: Tensor) -> Tensor:
    """NaN where outputs were: a comparison with NaN is just false, and would hide that training went astray."""
    return torch.where(broken, math.nan, values)
