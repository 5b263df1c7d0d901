"""What holds for every strategy of bits, choices and orders, as test_every_strategy.py has it for real vectors."""

import io
import itertools
import math

import pytest
import torch

from thalweg.search import Bits, Box, Choices, Orders, Strategy, minimize
from thalweg.search.catalogue import ALGORITHMS, kinds

SPACES = {Bits: Bits(12), Choices: Choices((3, 2, 5, 1, 4, 3, 2, 6)), Orders: Orders(9)}
CELLS = [
    pytest.param(name, SPACES[space], id=f"{name}-{space.__name__}")
    for name in ALGORITHMS
    for kind in kinds(name)
    for space in kind.spaces
    if space is not Box
]
EVALUATIONS = 2000


def generators(runs, seed=0):
    return [torch.Generator().manual_seed(seed + run) for run in range(runs)]


def searching(name, space, runs=2, seed=0, **others):
    others = {"generator": generators(1, seed)[0], "budget": EVALUATIONS} | others
    return Strategy(name, space, runs=runs, **others)


def crooked(x):
    """Many values, and many local minima: a quadratic form with weights of both signs, over places and values."""
    weights = torch.sin(torch.arange(1, x.shape[-1] ** 2 + 1, dtype=x.dtype).square()).reshape(x.shape[-1], -1)
    return ((x @ weights) * x).sum(-1)


def told(strategy, f, generations):
    """The points of each generation, which the strategy was told the fitness of."""
    seen = []
    for _ in range(generations):
        x = strategy.ask()
        seen.append(x)
        strategy.tell(f(x))
    return seen


def tensors_in(state):
    return [value for value in state.values() if isinstance(value, torch.Tensor) and value.numel()]


def test_each_of_the_three_spaces_is_searched_by_several():
    count = dict.fromkeys(SPACES, 0)
    for cell in CELLS:
        count[type(cell.values[1])] += 1
    assert count == {Bits: 6, Choices: 4, Orders: 4}


@pytest.mark.parametrize(("name", "space"), CELLS)
def test_it_asks_for_points_of_its_space_in_the_precision_that_was_wanted(name, space):
    for dtype in (torch.float32, torch.float64):
        for x in told(searching(name, space, runs=3, dtype=dtype), crooked, 40):
            assert x.dtype == dtype
            assert x.shape[0] == 3
            assert space.holds(x)


@pytest.mark.parametrize(("name", "space"), CELLS)
def test_it_asks_for_the_start_first_and_never_forgets_the_best(name, space):
    x0 = torch.tensor([[0, 1, 4, 0, 3, 2, 1, 5]]) if isinstance(space, Choices) else torch.ones(1, space.dim)
    x0 = torch.arange(space.dim).flip(0).reshape(1, -1) if isinstance(space, Orders) else x0
    strategy = searching(name, space, x0=x0)
    seen = told(strategy, lambda x: (x - x0.unsqueeze(0)).abs().sum(-1) - 1, 5)
    assert (seen[0] == x0).all(-1).any(-1).all()
    assert (strategy.best.f == -1).all()
    assert (strategy.best.x == x0).all()


@pytest.mark.parametrize(("name", "space"), CELLS)
def test_it_beats_random_search_at_equal_evaluations(name, space):
    large = {Bits: Bits(50), Choices: Choices((4,) * 30), Orders: Orders(20)}[type(space)]
    best = {}
    for each in ("random", name):
        strategy = searching(each, large, runs=5)
        while int(strategy.evals.max()) < EVALUATIONS:
            strategy.tell(crooked(strategy.ask()))
        best[each] = strategy.best.f.median()
    assert name == "random" or best[name] < best["random"]


@pytest.mark.parametrize(("name", "space"), CELLS)
def test_scale_and_offset_of_fitness_change_nothing(name, space):
    plain, other = (told(searching(name, space), f, 30) for f in (crooked, lambda x: 8 * crooked(x) - 4096))
    assert all(map(torch.equal, plain, other))


@pytest.mark.parametrize(("name", "space"), CELLS)
def test_resumed_in_a_fresh_object_it_goes_on_as_if_uninterrupted(name, space):
    whole = searching(name, space)
    told(whole, crooked, 35)  # by then tabu search has begun again
    whole.ask()
    file = io.BytesIO()
    torch.save(whole.state_dict(), file)
    file.seek(0)
    fresh = searching(name, space, seed=99)
    told(fresh, crooked, 3)
    fresh.load_state_dict(torch.load(file))
    assert all(map(torch.equal, told(whole, crooked, 40), told(fresh, crooked, 40)))
    assert torch.equal(whole.best.x, fresh.best.x)
    assert torch.equal(whole.evals, fresh.evals)


