"""Gradient descent whose gradient is made by a swarm (AdaSwarm, sections III and IV), on functions of one number.

A particle's move is read as a step of descent, `-eta gradient`. Near the minimum, where all bests lie at g, this says

    gradient = (C / eta) (w - g),                                    C = c1 r1 + c2 r2,

and anywhere (equation 19)

    gradient = (c1 r1 (w - p) + c2 r2 (w - g) - momentum) / eta.

The paper writes descent as `w + eta gradient` (equation 11), and so has the other sign (equations 15 and 19): either
with its own descent leads down, but its gradient with anyone else's leads up. The gradient knows where g is and nothing
else of f: near the minimum it is that of (C / eta) (w - g)^2 / 2 whatever f is, and its size says nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from thalweg.swarm.minimize import (
    PAPER,
    Function,
    advance,
    begin,
    check_variant,
    checked_bounds,
    checked_generator,
    evaluated,
    refuse_nan,
    run_swarm,
    uniform_from,
    whole,
)
from thalweg.swarm.particles import Draw, Particles
from thalweg.swarm.search import Swarm
from thalweg.swarm.stability import warn_if_unstable

FORMS = ("near", "away")
COEFFICIENTS = ("paper", "expected")

# From points (n, 1) to the gradients there and the swarms' bests so far, both (n, 1); each call is one step.
_Gradient = Callable[[Tensor], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Descent:
    """How descents from points of shape S went.

    `x` and `f`, (T + 1, *S): the points, from x0 on, and their values. `gradient`, (T, *S): what was used in each step;
    0 once a descent has stopped. `steps`, int64 S: how many it took until x was within the tolerance of the swarm's
    best, or all there were; T is the most of them. `best`, S: the swarm's best in the end.
    """

    x: Tensor
    f: Tensor
    gradient: Tensor
    steps: Tensor
    best: Tensor


def swarm_descent(
    f: Function,
    x0: Any,
    *,
    bounds: tuple[Any, Any],
    form: str = "near",
    eta: float = 0.1,
    lr: float | None = None,
    steps: int = 100,
    tolerance: float = 1e-6,
    variant: Particles = PAPER,
    particles: int = 25,
    iterations: int | None = None,
    coeff: str = "paper",
    generator: torch.Generator | None = None,
) -> Descent:
    """Descends from each of the numbers x0 by gradients that a swarm of its own makes: `w = w - lr gradient`.

    Arguments:
        f: elementwise, from a tensor to one of its shape.
        bounds: low and high, between which particles begin and stay. Descent may leave them.
        form: "near" lets the swarm search first, and descends to its best g. "away" has the swarm and w move in
            lockstep, w as if it were one of the particles: p is the mean of their own bests, and the momentum that of
            the particle whose best is the swarm's.
        eta: what the paper sets to 1 - beta, and for PSO to the inertia.
        lr: of the descent; None: eta, so that near the minimum `w - g` is multiplied by 1 - C in each step.
        steps, tolerance: a descent stops within the tolerance of the swarm's best; so does a "near" swarm, when all its
            particles are.
        iterations: of the swarm before the first step; None: 1000 at most for "near", none for "away".
        coeff: "paper" takes the averages of c1 r1 and c2 r2 over the particles, with new r1 and r2 in each step, which
            in lockstep are the particles' own; "expected" takes their means, c1 / 2 and c2 / 2.
        generator: where all draws come from; without one, a generator with seed 0.

    All is float64. Raises ValueError, naming the argument and quoting the value.

    >>> found = swarm_descent(lambda x: x.abs(), 3.0, bounds=(-10, 10), coeff="expected", tolerance=1e-3)
    >>> found.steps.item(), round(found.f[1].item(), 3)    # each step leaves 1 - 0.85 of the distance
    (5, 0.45)
    """
    swarms = _Swarms(f, bounds, form, eta, tolerance, variant, particles, iterations, coeff, generator)
    lr = swarms.eta if lr is None else _positive("lr", lr)
    steps = whole("steps", steps)
    w, shape = _points("x0", x0, swarms.low)
    warn_if_unstable(variant)
    gradient_at = swarms.gradient(len(w), before=0 if form == "away" else 1000)
    points, values, gradients = [w], [evaluated(f, w.reshape(shape), shape)], [w[:0]]
    taken = torch.zeros_like(w, dtype=torch.int64)
    running = torch.ones_like(w, dtype=torch.bool)
    best = w
    for _ in range(steps):
        gradient, best = gradient_at(w)
        running = running & ((w - best).abs() > tolerance)
        if not running.any():
            break
        gradients.append(torch.where(running, gradient, 0.0))
        w = w - lr * gradients[-1]
        taken += running
        points.append(w)
        values.append(evaluated(f, w.reshape(shape), shape))
    return Descent(
        x=torch.stack(points).reshape(-1, *shape),
        f=torch.stack(values),
        gradient=torch.cat(gradients).reshape(-1, *shape),
        steps=taken.reshape(shape),
        best=best.reshape(shape),
    )


def swarm_gradient_at(
    f: Function,
    x: Any,
    *,
    bounds: tuple[Any, Any],
    form: str = "near",
    eta: float = 0.1,
    tolerance: float = 1e-6,
    variant: Particles = PAPER,
    particles: int = 25,
    iterations: int | None = None,
    coeff: str = "paper",
    generator: torch.Generator | None = None,
) -> Tensor:
    """The gradients at points x, of their shape, each by a swarm of its own; arguments as in `swarm_descent`.

    In the "away" form a swarm has made `iterations` iterations by then, 5 if that is None: it must have moved for
    there to be momentum, and must not have settled.
    """
    swarms = _Swarms(f, bounds, form, eta, tolerance, variant, particles, iterations, coeff, generator)
    w, shape = _points("x", x, swarms.low)
    warn_if_unstable(variant)
    gradient, _ = swarms.gradient(len(w), before=5 if form == "away" else 1000)(w)
    return gradient.reshape(shape)


class _Swarms:
    """Makes gradients by a swarm for each of n points; the arguments are those of `swarm_descent`."""

    def __init__(
        self,
        f: Function,
        bounds: tuple[Any, Any],
        form: str,
        eta: float,
        tolerance: float,
        variant: Particles,
        particles: int,
        iterations: int | None,
        coeff: str,
        generator: torch.Generator | None,
    ) -> None:
        if form not in FORMS:
            raise ValueError(f"form must be 'near' or 'away', got {form!r}")
        if coeff not in COEFFICIENTS:
            raise ValueError(f"coeff must be 'paper' or 'expected', got {coeff!r}")
        if not 0 <= tolerance < math.inf:
            raise ValueError(f"tolerance must be >= 0 and finite, got {tolerance}")
        check_variant(variant)
        self.f, self.form, self.tolerance, self.variant, self.coeff = f, form, tolerance, variant, coeff
        self.eta = _positive("eta", eta)
        self.low, self.high = checked_bounds(bounds, dim=1)
        self.particles = whole("particles", particles)
        self.iterations = None if iterations is None else whole("iterations", iterations, least=int(form == "near"))
        self.generator = checked_generator(generator)
        self.draws = uniform_from(self.generator, self.low)

    def gradient(self, n: int, before: int) -> _Gradient:
        """The gradient at n points, after as many iterations of the swarms, or `before` where nobody said how many."""
        start = begin(self.low, self.high, (self.particles, n, 1), self.generator)
        iterations = before if self.iterations is None else self.iterations
        return self._near(start, iterations) if self.form == "near" else self._away(start, iterations)

    def _near(self, start: Tensor, iterations: int) -> _Gradient:
        best = run_swarm(
            self._evaluate, start, self.low, self.high, self.variant, iterations, self.tolerance, self.draws
        ).x

        def gradient(w: Tensor) -> tuple[Tensor, Tensor]:
            c1, c2 = self._coefficients(self._draw(start))
            return (c1 + c2) / self.eta * (w - best), best

        return gradient

    def _away(self, start: Tensor, iterations: int) -> _Gradient:
        swarm = Swarm(self.variant, start, None)
        loss = self._evaluate(start)
        refuse_nan(loss)
        swarm.note(loss)

        def move(draw: Draw) -> None:
            advance(swarm, draw, self.low, self.high)
            swarm.note(self._evaluate(swarm.x))

        def gradient(w: Tensor) -> tuple[Tensor, Tensor]:
            draw, best = self._draw(start), swarm.best
            c1, c2 = self._coefficients(draw)
            step = c1 * (swarm.own.mean(dim=0) - w) + c2 * (best - w) + momentum_of_best(swarm, self.low, self.high)
            move(draw)
            return -step / self.eta, best

        for _ in range(iterations):
            move(self._draw(start))
        return gradient

    def _evaluate(self, x: Tensor) -> Tensor:
        return evaluated(self.f, x[..., 0], x.shape[:-1])

    def _draw(self, start: Tensor) -> Draw:
        return self.variant.draw(self.draws, tuple(start.shape))

    def _coefficients(self, draw: Draw) -> tuple[Tensor, Tensor]:
        """C1 and C2, the averages of c1 r1 and c2 r2 over the particles, (n, 1), or their means."""
        r1, r2 = (0.5 * torch.ones_like(r) if self.coeff == "expected" else r for r in (draw.r1, draw.r2))
        return self.variant.c1 * r1.mean(dim=0), self.variant.c2 * r2.mean(dim=0)


def momentum_of_best(swarm: Swarm, low: Tensor, high: Tensor) -> Tensor:
    """What the particle whose own best is the swarm's would move by if nothing pulled it, (problems, dimensions).

    For PSO that is inertia times velocity; for EMPSO it is `beta M + (1 - beta) v`, the momentum of equation 5; less
    where it would leave low and high. A best particle at rest on a bound would else press on it for ever, as EMPSO's
    momentum changes by pulls alone.
    """
    x = swarm.x.clone()
    swarm.particles.move(x, [part.clone() for part in swarm.memory], torch.zeros_like(x))
    moves = torch.clamp(x, low, high) - swarm.x
    holder = (swarm.own == swarm.best).all(dim=-1, keepdim=True).int().argmax(dim=0, keepdim=True)
    return moves.gather(0, holder.expand(1, *moves.shape[1:]))[0]


def _points(name: str, x: Any, like: Tensor) -> tuple[Tensor, torch.Size]:
    """The numbers x as (n, 1), of the dtype and on the device of a tensor, and their shape."""
    message = f"{name} must be finite numbers, at least one, got {x!r:.80}"
    try:
        points = torch.as_tensor(x, dtype=like.dtype, device=like.device).detach()
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(message) from error
    if not points.isfinite().all() or not points.numel():
        raise ValueError(message)
    return points.reshape(-1, 1), points.shape


def _positive(name: str, value: float) -> float:
    if not 0 < value < math.inf:
        raise ValueError(f"{name} must be > 0 and finite, got {value}")
    return value
