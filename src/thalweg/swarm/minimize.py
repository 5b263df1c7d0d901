"""`empso_minimize`: a swarm as a minimizer of functions, over many independent runs at once."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from thalweg.swarm.particles import EMPSO, Draw, Particles
from thalweg.swarm.search import Swarm
from thalweg.swarm.stability import warn_if_unstable

Function = Callable[[Tensor], Tensor]
Uniform = Callable[[tuple[int, ...]], Tensor]

PAPER = EMPSO()  # with AdaSwarm's constants: c1 = 0.8, c2 = 0.9, beta = 0.9


@dataclass(frozen=True)
class Minimum:
    """What a swarm found in each run.

    `x` (runs, D) and `f` (runs,): the best point ever evaluated, and its value. `iterations` and `evaluations`, int64
    (runs,): what it took until all particles lay within the tolerance of it, or all there were. `trajectory`
    (iterations of the longest run, runs) and `path` (..., runs, D): the best value and point so far after each
    iteration's evaluations; those of a run that has stopped do not change any more.
    """

    x: Tensor
    f: Tensor
    iterations: Tensor
    evaluations: Tensor
    trajectory: Tensor
    path: Tensor


def empso_minimize(
    f: Function,
    bounds: tuple[Any, Any],
    *,
    dim: int | None = None,
    particles: int = 50,
    iterations: int = 1000,
    tolerance: float | None = 1e-6,
    variant: Particles = PAPER,
    runs: int = 1,
    clamp: bool = True,
    generator: torch.Generator | None = None,
    x0: Any = None,
    dtype: torch.dtype = torch.float64,
) -> Minimum:
    """Minimizes f with swarms, `runs` of them that know nothing of each other.

    Arguments:
        f: from points (..., D) to values (...), for all points at once. NaN is worse than any value.
        bounds: low and high, numbers or (D,). Particles begin uniformly between them.
        dim: D, which must be said where the bounds are numbers and there is no x0.
        iterations: the most there are. In each, all particles are evaluated, each one's best and the swarm's best ever
            are set anew where f is strictly lower, and all move.
        tolerance: a run stops when all particles are so near to its best (Euclidean); None: never.
        variant: how particles move. Warns where its constants are unstable.
        clamp: whether particles stay in the bounds. Their momentum knows nothing of it.
        generator: where all draws come from; without one, a generator with seed 0.
        x0: where particles begin, (particles, D) in every run or (particles, runs, D).

    Bounds and x0 say which device it runs on. Raises ValueError, naming the argument and quoting the value; also where
    f has not one value a point, and where it is NaN at all points that a run begins with.

    >>> found = empso_minimize(lambda x: (x**2 + x.exp()).sum(-1), (-10, 10), dim=1)
    >>> round(found.f.item(), 4), round(found.x.item(), 4)
    (0.8272, -0.3517)
    """
    particles, runs = whole("particles", particles), whole("runs", runs)
    iterations = whole("iterations", iterations)
    if tolerance is not None and not 0 <= tolerance < math.inf:
        raise ValueError(f"tolerance must be None or >= 0 and finite, got {tolerance}")
    check_variant(variant)
    given = None if x0 is None else _positions(x0, dtype)
    low, high = checked_bounds(bounds, dim, given, dtype)
    generator = checked_generator(generator)
    shape = particles, runs, len(low)
    start = begin(low, high, shape, generator) if given is None else _given_start(given, low, high, shape, clamp)
    warn_if_unstable(variant)
    if not clamp:
        low, high = torch.full_like(low, -math.inf), torch.full_like(high, math.inf)
    draws = uniform_from(generator, start)
    return run_swarm(lambda x: evaluated(f, x, x.shape[:-1]), start, low, high, variant, iterations, tolerance, draws)


# What a swarm does, for whoever runs one


@torch.no_grad()
def run_swarm(
    evaluate: Function,
    start: Tensor,
    low: Tensor,
    high: Tensor,
    variant: Particles,
    iterations: int,
    tolerance: float | None,
    draws: Uniform,
) -> Minimum:
    """Searches from positions (particles, runs, D), which stay between low and high, (D,)."""
    swarm = Swarm(variant, start, None)
    taken = torch.full(start.shape[1:2], iterations, device=start.device)
    running = torch.ones_like(taken, dtype=torch.bool)
    trajectory: list[Tensor] = []
    path: list[Tensor] = []
    for iteration in range(iterations):
        loss = evaluate(swarm.x)
        if iteration == 0:
            refuse_nan(loss)
        swarm.note(loss)
        best, x = swarm.best_loss, swarm.best
        if path:
            best = torch.where(running, best, trajectory[-1])
            x = torch.where(running.unsqueeze(-1), x, path[-1])
        trajectory.append(best)
        path.append(x)
        if tolerance is not None:
            distance = (swarm.x - swarm.best).square().sum(-1).sqrt().amax(0)
            stops = running & (distance <= tolerance)
            taken[stops] = iteration + 1
            running = running & ~stops
            if not running.any():
                break
        advance(swarm, variant.draw(draws, tuple(start.shape)), low, high)
    return Minimum(path[-1], trajectory[-1], taken, taken * len(start), torch.stack(trajectory), torch.stack(path))


def advance(swarm: Swarm, draw: Draw, low: Tensor, high: Tensor) -> None:
    """Moves the particles, which stay between low and high."""
    pull = swarm.particles.pull(swarm.x, swarm.own, swarm.best, draw)
    swarm.particles.move(swarm.x, swarm.memory, pull)
    torch.clamp(swarm.x, low, high, out=swarm.x)


def begin(low: Tensor, high: Tensor, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Positions (..., D), uniform between low and high, (D,)."""
    return torch.lerp(low.expand(shape), high.expand(shape), uniform_from(generator, low)(shape))


