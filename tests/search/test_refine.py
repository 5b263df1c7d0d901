"""Local search by autograd inside a search: what it is given, what it costs, when it is due, and what it is worth."""

import math

import numpy as np
import pytest
import torch
from search.functions import HIGH, LOW, Function
from search.scripted import Ladder, Listener, Recorded, bowl

from thalweg.search import LBFGS, Descent, Strategy, minimize

pytestmark = pytest.mark.slow  # all together they take long

BOUNDS = (-5.0, 5.0)


def valley(x):
    """Lowest at 0, and narrow."""
    return (x[..., 0] - x[..., 1] ** 2) ** 2 + 0.01 * (x**2).sum(-1)


# What it costs


@pytest.mark.parametrize("vectorized", [True, False])
def test_a_pass_for_value_and_gradient_is_one_evaluation_and_all_are_counted(vectorized):
    f = Recorded(valley)
    result = minimize(f, BOUNDS, 2, strategy="random", population=10, refine="lbfgs", budget=500, vectorized=vectorized)
    assert f.gradients > 10
    assert result.evals == sum(f.sizes) == result.strategy.evals
    lowest = np.minimum.accumulate(f.values)
    assert torch.equal(result.history.at(torch.arange(1, len(lowest) + 1)), torch.from_numpy(lowest))


@pytest.mark.parametrize("budget", [11, 13, 20, 57])
def test_a_local_search_ends_where_the_budget_does(budget):
    f = Recorded(valley)
    result = minimize(f, BOUNDS, 2, strategy="random", population=10, refine=LBFGS(tolerance=0.0), budget=budget)
    assert result.evals == sum(f.sizes) == budget
    assert result.reason == "budget"


def test_a_local_search_ends_at_the_first_evaluation_that_reaches_the_target():
    f = Recorded(valley)
    result = minimize(f, BOUNDS, 2, strategy="random", population=10, refine="lbfgs", target=1e-6)
    assert result.reason == "target"
    assert result.evals == len(f.values) == 1 + next(at for at, value in enumerate(f.values) if value <= 1e-6)
    assert result.f == f.values[-1] == valley(result.x)


def test_a_bowl_is_solved_at_once():
    """L-BFGS needs a look, a step along the gradient, and the step that knows the curvature."""
    f = Recorded(bowl)
    result = minimize(f, BOUNDS, 10, strategy="random", population=10, refine="lbfgs", target=1e-12)
    assert result.evals <= 10 + 4
    torch.testing.assert_close(result.x, torch.ones(10, dtype=torch.float64))


# Where it goes


def test_it_stays_in_the_box_and_finds_the_minimum_at_its_corner():
    seen = []

    def f(x):
        seen.append(x.detach())
        return bowl(x)

    for refine in ("lbfgs", "adam"):
        result = minimize(f, (2.0, 5.0), 3, strategy="random", population=5, refine=refine, budget=200)
        assert result.x.tolist() == [2.0, 2.0, 2.0]
    assert all(bool(((x >= 2) & (x <= 5)).all()) for x in seen)


def test_without_bounds_it_goes_where_it_likes():
    result = minimize(bowl, x0=[1e3, 1e3], sigma0=1.0, strategy="random", refine="lbfgs", target=1e-10)
    assert result.reason == "target"
    result = minimize(bowl, x0=[11.0, 11.0], sigma0=4.0, strategy="random", refine="adam", budget=300)
    assert result.f < 1.0


def test_each_run_is_refined_from_its_own_best_point():
    algorithm = Listener(population=5)
    result = minimize(waves, BOUNDS, 3, strategy=algorithm, runs=3, seed=[1, 2, 3], refine="lbfgs", budget=60)
    for run, seed in enumerate([1, 2, 3]):
        alone = minimize(waves, BOUNDS, 3, strategy=Listener(population=5), seed=seed, refine="lbfgs", budget=60)
        assert torch.equal(alone.x, result.x[run])
        assert alone.evals == result.evals[run]


