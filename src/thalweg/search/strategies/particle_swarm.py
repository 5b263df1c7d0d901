"""Particle swarms: with constriction, on a ring or all together; and AdaSwarm's with momentum."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from thalweg.search.algorithm import Algorithm, State, initial
from thalweg.search.checks import check_whole, check_within, checked_number
from thalweg.search.strategies.members import remember, rows, take_in
from thalweg.swarm import particles
from thalweg.swarm.stability import warn_if_unstable

TOPOLOGIES = ("ring", "global")


class _Remembering(Algorithm):
    """Particles `s.x` that remember the best point each has seen, `s.own`, and its fitness, `s.own_f`."""

    def update(self, s: State, x: Tensor, fitness: Tensor) -> None:
        remember(s.own, s.own_f, x, fitness)
        s.x = x

    def receive(self, s: State, x: Tensor, fitness: Tensor, runs: Tensor) -> None:
        take_in(s.own, s.own_f, x, fitness, runs)


@dataclass(frozen=True)
class PSO(_Remembering):
    """Particles drawn to the best point they have seen, p, and the best of those they hear from, g.

    `v <- inertia v + c1 r1 (p - x) + c2 r2 (g - x); x <- x + v`, with r1 and r2 uniform anew in each dimension. A
    particle hears from its neighbours on a ring and itself, or from all. Velocities begin as half the way to another
    point of the box. Who hits a wall stays there in that dimension and turns back at `bounce` of its velocity: where
    velocities go on pointing outwards, swarms are stranded, all their bests on one wall.

    The constants are Clerc and Kennedy's constriction, 40 particles SPSO-2011's. Warns where the variance of positions
    grows without bound (Poli 2009: c1 + c2 >= 24 (1 - w^2) / (7 - 5 w) for c1 = c2).
    """

    title = "particle swarm"
    purpose = "Smooth functions of some dozens of dimensions; topology='global' is faster, and sooner stuck."
    source = (
        "Kennedy and Eberhart, Particle swarm optimization, ICNN 1995; Clerc and Kennedy, The particle swarm: "
        "explosion, stability, and convergence, IEEE Transactions on Evolutionary Computation 6(1), 2002"
    )
    batched = ("inertia", "c1", "c2")

    population: int = 40
    inertia: float | Tensor = 0.7298
    c1: float | Tensor = 1.49618
    c2: float | Tensor = 1.49618
    topology: str = "ring"
    bounce: float = 0.5

    def __post_init__(self) -> None:
        _check(self.population, self.bounce)
        if self.topology not in TOPOLOGIES:
            raise ValueError(f"topology must be one of {', '.join(TOPOLOGIES)}, got {self.topology!r}")
        check_within("[-inf, inf]", c1=self.c1, c2=self.c2, inertia=self.inertia)
        self._constants()

    def _constants(self) -> list[particles.PSO]:
        """Its constants as swarms of outputs have them, which checks them: one a run where they differ by run."""
        given = [torch.as_tensor(x, dtype=torch.float64).flatten() for x in (self.c1, self.c2, self.inertia)]
        if len({x.numel() for x in given} - {1}) > 1:
            sizes = ", ".join(str(x.numel()) for x in given)
            raise ValueError(f"c1, c2 and inertia must be numbers, or one a run, got {sizes} of them")
        columns = [x.tolist() for x in torch.broadcast_tensors(*given)]
        return [particles.PSO(c1=c1, c2=c2, inertia=inertia) for c1, c2, inertia in zip(*columns, strict=True)]

    def init(self, s: State) -> None:
        for constants in self._constants():
            warn_if_unstable(constants)
        s.x = initial(s, self.population)
        s.v = (initial(s, self.population) - s.x) / 2
        s.own, s.own_f = s.x.clone(), torch.full_like(s.x[..., 0], math.inf)

    def sample(self, s: State) -> Tensor:
        if s.generation == 0:
            return s.x.clone()
        r1, r2 = s.draws.factors(2, *s.x.shape[1:]).unbind(1)
        s.v.mul_(self.inertia)
        _add(s.v, self.c1, r1, s.own - s.x)
        _add(s.v, self.c2, r2, self._heard(s) - s.x)
        inside, hits = _at_walls(s, s.x + s.v)
        s.v.addcmul_(s.v, hits, value=-1 - self.bounce)
        return inside

    def _heard(self, s: State) -> Tensor:
        """The best point that each particle hears of, (runs, P, D), or that all do, (runs, 1, D)."""
        if self.topology == "global":
            best = s.own_f.argmin(1).reshape(-1, 1, 1)
            return s.own.gather(1, best.expand(-1, 1, s.problem.dim))
        count = self.population
        left_self_right = torch.cat([s.own_f[:, -1:], s.own_f, s.own_f[:, :1]], dim=1).unfold(1, 3, 1)
        places = torch.arange(-1, count - 1, device=s.own.device) + left_self_right.argmin(-1)
        return rows(s.own, places.remainder_(count))


@dataclass(frozen=True)
class VariantSwarm(_Remembering):
    """What AdaSwarm's variants share: particles that begin at rest, hear of the best point of all, and move as
    `thalweg.swarm.particles` says.

    Who hits a wall stays there in that dimension, and what it remembers of velocities turns back at `bounce` of it. The
    papers have no walls. `per_dimension`: each dimension has random factors of its own; with one factor a particle a
    swarm never leaves the affine hull of where it began.
    """

    source = (
        "Mohapatra, Saha, Coello, Bhattacharya, Dhavala and Saha, AdaSwarm: augmenting gradient-based optimizers in "
        "deep learning with swarm intelligence, IEEE Transactions on Emerging Topics in Computational Intelligence "
        "6(2), 2022"
    )

    population: int = 50
    c1: float = 0.8
    c2: float = 0.9
    per_dimension: bool = True
    bounce: float = 0.5

    def __post_init__(self) -> None:
        _check(self.population, self.bounce)
        for name, value in self.hyperparameters().items():
            checked_number(name, value)
        _ = self.particles  # which checks what the numbers are

    @cached_property
    def particles(self) -> particles.Particles:
        """How they move."""
        raise NotImplementedError

    def init(self, s: State) -> None:
        warn_if_unstable(self.particles)
        s.x = initial(s, self.population)
        s.memory = torch.stack(self.particles.memory(s.x), dim=1)
        s.own, s.own_f = s.x.clone(), torch.full_like(s.x[..., 0], math.inf)

    def sample(self, s: State) -> Tensor:
        x = s.x.clone()
        if s.generation == 0:
            return x

        def uniform(shape: tuple[int, ...]) -> Tensor:
            *outer, _, last = shape
            return s.draws.factors(*outer, last).movedim(0, -2)

        # There the axis of runs comes after that of particles.
        here, own = x.transpose(0, 1), s.own.transpose(0, 1)
        best = rows(s.own, s.own_f.argmin(1, keepdim=True)).squeeze(1)
        pull = self.particles.pull(here, own, best, self.particles.draw(uniform, tuple(here.shape)))
        self.particles.move(here, [part.transpose(0, 1) for part in s.memory.unbind(1)], pull)
        inside, hits = _at_walls(s, x)
        s.memory.addcmul_(s.memory, hits.unsqueeze(1), value=-1 - self.bounce)
        return inside


@dataclass(frozen=True)
class MPSO(VariantSwarm):
    """With momentum: `v <- (1 - lam)(v + pull) + lam v_before`. The papers give no lam; with 0.1 or less and the other
    constants as here the variance of positions grows without bound."""

    title = "particle swarm with momentum"
    purpose = "What AdaSwarm's swarm is compared with; on smooth functions as good as pso."
    source = "Xiang, Wang and Liao 2007, as AdaSwarm's equation 3 gives it; " + VariantSwarm.source

    lam: float = 0.2

    @cached_property
    def particles(self) -> particles.Particles:
        return particles.MPSO(self.c1, self.c2, self.per_dimension, lam=self.lam)


@dataclass(frozen=True)
class EMPSO(VariantSwarm):
    """With exponentially weighted momentum: `M <- beta M + (1 - beta) v; v <- M + pull` (AdaSwarm's equations 4, 5).

    With the paper's constants it contracts too fast and stops short of the optimum of a sphere in ten dimensions.
    """

    title = "particle swarm with exponentially weighted momentum"
    purpose = "AdaSwarm's swarm, as published. For searching take pso: this one collapses before it arrives."

    beta: float = 0.9

    @cached_property
    def particles(self) -> particles.Particles:
        return particles.EMPSO(self.c1, self.c2, self.per_dimension, beta=self.beta)


@dataclass(frozen=True)
class REMPSO(EMPSO):
    """EMPSO whose factors act on rotated axes, `2 floor(share D)` of them in pairs turned by theta, drawn anew for each
    particle (AdaSwarm, supplement 5)."""

    title = "rotated particle swarm with exponentially weighted momentum"
    purpose = (
        "AdaSwarm's swarm without a liking for the axes, its rotation one that rotates. It collapses as empso does."
    )

    theta: float = math.pi / 5
    share: float = 0.4

    @cached_property
    def particles(self) -> particles.Particles:
        return particles.REMPSO(
            self.c1, self.c2, self.per_dimension, beta=self.beta, theta=self.theta, share=self.share
        )


def _add(v: Tensor, c: float | Tensor, r: Tensor, gap: Tensor) -> None:
    """Adds c r gap to v; r may be overwritten."""
    if isinstance(c, Tensor):
        v.addcmul_(r.mul_(c), gap)
    else:
        v.addcmul_(r, gap, value=c)


def _at_walls(s: State, moved: Tensor) -> tuple[Tensor, Tensor]:
    """Positions back in the box, and 1 where a wall was hit, else 0; `moved` is overwritten."""
    inside = moved.clamp(s.problem.low, s.problem.high)
    return inside, moved.ne_(inside)  # a mask of the dtype is far faster than one of bool


def _check(population: int, bounce: float) -> None:
    check_whole(2, population=population)
    check_within("[0, 1]", bounce=bounce)
