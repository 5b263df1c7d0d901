"""What the papers' equations say of particles, and what follows from them, holds of their moves."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from thalweg.swarm.particles import EMPSO, MPSO, PSO, REMPSO, VARIANTS, Draw, EMPSOAlgorithm1, Particles
from thalweg.swarm.search import Swarm

BETAS = [0.0, 0.1, 0.5, 0.9, 0.99, 1.0]
SHAPE = (7, 3, 4)  # particles, problems, dimensions


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=generator(seed), dtype=torch.float64)


def uniform(seed: int = 0):
    own = generator(seed)
    return lambda shape: torch.rand(shape, generator=own, dtype=torch.float64)


def close(found: Tensor, expected: Tensor, tolerance: float = 1e-12) -> None:
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)


def path(particles: Particles, forces: list[Tensor], memory: list[Tensor] | None = None) -> list[Tensor]:
    """Positions after each move, from 0 and, unless memory says otherwise, from rest."""
    x = torch.zeros_like(forces[0])
    memory = particles.memory(x) if memory is None else memory
    found = []
    for force in forces:
        particles.move(x, memory, force)
        found.append(x.clone())
    return found


def agree(found: list[Tensor], expected: list[Tensor]) -> None:
    for a, b in zip(found, expected, strict=True):
        close(a, b)


FORCES = [normal(*SHAPE, seed=seed) for seed in range(30)]


# EMPSO


@pytest.mark.parametrize("beta", BETAS)
def test_empso_with_one_buffer_is_equations_4_and_5_with_two(beta):
    x, v, m = (torch.zeros(SHAPE, dtype=torch.float64) for _ in range(3))
    expected = []
    for force in FORCES:
        m = beta * m + (1 - beta) * v
        v = m + force
        x = x + v
        expected.append(x)
    agree(path(EMPSO(beta=beta), FORCES), expected)


@pytest.mark.parametrize("beta", BETAS)
def test_empsos_average_of_velocities_forgets_nothing(beta):
    """v is the force now and (1 - beta) times the sum of all before it."""
    x = torch.stack([torch.zeros(SHAPE, dtype=torch.float64), *path(EMPSO(beta=beta), FORCES)])
    forces = torch.stack(FORCES)
    close(x.diff(dim=0), forces + (1 - beta) * (forces.cumsum(0) - forces))


@pytest.mark.parametrize(("beta", "phi"), [(0.1, 0.85), (0.5, 1.7), (0.9, 0.3), (0.9, 1.1)])
def test_under_a_constant_factor_empso_is_pso_with_inertia_1_minus_beta_phi(beta, phi):
    """And acceleration (1 - beta) phi, from its second step on."""
    x = normal(*SHAPE)
    before, memory = x.clone(), [torch.zeros_like(x)]
    EMPSO(beta=beta).move(x, memory, -phi * x)
    y, velocity, pso = x.clone(), [x - before], PSO(inertia=1 - beta * phi)
    for _ in range(30):
        EMPSO(beta=beta).move(x, memory, -phi * x)
        pso.move(y, velocity, -(1 - beta) * phi * y)
        close(x, y)


def test_empso_with_beta_0_is_pso_with_inertia_1_and_with_beta_1_pso_without():
    agree(path(EMPSO(beta=0.0), FORCES), path(PSO(inertia=1.0), FORCES))
    agree(path(EMPSO(beta=1.0), FORCES), path(PSO(inertia=0.0), FORCES))
    agree(path(EMPSO(beta=1.0), FORCES), list(torch.stack(FORCES).cumsum(0)))


@pytest.mark.parametrize("beta", BETAS)
def test_algorithm_1_as_printed(beta):
    x, v, m = (torch.zeros(SHAPE, dtype=torch.float64) for _ in range(3))
    expected = []
    for force in FORCES:
        v = beta * m + (1 - beta) * v + force
        x = x + v
        m = beta * m + (1 - beta) * v
        expected.append(x)
    agree(path(EMPSOAlgorithm1(beta=beta), FORCES), expected)


@pytest.mark.parametrize("beta", [0.1, 0.5, 0.9])
def test_algorithm_1_differs_from_the_equations_from_the_second_step_on(beta):
    """There v enters twice: it has beta (1 - beta) v of the first step more."""
    printed, equations = path(EMPSOAlgorithm1(beta=beta), FORCES), path(EMPSO(beta=beta), FORCES)
    assert torch.equal(printed[0], equations[0])
    close(printed[1] - equations[1], beta * (1 - beta) * FORCES[0])
    assert all((a - b).abs().max() > 1e-3 for a, b in zip(printed[1:], equations[1:], strict=True))


# PSO and MPSO


@pytest.mark.parametrize("inertia", [0.0, 0.7, 1.0])
def test_pso_is_equations_1_and_2(inertia):
    x, v = torch.zeros(SHAPE, dtype=torch.float64), torch.zeros(SHAPE, dtype=torch.float64)
    expected = []
    for force in FORCES:
        v = inertia * v + force
        x = x + v
        expected.append(x)
    agree(path(PSO(inertia=inertia), FORCES), expected)


@pytest.mark.parametrize("lam", [0.0, 0.1, 0.5, 0.95])
def test_mpso_is_equation_3(lam):
    velocities = [torch.zeros(SHAPE, dtype=torch.float64)] * 2
    for force in FORCES:
        velocities.append((velocities[-1] + force) * (1 - lam) + lam * velocities[-2])
    agree(path(MPSO(lam=lam), FORCES), list(torch.stack(velocities[2:]).cumsum(0)))


def test_mpso_with_lam_0_is_pso_with_inertia_1():
    agree(path(MPSO(lam=0.0), FORCES), path(PSO(inertia=1.0), FORCES))


@pytest.mark.parametrize("particles", [PSO(), PSO(inertia=1.0), EMPSO(), EMPSO(beta=0.3)])
def test_a_move_with_one_buffer_is_what_its_three_numbers_say(particles):
    a, b, c = particles.one_buffer
    x, m = torch.zeros(SHAPE, dtype=torch.float64), torch.zeros(SHAPE, dtype=torch.float64)
    expected = []
    for force in FORCES:
        x = x + a * m + force
        m = b * m + c * force
        expected.append(x)
    agree(path(particles, FORCES), expected)


def test_variants_of_two_buffers_have_no_such_numbers():
    assert [name for name, variant in VARIANTS.items() if variant().one_buffer is None] == [
        "mpso",
        "empso_algorithm_1",
        "rempso",
    ]


# Pulls


def places(seed: int = 0, shape: tuple[int, int, int] = SHAPE) -> tuple[Tensor, Tensor, Tensor]:
    return normal(*shape, seed=seed), normal(*shape, seed=seed + 1), normal(*shape[1:], seed=seed + 2)


@pytest.mark.parametrize("per_dimension", [True, False])
def test_the_pull_is_c1_r1_to_the_own_best_and_c2_r2_to_the_swarms(per_dimension):
    particles = EMPSO(c1=0.7, c2=1.3, per_dimension=per_dimension)
    x, own, best = places()
    draw = particles.draw(uniform(), SHAPE)
    assert draw.r1.shape == draw.r2.shape == (SHAPE if per_dimension else (7, 3, 1))
    expected = 0.7 * draw.r1 * (own - x) + 1.3 * draw.r2 * (best - x)
    close(particles.pull(x, own, best, draw), expected)


def rotation(axes: Tensor, theta: float, dim: int) -> Tensor:
    """The dense matrix of one particle that rotates each pair of axes, (2, pairs)."""
    matrix = torch.eye(dim, dtype=torch.float64)
    for a, b in axes.T.tolist():
        matrix[a, a] = matrix[b, b] = math.cos(theta)
        matrix[a, b], matrix[b, a] = -math.sin(theta), math.sin(theta)
    return matrix


@pytest.mark.parametrize("dim", [1, 2, 5, 10, 13])
@pytest.mark.parametrize("theta", [math.pi / 5, 1.0, -2.0])
def test_the_rotated_pull_is_that_of_dense_matrices(dim, theta):
    particles = REMPSO(c1=0.7, c2=1.3, theta=theta)
    shape = (4, 2, dim)
    x, own, best = places(shape=shape)
    draw = particles.draw(uniform(), shape)
    found = particles.pull(x, own, best, draw)
    for i in range(4):
        for n in range(2):
            turn = rotation(draw.axes[:, i, n], theta, dim)
            close(turn.T @ turn, torch.eye(dim, dtype=torch.float64))
            pulls = (0.7 * draw.r1[i, n], own[i, n] - x[i, n]), (1.3 * draw.r2[i, n], best[n] - x[i, n])
            close(found[i, n], sum(turn.T @ torch.diag(factor) @ turn @ away for factor, away in pulls))


@pytest.mark.parametrize(("dim", "share", "pairs"), [(10, 0.4, 4), (5, 0.4, 2), (2, 0.4, 0), (7, 0.5, 3), (9, 0.0, 0)])
def test_every_particle_has_twice_floor_share_d_different_axes_paired_in_order(dim, share, pairs):
    axes = REMPSO(share=share).draw(uniform(), (6, 3, dim)).axes
    assert axes.shape == (2, 6, 3, pairs)
    in_order = torch.stack([axes[0], axes[1]], dim=-1).flatten(-2)
    assert bool((in_order.diff(dim=-1) > 0).all())
    assert not pairs or dim == 2 * pairs or len(in_order.flatten(0, 1).unique(dim=0)) > 1


def test_without_an_angle_the_rotated_pull_is_empsos_and_with_one_it_is_not():
    shape = (5, 2, 10)
    x, own, best = places(shape=shape)
    draw = REMPSO().draw(uniform(), shape)
    plain = EMPSO().pull(x, own, best, draw)
    close(REMPSO(theta=0.0).pull(x, own, best, draw), plain)
    assert (REMPSO().pull(x, own, best, draw) - plain).abs().max() > 0.05


def test_with_one_factor_a_particle_a_rotation_changes_nothing():
    shape = (5, 2, 10)
    x, own, best = places(shape=shape)
    rotating = REMPSO(per_dimension=False)
    draw = rotating.draw(uniform(), shape)
    close(rotating.pull(x, own, best, draw), EMPSO(per_dimension=False).pull(x, own, best, draw))


def spanned(particles: Particles, count: int = 5, dim: int = 12, iterations: int = 40) -> int:
    """How many dimensions all positions span that a swarm comes to, seen from its first particle's start."""
    start = 3 * normal(count, 1, dim)
    swarm, draws = Swarm(particles, start, None), uniform(1)
    seen = []
    for _ in range(iterations):
        swarm.note((swarm.x - 1).square().sum(-1))
        draw = particles.draw(draws, (count, 1, dim))
        particles.move(swarm.x, swarm.memory, particles.pull(swarm.x, swarm.own, swarm.best, draw))
        seen.append(swarm.x[:, 0] - start[0, 0])
    return int(torch.linalg.matrix_rank(torch.cat(seen), rtol=1e-10))


