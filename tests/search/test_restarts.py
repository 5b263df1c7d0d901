"""Restarts: which populations follow each other, what they draw and cost, and that runs do not disturb each other."""

from dataclasses import dataclass

import pytest
import torch
from search.functions import Function
from search.scripted import Countdown, Recorded, bowl

from thalweg.search import BIPOP, IPOP, Algorithm, Strategy, minimize
from thalweg.search.algorithm import initial
from thalweg.search.functions.restarts import Past, Plan

pytestmark = pytest.mark.slow  # all together they take long

BOUNDS = (-5.0, 5.0)


def waves(x):
    return bowl(x) + 3 * sum((1 - torch.cos(4 * (x - 1))).unbind(-1))


# IPOP


def test_the_population_doubles_at_each_restart_until_the_budget_is_spent():
    f = Recorded(bowl)
    result = minimize(f, BOUNDS, 3, strategy=Countdown(population=4, life=3), restarts="ipop", budget=200)
    assert f.sizes == [4] * 3 + [8] * 3 + [16] * 3 + [32] * 3  # 180; 64 more would exceed it
    assert (result.evals, result.reason, result.restarts) == (180, "budget", 3)


@pytest.mark.parametrize(("factor", "sizes"), [(1.0, [4, 4, 4]), (1.5, [4, 6, 8]), (3, [4, 12, 36])])
def test_the_factor_and_the_number_of_restarts_can_be_set(factor, sizes):
    f = Recorded(bowl)
    how = IPOP(factor=factor, most=2)
    result = minimize(f, BOUNDS, 3, strategy=Countdown(life=1), restarts=how, budget=10_000)
    assert f.sizes == sizes
    assert (result.reason, result.restarts) == ("restarts", 2)


def test_a_population_that_the_algorithm_chose_by_itself_doubles_too():
    f = Recorded(lambda x: 0 * bowl(x))
    minimize(f, BOUNDS, 3, strategy="cma", restarts=IPOP(most=2), patience=1, budget=10_000)
    assert sorted(set(f.sizes)) == [7, 14, 28]  # 4 + 3 ln 3, and so on


def test_an_algorithm_without_a_population_begins_again_as_it_was():
    @dataclass(frozen=True)
    class Pair(Algorithm):
        def init(self, s):
            pass

        def sample(self, s):
            return initial(s, 2)

        def update(self, s, x, fitness):
            pass

    f = Recorded(lambda x: 0 * bowl(x))
    result = minimize(f, BOUNDS, 3, strategy=Pair(), restarts="ipop", patience=2, budget=18)
    assert f.sizes == [2] * 9
    assert result.restarts == 2


def test_populations_of_pairs_stay_even():
    f = Recorded(lambda x: 0 * bowl(x))
    minimize(f, BOUNDS, 3, strategy="pgpe", population=6, restarts=IPOP(1.5, most=3), patience=1, budget=10_000)
    assert sorted(set(f.sizes)) == [6, 8, 12, 20]  # 6 times 1, 1.5, 2.25 and 3.375


def test_patience_and_the_reasons_of_an_algorithm_lead_to_a_restart_and_the_target_to_none():
    flat = minimize(lambda x: 0 * bowl(x), BOUNDS, 3, strategy="random", restarts="ipop", patience=2, budget=2000)
    assert flat.restarts == 2  # of 300 evaluations and 600; two generations of 400 were all that is left
    arguments = dict(bounds=BOUNDS, dim=3, strategy=Countdown(life=3), restarts="ipop", budget=10_000)
    assert minimize(bowl, **arguments, target=1e9).restarts == 0
    later = minimize(bowl, **arguments, target=0.2)
    assert later.reason == "target"
    assert later.restarts > 0


def test_runs_that_are_over_wait_for_the_others_and_begin_anew_together():
    f = Recorded(bowl)
    algorithm = Countdown(life=torch.tensor([1, 3]))
    result = minimize(f, BOUNDS, 3, strategy=algorithm, runs=2, restarts=IPOP(most=1), budget=1000)
    assert f.sizes == [8, 4, 4, 16, 8, 8]  # all in one call; hyperparameters go with their run
    assert result.evals.tolist() == [4 + 8, 12 + 24]


def test_a_restart_begins_anywhere_in_the_box_and_without_one_around_x0():
    points = []

    def f(x):
        points.append(x)
        return bowl(x)

    arguments = dict(strategy=Countdown(population=50, life=1), restarts=IPOP(1.0, most=1), budget=1000)
    minimize(f, BOUNDS, x0=[4.0, 4.0], sigma0=0.01, **arguments)
    first, second = points
    assert (first - 4).abs().max() < 0.1
    assert (second - 4).abs().max() > 5

    points.clear()
    minimize(f, x0=[1e6, 1e6], sigma0=torch.tensor([1.0, 1e3]), **arguments)
    first, second = points
    assert torch.equal(first[0], torch.tensor([1e6, 1e6], dtype=torch.float64))
    moved = (second.mean(0) - 1e6).abs()
    assert 0 < moved[0] < 5 < moved[1] < 5e3
    assert not torch.equal(first, second)


def test_a_restart_is_told_what_is_left_of_the_budget():
    budgets = []

    class Told(Countdown):
        def init(self, s):
            budgets.append(s.problem.budget)

    minimize(bowl, BOUNDS, 3, strategy=Told(), restarts="ipop", budget=200)
    assert budgets == [200, 188, 164, 116]


