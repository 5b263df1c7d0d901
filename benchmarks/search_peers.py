"""Searches without gradients, ours and the peers', each as a step of one generation that can be timed.

A generation asks for a population, evaluates it in one call of a function and tells its fitness: whatever a searcher
does around that, such as counting and remembering the best, it does for its users too, and it is timed. EvoX is timed
in its `StdWorkflow`, EvoTorch by its searchers' `step`. Peers are imported where they are made: one that is not
installed, or cannot run, is reported as such and leaves the others alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from timing import Step
from torch import Tensor

from thalweg.search import Strategy

LOW, HIGH, SIGMA = -5.0, 5.0, 1.0
START = 2.0  # every coordinate of the point at which distributions begin
LR, SIGMA_LR, MAX_SPEED, NOISE = 0.1, 0.1, 0.2, 0.02
ETA_CROSSOVER, ETA_MUTATION, MUTATION = 15.0, 20.0, 0.1

Function = Callable[[Tensor], Tensor]


def sphere(x: Tensor) -> Tensor:
    return x.square().sum(-1)


def rastrigin(x: Tensor) -> Tensor:
    return (x.square() - 10 * torch.cos(2 * math.pi * x) + 10).sum(-1)


def plateau(x: Tensor) -> Tensor:
    """A sphere with a flat bottom, on which nothing converges: thousands of generations on a sphere would end in
    numbers that underflow, which processors are slow with."""
    return x.square().sum(-1).clamp_min(1.0)


@dataclass(frozen=True)
class Problem:
    """A function of populations (P, D) or (runs, P, D), and the sizes of a search for its minimum, in float32."""

    function: Function
    dim: int
    population: int
    device: str
    runs: int = 1

    def start(self) -> Tensor:
        return torch.full((self.dim,), START, device=self.device)

    def sides(self) -> tuple[Tensor, Tensor]:
        return tuple(torch.full((self.dim,), side, device=self.device) for side in (LOW, HIGH))


Contender = Callable[[Problem], Step]


# Ours


def in_a_box(name: str, **options: Any) -> Contender:
    return lambda problem: _generation(problem, name, {"bounds": (LOW, HIGH), "dim": problem.dim}, options)


def from_a_point(name: str, **options: Any) -> Contender:
    return lambda problem: _generation(problem, name, {"x0": problem.start(), "sigma0": SIGMA}, options)


def _generation(problem: Problem, name: str, where: Mapping[str, Any], options: Mapping[str, Any]) -> Step:
    strategy = Strategy(
        name, **where, runs=problem.runs, generator=torch.Generator(problem.device).manual_seed(0),
        device=problem.device, population=problem.population, **{"dtype": torch.float32, **options},
    )  # fmt: skip
    return lambda: strategy.tell(problem.function(strategy.ask()))


# EvoX


def evox_in_a_box(name: str, **options: Any) -> Contender:
    return lambda problem: _workflow(problem, name, problem.population, *problem.sides(), **options).step


def evox_from_a_point(name: str, **options: Any) -> Contender:
    return lambda problem: _workflow(problem, name, problem.population, problem.start(), **options).step


def evox_cma(problem: Problem) -> Step:
    return _workflow(problem, "CMAES", problem.start(), SIGMA, problem.population).step


def evox_runs(name: str) -> Contender:
    """Many runs in one call, as its documentation shows: a vmap of the workflow's step over stacked states."""

    def made(problem: Problem) -> Step:
        from evox.core import use_state, vmap

        workflows = [_workflow(problem, name, problem.population, *problem.sides()) for _ in range(problem.runs)]
        parameters, buffers = torch.func.stack_module_state(workflows)
        step = vmap(use_state(workflows[0].step), randomness="different")
        states = [{**parameters, **buffers}]

        def generation() -> None:
            states[0] = step(states[0])

        return generation

    return made


def _workflow(problem: Problem, name: str, *arguments: Any, **options: Any) -> Any:
    import evox.algorithms
    from evox.core import Problem as EvoxProblem
    from evox.workflows import StdWorkflow

    class Evaluated(EvoxProblem):
        def evaluate(self, x: Tensor) -> Tensor:
            return problem.function(x)

    algorithm = getattr(evox.algorithms, name)(*arguments, **options, device=problem.device)
    workflow = StdWorkflow(algorithm, Evaluated(), device=problem.device)
    workflow.init_step()
    return workflow


# EvoTorch


def evotorch(name: str, **options: Any) -> Contender:
    def made(problem: Problem) -> Step:
        import evotorch.algorithms

        # Its distributions refuse bounds.
        given = _evotorch_problem(problem, initial_bounds=(LOW, HIGH))
        own = {"popsize": problem.population, "center_init": problem.start(), "stdev_init": SIGMA, **options}
        return getattr(evotorch.algorithms, name)(given, **own).step

    return made


def evotorch_ga(mutation: str, **options: Any) -> Contender:
    """Simulated binary crossover, then a mutation; survivors are not evaluated again, which would be its default."""

    def made(problem: Problem) -> Step:
        import evotorch.operators
        from evotorch.algorithms import GeneticAlgorithm

        given = _evotorch_problem(problem, bounds=(LOW, HIGH))
        own = {"mutation_probability": 1 / problem.dim, **options} if mutation == "PolynomialMutation" else options
        operators = [
            evotorch.operators.SimulatedBinaryCrossOver(given, tournament_size=2, eta=ETA_CROSSOVER),
            getattr(evotorch.operators, mutation)(given, **own),
        ]
        return GeneticAlgorithm(given, operators=operators, popsize=problem.population, re_evaluate=False).step

    return made


def evotorch_functional_pgpe(problem: Problem) -> Step:
    from evotorch.algorithms.functional import pgpe, pgpe_ask, pgpe_tell

    states = [
        pgpe(
            center_init=problem.start(), center_learning_rate=LR, stdev_learning_rate=SIGMA_LR, objective_sense="min",
            stdev_init=SIGMA, optimizer_config={"max_speed": MAX_SPEED},
        )
    ]  # fmt: skip

    def generation() -> None:
        x = pgpe_ask(states[0], popsize=problem.population)
        states[0] = pgpe_tell(states[0], x, problem.function(x))

    return generation


def _evotorch_problem(problem: Problem, **where: Any) -> Any:
    from evotorch import Problem as EvotorchProblem
    from evotorch.decorators import vectorized

    return EvotorchProblem(
        "min", vectorized(problem.function), solution_length=problem.dim, dtype=torch.float32, device=problem.device,
        seed=0, **where,
    )  # fmt: skip


# pycma


def pycma(problem: Problem) -> Step:
    """In float64, which is all it has; its populations are evaluated in one call too."""
    import cma
    import numpy as np

    options = {"popsize": problem.population, "seed": 1, "verbose": -9}
    strategy = cma.CMAEvolutionStrategy(np.full(problem.dim, START), SIGMA, options)

    def generation() -> None:
        x = strategy.ask()
        strategy.tell(x, problem.function(torch.from_numpy(np.asarray(x))).tolist())

    return generation
