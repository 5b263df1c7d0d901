"""Fits a family's hyperparameters so that its steps match given ones."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from thalweg.evolve.judgement.families import Family
from thalweg.evolve.judgement.streams import Streams, steps_on

ROUNDS = 8
_DAMPINGS = torch.tensor([1e-9, 1e-3, 1e-1, 1e1], dtype=torch.float64)
_NUDGE = 1e-5  # of a place, for differences
_AROUND = torch.tensor([-0.66, -0.33, 0.0, 0.33, 0.66], dtype=torch.float64)  # of a grid's spacing
_FLOOR = 1e-4  # of the largest energy of a weight's steps: what moves less counts less
_LONGEST = 2.0  # of a move in log-odds


@dataclass(frozen=True)
class Fit:
    """Scalars by name, lr among them, and the relative L2 error of the steps."""

    scalars: dict[str, float]
    error: float


class Target:
    """Steps to be matched, each weight's scaled so that weights that move far do not drown the others."""

    def __init__(self, steps: torch.Tensor, streams: Streams) -> None:
        energy = steps.square().sum(0)
        self.streams = streams
        self.scale = (energy + _FLOOR * energy.max()).rsqrt()
        self.steps = (steps * self.scale).flatten()
        self.energy = float(self.steps.square().sum())

    def matched(self, family: Family, places: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """For each place: the best lr, the relative error with it, and what is left of the steps, scaled.

        The steps are proportional to lr, so that the best is found in closed form. Where the best were below zero, and
        where the family overflows, lr is 0.
        """
        taken = (steps_on(family.rule, self.streams, family.settings(places)) * self.scale).flatten(1)
        finite = taken.isfinite().all(1, keepdim=True)
        taken = torch.where(finite, taken, 0.0)
        own = taken.square().sum(1)
        usable = (own > 0) & own.isfinite()
        along = (taken * self.steps).sum(1)  # no product of BLAS: its last bits follow where memory lies
        lr = torch.where(usable, along / torch.where(usable, own, 1.0), 0.0).clamp(min=0.0)
        left = self.steps - lr[:, None] * taken
        return lr, (left.square().sum(1) / self.energy).sqrt(), left


def first_guess(family: Family, target: Target) -> tuple[torch.Tensor, float]:
    """The best point of the family's grid, and its error."""
    places = family.grid()
    _, errors, _ = target.matched(family, places)
    best = int(errors.argmin())
    return places[best], float(errors[best])


def fit(family: Family, target: Target, place: torch.Tensor) -> Fit:
    """The nearest member of a family, from a first guess: finer grids around it, then Levenberg and Marquardt.

    The grids serve families whose steps are signs, which have no derivatives.
    """
    if family.fitted:
        width = family.spacing()
        offsets = torch.cartesian_prod(*[_AROUND] * len(width)).reshape(-1, len(width))
        for _ in range(family.zooms):
            places = place + offsets * width
            _, errors, _ = target.matched(family, places)
            place = places[int(errors.argmin())]
            width = width / (2 if family.signs else 3)
        place = _refined(family, target, place)
    lr, error, _ = target.matched(family, place[None])
    scalars = {name: float(values[0]) for name, values in family.settings(place[None]).items()}
    return Fit({"lr": float(lr[0]), **scalars}, float(error[0]))


def _refined(family: Family, target: Target, place: torch.Tensor) -> torch.Tensor:
    """Levenberg and Marquardt's steps, each the best of four dampings, while they help."""
    count = len(place)
    nudges = torch.cat([torch.zeros(1, count, dtype=torch.float64), _NUDGE * torch.eye(count, dtype=torch.float64)])
    for _ in range(ROUNDS):
        _, errors, left = target.matched(family, place + nudges)
        slopes = (left[1:] - left[0]) / _NUDGE
        normal, pull = (slopes[:, None] * slopes).sum(2), (slopes * left[0]).sum(1)
        diagonal = torch.diag(normal.diagonal().clamp(min=1e-12))
        # Least squares by LAPACK would take the last bits from where its work space lies, too.
        moves = [torch.linalg.solve_ex(normal + damping * diagonal, -pull).result for damping in _DAMPINGS]
        trials = place + torch.stack(moves).nan_to_num().clamp(-_LONGEST, _LONGEST)
        _, tried, _ = target.matched(family, trials)
        if not tried.min() < errors[0]:
            break
        helped = float(errors[0] - tried.min())
        place = trials[int(tried.argmin())]
        if helped < 1e-7:
            break
    return place
