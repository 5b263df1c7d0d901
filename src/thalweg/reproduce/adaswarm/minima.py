"""EMPSO beside MPSO as minimizers of functions (supplementary tables 12 to 15 and 17).

The supplement says of its stopping rule two things, and of MPSO's lambda nothing. Of the three readings of the rule,
either alone or whichever comes first, the last is nearest to the printed iterations, and is taken for that; `stopping`
has the numbers of all. Lambda is taken for its stability; of 0.1, 0.2, ... 0.6 it is also nearest to what is printed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from thalweg.reproduce.adaswarm.descents import numbers
from thalweg.reproduce.adaswarm.engineering import ENGINEERING
from thalweg.reproduce.adaswarm.two_dimensional import CONSTRAINED, FREE, Problem
from thalweg.reproduce.claims import claims_of
from thalweg.reproduce.records import Measured
from thalweg.swarm.minimize import Minimum, empso_minimize
from thalweg.swarm.particles import EMPSO, MPSO, Particles

PARTICLES = 50  # printed over table 12, as are MOST and TOLERANCE
MOST = 1000
TOLERANCE = 1e-6  # of what is not said: taken for the best value's, above the known minimum
TOGETHER = 1e-2  # the text's: a swarm stops when all its particles lie within this of its best
VARIANTS: dict[str, Particles] = {
    # lambda is not printed. At 0.4 the variance of such a swarm falls about as fast as it can, by 7.6 % an iteration;
    # at 0.1 it grows.
    "mpso": MPSO(c1=0.8, c2=0.9, lam=0.4),
    "empso": EMPSO(c1=0.8, c2=0.9, beta=0.9),
}
LOWEST = 1e-16  # of an error in a picture, whose scale is logarithmic

OF_VARIANT = {"mpso": "lambda and both c", "empso": "whether c and beta are those of Table II"}
STOPPING = "the stopping rule (the text's, all particles within 1e-2, or the table's tolerance of 1e-6: here the first)"
OF_ENGINEERING = "not said: the formulation, the bounds, the penalty, the stopping rule and the runs"


@dataclass(frozen=True)
class Searches:
    """What swarms of one variant made of one problem: `error` (1000, runs), the best value less the known minimum after
    each iteration; int64 (runs,): the iterations until a swarm was `together`, until it had `reached` the minimum
    within 1e-6, 1000 where it never did, and until the first of the two, when it `stopped`."""

    problem: Problem
    error: Tensor
    together: Tensor
    reached: Tensor

    @property
    def stopped(self) -> Tensor:
        return torch.minimum(self.together, self.reached)

    def values(self, iterations: Tensor) -> Tensor:
        """The best values after as many iterations, (runs,)."""
        return self.problem.minimum + self.error.gather(0, iterations.unsqueeze(0) - 1)[0]


def measured_minima(runs: int) -> tuple[list[Measured], dict[str, Any]]:
    """All cells of tables 12 to 15, and pictures' numbers.

    The fair numbers of 12 and 13 are those of 1000 iterations without a stopping rule: the best value, and the
    iterations until it is within 1e-6 of the known minimum.
    """
    fixed = {claim.cell: claim.value for claim in claims_of("adaswarm") if claim.table in ("S14", "S15")}
    cells: list[Measured] = []
    convergence, stopping = [], []
    for problem in (*FREE, *CONSTRAINED):
        of = {column: searches(problem, variant, runs) for column, variant in VARIANTS.items()}
        for column, found in of.items():
            table = "S14" if problem in FREE else "S15"
            cells += _stopped_cells(column, found)
            cells += _fixed_cells(table, column, found, int(fixed[table, problem.name, column, "iterations"] or 0))
            stopping.append({"name": problem.name, "column": column} | _means(found))
        errors = {column: _curve(found.error) for column, found in of.items()}
        convergence.append({"name": problem.name, "iteration": _shown(MOST), "error": errors})
    return cells, {"convergence": convergence, "stopping": stopping}


def measured_engineering(runs: int) -> Iterator[Measured]:
    """All cells of table 17, by the usual formulations, until all particles are within 1e-6 of the best."""
    for problem in ENGINEERING:
        found = searched(problem, VARIANTS["empso"], runs, TOLERANCE)
        for quantity, values in (("value", found.f), ("iterations", found.iterations)):
            yield Measured("S17", problem.name, "empso", quantity, numbers(values), missing=OF_ENGINEERING)


def searches(problem: Problem, variant: Particles, runs: int) -> Searches:
    """Many swarms on a problem, in 1000 iterations, and once more with the same draws until they are together."""
    error = searched(problem, variant, runs, None).trajectory - problem.minimum
    together = searched(problem, variant, runs, TOGETHER).iterations
    return Searches(problem, error, together, iterations_until(error <= TOLERANCE))


def searched(problem: Problem, variant: Particles, runs: int, together: float | None) -> Minimum:
    """What swarms found; the draws are the same whatever the stopping rule."""
    return empso_minimize(
        problem.f, problem.bounds, dim=problem.dim, particles=PARTICLES, iterations=MOST, tolerance=together,
        variant=variant, runs=runs, generator=torch.Generator().manual_seed(0),
    )  # fmt: skip


def iterations_until(holds: Tensor) -> Tensor:
    """The iteration from 1 on in which a condition, (iterations, runs), first holds; their number where none does."""
    return torch.where(holds.any(0), holds.int().argmax(0) + 1, len(holds))


def _stopped_cells(column: str, found: Searches) -> Iterator[Measured]:
    table, most = ("S12" if found.problem in FREE else "S13"), torch.full_like(found.stopped, MOST)
    missing = f"{_missing(column, found.problem)}, {STOPPING}"
    value = numbers(found.values(found.stopped)), numbers(found.values(most))
    yield Measured(table, found.problem.name, column, "value", *value, missing=missing)
    iterations = numbers(found.stopped), numbers(found.reached)
    yield Measured(table, found.problem.name, column, "iterations", *iterations, missing=missing)


def _fixed_cells(table: str, column: str, found: Searches, iterations: int) -> Iterator[Measured]:
    values = found.values(torch.full_like(found.stopped, iterations))
    for quantity, protocol in (("value", numbers(values)), ("iterations", (float(iterations),))):
        missing = _missing(column, found.problem)
        yield Measured(table, found.problem.name, column, quantity, protocol, missing=missing)


def _missing(column: str, problem: Problem) -> str:
    penalty = ", the penalty" if problem in CONSTRAINED else ""
    return f"not said: the bounds, {OF_VARIANT[column]}{penalty}"


def _means(found: Searches) -> dict[str, float]:
    """Mean iterations by each reading of the stopping rule."""
    counts = {"together": found.together, "reached": found.reached, "first": found.stopped}
    return {name: round(float(count.double().mean()), 1) for name, count in counts.items()}


def _shown(iterations: int) -> list[int]:
    """The iterations that a curve is drawn at: all up to ten, then ever fewer."""
    marks = [round(iterations ** (place / 60)) for place in range(61)]
    return sorted(set(marks))


def _curve(error: Tensor) -> list[float]:
    """The median over runs of errors (iterations, runs) at the iterations shown."""
    at = torch.tensor(_shown(len(error))) - 1
    return [float(f"{value:.4g}") for value in error[at].median(-1).values.clamp(min=LOWEST).tolist()]
