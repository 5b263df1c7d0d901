"""What a strategy is given that cannot be right: each an error that names the argument and quotes the value."""

import math

import numpy as np
import pytest
import torch
from torch.nn.functional import mse_loss

from thalweg.race.searching import HYBRIDS
from thalweg.search import (
    Bits,
    Box,
    Choices,
    EpisodeReturn,
    ESGradient,
    Generations,
    Memetic,
    Orders,
    Population,
    Strategy,
    quantised,
)
from thalweg.search.catalogue import TRAINERS, algorithm_named

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
    "bits for a strategy of real vectors": (
        lambda: Strategy("cma", Bits(3)),
        r"strategy must be one that searches Bits, such as random, .*; got CMA, which searches Box",
    ),
    "a name in capitals": (lambda: Strategy("CMA", BOUNDS, dim=2), r"'CMA' is unknown \(did you mean cma\?\)"),
    "a hybrid": (lambda: Strategy("ga-lamarckian", BOUNDS, dim=2), r"is no strategy by itself.*search\.Memetic"),
    "two pairs that are either": (
        lambda: Strategy("random", [(-5, 10), (0, 15)]),
        r"bounds must say which they are.* give \(\(-5, 10\), \(0, 15\)\) for .*, \(\(-5, 0\), \(10, 15\)\) for the la",
    ),
    "two pairs for dimensions": (
        lambda: Strategy("random", [(-5, 5), (-5, 5)]),
        r"bounds must be low < high, got -5 and -5 .*tuple\(zip\(\*bounds\)\) makes bounds",
    ),
    "three pairs for dimensions": (
        lambda: Strategy("random", [(-5, 5)] * 3),
        r"bounds must be a pair .*tuple\(zip\(\*bounds\)\) makes bounds",
    ),
    "a device that there is not": (lambda: Strategy("random", BOUNDS, dim=2, device="gpu"), r"device must be .* 'gpu'"),
    "no number of choices": (lambda: Choices(3), r"sizes must be whole numbers >= 1, at least one of them, got 3"),
    "an inertia in words": (lambda: Strategy("pso", BOUNDS, dim=2, inertia="0.3"), r"inertia must be numbers.* '0\.3'"),
    "inertias of other runs": (
        lambda: Strategy("pso", BOUNDS, dim=2, inertia=[0.5, 0.6, 0.7], runs=2),
        r"inertia must be one number, or one a run \(2,\), got shape \(3,\)",
    ),
    "constants of different runs": (
        lambda: Strategy("pso", BOUNDS, dim=2, inertia=[0.5, 0.6, 0.7], c1=[1.0, 1.5], runs=2),
        r"c1, c2 and inertia must be numbers, or one a run, got 2, 1, 3 of them",
    ),
    "a momentum in words": (lambda: Strategy("mpso", BOUNDS, dim=2, lam="a"), r"lam must be a number, got 'a'"),
    "one beta": (lambda: Strategy("openai-es", BOUNDS, dim=2, betas=0.9), r"betas must be two numbers .* got 0\.9"),
    "a tolerance in words": (lambda: Strategy("cma", BOUNDS, dim=2, tolx="a"), r"tolx must be >= 0, got 'a'"),
    "two tolerances": (lambda: Strategy("cma", BOUNDS, dim=2, tolx=[1.0, 2.0]), r"tolx must be one number, got shape"),
    "a heuristic of another shape": (
        lambda: Strategy("aco-discrete", Bits(2), heuristic=[1, 2]),
        r"heuristic must be of shape \(2, 2\), got \(2,\)",
    ),
    "a heuristic in words": (
        lambda: Strategy("aco-discrete", Bits(2), heuristic="near"),
        r"heuristic must be numbers, got 'near'",
    ),
    "a covariance matrix that no memory holds": (
        lambda: Strategy("cma", BOUNDS, dim=200_000),
        r"(?s)200.?000.*sep-cma",
    ),
    "a population of one": (lambda: Strategy("cma", BOUNDS, dim=3, population=1), r"population must .* got 1"),
    "as many members as text": (lambda: Strategy("de", BOUNDS, dim=3, population="many"), r"population must .*many"),
}


