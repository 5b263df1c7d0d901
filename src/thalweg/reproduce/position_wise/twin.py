"""The first experiment once more on made images, which everybody has."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from thalweg.race.jobs import one_thread
from thalweg.reproduce.paper import Options, Part, Tell
from thalweg.reproduce.position_wise.cat import GOAL
from thalweg.reproduce.position_wise.chance import chance_levels
from thalweg.reproduce.position_wise.made_images import SEED as IMAGES_SEED
from thalweg.reproduce.position_wise.made_images import made_images
from thalweg.reproduce.position_wise.measure import curves, from_seeds
from thalweg.reproduce.position_wise.protocol import METHODS, SEED, descend, drawn
from thalweg.reproduce.position_wise.span import in_span
from thalweg.reproduce.records import Records

SEEDS, QUICK_SEEDS = (1, 2, 3, 4, 5, 6), (1, 2)


def run(options: Options, tell: Tell) -> Records:
    """All methods from several seeds, by the published settings of experiment 1, in the span of the images."""
    seeds = QUICK_SEEDS if options.quick else SEEDS
    x, targets = made_images()
    with one_thread():
        inputs, weights = in_span(x, drawn(x.shape[1], 1, SEED))
        runs = {method: descend(weights, inputs, targets, GOAL, method)[0] for method in METHODS}
        figures: dict[str, Any] = {
            "curves": curves(runs),
            "target": GOAL.target,
            "chance": chance_levels(targets),
            "seeds": from_seeds(x, targets, GOAL, seeds, tell),
        }
    chosen = {**asdict(GOAL), "images": len(x), "images_seed": IMAGES_SEED, "seeds": seeds}
    return Records("position_wise", (), {"twin": figures}, {"twin": chosen})


PART = Part("twin", "Experiment 1 on made images", (), "half a minute", (), run, quick_minutes=0.5)
