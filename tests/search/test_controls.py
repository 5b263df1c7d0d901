"""Random search draws uniformly from every space, and a hill climb never goes down."""

import itertools
import math

import pytest
import torch
from search.exact import Tour

from thalweg.search import Bits, Choices, Orders, Strategy
from thalweg.search.strategies.controls import HillClimb, RandomSearch
from thalweg.search.strategies.discrete import move_count, moved

SPACES = [Bits(7), Choices((2, 5, 1, 3)), Orders(6)]


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def crooked(x):
    """Many values, and many local minima."""
    weights = torch.sin(torch.arange(1, x.shape[-1] + 1, dtype=x.dtype) ** 2)
    return (x * weights).sum(-1).sin() + 0.1 * (x[..., 1:] * x[..., :-1]).sum(-1)


# Random search


@pytest.mark.parametrize(
    ("space", "points"),
    [
        (Bits(4), list(itertools.product(range(2), repeat=4))),
        (Choices((2, 3, 1, 4)), list(itertools.product(range(2), range(3), range(1), range(4)))),
        (Orders(4), list(itertools.permutations(range(4)))),
    ],
)
def test_random_search_draws_every_point_equally_often(space, points):
    """Chi-square within five standard deviations of its mean."""
    x = Strategy(RandomSearch(population=24_000), space, generator=generator()).ask()
    seen = torch.tensor([int((x == torch.tensor(point)).all(-1).sum()) for point in points])
    assert seen.sum() == 24_000
    expected, freedom = 24_000 / len(points), len(points) - 1
    assert ((seen - expected) ** 2 / expected).sum() < freedom + 5 * math.sqrt(2 * freedom)


def test_random_search_is_uniform_in_a_box():
    """The largest distance between both distribution functions is below Kolmogorov's bound for one in a million."""
    x = Strategy(RandomSearch(population=10_000), (torch.tensor([-1.0, 5.0]), torch.tensor([1.0, 9.0]))).ask()
    shares = ((x - torch.tensor([-1.0, 5.0])) / torch.tensor([2.0, 4.0])).sort(dim=0).values
    assert (shares - torch.linspace(0, 1, 10_000).unsqueeze(1)).abs().max() < 2.7 / math.sqrt(10_000)


# Moves


@pytest.mark.parametrize("space", [Bits(1), Bits(6), Choices((2, 5, 1, 3)), Choices((4,))])
def test_moves_of_choices_are_all_changes_of_one_place(space):
    sizes = space.sizes if isinstance(space, Choices) else (2,) * space.dim
    for x in itertools.islice(itertools.product(*map(range, sizes)), 20):
        start = torch.tensor(x, dtype=torch.float64).reshape(1, 1, -1)
        found = moved(space, start, torch.arange(move_count(space)).unsqueeze(0), "reversal")[0]
        expected = {
            (*x[:place], value, *x[place + 1 :])
            for place, size in enumerate(sizes)
            for value in range(size)
            if value != x[place]
        }
        assert len(found) == len(expected)
        assert {tuple(map(int, point)) for point in found.tolist()} == expected


@pytest.mark.parametrize("dim", [2, 3, 8])
@pytest.mark.parametrize("move", ["reversal", "swap"])
def test_moves_of_orders_are_all_reversals_or_all_swaps(dim, move):
    x = torch.randperm(dim, generator=generator()).tolist()
    start = torch.tensor(x, dtype=torch.float32).expand(3, 1, dim)
    found = moved(Orders(dim), start, torch.arange(move_count(Orders(dim))).unsqueeze(0), move)
    expected = []
    for i, j in itertools.combinations(range(dim), 2):
        y = x.copy()
        y[i : j + 1] = y[i : j + 1][::-1] if move == "reversal" else [y[j], *y[i + 1 : j], y[i]]
        expected.append(y)
    assert sorted(found[2].tolist()) == sorted(expected)
    assert torch.equal(found[0], found[2])


def test_a_move_of_a_long_order_is_the_one_of_its_number():
    dim = 100_000
    last = torch.tensor([[move_count(Orders(dim)) - 1, move_count(Orders(dim)) - dim + 1]])
    x = moved(Orders(dim), torch.arange(dim, dtype=torch.float64).reshape(1, 1, -1), last, "swap")[0]
    changed = [(row != torch.arange(dim)).nonzero().flatten().tolist() for row in x]
    assert changed == [[dim - 2, dim - 1], [0, dim - 1]]