@pytest.mark.parametrize("variant", [PSO(), MPSO(lam=0.3), EMPSO(), EMPSOAlgorithm1(), REMPSO()])
def test_with_one_factor_a_particle_a_swarm_never_leaves_the_affine_hull_it_began_in(variant):
    assert spanned(replace(variant, per_dimension=False)) == 5 - 1
    assert spanned(variant) == 12


@pytest.mark.parametrize(("c1", "c2"), [(0.8, 0.9), (0.9, 0.8), (2.0, 0.5)])
def test_the_average_factor_of_n_particles_has_mean_and_deviation_of_their_uniforms(c1, c2):
    """(c1 + c2) / 2 and sqrt((c1^2 + c2^2) / 12 n): for AdaSwarm's constants and n = 10 that is 0.85 and 0.110."""
    draw = EMPSO(c1=c1, c2=c2).draw(uniform(), (10, 40_000, 1))
    factor = (c1 * draw.r1 + c2 * draw.r2).mean(dim=0)
    deviation = math.sqrt((c1**2 + c2**2) / 120)
    assert factor.mean().item() == pytest.approx((c1 + c2) / 2, abs=4 * deviation / 200)
    assert factor.std().item() == pytest.approx(deviation, rel=0.015)
    if c1 + c2 == pytest.approx(1.7):
        assert round(deviation, 3) == 0.11


