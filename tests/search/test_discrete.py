"""Ants and tabu search of bits, choices and orders do what their equations say, and find what exact methods find."""

import itertools
import math

import pytest
import torch
from search.drawn import remembering
from search.exact import Knapsack, Tour, evaluations_to_the_best

from thalweg.search import Bits, Choices, Orders, Strategy, minimize
from thalweg.search.strategies.discrete_ants import DiscreteAnts
from thalweg.search.strategies.discrete_tabu import DiscreteTabuSearch

SPACES = [Bits(7), Choices((3, 4, 1, 2)), Orders(6)]


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def rugged(x):
    """A value of its own for nearly every point (..., D), as if drawn."""
    return torch.sin((x * torch.linspace(1, 2, x.shape[-1], dtype=x.dtype).exp()).sum(-1) * 40)


def told(strategy, f):
    x = strategy.ask()
    values = f(x)
    strategy.tell(values)
    return x, values


# What they find


@pytest.mark.parametrize(("name", "most"), [("tabu", 6000), ("aco-discrete", 4000)])
def test_at_least_four_of_five_runs_fill_a_knapsack_of_100_items_as_dynamic_programming_does(name, most):
    knapsack = Knapsack(seed=2)
    strategy = Strategy(name, knapsack.space, runs=5, budget=most, generator=generator())
    assert evaluations_to_the_best(strategy, knapsack, most).isfinite().sum() >= 4


@pytest.mark.parametrize(("name", "most"), [("tabu", 60_000), ("aco-discrete", 12_000)])
def test_at_least_four_of_five_runs_find_the_shortest_tour_of_30_cities(name, most):
    """The ants know the distances."""
    tour = Tour(seed=1)
    known = {"heuristic": 1 / tour.distances} if name == "aco-discrete" else {}
    strategy = Strategy(name, tour.space, runs=5, budget=most, generator=generator(), **known)
    assert evaluations_to_the_best(strategy, tour, most).isfinite().sum() >= 4


def test_random_search_finds_neither_in_as_many_evaluations():
    for problem, most in ((Knapsack(seed=2), 10_000), (Tour(seed=1), 60_000)):
        strategy = Strategy("random", problem.space, runs=5, generator=generator())
        assert evaluations_to_the_best(strategy, problem, most).isinf().all()


# Ants


def test_ants_choose_in_proportion_to_pheromone_and_what_is_known():
    """tau^alpha eta^beta over its sum, at every place by itself."""
    known = torch.tensor([[1.0, 2.0, 3.0], [4.0, 1.0, 1.0], [2.0, 9.0, 9.0]], dtype=torch.float64)
    algorithm = DiscreteAnts(population=40_000, alpha=2.0, beta=0.5, heuristic=known)
    strategy = Strategy(algorithm, Choices((3, 2, 1)), generator=generator())
    pheromone = torch.tensor([[0.2, 1.0, 0.4], [0.3, 0.9, 1.0], [1.0, 1.0, 1.0]], dtype=torch.float64)
    strategy.state.pheromone = pheromone.unsqueeze(0)
    x = strategy.ask().long()
    for place, size in enumerate((3, 2, 1)):
        weights = pheromone[place, :size] ** 2 * known[place, :size].sqrt()
        found = torch.bincount(x[:, place], minlength=size) / len(x)
        torch.testing.assert_close(found.double(), weights / weights.sum(), rtol=0, atol=0.01)
    assert set(map(tuple, x.tolist())) == set(itertools.product(range(3), range(2), range(1)))


