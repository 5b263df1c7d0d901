"""What holds for every strategy of real vectors: where it may go, what moves it, what does not, and how it resumes."""

import io
import itertools
import math

import pytest
import torch
from search.functions import Function, strategy_for

from thalweg.search import Box, Strategy
from thalweg.search.catalogue import ALGORITHMS

BOXES = [name for name, kind in ALGORITHMS.items() if Box in kind.spaces]
# Those that look at differences of fitness and not at ranks alone.
BY_VALUE = {"gsa"}
ONE_IS_ENOUGH = {"random", "hillclimb"}
EVALUATIONS = 2000


def generators(runs, seed=0):
    return [torch.Generator().manual_seed(seed + run) for run in range(runs)]


def told(strategy, function, generations):
    """The points of each generation, which the strategy was told the fitness of."""
    seen = []
    for _ in range(generations):
        x = strategy.ask()
        seen.append(x)
        strategy.tell(function(x))
    return seen


def generations_of(strategy, evaluations):
    return max(2, min(300, evaluations // strategy.ask().shape[-2]))


def tensors_in(state):
    for value in state.values() if isinstance(state, dict) else state:
        if isinstance(value, torch.Tensor):
            yield value
        elif isinstance(value, (dict, list)):
            yield from tensors_in(value)


@pytest.fixture(params=BOXES)
def name(request):
    return request.param


def test_it_says_what_it_is_what_for_and_whose(name):
    kind = ALGORITHMS[name]
    assert kind.__doc__
    assert kind.title
    assert kind.purpose
    assert any(character.isdigit() for character in kind.source)


def test_moving_the_box_moves_the_trajectory_and_nothing_else(name):
    here, there = Function("rastrigin", runs=2, dim=4), Function("rastrigin", runs=2, dim=4, shift=25.0)
    plain = strategy_for(here, name, EVALUATIONS)
    moved = Strategy(name, (20.0, 30.0), dim=4, runs=2, budget=EVALUATIONS, generator=torch.Generator().manual_seed(0))
    for x, y in zip(told(plain, here, 15), told(moved, there, 15), strict=True):
        torch.testing.assert_close(y - 25.0, x, rtol=0, atol=1e-6)


def test_a_larger_box_makes_a_larger_trajectory(name):
    function = Function("rastrigin", runs=2, dim=4)
    plain = strategy_for(function, name, EVALUATIONS)
    larger = Strategy(
        name, (-320.0, 320.0), dim=4, runs=2, budget=EVALUATIONS, generator=torch.Generator().manual_seed(0)
    )
    there = told(larger, lambda x: function(x / 64), 15)
    for x, y in zip(told(plain, function, 15), there, strict=True):
        torch.testing.assert_close(y / 64, x, rtol=0, atol=1e-6)


def test_only_the_order_of_fitness_counts(name):
    function = Function("rastrigin", runs=2, dim=4)
    plain, other = strategy_for(function, name, EVALUATIONS), strategy_for(function, name, EVALUATIONS)
    steps = zip(told(plain, function, 15), told(other, lambda x: 8 * function(x) - 3, 15), strict=True)
    same = all(torch.allclose(x, y, rtol=0, atol=1e-9) for x, y in steps)
    assert same != (name in BY_VALUE)


@pytest.mark.parametrize("share", [0.0, 0.95])
def test_no_point_leaves_the_box_where_the_optimum_is_at_its_side(name, share):
    function = Function("sphere", runs=3, dim=5, optimum=torch.full((1, 1, 5), -5.0 + 10 * share, dtype=torch.float64))
    strategy = strategy_for(function, name, EVALUATIONS)
    for x in told(strategy, function, generations_of(strategy, EVALUATIONS)):
        assert x.isfinite().all()
        assert x.min() >= -5.0
        assert x.max() <= 5.0


def test_it_beats_random_search_at_equal_evaluations(name):
    for corner in (False, True):
        optimum = torch.full((1, 1, 5), 5.0, dtype=torch.float64) if corner else None
        function = Function("sphere", runs=5, dim=5, optimum=optimum)
        best = {}
        for each in ("random", name):
            strategy = strategy_for(function, each, EVALUATIONS)
            told(strategy, function, EVALUATIONS // strategy.ask().shape[-2])
            best[each] = strategy.best.f.median()
        assert name == "random" or best[name] < best["random"]


def test_resumed_in_a_fresh_object_it_goes_on_as_if_uninterrupted(name):
    function = Function("ackley", runs=2, dim=3)
    whole = strategy_for(function, name, EVALUATIONS)
    told(whole, function, 7)
    whole.ask()
    file = io.BytesIO()
    torch.save(whole.state_dict(), file)
    file.seek(0)
    fresh = strategy_for(function, name, EVALUATIONS, seed=99)
    told(fresh, function, 3)
    fresh.load_state_dict(torch.load(file))
    for x, y in zip(told(whole, function, 12), told(fresh, function, 12), strict=True):
        assert torch.equal(x, y)
    assert torch.equal(whole.best.x, fresh.best.x)
    assert torch.equal(whole.evals, fresh.evals)


def test_no_two_tensors_of_its_state_share_storage(name):
    function = Function("ackley", runs=2, dim=3)
    strategy = strategy_for(function, name, EVALUATIONS)
    told(strategy, function, 5)
    strategy.ask()
    own = [x for x in tensors_in(strategy.state.carried) if x.numel()]
    for a, b in itertools.combinations(own, 2):
        assert a.untyped_storage().data_ptr() != b.untyped_storage().data_ptr()
    saved = {x.untyped_storage().data_ptr() for x in tensors_in(strategy.state_dict()) if x.numel()}
    assert not saved & {x.untyped_storage().data_ptr() for x in own}


def test_what_others_hold_is_not_changed(name):
    function = Function("ackley", runs=2, dim=3)
    strategy = strategy_for(function, name, EVALUATIONS)
    for generation in range(4):
        asked = strategy.ask()
        instead = asked + 0.01
        fitness = function(instead)
        found, value = instead[:, 0], fitness[:, 0]
        copies = [x.clone() for x in (asked, instead, fitness, found, value)]
        strategy.tell(fitness, x=instead if generation % 2 else None)
        strategy.receive(found, value - 1)
        for x, copy in zip((asked, instead, fitness, found, value), copies, strict=True):
            assert torch.equal(x, copy)


def test_runs_with_generators_of_their_own_are_single_runs(name):
    function = Function("rastrigin", runs=3, dim=4)
    together = Strategy(name, (-5.0, 5.0), dim=4, runs=3, budget=EVALUATIONS, generator=generators(3))
    seen = told(together, function, 12)
    for run in range(3):
        alone = Function("rastrigin", runs=1, dim=4, optimum=function.optimum[run : run + 1])
        strategy = Strategy(name, (-5.0, 5.0), dim=4, budget=EVALUATIONS, generator=generators(3)[run])
        for x, y in zip(seen, told(strategy, alone, 12), strict=True):
            torch.testing.assert_close(x[run], y, rtol=0, atol=1e-8)


def test_hyperparameters_may_differ_among_runs(name):
    function = Function("sphere", runs=2, dim=4)
    for own in ALGORITHMS[name].batched:
        default = getattr(ALGORITHMS[name](), own)
        if default is None:
            continue
        values = torch.tensor([default, 0.9 * default], dtype=torch.float64)
        both = Strategy(name, (-5.0, 5.0), dim=4, runs=2, budget=EVALUATIONS, generator=generators(2), **{own: values})
        seen = told(both, function, 8)
        for run, value in enumerate(values.tolist()):
            alone = Function("sphere", runs=1, dim=4, optimum=function.optimum[run : run + 1])
            strategy = Strategy(
                name, (-5.0, 5.0), dim=4, budget=EVALUATIONS, generator=generators(2)[run], **{own: value}
            )
            for x, y in zip(seen, told(strategy, alone, 8), strict=True):
                torch.testing.assert_close(x[run], y, rtol=0, atol=1e-8)


@pytest.mark.parametrize(
    "fitness",
    [
        pytest.param(lambda x: torch.full(x.shape[:-1], math.nan, dtype=x.dtype), id="nan"),
        pytest.param(lambda x: torch.full(x.shape[:-1], math.inf, dtype=x.dtype), id="inf"),
        pytest.param(lambda x: torch.zeros(x.shape[:-1], dtype=x.dtype), id="constant"),
        pytest.param(lambda x: torch.where(x[..., 0] > 0, math.nan, x.square().sum(-1)), id="nan in half the box"),
        pytest.param(lambda x: 1e300 * x.square().sum(-1), id="huge"),
        pytest.param(lambda x: torch.where(x[..., 0] < -4, -math.inf, x.square().sum(-1)), id="minus inf"),
    ],
)
@pytest.mark.parametrize("dim", [1, 3])
def test_nothing_that_fitness_can_be_makes_it_leave_the_numbers(name, dim, fitness):
    strategy = Strategy(name, (-5.0, 5.0), dim=dim, runs=2, budget=EVALUATIONS)
    for _ in range(40):
        x = strategy.ask()
        assert x.isfinite().all()
        assert ((x >= -5.0) & (x <= 5.0)).all()
        strategy.tell(fitness(x))
    assert torch.isfinite(strategy.center).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_it_works_in_either_precision_and_without_bounds(name, dtype):
    strategy = Strategy(name, x0=[3.0, -2.0, 1.0, 0.0], sigma0=0.5, runs=3, budget=EVALUATIONS, dtype=dtype)
    first = None
    for _ in range(generations_of(strategy, EVALUATIONS)):
        x = strategy.ask()
        assert x.dtype == dtype
        assert x.isfinite().all()
        values = (x - 1).square().sum(-1)
        first = values.median() if first is None else first
        strategy.tell(values)
    assert strategy.best.f.max() < first


def test_the_global_generator_is_not_touched(name):
    before = torch.get_rng_state()
    function = Function("sphere", runs=2, dim=3)
    told(strategy_for(function, name, EVALUATIONS), function, 5)
    assert torch.equal(before, torch.get_rng_state())


def test_a_population_of_one_is_refused_unless_one_is_enough(name):
    if "population" not in ALGORITHMS[name].__dataclass_fields__:
        return
    if name in ONE_IS_ENOUGH:
        assert Strategy(name, (-5.0, 5.0), dim=3, population=1, budget=EVALUATIONS).ask().shape == (1, 3)
        return
    with pytest.raises(ValueError, match=r"population must .* got 1"):
        Strategy(name, (-5.0, 5.0), dim=3, population=1, budget=EVALUATIONS)
