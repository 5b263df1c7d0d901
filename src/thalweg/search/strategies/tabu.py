"""Tabu search of real vectors: a point that walks away from where it was, and then digs where it was best."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from thalweg.search.algorithm import Algorithm, State, initial
from thalweg.search.checks import check_whole, checked_number
from thalweg.search.spaces import Box

SCATTER, DIVERSIFY, SIFT, INTENSIFY = range(4)


@dataclass(frozen=True)
class TabuSearch(Algorithm):
    """Enhanced continuous tabu search. A generation is 2 D neighbours of the current point, one in each of as many
    shells (hypercubes) around it. Lengths are shares of the box, or of five sigma0 where there is one. A run is in one
    of four phases:

    1. Scatter: points at random. The best becomes the current one, and the `promising` best are promising areas.
    2. Diversify: the best neighbour becomes the current point, even if it is worse, but never one within `tabu_radius`
       of the last `tabu` of them or within `promising_radius` of a promising area. Where a descent ends below the mean
       of the promising areas, that is one more and the worst is dropped. It is over when 2 D climbing moves in all
       have passed since one was better than all the others.
    3. Sift: promising areas above their mean are dropped. Each of the others gets a neighbourhood half as large, and
       moves to the best neighbour if that is better; then the worst is dropped, and so on until one is left.
    4. Intensify: to the best neighbour if that is better; the shells halve after each D / 2 generations (in all) in
       which none was. At `finest` everything begins anew.

    Arguments:
        tabu, promising: so many points are tabu, so many areas are promising.
        reach: of the largest shell to begin with: half its side. The smallest begins at `tabu_radius`.
        tabu_radius, promising_radius: of the balls that are shut in phase 2.
        finest: the reach at which a search ends.

    The paper leaves open when exactly a descent has ended well and how shells are spaced; here they are equally thick.
    """

    title = "tabu search, continuous"
    purpose = "Few dimensions and few evaluations; with a local search, also rugged valleys."
    source = "Chelouah and Siarry, Tabu search applied to global optimization, EJOR 123, 2000"

    tabu: int = 7
    promising: int = 10
    reach: float = 0.2
    tabu_radius: float = 0.01
    promising_radius: float = 0.02
    finest: float = 1e-10

    def __post_init__(self) -> None:
        check_whole(tabu=self.tabu, promising=self.promising)
        for name in ("finest", "tabu_radius", "promising_radius"):
            if not 0 < checked_number(name, getattr(self, name)) < checked_number("reach", self.reach):
                raise ValueError(f"{name} must be > 0 and below reach = {self.reach}, got {getattr(self, name)}")

    def init(self, s: State) -> None:
        problem = s.problem
        nowhere = torch.full((problem.runs, 1, problem.dim), math.inf, dtype=problem.dtype, device=problem.device)
        s.x, s.f = torch.zeros_like(nowhere), nowhere[..., :1].clone()
        s.tabu = nowhere.repeat(1, self.tabu, 1)
        s.areas = nowhere.repeat(1, self.promising, 1)
        s.areas_f = s.areas[..., :1].clone()
        s.reach = torch.full_like(s.f, self.reach)
        s.phase = torch.full_like(s.f, SCATTER, dtype=torch.int64)
        s.stale, s.left, s.at = (torch.zeros_like(s.phase) for _ in range(3))
        s.descending = torch.zeros_like(s.phase, dtype=torch.bool)

    def sample(self, s: State) -> Tensor:
        problem = s.problem
        assert isinstance(problem.space, Box)
        count = 2 * problem.dim
        if s.generation == 0:
            return initial(s, count)
        # What is drawn does not depend on the phase, so that no run's numbers depend on another's.
        u = s.draws.uniform(count, problem.dim)
        cube = 2 * u - 1
        cube /= cube.abs().amax(-1, keepdim=True).clamp_(min=torch.finfo(u.dtype).tiny)
        shell = torch.arange(count, dtype=problem.dtype, device=problem.device).unsqueeze(-1)
        inner = self.tabu_radius / self.reach
        share = inner + (1 - inner) * (shell + s.draws.uniform(count, 1)) / count
        near = problem.space.reflect(s.x + s.reach * share * problem.width * cube)
        return torch.where(s.phase == SCATTER, self._scattered(s, u), near)

    def _scattered(self, s: State, u: Tensor) -> Tensor:
        """Points anywhere, at uniform u."""
        problem = s.problem
        assert isinstance(problem.space, Box)
        if problem.x0 is not None and problem.sigma0 is not None:
            return problem.space.reflect(problem.x0 + math.sqrt(3) * problem.sigma0 * (2 * u - 1))
        return torch.lerp(problem.low, problem.high, u)

    def update(self, s: State, x: Tensor, fitness: Tensor) -> None:
        phase, fitness = s.phase, fitness.unsqueeze(-1)
        for number, step in enumerate((self._scatter, self._diversify, self._sift, self._intensify)):
            runs = phase == number
            if bool(runs.any()):
                step(s, runs, x, fitness)

    def receive(self, s: State, x: Tensor, fitness: Tensor, runs: Tensor) -> None:
        here, x, f = runs.reshape(-1, 1, 1), x.unsqueeze(1), fitness.reshape(-1, 1, 1)
        this = torch.arange(self.promising, device=x.device).unsqueeze(-1) == s.at
        _set(s, here & (s.phase == SIFT) & this, areas=x, areas_f=f)
        # It is where a descent ended, so that a walk that leaves it knows a promising area more.
        _set(s, here, x=x, f=f, descending=True)

    def _scatter(self, s: State, runs: Tensor, x: Tensor, f: Tensor) -> None:
        f, order = f.sort(dim=1, stable=True)
        x = x.gather(1, order.expand_as(x))
        kept = min(self.promising, x.shape[1])
        areas, areas_f = torch.full_like(s.areas, math.inf), torch.full_like(s.areas_f, math.inf)
        areas[:, :kept], areas_f[:, :kept] = x[:, :kept], f[:, :kept]
        _set(s, runs, x=x[:, :1], f=f[:, :1], areas=areas, areas_f=areas_f, tabu=math.inf, reach=self.reach, stale=0)
        _set(s, runs, descending=False, phase=DIVERSIFY)

    def _diversify(self, s: State, runs: Tensor, x: Tensor, f: Tensor) -> None:
        width = s.problem.width
        shut = _within(x / width, s.tabu / width, self.tabu_radius)
        shut |= _within(x / width, s.areas / width, self.promising_radius)
        # What is inf may be gone to, but not what is shut.
        lowest, at = f.clamp(max=torch.finfo(f.dtype).max).masked_fill(shut, math.inf).min(1, keepdim=True)
        goes = runs & (lowest < math.inf)
        next_x, next_f = x.gather(1, at.expand(-1, -1, x.shape[-1])), f.gather(1, at)
        # A descent ends: is that a promising area?
        known = _within(s.x / width, s.areas / width, self.promising_radius)
        found = runs & s.descending & (next_f >= s.f) & (s.f < _mean(s.areas_f)) & ~known
        better = found & (s.f < s.areas_f.amin(1, keepdim=True))
        worst = torch.zeros_like(s.areas_f, dtype=torch.bool).scatter(1, s.areas_f.argmax(1, keepdim=True), True)
        _set(s, found & worst, areas=s.x, areas_f=s.f)
        _set(s, runs, stale=torch.where(better, 0, s.stale + (next_f >= s.f)))
        _set(s, goes, tabu=torch.cat([next_x, s.tabu[:, :-1]], 1), descending=next_f < s.f)
        _set(s, goes, x=next_x, f=next_f)
        self._begin_sift(s, runs & (s.stale >= 2 * s.problem.dim))

    def _sift(self, s: State, runs: Tensor, x: Tensor, f: Tensor) -> None:
        next_x, next_f = _lowest(x, f)
        this = torch.arange(self.promising, device=x.device).unsqueeze(-1) == s.at
        _set(s, runs & (next_f < s.f) & this, areas=next_x, areas_f=next_f)
        _set(s, runs, at=s.at + 1)
        scanned = runs & (s.at >= s.left)
        self._keep_areas(s, scanned, s.left - 1)
        _set(s, scanned, reach=s.reach / 2)
        self._next_area(s, runs)

    def _intensify(self, s: State, runs: Tensor, x: Tensor, f: Tensor) -> None:
        next_x, next_f = _lowest(x, f)
        better = next_f < s.f
        _set(s, runs & better, x=next_x, f=next_f)
        _set(s, runs, stale=s.stale + ~better)
        stalled = runs & (s.stale >= max(1, s.problem.dim // 2))
        _set(s, stalled, reach=s.reach / 2, stale=0)
        _set(s, runs & (s.reach < max(self.finest, torch.finfo(x.dtype).eps)), phase=SCATTER)

    def _begin_sift(self, s: State, runs: Tensor) -> None:
        worth = (s.areas_f <= _mean(s.areas_f)) & (s.areas_f < math.inf)
        self._keep_areas(s, runs, worth.sum(1, keepdim=True).clamp_(min=1))
        _set(s, runs, reach=self.reach / 2, stale=0, phase=SIFT)
        self._next_area(s, runs)

    def _keep_areas(self, s: State, runs: Tensor, left: Tensor) -> None:
        """Those of the lowest fitness, so many in each run."""
        f, order = s.areas_f.sort(dim=1, stable=True)
        dropped = torch.arange(self.promising, device=f.device).unsqueeze(-1) >= left
        areas = s.areas.gather(1, order.expand_as(s.areas))
        _set(s, runs, areas=areas, areas_f=f.masked_fill(dropped, math.inf), left=left, at=0)

    def _next_area(self, s: State, runs: Tensor) -> None:
        _set(s, runs, x=s.areas.gather(1, s.at.expand_as(s.x)), f=s.areas_f.gather(1, s.at))
        _set(s, runs & (s.left <= 1), phase=INTENSIFY)


def _set(s: State, where: Tensor, **values: Tensor | float) -> None:
    """Sets what is carried in some runs, or in some rows of them."""
    for name, value in values.items():
        setattr(s, name, torch.where(where, value, getattr(s, name)))


def _lowest(x: Tensor, f: Tensor) -> tuple[Tensor, Tensor]:
    """The point (runs, 1, D) of lowest fitness f (runs, P, 1), and its fitness."""
    lowest, at = f.min(1, keepdim=True)
    return x.gather(1, at.expand(-1, -1, x.shape[-1])), lowest


def _within(x: Tensor, centers: Tensor, radius: float) -> Tensor:
    """Which points are in a ball around any of the centers, bool (runs, P, 1)."""
    distance = torch.cdist(x, centers, compute_mode="donot_use_mm_for_euclid_dist")
    return (distance < radius).any(-1, keepdim=True)


def _mean(f: Tensor) -> Tensor:
    """Of those that are finite, (runs, 1, 1); inf where none is."""
    finite = f.isfinite()
    mean = f.masked_fill(~finite, 0).sum(1, keepdim=True) / finite.sum(1, keepdim=True)
    return mean.nan_to_num(math.inf)