REFUSED_OF_NETWORKS = {
    "sigma in words": (lambda: ESGradient(layer(), mse_loss, sigma="a"), r"sigma must be > 0 and finite, got 'a'"),
    "sigma of another size": (
        lambda: ESGradient(layer(), mse_loss, sigma=torch.ones(4)),
        r"sigma must be a number or \(3,\), got shape \(4,\)",
    ),
    "parameters that inputs cannot pass": (
        lambda: ESGradient(layer().parameters(), mse_loss),
        r"loss_fn must be None where module is parameters alone",
    ),
    "no module": (lambda: ESGradient(3), r"module must be a torch\.nn\.Module, or parameters of one, got 3"),
    "no parameters": (lambda: ESGradient([]), r"module must be .* got \[\]"),
    "a closure that is none": (lambda: ESGradient(layer()).backward_of(3), r"closure must be a function .* got 3"),
    "a seed for the generator of estimates": (lambda: ESGradient(layer(), generator=3), r"generator must be .* got 3"),
    "a seed for that of members": (lambda: Population(layer(), mse_loss, generator=3), r"generator must be .* got 3"),
    "a seed for that of trainers": (
        lambda: Generations(layer(), mse_loss, generator=3),
        r"generator must be .* got 3",
    ),
    "a seed for that of episodes": (
        lambda: EpisodeReturn("cart-pole", torch.nn.Linear(4, 2), generator=3),
        r"generator must be a torch.Generator or None, got 3",
    ),
    "data in words": (
        lambda: ESGradient(layer(), mse_loss).backward("x", "y"),
        r"inputs must be a tensor or an .* 'x'",
    ),
    "members in lists": (
        lambda: Population(layer(), mse_loss).losses([[0.0] * 3], torch.ones(1, 2), torch.ones(1, 1)),
        r"x must be a tensor of members, \(members, 3\), got \[\[0\.0",
    ),
    "names for params": (lambda: Population(layer(), mse_loss, params=["weight"]), r"params must be a function .*'wei"),
    "names of what is rounded": (
        lambda: quantised(layer(), params=["weight"]),
        r"params must be a function .*'weight'",
    ),
    "bits that are no whole number": (lambda: quantised(layer(), bits=2.0), r"bits must be a whole number.* got 2\.0"),
    "a step in words": (lambda: quantised(layer(), step="a"), r"step must be > 0 and finite, got 'a'"),
    "bounds of weights": (
        lambda: Generations(layer(), mse_loss, bounds=BOUNDS),
        r"bounds must be left out, for the wei",
    ),
    "a start of weights": (lambda: Generations(layer(), mse_loss, x0=3), r"x0 must be left out.* got 3"),
    "runs of a trainer": (lambda: Memetic(layer(), mse_loss, runs=2), r"runs must be left out, for one network is one"),
    "policies that are no tensor": (
        lambda: EpisodeReturn("cart-pole", torch.nn.Linear(4, 2))(3),
        r"x must be weights \(n, 10\), got 3",
    ),
}


def layer():
    return torch.nn.Linear(2, 1)


@pytest.mark.parametrize("case", REFUSED_OF_NETWORKS)
def test_it_is_refused_of_networks_too(case):
    make, words = REFUSED_OF_NETWORKS[case]
    with pytest.raises(ValueError, match=words):
        make()


@pytest.mark.parametrize("case", REFUSED)
def test_it_is_refused_by_name_and_value(case):
    make, words = REFUSED[case]
    with pytest.raises(ValueError, match=words):
        make()


def test_bounds_are_low_and_high_in_a_tuple_and_pairs_when_they_are_turned():
    pairs = [(-5, 10), (0, 15)]
    vectors, turned = (Strategy("random", bounds).problem for bounds in (tuple(pairs), tuple(zip(*pairs, strict=True))))
    assert (vectors.low.tolist(), vectors.high.tolist()) == ([-5, 10], [0, 15])
    assert (turned.low.tolist(), turned.high.tolist()) == ([-5, 0], [10, 15])
    listed = Strategy("random", [[-5, -5], [10, 10]]).problem  # as pairs they would be empty
    assert (listed.low.tolist(), listed.high.tolist()) == ([-5, -5], [10, 10])


@pytest.mark.parametrize("convert", [list, np.array, tuple])
def test_hyperparameters_of_runs_come_in_any_sequence(convert):
    given, tensor = (
        Strategy("pso", BOUNDS, dim=2, runs=2, inertia=inertia)
        for inertia in (convert([0.5, 0.6]), torch.tensor([0.5, 0.6], dtype=torch.float64))
    )
    for _ in range(3):
        x = given.ask()
        assert torch.equal(x, tensor.ask())
        for strategy in (given, tensor):
            strategy.tell(x.square().sum(-1))


def test_what_is_known_beforehand_may_be_a_list():
    known = [[1.0, 2.0], [3.0, 4.0]]
    listed, tensor = (Strategy("aco-discrete", Bits(2), heuristic=each) for each in (known, torch.tensor(known)))
    assert torch.equal(listed.ask(), tensor.ask())


def test_integers_of_numpy_are_integers_everywhere():
    assert Strategy("sqa", Bits(4), budget=100, replicas=np.int64(6)).ask().shape == (6, 4)
    assert Population(layer(), mse_loss, chunk=np.int64(8)).chunk == 8
    assert quantised(layer(), bits=np.int64(2)).weight.shape == (1, 2)


@pytest.mark.parametrize("convert", [torch.Tensor.numpy, torch.Tensor.tolist, lambda x: x.double().numpy()])
def test_networks_take_arrays_as_they_take_tensors(convert):
    x, y = torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([[1.0], [0.5]])
    model = layer()
    for inputs, targets in ((x, y), (convert(x), convert(y))):
        members = Population(model, mse_loss)
        points = torch.zeros(2, 3)
        assert members.losses(points, inputs, targets).tolist() == [0.625, 0.625]
        ESGradient(model, mse_loss).backward(inputs, targets)
    first, second = (ESGradient(model, mse_loss).backward(*batch) for batch in ((x, y), (convert(x), convert(y))))
    assert first == second


def test_the_names_of_hybrids_are_those_of_the_race():
    assert {name: found.searching.trainer for name, found in HYBRIDS.items()} == TRAINERS


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
