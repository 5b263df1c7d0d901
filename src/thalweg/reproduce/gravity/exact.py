"""What needs no data: Tables 2 and 4, Figures 2 to 5, 8 and 9, the initial weights beside the start noise, and what the
damping comes to.

`figures["exact"]` of the records:
- "beta_hat": by beta the value at each t from 0; "cut_off": the t of Table 2 whose digits are cut off, not rounded.
- "response": what `equations.response` gives.
- "noise", "damping", "scaling": what the functions of these names in `equations` give.
- "displacement": by beta S with t from 0, and from 1.
- "initial": by network the rows of `architecture.initial_weights`; "below": by network and first t what
  `architecture.below` gives.
- "signal": for VGG16 and the narrow one what `architecture.signal` gives.
- "momentum": what `undamped.beside_momentum` gives.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from thalweg.reproduce.claims import claims_of
from thalweg.reproduce.gravity import architecture, equations, undamped
from thalweg.reproduce.gravity.networks import build
from thalweg.reproduce.paper import Options, Part, Tell
from thalweg.reproduce.records import Measured, Records

BETAS = (0.5, 0.9, 0.99, 1.0)  # of Figure 8
ROWS_OF_TABLE_2 = 16


@dataclass(frozen=True)
class Scale:
    """How much is run: steps of beta-hat's curves, and `steps` and `seeds` of the training on digits."""

    curve: int = 101
    steps: int = 400
    seeds: int = 2


def run(options: Options, tell: Tell, scale: Scale | None = None) -> Records:
    """All of it; takes seconds."""
    scale = scale or Scale()
    networks = {f"vgg{depth}": architecture.network(depth) for depth in architecture.DEPTHS}
    counts = {name: architecture.parameters(network) for name, network in networks.items()}
    noise = equations.noise()
    initial = {name: architecture.initial_weights(network) for name, network in networks.items()}
    tell("beta-hat, the start noise and initial weights")
    figures = {
        "beta_hat": {f"{beta:g}": equations.beta_hats(beta, scale.curve) for beta in BETAS},
        "cut_off": cut_off(),
        "response": equations.response(),
        "noise": noise,
        "displacement": {f"{beta:g}": [equations.displacement(beta, t) for t in (0, 1)] for beta in (0.0, *BETAS[:3])},
        "damping": equations.damping(),
        "scaling": equations.scaling(),
        "initial": initial,
        "below": {
            name: {t: architecture.below(rows, of["displaced"]) for t, of in noise.items()}
            for name, rows in initial.items()
        },
        "signal": {
            name: architecture.signal(network, size, noise["0"]["displaced"])
            for name, network, size in (
                ("vgg16", networks["vgg16"], 32),
                ("vgg16_narrow", build("vgg16_narrow", 3, 16, 10, False, torch.Generator().manual_seed(0)), 16),
            )
        },
        "momentum": undamped.beside_momentum(scale.steps, scale.seeds),
    }
    tell("Gravity beside momentum")
    settings = {"steps": scale.steps, "seeds": scale.seeds, "network": "digits, 64-64-10, batches of 128"}
    return Records("gravity", (*table_2(), *table_4(counts), *figure_9()), {"exact": figures}, {"exact": settings})


def table_2() -> list[Measured]:
    """Beta-hat at beta 1; the data that V has a share of; and equation 24 with beta-hat for beta."""
    found = []
    for t, value in enumerate(equations.beta_hats(1.0, ROWS_OF_TABLE_2)):
        available = sum(share > 0 for share in equations.shares(1.0, t))
        for column, number in (("beta_hat", value), ("available_data", available), ("averaged_data", 1 / (1 - value))):
            found.append(Measured("2", f"t = {t}", column, "value", (number,)))
    return found


def table_4(counts: dict[str, dict[str, int]]) -> list[Measured]:
    """Parameters by layer."""
    return [
        Measured("4", layer, name, "parameters", (count,))
        for name, own in counts.items()
        for layer, count in own.items()
    ]


def figure_9() -> list[Measured]:
    """The rule of the normal distribution."""
    return [
        Measured("Figure 9", f"{sigmas} sigma", "normal", "value", (per_cent,))
        for sigmas, per_cent in enumerate(equations.normal_rule(), start=1)
    ]


def cut_off() -> list[int]:
    """The t of Table 2 at which what is printed is not the rounded value, but its first digits."""
    found: list[int] = []
    printed = [claim.printed for claim in claims_of("gravity") if (claim.table, claim.column) == ("2", "beta_hat")]
    for t, (digits, value) in enumerate(zip(printed, equations.beta_hats(1.0, len(printed)), strict=True)):
        places = len(digits.partition(".")[2])
        if f"{value:.{places}f}" != digits and f"{value:.12f}".startswith(digits):
            found.append(t)
    return found


def of(records: Records) -> dict[str, Any]:
    """What the records have of this part; nothing where it was not run."""
    found: dict[str, Any] = records.figures.get("exact", {})
    return found


PART = Part(
    "exact",
    "Beta-hat, response curves, parameters, initial weights and the start noise, the damping",
    ("2", "3", "4", "5", "Figure 9"),
    "ten seconds",
    (),
    run,
    quick_minutes=0.2,
)
