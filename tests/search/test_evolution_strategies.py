"""SNES, OpenAI-ES and PGPE: each is its published equations, and its gradient is what it says it is."""

import math

import pytest
import torch
from search.functions import Function, evaluations_to, strategy_for

from thalweg.search import Strategy
from thalweg.search.strategies.fitness_shaping import centered, natural, shaped
from thalweg.search.strategies.natural_evolution import FARTHEST, SNES
from thalweg.search.strategies.openai_es import OpenAIES, gradient
from thalweg.search.strategies.pgpe import PGPE, gradients

NAMES = ["snes", "openai-es", "pgpe"]
SCALES = torch.tensor([1.0, 10.0, 100.0], dtype=torch.float64)


def ellipsoid(x):
    return (x.square() * SCALES).sum(-1)


def started(name, **hyperparameters):
    """In three dimensions, each with a sigma0 of its own."""
    return Strategy(name, x0=[1.0, -2.0, 3.0], sigma0=[0.5, 1.0, 2.0], **hyperparameters)


def generation(strategy):
    """The points and fitness of a generation, as lists, in the order of fitness."""
    x = strategy.ask()
    values = ellipsoid(x)
    strategy.tell(values)
    return [x[i].tolist() for i in values.argsort().tolist()]


def assert_is(tensor, numbers):
    torch.testing.assert_close(tensor.flatten(), torch.tensor(numbers, dtype=torch.float64), rtol=1e-11, atol=1e-13)


# What ranks are worth


@pytest.mark.parametrize("population", [2, 3, 10, 101])
@pytest.mark.parametrize("worth", [natural, centered])
def test_worths_fall_with_rank_and_sum_to_zero(worth, population):
    values = worth(population)
    assert len(values) == population
    assert values == sorted(values, reverse=True)
    assert sum(values) == pytest.approx(0, abs=1e-12)


def test_natural_worths_are_the_published_formula():
    raw = [max(0.0, math.log(6) - math.log(k)) for k in range(1, 11)]
    assert natural(10) == pytest.approx([r / sum(raw) - 0.1 for r in raw])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_point_is_worth_its_rank(dtype):
    fitness = torch.tensor([[3.0, 1.0, math.inf, 2.0, -math.inf], [5.0, 4.0, 3.0, 2.0, 1.0]], dtype=dtype)
    expected = torch.tensor([[[-0.25, 0.25, -0.5, 0.0, 0.5]], [[-0.5, -0.25, 0.0, 0.25, 0.5]]], dtype=dtype)
    torch.testing.assert_close(shaped(fitness, centered), expected)


@pytest.mark.parametrize("worth", [natural, centered])
def test_equals_share_what_their_ranks_are_worth(worth):
    fitness = torch.tensor([[2.0, 7.0, 1.0, 2.0, 2.0, 7.0], [math.inf] * 6], dtype=torch.float64)
    by_rank = worth(6)
    second, last = sum(by_rank[1:4]) / 3, sum(by_rank[4:]) / 2
    got = shaped(fitness, worth)
    torch.testing.assert_close(got[0, 0].tolist(), [second, last, by_rank[0], second, second, last])
    assert torch.equal(got[1, 0], torch.zeros(6, dtype=torch.float64))  # exactly: a plateau moves nothing


@pytest.mark.parametrize("name", NAMES)
def test_a_plateau_moves_nothing(name):
    strategy = started(name)
    for _ in range(100):
        strategy.tell(torch.full(strategy.ask().shape[:-1], math.inf))
    assert strategy.center.tolist() == [1.0, -2.0, 3.0]


# SNES


def test_snes_is_its_published_equations():
    strategy = started("snes", population=8)
    u, eta = natural(8), (3 + math.log(3)) / (5 * math.sqrt(3))
    mean, sd = [1.0, -2.0, 3.0], [0.5, 1.0, 2.0]
    for _ in range(60):
        z = [[(xi - m) / s for xi, m, s in zip(x, mean, sd, strict=True)] for x in generation(strategy)]
        for i in range(3):
            mean[i] += sd[i] * sum(uk * zk[i] for uk, zk in zip(u, z, strict=True))
            sd[i] *= math.exp(eta / 2 * sum(uk * (zk[i] ** 2 - 1) for uk, zk in zip(u, z, strict=True)))
        assert_is(strategy.state.mean, mean)
        assert_is(strategy.state.sd, sd)


