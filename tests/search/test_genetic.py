"""The operators of the genetic algorithms have their closed forms, and what is good or new in a population is kept."""

import math

import pytest
import torch
from search.drawn import remembering
from search.functions import Function

from thalweg.search import Strategy
from thalweg.search.strategies.genetic import GA, TruncationGA, coins, pm_shift, ranked, sbx_spread, sketch

GRID = torch.linspace(0, 1, 1001, dtype=torch.float64)[:-1]
LOW, HIGH = -5.0, 5.0


def close(found, expected, tolerance=1e-12):
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)


def strategy_of(algorithm, dim=4, seed=0, **others):
    generator = torch.Generator().manual_seed(seed)
    return Strategy(algorithm, (LOW, HIGH), dim=dim, generator=generator, **others)


def generations(strategy, function, count):
    for _ in range(count):
        x = strategy.ask()
        strategy.tell(function(x))
        yield x


def living(strategy):
    """The population of the first run, best first, and its fitness."""
    s, count = strategy.state, strategy.algorithm.population
    order = s.order[0, :count]
    return s.pool[0, order], s.f[0, order]


# Simulated binary crossover


@pytest.mark.parametrize("eta", [0.0, 2.0, 15.0])
@pytest.mark.parametrize("crowding", [0.0, 0.3, 0.9, 1.0])
def test_the_spread_of_children_has_the_bounded_distribution_of_deb_and_agrawal(crowding, eta):
    spread = sbx_spread(GRID, torch.full_like(GRID, crowding), eta)
    alpha = 2 - crowding ** (eta + 1)
    within, beyond = spread ** (eta + 1), 2 - spread ** -(eta + 1)
    close(torch.where(spread <= 1, within, beyond)[1:] / alpha, GRID[1:])
    assert (spread.diff() > 0).all()
    assert spread.max() * crowding <= 1 + 1e-12


def test_half_of_the_children_are_nearer_to_each_other_than_their_parents_far_from_the_sides():
    spread = sbx_spread(GRID, torch.zeros_like(GRID), 15.0)
    close((spread < 1).double().mean(), torch.tensor(0.5, dtype=torch.float64), 2e-3)
    # A spread and its inverse are equally likely: the two halves mirror each other.
    close(spread[1:] * spread.flip(0)[:-1], torch.ones(999, dtype=torch.float64))


def test_two_children_have_the_mean_of_their_parents():
    strategy = strategy_of(GA(population=20, crossover=1.0, mutation=1e-300), dim=30)
    draws, function = remembering(strategy), Function("rastrigin", runs=1, dim=30)
    for _ in generations(strategy, function, 5):
        parents = living(strategy)[0]
        draws.taken()
        x = strategy.ask()
        first, second = torch.tensor(draws.taken()[0])
        mothers, fathers = parents[torch.minimum(first, second)].split(10)
        apart = (mothers != fathers).any(1)
        assert apart.sum() > 5
        assert (x[:10] != mothers)[apart].any(1).all()
        close((x[:10] + x[10:])[apart], (mothers + fathers)[apart])


# Polynomial mutation


@pytest.mark.parametrize("eta", [0.0, 5.0, 20.0])
@pytest.mark.parametrize("reach", [0.0, 0.01, 0.4, 1.0])
def test_the_shift_of_a_mutation_has_the_bounded_polynomial_distribution(reach, eta):
    shift = pm_shift(GRID, torch.full_like(GRID, reach), eta)
    assert shift.abs().max() <= reach + 1e-12
    assert (shift[GRID < 0.5] <= 0).all()
    assert (shift[GRID > 0.5] >= 0).all()
    if reach > 0:
        outside = (1 - reach) ** (eta + 1)
        tail = ((1 - shift.abs()) ** (eta + 1) - outside) / (1 - outside) / 2  # the chance of going further that way
        close(tail, torch.minimum(GRID, 1 - GRID), 1e-10)


def test_coins_fall_heads_at_every_place_equally_often_and_independently():
    s = strategy_of(GA(), runs=4000).state
    p, count = 0.07, 60
    at = coins(s, p, count)
    heads = torch.zeros(4000, count + 1).scatter_(1, at.clamp(max=count), 1.0)[:, :count]
    frequency = heads.mean(0)
    assert ((frequency - p).abs() < 5 * math.sqrt(p * (1 - p) / 4000)).all()
    number = heads.sum(1)
    assert abs(number.mean() - count * p) < 5 * math.sqrt(count * p * (1 - p) / 4000)
    assert number.var().item() == pytest.approx(count * p * (1 - p), rel=0.15)
    assert (at[:, 1:] > at[:, :-1]).all()
    assert torch.equal(coins(s, 1.0, 5), torch.arange(5).expand(4000, 5))


