"""Choices instead of weights: a knapsack and a tour, each with an exact solution to be held against."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import numpy as np
import torch
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import lil_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from thalweg.reproduce.paper import Options, Part, Tell
from thalweg.reproduce.records import Records
from thalweg.search import Bits, Orders, Strategy
from thalweg.search.spaces import Space

SEED = 11
KNAPSACK = ("random", "hillclimb", "aco_discrete", "tabu", "qea", "sqa")
TOUR = ("random", "hillclimb", "aco_discrete", "tabu")


@dataclass(frozen=True)
class Scale:
    """How much is run."""

    items: int
    cities: int
    evaluations: int
    runs: int


FULL = Scale(100, 30, 50_000, 9)
QUICK = Scale(60, 20, 20_000, 5)


def run(options: Options, tell: Tell, scale: Scale | None = None) -> Records:
    """Every strategy for bits on the knapsack, and every one for orders on the tour."""
    scale = scale or (QUICK if options.quick else FULL)
    found = []
    for problem in (knapsack(scale.items), tour(scale.cities)):
        for method in problem.methods:
            tell(f"{problem.name}: {method}")
            found.append(_cell(problem, method, scale))
    return Records("survey", (), {"choices": found}, {"choices": vars(scale)})


@dataclass(frozen=True)
class Problem:
    """What is minimised, over what, what the lowest value is, by whom, and what methods are told of it beside."""

    name: str
    space: Space
    f: Callable[[Tensor], Tensor]
    lowest: float
    methods: tuple[str, ...]
    told: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    repaired: Callable[[Tensor], Tensor] = torch.clone  # points that are allowed, which strategies learn instead


def knapsack(items: int) -> Problem:
    """Weights of 1 to 10, profits 5 above them, room for half (Han and Kim 2002). Items that do not fit any more are
    left out, the most profitable by weight taken first (Michalewicz 1996), so that every answer is one. The lowest
    value is dynamic programming's."""
    random = np.random.Generator(np.random.PCG64(SEED))
    weights = random.integers(1, 11, items)
    profits, room = weights + 5, int(weights.sum()) // 2
    most = np.zeros(room + 1, dtype=np.int64)
    for weight, profit in zip(weights, profits, strict=True):
        most[weight:] = np.maximum(most[weight:], most[: room + 1 - weight] + profit)
    order = np.argsort(-profits / weights, kind="stable").tolist()
    costs, gains = torch.from_numpy(weights).double(), torch.from_numpy(profits).double()

    def repaired(x: Tensor) -> Tensor:
        taken, free = torch.zeros_like(x), torch.full(x.shape[:-1], float(room), dtype=x.dtype)
        for item in order:
            fits = (x[..., item] > 0) & (costs[item] <= free)
            taken[..., item] = fits.to(x.dtype)
            free = free - fits * costs[item]
        return taken

    def loss(x: Tensor) -> Tensor:
        return -(repaired(x) @ gains)

    return Problem("knapsack", Bits(items), loss, -float(most[-1]), KNAPSACK, repaired=repaired)


def tour(cities: int) -> Problem:
    """Cities in the unit square; ants know how far they are apart, as ants do. The shortest tour is that of a
    whole-number program (Dantzig, Fulkerson and Johnson 1954)."""
    random = np.random.Generator(np.random.PCG64(SEED))
    places = random.random((cities, 2))
    distances = np.sqrt(((places[:, None] - places[None]) ** 2).sum(-1))
    between = torch.from_numpy(distances)

    def length(x: Tensor) -> Tensor:
        order = x.long()
        return between[order, order.roll(-1, dims=-1)].sum(-1)

    near = torch.from_numpy(1 / np.where(distances > 0, distances, 1.0))
    told = {"aco_discrete": {"heuristic": near}}
    return Problem("tour", Orders(cities), length, shortest(distances), TOUR, told)


def shortest(distances: np.ndarray) -> float:
    """The length of the shortest tour: edges such that each city has two, and no cities a tour of their own."""
    cities = len(distances)
    pairs = [(a, b) for a in range(cities) for b in range(a + 1, cities)]
    costs = np.array([distances[pair] for pair in pairs])
    ends = lil_array((cities, len(pairs)))
    for place, (a, b) in enumerate(pairs):
        ends[a, place] = ends[b, place] = 1
    constraints = [LinearConstraint(ends.tocsr(), 2, 2)]
    while True:
        answer = milp(costs, integrality=np.ones(len(pairs)), bounds=Bounds(0, 1), constraints=constraints)
        chosen = [pair for pair, taken in zip(pairs, answer.x, strict=True) if taken > 0.5]
        graph = lil_array((cities, cities))
        for a, b in chosen:
            graph[a, b] = 1
        count, part = connected_components(graph.tocsr(), directed=False)
        if count == 1:
            return float(sum(distances[pair] for pair in chosen))
        for one in range(count):
            inside = np.array([[part[a] == one and part[b] == one for a, b in pairs]], dtype=float)
            constraints.append(LinearConstraint(inside, -math.inf, float((part == one).sum() - 1)))


def _cell(problem: Problem, method: str, scale: Scale) -> dict[str, Any]:
    """How many runs found the best there is, after how many evaluations, and how far from it the others are."""
    own = dict(problem.told.get(method, {}))
    strategy = Strategy(method, problem.space, runs=scale.runs, budget=scale.evaluations, **own)
    target = problem.lowest + 1e-9 * abs(problem.lowest)
    hits: dict[int, int] = {}
    while len(hits) < scale.runs:
        x, before = problem.repaired(strategy.ask()), strategy.evals
        if int(before.max()) + x.shape[1] > scale.evaluations:
            break
        values = problem.f(x)
        strategy.tell(values, x)
        for run in (values <= target).any(1).nonzero().flatten().tolist():
            hits.setdefault(run, int(before[run]) + int((values[run] <= target).to(torch.int64).argmax()) + 1)
        strategy.park(strategy.best.f <= target)
    gaps = [(value - problem.lowest) / abs(problem.lowest) for value in strategy.best.f.tolist()]
    return {
        "problem": problem.name,
        "method": method,
        "runs": scale.runs,
        "solved": len(hits),
        "evaluations": median(hits.values()) if hits else None,
        "gap": median(gaps),
    }


PART = Part(
    "choices",
    "A knapsack and a tour, against exact solutions",
    (),
    "about 2 minutes on one core, quick 1",
    (),
    run,
    quick_minutes=1,
)