def waves(x):
    return bowl(x) + 3 * sum((1 - torch.cos(4 * (x - 1))).unbind(-1))


def test_the_strategy_is_handed_what_it_found_and_what_it_took():
    algorithm = Listener(population=5)
    result = minimize(bowl, BOUNDS, 3, strategy=algorithm, refine="lbfgs", budget=50)
    generation, x, fitness, better = algorithm.heard[0]
    assert generation == 1
    assert torch.equal(bowl(x), fitness)
    assert fitness.item() < 1e-9
    assert better.tolist() == [True]
    assert torch.equal(result.strategy.best.x, result.x)
    assert result.strategy.evals == result.evals


# When it is due


@pytest.mark.parametrize(("dim", "wait"), [(2, 10), (12, 12)])
def test_between_two_lie_ten_generations_and_twice_the_dimension_in_evaluations(dim, wait):
    """A ladder has a better point in every generation, of one evaluation, and each local search takes another 12."""
    algorithm = Ladder()
    slow = Descent("sgd", lr=1e-9, steps=12)  # it finds nothing, and so leaves every step of the ladder better
    minimize(lambda x: (x + 5).sum(-1), BOUNDS, dim, strategy=algorithm, refine=slow, budget=120)
    generations = [generation for generation, *_ in algorithm.heard]
    gaps = np.diff(generations[:-1])
    assert generations[0] == 1
    assert set(gaps) == {max(10, 2 * dim)}


def test_a_best_point_that_is_not_new_is_not_refined_again():
    algorithm = Listener(population=5)
    minimize(bowl, BOUNDS, 3, strategy=algorithm, refine="lbfgs", budget=2000)
    assert len(algorithm.heard) == 1


def test_the_last_best_point_is_refined_at_the_end_whatever_the_reason():
    def lowest_at_the_corner(x):
        return (x + 5).sum(-1)

    slow = Descent("sgd", lr=1e-9, steps=2)
    for reason, algorithm in {"tired": Ladder(life=7), "patience": Ladder(stuck_from=5)}.items():
        arguments = dict(strategy=algorithm, refine=slow, budget=1000, patience=4)
        result = minimize(lowest_at_the_corner, BOUNDS, 20, **arguments)
        assert result.reason == reason
        first, *_, last = (generation for generation, *_ in algorithm.heard)
        assert (first, last) == (1, result.strategy.generation)


def test_every_strategy_takes_in_what_was_found_and_goes_on():
    for name in ("pso", "de", "shade", "cma", "snes"):
        result = minimize(waves, BOUNDS, 3, strategy=name, refine="lbfgs", budget=3000, target=1e-10)
        assert result.reason == "target", name
        assert result.evals < minimize(waves, BOUNDS, 3, strategy=name, budget=3000, target=1e-10).evals, name


# Optimizers of ours


@pytest.mark.parametrize("name", ["adam", "heavy-ball", "gravity-ema"])
def test_an_optimizer_sees_a_box_of_width_one_and_a_rate_that_falls_as_a_cosine(name):
    """Against torch's own loop over the unit box."""
    if name != "adam":
        assert minimize(bowl, BOUNDS, 3, strategy="random", population=5, refine=name, budget=105).evals == 105
        return
    points = []

    def f(x):
        if x.requires_grad:
            points.append(x.detach()[0].clone())
        return bowl(x)

    minimize(f, (-5.0, 15.0), 2, strategy="random", population=5, refine=Descent("adam", lr=0.1, steps=6), budget=11)
    start = points[0]
    u = torch.nn.Parameter(((start + 5) / 20).clone())
    optimizer = torch.optim.Adam([u], lr=0.1)
    for step, point in enumerate(points):
        torch.testing.assert_close(20 * u.detach() - 5, point)
        optimizer.zero_grad()
        bowl(20 * u - 5).backward()
        optimizer.param_groups[0]["lr"] = 0.1 * (1 + math.cos(math.pi * step / 6)) / 2
        optimizer.step()
    assert len(points) == 6


# What cannot be


