"""How much the hyperparameters matter: scores over logarithmic grids, of ADES beside heavy ball and the others."""

from __future__ import annotations

from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

import numpy as np

from thalweg.race import Method
from thalweg.race.method import method_named
from thalweg.reproduce.paper import Options, Part, Tell
from thalweg.reproduce.races import raced
from thalweg.reproduce.records import Records
from thalweg.tasks.catalogue import find

TASKS = ("digits", "wine")
METHODS = ("ades", "ades_heavy_ball", "nesterov", "adam", "rmsprop", "sign")
# The rates that are tried: four decades around where each is published or commonly used.
MIDDLE = {"ades": 1.0, "ades_heavy_ball": 1.0, "nesterov": 0.1, "adam": 1e-2, "rmsprop": 1e-2, "sign": 3e-3}
DECADES = 2.0  # on either side
CONSTANTS = (0.01, 0.999)  # the least and the largest of a and b, which lie between 0 and 1


@dataclass(frozen=True)
class Scale:
    """How much is run: seeds, and rates a decade; and by how many values of each of ADES' constants, a = 1 - beta1 and
    b = beta2, ADES and its ablation are held side by side."""

    tasks: tuple[str, ...] = TASKS
    seeds: int = 8
    a_decade: int = 4
    constants: int = 7


QUICK = Scale(tasks=("digits",), seeds=4, a_decade=3, constants=5)


def run(options: Options, tell: Tell, scale: Scale | None = None) -> Records:
    """A race a task, each setting a method of its own that is not tuned."""
    scale = scale or (QUICK if options.quick else Scale())
    figures: dict[str, Any] = {}
    for name in scale.tasks:
        entries = [*rates(scale), *constants(scale)]
        result = raced(
            [find(name)], [method for method, _ in entries], options, tell, f"autolr_grid_{name}",
            baseline=entries[0][0].name, seeds=scale.seeds,
        )  # fmt: skip
        found: dict[str, Any] = {"lr": {}, "betas": {}}
        for method, at in entries:
            scores = [float(100 * score) for score in result.summary.scores(name, method.name)]
            rule = method.name.partition("@")[0]
            kind = "lr" if "lr" in at else "betas"
            found[kind].setdefault(rule, []).append({**at, "scores": scores})
        first = result.records[name, entries[0][0].name]
        figures[name] = {**found, "constant": 100 * fmean(one.constant_metric or 0.0 for one in first)}
    return Records("autolr", (), {"sensitivity": figures}, {"sensitivity": vars(scale)})


Entry = tuple[Method, dict[str, float]]  # with what of it was varied


def rates(scale: Scale) -> list[Entry]:
    """Every method at every learning rate; all else as published."""
    count = round(2 * DECADES * scale.a_decade) + 1
    found = []
    for name in METHODS:
        for lr in MIDDLE[name] * np.logspace(-DECADES, DECADES, count):
            found.append(_at(name, {"lr": float(lr)}, f"lr={lr:.3g}", {"lr": float(lr)}))
    return found


def constants(scale: Scale) -> list[Entry]:
    """ADES and heavy ball with the same constants, over a grid of a and b."""
    found, values = [], np.geomspace(*CONSTANTS, scale.constants)
    for a in values:
        for b in values:
            for name in ("ades", "ades_heavy_ball"):
                betas = (float(1 - a), float(b))
                found.append(_at(name, {"betas": betas}, f"a={a:.3g},b={b:.3g}", {"a": float(a), "b": float(b)}))
    return found


def _at(name: str, changes: dict[str, Any], suffix: str, at: dict[str, float]) -> Entry:
    plain = method_named(name)
    own = {**plain.hyperparameters, **changes}
    return replace(plain, name=f"{name}@{suffix}", hyperparameters=own, space=(), ablations=()), at


PART = Part(
    "sensitivity",
    "How much learning rates and constants matter",
    (),
    "about 3 minutes on two cores, quick 1",
    (),
    run,
    quick_minutes=1,
)
