"""Sections 2.1 to 2.4: response curves, beta-hat, the start noise and the damping, read off the rules' own steps."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from thalweg.rules import Rule, plain
from thalweg.rules.gallery import find

GRAVITY, UNDAMPED = find("gravity").rule, find("gravity_ema_noise").rule
DESCENT = find("sgd").rule
MAX_STEP = Rule("max_step", "w = w - lr*g/(1 + square(g/m))", state="", lr=0.1, m=1.0)  # equation 18

LRS, MS = (0.1, 0.25), (1.25, 2.0)  # of Figures 3 to 5; by m the rate is 0.1
REACH = 4.0  # gradients of a response curve, up and down
NOISY_WEIGHTS = 20_000
MOMENTUM_STEPS = 3000  # after which products of beta-hats up to 0.99 are below 1e-13


def _step(rule: Rule, w: Tensor, g: Tensor, v: Tensor, t: int) -> tuple[Tensor, Tensor]:
    """The weights and the velocity after a step, t being the paper's."""
    scalars = rule.scalars(rule.hyperparameters)
    after: tuple[Tensor, Tensor] = plain.step(rule)(w, g, v, t=float(t), **scalars, maximize=False, decay=rule.decay)
    return after


# Response curves


def response(points: int = 161) -> dict[str, Any]:
    """Figures 2 to 5: by curve the step that a gradient causes, at `g`; and of the damped ones what is said of them."""
    g = torch.linspace(-REACH, REACH, points, dtype=torch.float64)
    rules = {f"gd, lr {lr:g}": DESCENT.replace(lr=lr) for lr in LRS}
    rules |= {f"gravity, lr {lr:g}": MAX_STEP.replace(lr=lr) for lr in LRS}
    rules |= {f"gravity, m {m:g}": MAX_STEP.replace(m=m) for m in MS}
    curves = {name: (-rule.response(g)).tolist() for name, rule in rules.items()}
    return {"g": g.tolist(), "curves": curves, "damped": [extremum(lr, m) for lr in LRS for m in (1.0, *MS)]}


def extremum(lr: float, m: float) -> dict[str, float]:
    """Of equation 18: where the step is largest and how large, its slope at m, and its share of gradient descent's at a
    gradient of m/1000."""
    rule = MAX_STEP.replace(lr=lr, m=m)
    g = torch.arange(1, 5001, dtype=torch.float64) / 1000
    steps, h = rule.response(g), 1e-4
    before, after, small = rule.response([m - h, m + h, m / 1000]).tolist()
    return {
        "lr": lr, "m": m, "at": float(g[steps.argmax()]), "largest": float(steps.max()), "equation_19": lr * m / 2,
        "slope_at_m": (after - before) / (2 * h), "of_descent": small / (lr * m / 1000),
    }  # fmt: skip


# Beta-hat


def beta_hats(beta: float, steps: int, first_step: int = 0) -> list[float]:
    """What a velocity is multiplied by in each step without gradient."""
    rule, one, zero = GRAVITY.replace(beta=beta), *torch.eye(2, dtype=torch.float64)[0, :, None]
    return [float(_step(rule, zero, zero, one, t)[1]) for t in range(first_step, first_step + steps)]


def shares(beta: float, t: int) -> list[float]:
    """Of the velocity after step t, from 0: how much of it V0 is, and each gradient so far, without damping."""
    rule, data = UNDAMPED.replace(beta=beta), torch.eye(t + 2, dtype=torch.float64)
    w, v = torch.zeros(t + 2, dtype=torch.float64), data[0]
    for step, g in enumerate(data[1:]):
        w, v = _step(rule, w, g, v, step)
    found: list[float] = v.tolist()
    return found


# The start noise