def test_snes_is_lost_where_the_function_is_turned():
    hits = {}
    for name in ("ellipsoid", "separable ellipsoid"):
        function = Function(name, dim=6)
        hits[name], _ = evaluations_to(1e-8, function, strategy_for(function, "snes", 8000), 8000)
    assert hits["separable ellipsoid"].median() < 3000
    assert hits["ellipsoid"].isinf().all()


def test_snes_counts_points_from_far_away_as_the_farthest_samples():
    strategy = started("snes", population=8)
    x = strategy.ask()
    x[0] -= 1e9
    strategy.tell(torch.arange(8.0), x=x)
    z = (x - torch.tensor([1.0, -2.0, 3.0])) / torch.tensor([0.5, 1.0, 2.0])
    z[0] = -FARTHEST
    u = torch.tensor(natural(8), dtype=torch.float64)
    assert_is((strategy.state.mean - torch.tensor([1.0, -2.0, 3.0])) / torch.tensor([0.5, 1.0, 2.0]), (u @ z).tolist())


# OpenAI-ES


@pytest.mark.parametrize("name", ["openai-es", "pgpe"])
def test_points_come_in_pairs_around_the_mean(name):
    strategy = started(name, population=12)
    for _ in range(3):
        x = strategy.ask()
        middles = (x[:6] + x[6:]) / 2
        torch.testing.assert_close(middles, strategy.center.expand(6, 3), rtol=1e-12, atol=0)
        assert (x[:6] != x[6:]).all()
        strategy.tell(ellipsoid(x))


