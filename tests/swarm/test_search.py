"""A search on a CPU is the same in compiled loops as in torch, and what holds of it holds in both."""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from thalweg.swarm import native
from thalweg.swarm.draws import Factors, random_bits, uniform
from thalweg.swarm.native import Loop
from thalweg.swarm.particles import EMPSO, MPSO, PSO, REMPSO, EMPSOAlgorithm1, Particles
from thalweg.swarm.search import Found, Swarm, search

COUNT, PROBLEMS, ITERATIONS = 6, 40, 8
ONE_BUFFER = [EMPSO(), EMPSO(per_dimension=False), PSO(), PSO(per_dimension=False)]
EVERY = [*ONE_BUFFER, MPSO(), EMPSOAlgorithm1(), REMPSO()]
Loss = Callable[[Tensor], Tensor]


@pytest.fixture(params=["native", "torch"])
def path(request, monkeypatch):
    """Which of the two does the work."""
    if request.param == "torch":
        monkeypatch.setattr(Loop, "fits", staticmethod(lambda swarm: False))
    return request.param


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(shape, generator=generator(seed), dtype=torch.float64).to(dtype)


def bowl(x: Tensor) -> Tensor:
    """Least at 0.3 in every dimension, with another valley beside it."""
    return (x - 0.3).square().sum(-1) + 0.5 * torch.cos(3 * x).sum(-1)


def steps(x: Tensor) -> Tensor:
    """Flat almost everywhere, so that there are many ties; undefined on one side."""
    return torch.where(x.sum(-1) > 1, torch.nan, x.square().sum(-1).round())


def flat(x: Tensor) -> Tensor:
    return torch.zeros_like(x[..., 0])


class Seen:
    """A loss, and all that it was asked for."""

    def __init__(self, loss: Loss) -> None:
        self.loss = loss
        self.x: list[Tensor] = []

    def __call__(self, x: Tensor) -> Tensor:
        self.x.append(x.clone())
        return self.loss(x)

    def all(self) -> tuple[Tensor, Tensor]:
        """All positions (evaluations, problems, dimensions) and their losses."""
        x = torch.cat(self.x)
        return x, self.loss(x)


def run(
    loss: Loss,
    particles: Particles,
    dimensions: int,
    *,
    dtype: torch.dtype = torch.float64,
    near: bool = False,
    iterations: int = ITERATIONS,
    most: int = ITERATIONS,
) -> Found:
    """A search between -1 and 1 with the first `iterations` of `most` factors."""
    start = torch.clamp(normal(COUNT, PROBLEMS, dimensions, dtype=dtype), -1, 1)
    drawn = (COUNT, PROBLEMS, dimensions if particles.per_dimension else 1)
    low, high = torch.full((1, 1), -1.0, dtype=dtype), torch.full((1, 1), 1.0, dtype=dtype)
    middle = normal(PROBLEMS, dimensions, seed=1, dtype=dtype) if near else None
    return search(loss, start, low, high, particles, iterations, Factors([generator()], most, drawn, dtype), middle)


def parts(found: Found) -> list[Tensor]:
    return [found.best, found.loss, found.start, found.start_loss, found.factor]


# The two paths


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("dimensions", [1, 3])
@pytest.mark.parametrize("particles", ONE_BUFFER, ids=repr)
def test_compiled_loops_do_what_torch_does_to_rounding(particles, dimensions, dtype, monkeypatch):
    tolerance = 1e-10 if dtype == torch.float64 else 1e-3
    for loss, near in ((bowl, False), (bowl, True), (steps, True), (steps, False)):
        swarm_by_loops = run(loss, particles, dimensions, dtype=dtype, near=near)
        with monkeypatch.context() as patch:
            patch.setattr(Loop, "fits", staticmethod(lambda swarm: False))
            swarm_by_torch = run(loss, particles, dimensions, dtype=dtype, near=near)
        for a, b in zip(parts(swarm_by_loops), parts(swarm_by_torch), strict=True):
            torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance, equal_nan=True)


