"""Descent by a swarm's gradients: closed forms near the minimum, the sign, lockstep away from it, and refusals."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from thalweg.swarm.descent import Descent, momentum_of_best, swarm_descent, swarm_gradient_at
from thalweg.swarm.particles import EMPSO, MPSO, PSO, REMPSO, EMPSOAlgorithm1, Particles
from thalweg.swarm.search import Swarm

# The functions of Tables I to III: (f, bounds, where the minimum is, its value)
FUNCTIONS = {
    "-(3x^5 - x^10)": (lambda x: -(3 * x**5 - x**10), (-1.5, 1.5), 1.5**0.2, -2.25),
    "x^3 - 3x^2 + 7": (lambda x: x**3 - 3 * x**2 + 7, (0.0, 4.0), 2.0, 3.0),
    "-exp(cos x^2) + x^2": (lambda x: -(x**2).cos().exp() + x**2, (-3.0, 3.0), 0.0, -math.e),
    "x^15 - sin x + exp(x^6)": (lambda x: x**15 - x.sin() + (x**6).exp(), (-1.0, 1.0), 0.65121, 0.47471),
    "sqrt x": (lambda x: x.sqrt(), (0.0, 4.0), 0.0, 0.0),
    "|x|": (lambda x: x.abs(), (-4.0, 4.0), 0.0, 0.0),
    "x^(1/3) + sin x": (lambda x: torch.where(x > 0, x.abs() ** (1 / 3) + x.sin(), 0.0), (-2.0, 2.0), None, 0.0),
    "x above 0, x^2 below": (lambda x: torch.where(x > 0, x, x**2), (-2.0, 2.0), 0.0, 0.0),
}


def square(x: Tensor) -> Tensor:
    return x.square()


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def double(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def close(found, expected, tolerance: float = 1e-12) -> None:
    found, expected = (torch.as_tensor(value, dtype=torch.float64) for value in (found, expected))
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)


def same(a: Descent, b: Descent) -> bool:
    return all(torch.equal(getattr(a, name), getattr(b, name)) for name in Descent.__dataclass_fields__)


# Near the minimum


@pytest.mark.parametrize(("c1", "c2"), [(0.8, 0.9), (0.3, 0.1), (1.2, 1.4)])
def test_each_step_multiplies_the_distance_to_the_best_by_1_minus_c(c1, c2):
    found = swarm_descent(
        square, [3.0, -0.1], bounds=(-4, 4), coeff="expected", variant=EMPSO(c1=c1, c2=c2), steps=12, tolerance=0.0
    )
    powers = (1 - (c1 + c2) / 2) ** torch.arange(13, dtype=torch.float64)
    close(found.x - found.best, powers[:, None] * (double(3.0, -0.1) - found.best))
    close(found.gradient, (c1 + c2) / 2 / 0.1 * (found.x[:-1] - found.best))
    close(found.x.diff(dim=0), -0.1 * found.gradient)
    assert torch.equal(found.f, square(found.x))


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("tolerance", [1e-2, 1e-4])
@pytest.mark.parametrize(("c1", "c2"), [(0.8, 0.9), (0.3, 0.1)])
def test_how_many_steps_it_takes_does_not_depend_on_the_function(name, tolerance, c1, c2):
    """ceil(log(tolerance / |w0 - g|) / log |1 - C|), whatever f is."""
    f, bounds, _, _ = FUNCTIONS[name]
    x0 = torch.linspace(*bounds, 7, dtype=torch.float64)
    variant = EMPSO(c1=c1, c2=c2)
    found = swarm_descent(f, x0, bounds=bounds, coeff="expected", variant=variant, tolerance=tolerance, iterations=20)
    needed = (tolerance / (x0 - found.best).abs()).log() / math.log(1 - (c1 + c2) / 2)
    assert torch.equal(found.steps, needed.ceil().clamp(min=0).long())


@pytest.mark.parametrize("name", [name for name, known in FUNCTIONS.items() if known[2] is not None])
@pytest.mark.parametrize("form", ["near", "away"])
def test_it_finds_the_minima_of_tables_1_to_3(name, form):
    f, bounds, where, least = FUNCTIONS[name]
    x0 = torch.linspace(*bounds, 50, dtype=torch.float64)
    found = swarm_descent(f, x0, bounds=bounds, form=form, tolerance=1e-4, steps=200)
    assert (found.x[-1] - where).abs().median() < 1e-3
    assert (f(found.best) - least).abs().median() < 1e-3


def test_with_our_sign_descent_lowers_x_squared_and_with_that_of_equation_15_it_raises_it():
    """From 1, ten steps with lr .01 and C / eta = 8.5: to .411, or to 2.26."""
    found = swarm_descent(square, 1.0, bounds=(-2, 2), lr=0.01, steps=10, coeff="expected", tolerance=0.0)
    assert found.x[-1].item() == pytest.approx(0.411, abs=5e-4)
    assert bool((found.f.diff() < 0).all())
    w = double(1.0)
    for _ in range(10):
        w = w - 0.01 * -swarm_gradient_at(square, w, bounds=(-2, 2), coeff="expected", iterations=100)
    assert w.item() == pytest.approx(2.26, abs=5e-3)


def test_the_gradient_has_the_sign_of_the_true_one_on_a_function_with_one_minimum_and_not_its_size():
    x = torch.linspace(-3, 3, 50, dtype=torch.float64)
    for f, slope in ((square, 2.0), (lambda x: 50 * x**2, 100.0), (lambda x: x.abs(), None)):
        found = swarm_gradient_at(f, x, bounds=(-4, 4), coeff="expected")
        close(found, 8.5 * x, 1e-3)
        assert slope is None or (found - slope * x).abs().max() > 3


def test_the_coefficient_of_the_paper_is_drawn_anew_in_each_step():
    """C is the average of c1 r1 + c2 r2 over 25 particles: its mean 0.85, its deviation sqrt(1.45 / 300)."""
    x0 = torch.ones(4000, dtype=torch.float64)
    found = swarm_descent(square, x0, bounds=(-2, 2), iterations=20, steps=2, tolerance=0.0)
    c = 0.1 * found.gradient / (found.x[:-1] - found.best)
    deviation = math.sqrt((0.8**2 + 0.9**2) / (12 * 25))
    close(c.mean(1), [0.85, 0.85], 4 * deviation / math.sqrt(4000))
    close(c.std(1), [deviation, deviation], 0.05 * deviation)
    assert abs(torch.corrcoef(c)[0, 1].item()) < 4 / math.sqrt(4000)


@pytest.mark.parametrize(("eta", "lr"), [(0.1, 0.05), (0.5, 0.5), (0.1, 0.2)])
def test_eta_divides_the_gradient_and_lr_multiplies_the_step(eta, lr):
    found = swarm_descent(square, 1.0, bounds=(-2, 2), eta=eta, lr=lr, steps=5, coeff="expected", tolerance=0.0)
    close(found.gradient[0], 0.85 / eta * (1 - found.best))
    close(found.x[1:] - found.best, (1 - 0.85 * lr / eta) * (found.x[:-1] - found.best))


# Away from the minimum


@pytest.mark.parametrize("coeff", ["paper", "expected"])
def test_in_lockstep_w_moves_as_particles_do_by_their_averages(coeff):
    """Equation 19, with the right sign, for EMPSO's two buffers, by a loop of its own."""

    def f(x: Tensor) -> Tensor:
        return (x - 0.3).square() + 0.5 * (5 * x).cos()

    variant, count, beta = EMPSO(), 6, 0.9
    found = swarm_descent(
        f, [1.5, -1.0], bounds=(-2, 2), form="away", eta=0.2, lr=0.15, particles=count, steps=15, tolerance=0.0,
        iterations=2, coeff=coeff, generator=generator(3),
    )  # fmt: skip
    own = generator(3)

    def uniform(*shape: int) -> Tensor:
        return torch.rand(shape, generator=own, dtype=torch.float64)

    x = -2 + 4 * uniform(count, 2, 1)
    v, m, p, w = torch.zeros_like(x), torch.zeros_like(x), x.clone(), double(1.5, -1.0)[:, None]
    for step in range(17):
        g, holder = p.gather(0, f(p).argmin(0, keepdim=True))[0], f(p).argmin(0, keepdim=True)
        r1, r2 = uniform(2, count, 2, 1)
        m = beta * m + (1 - beta) * v
        if step >= 2:
            k1, k2 = (r1.mean(0), r2.mean(0)) if coeff == "paper" else (0.5, 0.5)
            gradient = (0.8 * k1 * (w - p.mean(0)) + 0.9 * k2 * (w - g) - m.gather(0, holder)[0]) / 0.2
            close(found.gradient[step - 2], gradient[:, 0])
            w = w - 0.15 * gradient
            close(found.x[step - 1], w[:, 0])
        v = m + variant.c1 * r1 * (p - x) + variant.c2 * r2 * (g - x)
        x = (x + v).clamp(-2, 2)
        p = torch.where(f(x) < f(p), x, p)