def uniform_from(generator: torch.Generator, like: Tensor) -> Uniform:
    """Draws numbers in [0, 1), of the dtype and on the device of a tensor."""
    return lambda shape: torch.rand(shape, generator=generator, device=generator.device, dtype=like.dtype).to(like)


def evaluated(f: Function, x: Tensor, shape: torch.Size) -> Tensor:
    """The values of f, which must have that shape. It is given a copy of x, so that it may keep or change it."""
    with torch.no_grad():
        values: Any = f(x.clone())
    if not isinstance(values, Tensor) or values.shape != shape:
        returned = f"shape {tuple(values.shape)}" if isinstance(values, Tensor) else f"{values!r:.80}"
        raise ValueError(
            f"f must give one value for each point at once: for x of shape {tuple(x.shape)} a tensor of shape "
            f"{tuple(shape)}, got {returned}"
        )
    return values.to(x)


def refuse_nan(loss: Tensor) -> None:
    """Raises ValueError where the losses (particles, runs) with which a run begins are all NaN."""
    lost = loss.isnan().all(0).nonzero().flatten().tolist()
    if lost:
        raise ValueError(f"f is NaN at all {len(loss)} points that run {lost[0]} begins with; other bounds may do")


# Checks


def whole(name: str, value: Any, least: int = 1) -> int:
    """The value as an int, refused where it is not whole or below `least`."""
    try:
        number = operator.index(value)
    except TypeError:
        number = least - 1
    if number < least or isinstance(value, bool):
        raise ValueError(f"{name} must be a whole number >= {least}, got {value!r}")
    return number


def check_variant(variant: Any) -> None:
    if not isinstance(variant, Particles):
        raise ValueError(f"variant must be Particles such as EMPSO(beta=0.9), got {variant!r}")


def checked_generator(generator: Any) -> torch.Generator:
    """The generator, or one seeded with 0 where there is none."""
    if generator is None:
        return torch.Generator().manual_seed(0)
    if not isinstance(generator, torch.Generator):
        raise ValueError(f"generator must be a torch.Generator or None, got {generator!r}")
    return generator


def checked_bounds(
    bounds: Any, dim: int | None = None, x0: Tensor | None = None, dtype: torch.dtype = torch.float64
) -> tuple[Tensor, Tensor]:
    """Low and high as tensors (D,), with D from `dim`, the bounds themselves or x0."""
    if not isinstance(dtype, torch.dtype) or not dtype.is_floating_point:
        raise ValueError(f"dtype must be a floating torch.dtype, got {dtype}")
    try:
        first, second = bounds
        device = next((part.device for part in (first, second, x0) if isinstance(part, Tensor)), None)
        low, high = (torch.as_tensor(part, dtype=dtype, device=device) for part in (first, second))
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"bounds must be a pair (low, high) of numbers or vectors, got {bounds!r:.80}") from error
    sizes = [len(part) for part in (low, high) if part.dim() == 1]
    sizes += [whole("dim", dim)] if dim is not None else []
    sizes += [x0.shape[-1]] if x0 is not None and x0.dim() else []
    if low.dim() > 1 or high.dim() > 1 or 0 in sizes:
        raise ValueError(f"bounds must be numbers or vectors, got shapes {tuple(low.shape)} and {tuple(high.shape)}")
    if not sizes:
        raise ValueError("dim must be given where bounds are two numbers and there is no x0, got None")
    if len(set(sizes)) > 1:
        raise ValueError(f"bounds, dim and x0 must have one number of dimensions, got {', '.join(map(str, sizes))}")
    low, high = low.expand(sizes[0]), high.expand(sizes[0])
    odd = ~((low < high) & (high - low).isfinite())
    if odd.any():
        at = int(odd.nonzero()[0])
        raise ValueError(
            f"bounds must be low < high, a finite distance apart, got {low[at]:g} and {high[at]:g} in dimension {at}"
        )
    return low, high


def _positions(x0: Any, dtype: torch.dtype) -> Tensor:
    try:
        return torch.as_tensor(x0, dtype=dtype).detach()
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"x0 must be positions, got {x0!r:.80}") from error


def _given_start(x0: Tensor, low: Tensor, high: Tensor, shape: tuple[int, int, int], clamp: bool) -> Tensor:
    particles, _, dim = shape
    x = x0.to(low)
    if x.shape not in ((particles, dim), shape):
        raise ValueError(f"x0 must have the shape {(particles, dim)} or {shape}, got {tuple(x.shape)}")
    if not x.isfinite().all():
        raise ValueError("x0 must be finite, got inf or nan in it")
    if clamp and not ((low <= x) & (x <= high)).all():
        raise ValueError("x0 must lie in the bounds unless clamp=False, got points outside")
    return x.reshape(particles, -1, dim).expand(shape).contiguous()
