"""The solvers of the BBOB comparison, ours and the peers': each takes the runs of a cell to their end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from bbob_runs import SIGMA, TARGETS, Over, Run
from torch import Tensor

from thalweg.search import Strategy, minimize

LOW, HIGH = -5.0, 5.0
RESTARTED = (3, 15, 20, 21)  # functions with many optima, where CMA-ES begins anew with twice the population
ALL, FEW = 15, 5  # instances
MUCH, LITTLE = 10_000, 2_000  # evaluations for each dimension

Solve = Callable[[Sequence[Run]], None]


@dataclass(frozen=True)
class Solver:
    """How to solve the runs of a cell, how many instances of a function, with which budget, and how often each where
    the ratio of single runs scatters too far to be held to a bar."""

    solve: Solve
    instances: int = ALL
    repeats: int = 1
    budget: int = MUCH


def one_by_one(solve: Callable[[Run], None]) -> Solve:
    def runs(given: Sequence[Run]) -> None:
        for run in given:
            with suppress(Over):
                solve(run)

    return runs


# Ours


def thalweg_cma(run: Run) -> None:
    """By `minimize`, without bounds, as pycma is called."""
    minimize(
        lambda x: run(x.numpy()), x0=run.start, sigma0=SIGMA, strategy="cma", budget=run.budget, target=TARGETS[-1],
        seed=run.seed, restarts="ipop" if run.function in RESTARTED else None,
    )  # fmt: skip


def together(name: str, **hyperparameters: Any) -> Solve:
    """All runs in one tensor program, within the bounds of BBOB."""

    def runs(given: Sequence[Run]) -> None:
        (dim,), (budget,) = {run.dim for run in given}, {run.budget for run in given}
        generators = [torch.Generator().manual_seed(run.seed) for run in given]
        strategy = Strategy(
            name, (LOW, HIGH), dim=dim, runs=len(given), budget=budget, generator=generators, **hyperparameters
        )
        under_way = list(given)
        while under_way:
            x = strategy.ask()
            fitness = torch.full(x.shape[:-1], torch.inf, dtype=x.dtype)
            for at, run in enumerate(given):
                if not run.over:
                    fitness[at] = torch.from_numpy(run(x[at].numpy()))
            strategy.tell(fitness)
            if any(run.over for run in under_way):
                under_way = [run for run in under_way if not run.over]
                strategy.park(torch.tensor([run.over for run in given]))

    return runs


# Peers


def pycma(run: Run) -> None:
    import cma

    options = {"maxfevals": run.budget, "ftarget": TARGETS[-1], "seed": run.seed + 1, "verbose": -9, "verb_log": 0}
    restarts = {"restarts": 100, "incpopsize": 2} if run.function in RESTARTED else {}
    cma.fmin2(None, run.start, SIGMA, options, parallel_objective=lambda x: run.or_over(x).tolist(), **restarts)


def differential_evolution(run: Run) -> None:
    """With a population that is evaluated at once, which is not its default but takes a tenth of the time."""
    from scipy.optimize import differential_evolution as solve

    def values(x: np.ndarray) -> np.ndarray | float:
        return run.or_over(x.T) if x.ndim == 2 else float(run.or_over(x))

    for again in range(1000):  # until Over
        generator = np.random.default_rng([run.seed, again])
        bounds = [(LOW, HIGH)] * run.dim
        solve(values, bounds, maxiter=10**6, rng=generator, vectorized=True, updating="deferred")


def dual_annealing(run: Run) -> None:
    from scipy.optimize import dual_annealing as solve

    generator = np.random.default_rng(run.seed)
    solve(lambda x: float(run.or_over(x)), [(LOW, HIGH)] * run.dim, maxiter=10**6, maxfun=10**9, rng=generator)


def evox(name: str, population: int) -> Callable[[Run], None]:
    def solve(run: Run) -> None:
        import evox.algorithms
        from evox.core import Problem
        from evox.workflows import StdWorkflow

        class Evaluated(Problem):
            def evaluate(self, x: Tensor) -> Tensor:
                return torch.from_numpy(run.or_over(x.numpy()))

        torch.manual_seed(run.seed)
        sides = (torch.full((run.dim,), side, dtype=torch.float64) for side in (LOW, HIGH))
        workflow = StdWorkflow(getattr(evox.algorithms, name)(population, *sides), Evaluated())
        workflow.init_step()
        while True:  # until Over
            workflow.step()

    return solve


def evotorch(name: str) -> Callable[[Run], None]:
    """From where CMA-ES begins."""

    def solve(run: Run) -> None:
        import evotorch.algorithms
        from evotorch import Problem
        from evotorch.decorators import vectorized

        @vectorized
        def values(x: Tensor) -> Tensor:
            return torch.from_numpy(run.or_over(x.numpy()))

        sides = {"initial_bounds": (LOW, HIGH), "solution_length": run.dim}
        problem = Problem("min", values, dtype=torch.float64, seed=run.seed, **sides)
        start = torch.from_numpy(run.start)
        searcher = getattr(evotorch.algorithms, name)(problem, stdev_init=SIGMA, center_init=start)
        while True:  # until Over
            searcher.step()

    return solve


OURS = {
    "cma": Solver(one_by_one(thalweg_cma), repeats=3),
    "shade": Solver(together("shade")),
    "pso": Solver(together("pso")),
    "de": Solver(together("de")),
    "qpso": Solver(together("qpso")),
    "snes": Solver(together("snes")),
    "ga": Solver(together("ga")),
    "aco": Solver(together("aco")),
    "gsa": Solver(together("gsa")),
    "sa": Solver(together("sa")),
    "tabu": Solver(together("tabu")),
    "random": Solver(together("random")),
}
PEERS = {
    "pycma": Solver(one_by_one(pycma), repeats=3),
    "scipy differential_evolution": Solver(one_by_one(differential_evolution)),
    "scipy dual_annealing": Solver(one_by_one(dual_annealing), budget=LITTLE),
    "EvoX PSO": Solver(one_by_one(evox("PSO", 100))),
    "EvoX DE": Solver(one_by_one(evox("DE", 100))),
    "EvoTorch CMAES": Solver(one_by_one(evotorch("CMAES")), instances=FEW, budget=LITTLE),
    "EvoTorch SNES": Solver(one_by_one(evotorch("SNES")), instances=FEW, budget=LITTLE),
}
SOLVERS = {f"thalweg {name}": solver for name, solver in OURS.items()} | PEERS
