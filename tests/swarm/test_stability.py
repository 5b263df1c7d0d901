"""Where a swarm's mean and variance settle: closed forms, the literature's bounds, and the moves themselves."""

from __future__ import annotations

import itertools
import math
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch

from thalweg.swarm.minimize import empso_minimize
from thalweg.swarm.particles import EMPSO, MPSO, PSO, REMPSO, EMPSOAlgorithm1, Particles
from thalweg.swarm.stability import (
    empso_mean_bound,
    mean_radius,
    transition,
    variance_bound,
    variance_radius,
    warn_if_unstable,
)

ALL = [PSO(), MPSO(lam=0.3), EMPSO(), EMPSO(beta=0.4), EMPSOAlgorithm1(), REMPSO()]
BETAS = [0.01, 0.1, 0.5, 0.9, 0.99]


def positions(particles: Particles, phi: float, iterations: int) -> list[float]:
    """From 1 and at rest, with both bests at 0 and a constant factor."""
    x = torch.ones(1, 1, 1, dtype=torch.float64)
    memory, found = particles.memory(x), []
    for _ in range(iterations):
        particles.move(x, memory, -phi * x)
        found.append(x.item())
    return found


def spectral_radius(matrix: np.ndarray) -> float:
    return float(np.abs(np.linalg.eigvals(matrix)).max())


# One iteration


@pytest.mark.parametrize("phi", [0.0, 0.85, 3.0])
def test_the_map_of_empso_and_of_pso(phi):
    np.testing.assert_allclose(transition(EMPSO(beta=0.9), phi), [[1 - phi, 1], [-0.1 * phi, 1]], rtol=1e-14)
    np.testing.assert_allclose(transition(PSO(inertia=0.7), phi), [[1 - phi, 0.7], [-phi, 0.7]], rtol=1e-14)


@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize("phi", [0.2, 1.7])
def test_the_characteristic_polynomial_of_empso(beta, phi):
    """lambda^2 - (2 - phi) lambda + 1 - beta phi."""
    np.testing.assert_allclose(np.poly(transition(EMPSO(beta=beta), phi)), [1, phi - 2, 1 - beta * phi], atol=1e-14)


@pytest.mark.parametrize("particles", ALL)
def test_iterations_are_powers_of_the_map(particles):
    matrix = transition(particles, 0.85)
    state = np.eye(len(matrix))[0]
    for x in positions(particles, 0.85, 20):
        state = matrix @ state
        assert x == pytest.approx(state[0], rel=1e-12, abs=1e-13)


# The mean


@pytest.mark.parametrize("beta", BETAS)
def test_the_mean_of_empso_settles_just_inside_8_over_1_plus_beta_and_not_outside(beta):
    bound = empso_mean_bound(beta)
    assert bound == 8 / (1 + beta)
    for scale, settles in ((0.999, True), (1.001, False)):
        total = scale * bound
        assert (mean_radius(EMPSO(c1=total / 2, c2=total / 2, beta=beta)) < 1) == settles
        assert (mean_radius(EMPSO(c1=total, c2=0.0, beta=beta)) < 1) == settles
        x = np.abs(positions(EMPSO(beta=beta), total / 2, 40_000 if beta < 0.1 else 8000))
        assert (x[-100:].max() < 1e-3) == settles


@pytest.mark.parametrize("lam", [0.05, 0.3, 0.9])
def test_the_mean_of_mpso_settles_for_phi_below_4_whatever_lam(lam):
    assert mean_radius(MPSO(c1=4, c2=3.999, lam=lam)) < 1 < mean_radius(MPSO(c1=4, c2=4.001, lam=lam))
    assert mean_radius(MPSO(c1=1e-3, c2=1e-3, lam=lam)) < 1


def test_the_mean_of_pso_settles_for_phi_below_twice_1_plus_inertia():
    for inertia in (0.0, 0.5, 0.9):
        bound = 4 * (1 + inertia)  # on c1 + c2
        assert mean_radius(PSO(c1=0.999 * bound, c2=0.0, inertia=inertia)) < 1
        assert mean_radius(PSO(c1=1.001 * bound, c2=0.0, inertia=inertia)) > 1


def test_an_undamped_mean_never_settles():
    for particles in (EMPSO(beta=0.0), PSO(inertia=1.0), MPSO(lam=0.0)):
        assert mean_radius(particles) == pytest.approx(1.0, abs=1e-12)
    with pytest.raises(ValueError, match=r"beta must be in \(0, 1\], got 0"):
        empso_mean_bound(0)


# The variance


@pytest.mark.parametrize("particles", [*ALL, EMPSO(c1=2, c2=0.3)])
def test_the_variance_radius_is_that_of_the_average_over_r1_and_r2(particles):
    """Gauss's points for a polynomial of degree 2, which E[A kron A] is in r1 and in r2."""
    points = np.array([0.5 - 0.5 / math.sqrt(3), 0.5 + 0.5 / math.sqrt(3)])
    maps = [
        transition(particles, particles.c1 * r1 + particles.c2 * r2) for r1, r2 in itertools.product(points, points)
    ]
    expected = spectral_radius(sum(np.kron(matrix, matrix) for matrix in maps) / 4)
    assert variance_radius(particles) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("particles", ALL)
def test_a_mean_settles_at_least_as_fast_as_its_variance(particles):
    assert mean_radius(particles) ** 2 <= variance_radius(particles) + 1e-12