def test_ants_go_on_tours_in_proportion_to_pheromone_and_what_is_known():
    """The first city is any, each next one is chosen among those that are left: all 24 tours of four cities."""
    own = generator()
    known = torch.rand(4, 4, generator=own, dtype=torch.float64) + 0.2
    pheromone = torch.rand(4, 4, generator=own, dtype=torch.float64) + 0.1
    strategy = Strategy(DiscreteAnts(population=60_000, heuristic=known), Orders(4), generator=own)
    strategy.state.pheromone = pheromone.unsqueeze(0)
    x, weights = strategy.ask(), pheromone * known**2
    for tour in itertools.permutations(range(4)):
        expected = 0.25
        for step in range(3):
            expected *= weights[tour[step], tour[step + 1]] / weights[tour[step], list(tour[step + 1 :])].sum()
        assert (x == torch.tensor(tour)).all(-1).double().mean() == pytest.approx(float(expected), abs=0.006)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_tour_is_an_order_whatever_the_weights(dtype):
    known = 10.0 ** torch.randint(-8, 9, (25, 25), generator=generator()).double()
    strategy = Strategy(DiscreteAnts(heuristic=known), Orders(25), runs=3, dtype=dtype, generator=generator())
    for _ in range(20):
        x, _ = told(strategy, rugged)
        assert torch.equal(x.sort(dim=-1).values, torch.arange(25, dtype=dtype).expand_as(x))


@pytest.mark.parametrize("space", SPACES)
def test_pheromone_goes_to_what_the_best_ants_took(space):
    """By the equation in plain Python, and within its limits."""
    strategy = Strategy(DiscreteAnts(population=5, evaporation=0.3, elitism=0.25), space, generator=generator())
    pheromone, ever = {}, (math.inf, None)
    for _ in range(40):
        x, values = told(strategy, rugged)
        best = min(zip(values.tolist(), x.int().tolist(), strict=True))
        ever = min(ever, best)
        found = strategy.state.pheromone[0]
        assert found.max() <= 1
        for row, column in itertools.product(*map(range, found.shape)):
            held = [
                share * ((row, column) in taken(point, space)) for share, (_, point) in ((0.75, best), (0.25, ever))
            ]
            now = 0.7 * pheromone.get((row, column), 1.0) + 0.3 * sum(held)
            pheromone[row, column] = min(max(now, limit(space, row)), 1.0)
            assert found[row, column].item() == pytest.approx(pheromone[row, column])


def taken(point, space):
    """The entries of the table that a point stands for."""
    if not isinstance(space, Orders):
        return set(enumerate(point))
    steps = set(zip(point, [*point[1:], point[0]], strict=True))
    return steps | {(b, a) for a, b in steps}


def limit(space, place):
    """tau_min / tau_max of Stuetzle and Hoos: (1 - p) / ((n - 1) p) with p^D = 0.05."""
    count = {Bits: lambda: 2, Choices: lambda: space.sizes[place], Orders: lambda: space.dim / 2}[type(space)]()
    p = 0.05 ** (1 / space.dim)
    return min((1 - p) / ((count - 1) * p), 1.0) if count > 1 else 1.0


def test_a_colony_that_has_converged_repeats_its_best_point_with_probability_p_best():
    strategy = Strategy(DiscreteAnts(population=20_000, p_best=0.3, evaporation=1.0), Choices((2, 3, 4)))
    for _ in range(2):
        told(strategy, lambda x: x.sum(-1))
    again = (strategy.ask() == 0).all(-1).double().mean()
    assert again == pytest.approx(0.3, abs=0.015)


def test_where_a_step_is_not_as_good_as_the_step_back_only_the_step_is_learnt():
    strategy = Strategy(DiscreteAnts(population=1, evaporation=1.0, symmetric=False), Orders(5), generator=generator())
    x, _ = told(strategy, rugged)
    steps = set(zip(x[0].int().tolist(), x[0].roll(-1).int().tolist(), strict=True))
    assert set(map(tuple, (strategy.state.pheromone[0] == 1).nonzero().tolist())) == steps


def test_what_is_known_of_a_city_and_itself_does_not_count():
    known = torch.rand(6, 6, generator=generator()) + 0.1
    seen = []
    for diagonal in (math.inf, 0.0):
        algorithm = DiscreteAnts(heuristic=known.clone().fill_diagonal_(diagonal))
        strategy = Strategy(algorithm, Orders(6), generator=generator())
        seen.append(torch.stack([told(strategy, rugged)[0] for _ in range(5)]))
    assert torch.equal(*seen)


