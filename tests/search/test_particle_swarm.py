"""Swarms move as their equations say, hear from whom they should, and are not stranded at walls."""

import math

import pytest
import torch
from search.functions import Function

from thalweg.search import Strategy
from thalweg.search.draws import Draws
from thalweg.swarm import particles
from thalweg.swarm.stability import variance_radius

LOW, HIGH = -5.0, 5.0


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def trajectory(name, function, generations, *, low=LOW, high=HIGH, seed=3, **hyperparameters):
    """Positions [generation][run][particle][dimension]."""
    strategy = Strategy(
        name,
        (low, high),
        dim=function.dim,
        runs=function.runs,
        budget=1000,
        generator=generator(seed),
        **hyperparameters,
    )
    seen = []
    for _ in range(generations):
        x = strategy.ask()
        seen.append(x)
        strategy.tell(function(x))
    return torch.stack(seen)


# Transcriptions, one number at a time. They draw from a generator of the same seed, in the same order.


class Transcription:
    """A swarm of `runs` runs in nested lists: positions x, own bests p of fitness pf."""

    def __init__(self, function, population, low=LOW, high=HIGH, seed=3):
        self.function, self.low, self.high = function, low, high
        self.runs, self.population, self.dim = range(function.runs), range(population), range(function.dim)
        self.draws = Draws([generator(seed)], function.runs, torch.float64, torch.device("cpu"))
        self.x = self.points()
        self.p = [[list(x) for x in run] for run in self.x]
        self.pf = [[math.inf] * population for _ in self.runs]
        self.hits = 0

    def uniform(self, *shape):
        return self.draws.uniform(*shape).tolist()

    def points(self):
        drawn = self.uniform(len(self.population), len(self.dim))
        return [[[self.low + u * (self.high - self.low) for u in x] for x in run] for run in drawn]

    def note(self):
        values = self.function(torch.tensor(self.x, dtype=torch.float64)).tolist()
        for run in self.runs:
            for i in self.population:
                if values[run][i] < self.pf[run][i]:
                    self.pf[run][i], self.p[run][i] = values[run][i], list(self.x[run][i])

    def heard(self, run, i, topology):
        count = len(self.population)
        known = self.population if topology == "global" else [(i - 1) % count, i, (i + 1) % count]
        return self.p[run][min(known, key=lambda j: self.pf[run][j])]

    def placed(self, run, i, d, x):
        """Puts a particle where it would go; says whether it was a wall that stopped it."""
        self.x[run][i][d] = min(max(x, self.low), self.high)
        hit = self.x[run][i][d] != x
        self.hits += hit
        return hit


def plain_pso(swarm, generations, topology, w=0.7298, c1=1.49618, c2=1.49618):
    others = swarm.points()
    start, other = (torch.tensor(x, dtype=torch.float64) for x in (swarm.x, others))
    v = ((other - start) / 2).tolist()
    seen = [[[list(x) for x in run] for run in swarm.x]]
    for _ in range(generations - 1):
        swarm.note()
        r = swarm.uniform(2, len(swarm.population), len(swarm.dim))
        for run in swarm.runs:
            for i in swarm.population:
                g = swarm.heard(run, i, topology)
                for d in swarm.dim:
                    x, p = swarm.x[run][i][d], swarm.p[run][i][d]
                    v[run][i][d] = w * v[run][i][d] + c1 * r[run][0][i][d] * (p - x) + c2 * r[run][1][i][d] * (g[d] - x)
                    if swarm.placed(run, i, d, x + v[run][i][d]):
                        v[run][i][d] *= -0.5
        seen.append([[list(x) for x in run] for run in swarm.x])
    return torch.tensor(seen, dtype=torch.float64)


@pytest.mark.parametrize("topology", ["ring", "global"])
def test_pso_is_its_equations_one_number_at_a_time(topology):
    function = Function("rastrigin", runs=2, dim=3)
    swarm = Transcription(function, 7)
    expected = plain_pso(swarm, 15, topology)
    found = trajectory("pso", function, 15, population=7, topology=topology)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-9)
    assert swarm.hits > 20