@pytest.mark.parametrize(
    ("beta", "bound"), [(0.1, 1.56), (0.3, 4.25), (0.5, 4.19), (0.7, 3.89), (0.9, 3.58), (0.95, 3.50), (0.99, 3.44)]
)
def test_the_variance_bounds_of_empso(beta, bound):
    found = variance_bound(EMPSO(c1=1, c2=1, beta=beta))
    assert found == pytest.approx(bound, abs=0.006)
    assert variance_radius(EMPSO(c1=0.4999 * found, c2=0.4999 * found, beta=beta)) < 1
    assert variance_radius(EMPSO(c1=0.5001 * found, c2=0.5001 * found, beta=beta)) > 1


def test_with_a_small_beta_the_variance_never_settles():
    assert variance_bound(EMPSO(beta=0.05)) == 0
    assert all(variance_radius(EMPSO(c1=c, c2=c, beta=0.05)) > 1 for c in (1e-3, 0.1, 0.5, 1, 2, 4))


def test_adaswarms_constants_settle_and_those_of_its_code_do_not():
    assert variance_radius(EMPSO(c1=0.8, c2=0.9, beta=0.9)) == pytest.approx(0.782, abs=5e-4)
    assert variance_radius(EMPSO(c1=2.0, c2=2.0, beta=0.9)) == pytest.approx(1.47, abs=5e-3)
    assert variance_radius(EMPSO(c1=0.8, c2=0.9, beta=0.1)) == pytest.approx(1.003, abs=5e-4)


@pytest.mark.parametrize("w", [0.0, 0.3, 0.7, 0.729, 0.95])
def test_the_variance_bound_of_pso_is_polis(w):
    """24 (1 - w^2) / (7 - 5 w) on c1 + c2 with c1 = c2 (Poli 2009)."""
    assert variance_bound(PSO(c1=1, c2=1, inertia=w)) == pytest.approx(24 * (1 - w**2) / (7 - 5 * w), rel=1e-6)


def test_the_variance_bound_depends_on_the_ratio_of_c1_and_c2_alone():
    assert variance_bound(EMPSO(c1=0.8, c2=0.9)) == pytest.approx(variance_bound(EMPSO(c1=8, c2=9)), rel=1e-8)
    assert variance_bound(EMPSO(c1=0, c2=0)) == variance_bound(EMPSO(c1=1, c2=1))
    lopsided = EMPSO(c1=2.0, c2=0.0)
    bound = variance_bound(lopsided)
    assert bound < variance_bound(EMPSO(c1=1, c2=1)) - 0.1
    for scale in (0.9999, 1.0001):
        assert (variance_radius(replace(lopsided, c1=scale * bound)) < 1) == (scale < 1)


def test_momentum_that_can_never_be_does_not_count():
    """At beta = 1 EMPSO has none, and x is multiplied by 1 - phi: E[(1 - phi)^2], below 1 for c1 + c2 < 24 / 7."""
    particles = EMPSO(c1=0.8, c2=0.9, beta=1.0)
    assert variance_radius(particles) == pytest.approx((1 - 0.85) ** 2 + (0.8**2 + 0.9**2) / 12)
    assert mean_radius(particles) == pytest.approx(0.15)
    assert variance_bound(EMPSO(c1=1, c2=1, beta=1.0)) == pytest.approx(24 / 7)


def test_a_rotation_leaves_a_covariance_without_a_preferred_direction_as_it_is():
    """So that REMPSO's bounds are EMPSO's: its pull is a matrix whose mean square is E[phi^2] times the identity."""
    particles, dim, count = REMPSO(), 5, 40_000
    own = torch.Generator().manual_seed(0)
    draw = particles.draw(lambda shape: torch.rand(shape, generator=own, dtype=torch.float64), (count, 1, dim))
    zero = torch.zeros(count, 1, dim, dtype=torch.float64)
    columns = [particles.pull(zero - axis, zero, zero[0], draw) for axis in torch.eye(dim, dtype=torch.float64)]
    pulls = torch.stack(columns, dim=-1)[:, 0]
    second = 0.85**2 + (0.8**2 + 0.9**2) / 12
    found = (pulls @ pulls.mT).mean(0)
    torch.testing.assert_close(found, second * torch.eye(dim, dtype=torch.float64), rtol=0, atol=0.02)
    assert variance_radius(particles) == variance_radius(EMPSO())


# The warning


@pytest.mark.parametrize(
    ("particles", "message"),
    [
        (EMPSO(c1=2, c2=2), r"EMPSO\(c1=2, c2=2, .*beta=0.9\).* 1.47,.*does settle; .* below 3.58, got 4"),
        (EMPSO(c1=5, c2=5), r"by 19.36, .*does not settle either; c1 \+ c2 must be above 0 and below 3.58, got 10"),
        (EMPSO(beta=0.05), r"settles for no c1 \+ c2"),
        (PSO(c1=2, c2=2, inertia=0.5), r"below 4, got 4"),
        (EMPSO(c1=0, c2=0), r"above 0 and below 3.58, got 0"),
    ],
)
def test_unstable_constants_are_warned_of_at_the_line_that_uses_them(particles, message):
    with pytest.warns(UserWarning, match=message) as caught:
        empso_minimize(lambda x: x.square().sum(-1), (-1, 1), dim=2, iterations=2, variant=particles)
    assert [warning.filename for warning in caught] == [__file__]


def test_stable_constants_are_not_warned_of():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for particles in ALL:
            warn_if_unstable(particles)
