"""Differential evolution, with its constants given or learnt, equals transcriptions of its equations."""

import math

import pytest
import torch
from search.functions import Function
from search.plain_differential_evolution import HIGH, LOW, SEED, Adaptive, Population, plain_de

from thalweg.search import Strategy
from thalweg.search.strategies.adaptive_differential_evolution import (
    TERMINAL,
    cauchy_above_zero,
    mean,
    shares,
    two_others,
)
from thalweg.search.strategies.differential_evolution import three_others


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def trajectory(name, function, generations, **settings):
    """A strategy, and the points that it was told of in each generation."""
    strategy = Strategy(name, (LOW, HIGH), dim=function.dim, runs=function.runs, generator=generator(SEED), **settings)
    seen = []
    for _ in range(generations):
        x = strategy.ask()
        seen.append(x)
        strategy.tell(function(x))
    return strategy, seen


def test_de_is_rand_1_bin_one_number_at_a_time():
    function = Function("rastrigin", runs=2, dim=3)
    population = Population(function, 8)
    plain_de(population, 25)
    _, found = trajectory("de", function, 25, population=8)
    for x, expected in zip(found, population.seen, strict=True):
        torch.testing.assert_close(x, expected, rtol=0, atol=1e-9)
    assert population.repairs > 5


@pytest.mark.parametrize(
    ("name", "settings", "budget"),
    [
        ("jade", {"best": 0.05, "archive": 1.0}, None),
        ("jade", {"best": 0.3, "archive": 2.0, "rate": 0.4}, None),
        ("shade", {"best": 0.11, "archive": 2.6, "memory": 6}, None),
        ("shade", {"best": 0.2, "archive": 1.5, "memory": 3}, 450),
    ],
)
def test_what_learns_its_constants_is_its_equations_one_number_at_a_time(name, settings, budget):
    function = Function("rastrigin", runs=2, dim=3)
    population = Adaptive(function, 16, budget=budget, **settings)
    for _ in range(39):
        population.generation()
    strategy, found = trajectory(name, function, 40, population=16, budget=budget, **settings)
    for x, expected in zip(found, population.seen, strict=True):
        torch.testing.assert_close(x, expected, rtol=0, atol=1e-8)
    assert population.repairs > 5
    assert population.overwritten > 10
    assert population.from_archive > 100
    centres = strategy.state.memory if name == "shade" else strategy.state.centres
    torch.testing.assert_close(centres, torch.tensor(population.centres, dtype=torch.float64), rtol=0, atol=1e-8)
    assert strategy.state.filled.flatten().tolist() == list(map(len, population.archive))
    for run, archive in enumerate(population.archive):
        kept = strategy.state.archive[run, : len(archive)]
        torch.testing.assert_close(kept, torch.tensor(archive, dtype=torch.float64), rtol=0, atol=1e-8)


# Partners


def test_the_three_partners_of_a_member_are_others_all_different_and_equally_likely():
    count, draws = 6, 4000
    state = Strategy("de", (LOW, HIGH), dim=2, runs=draws, population=count).state
    seen = torch.stack([torch.arange(count).expand(draws, count), *three_others(state, count)])
    assert (seen.sort(dim=0).values.diff(dim=0) > 0).all()
    # Of the 60 ordered choices of three of five each is as likely as another.
    for member in range(count):
        codes = seen[1:, :, member].T @ torch.tensor([36, 6, 1])
        shares = codes.unique(return_counts=True)[1] / draws
        assert len(shares) == 60
        assert (shares - 1 / 60).abs().max() < 5 * math.sqrt(1 / 60 / draws)


@pytest.mark.parametrize("filled", [0, 3, 12])
def test_the_two_partners_of_a_member_differ_from_it_and_each_other_and_are_equally_likely(filled):
    """The second may be any of the archive, which is fuller in some runs than in others."""
    count, draws = 6, 4000
    state = Strategy("jade", (LOW, HIGH), dim=2, runs=draws + 1, population=count, archive=2.0).state
    state.filled[:draws] = filled
    one, other = two_others(state, count)
    assert int(other[draws].max()) < count
    seen = torch.stack([torch.arange(count).expand(draws, count), one[:draws], other[:draws]])
    assert (seen.sort(dim=0).values.diff(dim=0) > 0).all()
    assert int(seen.max()) == count + filled - 1
    likely = 1 / (5 * (4 + filled))
    for member in range(count):
        shares = (100 * seen[1, :, member] + seen[2, :, member]).unique(return_counts=True)[1] / draws
        assert len(shares) == round(1 / likely)
        assert (shares - likely).abs().max() < 5 * math.sqrt(likely / draws)