def test_evaluations_and_the_best_add_up_over_restarts():
    f = Recorded(bowl)
    result = minimize(f, BOUNDS, 3, strategy=Countdown(), restarts="ipop", budget=2000)
    assert result.evals == len(f.values)
    lowest = torch.tensor(f.values, dtype=torch.float64).cummin(0).values
    assert torch.equal(result.history.at(torch.arange(1, len(lowest) + 1)), lowest)
    assert result.f == lowest[-1] == bowl(result.x)


@pytest.mark.parametrize("restarts", ["ipop", "bipop"])
def test_a_run_with_a_seed_of_its_own_begins_anew_as_it_would_alone(restarts):
    arguments = dict(bounds=BOUNDS, dim=3, strategy=Countdown(), restarts=restarts, budget=700, target=0.5)
    together = minimize(waves, **arguments, runs=4, seed=[3, 4, 5, 6])
    for run, seed in enumerate([3, 4, 5, 6]):
        alone = minimize(waves, **arguments, seed=seed)
        assert torch.equal(alone.x, together.x[run])
        assert (alone.evals, alone.reason) == (together.evals[run], together.reason[run])
    assert len({tuple(x) for x in together.x.tolist()}) == 4


# BIPOP


def past(*legs):
    return [Past(Plan(scale, large=large), evals) for scale, large, evals in legs]


def test_of_the_two_kinds_the_one_that_took_less_is_next_and_the_first_restart_is_large():
    how = BIPOP()
    first = past((1, False, 100))
    assert how.next(first, 0.5, 0.5) == Plan(2.0, large=True)
    small = how.next(first + past((2, True, 301)), 0.5, 0.5)
    assert not small.large
    assert small.most == 150  # half of the last large one
    assert how.next(first + past((2, True, 100)), 0.5, 0.5) == Plan(4.0, large=True)
    assert how.next(first + past((2, True, 300), (1, False, 250)), 0.5, 0.5) == Plan(4.0, large=True)


@pytest.mark.parametrize(("u", "scale"), [(0.0, 1.0), (0.5, 8**0.25), (1.0, 8.0)])
def test_small_ones_lie_between_the_first_population_and_half_the_last_large_one(u, scale):
    plan = BIPOP().next(past((1, False, 10), (2, True, 50), (4, True, 60), (8, True, 70), (16, True, 90)), u, u)
    assert plan.scale == pytest.approx(scale)
    assert plan.spread == pytest.approx(10 ** (-2 * u))


def test_most_is_of_large_ones_after_which_the_small_ones_catch_up():
    how = BIPOP(most=1)
    assert how.next(past((1, False, 10), (2, True, 50)), 0.1, 0.1).most == 25
    assert how.next(past((1, False, 10), (2, True, 50), (1, False, 40)), 0.1, 0.1) is None
    assert BIPOP(most=0).next(past((1, False, 10)), 0.1, 0.1) is None


def test_a_small_restart_is_narrow_and_ends_when_it_has_taken_what_it_may():
    legs = []

    @dataclass(frozen=True)
    class Told(Countdown):
        life: int = 10**9

        def init(self, s):
            legs.append([self.population, s.problem.sigma0.max().item(), 0])

        def update(self, s, x, fitness):
            legs[-1][2] += x.shape[1]

    arguments = dict(strategy=Told(population=10), restarts="bipop", patience=6, budget=60_000)
    minimize(lambda x: 0 * bowl(x), BOUNDS, 3, sigma0=2.0, **arguments)
    large, last, halves = 1, 70, []
    for population, sigma0, evals in legs[1:-1]:
        if sigma0 == 2.0:
            large *= 2
            last = evals
            assert population == 10 * large
            assert evals == 7 * population  # one that is better, and six that are not
        else:
            assert 10 <= population <= 10 * large / 2
            assert 0.02 <= sigma0 < 2.0
            assert evals <= max(last // 2, population)
            halves.append(evals)
    assert large > 8
    small, all_large = 70 + sum(halves), sum(evals for _, sigma0, evals in legs[1:-1] if sigma0 == 2.0)
    assert abs(small - all_large) <= last  # the two budgets keep pace


# What they are for


@pytest.mark.parametrize(
    ("restarts", "seed"),
    [("ipop", 0), pytest.param("ipop", 1, marks=pytest.mark.slow), pytest.param("bipop", 0, marks=pytest.mark.slow)],
)
def test_restarts_find_the_lowest_of_many_minima(restarts, seed):
    function = Function("rastrigin", runs=1, dim=3, seed=seed)
    arguments = dict(x0=torch.zeros(3), sigma0=2.0, strategy="cma", target=1e-8, seed=seed, budget=60_000)
    assert minimize(function, **arguments).reason == "tolfun"
    assert minimize(function, **arguments, restarts=restarts).reason == "target"


def test_a_made_strategy_begins_anew_with_its_own_hyperparameters():
    f = Recorded(bowl)
    strategy = Strategy(Countdown(population=5, life=2), BOUNDS, dim=3, budget=200)
    result = minimize(f, strategy=strategy, restarts="ipop")
    assert f.sizes == [5] * 2 + [10] * 2 + [20] * 2 + [40] * 2
    assert result.strategy is not strategy
    assert result.strategy.algorithm.life == 2
