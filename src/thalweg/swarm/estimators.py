"""What a swarm gradient has to beat: other gradients of a loss that need its values alone, and a smooth surrogate.

All are called as `SwarmGradient` is. Estimators are of the loss smoothed over `sigma`, so that a loss made of steps has
a gradient to be estimated at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from thalweg.swarm.draws import random_bits
from thalweg.swarm.objective import LossFunction
from thalweg.swarm.outputs import OutputGradient, Piece, check_positive, evaluated, of_members, pieces, working

MOST = 1 << 21  # numbers that candidates take at once


class _Estimator(OutputGradient):
    """The slope of a loss along directions, by two-sided differences of `sigma`: `evaluations` in all, two each."""

    def __init__(
        self,
        loss_fn: LossFunction,
        *,
        evaluations: int = 200,
        sigma: float | Tensor = 0.1,
        level: str | None = None,
        reduction: str = "mean",
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(loss_fn, level=level, reduction=reduction, generator=generator)
        if not isinstance(evaluations, int) or evaluations < 2 or evaluations % 2:
            raise ValueError(f"evaluations must be an even whole number >= 2, got {evaluations!r}")
        check_positive("sigma", sigma)
        self.evaluations = self._budget = evaluations
        self.sigma = sigma

    @torch.compiler.disable  # what is drawn and evaluated is no part of the network's program
    def gradients(self, outputs: Tensor, targets: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        return evaluated(outputs.device, lambda: self._gradients(working(outputs), targets, generators))

    def _gradients(self, outputs: Tensor, targets: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        _, dimensions = self.objective.problems(outputs)
        y = outputs.reshape(-1, dimensions)
        sigma = of_members("sigma", self.sigma, outputs)
        sigmas = torch.as_tensor(sigma).to(outputs).expand_as(outputs).reshape(-1, dimensions)
        parts = []
        for piece in pieces(self.objective, outputs, targets, 2 * self._budget, MOST):
            at, size = y[piece.problems], sigmas[piece.problems]
            own = [generators[i] for i in piece.members]
            directions = self._directions((self._budget // 2, *at.shape), own, at)
            parts.append(self._slope(piece, at, size, directions))
        return torch.cat(parts).reshape(outputs.shape) / self.objective.terms(outputs, self.reduction)

    def _slope(self, piece: Piece, y: Tensor, sigma: Tensor, directions: Tensor) -> Tensor:
        """The mean over the directions of slope times direction; a slope that is not finite counts as flat."""
        both = torch.cat([y + sigma * directions, y - sigma * directions])
        ahead, behind = piece.evaluate(both).chunk(2)
        slopes = ((ahead - behind) / (2 * sigma[:, 0])).nan_to_num(0.0, 0.0, 0.0)
        return torch.einsum("pn,pnd->nd", slopes, directions) * self._weight(directions)

    def _weight(self, directions: Tensor) -> float | Tensor:
        """What makes a sum over directions the gradient."""
        return 1 / len(directions)

    def _directions(self, shape: tuple[int, ...], generators: Sequence[torch.Generator], like: Tensor) -> Tensor:
        """Directions (directions, problems, dimensions); each member draws those of its own problems."""
        raise NotImplementedError


class SPSA(_Estimator):
    """Simultaneous perturbation (Spall 1992): directions of +1 and -1.

    Arguments: those of `OutputGradient`; `evaluations` of a batch a call, `sigma` how far they are from the output.
    """

    def _directions(self, shape: tuple[int, ...], generators: Sequence[torch.Generator], like: Tensor) -> Tensor:
        signs = [random_bits(part, generator) for part, generator in _by_member(shape, generators)]
        return torch.cat(signs, dim=1).ge(0).to(like.dtype) * 2 - 1


class EvolutionStrategy(_Estimator):
    """Antithetic Gaussian directions: the gradient of the loss smoothed by a Gaussian of width `sigma` (Nesterov and
    Spokoiny 2017, eq. 26; Salimans et al. 2017 without their ranks)."""

    def _directions(self, shape: tuple[int, ...], generators: Sequence[torch.Generator], like: Tensor) -> Tensor:
        parts = [
            torch.randn(part, generator=generator, dtype=like.dtype, device=like.device)
            for part, generator in _by_member(shape, generators)
        ]
        return torch.cat(parts, dim=1)


class CentralDifferences(_Estimator):
    """Two-sided differences along the axes.

    Where `evaluations` allow several for each axis, they are of different sizes around `sigma`, evenly from near 0 to
    twice as much, the larger counting more; where they do not allow one for each, as many axes as they do are drawn
    anew at each call, scaled so that the mean is that of all. It takes what of `evaluations` comes out even.
    """

    def _directions(self, shape: tuple[int, ...], generators: Sequence[torch.Generator], like: Tensor) -> Tensor:
        budget, problems, dimensions = shape
        one_hot = torch.nn.functional.one_hot
        if dimensions > budget:
            parts = _by_member(shape, generators)
            keys = torch.cat([random_bits(part[1:], generator) for part, generator in parts])
            return one_hot(keys.argsort(dim=1)[:, :budget], dimensions).transpose(0, 1).to(like)
        times = budget // dimensions
        sizes = (torch.arange(times, device=like.device) + 0.5) * (2 / times)
        axes = one_hot(torch.arange(dimensions, device=like.device)).to(like)
        along = (sizes.to(like).reshape(-1, 1, 1) * axes).flatten(0, 1)
        return along.unsqueeze(1).expand(-1, problems, -1)

    def _weight(self, directions: Tensor) -> Tensor:
        return directions.shape[2] / directions[:, 0].square().sum()


class SmoothSurrogate(OutputGradient):
    """The gradient of a differentiable loss in place of the true one: what a practitioner would do.

    That is `smooth(outputs, targets, temperature)` of the loss, or the loss that `surrogate` names in
    `torch.nn.functional`, of outputs / temperature. `temperature` says how soft decisions are, a number or one for each
    member. Raises ValueError where there is no such loss.
    """

    evaluations = 0

    def __init__(
        self,
        loss_fn: LossFunction,
        *,
        temperature: float | Tensor = 1.0,
        surrogate: str | None = None,
        level: str | None = None,
        reduction: str = "mean",
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(loss_fn, level=level, reduction=reduction, generator=generator)
        if surrogate is not None and not callable(getattr(torch.nn.functional, surrogate, None)):
            raise ValueError(f"surrogate must be a loss of torch.nn.functional by name, got {surrogate!r}")
        if surrogate is None and not callable(getattr(loss_fn, "smooth", None)):
            raise ValueError(f"loss_fn must have a `smooth(outputs, targets, temperature)`, but {loss_fn!r} has none")
        check_positive("temperature", temperature)
        self.temperature = temperature
        self.surrogate = surrogate

    def gradients(self, outputs: Tensor, targets: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        temperature = torch.as_tensor(of_members("temperature", self.temperature, outputs)).flatten()
        temperatures = temperature.to(working(outputs)).expand(len(outputs))
        slope: Any = torch.vmap(torch.func.grad(self._smooth))(working(outputs).detach(), targets, temperatures)
        return slope if self.reduction == "mean" else slope * self.objective.terms(outputs, "mean")

    def _smooth(self, outputs: Tensor, targets: Tensor, temperature: Tensor) -> Tensor:
        if self.surrogate is not None:
            return getattr(torch.nn.functional, self.surrogate)(outputs / temperature, targets)
        return self.loss_fn.smooth(outputs, targets, temperature)  # type: ignore[attr-defined]


def _by_member(shape: tuple[int, ...], generators: Sequence[torch.Generator]) -> list[tuple[Any, torch.Generator]]:
    """A shape (directions, problems, dimensions) shared among members, with the generator of each."""
    count, problems, dimensions = shape
    return [((count, problems // len(generators), dimensions), generator) for generator in generators]