@pytest.mark.parametrize(("name", "space"), CELLS)
def test_no_two_tensors_of_its_state_share_storage(name, space):
    strategy = searching(name, space)
    for _ in range(3):
        own = tensors_in(strategy.state.carried)
        for a, b in itertools.combinations(own, 2):
            assert a.untyped_storage().data_ptr() != b.untyped_storage().data_ptr()
        told(strategy, crooked, 1)


@pytest.mark.parametrize(("name", "space"), CELLS)
def test_runs_with_generators_of_their_own_are_single_runs(name, space):
    seen = told(searching(name, space, runs=3, generator=generators(3)), crooked, 40)
    for run, generator in enumerate(generators(3)):
        alone = told(searching(name, space, runs=1, generator=generator), crooked, 40)
        assert all(torch.equal(x[run], y) for x, y in zip(seen, alone, strict=True))


@pytest.mark.parametrize(("name", "space"), CELLS)
def test_hyperparameters_may_differ_among_runs(name, space):
    kind = next(kind for kind in kinds(name) if type(space) in kind.spaces)
    for own in kind.batched:
        values = torch.tensor([0.3, 0.7], dtype=torch.float64)
        seen = told(searching(name, space, generator=generators(2), **{own: values}), crooked, 20)
        for run, value in enumerate(values.tolist()):
            alone = searching(name, space, runs=1, generator=generators(2)[run], **{own: value})
            assert all(torch.equal(x[run], y) for x, y in zip(seen, told(alone, crooked, 20), strict=True))


@pytest.mark.parametrize(
    "fitness",
    [
        pytest.param(lambda x: torch.full(x.shape[:-1], math.nan), id="nan"),
        pytest.param(lambda x: torch.full(x.shape[:-1], math.inf), id="inf"),
        pytest.param(lambda x: torch.zeros(x.shape[:-1]), id="constant"),
        pytest.param(lambda x: torch.where(x[..., 0] > 0, math.nan, crooked(x)), id="nan in half"),
        pytest.param(lambda x: 1e300 * crooked(x), id="huge"),
        pytest.param(lambda x: torch.where(x[..., 0] > 0, -math.inf, crooked(x)), id="minus inf"),
    ],
)
@pytest.mark.parametrize(("name", "space"), CELLS)
def test_nothing_that_fitness_can_be_makes_it_leave_the_space(name, space, fitness):
    smallest = {Bits: Bits(1), Choices: Choices((1,)), Orders: Orders(1)}[type(space)]
    for each in (space, smallest):
        strategy = searching(name, each)
        for x in told(strategy, fitness, 40):
            assert each.holds(x)
        for value in tensors_in(strategy.state.carried):
            assert not value.isnan().any()


@pytest.mark.parametrize(("name", "space"), CELLS)
def test_a_run_that_rests_does_not_disturb_the_others(name, space):
    plain, other = searching(name, space, generator=generators(2)), searching(name, space, generator=generators(2))
    told(plain, crooked, 3)
    told(other, crooked, 3)
    other.park(torch.tensor([True, False]))
    for x, y in zip(told(plain, crooked, 35), told(other, crooked, 35), strict=True):
        assert torch.equal(x[1], y[1])
        assert space.holds(y)


@pytest.mark.parametrize(("name", "space"), CELLS)
def test_a_point_found_elsewhere_is_taken_in_where_it_is_better_than_all(name, space):
    strategy = searching(name, space)
    told(strategy, crooked, 3)
    x = strategy.ask()[:, -1]
    strategy.receive(x, torch.tensor([-1e9, 1e9], dtype=torch.float64))
    assert torch.equal(strategy.best.x[0], x[0])
    assert strategy.best.f[1] > -1e9
    for asked in told(strategy, crooked, 5):
        assert space.holds(asked)
    assert strategy.best.f[0] == -1e9


@pytest.mark.parametrize(("name", "space"), CELLS)
def test_the_global_generator_is_not_touched(name, space):
    before = torch.get_rng_state()
    told(searching(name, space), crooked, 35)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(("name", "space"), CELLS)
def test_minimize_finds_the_lowest_of_few_points(name, space):
    small = {Bits: Bits(5), Choices: Choices((2, 3, 2)), Orders: Orders(4)}[type(space)]
    ranges = [range(size) for size in getattr(small, "sizes", (2,) * small.dim)]
    points = itertools.permutations(range(4)) if isinstance(small, Orders) else itertools.product(*ranges)
    points = torch.tensor(list(points), dtype=torch.float64)
    lowest = float(crooked(points).min()) + 1e-9
    result = minimize(crooked, small, strategy=name, budget=3000, target=lowest, restarts="ipop")
    assert result.reason == "target" or name == "hillclimb"