# What is learnt, and how it is drawn


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("centre", [0.05, 0.5, 0.97])
def test_f_is_a_cauchy_number_drawn_again_until_it_is_above_0_and_cut_at_1(centre, dtype):
    count = 200_000
    u = torch.rand(1, count, 1, generator=generator(), dtype=dtype)
    u[0, :2, 0] = torch.tensor([0.0, 1 - torch.finfo(dtype).eps])  # the ends of what can be drawn
    found = cauchy_above_zero(torch.full((1, 1, 1), centre, dtype=dtype), u).flatten()
    assert found.min() > 0
    assert found.max() == 1
    assert found[1] == 1
    drawn = centre + 0.1 * torch.tan(
        math.pi * (torch.rand(4 * count, generator=generator(1), dtype=torch.float64) - 0.5)
    )
    expected = drawn[drawn > 0][:count].clamp(max=1)
    grid = torch.linspace(0.01, 0.99, 99, dtype=torch.float64)
    below, above = ((x.unsqueeze(1) <= grid).double().mean(0) for x in (found.double(), expected))
    assert (below - above).abs().max() < 2 / math.sqrt(len(expected))


def test_a_mean_is_that_of_the_weighted_and_0_of_none():
    x = torch.tensor([[[0.5, 0.0], [1.0, 0.2], [0.1, 0.4]]])
    weights = torch.tensor([[[2.0], [1.0], [0.0]]])
    torch.testing.assert_close(mean(x, weights * x), torch.tensor([[[1.5 / 2, 0.2]]]))
    torch.testing.assert_close(mean(x, weights.expand_as(x)), torch.tensor([[[2 / 3, 0.2 / 3]]]))
    assert not mean(x, torch.zeros_like(x)).any()


def test_gains_without_measure_leave_no_share_to_others():
    gains = torch.tensor([[[1.0], [3.0]], [[1.0], [math.inf]], [[1e-44], [0.0]], [[0.0], [0.0]]])
    found = shares(gains).squeeze(2)
    torch.testing.assert_close(found[0], torch.tensor([1 / 3, 1.0]))
    assert found[1, 1] == 1
    assert found[1, 0] < 1e-30
    assert found[2, 0] > 0
    assert not found[3].any()
    assert not shares(torch.zeros(1, 2, 1)).isnan().any()


def test_where_only_a_crossover_of_0_succeeds_it_is_0_for_good():
    """And what follows from that memory alone is crossed in one coordinate, that which is so in any case."""
    strategy = Strategy("shade", (LOW, HIGH), dim=6, population=12, memory=1, generator=generator())
    function = Function("sphere", runs=1, dim=6)
    strategy.tell(function(strategy.ask()))
    strategy.ask()
    strategy.state.constants[..., 1] = 0.0
    strategy.tell(strategy.state.own_f[0] - 1.0)
    assert strategy.state.memory[0, 0, 1] == TERMINAL
    for _ in range(5):
        x = strategy.ask()
        assert not strategy.state.constants[..., 1].any()
        assert ((x != strategy.state.own[0]).sum(1) <= 1).all()
        strategy.state.constants[..., 1] = 0.5  # which would succeed, but comes too late
        strategy.tell(strategy.state.own_f[0] - 1.0)
        assert strategy.state.memory[0, 0, 1] == TERMINAL


# L-SHADE's population


def test_the_population_falls_linearly_with_the_budget_and_ends_at_4():
    function, budget = Function("rastrigin", runs=3, dim=4), 5000
    strategy = Strategy("shade", (LOW, HIGH), dim=4, runs=3, budget=budget, generator=generator())
    spent, least = 0, torch.full((3,), math.inf, dtype=torch.float64)
    while spent < budget:
        x = strategy.ask()
        allowed = 50 + (4 - 50) * spent / budget  # 50, a hundredth of the budget, is less than 18 D
        assert x.shape == (3, round(allowed), 4)
        if spent == budget // 2:
            strategy.park(torch.tensor([False, True, False]))
        strategy.tell(function(x))
        spent += x.shape[1]
        best = strategy.state.own_f.amin(1)
        assert (best <= least).all()
        assert strategy.state.archive.shape[1] == round(2.6 * strategy.state.own.shape[1])
        assert (strategy.state.filled <= strategy.state.archive.shape[1]).all()
        least = best
    for _ in range(3):
        assert strategy.ask().shape[1] == 4
        strategy.tell(function(strategy.ask()))