def test_without_shaping_the_gradient_of_a_linear_function_is_exact_on_average_and_blind_to_constants():
    slope = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    mean, sigma = torch.zeros(1, 1, 3, dtype=torch.float64), torch.tensor([[[0.5, 1.0, 2.0]]], dtype=torch.float64)
    strategy = Strategy("openai-es", x0=[0.0, 0.0, 0.0], sigma0=[0.5, 1.0, 2.0], population=200_000)
    noise = strategy.ask().unsqueeze(0) - mean
    got = gradient((noise @ slope + 1e3).unsqueeze(1), noise, sigma)
    # In closed form: the mean over the pairs of noise (noise . slope) / sigma^2.
    half = noise[:, :100_000]
    closed = (half * (half @ slope).unsqueeze(-1)).mean(1, keepdim=True) / sigma.square()
    torch.testing.assert_close(got, closed, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(got.flatten(), slope, rtol=0, atol=0.05)


def test_openai_es_is_adam_on_the_gradient_of_ranks():
    """In units of sigma0 / 0.02, from the start, to which weight decay pulls."""
    strategy = started("openai-es", population=8, weight_decay=0.1)
    start, unit = [1.0, -2.0, 3.0], [25.0, 50.0, 100.0]
    w, m, v = [0.0] * 3, [0.0] * 3, [0.0] * 3
    for t in range(1, 40):
        x = generation(strategy)
        for i in range(3):
            mean = start[i] + unit[i] * w[i]
            g = -sum(u * (row[i] - mean) / unit[i] for u, row in zip(centered(8), x, strict=True)) / (8 * 0.02**2)
            g += 0.1 * w[i]
            m[i] = 0.9 * m[i] + 0.1 * g
            v[i] = 0.999 * v[i] + 0.001 * g * g
            w[i] -= 0.01 * (m[i] / (1 - 0.9**t)) / (math.sqrt(v[i] / (1 - 0.999**t)) + 1e-8)
        assert_is(strategy.state.mean, [s + k * wi for s, k, wi in zip(start, unit, w, strict=True)])


def test_the_noise_of_openai_es_is_sigma0_or_a_fiftieth_of_half_the_box():
    spread = {}
    for key, arguments in {
        "sigma0": {"x0": [0.0] * 50, "sigma0": 0.3},
        "box": {"bounds": (-10, 10), "dim": 50},
    }.items():
        x = Strategy("openai-es", population=2000, **arguments).ask()
        spread[key] = (x[:1000] - x[1000:]).div(2).std().item()
    assert spread == pytest.approx({"sigma0": 0.3, "box": 0.2}, rel=0.02)


# PGPE


def test_gradients_of_pgpe_are_exact_on_average_for_a_linear_and_a_quadratic_function():
    """E[f noise] / sigma^2 is the slope; a quadratic function's mean changes with sigma by f'' sigma."""
    slope, bend = torch.tensor([1.0, -2.0, 0.5]).double(), torch.tensor([3.0, 0.0, -1.0]).double()
    sigma = torch.tensor([[[0.5, 1.0, 2.0]]], dtype=torch.float64)
    noise = Strategy("pgpe", x0=[0.0, 0.0, 0.0], sigma0=[0.5, 1.0, 2.0], population=400_000).ask().unsqueeze(0)
    f = noise @ slope + 0.5 * noise.square() @ bend
    by_mean, by_sd = gradients((f - f.mean()).unsqueeze(1), noise.clone(), sigma)
    torch.testing.assert_close((by_mean / sigma.square()).flatten(), slope, rtol=0, atol=0.05)
    torch.testing.assert_close((by_sd / sigma.square()).flatten(), (bend * sigma).flatten(), rtol=0, atol=0.1)
    linear = noise @ slope  # pairs cancel: a slope says nothing of sigma, exactly
    _, by_sd = gradients(linear.unsqueeze(1), noise, sigma)
    assert by_sd.abs().max() < 1e-10


def test_pgpe_is_its_published_equations():
    strategy = started("pgpe", population=8)
    unit, mean, sd, velocity = [0.5, 1.0, 2.0], [1.0, -2.0, 3.0], [0.5, 1.0, 2.0], [0.0] * 3
    top = math.sqrt(3) / 15
    shortened = 0
    for _ in range(60):
        x = generation(strategy)
        noise = [[row[i] - mean[i] for i in range(3)] for row in x]
        g = [sum(u * row[i] for u, row in zip(centered(8), noise, strict=True)) / unit[i] for i in range(3)]
        length = math.hypot(*g)
        velocity = [0.9 * v + top / 2 * gi / length for v, gi in zip(velocity, g, strict=True)]
        speed = math.hypot(*velocity)
        shortened += speed > top
        velocity = [v * min(1.0, top / speed) for v in velocity]
        for i in range(3):
            mean[i] += unit[i] * velocity[i]
            change = sum(u * (row[i] ** 2 - sd[i] ** 2) / sd[i] for u, row in zip(centered(8), noise, strict=True))
            sd[i] += min(max(0.1 * change / 8, -0.2 * sd[i]), 0.2 * sd[i])
        assert_is(strategy.state.mean, mean)
        assert_is(strategy.state.sd, sd)
    assert 0 < shortened < 60


def test_no_standard_deviation_of_pgpe_changes_by_more_than_a_fifth_in_a_generation():
    strategy = started("pgpe", population=8, lr_sigma=50.0)
    before, ratios = strategy.state.sd, []
    for _ in range(20):
        generation(strategy)
        ratios.append(strategy.state.sd / before)
        before = strategy.state.sd
    ratios = torch.cat(ratios)
    assert ratios.max() == pytest.approx(1.2)
    assert ratios.min() == pytest.approx(0.8)


# All


@pytest.mark.parametrize("name", NAMES)
def test_they_follow_a_slope_for_ever_without_leaving_the_numbers(name):
    strategy = Strategy(name, x0=[0.0, 0.0], sigma0=1.0, dtype=torch.float32)
    for _ in range(1500):
        strategy.tell(strategy.ask()[:, 0])
    assert strategy.center[0] < -10
    assert strategy.center.isfinite().all()
    assert strategy.state.sd.isfinite().all() if name != "openai-es" else True


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SNES(population=1), "population must be a whole number >= 2, got 1"),
        (lambda: SNES(lr_mean=0.0), "lr_mean must be > 0 and finite, got 0.0"),
        (lambda: SNES(lr_sigma=torch.tensor([0.1, -1.0])), "lr_sigma must be > 0"),
        (lambda: OpenAIES(population=7), "population must be even, got 7"),
        (lambda: OpenAIES(sigma=math.inf), "sigma must be > 0 and finite"),
        (lambda: OpenAIES(betas=(0.9, 1.0)), r"betas must be in \[0, 1\)"),
        (lambda: OpenAIES(weight_decay=-0.1), "weight_decay must be >= 0, got -0.1"),
        (lambda: PGPE(population=3), "population must be even"),
        (lambda: PGPE(momentum=1.0), r"momentum must be in \[0, 1\), got 1.0"),
        (lambda: PGPE(max_speed=0.0), "max_speed must be > 0"),
    ],
)
def test_a_setting_that_cannot_be_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
