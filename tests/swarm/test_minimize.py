"""`empso_minimize`: what an iteration is, what is reported, that runs are independent, and what is refused."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from thalweg.swarm.minimize import Minimum, empso_minimize
from thalweg.swarm.particles import EMPSO, MPSO, PSO, REMPSO, EMPSOAlgorithm1, Particles

STABLE = [EMPSO(), EMPSO(beta=0.5), EMPSO(per_dimension=False), EMPSOAlgorithm1(), REMPSO(), PSO(), MPSO(lam=0.3)]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def sphere(x: Tensor) -> Tensor:
    return x.square().sum(-1)


def ripples(x: Tensor) -> Tensor:
    """Rastrigin's function moved to (0.7, 0.7, ...): many local minima, and 0 the only global one."""
    x = x - 0.7
    return (x.square() + 10 - 10 * (2 * math.pi * x).cos()).sum(-1)


def ackley(x: Tensor) -> Tensor:
    far, waves = x.square().mean(-1).sqrt(), (2 * math.pi * x).cos().mean(-1)
    return -20 * (-0.2 * far).exp() - waves.exp() + math.e + 20


class Recorder:
    """A function that keeps the points at which it was evaluated."""

    def __init__(self, f) -> None:
        self.f, self.points = f, []

    def __call__(self, x: Tensor) -> Tensor:
        self.points.append(x)
        return self.f(x)

    @property
    def values(self) -> Tensor:
        return self.f(torch.stack(self.points))


def same(a: Minimum, b: Minimum) -> bool:
    return all(torch.equal(getattr(a, name), getattr(b, name)) for name in Minimum.__dataclass_fields__)


# What it finds


@pytest.mark.parametrize("variant", STABLE)
def test_the_minimum_of_x_squared_plus_e_to_the_x(variant):
    """0.8272, where x is -0.3517: W(1/2) with the sign changed."""
    found = empso_minimize(lambda x: (x**2 + x.exp()).sum(-1), (-10, 10), dim=1, variant=variant, runs=3)
    assert [round(f, 4) for f in found.f.tolist()] == [0.8272] * 3
    torch.testing.assert_close(found.x, torch.full((3, 1), -0.35173371, dtype=torch.float64), rtol=0, atol=1e-4)


def test_adaswarms_constants_take_47_iterations_on_ackleys_function_as_in_its_table_12():
    """To a value of .001, with 50 particles until all lie within 1e-2; mean of 100 runs (supplement). Bounds are not
    given there: these are the function's usual ones."""
    found = empso_minimize(ackley, (-5, 5), dim=2, tolerance=1e-2, runs=100, generator=generator())
    assert found.iterations.double().mean().item() == pytest.approx(47, abs=1.5)
    assert found.f.mean().item() == pytest.approx(0.001, abs=5e-4)


def test_a_minimum_at_a_corner_of_the_bounds_is_found_exactly():
    found = empso_minimize(lambda x: x.sum(-1), ([-1.0, 2.0], [1.0, 5.0]))
    assert found.x.tolist() == [[-1.0, 2.0]]


def test_without_clamping_the_bounds_say_where_particles_begin_and_no_more():
    """With beta 0.5: at 0.9 particles come together before they are there."""
    f = lambda x: (x + 3).square().sum(-1)  # noqa: E731
    free = empso_minimize(f, (-1, 1), dim=2, clamp=False, variant=EMPSO(beta=0.5))
    torch.testing.assert_close(free.x, torch.full((1, 2), -3.0, dtype=torch.float64), rtol=0, atol=1e-4)


# What an iteration is


