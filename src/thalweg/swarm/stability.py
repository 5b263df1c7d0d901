"""When a swarm settles: one iteration as a linear map around fixed bests, and the spectrum of what it does on average.

A particle whose own best and swarm's best both lie at 0 is pulled by `-phi x` with `phi = c1 r1 + c2 r2`, anew in every
iteration, and what it does is linear in its position and memory. Where the two bests differ, the mean and the variance
are driven by a constant besides, and settle under the same conditions. Dimensions do not matter: each has these
conditions alone, and in REMPSO, which rotates both pulls alike, a covariance with no preferred direction keeps having
none, so that the largest eigenvalue is again that of one dimension.
"""

from __future__ import annotations

import warnings
from dataclasses import replace
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray

from thalweg.swarm.particles import Particles

Array = NDArray[np.float64]

# Where a mean or a variance neither falls nor grows, the radius comes out a rounding error to either side of 1.
_SETTLES = 1 - 1e-9


def transition(particles: Particles, phi: float) -> Array:
    """The matrix that takes (position, memory...) to themselves an iteration later, pulled by `-phi x`.

    Float64 (1 + m, 1 + m), where the particles remember m tensors. It is what `particles.move` makes of each unit
    vector.
    """
    size = 1 + len(particles.memory(torch.zeros(1, 1, 1, dtype=torch.float64)))
    x, *memory = torch.eye(size, dtype=torch.float64).reshape(size, size, 1, 1).unbind()
    particles.move(x, memory, -phi * x)
    return torch.stack([x, *memory]).reshape(size, size).numpy()


@lru_cache
def mean_radius(particles: Particles) -> float:
    """What the mean position is multiplied by in an iteration, in the long run: the spectral radius at the mean phi.

    The mean settles where this is below 1 (order-1 stability).
    """
    at_rest, per_phi = _reachable(particles)
    return _radius(at_rest + _mean_phi(particles) * per_phi)


@lru_cache
def variance_radius(particles: Particles) -> float:
    """What the variance of positions is multiplied by in an iteration, in the long run: the spectral radius of
    E[A kron A], where A is `transition` at a phi with r1 and r2 uniform in (0, 1).

    The variance settles where this is below 1 (order-2 stability); then so does the mean.
    """
    at_rest, per_phi = _reachable(particles)
    first = _mean_phi(particles)
    second = first**2 + (particles.c1**2 + particles.c2**2) / 12
    mixed = np.kron(at_rest, per_phi) + np.kron(per_phi, at_rest)
    return _radius(np.kron(at_rest, at_rest) + first * mixed + second * np.kron(per_phi, per_phi))


def empso_mean_bound(beta: float) -> float:
    """The c1 + c2 below which the mean of EMPSO settles, for 0 < beta <= 1: phi < 4 / (1 + beta), at its mean.

    At beta = 0 nothing dampens the particles, and their mean never settles.
    """
    if not 0 < beta <= 1:
        raise ValueError(f"beta must be in (0, 1], got {beta}")
    return 8 / (1 + beta)


@lru_cache
def variance_bound(particles: Particles) -> float:
    """The c1 + c2 below which the variance settles, at the ratio c1 : c2 that the particles have; 0 if it never does.

    Of c1 and c2 only the ratio matters (1 : 1 where both are 0), of other constants the values. Found by bisection, to
    six digits. For PSO with c1 = c2 it is 24 (1 - w^2) / (7 - 5 w) (Poli 2009).

    >>> from thalweg.swarm.particles import EMPSO
    >>> [round(variance_bound(EMPSO(c1=1, c2=1, beta=beta)), 2) for beta in (0.05, 0.1, 0.5, 0.9)]
    [0.0, 1.56, 4.19, 3.58]
    """
    total = particles.c1 + particles.c2
    share = particles.c1 / total if total else 0.5

    def settles(total: float) -> bool:
        return variance_radius(replace(particles, c1=share * total, c2=(1 - share) * total)) < _SETTLES

    low, high = 1e-3, 2e-3
    if not settles(low):
        return 0.0
    while settles(high):
        low, high = high, 2 * high
    while high - low > 1e-9:
        middle = (low + high) / 2
        low, high = (middle, high) if settles(middle) else (low, middle)
    return low


def warn_if_unstable(particles: Particles) -> None:
    """Warns, at the line that called its caller, where the variance does not settle; and says whether the mean does."""
    variance, mean = variance_radius(particles), mean_radius(particles)
    if variance < _SETTLES:
        return
    bound = variance_bound(particles)
    remedy = (
        f"c1 + c2 must be above 0 and below {bound:.3g}, got {particles.c1 + particles.c2:.3g}"
        if bound
        else "with these other constants it settles for no c1 + c2"
    )
    warnings.warn(
        f"{particles} does not settle: in an iteration the variance of its positions is multiplied by {variance:.4g}, "
        f"and their mean by {mean:.4g}, which {'does settle' if mean < _SETTLES else 'does not settle either'}; "
        f"{remedy}",
        stacklevel=3,
    )


def _mean_phi(particles: Particles) -> float:
    return (particles.c1 + particles.c2) / 2


def _reachable(particles: Particles) -> tuple[Array, Array]:
    """A and dA/dphi, where `transition` is A + phi dA/dphi, as seen in what a particle can come to from rest.

    What it can never remember must not count: at beta = 1, say, EMPSO's momentum is 0 for ever, but if it were not it
    would stay as it is, which is an eigenvalue of 1.
    """
    at_rest = transition(particles, 0.0)
    per_phi = transition(particles, 1.0) - at_rest
    reached = np.eye(len(at_rest), 1)
    for _ in range(len(at_rest) - 1):
        vectors, lengths, _ = np.linalg.svd(np.hstack([reached, at_rest @ reached, per_phi @ reached]))
        reached = vectors[:, : np.count_nonzero(lengths > 1e-12)]
    return reached.T @ at_rest @ reached, reached.T @ per_phi @ reached


def _radius(matrix: Array) -> float:
    return float(np.abs(np.linalg.eigvals(matrix)).max())