@pytest.mark.parametrize("dimensions", [1, 3])
def test_all_that_a_swarm_knows_is_the_same_after_each_iteration(dimensions):
    start, low = normal(COUNT, PROBLEMS, dimensions), torch.full((PROBLEMS, dimensions), -1.5, dtype=torch.float64)
    near = normal(PROBLEMS, dimensions, seed=1)
    swarms = [Swarm(EMPSO(), start, near) for _ in range(2)]
    factors = Factors([generator()], ITERATIONS, tuple(start.shape), torch.float64)
    loop = Loop(swarms[0], low, -low, factors.bits)
    for i in range(ITERATIONS):
        for swarm in swarms:
            loss = steps(swarm.x)
            if swarm is swarms[0]:
                loop.iterate(i, loss, moves=True)
            else:
                swarm.note(loss)
                swarm.move(factors, low, -low)
        for name in ("x", "own", "own_loss", "own_distance", "best", "best_loss", "best_distance"):
            torch.testing.assert_close(getattr(swarms[0], name), getattr(swarms[1], name), rtol=1e-10, atol=1e-10)
        torch.testing.assert_close(swarms[0].memory, swarms[1].memory, rtol=1e-10, atol=1e-10)


def test_compiled_loops_are_for_variants_of_one_buffer_in_float32_and_float64():
    start = normal(COUNT, PROBLEMS, 2)
    assert all(Loop.fits(Swarm(particles, start, None)) for particles in ONE_BUFFER)
    assert not any(Loop.fits(Swarm(particles, start, None)) for particles in (MPSO(), EMPSOAlgorithm1(), REMPSO()))
    assert Loop.fits(Swarm(EMPSO(), start.float(), None))
    assert not Loop.fits(Swarm(EMPSO(), start.bfloat16(), None))


def test_positions_that_are_not_contiguous_are_searched_like_copies_that_are(path):
    start = normal(3, PROBLEMS, COUNT).permute(2, 1, 0)
    low, high = torch.full((1, 1), -2.0, dtype=torch.float64), torch.full((1, 1), 2.0, dtype=torch.float64)
    found = [
        search(bowl, x, low, high, EMPSO(), ITERATIONS, Factors([generator()], ITERATIONS, tuple(x.shape), x.dtype))
        for x in (start, start.contiguous())
    ]
    assert all(torch.equal(a, b) for a, b in zip(parts(found[0]), parts(found[1]), strict=True))


# What is found


@pytest.mark.parametrize("loss", [bowl, steps])
@pytest.mark.parametrize("particles", EVERY, ids=lambda particles: type(particles).__name__)
def test_the_best_is_the_lowest_of_all_that_was_evaluated(particles, loss, path):
    """NaN is never the lowest, and a particle's memory of its best loses nothing."""
    seen = Seen(loss)
    found = run(seen, particles, 2)
    x, losses = seen.all()
    assert len(seen.x) == ITERATIONS
    assert torch.equal(found.loss, losses.nan_to_num(torch.inf).amin(0))
    assert torch.equal(loss(found.best), found.loss)
    assert torch.equal(found.start, seen.x[0])
    assert torch.equal(found.start_loss.nan_to_num(7), loss(seen.x[0]).nan_to_num(7))
    assert x.abs().max() <= 1


def test_the_best_never_gets_worse(path):
    losses = torch.stack([run(bowl, EMPSO(), 3, iterations=i + 1).loss for i in range(ITERATIONS)])
    assert (losses.diff(dim=0) <= 0).all()
    assert (losses[-1] < losses[0]).any()


@pytest.mark.parametrize("dimensions", [1, 2])
def test_of_equal_losses_the_nearer_is_better(dimensions, path):
    seen = Seen(flat)
    found = run(seen, EMPSO(), dimensions, near=True)
    distance = (torch.cat(seen.x) - normal(PROBLEMS, dimensions, seed=1)).square().sum(-1)
    torch.testing.assert_close((found.best - normal(PROBLEMS, dimensions, seed=1)).square().sum(-1), distance.amin(0))


def test_without_that_the_first_stays_the_best(path):
    assert torch.equal(run(flat, EMPSO(), 2).best, run(flat, EMPSO(), 2).start[0])


