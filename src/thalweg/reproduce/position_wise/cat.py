"""Experiment 1: cats and other things, with the controls that the paper has none of."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from thalweg.race.jobs import one_thread
from thalweg.reproduce.paper import Options, Part, Tell
from thalweg.reproduce.position_wise.catvnoncat import FILE, cats
from thalweg.reproduce.position_wise.chance import chance_levels
from thalweg.reproduce.position_wise.measure import (
    at_rates,
    cells,
    cost_ratios,
    curves,
    from_seeds,
    largest_difference,
    published_runs,
)
from thalweg.reproduce.position_wise.protocol import METHODS, SEED, Goal, descend, drawn
from thalweg.reproduce.position_wise.span import in_span
from thalweg.reproduce.records import Records

TABLE = "Experiment 1"
GOAL = Goal(lr=0.0075, target=0.1, printed=100)


@dataclass(frozen=True)
class Scale:
    """How much is run: how often the published runs are timed, the seeds of the controls, and by method the multiples
    of the learning rate that are tried."""

    repeats: int
    seeds: tuple[int, ...]
    xavier_seeds: tuple[int, ...]
    factors: dict[str, tuple[float, ...]]


FACTORS = {"gradient_descent": (1.0, 1.5, 2.0, 2.5, 3.0), "position_wise": (1.0, 2.0), "layerwise_lr": (1.0, 2.0)}
FULL = Scale(repeats=3, seeds=(1, 2, 3, 4, 5, 6), xavier_seeds=(1, 2, 3, 4, 5, 6), factors=FACTORS)
QUICK = Scale(repeats=1, seeds=(1, 2), xavier_seeds=(1,), factors={"gradient_descent": (1.0, 2.0)})


def run(options: Options, tell: Tell, scale: Scale | None = None) -> Records:
    """The published runs on all 12,288 numbers of an image, the controls in the span of the images, which is exact.
    Raises DataMissing."""
    scale = scale or (QUICK if options.quick else FULL)
    x, targets = cats(options.data_dir)
    with one_thread():
        runs = published_runs(x, targets, GOAL, scale.repeats, tell)
        first = {method: timed[0][0] for method, timed in runs.items()}
        inputs, weights = in_span(x, drawn(x.shape[1], 1, SEED))
        again = {method: descend(weights, inputs, targets, GOAL, method)[0] for method in METHODS}
        chance = chance_levels(targets)
        figures: dict[str, Any] = {
            "curves": curves(first),
            "target": GOAL.target,
            "chance": chance,
            "chance_without_eps": chance_levels(targets, eps=0),
            "cost": cost_ratios(runs, x, targets),
            "span_difference": {method: largest_difference(first[method], again[method]) for method in METHODS},
            "seeds": from_seeds(x, targets, GOAL, scale.seeds, tell),
            "xavier": from_seeds(x, targets, GOAL, scale.xavier_seeds, tell, xavier=True),
            "rates": at_rates(x, targets, GOAL, scale.factors, tell),
        }
    measured = cells((TABLE, "cat"), runs, figures["seeds"], x, targets, chance["accuracy"], scale="")
    chosen = {**asdict(GOAL), "images": len(x), "precision": "float64", **asdict(scale)}
    return Records("position_wise", tuple(measured), {"cat": figures}, {"cat": chosen})


PART = Part(
    "cat",
    "Experiment 1: cats, with controls over seeds, learning rates and initial weights",
    (TABLE, "text"),
    "about 5 minutes, quick 2",
    (FILE,),
    run,
    figures=("2",),
    quick_minutes=2,
)
