"""What evolution strategies share: how many points they take, and what a rank is worth."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import torch
from torch import Tensor

from thalweg.search.checks import check_whole

Worth = Callable[[int], list[float]]


def points_for(dim: int, population: int | None = None) -> int:
    """The population, where none was asked for 4 + floor(3 ln dim) (Hansen, The CMA evolution strategy: a tutorial,
    2016)."""
    return 4 + math.floor(3 * math.log(dim)) if population is None else population


def check_population(population: int | None, even: bool = False) -> None:
    """Raises ValueError unless there are two points at least, or as many pairs of them."""
    check_whole(2, population=population)
    if even and population is not None and population % 2:
        raise ValueError(f"population must be even, got {population}")


def kept_finite(deviation: Tensor) -> Tensor:
    """Standard deviations, cut where their squares would overflow or they themselves vanish; changed in place."""
    numbers = torch.finfo(deviation.dtype)
    return deviation.clamp_(numbers.tiny, numbers.max**0.5)


def natural(population: int) -> list[float]:
    """What natural evolution strategies give to ranks, the best first; they sum to zero (Wierstra et al., Natural
    evolution strategies, JMLR 15, 2014, section 3.1)."""
    raw = [max(0.0, math.log(population / 2 + 1) - math.log(rank)) for rank in range(1, population + 1)]
    return [value / sum(raw) - 1 / population for value in raw]


def centered(population: int) -> list[float]:
    """From 1/2 for the best to -1/2 for the worst, evenly."""
    return [0.5 - rank / (population - 1) for rank in range(population)]


def shaped(fitness: Tensor, worth: Worth) -> Tensor:
    """What the fitness (runs, P) of each point is worth by its rank, as a row (runs, 1, P).

    Points of equal fitness share what their ranks are worth together, so that a plateau teaches nothing: all worths
    sum to zero, and so does that of points who are all alike.
    """
    ordered, order = fitness.sort(1)
    # Looked for in order, numbers are found in half the time.
    first, last = (torch.searchsorted(ordered, ordered, right=right) for right in (False, True))
    sums = _running_sums(worth, fitness.shape[1], fitness.device)
    mean = sums.take(last).sub_(sums.take(first)).div_(last - first)
    return torch.empty_like(fitness).scatter_(1, order, mean.to(fitness.dtype)).unsqueeze_(1)


@lru_cache(maxsize=256)
def _running_sums(worth: Worth, population: int, device: torch.device) -> Tensor:
    """What the first 0, 1, ..., P ranks are worth together, float64: differences of sums would cost float32 dearly."""
    sums = torch.tensor([0.0, *worth(population)], dtype=torch.float64, device=device).cumsum(0)
    sums[-1] = 0.0  # to the last bit
    return sums