@pytest.mark.parametrize("variant", [EMPSO(), PSO(), MPSO(lam=0.3), REMPSO()])
def test_where_the_swarm_has_settled_the_two_forms_are_one(variant):
    arguments = {"bounds": (-2, 2), "iterations": 300, "coeff": "expected", "variant": variant, "tolerance": 0.0}
    x = torch.linspace(-2, 2, 9, dtype=torch.float64)
    near, away = (swarm_gradient_at(square, x, form=form, **arguments) for form in ("near", "away"))
    close(away, near, 1e-6)
    close(near, 8.5 * x, 1e-6)


def momentum(variant: Particles, *memory: Tensor, bound: float = math.inf) -> tuple[Tensor, Tensor]:
    """That of the best of 5 particles in each of 3 problems, where their memory is this; and who they are."""
    start = torch.randn(5, 3, 2, generator=generator(), dtype=torch.float64).clamp(-bound, bound)
    losses = start.square().sum(-1)
    swarm = Swarm(variant, start, None)
    swarm.note(losses)
    swarm.memory = [part.clone() for part in memory]
    found = momentum_of_best(swarm, double(-bound), double(bound))
    assert torch.equal(swarm.x, start)
    assert all(torch.equal(a, b) for a, b in zip(swarm.memory, memory, strict=True))
    return found, losses.argmin(0)