# Beginnings and refusals


@pytest.mark.parametrize("variant", VARIANTS.values())
def test_particles_begin_at_rest_and_nothing_moves_them_but_a_pull(variant):
    x = normal(*SHAPE)
    particles, before = variant(), x.clone()
    memory = particles.memory(x)
    assert all(part.shape == x.shape and part.dtype == x.dtype and not part.any() for part in memory)
    particles.move(x, memory, torch.zeros_like(x))
    assert torch.equal(x, before)


@pytest.mark.parametrize("variant", VARIANTS.values())
def test_draws_are_the_generators_and_no_other(variant):
    before = torch.random.get_rng_state()
    draws = [variant().draw(uniform(seed), (4, 2, 10)) for seed in (0, 0, 1)]
    assert torch.equal(torch.random.get_rng_state(), before)

    def same(a: Draw, b: Draw) -> bool:
        return torch.equal(a.r1, b.r1) and torch.equal(a.r2, b.r2) and (a.axes is None or torch.equal(a.axes, b.axes))

    assert same(draws[0], draws[1])
    assert not same(draws[0], draws[2])


@pytest.mark.parametrize(
    ("variant", "settings", "message"),
    [
        (EMPSO, {"c1": -0.1}, r"c1 must be >= 0 and finite, got -0.1"),
        (EMPSO, {"c2": math.inf}, r"c2 must be >= 0 and finite, got inf"),
        (PSO, {"c2": math.nan}, r"c2 must be >= 0 and finite, got nan"),
        (PSO, {"inertia": 1.1}, r"inertia must be in \[0, 1\], got 1.1"),
        (MPSO, {"lam": 1.0}, r"lam must be in \[0, 1\), got 1.0"),
        (EMPSO, {"beta": -0.5}, r"beta must be in \[0, 1\], got -0.5"),
        (EMPSOAlgorithm1, {"beta": math.nan}, r"beta must be in \[0, 1\], got nan"),
        (REMPSO, {"beta": 2.0}, r"beta must be in \[0, 1\], got 2.0"),
        (REMPSO, {"share": 0.6}, r"share must be in \[0, 0.5\], got 0.6"),
    ],
)
def test_constants_out_of_range_are_refused_by_name(variant, settings, message):
    with pytest.raises(ValueError, match=message):
        variant(**settings)
