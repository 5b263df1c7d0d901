"""What a strategy is given that cannot be right: each an error that names the argument and quotes the value."""

import math

import pytest
import torch

from thalweg.search import Bits, Box, Choices, Orders, Strategy
from thalweg.search.catalogue import algorithm_named

BOUNDS = (-1.0, 1.0)

REFUSED = {
    "a strategy that there is not": (lambda: Strategy("snees", BOUNDS, dim=2), r"'snees' is unknown.*snes"),
    "a strategy that is no strategy": (lambda: Strategy(3, BOUNDS, dim=2), r"algorithm must be .* got 3"),
    "a hyperparameter of another": (
        lambda: Strategy("random", BOUNDS, dim=2, crossover=0.9),
        r"'crossover' is no hyper",
    ),
    "hyperparameters beside an algorithm": (
        lambda: Strategy(algorithm_named("random", Box, {}), BOUNDS, dim=2, population=3),
        r"hyperparameters must be set in the algorithm.*population",
    ),
    "bounds that cross": (lambda: Strategy("random", (1.0, -1.0), dim=2), r"bounds must be low < high, got 1 and -1"),
    "bounds that meet": (lambda: Strategy("random", (1.0, 1.0), dim=2), r"low < high, got 1 and 1 in dimension 0"),
    "bounds that are NaN": (lambda: Strategy("random", (math.nan, 1.0), dim=2), r"bounds must be .* got nan"),
    "bounds that are no pair": (lambda: Strategy("random", 5.0, dim=2), r"bounds must be a pair .* got 5\.0"),
    "bounds of two lengths": (
        lambda: Strategy("random", (torch.zeros(2), torch.ones(3))),
        r"bounds, dim and x0 must have one number of dimensions, got 2, 3",
    ),
    "bounds that are matrices": (lambda: Strategy("random", (torch.zeros(2, 2), 1.0)), r"got shapes \(2, 2\)"),
    "no dimensions": (lambda: Strategy("random", BOUNDS), r"dim must be given"),
    "dimensions below one": (lambda: Strategy("random", BOUNDS, dim=0), r"dim must be .* got 0"),
    "dimensions of another space": (lambda: Strategy("random", Bits(3), dim=4), r"dim must be that of the space, 3"),
    "a start outside": (lambda: Strategy("random", BOUNDS, x0=[2.0, 0.0]), r"x0 must lie in the bounds"),
    "a start that is NaN": (lambda: Strategy("random", BOUNDS, x0=[math.nan, 0.0]), r"x0 must be finite"),
    "a start in words": (lambda: Strategy("random", BOUNDS, x0="a"), r"x0 must be numbers, .* got 'a'"),
    "a start of another size": (lambda: Strategy("random", BOUNDS, dim=3, x0=[0.0, 0.0]), r"one number of dimensions"),
    "no bounds and no start": (lambda: Strategy("random", dim=3), r"x0 must be given where bounds are not finite"),
    "no bounds and no spread": (lambda: Strategy("random", x0=[0.0]), r"sigma0 must be given"),
    "a spread of zero": (lambda: Strategy("random", x0=[0.0], sigma0=0.0), r"sigma0 must be > 0 .* got 0\.0"),
    "a spread of another size": (
        lambda: Strategy("random", x0=[0.0], sigma0=[1.0, 2.0]),
        r"sigma0 must be a number or",
    ),
    "no runs": (lambda: Strategy("random", BOUNDS, dim=2, runs=0), r"runs must be .* got 0"),
    "half a run": (lambda: Strategy("random", BOUNDS, dim=2, runs=1.5), r"runs must be .* got 1\.5"),
    "no budget": (lambda: Strategy("random", BOUNDS, dim=2, budget=0), r"budget must be .* got 0"),
    "a seed for a generator": (lambda: Strategy("random", BOUNDS, dim=2, generator=3), r"generator must be .* got 3"),
    "too few generators": (
        lambda: Strategy("random", BOUNDS, dim=2, runs=3, generator=[torch.Generator()] * 2),
        r"generator must be a torch.Generator, or one a run \(3\)",
    ),
    "whole numbers": (lambda: Strategy("random", BOUNDS, dim=2, dtype=torch.int64), r"dtype must be a floating"),
    "two devices": (
        lambda: Strategy("random", (torch.zeros(2), torch.ones(2, device="meta"))),
        r"on one device, got cpu, meta",
    ),
    "no bits": (lambda: Bits(0), r"dim must be .* got 0"),
    "no cities": (lambda: Orders(-1), r"dim must be .* got -1"),
    "a choice of nothing": (lambda: Choices((2, 0)), r"sizes must be .* got \(2, 0\)"),
    "bits for a strategy of real vectors": (lambda: Strategy("cma", Bits(3)), r"bounds must be of Box .* got Bits"),
    "a covariance matrix that no memory holds": (
        lambda: Strategy("cma", BOUNDS, dim=200_000),
        r"(?s)200.?000.*sep-cma",
    ),
    "a population of one": (lambda: Strategy("cma", BOUNDS, dim=3, population=1), r"population must .* got 1"),
    "as many members as text": (lambda: Strategy("de", BOUNDS, dim=3, population="many"), r"population must .*many"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_it_is_refused_by_name_and_value(case):
    make, words = REFUSED[case]
    with pytest.raises(ValueError, match=words):
        make()


def test_telling_before_asking_is_refused_and_so_is_telling_twice():
    strategy = Strategy("random", BOUNDS, dim=2)
    with pytest.raises(RuntimeError, match=r"tell\(\) must follow ask\(\)"):
        strategy.tell(torch.zeros(100))
    strategy.ask()
    strategy.tell(torch.zeros(100))
    with pytest.raises(RuntimeError, match=r"tell\(\) must follow ask\(\)"):
        strategy.tell(torch.zeros(100))


def test_what_is_asked_twice_is_the_same():
    strategy = Strategy("random", BOUNDS, dim=2)
    assert torch.equal(strategy.ask(), strategy.ask())


@pytest.mark.parametrize(
    ("fitness", "x", "words"),
    [
        (torch.zeros(99), None, r"fitness must be one number a point, of shape \(100,\), got \(99,\)"),
        (torch.zeros(100, 1), None, r"of shape \(100,\), got \(100, 1\)"),
        (torch.zeros(()), None, r"of shape \(100,\), got \(\)"),
        (torch.zeros(100), torch.zeros(99, 2), r"x must have the shape of what was asked, \(100, 2\)"),
        (torch.zeros(100), [[0.0, 0.0]] * 100, r"x must be a tensor"),
        (torch.zeros(100, device="meta"), None, r"fitness must be on cpu"),
        (torch.zeros(100, dtype=torch.complex64), None, r"fitness must be real, got torch.complex64"),
        ("low", None, r"fitness must be numbers, got 'low'"),
    ],
)
def test_what_is_told_amiss_is_refused_and_changes_nothing(fitness, x, words):
    strategy = Strategy("random", BOUNDS, dim=2)
    asked = strategy.ask()
    with pytest.raises(ValueError, match=words):
        strategy.tell(fitness, x)
    assert torch.equal(strategy.ask(), asked)
    assert strategy.evals == 0
    strategy.tell(asked.square().sum(-1))
    assert strategy.evals == 100


def test_the_caller_may_change_the_points_that_it_was_given():
    strategy, other = Strategy("random", BOUNDS, dim=2), Strategy("random", BOUNDS, dim=2)
    strategy.ask().fill_(7.0)
    x = other.ask()
    strategy.tell(x.square().sum(-1))
    other.tell(x.square().sum(-1))
    assert torch.equal(strategy.best.x, other.best.x)


def test_a_state_of_another_strategy_or_problem_is_refused_and_nothing_lost():
    strategy = Strategy("random", BOUNDS, dim=2)
    asked = strategy.ask()
    for other in (Strategy("random", BOUNDS, dim=3), Strategy("random", BOUNDS, dim=2, runs=2)):
        with pytest.raises(ValueError, match="state_dict must be of 1 runs in 2 dimensions"):
            strategy.load_state_dict(other.state_dict())
    with pytest.raises(ValueError, match="state_dict must be of RandomSearch, got one of SNES"):
        strategy.load_state_dict(Strategy("snes", BOUNDS, dim=2).state_dict())
    assert torch.equal(strategy.ask(), asked)


@pytest.mark.parametrize("given", [{}, None, {"algorithm": "RandomSearch", "strategy": {}}], ids=repr)
def test_what_is_no_state_is_refused(given):
    with pytest.raises(ValueError, match=r"state_dict must be what state_dict\(\) gave, got"):
        Strategy("random", BOUNDS, dim=2).load_state_dict(given)


@pytest.mark.parametrize(("runs", "shape"), [(1, r"\(2,\)"), (3, r"\(3, 2\)")])
def test_a_point_from_elsewhere_must_be_one_a_run(runs, shape):
    strategy = Strategy("snes", BOUNDS, dim=2, runs=runs)
    for take in (strategy.recenter, lambda x: strategy.receive(x, torch.zeros(runs))):
        with pytest.raises(ValueError, match=rf"x must be one point a run, of shape {shape}, got \(3,\)"):
            take(torch.zeros(3))
    with pytest.raises(ValueError, match=rf"fitness must be one number a run \({runs}\), got \(2,\)"):
        strategy.receive(torch.zeros(runs, 2), torch.zeros(2))
    assert int(strategy.evals.sum()) == 0


def test_nan_and_inf_are_worse_than_any_number():
    strategy = Strategy("random", BOUNDS, dim=2)
    x = strategy.ask()
    values = torch.full((100,), math.nan)
    values[3], values[5] = 7.0, math.inf
    strategy.tell(values)
    assert strategy.best.f == 7.0
    assert torch.equal(strategy.best.x, x[3])


def test_runs_that_rest_are_not_counted_and_keep_their_best():
    strategy = Strategy("random", BOUNDS, dim=2, runs=2)
    strategy.ask()
    strategy.tell(torch.ones(2, 100))
    strategy.park(torch.tensor([True, False]))
    strategy.ask()
    strategy.tell(torch.zeros(2, 100))
    assert strategy.evals.tolist() == [100, 200]
    assert strategy.best.f.tolist() == [1.0, 0.0]


def test_bounds_reflect_points_until_they_are_inside():
    box = Box(torch.tensor([0.0]), torch.tensor([2.0]))
    x = torch.tensor([[-0.5], [0.0], [1.5], [2.0], [2.5], [4.5], [-3.0]])
    assert box.reflect(x).flatten().tolist() == [0.5, 0.0, 1.5, 2.0, 1.5, 0.5, 1.0]