def plain_variant(swarm, generations, name, c1=0.8, c2=0.9, lam=0.2, beta=0.9):
    """MPSO by equation 3, EMPSO by equations 4 and 5, with both of their buffers."""
    zeros = [[[0.0 for _ in swarm.dim] for _ in swarm.population] for _ in swarm.runs]
    v, other = zeros, [[list(x) for x in run] for run in zeros]
    seen = [[[list(x) for x in run] for run in swarm.x]]
    for _ in range(generations - 1):
        swarm.note()
        r = swarm.uniform(2, len(swarm.population), len(swarm.dim))
        if name == "rempso":
            swarm.uniform(len(swarm.population), len(swarm.dim))  # by which it draws axes
        for run in swarm.runs:
            for i in swarm.population:
                g = swarm.heard(run, i, "global")
                for d in swarm.dim:
                    x, p, now, before = swarm.x[run][i][d], swarm.p[run][i][d], v[run][i][d], other[run][i][d]
                    pull = c1 * r[run][0][i][d] * (p - x) + c2 * r[run][1][i][d] * (g[d] - x)
                    if name == "mpso":
                        v[run][i][d], other[run][i][d] = (1 - lam) * (now + pull) + lam * before, now
                    else:
                        other[run][i][d] = beta * before + (1 - beta) * now
                        v[run][i][d] = other[run][i][d] + pull
                    if swarm.placed(run, i, d, x + v[run][i][d]):
                        v[run][i][d] *= -0.5
                        other[run][i][d] *= -0.5
        seen.append([[list(x) for x in run] for run in swarm.x])
    return torch.tensor(seen, dtype=torch.float64)


@pytest.mark.parametrize(("name", "settings"), [("mpso", {}), ("empso", {}), ("rempso", {"theta": 0.0})])
def test_adaswarms_variants_are_their_equations_one_number_at_a_time(name, settings):
    function = Function("sphere", runs=2, dim=3, optimum=torch.full((1, 1, 3), 4.99, dtype=torch.float64))
    swarm = Transcription(function, 12)
    expected = plain_variant(swarm, 12, name)
    found = trajectory(name, function, 12, population=12, **settings)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-9)
    assert swarm.hits


def test_a_rotation_changes_where_particles_go_from_their_first_step_on():
    function = Function("rastrigin", runs=1, dim=5)
    plain, turned = (trajectory("rempso", function, 2, population=6, theta=theta) for theta in (0.0, math.pi / 5))
    assert torch.equal(plain[0], turned[0])
    assert (plain[1] - turned[1]).abs().max() > 0.1


def plain_qpso(swarm, generations, budget=1000):
    count = len(swarm.population)
    seen = [[[list(x) for x in run] for run in swarm.x]]
    for generation in range(1, generations):
        swarm.note()
        b = 1 - 0.5 * generation * count / budget
        share = swarm.uniform(count, len(swarm.dim))
        u = swarm.uniform(count, len(swarm.dim))
        for run in swarm.runs:
            mean = [sum(p[d] for p in swarm.p[run]) / count for d in swarm.dim]
            for i in swarm.population:
                g = swarm.heard(run, i, "global")
                for d in swarm.dim:
                    s, t = share[run][i][d], 2 * u[run][i][d] - 1
                    attractor = s * swarm.p[run][i][d] + (1 - s) * g[d]
                    away = b * abs(mean[d] - swarm.x[run][i][d]) * math.log(1 / (1 - abs(t)))
                    swarm.placed(run, i, d, attractor + math.copysign(away, t))
        seen.append([[list(x) for x in run] for run in swarm.x])
    return torch.tensor(seen, dtype=torch.float64)


def test_qpso_is_its_equation_one_number_at_a_time():
    function = Function("rastrigin", runs=2, dim=3)
    expected = plain_qpso(Transcription(function, 7), 15)
    found = trajectory("qpso", function, 15, population=7)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-9)


def test_a_qpso_without_a_budget_contracts_by_the_mean_of_both_constants():
    function = Function("sphere", runs=1, dim=4)
    plain = Strategy("qpso", (LOW, HIGH), dim=4, generator=generator())
    constant = Strategy("qpso", (LOW, HIGH), dim=4, generator=generator(), budget=100, start=0.75, end=0.75)
    for _ in range(5):
        assert torch.equal(plain.ask(), constant.ask())
        plain.tell(function(plain.ask()))
        constant.tell(function(constant.ask()))


# Who hears from whom


def moved(fitness, **hyperparameters):
    """Positions before and after one step of particles that go a random part of the way to what they hear of."""
    strategy = Strategy(
        "pso", (-1e3, 1e3), dim=4, population=len(fitness), inertia=0.0, c1=0.0, c2=1.0, **hyperparameters
    )
    strategy.state.v.zero_()
    x = strategy.ask()
    strategy.tell(torch.tensor(fitness, dtype=torch.float64))
    return x, strategy.ask()


def test_on_a_ring_a_particle_hears_from_its_two_neighbours_and_itself():
    before, after = moved([3.0, 2.0, 1.0, 0.0, 1.5, 2.5, 3.5, 4.0])
    for particle, heard in enumerate([1, 2, 3, 3, 3, 4, 5, 0]):
        share = (after[particle] - before[particle]) / (before[heard] - before[particle])
        if particle == heard:
            assert torch.equal(after[particle], before[particle])
        else:
            assert bool(((share > 0) & (share < 1)).all())