def displacement(beta: float, first_step: int) -> float:
    """How far zero gradients carry a weight, over lr times its V0: S, the sum of the products of beta-hats."""
    rule = GRAVITY.replace(lr=1.0, beta=beta)
    w, v = (torch.full((1,), value, dtype=torch.float64) for value in (0.0, 1.0))
    for t in range(first_step, first_step + MOMENTUM_STEPS):
        w, v = _step(rule, w, torch.zeros_like(w), v, t)
    return -float(w)


def closed_displacement(beta: float, first_step: int) -> float:
    """The same by equation 26."""
    product, total = 1.0, 0.0
    for t in range(first_step, first_step + MOMENTUM_STEPS):
        product *= (beta * t + 1) / (t + 2)
        total += product
    return total


def noise() -> dict[str, dict[str, float]]:
    """By the first step, 0 or 1: S at beta 0.9 as the rule has it and by equation 26, alpha S, and the deviation of
    weights that began at 0 and had zero gradients."""
    scalars = GRAVITY.scalars(GRAVITY.hyperparameters)
    alpha, beta = scalars["alpha"], scalars["beta"]
    found = {}
    for first_step in (0, 1):
        total = displacement(beta, first_step)
        found[str(first_step)] = {
            "sum": total, "closed": closed_displacement(beta, first_step), "displaced": alpha * total,
            "measured": _spread(first_step),
        }  # fmt: skip
    return found


def _spread(first_step: int) -> float:
    w = torch.zeros(NOISY_WEIGHTS, dtype=torch.float64)
    scalars = GRAVITY.scalars(GRAVITY.hyperparameters)
    (v,) = plain.initial(GRAVITY)(w, torch.Generator().manual_seed(0), **scalars)
    for t in range(first_step, first_step + 150):
        w, v = _step(GRAVITY, w, torch.zeros_like(w), v, t)
    return float(w.std())


def normal_rule() -> list[float]:
    """Figure 9: the per cent of a normal distribution within one, two and three deviations."""
    return [100 * math.erf(sigmas / math.sqrt(2)) for sigmas in (1, 2, 3)]


# The damping


def zeta(g: Tensor) -> Tensor:
    """Gravity's damped gradient (equation 21) of a tensor, with m = 1/max|G| (equation 20)."""
    zero = torch.zeros_like(g)
    return 2 * _step(GRAVITY, zero, g, zero, 0)[1]  # beta-hat is 1/2 at t = 0


def gradient(largest: float, weights: int = 1000) -> Tensor:
    """A normal gradient, float64, scaled so that its largest entry is this."""
    g = torch.randn(weights, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return largest * g / g.abs().max()


def damping() -> dict[str, Any]:
    """By max|G| how far zeta is from g at most, relative to it, beside Gmax^4/(1 + Gmax^4); the largest zeta of single
    weights, and where, beside 3^(3/4)/4 at 3^(-1/4)."""
    rows = []
    for largest in (0.03, 0.1, 0.3, 0.5, 1.0, 2.0):
        g = gradient(largest)
        off = float(((zeta(g) - g) / g).abs().max())
        rows.append({"largest": largest, "off": off, "bound": largest**4 / (1 + largest**4)})
    singles = torch.linspace(0.5, 1.0, 2001, dtype=torch.float64)
    damped = torch.stack([zeta(one[None])[0] for one in singles])
    return {
        "off": rows, "largest": float(damped.max()), "at": float(singles[damped.argmax()]),
        "bound": 3**0.75 / 4, "bound_at": 3**-0.25,
    }  # fmt: skip


def scaling() -> list[dict[str, float]]:
    """Equation 20 has no unit in common with g: by what a loss is multiplied with, the cosine of its damped gradient
    with the gradient, and its length as a share of the gradient's; max|G| is 0.3 times the factor."""
    found = []
    for factor in (0.01, 0.1, 1.0, 3.0, 10.0, 100.0):
        g = gradient(0.3 * factor)
        damped = zeta(g)
        cosine = float(damped @ g / (damped.norm() * g.norm()))
        found.append({"factor": factor, "cosine": cosine, "length": float(damped.norm() / g.norm())})
    return found