class Restless(DiscreteAnts):
    """Ants that want to begin again after every fifth generation."""

    def stops(self, s):
        return {"restless": torch.full((s.problem.runs,), s.generation == 5)}


def test_what_is_known_is_known_after_a_restart_too():
    tour = Tour(cities=8)
    ants = Restless(population=4, heuristic=1 / tour.distances)
    found = minimize(tour, tour.space, strategy=ants, restarts="ipop", runs=3, budget=500)
    assert (found.restarts > 1).all()
    assert found.f.tolist() == pytest.approx([tour.lowest] * 3)


# Tabu search


def attributes_of(point, space, move):
    if isinstance(space, Orders) and move == "reversal":
        return {frozenset(pair) for pair in zip(point, [*point[1:], point[0]], strict=True)}
    return set(enumerate(point))


CASES = [(Bits(9), "reversal"), (Choices((3, 4, 1, 2, 3)), "reversal"), (Orders(7), "reversal"), (Orders(6), "swap")]


@pytest.mark.parametrize(("space", "move"), CASES)
def test_it_goes_to_the_best_neighbour_that_brings_back_nothing_but_what_went_lately_unless_it_is_the_best_ever(
    space, move
):
    """Step by step, as in plain Python, with the same numbers drawn."""
    algorithm = DiscreteTabuSearch(tenure=3, spread=4, patience=1000, move=move)
    strategy = Strategy(algorithm, space, generator=generator())
    here = tuple(strategy.state.x.flatten().int().tolist())
    draws, tabu, best, aspired, waited = remembering(strategy), {}, math.inf, 0, 0
    for now in range(200):
        x, values = told(strategy, rugged)
        drawn = draws.taken()[1]
        near = list(zip(values.tolist(), map(tuple, x.int().tolist()), strict=True))
        had = attributes_of(here, space, move)
        open_ones = []
        for value, point in near:
            new = attributes_of(point, space, move) - had
            shut = all(tabu.get(one, 0) > now for one in new)
            if not shut or value < best:
                open_ones.append((value, point))
                aspired += shut and now > 0
        waited += not open_ones
        _, to = min(open_ones, default=(0, here))
        for one in had - attributes_of(to, space, move):
            tabu[one] = now + 1 + 3 + drawn[0]
        best, here = min(best, *values.tolist()), to
        assert tuple(strategy.state.x.flatten().int().tolist()) == here
        assert strategy.best.f == best
    assert len(tabu) > space.dim
    assert aspired + waited > 0 or not isinstance(space, Bits)


@pytest.mark.parametrize("runs", [1, 4])
def test_no_bit_flips_back_within_its_tenure_unless_that_is_the_best_ever(runs):
    strategy = Strategy(DiscreteTabuSearch(patience=1000), Bits(25), runs=runs, generator=generator())
    here, best = strategy.state.x.clone(), torch.full((runs,), math.inf)
    last = torch.full((runs, 25), -1000)
    for now in range(300):
        _, values = told(strategy, lambda x: rugged(x))
        flipped = (strategy.state.x != here).squeeze(1)
        arrived = rugged(strategy.state.x).flatten()
        early = (flipped & (now - last <= 7)).any(1)
        assert (arrived[early] < best[early]).all()
        assert (flipped.sum(1) <= 1).all()
        last[flipped], here = now, strategy.state.x.clone()
        best = torch.minimum(best, values.reshape(runs, -1).amin(1))


def test_where_all_neighbours_are_tabu_it_waits_until_one_is_not():
    strategy = Strategy(DiscreteTabuSearch(tenure=5, spread=1), Bits(2), generator=generator())
    start, moments = strategy.state.x.clone(), []
    strategy.tell(torch.arange(3.0) + strategy.ask()[:, 0] * 0)  # the best is where it stands
    here = start
    for now in range(1, 20):
        told(strategy, lambda x: torch.ones(len(x)))
        if not torch.equal(strategy.state.x, here):
            here = strategy.state.x.clone()
            moments.append(now)
    assert moments == [1, 2, 7, 8, 13, 14, 19]