# Hill climbing


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("move", ["reversal", "swap"])
def test_a_climb_asks_for_points_one_move_away_from_the_best_and_never_leaves_it_for_a_worse(space, move):
    strategy = Strategy(HillClimb(population=4, move=move), space, runs=3, generator=generator())
    all_moves = torch.arange(move_count(space)).unsqueeze(0)
    strategy.tell(crooked(strategy.ask()))
    for _ in range(60):
        at, height = strategy.state.best_x.clone(), strategy.state.best_f.flatten()
        assert torch.equal(crooked(at).flatten(), height)
        x = strategy.ask()
        near = moved(space, at, all_moves, move)
        assert (x.unsqueeze(2) == near.unsqueeze(1)).all(-1).any(-1).all()
        values = crooked(x)
        strategy.tell(values)
        assert torch.equal(strategy.state.best_f.flatten(), torch.minimum(height, values.amin(1)))


def test_a_climb_moves_along_a_plateau():
    strategy = Strategy("hillclimb", Bits(20), generator=generator())
    seen = set()
    for _ in range(50):
        strategy.tell(torch.zeros(len(strategy.ask())))
        seen.add(tuple(strategy.state.best_x.flatten().tolist()))
    assert len(seen) > 40


def test_a_climb_in_a_box_never_gets_worse_and_its_center_is_the_best():
    strategy = Strategy("hillclimb", (-5, 5), dim=4, runs=3, generator=generator())
    last = torch.full((3,), math.inf)
    for _ in range(100):
        strategy.tell(crooked(strategy.ask()))
        now = crooked(strategy.state.best_x).flatten()
        assert (now <= last).all()
        assert torch.equal(strategy.center, strategy.state.best_x.squeeze(1))
        last = now


@pytest.mark.parametrize("successes", range(6))
def test_steps_widen_where_more_than_one_in_five_was_better_and_narrow_where_less(successes):
    strategy = Strategy(HillClimb(population=5), (-5, 5), dim=10, generator=generator())
    strategy.ask()
    strategy.tell(torch.zeros(5))
    before = strategy.state.sigma.clone()
    assert (before == 2.0).all()  # a fifth of the box
    strategy.ask()
    strategy.tell(torch.tensor([-1.0] * successes + [0.0, 1.0, 1.0, 1.0, math.inf][successes:]))
    factor = math.exp((successes / 5 - 1 / 5) / (1 + 10 / (2 * 5)))
    torch.testing.assert_close(strategy.state.sigma, before * factor)


def test_steps_keep_their_size_while_nothing_was_ever_better_than_inf():
    strategy = Strategy("hillclimb", (-5, 5), dim=3, generator=generator())
    for _ in range(5):
        strategy.ask()
        strategy.tell(torch.full((10,), math.inf))
    assert (strategy.state.sigma == 2.0).all()


def test_a_climb_says_when_its_steps_move_nothing_any_more():
    strategy = Strategy("hillclimb", (2, 5), dim=2, generator=generator())
    for _ in range(2000):
        if strategy.reasons != [""]:
            break
        strategy.tell((strategy.ask() - 3).square().sum(-1))
    assert strategy.reasons == ["step size"]
    assert strategy.best.f < 1e-20


def test_a_climb_over_tours_shortens_them_to_a_half_of_what_is_drawn():
    tour = Tour(cities=20)
    strategy = Strategy("hillclimb", tour.space, runs=5, generator=generator())
    drawn = tour(strategy.ask()).mean()
    for _ in range(200):
        strategy.tell(tour(strategy.ask()))
    assert (strategy.best.f < drawn / 2).all()


def test_what_cannot_be_is_refused():
    for words, make in {
        "population must be a whole number >= 1, got 0": lambda: RandomSearch(population=0),
        r"population must be a whole number >= 1, got 2\.5": lambda: HillClimb(population=2.5),
        "move must be one of reversal, swap, got 'jump'": lambda: HillClimb(move="jump"),
    }.items():
        with pytest.raises(ValueError, match=words):
            make()
