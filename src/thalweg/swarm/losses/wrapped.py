"""Losses made of other functions: of outputs that are rounded, and of a scorer that is not torch."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from numbers import Real
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from thalweg.swarm.losses.base import HardLoss, Level, SeparableLoss, check_temperature, positive, wide

# What torch's own losses make of each sample and of each element, unless an option makes them a weighted mean.
TORCH_BY_SAMPLE = (functional.cross_entropy, functional.nll_loss)
TORCH_BY_ELEMENT = (
    functional.mse_loss,
    functional.l1_loss,
    functional.smooth_l1_loss,
    functional.huber_loss,
    functional.binary_cross_entropy,
    functional.binary_cross_entropy_with_logits,
)
PLAIN_OPTIONS = {"label_smoothing", "beta", "delta"}


@dataclass(frozen=True)
class Quantised(HardLoss):
    """Another loss of outputs that are rounded to multiples of `step`, those halfway to even ones.

    Arguments:
        loss: one of those here, or a function `(outputs, targets)` such as torch's cross_entropy or a partial of it.
        step: > 0, in units of the outputs.

    The level is that of the inner loss, "joint" for functions other than torch's usual ones. The smooth loss rounds as
    well, but its gradient passes the rounding as if there were none ("straight-through"; Bengio et al. 2013); an inner
    loss from here is its smooth one.

    Raises ValueError where an argument is out of its range.

    >>> loss = Quantised(functional.mse_loss, step=0.5)
    >>> loss(torch.tensor([0.6]), torch.tensor([1.0])).item()
    0.25
    """

    loss: Callable[[Tensor, Tensor], Tensor]
    step: float

    def __post_init__(self) -> None:
        if not callable(self.loss):
            raise ValueError(f"loss must be a loss from here or a function (outputs, targets), got {self.loss!r}")
        if isinstance(self.loss, nn.Module):  # what it prints, which tells one task from another, leaves out constants
            raise ValueError(
                f"loss must be a loss from here or a function, got the module {self.loss!r}: use a function such as "
                "torch.nn.functional.cross_entropy, with functools.partial where it has options"
            )
        object.__setattr__(self, "step", positive("step", self.step))

    @property
    def level(self) -> Level:
        """What the inner loss can tell apart."""
        if isinstance(self.loss, HardLoss):
            return self.loss.level
        function: Any = self.loss
        if isinstance(function, partial) and not function.args and function.keywords.keys() <= PLAIN_OPTIONS:
            function = function.func
        return "sample" if function in TORCH_BY_SAMPLE else "element" if function in TORCH_BY_ELEMENT else "joint"

    def __call__(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return self.loss(self._rounded(outputs), targets)

    def unreduced(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The numbers whose mean is the loss, (n,) or of the outputs' shape. Raises ValueError at level "joint"."""
        if self.level == "joint":
            raise ValueError(f"{self.loss!r} is one number for the whole batch: there is nothing unreduced")
        rounded = self._rounded(outputs)
        if isinstance(self.loss, (SeparableLoss, Quantised)):
            return self.loss.unreduced(rounded, targets)
        torchs_own: Callable[..., Tensor] = self.loss
        values = torchs_own(rounded, targets, reduction="none")
        return values.reshape(len(outputs), -1).mean(dim=1) if self.level == "sample" else values

    def smooth(self, outputs: Tensor, targets: Tensor, temperature: float | Tensor) -> Tensor:
        check_temperature(temperature)
        passed = self._rounded(outputs).detach() + (outputs - outputs.detach())  # adds 0, and its gradient
        if isinstance(self.loss, HardLoss):
            return self.loss.smooth(passed, targets, temperature)
        return self.loss(passed, targets)

    def _rounded(self, outputs: Tensor) -> Tensor:
        return (wide(outputs) / self.step).round() * self.step


@dataclass(frozen=True)
class BlackBox(HardLoss):
    """Any scorer: `function(outputs, targets)` of two NumPy arrays, which are its own to change; better when lower.

    It returns one number. There is no smooth form, and it cannot run under `torch.vmap`.

    Raises ValueError where the function fails or returns something else.

    >>> loss = BlackBox(lambda outputs, targets: float((outputs.argmax(1) != targets).mean()))
    >>> loss(torch.eye(4), torch.tensor([0, 1, 2, 0])).item()
    0.25
    """

    function: Callable[[Any, Any], Any]
    level = "joint"

    def __post_init__(self) -> None:
        if not callable(self.function):
            raise ValueError(f"function must be callable as function(outputs, targets), got {self.function!r}")

    def __call__(self, outputs: Tensor, targets: Tensor) -> Tensor:
        try:
            arrays = _array(outputs), _array(targets)
        except RuntimeError as error:
            raise ValueError(
                f"{self._name} needs arrays, and there are none under torch.vmap or torch.func.grad: call the loss for "
                "one batch at a time"
            ) from error
        shown = f"{self._name}, on outputs of shape {tuple(outputs.shape)} and targets of {tuple(targets.shape)},"
        try:
            value = self.function(*arrays)
        except Exception as error:  # whatever a user's own code raises
            raise ValueError(f"{shown} failed: {type(error).__name__}: {error}") from error
        alone = isinstance(value, (Tensor, np.ndarray, np.generic)) and math.prod(value.shape) == 1
        number = value.item() if alone else value
        if not isinstance(number, Real):
            raise ValueError(f"{shown} must return one number, got {value!r}")
        return torch.tensor(float(number), dtype=wide(outputs).dtype, device=outputs.device)

    def smooth(self, outputs: Tensor, targets: Tensor, temperature: float | Tensor) -> Tensor:
        raise NotImplementedError(f"{self._name} has no smooth form: all that is known of it is what it returns")

    @property
    def _name(self) -> str:
        return f"BlackBox of {getattr(self.function, '__name__', type(self.function).__name__)}"


def _array(values: Tensor) -> np.ndarray:
    values = wide(values) if values.is_floating_point() else values  # NumPy has no bfloat16
    return values.detach().cpu().numpy().copy()
