"""How cost grows with dimensions: passes to come ten times nearer to an optimum, and a method's own work."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import Tensor

from thalweg.optim import RuleOptimizer
from thalweg.reproduce.paper import Options, Part, Tell
from thalweg.reproduce.records import Records
from thalweg.reproduce.survey.functions import GRADIENT, RATES, STRATEGIES, descent
from thalweg.reproduce.survey.landscapes import HIGH, LOW, Landscape, landscapes
from thalweg.rules.gallery import find
from thalweg.search import Strategy, minimize

NEARER = 100.0  # times the value of a sphere falls where the distance falls to a tenth
POPULATION = 50
DESCENTS = ("sgd", "adam")


@dataclass(frozen=True)
class Scale:
    """How much is run: dimensions of the sphere, evaluations of a run there, and dimensions that work is timed at."""

    dims: tuple[int, ...]
    evaluations: int
    runs: int
    timed: tuple[int, ...]


FULL = Scale((10, 30, 100, 300, 1000), 100_000, 5, (10, 100, 1000, 10_000, 100_000))
QUICK = Scale((10, 30, 100), 10_000, 3, (10, 1000, 10_000))


def run(options: Options, tell: Tell, scale: Scale | None = None) -> Records:
    """Passes on spheres, then seconds and bytes."""
    scale = scale or (QUICK if options.quick else FULL)
    found: dict[str, Any] = {}
    for method in (*DESCENTS, *STRATEGIES):
        tell(f"growth: {method}")
        passes = {str(dim): _passes(method, dim, scale) for dim in scale.dims}
        work = {str(dim): _work(method, dim) for dim in scale.timed}
        found[method] = {"passes": passes, "exponent": exponent(passes), "work": work}
    return Records("survey", (), {"growth": found}, {"growth": vars(scale)})


def exponent(passes: dict[str, float | None]) -> float | None:
    """By which power passes grow with dimensions, by least squares of logarithms; None where fewer than three are
    known."""
    known = {float(dim): each for dim, each in passes.items() if each}
    if len(known) < 3:
        return None
    return float(np.polyfit(np.log(list(known)), np.log(list(known.values())), 1)[0])


def _passes(method: str, dim: int, scale: Scale) -> float | None:
    """The median over the runs to a hundredth of the mean value in the box; None where less than half come there."""
    sphere = landscapes(dim)[0]
    points = LOW + (HIGH - LOW) * torch.rand(1000, dim, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    land = Landscape(sphere.name, dim, sphere.f, float(sphere.f(points).mean()) / NEARER, "one")
    if method in DESCENTS:
        hits = _descents(land, method, scale)
    elif method == "cma" and dim > 300:
        return None
    else:
        result = minimize(
            land.f, (LOW, HIGH), dim, strategy=method, budget=scale.evaluations, target=land.target, runs=scale.runs
        )
        reached = zip(result.evals.tolist(), result.solved.tolist(), strict=True)
        hits = [evals if hit else math.inf for evals, hit in reached]
    middle = median(hits)
    return middle if math.isfinite(middle) else None


def _descents(land: Landscape, method: str, scale: Scale) -> Sequence[float]:
    """At the best of the learning rates, as every strategy has the best that its authors know."""
    found = []
    for rate in RATES:
        tracks = descent(land, method, rate, 1000 * GRADIENT, scale.runs, 0)
        found.append([track[-1][0] if track and track[-1][1] <= land.target else math.inf for track in tracks])
    return min(found, key=median)


def _work(method: str, dim: int) -> dict[str, float] | None:
    """Seconds of a method's own work for what one evaluation or step tells it, and bytes that it carries; None where
    it refuses so many dimensions."""
    if method in DESCENTS:
        weight = torch.zeros(dim)
        optimizer = RuleOptimizer([weight], find(method).rule, lr=1e-3)
        weight.grad = torch.ones(dim)
        seconds = _seconds(optimizer.step)
        held = [x for state in optimizer.state.values() for x in state.values() if isinstance(x, Tensor)]
        return {"seconds": seconds, "bytes": sum(x.numel() * x.element_size() for x in held)}
    try:
        start = torch.zeros(dim)
        own: dict[str, Any] = {} if method in ("gsa", "tabu", "sa") else {"population": POPULATION}
        strategy = Strategy(method, x0=start, sigma0=1.0, budget=100_000, dtype=torch.float32, **own)
        strategy.ask()
    except ValueError:
        return None

    def generation() -> None:
        x = strategy.ask()
        strategy.tell(x[:, 0])

    count = len(strategy.ask())
    seconds = _seconds(generation) / count
    held = [x for x in strategy.state.carried.values() if isinstance(x, Tensor)]
    return {"seconds": seconds, "bytes": sum(x.numel() * x.element_size() for x in held)}


def _seconds(step: Any, most: float = 0.3) -> float:
    """Processor time of a call: the least of as many as fit in so many seconds, after one that does not count."""
    step()
    times: list[float] = []
    while len(times) < 3 or sum(times) < most:
        start = time.process_time()
        step()
        times.append(time.process_time() - start)
    return min(times)


PART = Part(
    "growth",
    "How cost grows with the number of dimensions",
    (),
    "about 15 minutes on one core, quick 1",
    (),
    run,
)
