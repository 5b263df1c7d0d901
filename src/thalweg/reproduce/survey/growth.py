"""How cost grows with dimensions: passes to come ten times nearer to an optimum, and a method's own work."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import Tensor

from thalweg.optim import RuleOptimizer
from thalweg.reproduce.paper import Options, Part, Tell
from thalweg.reproduce.records import Records
from thalweg.reproduce.survey.functions import RATES, STRATEGIES, descent
from thalweg.reproduce.survey.landscapes import HIGH, LOW, Landscape, landscapes
from thalweg.reproduce.survey.networks import GRADIENTS
from thalweg.rules.gallery import find
from thalweg.search import Strategy, minimize
from thalweg.search.networks.hybrids import GRADIENT

NEARER = 100.0  # times the value of a sphere falls where the distance falls to a tenth
POPULATION = 50
MOST_CMA = 300  # dimensions, beyond which a covariance matrix takes most of the time
MOST_BYTES = 2 * 1024**3  # of one generation; tabu search asks for 80 GB of points in 100,000 dimensions


@dataclass(frozen=True)
class Scale:
    """How much is run: dimensions of the sphere, evaluations of a run there, and dimensions that work is timed at."""

    dims: tuple[int, ...]
    evaluations: int
    runs: int
    timed: tuple[int, ...]


FULL = Scale((10, 30, 100, 300, 1000), 30_000, 3, (10, 100, 1000, 10_000, 100_000))
QUICK = Scale((10, 30, 100), 10_000, 3, (10, 1000, 10_000))


def run(options: Options, tell: Tell, scale: Scale | None = None) -> Records:
    """Passes on spheres, then seconds and bytes."""
    scale = scale or (QUICK if options.quick else FULL)
    found: dict[str, Any] = {}
    for method in (*GRADIENTS, *STRATEGIES):
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
    if method in GRADIENTS:
        hits = _descents(land, method, scale)
    elif method == "cma" and dim > MOST_CMA:
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
    """At the learning rate that is the quickest from other points: every strategy has the best that its authors
    know."""

    def hits(rate: float, seed: int) -> list[float]:
        tracks = descent(land, method, rate, 1000 * GRADIENT, scale.runs, seed)
        return [track[-1][0] if track and track[-1][1] <= land.target else math.inf for track in tracks]

    return hits(min(RATES, key=lambda rate: median(hits(rate, 1))), 0)


def _work(method: str, dim: int) -> dict[str, float] | None:
    """Seconds of a method's own work for what one evaluation or step tells it, and bytes that it carries; None where
    it refuses so many dimensions, or would ask for too many points."""
    if method in GRADIENTS:
        weight = torch.zeros(dim)
        optimizer = RuleOptimizer([weight], find(method).rule, lr=1e-3)
        weight.grad = torch.ones(dim)
        seconds = _seconds(optimizer.step)
        return {"seconds": seconds, "bytes": _bytes(x for state in optimizer.state.values() for x in state.values())}
    if method == "tabu" and 2 * dim**2 * 4 > MOST_BYTES:  # two points a dimension, of 4 bytes a number
        return None
    try:
        start = torch.zeros(dim)
        own: dict[str, Any] = {} if method in ("gsa", "tabu", "sa") else {"population": POPULATION}
        strategy = Strategy(method, x0=start, sigma0=1.0, budget=100_000, dtype=torch.float32, **own)
        strategy.ask()
    except ValueError:
        return None

    noise = torch.Generator().manual_seed(0)

    def generation() -> None:  # of noise: on a slope without end steps would grow until they are no numbers any more
        strategy.tell(torch.rand(len(strategy.ask()), generator=noise))

    count = len(strategy.ask())
    seconds = _seconds(generation) / count
    return {"seconds": seconds, "bytes": _bytes(strategy.state.carried.values())}


def _bytes(values: Iterable[object]) -> int:
    """Of the tensors among them."""
    return sum(x.numel() * x.element_size() for x in values if isinstance(x, Tensor))


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
    "about 4 minutes on one core, quick 1",
    (),
    run,
    quick_minutes=1,
)