def one_by_one(f, variant: Particles, particles: int, runs: int, dim: int, iterations: int) -> Tensor:
    """The best points so far, by loops over runs and particles, of numbers alone."""
    own = generator()

    def uniform(*shape: int) -> Tensor:
        return torch.rand(shape, generator=own, dtype=torch.float64)

    x = -2 + 4 * uniform(particles, runs, dim)
    v, m = torch.zeros_like(x), torch.zeros_like(x)
    bests, best, path = [[None] * runs for _ in range(particles)], [None] * runs, []
    for _ in range(iterations):
        r1, r2 = uniform(2, *x.shape)
        for j in range(runs):
            for i in range(particles):
                if bests[i][j] is None or f(x[i, j]) < f(bests[i][j]):
                    bests[i][j] = x[i, j].clone()
            for i in range(particles):
                if best[j] is None or f(bests[i][j]) < f(best[j]):
                    best[j] = bests[i][j]
        path.append(torch.stack(best))
        for j in range(runs):
            for i in range(particles):
                m[i, j] = variant.beta * m[i, j] + (1 - variant.beta) * v[i, j]
                pull = variant.c1 * r1[i, j] * (bests[i][j] - x[i, j]) + variant.c2 * r2[i, j] * (best[j] - x[i, j])
                v[i, j] = m[i, j] + pull
                x[i, j] = (x[i, j] + v[i, j]).clamp(-2, 2)
    return torch.stack(path)