def test_the_neighbourhood_is_drawn_where_it_is_large():
    strategy = Strategy(DiscreteTabuSearch(neighbours=40), Orders(30), runs=2, generator=generator())
    told(strategy, rugged)
    here = strategy.state.x
    x = strategy.ask()
    assert x.shape == (2, 40, 30)
    assert len({tuple(point) for point in x[0].tolist()}) > 30
    for point, of in ((x[0, 0], here[0, 0]), (x[1, 5], here[1, 0])):
        first, *_, last = (point != of).nonzero().flatten().tolist()
        assert torch.equal(point[first : last + 1], of[first : last + 1].flip(0))


@pytest.mark.parametrize("space", [Bits(60), Choices((5,) * 60), Orders(60)])
def test_after_patience_it_begins_again_from_the_best_shaken(space):
    strategy = Strategy(DiscreteTabuSearch(patience=4, shake=0.3, neighbours=20), space, runs=50, generator=generator())
    told(strategy, lambda x: torch.zeros(x.shape[:2]))
    best = strategy.state.best_x.clone()
    for _ in range(3):
        told(strategy, lambda x: torch.ones(x.shape[:2]))
        assert (strategy.state.tabu_until > 0).any()
    told(strategy, lambda x: torch.ones(x.shape[:2]))
    assert (strategy.state.tabu_until == 0).all()
    assert torch.equal(strategy.state.best_x, best)
    if isinstance(space, Orders):  # three steps of the tour are others, or two or none where stretches are empty
        steps = [[taken(point, space) for point in x.squeeze(1).int().tolist()] for x in (strategy.state.x, best)]
        changed = [len(now - then) // 2 for now, then in zip(*steps, strict=True)]
        assert set(changed) <= {0, 2, 3}
        assert changed.count(3) > 25
    else:
        share = (strategy.state.x != best).double().mean()
        assert share == pytest.approx(0.3 * (1 - 1 / (2 if isinstance(space, Bits) else 5)), abs=0.04)


def test_what_cannot_be_is_refused():
    for words, make in {
        r"neighbours must be a whole number >= 1, got 0": lambda: DiscreteTabuSearch(neighbours=0),
        r"tenure must be a whole number >= 0, got -1": lambda: DiscreteTabuSearch(tenure=-1),
        r"shake must be in \(0, 1\], got 0": lambda: DiscreteTabuSearch(shake=0),
        r"move must be one of reversal, swap, got 'jump'": lambda: DiscreteTabuSearch(move="jump"),
        r"population must be a whole number >= 1, got 0": lambda: DiscreteAnts(population=0),
        r"evaporation must be in \[0, 1\], got 1.5": lambda: DiscreteAnts(evaporation=1.5),
        r"p_best must be in \(0, 1\), got 1": lambda: DiscreteAnts(p_best=1),
        r"heuristic must be of shape \(4, 4\), got \(4, 3\)": lambda: ants_that_know(torch.ones(4, 3), Orders(4)),
        r"heuristic must be positive and finite": lambda: ants_that_know(torch.zeros(4, 2), Bits(4)),
        r"x0 must be a point of Bits\(dim=3\)": lambda: Strategy("tabu", Bits(3), x0=[0, 1, 2]),
        r"x0 must be a point of Orders\(dim=3\)": lambda: Strategy("tabu", Orders(3), x0=[0, 1, 1]),
        r"x0 must be a point of Choices\(sizes=\(2, 3\)\)": lambda: Strategy("tabu", Choices((2, 3)), x0=[2, 0]),
    }.items():
        with pytest.raises(ValueError, match=words):
            make()


def ants_that_know(heuristic, space):
    return Strategy("aco-discrete", space, heuristic=heuristic)
