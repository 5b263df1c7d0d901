"""`OutputGradient`: a loss whose gradient with respect to a network's outputs is not what autograd would make it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from thalweg.swarm.objective import LossFunction, Objective
from thalweg.swarm.search import Evaluate

REDUCTIONS = ("mean", "sum")


class OutputGradient:
    """A loss as a network is trained with it: its value is that of `loss_fn`, its gradient another one's.

    Called as `(outputs, targets)` with outputs (n, ...) it returns a tensor of one number, which is bit for bit the
    value of `loss_fn`, averaged or summed, and which backpropagates. Outputs are searched in float32, or in float64
    where they are that. Subclasses say what the gradient is.

    Arguments:
        loss_fn: `(outputs, targets)`, unreduced: one number an element or a sample; or one for the whole batch, with
            level="joint". A plain Python function does. It is called with many candidates as one large batch; a joint
            one is recorded once for each shape of a batch, so that nothing but its arguments may change what it is.
        level: "element", "sample" or "joint"; None is the loss's own, as `thalweg.swarm.losses` have one, "sample"
            for cross entropy, else "element".
        reduction: "mean" or "sum" over what the level tells apart; several numbers for one of that are averaged.
        generator: where random numbers come from, on the device of the outputs. Without one the seed is 0.

    `evaluations` is how often a call evaluates the loss of a whole batch; the value itself is not counted.

    Raises ValueError, naming the argument; at a call where outputs are empty, not floating point, or on another device
    than targets or generator, and where the loss returns no number for each of what its level tells apart.
    """

    evaluations: int

    def __init__(
        self,
        loss_fn: LossFunction,
        *,
        level: str | None = None,
        reduction: str = "mean",
        generator: torch.Generator | None = None,
    ) -> None:
        if reduction not in REDUCTIONS:
            raise ValueError(f"reduction must be one of {', '.join(REDUCTIONS)}, got {reduction!r}")
        if generator is not None and not isinstance(generator, torch.Generator):
            raise ValueError(f"generator must be a torch.Generator or None, got {generator!r}")
        self.objective = Objective(loss_fn, level)
        self.loss_fn = loss_fn
        self.level = self.objective.level
        self.reduction = reduction
        self.generator = generator

    def __call__(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The loss of outputs (n, ...), one number."""
        generator = self._checked_generator(outputs, targets)
        with torch.no_grad():
            value = self.objective.value(outputs, targets, self.reduction)
        model = self._model(outputs, targets, generator)
        return value + (model - model.detach()).to(value.dtype)

    def gradients(self, outputs: Tensor, targets: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        """The gradients of several networks at once: outputs (members, n, ...), targets (members, n, ...), and a
        generator for each member; in the outputs' shape. Constants may be tensors with a number for each member."""
        raise NotImplementedError

    def _model(self, outputs: Tensor, targets: Tensor, generator: torch.Generator) -> Tensor:
        """A function of the outputs whose gradient is ours."""
        gradient = self.gradients(outputs.detach().unsqueeze(0), targets.unsqueeze(0), [generator])[0]
        return (working(outputs) * gradient).sum()

    def _checked_generator(self, outputs: Tensor, targets: Tensor) -> torch.Generator:
        for name, given in (("outputs", outputs), ("targets", targets)):
            if not isinstance(given, Tensor):
                raise TypeError(f"{name} must be a tensor, got {given!r:.80}")
        if not outputs.is_floating_point():
            raise ValueError(f"outputs must be floating point, got {outputs.dtype}")
        if outputs.numel() == 0:
            raise ValueError(f"outputs must not be empty, got shape {tuple(outputs.shape)}")
        if outputs.dim() == 0 or targets.dim() == 0 or len(outputs) != len(targets):
            raise ValueError(
                f"outputs and targets must be of as many samples, got shapes {tuple(outputs.shape)} and "
                f"{tuple(targets.shape)}"
            )
        if targets.device != outputs.device:
            raise ValueError(f"targets must be on {outputs.device} as the outputs are, got {targets.device}")
        if self.generator is None:
            self.generator = torch.Generator(outputs.device).manual_seed(0)
        if self.generator.device.type != outputs.device.type:
            raise ValueError(f"generator must be on {outputs.device} as the outputs are, got {self.generator.device}")
        return self.generator


def working(outputs: Tensor) -> Tensor:
    """Outputs in the precision in which candidates are searched."""
    return outputs if outputs.dtype == torch.float64 else outputs.float()


def check_positive(name: str, value: Any) -> None:
    """Raises ValueError unless it is > 0 and finite: a number, or a tensor of one for each member."""
    try:
        sizes = torch.as_tensor(value)
        fits = bool((sizes > 0).all() and sizes.isfinite().all())
    except (TypeError, ValueError, RuntimeError):
        fits = False
    if not fits:
        raise ValueError(f"{name} must be > 0 and finite, got {value!r}")


def of_members(name: str, value: float | Tensor, like: Tensor) -> float | Tensor:
    """A constant, or one number a member, as it broadcasts with (members, n, ...)."""
    if not isinstance(value, Tensor) or value.dim() == 0:
        return value
    if value.shape != (len(like),):
        shape = tuple(value.shape)
        raise ValueError(f"{name} must be a number, or one for each of {len(like)} members, got shape {shape}")
    return value.to(like).reshape(-1, *[1] * (like.dim() - 1))


def evaluated(device: torch.device, call: Callable[[], Any]) -> Any:
    """What a call comes to, without autograd and autocast."""
    with torch.no_grad(), torch.autocast(device.type, enabled=False):
        return call()


@dataclass(frozen=True)
class Piece:
    """Problems that are worked on at once, those of whole members or of some rows of one: which members, which of all
    problems, their outputs and targets, and what evaluates candidates for them."""

    members: range
    problems: slice
    outputs: Tensor
    targets: Tensor
    evaluate: Evaluate


def pieces(objective: Objective, outputs: Tensor, targets: Tensor, numbers: int, most: int) -> Iterator[Piece]:
    """All problems of outputs (members, n, ...) in their order, in pieces of at most about `most` numbers, where one
    dimension of a problem takes `numbers`. A member's problems are cut the same whoever else is there."""
    joint = objective.level == "joint"
    rows = 1 if joint else outputs.shape[1]  # of a member
    each, dimensions = objective.problems(outputs)  # of a row
    if not joint:
        outputs, targets = outputs.flatten(0, 1), targets.flatten(0, 1)
    fit = max(1, most // max(1, numbers * each * dimensions))
    if fit >= rows:
        cuts = list(range(0, len(outputs), fit // rows * rows))
    else:
        cuts = [start for first in range(0, len(outputs), rows) for start in range(first, first + rows, fit)]
    for start, stop in zip(cuts, [*cuts[1:], len(outputs)], strict=True):
        own, own_targets = outputs[start:stop], targets[start:stop]
        members = range(start // rows, (stop - 1) // rows + 1)
        evaluate = objective.evaluator(own.shape, own_targets)
        yield Piece(members, slice(start * each, stop * each), own, own_targets, evaluate)


def broadcasting(numbers: Tensor, outputs: Tensor, level: str) -> Tensor:
    """Numbers of problems, (problems, dimensions or 1), as they broadcast with the outputs (members, n, ...)."""
    if numbers.numel() == outputs.numel():
        return numbers.reshape(outputs.shape)
    alone = 1 if level == "joint" else 2  # leading axes along which problems lie
    return numbers.reshape(*outputs.shape[:alone], *[1] * (outputs.dim() - alone))
