"""Differential evolution that learns its constants from what succeeds: JADE, SHADE and L-SHADE."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from thalweg.search.algorithm import Algorithm, Problem, State, initial
from thalweg.search.checks import check_whole, check_within, checked_number
from thalweg.search.strategies.differential_evolution import crossed, past
from thalweg.search.strategies.members import remember, rows, take_in

LEAST = 4  # members of the smallest population: a member, two others, and one that is among the best
TERMINAL = -1.0  # a centre of CR so far below 0 that all drawn around it are cut at 0


@dataclass(frozen=True)
class AdaptiveDE(Algorithm):
    """current-to-pbest/1/bin with an archive: `mutant = x + F (elite - x) + F (a - b)`, crossed with x by CR.

    `elite` is one of the share `best` of the population, a another member, b another member or one of the archive,
    which keeps the parents whose trials were better: `archive` populations of them, random ones where there are more.
    Each member draws its own F from a Cauchy and CR from a normal distribution, of scale 0.1 around centres, (F, CR),
    that are learnt from what succeeded before.
    """

    best: float = 0.1
    archive: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < checked_number("best", self.best) <= 1:
            raise ValueError(f"best must be in (0, 1], a share of the population, got {self.best}")
        if checked_number("archive", self.archive) != 0 and not 1 <= self.archive < math.inf:
            raise ValueError(f"archive must be 0 or >= 1, in populations, got {self.archive}")

    def init(self, s: State) -> None:
        s.own = initial(s, self.size(s.problem))
        s.own_f = torch.full_like(s.own[..., 0], math.inf)
        s.constants = s.own.new_zeros(*s.own_f.shape, 2)  # F and CR of the trials
        s.archive = s.own.new_zeros(s.problem.runs, self.room(s.own.shape[1]), s.problem.dim)
        s.filled = torch.zeros(s.problem.runs, 1, dtype=torch.int64, device=s.own.device)

    def sample(self, s: State) -> Tensor:
        if s.generation == 0:
            return s.own.clone()
        x, population = s.own, s.own.shape[1]
        f, cr = constants_around(self.centres(s, population), s, population)
        s.constants = torch.cat([f, cr], dim=2)
        elite = s.own_f.argsort(dim=1).gather(1, s.draws.integers(self.elite(population), population))
        one, other = two_others(s, population)
        mutants = rows(x, one).sub_(rows(torch.cat([x, s.archive], dim=1), other))
        mutants.add_(rows(x, elite).sub_(x)).mul_(f).add_(x)
        return crossed(s, x, mutants, cr)

    def update(self, s: State, x: Tensor, fitness: Tensor) -> None:
        if s.generation > 0:
            improved = fitness < s.own_f
            _keep_parents(s, improved)
            self.learn(s, improved, fitness)
        remember(s.own, s.own_f, x, fitness, ties=True)

    def receive(self, s: State, x: Tensor, fitness: Tensor, runs: Tensor) -> None:
        take_in(s.own, s.own_f, x, fitness, runs)

    def room(self, population: int) -> int:
        """How many parents the archive keeps."""
        return round(self.archive * population)

    def size(self, problem: Problem) -> int:
        """How many members begin."""
        raise NotImplementedError

    def elite(self, population: int) -> int:
        """How many are among the best."""
        raise NotImplementedError

    def centres(self, s: State, population: int) -> Tensor:
        """Around which each member draws its F and CR, (runs, P or 1, 2)."""
        raise NotImplementedError

    def learn(self, s: State, improved: Tensor, fitness: Tensor) -> None:
        """Learns from `s.constants`, (runs, P, 2), where trials improved on their parents, whose fitness still is
        `s.own_f`."""
        raise NotImplementedError


@dataclass(frozen=True)
class JADE(AdaptiveDE):
    """One pair of centres, which moves by `rate` towards the Lehmer mean of the F and the mean of the CR that succeeded
    in a generation."""

    title = "JADE"
    purpose = "Rugged functions where the number of evaluations is not known beforehand; nothing to tune."
    source = (
        "Zhang and Sanderson, JADE: adaptive differential evolution with optional external archive, IEEE Transactions "
        "on Evolutionary Computation 13(5), 2009"
    )
    batched = ("rate",)

    population: int = 100
    best: float = 0.05
    archive: float = 1.0
    rate: float | Tensor = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole(LEAST, population=self.population)
        check_within("[0, 1)", rate=self.rate)

    def init(self, s: State) -> None:
        super().init(s)
        s.centres = torch.full_like(s.constants[:, :1], 0.5)

    def size(self, problem: Problem) -> int:
        return self.population

    def elite(self, population: int) -> int:
        return max(1, round(self.best * population))

    def centres(self, s: State, population: int) -> Tensor:
        return s.centres

    def learn(self, s: State, improved: Tensor, fitness: Tensor) -> None:
        succeeded = improved.to(s.own.dtype).unsqueeze(2)
        weights = torch.cat([succeeded * s.constants[..., :1], succeeded], dim=2)
        rate = self.rate * succeeded.amax(1, keepdim=True)  # 0 in runs without successes
        s.centres = s.centres + rate * (mean(s.constants, weights) - s.centres)


@dataclass(frozen=True)
class SHADE(AdaptiveDE):
    """Success history: `memory` pairs of centres, of which each member takes one at random, and of which a generation
    with successes overwrites the oldest by Lehmer means, weighted by how much fitness fell.

    With a budget it is L-SHADE: the population, 18 D in the beginning but no more than a hundredth of the budget, falls
    linearly to 4, the worst leaving. Without one it is SHADE with 100. Where only a CR of 0 succeeds, it is 0 for good
    around that centre (L-SHADE's terminal value).
    """

    title = "L-SHADE"
    purpose = (
        "Rugged functions within a known budget: among the best there are, from a thousand evaluations a dimension on."
    )
    source = (
        "Tanabe and Fukunaga, Success-history based parameter adaptation for differential evolution, CEC 2013; "
        "Improving the search performance of SHADE using linear population size reduction, CEC 2014"
    )

    population: int | None = None
    best: float = 0.11
    archive: float = 2.6
    memory: int = 6

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole(LEAST, population=self.population)
        check_whole(memory=self.memory)

    def init(self, s: State) -> None:
        super().init(s)
        s.memory = s.own.new_full((s.problem.runs, self.memory, 2), 0.5)
        s.oldest = torch.zeros(s.problem.runs, 1, 1, dtype=torch.int64, device=s.own.device)
        s.spent = 0

    def size(self, problem: Problem) -> int:
        if self.population is not None:
            return self.population
        if problem.budget is None:
            return 100
        return min(18 * problem.dim, max(20, problem.budget // 100))

    def elite(self, population: int) -> int:
        return max(2, round(self.best * population))

    def centres(self, s: State, population: int) -> Tensor:
        return rows(s.memory, s.draws.integers(self.memory, population))

    def learn(self, s: State, improved: Tensor, fitness: Tensor) -> None:
        gains = torch.where(improved, s.own_f - fitness, 0.0).unsqueeze(2)
        succeeded = improved.any(1).reshape(-1, 1, 1)
        place = s.oldest.expand(-1, 1, 2)
        before, learnt = s.memory.gather(1, place), mean(s.constants, shares(gains) * s.constants)
        learnt = torch.where((learnt > 0) & (before > 0), learnt, TERMINAL)
        s.memory.scatter_(1, place, torch.where(succeeded, learnt, before))
        s.oldest = (s.oldest + succeeded).remainder_(self.memory)

    def update(self, s: State, x: Tensor, fitness: Tensor) -> None:
        super().update(s, x, fitness)
        s.spent = s.spent + x.shape[1]
        if s.problem.budget is not None:
            self._reduce(s, s.problem.budget)

    def _reduce(self, s: State, budget: int) -> None:
        """Lets the worst leave, as many as the share of the budget says that is spent; in all runs alike."""
        first = self.size(s.problem)
        population = round(first + (LEAST - first) * min(1.0, s.spent / budget))
        if population >= s.own.shape[1]:
            return
        stay = s.own_f.argsort(dim=1)[:, :population]
        s.own, s.own_f = rows(s.own, stay), s.own_f.gather(1, stay)
        room = self.room(population)
        s.archive, s.filled = s.archive[:, :room].clone(), s.filled.clamp(max=room)


def constants_around(centres: Tensor, s: State, population: int) -> tuple[Tensor, Tensor]:
    """An F in (0, 1] and a CR in [0, 1] for each member, each (runs, P, 1)."""
    f, cr = centres.split(1, dim=2)
    drawn = s.draws.normal(population, 1).mul_(0.1).add_(cr).clamp_(0, 1)
    return cauchy_above_zero(f, s.draws.uniform(population, 1)), drawn


def cauchy_above_zero(centre: Tensor, u: Tensor) -> Tensor:
    """Cauchy numbers of scale 0.1 under the condition of being above 0, and 1 where above 1, from u uniform in [0, 1).

    To draw again until a number is above 0 is to draw under that condition, and its quantiles are known: a Cauchy
    number is the tangent of a uniform angle, and it is above 0 from the angle -atan(centre / 0.1) on.
    """
    lowest = torch.atan(centre * -10)
    # pi / 2 in float32 is past the pole; at 1.57 the number is far above 1 whatever the centre.
    angle = torch.addcmul(lowest, u, math.pi / 2 - lowest).clamp_(max=1.57)
    return angle.tan_().mul_(0.1).add_(centre).clamp_(torch.finfo(u.dtype).eps, 1)


def mean(x: Tensor, weights: Tensor) -> Tensor:
    """Over members, (runs, 1, n); 0 where all weights are. With weights `w x` it is a Lehmer mean."""
    total = weights.sum(1, keepdim=True).clamp_(min=torch.finfo(x.dtype).tiny)
    return (weights * x).sum(1, keepdim=True) / total


def shares(gains: Tensor) -> Tensor:
    """Weights in proportion to gains >= 0 of members, the largest 1 or near it; infinite ones count as very large."""
    limits = torch.finfo(gains.dtype)
    gains = gains.clamp(max=limits.max)
    return gains / gains.amax(1, keepdim=True).clamp_(min=limits.tiny)


def two_others(s: State, population: int) -> tuple[Tensor, Tensor]:
    """For each member another, and a third one or, from P on, one of the archive: each (runs, P)."""
    members = torch.arange(population, device=s.own.device)
    one = s.draws.integers(population - 1, population)
    one = one + (one >= members)
    # How many there are differs by run; of 2^40 numbers the remainder is as good as uniform.
    other = s.draws.integers(1 << 40, population).remainder_(s.filled + (population - 2))
    return one, past(other, one, members)


def _keep_parents(s: State, improved: Tensor) -> None:
    """Puts the parents of improved trials into the archive: where it is full, in the place of random ones."""
    room = s.archive.shape[1]
    if room == 0:
        return
    # Empty places come first, in order, then full ones at random.
    places = torch.arange(room, device=s.own.device)
    order = torch.where(places < s.filled, s.draws.uniform(room), places - float(room)).argsort(dim=1)
    runs, members = improved.nonzero(as_tuple=True)
    count = improved.cumsum(1)
    s.archive[runs, order[runs, count[runs, members] - 1]] = s.own[runs, members]
    s.filled = (s.filled + count[:, -1:]).clamp_(max=room)
