"""Annealing accepts, cools, swaps and visits by the formulas that it is known by."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.optimize._dual_annealing import VisitingDistribution
from search.drawn import remembering
from search.functions import Function

from thalweg.search import Strategy
from thalweg.search.strategies import annealing as boltzmann
from thalweg.search.strategies import generalized_annealing as tsallis
from thalweg.search.strategies.annealing import SA
from thalweg.search.strategies.generalized_annealing import GSA

LOW, HIGH = -5.0, 5.0


def close(found, expected, tolerance=1e-12):
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)


def tensor(*numbers):
    return torch.tensor(numbers, dtype=torch.float64)


def mirrored(v):
    while not LOW <= v <= HIGH:
        v = 2 * LOW - v if v < LOW else 2 * HIGH - v
    return v


# Boltzmann


def test_moves_between_two_points_balance_at_boltzmanns_distribution():
    f, g, temperature = tensor(1.0, -3.0, 0.2), tensor(2.5, 4.0, 0.2), 0.7
    forth, back = boltzmann.chance(f, g, temperature), boltzmann.chance(g, f, temperature)
    close(torch.exp(-f / temperature) * forth, torch.exp(-g / temperature) * back)
    assert ((forth == 1) | (back == 1)).all()


@pytest.mark.parametrize(
    "chance", [lambda f, g: boltzmann.chance(f, g, 1.0), lambda f, g: tsallis.chance(f, g, 1.0, -5)]
)
def test_from_infinity_all_is_accepted_and_to_it_nothing_else(chance):
    inf = math.inf
    assert chance(tensor(inf, inf, 1.0, -inf), tensor(inf, 1.0, inf, 1.0)).tolist() == [1, 1, 0, 0]


def test_it_cools_geometrically_from_the_spread_of_the_first_generation_to_the_end_of_the_budget():
    strategy = Strategy(SA(chains=20, final=1e-6), (LOW, HIGH), dim=2, budget=2000)
    x = strategy.ask()
    strategy.tell(torch.arange(20.0, dtype=torch.float64))
    assert strategy.algorithm.temperatures(strategy.state).flatten()[0] == pytest.approx(9 * 1e-6 ** (20 / 2000))
    for _ in range(99):
        x = strategy.ask()
        strategy.tell(x.square().sum(-1))
    close(strategy.algorithm.temperatures(strategy.state), torch.full((1, 20, 1), 9e-6, dtype=torch.float64))


def test_by_a_rate_it_needs_no_budget():
    strategy = Strategy(SA(chains=10, rate=0.9), (LOW, HIGH), dim=2)
    for generation in range(5):
        x = strategy.ask()
        if generation:
            first = strategy.state.first
            close(strategy.algorithm.temperatures(strategy.state), (first * 0.9**generation).expand(1, 10, 1))
        strategy.tell(x.square().sum(-1))
    with pytest.raises(ValueError, match=r"budget must be given .* or its rate"):
        Strategy(SA(), (LOW, HIGH), dim=2)


def test_its_chains_are_those_of_a_transcription_with_the_same_random_numbers():
    function = Function("rastrigin", runs=1, dim=3)
    strategy = Strategy(SA(chains=10, final=1e-3), (LOW, HIGH), dim=3, budget=2000)
    draws = remembering(strategy)
    x = strategy.ask()
    f = function(x)
    strategy.tell(f)
    first = sorted(f.tolist())[4] - min(f.tolist())
    chains, energies, steps = x.tolist(), f.tolist(), [1.0] * 10
    for generation in range(1, 120):
        draws.taken()
        x = strategy.ask()
        ((normals),) = draws.taken()
        proposed = [
            [mirrored(v + 2.0 * step * z) for v, z in zip(point, normal, strict=True)]
            for point, step, normal in zip(chains, steps, normals, strict=True)
        ]
        close(x, torch.tensor(proposed, dtype=torch.float64), 1e-9)
        values = function(x)
        strategy.tell(values)
        ((uniforms),) = draws.taken()
        temperature = first * 1e-3 ** (10 * (generation + 1) / 2000)
        for chain, (value, (u,)) in enumerate(zip(values.tolist(), uniforms, strict=True)):
            worse = value - energies[chain]
            accepted = worse <= 0 or u < math.exp(-worse / temperature)
            steps[chain] = min(5.0, steps[chain] * math.exp(0.1 * (accepted - 0.44)))
            if accepted:
                chains[chain], energies[chain] = x[chain].tolist(), value


def test_its_steps_come_to_be_accepted_as_often_as_they_should():
    function = Function("sphere", runs=4, dim=5)
    strategy = Strategy(SA(chains=8, acceptance=0.3, final=0.1), (LOW, HIGH), dim=5, runs=4, budget=8000)
    accepted = []
    while strategy.evals.max() < 8000:
        x = strategy.ask()
        strategy.tell(function(x))
        if strategy.generation > 100:
            accepted.append((strategy.state.x == x).all(-1).double().mean())
    assert torch.stack(accepted).mean().item() == pytest.approx(0.3, abs=0.02)


def test_swaps_of_tempering_move_points_between_temperatures_and_lose_none():
    function = Function("rastrigin", runs=3, dim=4)
    strategy = Strategy(SA(chains=9, tempering=100.0), (LOW, HIGH), dim=4, runs=3, budget=10_000)
    exchanged = 0
    for _ in range(300):
        x = strategy.ask()
        strategy.tell(function(x))
        s = strategy.state
        before_x, before_f = s.x.clone(), s.f.clone()
        strategy.algorithm._swap(s)
        close(function(s.x), s.f.squeeze(-1), 1e-9)
        for run in range(3):
            assert sorted(before_x[run].tolist()) == sorted(s.x[run].tolist())
        exchanged += int((before_f != s.f).sum())
        s.x, s.f = before_x, before_f
    assert exchanged > 100


def test_a_colder_chain_always_takes_the_better_of_two_points():
    strategy = Strategy(SA(chains=2, tempering=10.0, swap_every=2), (LOW, HIGH), dim=1, runs=500, budget=10**6)
    strategy.tell(strategy.ask().square().sum(-1))
    s, algorithm = strategy.state, strategy.algorithm
    s.generation = 4
    s.f = tensor(3.0, 1.0).reshape(1, 2, 1).repeat(500, 1, 1)
    algorithm._swap(s)
    assert torch.equal(s.f.squeeze(-1), tensor(1.0, 3.0).expand(500, 2))
    cold = 1 / algorithm.temperatures(s)
    chance = torch.exp(-2 * (cold[:, 0] - cold[:, 1])).mean().item()
    algorithm._swap(s)
    swapped = (s.f[:, 0] == 3).double().mean().item()
    assert abs(swapped - chance) < 5 * math.sqrt(chance * (1 - chance) / 500) + 1e-9


def test_temperatures_of_tempering_form_a_geometric_ladder():
    strategy = Strategy(SA(chains=5, tempering=81.0), (LOW, HIGH), dim=2, budget=1000)
    strategy.tell(strategy.ask().square().sum(-1))
    ladder = strategy.algorithm.temperatures(strategy.state).flatten()
    close(ladder / ladder[0], tensor(1.0, 3.0, 9.0, 27.0, 81.0))


# Tsallis


@pytest.mark.parametrize("temperature", [5230.0, 3.0, 0.01])
@pytest.mark.parametrize("qv", [1.5, 2.0, 2.62])
def test_visits_are_distributed_as_scipys(qv, temperature):
    normal = torch.randn(2, 20_000, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    own = tsallis.visits(normal[0], normal[1], temperature, qv)
    oracle = VisitingDistribution(np.zeros(1), np.ones(1), qv, np.random.default_rng(4))
    assert stats.ks_2samp(own.numpy(), oracle.visit_fn(temperature, 20_000)).pvalue > 1e-3


def test_visits_of_index_2_are_cauchys():
    normal = torch.randn(2, 20_000, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    own = tsallis.visits(normal[0], normal[1], 1.7, 2.0)
    assert stats.kstest(own.numpy(), stats.cauchy(scale=1.7).cdf).pvalue > 1e-3


def test_visits_fold_into_twice_the_box_without_changing_where_mirrors_take_them():
    strategy = Strategy(GSA(chains=5000, temperature=1.0), (LOW, HIGH), dim=2)
    s, algorithm = strategy.state, strategy.algorithm
    draws = remembering(strategy)
    v = algorithm._visits(s, 2)
    assert v.min() >= -10
    assert v.max() <= 10
    normal, _ = (torch.tensor(numbers, dtype=torch.float64) for numbers in draws.taken())
    raw = tsallis.visits(normal[0], normal[1], 1.0, 2.62)
    near = raw.abs() < 1e5
    assert 0.5 < near.double().mean() < 0.99
    assert (raw[near].abs() > 20).any()
    box = strategy.problem.space
    close(box.reflect(1.0 + v)[0][near], box.reflect(1.0 + raw)[near], 1e-8)


def test_its_chain_is_that_of_a_transcription_with_the_same_random_numbers():
    """Tsallis and Stariolo's acceptance at the temperature over the iteration; 2 D visits at each."""
    dim, first, qv, qa = 3, 40.0, 2.62, -5.0
    function = Function("rastrigin", runs=1, dim=dim)
    strategy = Strategy(GSA(temperature=first, restart=0.02), (LOW, HIGH), dim=dim)
    draws, begins, accepted_worse = remembering(strategy), 0, 0
    x = energy = None
    iteration = visit = 0
    for _ in range(400):
        draws.taken()
        asked = strategy.ask()
        given = draws.taken()
        if x is None:
            begins += 1
            strategy.tell(function(asked))
            x, energy = asked[0].tolist(), function(asked).item()
            iteration = visit = 0
            continue
        temperature = first * (2 ** (qv - 1) - 1) / ((iteration + 2) ** (qv - 1) - 1)
        (normals_x,), (normals_y,) = given[0]
        moves = tsallis.visits(tensor(*normals_x), tensor(*normals_y), temperature, qv).tolist()
        places = range(dim) if visit < dim else [visit - dim]
        expected = list(x)
        for place, move in zip(places, moves, strict=True):
            expected[place] = mirrored(x[place] + move) if abs(move) < 1e5 else asked[0, place].item()
        close(asked[0], tensor(*expected), 1e-7)
        value = function(asked).item()
        strategy.tell(function(asked))
        (((u,),),) = draws.taken()
        base = 1 - (1 - qa) * (value - energy) / (temperature / (iteration + 1))
        chance = 0 if base <= 0 else math.exp(math.log(base) / (1 - qa))
        if value <= energy or u < chance:
            accepted_worse += value > energy
            x, energy = asked[0].tolist(), value
        visit += 1
        if visit == 2 * dim:
            iteration, visit = iteration + 1, 0
            if (2 ** (qv - 1) - 1) / ((iteration + 2) ** (qv - 1) - 1) < 0.02:
                x = None
        assert x is None or strategy.state.f.item() == energy
    assert begins > 2
    assert accepted_worse > 2