def test_all_together_every_particle_hears_from_the_best():
    before, after = moved([3.0, 2.0, 1.0, 0.0, 1.5, 2.5, 3.5, 4.0], topology="global")
    share = (after - before) / (before[3] - before)
    others = [particle for particle in range(8) if particle != 3]
    assert bool(((share[others] > 0) & (share[others] < 1)).all())
    assert torch.equal(after[3], before[3])


def test_what_is_received_takes_the_place_of_the_best_where_it_is_better():
    strategy = Strategy("pso", (LOW, HIGH), dim=2, runs=3, population=5)
    function = Function("sphere", runs=3, dim=2)
    strategy.tell(function(strategy.ask()))
    own, own_f = strategy.state.own.clone(), strategy.state.own_f.clone()
    better = torch.tensor([True, False, True])
    strategy.receive(torch.ones(3, 2), torch.where(better, -1.0, 1e3))
    for run in range(3):
        best = int(own_f[run].argmin())
        if better[run]:
            own[run, best], own_f[run, best] = 1.0, -1.0
    assert torch.equal(strategy.state.own, own)
    assert torch.equal(strategy.state.own_f, own_f)


# Stability and walls


@pytest.mark.parametrize(("inertia", "c"), [(0.7298, 1.49618), (0.6, 1.0), (0.7298, 1.7)])
@pytest.mark.filterwarnings("ignore:.*does not settle")
def test_around_fixed_bests_the_variance_grows_as_the_order_2_radius_says(inertia, c):
    expected = variance_radius(particles.PSO(c1=c, c2=c, inertia=inertia))
    count, late = 100_000, 30
    strategy = Strategy("pso", (-1e30, 1e30), dim=1, population=count, inertia=inertia, c1=c, c2=c, topology="global")
    strategy.state.own.zero_()
    strategy.state.x.uniform_(-1, 1, generator=generator())
    strategy.state.v.zero_()
    variances = []
    for _ in range(late + 11):
        variances.append(strategy.ask().square().mean().item())
        strategy.tell(torch.full((count,), math.inf))
    rates = [math.log(after / before) for before, after in zip(variances[late:], variances[late + 1 :], strict=False)]
    assert math.exp(sum(rates) / len(rates)) == pytest.approx(expected, rel=0.03)


@pytest.mark.parametrize("constants", [{"c1": 2.0, "c2": 2.0}, {"inertia": torch.tensor([0.7298, 0.95])}])
def test_constants_for_which_it_does_not_settle_are_warned_of(constants):
    with pytest.warns(UserWarning, match=r"does not settle.*c1 \+ c2 must be above 0 and below"):
        Strategy("pso", (LOW, HIGH), dim=2, runs=2, **constants)


@pytest.mark.parametrize("place", [-5.0, 4.0])
@pytest.mark.parametrize(
    ("name", "settings"),
    [("pso", {}), ("pso", {"topology": "global"}), ("pso", {"bounce": 0.0}), ("mpso", {}), ("qpso", {})],
)
def test_no_swarm_is_stranded_where_the_optimum_is_in_a_corner_or_near_one(name, settings, place):
    function = Function("sphere", runs=5, dim=6, optimum=torch.full((1, 1, 6), place, dtype=torch.float64))
    strategy = Strategy(
        name, (LOW, HIGH), dim=6, runs=5, budget=20_000, population=40, generator=generator(), **settings
    )
    for _ in range(400):
        strategy.tell(function(strategy.ask()))
    assert strategy.best.f.max() < 1e-6


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("pso", {"population": 1}, r"population must be a whole number >= 2, got 1"),
        ("pso", {"topology": "star"}, r"topology must be one of ring, global, got 'star'"),
        ("pso", {"bounce": 1.5}, r"bounce must be in \[0, 1\], got 1.5"),
        ("pso", {"inertia": 1.5}, r"inertia must be in \[0, 1\], got 1.5"),
        ("pso", {"c1": torch.tensor([1.0, -1.0])}, r"c1 must be >= 0 and finite, got -1"),
        ("mpso", {"lam": 1.0}, r"lam must be in \[0, 1\), got 1.0"),
        ("empso", {"beta": -0.1}, r"beta must be in \[0, 1\], got -0.1"),
        ("rempso", {"share": 0.6}, r"share must be in \[0, 0.5\], got 0.6"),
        ("qpso", {"start": 0.0}, r"start must be > 0 and finite, got 0.0"),
    ],
)
def test_what_cannot_be_is_refused_by_name(name, settings, message):
    with pytest.raises(ValueError, match=message):
        Strategy(name, (LOW, HIGH), dim=2, runs=2, **settings)
