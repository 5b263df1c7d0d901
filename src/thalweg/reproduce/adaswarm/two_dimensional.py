"""The test functions of the plane on which the paper's supplement sets EMPSO beside MPSO (its tables 12 to 15).

Those are the functions, and where they are bounded the domains, of Wikipedia's "Test functions for optimization", whose
list the supplement has; Rosenbrock's is unbounded there and is searched on the square of Surjanovic and Bingham's
collection. The minima are the published ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from thalweg.swarm.minimize import Function

Plane = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Problem:
    """A function of points (..., D), between bounds (numbers for all D, or a number for each), and its known minimum:
    the value and where it is taken, in one of the places."""

    name: str
    f: Function
    bounds: tuple[Any, Any]
    minimum: float
    at: tuple[float, ...]

    @property
    def dim(self) -> int:
        return len(self.at)


@dataclass(frozen=True)
class Bounded:
    """A function with constraints, all of them `g(x) <= 0`; `excess` (..., constraints) are the g.

    Called, it is f where all hold, and above `ceiling`, which no value of f within the bounds exceeds, where not: there
    it is the more the more they are broken, and no broken point can look better than a proper one (Deb 2000).
    """

    f: Function
    excess: Function
    ceiling: float

    def __call__(self, x: Tensor) -> Tensor:
        broken = self.excess(x).clamp(min=0).sum(-1)
        return torch.where(broken > 0, self.ceiling + broken, self.f(x))


def _of(f: Plane) -> Function:
    return lambda p: f(p[..., 0], p[..., 1])


def _ackley(x: Tensor, y: Tensor) -> Tensor:
    waves = (torch.cos(2 * math.pi * x) + torch.cos(2 * math.pi * y)) / 2
    return -20 * (-0.2 * ((x**2 + y**2) / 2).sqrt()).exp() - waves.exp() + math.e + 20


def _rosenbrock(x: Tensor, y: Tensor) -> Tensor:
    return (1 - x) ** 2 + 100 * (y - x**2) ** 2


def _beale(x: Tensor, y: Tensor) -> Tensor:
    return (1.5 - x + x * y) ** 2 + (2.25 - x + x * y**2) ** 2 + (2.625 - x + x * y**3) ** 2


def _goldstein_price(x: Tensor, y: Tensor) -> Tensor:
    first = 19 - 14 * x + 3 * x**2 - 14 * y + 6 * x * y + 3 * y**2
    second = 18 - 32 * x + 12 * x**2 + 48 * y - 36 * x * y + 27 * y**2
    return (1 + (x + y + 1) ** 2 * first) * (30 + (2 * x - 3 * y) ** 2 * second)


def _levi13(x: Tensor, y: Tensor) -> Tensor:
    first, second = torch.sin(3 * math.pi * x) ** 2, 1 + torch.sin(3 * math.pi * y) ** 2
    return first + (x - 1) ** 2 * second + (y - 1) ** 2 * (1 + torch.sin(2 * math.pi * y) ** 2)


def _easom(x: Tensor, y: Tensor) -> Tensor:
    return -torch.cos(x) * torch.cos(y) * (-((x - math.pi) ** 2) - (y - math.pi) ** 2).exp()


def _cross_in_tray(x: Tensor, y: Tensor) -> Tensor:
    height = (100 - (x**2 + y**2).sqrt() / math.pi).abs().exp()
    return -0.0001 * ((torch.sin(x) * torch.sin(y) * height).abs() + 1) ** 0.1


def _mishra_bird(x: Tensor, y: Tensor) -> Tensor:
    first = torch.sin(y) * ((1 - torch.cos(x)) ** 2).exp()
    return first + torch.cos(x) * ((1 - torch.sin(y)) ** 2).exp() + (x - y) ** 2


FREE = (  # tables 12 and 14
    Problem("ackley", _of(_ackley), (-5, 5), 0, (0, 0)),
    Problem("rosenbrock", _of(_rosenbrock), (-5, 10), 0, (1, 1)),
    Problem("beale", _of(_beale), (-4.5, 4.5), 0, (3, 0.5)),
    Problem("goldstein_price", _of(_goldstein_price), (-2, 2), 3, (0, -1)),
    Problem("booth", _of(lambda x, y: (x + 2 * y - 7) ** 2 + (2 * x + y - 5) ** 2), (-10, 10), 0, (1, 3)),
    Problem(
        "bukin6",
        _of(lambda x, y: 100 * (y - 0.01 * x**2).abs().sqrt() + 0.01 * (x + 10).abs()),
        ([-15.0, -3.0], [-5.0, 3.0]),
        0,
        (-10, 1),
    ),
    Problem("matyas", _of(lambda x, y: 0.26 * (x**2 + y**2) - 0.48 * x * y), (-10, 10), 0, (0, 0)),
    Problem("levi13", _of(_levi13), (-10, 10), 0, (1, 1)),
    Problem("himmelblau", _of(lambda x, y: (x**2 + y - 11) ** 2 + (x + y**2 - 7) ** 2), (-5, 5), 0, (3, 2)),
    Problem("three_hump_camel", _of(lambda x, y: 2 * x**2 - 1.05 * x**4 + x**6 / 6 + x * y + y**2), (-5, 5), 0, (0, 0)),
    Problem("easom", _of(_easom), (-100, 100), -1, (math.pi, math.pi)),
    Problem("cross_in_tray", _of(_cross_in_tray), (-10, 10), -2.062611870822739, (1.349406608602084,) * 2),
)
CONSTRAINED = (  # tables 13 and 15
    Problem(
        "mishra_bird",
        Bounded(_of(_mishra_bird), _of(lambda x, y: ((x + 5) ** 2 + (y + 5) ** 2 - 25)[..., None]), 1e3),
        ([-10.0, -6.5], [0.0, 0.0]),
        -106.764536749265,
        (-3.1302468, -1.5821422),
    ),
    Problem(
        "rosenbrock_cubic_line",
        Bounded(_of(_rosenbrock), _of(lambda x, y: torch.stack([(x - 1) ** 3 - y + 1, x + y - 2], dim=-1)), 1e4),
        ([-1.5, -0.5], [1.5, 2.5]),
        0,
        (1, 1),
    ),
    Problem(
        "rosenbrock_disk",
        Bounded(_of(_rosenbrock), _of(lambda x, y: (x**2 + y**2 - 2)[..., None]), 1e4),
        (-1.5, 1.5),
        0,
        (1, 1),
    ),
)