# A generation


def by_the_book(x, f, draws, count, eta_c=15.0, eta_m=20.0, rate=0.9):
    """The children of a population, best first, in plain Python: Deb and Agrawal 1995 and 1999."""
    dim, half = len(x[0]), count // 2
    integers, u_genes, u_pairs, due, u_coins, u_shifts = draws
    parents = [min(a, b, key=lambda i: f[i]) for a, b in zip(*integers, strict=True)]
    children = [list(x[i]) for i in parents]
    same = [True] * count
    for pair in range(half):
        if u_pairs[pair][0] >= rate:
            continue
        for d in range(dim):
            quarter, u = divmod(4 * u_genes[pair][d], 1)
            one, other = children[pair][d], children[pair + half][d]
            if quarter >= 2 or one == other:
                continue
            low, high = min(one, other), max(one, other)
            beta = 1 + 2 / (high - low) * min(low - LOW, HIGH - high)
            alpha = 2 - beta ** -(eta_c + 1)
            spread = (u * alpha if u <= 1 / alpha else 1 / (2 - u * alpha)) ** (1 / (eta_c + 1))
            near_one, near_other = (
                0.5 * ((1 + spread) * one + (1 - spread) * other),
                0.5 * ((1 - spread) * one + (1 + spread) * other),
            )
            swap = quarter == 0
            children[pair][d], children[pair + half][d] = (near_other, near_one) if swap else (near_one, near_other)
            same[pair] = same[pair + half] = False
    places, at = [], -1
    for u in u_coins:
        at += 1 + int(math.log(1 - u) / math.log(1 - 1 / dim))
        places.append(at)
    places += [child * dim + due[child] if same[child] else count * dim for child in range(count)]
    born = [list(child) for child in children]
    for place, u in zip(places, u_shifts, strict=True):
        if place < count * dim:
            child, d = divmod(place, dim)
            y, width = born[child][d], HIGH - LOW
            if u < 0.5:
                value = 2 * u + (1 - 2 * u) * (1 - (y - LOW) / width) ** (eta_m + 1)
                shift = value ** (1 / (eta_m + 1)) - 1
            else:
                value = 2 * (1 - u) + 2 * (u - 0.5) * (1 - (HIGH - y) / width) ** (eta_m + 1)
                shift = 1 - value ** (1 / (eta_m + 1))
            children[child][d] += shift * width
    return [[min(max(v, LOW), HIGH) for v in child] for child in children]


def test_a_generation_is_that_of_a_transcription_with_the_same_random_numbers():
    strategy, function = strategy_of(GA(population=12)), Function("rastrigin", runs=1, dim=4)
    draws = remembering(strategy)
    next(generations(strategy, function, 1))
    population = fitness = None
    for _ in range(60):
        x, f = living(strategy)
        if population is not None:
            close(x, torch.tensor(population, dtype=torch.float64), 1e-9)
        draws.taken()
        children = strategy.ask()
        expected = by_the_book(x.tolist(), f.tolist(), draws.taken(), 12)
        close(children, torch.tensor(expected, dtype=torch.float64), 1e-9)
        values = function(children)
        strategy.tell(values)
        both = sorted(zip(f.tolist() + values.tolist(), x.tolist() + children.tolist(), strict=True))
        fitness, population = zip(*both[:12], strict=True)
    assert list(fitness) == sorted(fitness)


@pytest.mark.parametrize("population", [2, 7, 20])
def test_the_best_is_never_lost_and_no_two_are_the_same(population):
    function = Function("rastrigin", runs=1, dim=3)
    strategy = strategy_of(GA(population=population), dim=3)
    best = math.inf
    for _ in generations(strategy, function, 200):
        x, f = living(strategy)
        assert len(x.unique(dim=0)) == population
        assert f[0] == strategy.best.f <= best
        assert (f.diff() >= 0).all()
        best = f[0]