def test_what_the_best_particle_moves_by_without_a_pull():
    """Inertia times velocity for PSO, for EMPSO the momentum of equation 5, for MPSO (1 - lam) v + lam v_before."""
    a, b = torch.randn(2, 5, 3, 2, generator=generator(1), dtype=torch.float64)
    for variant, memory, expected in (
        (PSO(inertia=0.6), [a], 0.6 * a),
        (EMPSO(), [a], a),
        (MPSO(lam=0.3), [a, b], 0.7 * a + 0.3 * b),
        (EMPSOAlgorithm1(beta=0.9), [a, b], 0.1 * a + 0.9 * b),
    ):
        found, best = momentum(variant, *memory)
        close(found, expected[best, torch.arange(3)])


def test_it_does_not_move_beyond_the_bounds():
    outward = torch.full((5, 3, 2), -7.0, dtype=torch.float64)
    assert momentum(EMPSO(), outward, bound=0.0)[0].tolist() == [[0.0, 0.0]] * 3


# Stopping, shapes, randomness


@pytest.mark.parametrize("form", ["near", "away"])
def test_a_descent_that_has_stopped_stays_where_it_is(form):
    x0 = double(3.0, 1e-9, -0.5, 0.01)
    found = swarm_descent(square, x0, bounds=(-4, 4), form=form, tolerance=1e-3, steps=60)
    assert len(found.x) == found.steps.max() + 1 == len(found.gradient) + 1
    for i, steps in enumerate(found.steps.tolist()):
        assert bool((found.x[steps:, i] == found.x[steps, i]).all())
        assert bool((found.gradient[:steps, i] != 0).all())
        assert not found.gradient[steps:, i].any()