def test_a_point_from_elsewhere_becomes_that_of_one_chain_of_its_run():
    for algorithm in (GSA(chains=3), SA(chains=3)):
        function = Function("sphere", runs=2, dim=3)
        strategy = Strategy(algorithm, (LOW, HIGH), dim=3, runs=2, budget=1000)
        for _ in range(2):
            strategy.tell(function(strategy.ask()))
        before = strategy.state.f.clone()
        strategy.receive(function.optimum.squeeze(1), tensor(0.0, 1e9))
        assert (strategy.state.f[0] == 0).sum() == 1
        assert (strategy.state.f[0] != before[0]).sum() == 1
        close(strategy.state.x[strategy.state.f.squeeze(-1) == 0], function.optimum[0])
        assert torch.equal(strategy.state.f[1], before[1])


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        (SA, "chains", 0),
        (SA, "acceptance", 1.0),
        (SA, "final", 0.0),
        (SA, "rate", 1.5),
        (SA, "tempering", 0.5),
        (SA, "swap_every", 0),
        (GSA, "chains", 0),
        (GSA, "qv", 3.0),
        (GSA, "qa", 1.0),
        (GSA, "temperature", -1.0),
        (GSA, "restart", 1.0),
    ],
)
def test_what_cannot_be_is_refused_by_name(kind, name, value):
    with pytest.raises(ValueError, match=f"{name} must be .*got {value}"):
        kind(**{name: value})