def test_it_is_the_loop_over_runs_and_particles():
    """Evaluate, set each own best, set the best ever, move, clamp: with the constants so large that many clamp."""
    variant = EMPSO(c1=1.3, c2=1.9, beta=0.8)
    found = empso_minimize(
        ripples, (-2, 2), dim=3, particles=4, runs=2, iterations=25, tolerance=None, variant=variant,
        generator=generator(),
    )  # fmt: skip
    torch.testing.assert_close(found.path, one_by_one(ripples, variant, 4, 2, 3, 25), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("variant", STABLE)
def test_the_best_is_the_best_ever_evaluated_and_never_gets_worse(variant):
    f = Recorder(ripples)
    found = empso_minimize(f, (-3, 4), dim=4, particles=8, runs=5, iterations=30, tolerance=None, variant=variant)
    points, values = torch.stack(f.points), f.values
    assert points.shape == (30, 8, 5, 4)
    assert bool(((points >= -3) & (points <= 4)).all())
    assert torch.equal(found.trajectory, values.amin(1).cummin(0).values)
    assert torch.equal(ripples(found.path), found.trajectory)
    assert torch.equal(found.trajectory[-1], found.f)
    assert torch.equal(found.path[-1], found.x)
    assert found.evaluations.tolist() == [30 * 8] * 5


def test_an_equal_value_is_not_better():
    f = Recorder(lambda x: torch.zeros_like(x[..., 0]))
    found = empso_minimize(f, (-1, 1), dim=2, particles=6, iterations=10, tolerance=None)
    assert torch.equal(found.path, f.points[0][0].expand(10, 1, 2))


def test_the_function_may_keep_and_change_what_it_is_given():
    def spoilt(x: Tensor) -> Tensor:
        values = sphere(x)
        x.fill_(torch.nan)
        return values

    assert same(empso_minimize(spoilt, (-1, 1), dim=2), empso_minimize(sphere, (-1, 1), dim=2))


# When it stops


def test_a_run_stops_when_all_its_particles_are_within_the_tolerance_of_its_best():
    f = Recorder(sphere)
    found = empso_minimize(f, (-3, 4), dim=3, particles=10, tolerance=1e-3)
    points = torch.stack(f.points)[:, :, 0]
    farthest = (points - found.path).norm(dim=-1).amax(1)
    assert found.iterations.item() == len(points) == len(found.path)
    assert farthest[-1] <= 1e-3 < farthest[:-1].min()
    assert found.evaluations.item() == 10 * len(points)


def test_a_run_that_has_stopped_waits_for_the_others_unchanged():
    f = Recorder(sphere)
    found = empso_minimize(f, (-3, 4), dim=2, particles=6, tolerance=1e-2, runs=20)
    assert found.iterations.unique().numel() > 3
    assert found.iterations.max() == len(found.path)
    values = f.values.amin(1).cummin(0).values
    for run, count in enumerate(found.iterations.tolist()):
        assert found.f[run] == values[count - 1, run]
        assert bool((found.trajectory[count - 1 :, run] == found.f[run]).all())
        assert bool((found.path[count - 1 :, run] == found.x[run]).all())
    assert torch.equal(found.evaluations, 6 * found.iterations)


def test_without_a_tolerance_all_iterations_are_made_and_too_few_are_reported_as_all():
    assert empso_minimize(sphere, (-1, 1), dim=1, iterations=300, tolerance=None).iterations.tolist() == [300]
    assert empso_minimize(sphere, (-1, 1), dim=1, iterations=3).iterations.tolist() == [3]
    assert empso_minimize(sphere, (-1, 1), dim=1, iterations=1, particles=1).iterations.tolist() == [1]


# Runs and randomness


def test_no_run_knows_of_another():
    start = torch.rand(6, 3, 2, generator=generator(), dtype=torch.float64)
    other = start.clone()
    other[:, 1] = -other[:, 1]
    a, b = (empso_minimize(ripples, (-1, 1), x0=x, particles=6, runs=3, generator=generator()) for x in (start, other))
    for run, kept in ((0, True), (1, False), (2, True)):
        iterations = int(a.iterations[run])
        assert torch.equal(a.path[:iterations, run], b.path[:iterations, run]) == kept


@pytest.mark.parametrize("variant", STABLE)
def test_a_generator_decides_everything_and_torchs_own_is_not_touched(variant):
    def found(own: torch.Generator | None) -> Minimum:
        return empso_minimize(ripples, (-3, 4), dim=3, particles=5, iterations=20, generator=own, variant=variant)

    before = torch.random.get_rng_state()
    first = found(generator(7))
    torch.manual_seed(123)
    assert same(found(generator(7)), first)
    assert same(found(None), found(generator(0)))
    assert not same(found(generator(8)), first)
    torch.random.set_rng_state(before)
    found(None)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_particles_begin_uniformly_in_the_bounds_or_at_x0():
    f = Recorder(sphere)
    low, high = torch.tensor([-3.0, 5.0]), torch.tensor([-1.0, 15.0])
    empso_minimize(f, (low, high), particles=4000, iterations=1)
    shares = (f.points[0][:, 0] - low) / (high - low)
    torch.testing.assert_close(shares.mean(0), torch.full((2,), 0.5, dtype=torch.float64), rtol=0, atol=0.02)
    torch.testing.assert_close(shares.var(0), torch.full((2,), 1 / 12, dtype=torch.float64), rtol=0.06, atol=0)
    assert shares.min() < 0.01
    assert shares.max() > 0.99
    x0 = torch.rand(5, 2, generator=generator())
    empso_minimize(f, (0, 1), x0=x0, particles=5, runs=3, iterations=1)
    assert torch.equal(f.points[-1], x0.double().unsqueeze(1).expand(5, 3, 2))


def test_it_is_float64_unless_another_dtype_is_asked_for():
    assert empso_minimize(sphere, (torch.zeros(2), torch.ones(2))).x.dtype == torch.float64
    found = empso_minimize(sphere, (-1, 1), dim=2, dtype=torch.float32)
    assert found.x.dtype == found.f.dtype == torch.float32
    assert found.f.item() < 1e-10


# NaN


def test_nan_is_worse_than_any_value():
    """The root is NaN below 1, half of the way from -3 to 5: the minimum lies at the very edge."""
    found = empso_minimize(lambda x: (x[..., 0] - 1).sqrt(), (-3, 5), dim=1, runs=20, generator=generator())
    assert bool(found.trajectory.isfinite().all())
    assert bool((found.x >= 1).all())
    assert found.f.median() < 0.1


def test_a_function_that_is_nan_wherever_a_run_begins_is_refused():
    with pytest.raises(ValueError, match=r"f is NaN at all 50 points that run 0 begins with"):
        empso_minimize(lambda x: x[..., 0] * torch.nan, (-1, 1), dim=1)
    x0 = torch.full((2, 2, 1), 0.5)
    x0[:, 1] = -0.5
    with pytest.raises(ValueError, match=r"f is NaN at all 2 points that run 1 begins with"):
        empso_minimize(lambda x: x[..., 0].sqrt(), (-1, 1), x0=x0, particles=2, runs=2)


def test_infinite_values_are_values():
    found = empso_minimize(lambda x: torch.where(x[..., 0] < 0, torch.inf, x[..., 0]), (-1, 1), dim=1)
    assert 0 <= found.f.item() < 1e-3
    walled = empso_minimize(lambda x: torch.full_like(x[..., 0], torch.inf), (-1, 1), dim=1, iterations=3)
    assert walled.f.tolist() == [math.inf]


# What is refused


@pytest.mark.parametrize(
    ("f", "returned"),
    [
        (lambda x: x.square(), r"shape \(50, 2, 3\)"),
        (lambda x: x.square().sum(), r"shape \(\)"),
        (lambda x: x.square().sum(-1, keepdim=True), r"shape \(50, 2, 1\)"),
        (lambda x: 1.5, r"1\.5"),
    ],
)
def test_a_function_without_one_value_a_point_is_refused_with_the_shapes(f, returned):
    message = rf"f must give one value for each point .* \(50, 2, 3\) a tensor of shape \(50, 2\), got {returned}"
    with pytest.raises(ValueError, match=message):
        empso_minimize(f, (-1, 1), dim=3, runs=2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"particles": 0}, r"particles must be a whole number >= 1, got 0"),
        ({"particles": 2.5}, r"particles must be a whole number >= 1, got 2.5"),
        ({"iterations": 0}, r"iterations must be a whole number >= 1, got 0"),
        ({"runs": -1}, r"runs must be a whole number >= 1, got -1"),
        ({"runs": True}, r"runs must be a whole number >= 1, got True"),
        ({"dim": 0}, r"dim must be a whole number >= 1, got 0"),
        ({"dim": None}, r"dim must be given where bounds are two numbers"),
        ({"tolerance": -1e-3}, r"tolerance must be None or >= 0 and finite, got -0.001"),
        ({"tolerance": math.nan}, r"tolerance must be None or >= 0 and finite, got nan"),
        ({"variant": "empso"}, r"variant must be Particles such as EMPSO\(beta=0.9\), got 'empso'"),
        ({"variant": EMPSO}, r"variant must be Particles"),
        ({"generator": 3}, r"generator must be a torch.Generator or None, got 3"),
        ({"dtype": torch.int64}, r"dtype must be a floating torch.dtype, got torch.int64"),
        ({"dtype": float}, r"dtype must be a floating torch.dtype, got <class 'float'>"),
        ({"bounds": (1, 1)}, r"bounds must be low < high, a finite distance apart, got 1 and 1 in dimension 0"),
        ({"bounds": ([0, 2], [1, 1])}, r"got 2 and 1 in dimension 1"),
        ({"bounds": (0, math.inf)}, r"bounds must be low < high, a finite distance apart, got 0 and inf"),
        ({"bounds": (math.nan, 1)}, r"bounds must be low < high, a finite distance apart, got nan and 1"),
        ({"bounds": (-1e308, 1e308)}, r"bounds must be low < high, a finite distance apart, got -1e\+308 and 1e\+308"),
        ({"bounds": 3}, r"bounds must be a pair \(low, high\) of numbers or vectors, got 3"),
        ({"bounds": (0, 1, 2)}, r"bounds must be a pair \(low, high\) of numbers or vectors, got \(0, 1, 2\)"),
        ({"bounds": ("a", "b")}, r"bounds must be a pair"),
        ({"bounds": (None, 1)}, r"bounds must be a pair \(low, high\) of numbers or vectors, got \(None, 1\)"),
        ({"bounds": (torch.zeros(2, 2), 1)}, r"numbers or vectors, got shapes \(2, 2\) and \(\)"),
        ({"bounds": ([0, 0, 0], 1)}, r"bounds, dim and x0 must have one number of dimensions, got 3, 2"),
        ({"x0": torch.zeros(50, 3)}, r"bounds, dim and x0 must have one number of dimensions, got 2, 3"),
        ({"x0": torch.zeros(7, 2)}, r"x0 must have the shape \(50, 2\) or \(50, 1, 2\), got \(7, 2\)"),
        ({"x0": torch.full((50, 2), torch.nan)}, r"x0 must be finite"),
        ({"x0": torch.full((50, 2), 1.5)}, r"x0 must lie in the bounds unless clamp=False"),
        ({"x0": "here"}, r"x0 must be positions, got 'here'"),
        ({"x0": 0.5}, r"x0 must have the shape \(50, 2\) or \(50, 1, 2\), got \(\)"),
    ],
)
def test_bad_arguments_are_refused_by_name(arguments, message):
    with pytest.raises(ValueError, match=message):
        empso_minimize(sphere, **{"bounds": (-1, 1), "dim": 2, **arguments})
