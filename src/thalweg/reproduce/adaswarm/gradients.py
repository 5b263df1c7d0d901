"""A swarm's gradients beside true ones: at points (supplementary table 4), over a range (Figure 1), and by distance.

The paper's gradient near the optimum is `(C / eta) (x - g)`, whatever the function is. Beside it stands an honest one,
`h (x - g)` with the curvature h that fits the values that the swarm has seen (`SwarmGradient` with coeff="fitted").
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from thalweg.reproduce.adaswarm.descents import ETA, PARTICLES, numbers
from thalweg.reproduce.adaswarm.one_dimensional import (
    CUBIC_EXP,
    DIFFERENTIABLE,
    EXP_SIN,
    NOT_DIFFERENTIABLE,
    OF_SUPPLEMENT_4,
    FunctionOfOne,
)
from thalweg.reproduce.claims import claims_of
from thalweg.reproduce.records import Measured
from thalweg.swarm.descent import swarm_gradient_at
from thalweg.swarm.gradient import SwarmGradient

SPAN = 0.1  # how far from a point the swarm of the honest gradient looks, as a share of the domain's half
POINTS = 61  # of a curve
DISTANCES = tuple(2.0 ** (-place / 2) for place in range(2, 19))  # 0.5 to 0.002
NEAREST = 1e-9  # how near the particles of a swarm come together where the distance to the optimum matters

MISSING = "not said: the domain, the particles, when the swarm stops, and how far it is where a point is away from it"


def measured_gradients(seeds: int) -> Iterator[Measured]:
    """All cells of supplementary table 4: near the optimum by equation 15, away from it by 19, both with the sign that
    descends; the fair number is the honest gradient's."""
    functions = {function.name: function for function in OF_SUPPLEMENT_4}
    for claim in claims_of("adaswarm"):
        if claim.table != "S4":
            continue
        name, _, point = claim.row.partition("@")
        x = torch.full((seeds,), float(point), dtype=torch.float64)
        if claim.column == "analytic":
            slope = float(functions[name].slope(x[:1]))
            jumps = name == "abs" and float(point) == 0
            missing = "there is no derivative" if jumps else ""
            yield Measured(*claim.cell, protocol=() if jumps else (slope,), missing=missing)
        else:
            form = claim.note.partition(";")[0]
            protocol, fair = by_paper(functions[name], x, form), honest(functions[name], x)
            yield Measured(*claim.cell, numbers(protocol), numbers(fair), missing=MISSING)


def by_paper(
    function: FunctionOfOne, x: Tensor, form: str, tolerance: float = 1e-6, coeff: str = "paper", seed: int = 0
) -> Tensor:
    """The paper's gradient at points, of their shape, by a swarm a point in the function's domain."""
    return swarm_gradient_at(
        function.f, x, bounds=function.domain, form=form, eta=ETA, tolerance=tolerance, particles=PARTICLES,
        coeff=coeff, generator=torch.Generator().manual_seed(seed),
    )  # fmt: skip


def honest(function: FunctionOfOne, x: Tensor, span: float | None = None, seed: int = 0) -> Tensor:
    """The gradient at points (n,) with a fitted curvature, of a swarm a point within `span` of it and the domain."""
    low, high = function.domain
    outputs = x.clone().unsqueeze(-1).requires_grad_()
    loss = SwarmGradient(
        lambda y, _: function.f(y), level="element", init="output", bounds=function.domain,
        span=SPAN * (high - low) / 2 if span is None else span, particles=PARTICLES, coeff="fitted", reduction="sum",
        generator=torch.Generator().manual_seed(seed),
    )  # fmt: skip
    loss(outputs, torch.zeros_like(outputs)).backward()
    assert outputs.grad is not None
    return outputs.grad[:, 0]


def curves() -> list[dict[str, Any]]:
    """For each function of Tables I to III the true gradient around the optimum, the paper's and the honest one."""
    shown = []
    for function in (*DIFFERENTIABLE, *NOT_DIFFERENTIABLE):
        optimum = 0.0 if function in NOT_DIFFERENTIABLE else function.least(function.domain)[0]
        low, high = (optimum + side * function.near for side in (-1, 1))
        low, high = max(low, function.domain[0]), min(high, function.domain[1])
        x = low + (high - low) * torch.arange(POINTS, dtype=torch.float64) / (POINTS - 1)
        found = {"true": function.slope(x), "paper": by_paper(function, x, "near"), "fitted": honest(function, x)}
        shown.append(
            {"name": function.name, "text": function.text, "optimum": optimum, "x": rounded(x)}
            | {name: rounded(gradient) for name, gradient in found.items()}
        )
    return shown


def orders(seeds: int) -> list[dict[str, Any]]:
    """How large the error is by distance to the optimum, mean over seeds and both sides, on two smooth functions; with
    the order, the exponent of the distance that it falls with (a fit of logarithms).

    `zero` is the error of the answer 0: the gradient itself, which is of order 1. What is of no higher order is no
    better near the optimum than that, in proportion.
    """
    return [_order(function, seeds) for function in (EXP_SIN, CUBIC_EXP)]


def _order(function: FunctionOfOne, seeds: int) -> dict[str, Any]:
    distance = torch.tensor(DISTANCES, dtype=torch.float64).unsqueeze(-1)
    x = root(function) + distance * torch.tensor([-1.0, 1.0], dtype=torch.float64).repeat(seeds)
    found = {
        "zero": torch.zeros_like(x),
        "near": by_paper(function, x, "near", NEAREST),
        "away": by_paper(function, x, "away"),
        "fitted": torch.stack([honest(function, at, span=2 * d) for at, d in zip(x, DISTANCES, strict=True)]),
    }
    errors = {name: (gradient - function.slope(x)).abs().mean(-1).tolist() for name, gradient in found.items()}
    slopes = {
        name: float(np.polyfit([math.log(d) for d in DISTANCES], [math.log(error) for error in of], 1)[0])
        for name, of in errors.items()
    }
    return {
        "name": function.name, "text": function.text, "distance": list(DISTANCES), "error": errors, "order": slopes,
    }  # fmt: skip


def root(function: FunctionOfOne) -> float:
    """Where the derivative is 0, by bisection of the grid's cell around the least value."""
    least = function.least(function.domain)[0]
    low, high = least - 1e-4, least + 1e-4
    for _ in range(60):
        middle = (low + high) / 2
        rises = float(function.slope(torch.tensor(middle, dtype=torch.float64))) > 0
        low, high = (low, middle) if rises else (middle, high)
    return (low + high) / 2


def rounded(values: Tensor) -> list[float | None]:
    """To four digits, as pictures need no more; None where there is no finite number."""
    return [float(f"{value:.4g}") if math.isfinite(value) else None for value in values.tolist()]
