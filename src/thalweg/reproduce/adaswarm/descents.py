"""Descents on functions of one number, by true gradients and by a swarm's (Tables I to III)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from thalweg.reproduce.adaswarm.one_dimensional import DIFFERENTIABLE, NOT_DIFFERENTIABLE, WIDE, FunctionOfOne
from thalweg.reproduce.records import Measured
from thalweg.swarm.descent import swarm_descent
from thalweg.swarm.minimize import begin, empso_minimize
from thalweg.swarm.particles import EMPSO, PSO, Particles

ETA = 0.1  # printed over the tables, as are c1 and c2
BETA = 0.9
START = 1.0  # of all descents by the paper's protocol
STEPS = 1000  # as one of the descents of Table III takes 1001 iterations
TOLERANCE = 1e-6  # a descent stops where it is within this of the swarm's best, or where a step is no longer
PARTICLES = 25
SEARCH = 1000  # iterations that a swarm has before the first step
RATES = tuple(10 ** (-place / 4) for place in range(17))  # that the fair descent chooses among: 1 to 1e-4

CHOSEN = "the start, the stopping rule and the domain"
OF_SWARM = f"{CHOSEN}; the particles, and when the swarm stops"


@dataclass(frozen=True)
class Table:
    """A table: its functions, the descent by true gradients with its momentum, and the swarm of the emulated one."""

    name: str
    functions: tuple[FunctionOfOne, ...]
    rival: str
    momentum: float
    variant: Particles


TABLES = (
    Table("I", DIFFERENTIABLE, "gradient_descent", 0.0, PSO(c1=0.8, c2=0.9, inertia=ETA)),  # eta = omega, section III-A
    Table("II", DIFFERENTIABLE, "sgd_momentum", BETA, EMPSO(c1=0.8, c2=0.9, beta=BETA)),  # eta = 1 - beta, III-B
    Table("III", NOT_DIFFERENTIABLE, "sgd_momentum", BETA, EMPSO(c1=0.8, c2=0.9, beta=BETA)),
)


def measured_descents(seeds: int) -> Iterator[Measured]:
    """All cells of the three tables: with as many seeds by the paper's protocol from one start, and by the fair one
    from as many starts, the same for both descents of a row.

    The fair numbers: of the known minimum, the least on [-10, 10]; of a descent, at the learning rate that is best from
    other starts; of the emulated one, with the swarm's own iterations counted.
    """
    for table in TABLES:
        for function in table.functions:
            x0 = torch.full((seeds,), START, dtype=torch.float64), starts(function, seeds, seed=0)
            known = (function.least(function.domain)[1],), (function.least(WIDE)[1],)
            yield Measured(table.name, function.name, "known", "value", *known)
            yield from _by_gradient(table, function, x0)
            yield from _emulated(table, function, x0)


def starts(function: FunctionOfOne, count: int, seed: int) -> Tensor:
    """Where descents begin: uniform, (count,)."""
    low, high = torch.tensor(function.starts or function.domain, dtype=torch.float64).unsqueeze(-1)
    return begin(low, high, (count, 1), torch.Generator().manual_seed(seed))[:, 0]


def descend(function: FunctionOfOne, x0: Tensor, lr: float | Tensor, momentum: float) -> tuple[Tensor, Tensor]:
    """Where descents from x0 come to, and after how many steps, by the closed derivative and the paper's momentum
    (eq. 16): `v = beta v + (1 - beta) gradient; x = x - lr v`. Of the shape that x0 and `lr` broadcast to.

    x is kept in the domain; a descent stops where a step is no longer than the tolerance.
    """
    x = (x0 + torch.zeros_like(torch.as_tensor(lr, dtype=x0.dtype))).contiguous()
    v = torch.zeros_like(x)
    taken = torch.full(x.shape, STEPS)
    running = torch.ones_like(x, dtype=torch.bool)
    for step in range(1, STEPS + 1):
        v = momentum * v + (1 - momentum) * function.slope(x)
        moved = torch.where(running, (x - lr * v).clamp(*function.domain), x)
        stops = running & ((moved - x).abs() <= TOLERANCE)
        taken[stops] = step
        running = running & ~stops
        x = moved
        if not running.any():
            break
    return x, taken


def best_rate(function: FunctionOfOne, momentum: float) -> float:
    """The learning rate that leads to the lowest mean value from ten starts of its own; of equal ones, soonest."""
    x, taken = descend(function, starts(function, 10, seed=1), torch.tensor(RATES).unsqueeze(-1), momentum)
    values, steps = function.f(x).mean(-1).tolist(), taken.double().mean(-1).tolist()
    return min(zip(RATES, values, steps, strict=True), key=lambda one: (round(one[1], 4), one[2]))[0]


def _by_gradient(table: Table, function: FunctionOfOne, x0: tuple[Tensor, Tensor]) -> Iterator[Measured]:
    printed = descend(function, x0[0], ETA, table.momentum)
    fair = descend(function, x0[1], best_rate(function, table.momentum), table.momentum)
    yield from _cells(table, function, table.rival, CHOSEN, printed, fair)


def _emulated(table: Table, function: FunctionOfOne, x0: tuple[Tensor, Tensor]) -> Iterator[Measured]:
    found = swarm_descent(
        function.f, torch.stack(x0), bounds=function.domain, eta=ETA, steps=STEPS, tolerance=TOLERANCE,
        variant=table.variant, particles=PARTICLES, iterations=SEARCH, generator=torch.Generator().manual_seed(0),
    )  # fmt: skip
    # The same swarms once more, as a descent does not say how long they took.
    search = empso_minimize(
        function.f_of_points, function.domain, dim=1, particles=PARTICLES, iterations=SEARCH, tolerance=TOLERANCE,
        variant=table.variant, runs=found.steps.numel(), generator=torch.Generator().manual_seed(0),
    )  # fmt: skip
    x = found.x[-1].clamp(*function.domain)  # a last step can lead out of it by less than the tolerance
    steps = found.steps, found.steps + search.iterations.reshape(found.steps.shape)
    yield from _cells(table, function, "emulated", OF_SWARM, (x[0], steps[0][0]), (x[1], steps[1][1]))


def _cells(
    table: Table,
    function: FunctionOfOne,
    column: str,
    missing: str,
    printed: tuple[Tensor, Tensor],
    fair: tuple[Tensor, Tensor],
) -> Iterator[Measured]:
    for quantity, values, fairs in (
        ("value", function.f(printed[0]), function.f(fair[0])),
        ("iterations", printed[1], fair[1]),
    ):
        yield Measured(
            table.name, function.name, column, quantity, numbers(values), numbers(fairs), missing=f"not said: {missing}"
        )


def numbers(values: Tensor | Iterable[float]) -> tuple[float, ...]:
    """As the records keep them."""
    return tuple(float(value) for value in (values.flatten().tolist() if isinstance(values, Tensor) else values))
