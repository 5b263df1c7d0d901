"""The functions of one number that the paper descends on (Tables I to III) and takes gradients of (supplement, 4)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from thalweg.swarm.minimize import Function

WIDE = (-10.0, 10.0)  # where a minimum must be the least to be called a global one
GRID = 200_001


@dataclass(frozen=True)
class FunctionOfOne:
    """A function, elementwise, with its derivative in closed form and how it is written.

    `domain`: where swarms search and descents stay; the paper says nothing of it. `starts`: where descents begin,
    `domain` where that is None. `near`: how far from the optimum its gradient is shown.
    """

    name: str
    text: str
    f: Function
    slope: Function
    domain: tuple[float, float]
    starts: tuple[float, float] | None = None
    near: float = 0.5

    def f_of_points(self, x: Tensor) -> Tensor:
        """The same for points (..., 1)."""
        return self.f(x[..., 0])

    def least(self, domain: tuple[float, float]) -> tuple[float, float]:
        """Where it is least on a grid of 200,001 points of a domain, and its value there."""
        low, high = domain
        x = low + (high - low) * torch.arange(GRID, dtype=torch.float64) / (GRID - 1)
        value, at = self.f(x).nan_to_num(nan=torch.inf, posinf=torch.inf).min(0)
        return float(x[at]), float(value)


def _cbrt_sin(x: Tensor) -> Tensor:
    return torch.where(x > 0, x.clamp(min=0) ** (1 / 3) + x.sin(), 0.0)


def _cbrt_sin_slope(x: Tensor) -> Tensor:
    return torch.where(x > 0, x.clamp(min=1e-300) ** (-2 / 3) / 3 + x.cos(), 0.0)


DIFFERENTIABLE = (  # Tables I and II
    FunctionOfOne(
        "3x5_x10", "−(3x⁵ − x¹⁰)", lambda x: x**10 - 3 * x**5, lambda x: 10 * x**9 - 15 * x**4, (-1.5, 1.5), near=0.2
    ),
    FunctionOfOne("cubic", "x³ − 3x² + 7", lambda x: x**3 - 3 * x**2 + 7, lambda x: 3 * x**2 - 6 * x, (0.0, 4.0)),
    FunctionOfOne(
        "exp_cos",
        "−exp(cos x²) + x²",
        lambda x: x**2 - (x**2).cos().exp(),
        lambda x: 2 * x + 2 * x * (x**2).sin() * (x**2).cos().exp(),
        (-2.0, 2.0),
    ),
    FunctionOfOne(
        "x15",
        "x¹⁵ − sin x + exp(x⁶)",
        lambda x: x**15 - x.sin() + (x**6).exp(),
        lambda x: 15 * x**14 - x.cos() + 6 * x**5 * (x**6).exp(),
        (-1.2, 1.2),
        near=0.3,
    ),
)
SQRT = FunctionOfOne("sqrt", "√x", torch.sqrt, lambda x: 0.5 / x.sqrt(), (0.0, 3.0), starts=(0.1, 3.0))
ABS = FunctionOfOne("abs", "|x|", torch.abs, torch.sign, (-4.0, 4.0))
NOT_DIFFERENTIABLE = (  # Table III
    SQRT,
    ABS,
    FunctionOfOne("cbrt_sin", "∛x + sin x; 0 where x ≤ 0", _cbrt_sin, _cbrt_sin_slope, (-1.0, 1.5), (0.1, 1.5)),
    FunctionOfOne(
        "piecewise",
        "x; x² where x < 0",
        lambda x: torch.where(x > 0, x, x**2),
        lambda x: torch.where(x > 0, 1.0, 2 * x),
        (-2.0, 2.0),
    ),
)
CUBIC_EXP = FunctionOfOne(
    "cubic_exp",
    "x³ + exp(−2x) − 5",
    lambda x: x**3 + (-2 * x).exp() - 5,
    lambda x: 3 * x**2 - 2 * (-2 * x).exp(),
    (-2.0, 2.0),
)
EXP_SIN = FunctionOfOne(
    "exp_sin",
    "exp(sin x) + x⁴",
    lambda x: x.sin().exp() + x**4,
    lambda x: x.cos() * x.sin().exp() + 4 * x**3,
    (-2.0, 2.0),
)
OF_SUPPLEMENT_4 = (CUBIC_EXP, EXP_SIN, SQRT, ABS)