@pytest.mark.parametrize("x0", [1.0, [1.0], [[1.0, 2.0, 3.0], [-1.0, -2.0, 0.5]]])
@pytest.mark.parametrize("form", ["near", "away"])
def test_points_of_any_shape_descend_at_once(x0, form):
    shape = torch.tensor(x0).shape
    found = swarm_descent(square, x0, bounds=(-4, 4), form=form, steps=3)
    assert found.x.shape == found.f.shape == (4, *shape)
    assert found.gradient.shape == (3, *shape)
    assert found.steps.shape == found.best.shape == shape
    assert swarm_gradient_at(square, x0, bounds=(-4, 4), form=form).shape == shape


def test_at_the_minimum_nothing_is_left_to_do():
    found = swarm_descent(lambda x: x, -1.0, bounds=(-1, 1))
    assert (found.steps.item(), found.x.tolist(), found.gradient.tolist()) == (0, [-1.0], [])


@pytest.mark.parametrize("form", ["near", "away"])
def test_a_generator_decides_everything_and_torchs_own_is_not_touched(form):
    def found(own: torch.Generator | None) -> Descent:
        return swarm_descent(square, [1.0, 2.0], bounds=(-4, 4), form=form, generator=own, steps=5)

    before = torch.random.get_rng_state()
    first = found(generator(7))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert same(found(generator(7)), first)
    assert same(found(None), found(generator(0)))
    assert not same(found(generator(8)), first)


def test_unstable_constants_are_warned_of_at_the_line_that_uses_them():
    unstable = EMPSO(c1=2, c2=2)
    for made in (swarm_descent, swarm_gradient_at):
        with pytest.warns(UserWarning, match="does not settle") as caught:
            made(square, 1.0, bounds=(-4, 4), variant=unstable, iterations=2)
        assert [warning.filename for warning in caught] == [__file__]


# What is refused


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"form": "far"}, r"form must be 'near' or 'away', got 'far'"),
        ({"coeff": 0.85}, r"coeff must be 'paper' or 'expected', got 0.85"),
        ({"eta": 0.0}, r"eta must be > 0 and finite, got 0.0"),
        ({"lr": -0.01}, r"lr must be > 0 and finite, got -0.01"),
        ({"lr": math.inf}, r"lr must be > 0 and finite, got inf"),
        ({"steps": 0}, r"steps must be a whole number >= 1, got 0"),
        ({"tolerance": -1.0}, r"tolerance must be >= 0 and finite, got -1.0"),
        ({"tolerance": math.nan}, r"tolerance must be >= 0 and finite, got nan"),
        ({"particles": 0}, r"particles must be a whole number >= 1, got 0"),
        ({"iterations": 0}, r"iterations must be a whole number >= 1, got 0"),
        ({"iterations": -1, "form": "away"}, r"iterations must be a whole number >= 0, got -1"),
        ({"variant": "pso"}, r"variant must be Particles such as EMPSO\(beta=0.9\), got 'pso'"),
        ({"generator": 0}, r"generator must be a torch.Generator or None, got 0"),
        ({"bounds": (2, 1)}, r"bounds must be low < high, a finite distance apart, got 2 and 1"),
        ({"bounds": ([0, 0], [1, 1])}, r"bounds, dim and x0 must have one number of dimensions, got 2, 2, 1"),
        ({"x0": math.nan}, r"x0 must be finite numbers, at least one, got nan"),
        ({"x0": []}, r"x0 must be finite numbers, at least one, got \[\]"),
        ({"x0": "here"}, r"x0 must be finite numbers, at least one, got 'here'"),
        ({"f": lambda x: x.sum()}, r"f must give one value for each point at once: .* got shape \(\)"),
        ({"f": lambda x: x * math.nan}, r"f is NaN at all 25 points that run 0 begins with"),
        ({"f": lambda x: x * math.nan, "form": "away"}, r"f is NaN at all 25 points that run 0 begins with"),
    ],
)
def test_bad_arguments_are_refused_by_name(arguments, message):
    with pytest.raises(ValueError, match=message):
        swarm_descent(**{"f": square, "x0": 1.0, "bounds": (-4, 4), **arguments})
