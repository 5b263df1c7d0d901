"""The settings of a swarm gradient: read, and checked one by one and against each other.

All raise ValueError, naming the argument, quoting the value; TypeError for a constant that a variant does not have.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import torch
from torch import Tensor

from thalweg.swarm.particles import EMPSO, PSO, VARIANTS, EMPSOAlgorithm1, Particles
from thalweg.swarm.reference import ElementwiseRotation

ETA = 0.1  # the paper's (VI-A), which is 1 - beta for its beta of 0.9

Bounds = tuple[float | Tensor, float | Tensor]


def check_reference(init: str, particles: Particles, reference: bool) -> None:
    """Refuses what is known to be wrong, unless it is asked for as that."""
    if reference:
        return
    if init == "target":
        raise ValueError("init='target' shows the labels to the swarm: only for reproduction, with reference=True")
    if isinstance(particles, ElementwiseRotation):
        raise ValueError("ElementwiseRotation rotates nothing: only for reproduction, with reference=True")


def check_bounds(init: str, bounds: Bounds | None) -> None:
    """Refuses a start anywhere between bounds that are not finite."""
    if init == "bounds" and not all(bool(side.isfinite().all()) for side in sides_of(bounds)):
        raise ValueError(f"bounds must be given with init='bounds', as finite (low, high), got {bounds!r}")


def check_memory(cache: Any, warm_start: int, init: str, level: str, bounds: Bounds | None) -> None:
    """Refuses a cache where answers depend on more than the target, and a warm start that samples do not have alone."""
    if cache and level == "element" and max(side.numel() for side in sides_of(bounds)) > 1:
        raise ValueError(
            f"bounds must be two numbers where a cache knows an element by its target alone, got {bounds!r}"
        )
    if cache and (init == "output" or level == "joint" or warm_start):
        raise ValueError(
            "cache needs answers that depend on the target alone: init='bounds', level='element' or 'sample', no "
            f"warm_start; got init={init!r}, level={level!r}"
        )
    if warm_start and level == "joint":
        raise ValueError("warm_start is for what can be told apart by sample, but level is 'joint'")


def sides_of(bounds: Bounds | None) -> list[Tensor]:
    """Both bounds as tensors."""
    return [torch.as_tensor(side) for side in bounds or (-math.inf, math.inf)]


def particles_of(variant: str | Particles, constants: dict[str, Any]) -> Particles:
    """The particles of a variant's name and its constants, or those made already."""
    if isinstance(variant, Particles):
        if constants:
            raise TypeError(f"{', '.join(constants)} cannot be given beside particles that are made already")
        return variant
    key = variant.replace("-", "_") if isinstance(variant, str) else variant
    if key not in VARIANTS:
        raise ValueError(f"variant must be one of {', '.join(VARIANTS)} or Particles, got {variant!r}")
    allowed = [field.name for field in fields(VARIANTS[key])]
    for name in constants:
        if name not in allowed:
            raise TypeError(f"SwarmGradient takes no {name!r} with variant {variant!r}; allowed: {', '.join(allowed)}")
    return VARIANTS[key](**constants)


def bounds_of(bounds: Bounds | None) -> Bounds | None:
    """(low, high), each a number or a tensor."""
    if bounds is None:
        return None
    try:
        low, high = bounds
        ordered = bool((torch.as_tensor(low) < torch.as_tensor(high)).all())
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"bounds must be (low, high), numbers or tensors, got {bounds!r}") from error
    if not ordered:
        raise ValueError(f"bounds must be (low, high) with low < high, got {bounds!r}")
    return low, high


def expected_of(cache: bool | Sequence[float]) -> bool | list[float]:
    """Whether there is a cache, or the targets that it expects."""
    if isinstance(cache, bool):
        return cache
    try:
        return [float(target) for target in cache]
    except (TypeError, ValueError) as error:
        raise ValueError(f"cache must be True, False or the targets to expect, got {cache!r}") from error


def eta_of(particles: Particles) -> float:
    """What theory says: the inertia of PSO, 1 - beta of EMPSO, where that is not 0."""
    if isinstance(particles, PSO) and particles.inertia > 0:
        return particles.inertia
    if isinstance(particles, (EMPSO, EMPSOAlgorithm1)) and particles.beta < 1:
        return 1 - particles.beta
    return ETA
