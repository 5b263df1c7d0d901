"""What needs no data: evolved rules as the gallery has them, ADES as momentum, equation 8, the published logs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from thalweg.reproduce.autolr import published
from thalweg.reproduce.autolr.phenotypes import ADES, C1, C2, SIGN, A, B, apart, coefficients, streams, trajectory
from thalweg.reproduce.autolr.toy import train
from thalweg.reproduce.paper import Options, Part, Tell
from thalweg.reproduce.records import Measured, Records
from thalweg.rules import Rule
from thalweg.rules.gallery import find

EVOLVED, TUNED = (1 - A, B), (0.87621, 0.76132)  # ADES' constants: as evolved, and of Table 2
SETTINGS: Mapping[str, tuple[float, float]] = {"evolved": EVOLVED, "Table 2": TUNED}
PRINTED: Mapping[str, tuple[float, float]] = {"evolved": (0.08922, 0.0891), "Table 2": TUNED}  # given to equation 8
HEAVY_BALL = "ades_heavy_ball"


@dataclass(frozen=True)
class Scale:
    """How much is run: `steps` and `seeds` of the toy test, and a `stream` of made gradients, steps and weights."""

    steps: int = 400
    seeds: int = 2
    stream: tuple[int, int] = (300, 40)


def run(options: Options, tell: Tell, scale: Scale | None = None) -> Records:
    """All of it; takes half a minute."""
    scale = scale or Scale()
    figures = {
        "evolved": evolved(scale),
        "equation_8": equation_8(scale, tell),
        "momentum": momentum(scale, tell),
        "tournament": {str(size): size / published.POPULATION for size in (1, 2, 5)},  # chances of the best to be drawn
        "logs": {"dead": published.DEAD},
    }
    settings = {"exact": {"steps": scale.steps, "seeds": scale.seeds, "network": "digits, 64-64-10, batches of 128"}}
    return Records("autolr", (*from_logs(), *from_equations()), {"exact": figures}, settings)


def gallery() -> dict[str, tuple[Rule, Rule]]:
    """By name the rule as it was evolved, and the gallery's with its constants."""
    ades, sign = find("ades").rule, find("sign").rule
    return {"ades": (ADES, ades.replace(betas=EVOLVED)), "sign": (SIGN, sign.replace(lr=C1 * C2))}


def evolved(scale: Scale) -> dict[str, Any]:
    """Of both evolved rules: whether they behave as the gallery's, and how far their trajectories lie apart. Sign is
    held against the sign of momentum without momentum too, which is signSGD (Bernstein et al. 2018)."""
    gradients = streams(*scale.stream, seed=0)
    found: dict[str, Any] = {}
    for name, (own, theirs) in gallery().items():
        found[name] = {
            "same_behaviour": all(own.behaviour(seed) == theirs.behaviour(seed) for seed in range(4)),
            "apart": apart(trajectory(own, gradients), trajectory(theirs, gradients)),
        }
    signum = find("signum").rule.replace(lr=C1 * C2, beta=0.0)
    found["sign"]["apart_from_signum"] = apart(trajectory(SIGN, gradients), trajectory(signum, gradients))
    return found


def equation_8(scale: Scale, tell: Tell) -> list[dict[str, Any]]:
    """The toy test: by form, constants and seed the step at which it diverges, None for none, and the last loss."""
    found = []
    for form, rule, given in (
        ("equation 8", find("ades_eq8").rule, PRINTED),
        ("as benchmarked", find("ades").rule, SETTINGS),
        ("heavy ball", find(HEAVY_BALL).rule, SETTINGS),
    ):
        for constants, betas in given.items():
            for seed in range(scale.seeds):
                walk = train(rule, scale.steps, seed, betas=betas)
                loss = None if math.isnan(walk.loss) else walk.loss
                found.append(
                    {"form": form, "constants": constants, "seed": seed, "diverged": walk.diverged, "loss": loss}
                )
            tell(f"{form}, {constants}")
    return found


def momentum(scale: Scale, tell: Tell) -> dict[str, Any]:
    """ADES beside heavy ball with mu = 1 - a (1 + b) and eta = a b, by constants: how far their trajectories lie apart
    on the gradients of the toy test, and which part of all steps its quadratic terms make; the largest over seeds."""
    found: dict[str, Any] = {}
    for constants, betas in SETTINGS.items():
        a, b = 1 - betas[0], betas[1]
        ades, ball = find("ades").rule.replace(betas=betas), find(HEAVY_BALL).rule.replace(betas=betas)
        distances, shares, sizes = [], [], []
        for seed in range(scale.seeds):
            gradients = train(ades, scale.steps, seed, keep_gradients=True).gradients
            ours = trajectory(ades, gradients)
            distances.append(apart(ours, trajectory(ball, gradients)))
            y = ours.diff(dim=0)  # w grows by y, whose first value is 0
            quadratic = a * y[:-1] * (y[:-1] + gradients[1:])
            shares.append(float(quadratic.abs().sum() / y[1:].abs().sum()))
            sizes.append(float(y.abs().max()))
        found[constants] = {
            "mu": 1 - a * (1 + b), "eta": a * b, "apart": max(distances), "quadratic_share": max(shares),
            "largest_y": max(sizes),
        }  # fmt: skip
        tell(f"heavy ball, {constants}")
    return found


def from_logs() -> list[Measured]:
    """Table 1 and a p value, as the authors' published files have them."""
    absent = "the published logs do not say it"
    rows = [
        Measured("1", row, "autolr", "value", tuple(map(float, values)), missing="" if values else absent)
        for row, values in published.TABLE_1.items()
    ]
    return [*rows, Measured("text", "ades_against_nesterov", "mann_whitney", "p", (published.MANN_WHITNEY,))]


def from_equations() -> list[Measured]:
    """Equations 7 and 8, as the rules that were evolved have them."""
    terms = coefficients(ADES)
    of_ades = [Measured("Equation 8", name, "ades", "coefficient", (value,)) for name, value in terms.items()]
    return [Measured("Equation 7", "lr", "sign", "value", (C1 * C2,)), *of_ades]


PART = Part(
    "exact",
    "The evolved rules, equation 8 and the published logs",
    ("1", "Equation 7", "Equation 8", "text"),
    "half a minute",
    (),
    run,
    quick_minutes=0.5,
)