def test_points_repaired_to_a_grid_are_kept_once_each_also_on_a_plateau():
    strategy = strategy_of(GA(population=30), dim=2)
    for _ in range(60):
        x = strategy.ask().round()
        strategy.tell((x.abs().sum(-1) / 4).floor(), x=x)
    x, f = living(strategy)
    assert len(x.unique(dim=0)) == 30
    assert (f == 0).sum() == 25  # as many as there are in |a| + |b| < 4


def test_of_points_that_are_the_same_all_but_one_come_last():
    x = torch.tensor([[[1.0, 2.0], [0.0, 3.0], [1.0, 2.0], [5.0, 5.0], [1.0, 2.0]]])
    f = torch.tensor([[1.0, 1.0, 1.0, 9.0, 1.0]])
    order = ranked(sketch(x), f)[0].tolist()
    assert set(order[:2]) > {1}
    assert order[2] == 3
    distinct = torch.tensor([[[1.0, 2.5], [0.0, 3.0], [1.0, 2.5], [5.0, 5.0], [1.0, 2.5]]])
    assert ranked(sketch(distinct), f)[0].tolist() == [1, 0, 3, 2, 4]


def test_a_point_from_elsewhere_takes_the_place_of_the_worst():
    function = Function("sphere", runs=2, dim=3)
    strategy = strategy_of(GA(population=6), dim=3, runs=2)
    list(generations(strategy, function, 3))
    before = [strategy.state.f[run, strategy.state.order[run, :6]] for run in range(2)]
    strategy.receive(function.optimum.squeeze(1), torch.tensor([0.0, 1e9], dtype=torch.float64))
    after = [strategy.state.f[run, strategy.state.order[run, :6]] for run in range(2)]
    assert after[0].tolist() == [0.0, *before[0].tolist()[:-1]]
    assert after[1].tolist() == before[1].tolist()


@pytest.mark.parametrize("algorithm", [GA(population=10), TruncationGA(population=10, parents=3)])
@pytest.mark.parametrize("bounds", [(0.0, math.inf), (-math.inf, 4.0)])
def test_a_side_that_is_infinite_bounds_nothing_and_the_other_one_holds(algorithm, bounds):
    strategy = Strategy(algorithm, bounds, x0=[3.0, 1.0], sigma0=0.5)
    for _ in range(300):
        x = strategy.ask()
        assert ((x >= bounds[0]) & (x <= bounds[1])).all()
        strategy.tell((x - torch.tensor([0.0, 4.0])).square().sum(-1))
    assert strategy.best.f < 1e-2


# By mutation and truncation


def test_children_of_truncation_are_normal_around_the_best_parents_and_the_elite_is_judged_again():
    strategy = strategy_of(TruncationGA(population=4001, parents=2, sigma=0.01), dim=3, x0=[0.0] * 3, sigma0=1.0)
    x = strategy.ask()
    f = x.square().sum(-1)
    strategy.tell(f)
    parents = x[f.argsort()[:2]]
    children = strategy.ask()
    assert torch.equal(children[0], parents[0])
    steps = children[1:].unsqueeze(1) - parents
    nearest = steps.square().sum(-1).argmin(1)
    noise = steps[torch.arange(4000), nearest] / 0.01
    assert abs(nearest.double().mean() - 0.5) < 5 * 0.5 / math.sqrt(4000)
    assert noise.mean(0).abs().max() < 5 / math.sqrt(4000)
    assert (noise.std(0) - 1).abs().max() < 5 / math.sqrt(8000)


def test_what_was_best_on_another_batch_must_be_best_again_to_live():
    strategy = strategy_of(TruncationGA(population=20, parents=3), dim=2)
    x = strategy.ask()
    strategy.tell(torch.arange(20.0, dtype=torch.float64))
    assert torch.equal(strategy.ask()[0], x[0])
    x = strategy.ask()
    strategy.tell(20 - torch.arange(20.0, dtype=torch.float64))
    assert torch.equal(strategy.ask()[0], x[-1])


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        (GA, "population", 1),
        (GA, "crossover", 1.5),
        (GA, "mutation", 0.0),
        (GA, "eta_crossover", -1.0),
        (GA, "eta_mutation", math.nan),
        (TruncationGA, "population", 2.5),
        (TruncationGA, "parents", 0),
        (TruncationGA, "sigma", 0.0),
    ],
)
def test_what_cannot_be_is_refused_by_name(kind, name, value):
    with pytest.raises(ValueError, match=f"{name} must be .*got {value}"):
        kind(**{name: value})