def test_where_all_losses_are_nan_nothing_is_found(path):
    for near in (False, True):
        assert run(lambda x: flat(x) + torch.nan, EMPSO(), 2, near=near).loss.eq(torch.inf).all()


def test_a_loss_that_is_nan_at_first_is_found_later(path):
    """Particles that have no best of their own yet are drawn to the swarm's."""

    def nan_for_most(x: Tensor) -> Tensor:
        known = torch.arange(len(x)).unsqueeze(1).expand(x.shape[:2]) == 2
        return torch.where(known, bowl(x), torch.nan)

    seen = Seen(nan_for_most)
    found = run(seen, EMPSO(), 2)
    own = torch.stack([bowl(x)[2] for x in seen.x])
    assert torch.equal(found.loss, own.amin(0))


def test_the_factor_is_that_of_the_last_iteration_averaged_over_the_particles(path):
    particles = EMPSO(c1=0.3, c2=1.1)
    factors = Factors([generator()], ITERATIONS, (COUNT, PROBLEMS, 2), torch.float64)
    r1, r2 = uniform(factors.bits[-1], torch.float64)
    torch.testing.assert_close(run(bowl, particles, 2).factor, (0.3 * r1 + 1.1 * r2).mean(0))


# Random numbers


def test_one_generator_gives_the_same_bits_and_goes_on_with_others():
    first, second = generator(3), generator(3)
    bits = random_bits((5, 7, 3), first)
    assert torch.equal(bits, random_bits((5, 7, 3), second))
    more = random_bits((5, 7, 3), first)
    assert not torch.equal(bits, more)
    assert torch.equal(more, random_bits((5, 7, 3), second))


def test_words_are_those_of_splitmix64():
    """Its first three from the seed 0, as its authors give them."""
    words = np.empty(3, np.uint64)
    native.compiled().fill(words, np.uint64(0))
    assert [hex(word) for word in words.tolist()] == ["0xe220a8397b1dcdaf", "0x6e789e6aa1b965f4", "0x6c45d188009454f"]


def test_factors_are_uniform_between_0_and_1_and_not_at_them():
    numbers = uniform(random_bits((1 << 18,), generator()), torch.float64)
    assert 0 < numbers.min() < 1e-3
    assert 1 - 1e-3 < numbers.max() < 1
    assert abs(numbers.mean() - 1 / 2) < 5 * (1 / 12 / len(numbers)) ** 0.5
    assert abs(numbers.var() - 1 / 12) < 5 * (1 / 180 / len(numbers)) ** 0.5
    for lag in (1, 2, 3, 4, 8):  # four of them come of one word
        assert abs(torch.corrcoef(torch.stack([numbers[:-lag], numbers[lag:]]))[0, 1]) < 5 / len(numbers) ** 0.5
    assert uniform(torch.tensor([-(2**15), 2**15 - 1], dtype=torch.int16), torch.float32).tolist() == [
        2.0**-17,
        1 - 2.0**-17,
    ]


def test_a_member_is_given_the_same_numbers_whoever_else_is_there():
    """Problems of one member lie side by side."""
    both = Factors([generator(1), generator(2)], 3, (4, 10, 2), torch.float32)
    for seed, own in ((1, slice(0, 5)), (2, slice(5, 10))):
        alone = Factors([generator(seed)], 3, (4, 5, 2), torch.float32)
        assert torch.equal(both.bits[..., own, :], alone.bits)
        assert torch.equal(both((2, 4, 10, 2))[:, :, own], alone((2, 4, 5, 2)))
        both._next = 0


def test_without_numba_swarms_move_by_torch_and_one_warning_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "thalweg.rules.native", None)
    monkeypatch.delattr("thalweg.rules.native", raising=False)
    caches = native.compiled, native.unavailable
    for one in caches:
        one.cache_clear()
    try:
        with pytest.warns(UserWarning, match="numba cannot be used .*: steps go through torch operations"):
            assert not Loop.fits(Swarm(EMPSO(), normal(COUNT, PROBLEMS, 1), None))
        assert torch.equal(random_bits((100,), generator(5)), random_bits((100,), generator(5)))
        assert run(bowl, EMPSO(), 1).loss.isfinite().all()
    finally:
        for one in caches:
            one.cache_clear()
