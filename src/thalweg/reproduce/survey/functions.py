"""How far gradients, strategies and hybrids come on functions of 9 to 1000 dimensions, in equally many passes."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Any

import numpy as np
import scipy.optimize
import torch
from torch import Tensor

from thalweg.optim import RuleOptimizer
from thalweg.reproduce.paper import Options, Part, Tell
from thalweg.reproduce.records import Records
from thalweg.reproduce.survey.landscapes import HIGH, LOW, Landscape, exclusive_or, landscapes
from thalweg.reproduce.survey.networks import GRADIENTS
from thalweg.rules.gallery import find
from thalweg.search import minimize
from thalweg.search.networks.hybrids import GRADIENT

RATES = [10.0**power for power in range(-6, 1)]  # learning rates that are tried, each for a twentieth of the budget
MULTISTART = "lbfgs_multistart"
STRATEGIES = (
    "random", "hillclimb", "ga", "pso", "empso", "qpso", "de", "jade", "shade", "cma", "sep_cma", "snes", "openai_es",
    "pgpe", "aco", "sa", "gsa", "tabu",
)  # fmt: skip
HYBRIDS = {"gsa_lbfgs": "gsa", "tabu_lbfgs": "tabu", "cma_lbfgs": "cma"}  # a strategy with local searches by L-BFGS
MOST_CMA = 100  # dimensions, beyond which a covariance matrix takes most of the time

Track = list[tuple[int, float]]  # the best value of a run, and after how many passes


@dataclass(frozen=True)
class Scale:
    """How much is run: so many passes a run for each number of dimensions."""

    passes: dict[int, int]
    exclusive_or: int
    runs: int


FULL = Scale({10: 30_000, 100: 30_000, 1000: 10_000}, 20_000, 7)
QUICK = Scale({10: 8_000}, 4_000, 5)
ONE_BY_ONE = 3  # runs of those whose runs cannot be one program


def run(options: Options, tell: Tell, scale: Scale | None = None) -> Records:
    """All methods on all landscapes."""
    scale = scale or (QUICK if options.quick else FULL)
    places = [(land, budget) for dim, budget in scale.passes.items() for land in landscapes(dim)]
    places.append((exclusive_or(), scale.exclusive_or))
    found = []
    for land, budget in places:
        tell(f"{land.name}, {land.dim} dimensions, {budget:,} passes a run")
        for method, measure in _methods(land, budget, scale.runs):
            start = time.process_time()
            found.append(_cell(land, method, budget, measure(), time.process_time() - start))
    settings = {"passes": {str(dim): budget for dim, budget in scale.passes.items()}, "runs": scale.runs}
    return Records("survey", (), {"functions": found}, {"functions": settings})


def _methods(land: Landscape, budget: int, runs: int) -> Iterator[tuple[str, Callable[[], list[Track]]]]:
    for name in GRADIENTS:
        yield name, partial(_descended, land, name, budget, runs)
    yield MULTISTART, partial(_one_by_one, partial(_multistart, land, budget), runs)
    for name in STRATEGIES:
        if name != "cma" or land.dim <= MOST_CMA:
            yield name, partial(_searched, land, name, budget, runs)
    for name, strategy in HYBRIDS.items():
        if strategy != "cma" or land.dim <= MOST_CMA:
            yield name, partial(_one_by_one, partial(_refined, land, strategy, budget), min(runs, ONE_BY_ONE))


def _one_by_one(search: Callable[[int], Track], runs: int) -> list[Track]:
    return [search(run) for run in range(runs)]


def _cell(land: Landscape, method: str, budget: int, tracks: list[Track], seconds: float) -> dict[str, Any]:
    """What is kept: how many runs were solved and after how many passes, the median of the best values, and that after
    shares of the budget."""
    hits = [next((passes for passes, value in track if value <= land.target), None) for track in tracks]
    shares = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0]
    solved = [hit for hit in hits if hit is not None]
    return {
        "function": land.name,
        "dim": land.dim,
        "minima": land.minima,
        "method": method,
        "budget": budget,
        "runs": len(tracks),
        "solved": len(solved),
        "passes": median(solved) if solved else None,
        "best": [median(_best(track, share * budget) for track in tracks) for share in shares],
        "seconds": seconds / len(tracks),
    }


def _best(track: Track, passes: float) -> float:
    return min((value for at, value in track if at <= passes), default=math.inf)


# Gradients


def _descended(land: Landscape, name: str, budget: int, runs: int) -> list[Track]:
    """An optimizer from `runs` points, at the learning rate whose median is the lowest after a twentieth of the budget
    from other points."""
    tried = [descent(land, name, rate, budget // 20, runs, 1) for rate in RATES]
    medians = [median(_best(track, math.inf) for track in tracks) for tracks in tried]
    best = min(range(len(RATES)), key=medians.__getitem__)
    return descent(land, name, RATES[best], budget, runs, 0)


def descent(land: Landscape, name: str, rate: float, budget: int, runs: int, seed: int) -> list[Track]:
    """The optimizer at a learning rate from points that the seed draws; it ends where all runs have reached the
    target."""
    generator = torch.Generator().manual_seed(seed)
    start = LOW + (HIGH - LOW) * torch.rand(runs, land.dim, generator=generator, dtype=torch.float64)
    # A row a run: the rules here are element by element, so no run knows of another.
    x = start.requires_grad_()
    optimizer = RuleOptimizer([x], find(name).rule, lr=rate)
    tracks: list[Track] = [[] for _ in range(runs)]
    best, lowest = np.full(runs, math.inf), np.full(runs, math.inf)  # what was last kept, and what there was
    passes = 0
    for _ in range(budget // GRADIENT):
        passes += GRADIENT
        values = land.f(x)
        (x.grad,) = torch.autograd.grad(values.sum(), [x])
        now = values.detach().numpy()
        lowest = np.fmin(lowest, now)
        hit = (now <= land.target) & (land.target < best)
        for run in np.flatnonzero((now < 0.99 * best) | hit):  # by one in a hundred: else there is an entry a step
            tracks[run].append((passes, float(now[run])))
            best[run] = now[run]
        if (best <= land.target).all():
            break
        optimizer.step()
    for run in np.flatnonzero(lowest < best):
        tracks[run].append((passes, float(lowest[run])))
    return tracks


def _multistart(land: Landscape, budget: int, seed: int) -> Track:
    """L-BFGS from one point of the box after another."""
    counted = _Counted(land, budget)
    random = np.random.Generator(np.random.PCG64(seed))
    while not counted.over:
        counted.descend(random.uniform(LOW, HIGH, land.dim))
    return counted.track


class _Counted:
    """A landscape that counts its passes, and remembers when it was how low."""

    def __init__(self, land: Landscape, budget: int) -> None:
        self.land, self.budget = land, budget
        self.passes, self.best = 0, math.inf
        self.track: Track = []

    @property
    def over(self) -> bool:
        return self.passes >= self.budget or self.best <= self.land.target

    def __call__(self, x: Tensor) -> Tensor:
        """For points (n, D): a pass each, and three where a gradient will be asked for."""
        values = self.land.f(x)
        each = GRADIENT if x.requires_grad else 1
        for value in values.detach().tolist():
            self.passes += each
            if value < self.best:
                self.best = value
                self.track.append((self.passes, value))
        return values

    def descend(self, x: np.ndarray) -> None:
        def slope(at: np.ndarray) -> tuple[float, np.ndarray]:
            point = torch.from_numpy(np.array(at)).unsqueeze(0).requires_grad_()
            value = self(point)
            (gradient,) = torch.autograd.grad(value.sum(), [point])
            if self.over:
                raise StopIteration
            return float(value.detach()), gradient[0].numpy()

        bounds = scipy.optimize.Bounds(LOW, HIGH)
        try:
            scipy.optimize.minimize(slope, x, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 100_000})
        except StopIteration:
            return


# Strategies and hybrids


def _searched(land: Landscape, name: str, budget: int, runs: int) -> list[Track]:
    result = minimize(land.f, (LOW, HIGH), land.dim, strategy=name, budget=budget, target=land.target, runs=runs)
    assert isinstance(result.history, tuple)
    return [list(zip(own.evals.tolist(), own.f.tolist(), strict=True)) for own in result.history]


def _refined(land: Landscape, strategy: str, budget: int, seed: int) -> Track:
    """A strategy with local searches, which ends by the passes counted here, where a gradient costs three.

    The strategy's own clock counts a gradient as one evaluation: what cools or shrinks by the budget has gone less of
    its way at the end.
    """
    counted = _Counted(land, budget)
    minimize(
        counted,
        (LOW, HIGH),
        land.dim,
        strategy=strategy,
        refine="lbfgs",
        budget=budget,
        target=land.target,
        seed=seed,
        callback=lambda _: counted.over,
    )
    return [(passes, value) for passes, value in counted.track if passes <= budget]


PART = Part(
    "functions",
    "Functions with one minimum and with many, of 9 to 1000 dimensions",
    (),
    "about 20 minutes on one core, quick 2",
    (),
    run,
    quick_minutes=2,
)
