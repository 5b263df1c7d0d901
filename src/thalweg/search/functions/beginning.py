"""How a restart begins: with which strategy, where, and from which random numbers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from thalweg.search.algorithm import Algorithm, Problem
from thalweg.search.functions.leg import Leg
from thalweg.search.functions.restarts import Plan
from thalweg.search.spaces import Box
from thalweg.search.strategy import Strategy

_STRATEGY, _PLAN, _START = range(3)  # what a restart draws for


def strategy_of(leg: Leg, problem: Problem, algorithm: Algorithm, population: int, seeds: list[int]) -> Strategy:
    """The strategy that searches a leg after the first, whose algorithm and `population` those were.

    It begins anywhere in the box; without one, around x0, as far as sigma0 says.
    """
    runs, space, sigma0 = leg.runs.tolist(), problem.space, problem.sigma0
    if isinstance(space, Box) and leg.plan.spread != 1:
        sigma0 = leg.plan.spread * (0.2 * width_of(problem) if sigma0 is None else sigma0)
    drawing = runs if len(seeds) > 1 else runs[:1]
    return Strategy(
        _scaled(leg, algorithm, population),
        space,
        x0=_start(leg, problem, seeds) if isinstance(space, Box) and not space.bounded else None,
        sigma0=None if sigma0 is None else sigma0.flatten(),
        runs=len(runs),
        budget=leg.budget,
        generator=[_generator(seeds, run, leg.number, _STRATEGY) for run in drawing],
        dtype=problem.dtype,
        device=problem.device,
    )


def population_of(algorithm: Algorithm, population: int, plan: Plan) -> int:
    """How large a population is planned, where that of the first leg was `population`; an even one stays even, for the
    sake of strategies that draw pairs. The first one's for an algorithm that has no population to set."""
    if "population" not in algorithm.hyperparameters():
        return population
    scaled = int(population * plan.scale)
    return scaled - scaled % 2 * (1 - population % 2)


def uniform_pair(seeds: list[int], run: int, number: int) -> tuple[float, float]:
    """The two numbers in [0, 1) by which a run plans a restart."""
    first, second = torch.rand(2, generator=_generator(seeds, run, number, _PLAN), dtype=torch.float64).tolist()
    return first, second


def width_of(problem: Problem) -> Tensor:
    """Of the box, (D,); where nothing bounds it five times sigma0, which is otherwise a fifth of the box."""
    width = problem.high - problem.low
    return width if problem.sigma0 is None else torch.where(width.isfinite(), width, 5 * problem.sigma0.flatten())


def _start(leg: Leg, problem: Problem, seeds: list[int]) -> Tensor:
    assert isinstance(problem.space, Box)
    assert problem.x0 is not None
    assert problem.sigma0 is not None
    runs = leg.runs.tolist()
    draws = [torch.randn(problem.dim, generator=_generator(seeds, run, leg.number, _START)) for run in runs]
    return problem.space.reflect(problem.x0[runs, 0] + problem.sigma0[0] * torch.stack(draws).to(problem.x0))


def _scaled(leg: Leg, algorithm: Algorithm, population: int) -> Algorithm:
    known = algorithm.hyperparameters()
    changed: dict[str, Any] = {
        name: value[leg.runs]
        for name, value in known.items()
        if name not in algorithm.tables and isinstance(value, Tensor) and value.dim()
    }
    if "population" in known and leg.plan.scale != 1:
        changed["population"] = population_of(algorithm, population, leg.plan)
    return replace(algorithm, **changed)


def _generator(seeds: list[int], run: int, number: int, what: int) -> torch.Generator:
    """What a run draws from at its restart of that number: the same whatever the other runs do."""
    key = [seeds[run], 0] if len(seeds) > 1 else [seeds[0], run]
    (seed,) = np.random.SeedSequence([*key, number, what]).generate_state(1, np.uint64).tolist()
    return torch.Generator().manual_seed(seed)
