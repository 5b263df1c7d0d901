"""Continuous tabu search goes where it has not been, and then digs where it was best, as a transcription does."""

import math

import pytest
import torch
from search.drawn import remembering
from search.functions import Function

from thalweg.search import Strategy
from thalweg.search.strategies.tabu import DIVERSIFY, INTENSIFY, SCATTER, SIFT, TabuSearch

LOW, HIGH, WIDTH = -5.0, 5.0, 10.0


def close(found, expected, tolerance=1e-9):
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)


def searching(function, algorithm=None, seed=0, **others):
    algorithm = TabuSearch() if algorithm is None else algorithm
    generator = torch.Generator().manual_seed(seed)
    return Strategy(algorithm, (LOW, HIGH), dim=function.dim, runs=function.runs, generator=generator, **others)


def told(strategy, function):
    x = strategy.ask()
    strategy.tell(function(x))
    return x


def mirrored(v):
    while not LOW <= v <= HIGH:
        v = 2 * LOW - v if v < LOW else 2 * HIGH - v
    return v


def distance(a, b):
    """In shares of the box."""
    return math.dist(a, b) / WIDTH


class ByTheBook:
    """One run in plain Python, with the random numbers that it is given."""

    def __init__(self, dim):
        self.dim, self.phase = dim, "scatter"

    def asked(self, u, radial):
        if self.phase == "scatter":
            return [[LOW + WIDTH * v for v in row] for row in u]
        points, count = [], 2 * self.dim
        for shell, (row, (r,)) in enumerate(zip(u, radial, strict=True)):
            corner = [2 * v - 1 for v in row]
            largest = max(abs(v) for v in corner)
            size = self.reach * (0.05 + 0.95 * (shell + r) / count) * WIDTH
            points.append([mirrored(a + size * v / largest) for a, v in zip(self.x, corner, strict=True)])
        return points

    def told(self, points, values):
        getattr(self, self.phase)(sorted(zip(values, points, strict=True)))

    def scatter(self, best):
        (self.f, self.x), self.areas, self.tabu = best[0], best[:10], []
        self.reach, self.stale, self.descending, self.phase = 0.2, 0, False, "diversify"

    def diversify(self, best):
        allowed = [
            (f, x)
            for f, x in best
            if all(distance(x, y) >= 0.01 for y in self.tabu) and all(distance(x, y) >= 0.02 for _, y in self.areas)
        ]
        f, x = allowed[0]
        climbs = f >= self.f
        mean = sum(value for value, _ in self.areas) / len(self.areas)
        known = any(distance(self.x, y) < 0.02 for _, y in self.areas)
        self.stale += climbs
        if self.descending and climbs and self.f < mean and not known:
            if self.f < min(self.areas)[0]:
                self.stale = 0
            if len(self.areas) == 10:
                self.areas.remove(max(self.areas))
            self.areas.append((self.f, self.x))
        self.tabu = [x, *self.tabu][:7]
        self.descending, self.f, self.x = not climbs, f, x
        if self.stale >= 2 * self.dim:
            mean = sum(value for value, _ in self.areas) / len(self.areas)
            self.areas = sorted(area for area in self.areas if area[0] <= mean)
            self.reach, self.stale, self.at, self.phase = 0.1, 0, 0, "sift"
            self.next_area()

    def next_area(self):
        self.f, self.x = self.areas[self.at]
        if len(self.areas) == 1:
            self.phase = "intensify"

    def sift(self, best):
        self.areas[self.at] = min(self.areas[self.at], best[0])
        self.at += 1
        if self.at == len(self.areas):
            self.areas, self.at, self.reach = sorted(self.areas)[:-1], 0, self.reach / 2
        self.next_area()

    def intensify(self, best):
        if best[0][0] < self.f:
            self.f, self.x = best[0]
        else:
            self.stale += 1
        if self.stale >= max(1, self.dim // 2):
            self.reach, self.stale = self.reach / 2, 0
        if self.reach < 1e-6:
            self.phase = "scatter"


@pytest.mark.parametrize("dim", [2, 5])
def test_all_its_phases_are_those_of_a_transcription_with_the_same_random_numbers(dim):
    function = Function("rastrigin", runs=1, dim=dim)
    strategy, book = searching(function, TabuSearch(finest=1e-6)), ByTheBook(dim)
    draws, seen = remembering(strategy), set()
    x = told(strategy, function)
    book.told(x.tolist(), function(x).tolist())
    for _ in range(600):
        draws.taken()
        x = strategy.ask()
        close(x, torch.tensor(book.asked(*draws.taken()), dtype=torch.float64))
        values = function(x)
        strategy.tell(values)
        book.told(x.tolist(), values.tolist())
        s = strategy.state
        assert ("scatter", "diversify", "sift", "intensify")[int(s.phase)] == book.phase
        if book.phase != "scatter":
            assert (s.f.item(), s.reach.item(), s.stale.item()) == (book.f, book.reach, book.stale)
            assert s.x[0, 0].tolist() == book.x
        seen.add(book.phase)
    assert len(seen) == 4


def test_no_move_of_diversification_ends_in_a_ball_that_is_shut():
    function = Function("rastrigin", runs=8, dim=2)
    strategy = searching(function, TabuSearch(tabu_radius=0.05, promising_radius=0.1))
    moves = stays = 0
    for _ in range(400):
        s = strategy.state
        before, shut, areas = s.x, s.tabu, s.areas
        phase = s.phase.flatten()
        told(strategy, function)
        moved = (phase == DIVERSIFY) & (s.tabu != shut).any(-1).any(-1)
        stays += int(((phase == DIVERSIFY) & ~moved).sum())
        for run in moved.nonzero().flatten().tolist():
            to = s.tabu[run, 0]
            assert (torch.linalg.vector_norm(shut[run] - to, dim=-1) >= 0.05 * WIDTH).all()
            assert (torch.linalg.vector_norm(areas[run] - to, dim=-1) >= 0.1 * WIDTH).all()
            assert not torch.equal(to, before[run, 0])
            assert torch.equal(s.tabu[run, 1:], shut[run, :-1])
            moves += 1
    assert moves > 300
    assert stays > 0


def test_neighbours_are_one_in_each_shell_from_the_tabu_ball_outward():
    function = Function("sphere", runs=2, dim=6)
    strategy = searching(function, TabuSearch(reach=0.05, tabu_radius=0.01))
    told(strategy, function)
    s = strategy.state
    s.x = torch.zeros_like(s.x)
    size = strategy.ask().abs().amax(-1) / WIDTH
    edges = torch.linspace(0.01, 0.05, 13, dtype=torch.float64)
    assert (size >= edges[:-1]).all()
    assert (size <= edges[1:]).all()


def test_shells_only_ever_halve_until_a_search_begins_anew():
    function = Function("sphere", runs=6, dim=3)
    strategy = searching(function, TabuSearch(finest=1e-4))
    previous, ends = None, 0
    for _ in range(500):
        told(strategy, function)
        reach, phase = strategy.state.reach.flatten(), strategy.state.phase.flatten()
        if previous is not None:
            ratio = reach / previous
            anew = (phase == DIVERSIFY) & (reach == 0.2)
            assert ((ratio == 1) | (ratio == 0.5) | anew).all()
        ends += int((phase == SCATTER).sum())
        assert (reach[phase == SCATTER] < 1e-4).all()
        assert (reach[phase == INTENSIFY] >= 1e-4).all()
        previous = reach
    assert ends > 6


def test_sifting_and_intensifying_never_go_to_a_worse_point():
    function = Function("rastrigin", runs=8, dim=3)
    strategy = searching(function)
    for _ in range(300):
        s = strategy.state
        phase, areas_f, f = s.phase.flatten(), s.areas_f, s.f.flatten()
        told(strategy, function)
        digs = (phase == INTENSIFY) & (s.phase.flatten() == INTENSIFY)
        assert (s.f.flatten() <= f)[digs].all()
        sifts = phase == SIFT
        assert (s.areas_f.amin((1, 2)) <= areas_f.amin((1, 2)))[sifts].all()


def test_runs_may_be_in_different_phases_at_once():
    function = Function("rastrigin", runs=8, dim=3)
    strategy = searching(function)
    together = set()
    for _ in range(300):
        told(strategy, function)
        together.add(len(strategy.state.phase.unique()))
    assert max(together) >= 3


def test_a_point_from_elsewhere_is_where_its_run_goes_on():
    function = Function("sphere", runs=2, dim=3)
    strategy = searching(function)
    told(strategy, function)
    strategy.receive(function.optimum.squeeze(1), torch.tensor([0.0, 1e9], dtype=torch.float64))
    told(strategy, function)
    areas = strategy.state.areas
    close(areas[0, strategy.state.areas_f[0].argmin()], function.optimum[0, 0])
    assert strategy.state.areas_f[1].min() > 0


@pytest.mark.parametrize(
    ("name", "value"),
    [("tabu", 0), ("promising", 0), ("finest", 0.0), ("tabu_radius", 0.3), ("promising_radius", -0.1)],
)
def test_what_cannot_be_is_refused_by_name(name, value):
    with pytest.raises(ValueError, match=f"{name} must be .*got {value}"):
        TabuSearch(**{name: value})