@pytest.mark.parametrize(
    ("dim", "budget", "population"), [(10, 100_000, 180), (100, 20_000, 200), (5, 300, 20), (1, 10_000, 18)]
)
def test_it_begins_with_18_members_a_dimension_or_a_hundredth_of_the_budget(dim, budget, population):
    assert Strategy("shade", (LOW, HIGH), dim=dim, budget=budget).ask().shape[0] == population


def test_without_a_budget_a_hundred_members_stay():
    strategy = Strategy("shade", (LOW, HIGH), dim=3)
    for _ in range(20):
        assert strategy.ask().shape == (100, 3)
        strategy.tell(strategy.ask().square().sum(1))


# Archives, plateaus, walls, refusals


def test_the_archive_keeps_parents_that_were_replaced_and_no_one_else():
    function = Function("rastrigin", runs=2, dim=3)
    strategy = Strategy("jade", (LOW, HIGH), dim=3, runs=2, population=10, generator=generator())
    replaced = [set(), set()]
    for _ in range(40):
        x = strategy.ask()
        values, parents, worth = function(x), strategy.state.own.clone(), strategy.state.own_f.clone()
        strategy.tell(values)
        if strategy.generation > 1:
            for run, member in (values < worth).nonzero().tolist():
                replaced[run].add(tuple(parents[run, member].tolist()))
        for run in range(2):
            count = int(strategy.state.filled[run])
            assert count == min(10, len(replaced[run]))
            kept = {tuple(x) for x in strategy.state.archive[run, :count].tolist()}
            assert len(kept) == count
            assert kept <= replaced[run]
    assert min(map(len, replaced)) > 30


def test_without_an_archive_it_keeps_none():
    function = Function("sphere", runs=2, dim=3)
    strategy, _ = trajectory("jade", function, 60, population=20, archive=0.0)
    assert strategy.state.archive.shape == (2, 0, 3)
    assert strategy.best.f.max() < 1e-3


@pytest.mark.parametrize("name", ["de", "jade", "shade"])
def test_a_population_moves_on_a_plateau(name):
    strategy = Strategy(name, (LOW, HIGH), dim=3, population=10, generator=generator())
    strategy.ask()
    strategy.tell(torch.zeros(10))
    x = strategy.ask()
    strategy.tell(torch.zeros(10))
    assert torch.equal(strategy.state.own[0], x)


@pytest.mark.parametrize("name", ["de", "jade", "shade"])
@pytest.mark.parametrize("place", [-5.0, 4.0])
def test_the_optimum_in_a_corner_or_near_one_is_found(name, place):
    function = Function("sphere", runs=5, dim=6, optimum=torch.full((1, 1, 6), place, dtype=torch.float64))
    strategy, seen = trajectory(name, function, 400, population=40)
    assert strategy.best.f.max() < 1e-8
    assert all(bool((x.abs() <= HIGH).all()) for x in seen)


@pytest.mark.parametrize("name", ["de", "shade"])
def test_what_is_received_takes_the_place_of_the_best(name):
    strategy = Strategy(name, (LOW, HIGH), dim=2, population=8, generator=generator())
    strategy.ask()
    strategy.tell(torch.arange(8.0).flip(0))
    strategy.receive(torch.ones(2), -1.0)
    assert strategy.state.own[0, 7].tolist() == [1.0, 1.0]
    assert strategy.state.own_f[0].tolist() == [7, 6, 5, 4, 3, 2, 1, -1]


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("de", {"population": 3}, r"population must be a whole number >= 4, got 3"),
        ("de", {"weight": -0.5}, r"weight must be >= 0 and finite, got -0.5"),
        ("de", {"crossover": torch.tensor([0.5, 1.1])}, r"crossover must be in \[0, 1\], got tensor"),
        ("jade", {"population": 3}, r"population must be a whole number >= 4, got 3"),
        ("jade", {"best": 0.0}, r"best must be in \(0, 1\], .* got 0.0"),
        ("jade", {"rate": 1.0}, r"rate must be in \[0, 1\), got 1.0"),
        ("shade", {"archive": 0.5}, r"archive must be 0 or >= 1, .* got 0.5"),
        ("shade", {"memory": 0}, r"memory must be a whole number >= 1, got 0"),
        ("shade", {"population": 3}, r"population must be a whole number >= 4, got 3"),
    ],
)
def test_what_cannot_be_is_refused_by_name(name, settings, message):
    with pytest.raises(ValueError, match=message):
        Strategy(name, (LOW, HIGH), dim=2, runs=2, **settings)
