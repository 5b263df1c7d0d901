"""Local search by autograd, from the best point that a strategy has found."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from thalweg.optim import RuleOptimizer
from thalweg.rules import Rule
from thalweg.rules.gallery import GALLERY, find
from thalweg.search.checks import check_whole, check_within

Floats = NDArray[np.float64]
Slope = Callable[[Floats], tuple[float, Floats]]
Answer = tuple[float, Tensor]  # a value, and the gradient (D,)


class _Over(Exception):
    """A local search has reached the target, has spent what it may, or has met what is no number."""


@dataclass(frozen=True)
class LBFGS:
    """L-BFGS in the box (Byrd, Lu, Nocedal and Zhu, SIAM J. Sci. Comput. 16, 1995; scipy's), at most so many
    `iterations`, with a memory of so many steps; until an iteration gains less than `tolerance` of the value."""

    iterations: int = 1000
    memory: int = 10
    tolerance: float = 1e-9

    def __post_init__(self) -> None:
        check_whole(iterations=self.iterations, memory=self.memory)
        check_within("[0, inf]", tolerance=self.tolerance)

    def descend(self, slope: Slope, x: Floats, low: Floats, high: Floats, width: Floats) -> None:
        """Calls `slope`, which may raise to end it, at x (D,) and from there on downhill, inside the box."""
        from scipy.optimize import minimize  # most searches do without

        options = {"maxiter": self.iterations, "maxcor": self.memory, "maxfun": 2**31 - 1, "gtol": 0.0}
        minimize(
            slope,
            x,
            jac=True,
            method="L-BFGS-B",
            bounds=np.stack([low, high], axis=1),
            options=options | {"ftol": self.tolerance},
        )


@dataclass(frozen=True)
class Descent:
    """`steps` steps of an optimizer of ours, a rule or its name in the gallery.

    The box is one wide in every dimension as the optimizer sees it, and `lr` is of that; it falls to zero in half a
    cosine. Weights that leave the box are set back to its side.
    """

    optimizer: str | Rule = "adam"
    lr: float = 0.02
    steps: int = 100

    def __post_init__(self) -> None:
        check_whole(steps=self.steps)
        check_within("(0, inf]", lr=self.lr)

    def descend(self, slope: Slope, x: Floats, low: Floats, high: Floats, width: Floats) -> None:
        """As that of `LBFGS`."""
        rule = find(self.optimizer).rule if isinstance(self.optimizer, str) else self.optimizer
        weight = torch.zeros(len(x), dtype=torch.float64)  # how far from x, in widths of the box
        optimizer = RuleOptimizer([weight], rule, lr=self.lr, backend="plain")
        for step in range(self.steps):
            at = np.clip(x + width * weight.numpy(), low, high)
            weight.copy_(torch.from_numpy((at - x) / width))
            _, gradient = slope(at)
            weight.grad = torch.from_numpy(width * gradient)
            optimizer.param_groups[0]["lr"] = self.lr * (1 + math.cos(math.pi * step / self.steps)) / 2
            optimizer.step()


Refine = LBFGS | Descent


def refine_named(refine: str | Refine | None) -> Refine | None:
    """The local search of this name. Raises ValueError if there is none."""
    if refine is None or isinstance(refine, (LBFGS, Descent)):
        return refine
    if refine == "lbfgs":
        return LBFGS()
    if isinstance(refine, str) and refine.replace("-", "_") in GALLERY:
        return Descent(refine)
    raise ValueError(
        "refine must be None, 'lbfgs', the name of an optimizer such as 'adam', an LBFGS or a Descent, got "
        f"{refine!r:.80}"
    )


def refined(
    how: Refine,
    slope: Callable[[Tensor], Answer],
    x: Tensor,
    box: tuple[Tensor, Tensor, Tensor],
    most: int,
    target: float,
    done: list[Answer],
    after_each: Callable[[], None],
) -> tuple[Tensor, Tensor]:
    """A local search from x (D,) in a box of sides low and high and a width: its points (m, D) and values (m,), in the
    order in which they were evaluated.

    `slope` gives the value and the gradient of a point, at most `most` times, and not after the first value of at most
    `target`. `done` has its first answers where they are known already, and gets the others as they arrive, after each
    of which `after_each` is called.
    """
    points: list[Tensor] = []
    known = len(done)

    def answered(at: Floats) -> tuple[float, Floats]:
        points.append(torch.from_numpy(np.array(at)).to(x))
        if len(points) > known:
            done.append(slope(points[-1]))
            after_each()
        value, gradient = done[len(points) - 1]
        if value <= target or len(points) >= most or not math.isfinite(value) or not bool(gradient.isfinite().all()):
            raise _Over
        return value, gradient.double().cpu().numpy()

    start, *sides = (part.double().cpu().numpy() for part in (x, *box))
    with suppress(_Over):
        how.descend(answered, start, *sides)
    return torch.stack(points), torch.tensor([value for value, _ in done], dtype=x.dtype, device=x.device)