@pytest.mark.parametrize(
    "f",
    [
        lambda x: torch.from_numpy(np.square(x.numpy() - 1).sum(-1)),
        lambda x: bowl(x.detach()),
        lambda x: (x > 1).double().sum(-1),
        lambda x: np.square(np.asarray(x) - 1).sum(-1),
        lambda x: torch.ones(len(x), requires_grad=True),
    ],
)
def test_what_autograd_cannot_differentiate_is_refused_with_what_to_do(f):
    with pytest.raises(
        ValueError, match=r"refine needs an f that autograd can differentiate, but .*; leave refine out"
    ):
        minimize(f, BOUNDS, 3, strategy="random", refine="lbfgs", budget=300)
    assert minimize(f, BOUNDS, 3, strategy="random", budget=300).evals == 300


def test_what_f_raises_in_a_local_search_passes_on_with_the_point_or_ends_it():
    def f(x):
        if x.requires_grad and bowl(x).sum() < 0.5:
            raise ArithmeticError("too near")
        return bowl(x)

    with pytest.raises(ArithmeticError) as raised:
        minimize(f, BOUNDS, 3, strategy="random", refine="lbfgs")
    assert any("local search, which refine asked for, x = [" in note for note in raised.value.__notes__)
    result = minimize(f, BOUNDS, 3, strategy="random", refine="lbfgs", errors="worst")
    assert result.failures > 0
    assert result.f < 1.0


@pytest.mark.parametrize("hole", [lambda x: x * torch.nan, lambda x: torch.where(x > 0, x.sqrt() * 0, x.sqrt() * 0)])
def test_a_value_or_a_gradient_that_is_no_number_ends_a_local_search_alone(hole):
    def f(x):
        values = bowl(x)
        return values + hole(values - values) if x.requires_grad else values

    result = minimize(f, BOUNDS, 3, strategy="random", refine="lbfgs", budget=1000)
    assert result.f.isfinite()
    assert result.evals <= 1000


# What it is worth


def evaluations_with_local_search(strategy, function, budget):
    """The median over five functions, inf for those that are not solved."""
    evals = []
    for seed in range(5):
        own = Function(function, runs=1, seed=1 + seed)
        arguments = dict(strategy=strategy, refine="lbfgs", target=1e-8, seed=seed, budget=budget)
        result = minimize(own, (LOW, HIGH), own.dim, **arguments)
        evals.append(result.evals.item() if bool(result.solved) else math.inf)
    return np.median(evals)


# Measured once; in ten dimensions, where the strategies alone take 10 to 100 times as many or do not arrive.
HYBRIDS = [
    pytest.param("gsa", "sphere", 4, id="gsa-sphere"),
    pytest.param("gsa", "rosenbrock", 95, id="gsa-rosenbrock", marks=pytest.mark.slow),  # 600 would do
    pytest.param("tabu", "rosenbrock", 106, id="tabu-rosenbrock", marks=pytest.mark.slow),
    pytest.param("cma", "rosenbrock", 67, id="cma-rosenbrock"),
    pytest.param("de", "rosenbrock", 188, id="de-rosenbrock"),
    pytest.param("pso", "rosenbrock", 128, id="pso-rosenbrock"),
    pytest.param("cma", "ackley", 491, id="cma-ackley", marks=pytest.mark.slow),
    pytest.param("gsa", "ackley", 1086, id="gsa-ackley", marks=pytest.mark.slow),
    pytest.param("gsa", "rastrigin", 4382, id="gsa-rastrigin", marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("strategy", "function", "reference"), HYBRIDS)
def test_with_local_search_a_strategy_takes_what_it_is_known_to_take(strategy, function, reference):
    assert evaluations_with_local_search(strategy, function, 20_000) <= 1.3 * reference


def test_a_strategy_that_was_made_is_refined_too():
    strategy = Strategy("pso", BOUNDS, dim=3)
    assert minimize(waves, strategy=strategy, refine="lbfgs", target=1e-10).reason == "target"
