"""What CMA-ES is with any covariance: the weights of ranks, the paths, the step size, and when to stop."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import torch
from torch import Tensor

from thalweg.search.algorithm import Algorithm, State, middle
from thalweg.search.checks import check_positive, check_within
from thalweg.search.strategies.fitness_shaping import check_population, kept_finite, points_for


@dataclass(frozen=True)
class Rates:
    """What follows from dimension and population alone, as pycma 4.5 has it.

    `weights`: of ranks, the best first; those that are positive sum to one, and all to `total`. `mass`: how many points
    the mean is made of in effect, mu_eff. `step`, `damping`: of the step size, c_sigma and d_sigma. `path`: c_c. `one`,
    `mu`: of the covariance, c_1 and c_mu. `length`: that of a standard normal vector, expected.
    """

    weights: tuple[float, ...]
    total: float
    mass: float
    step: float
    damping: float
    path: float
    one: float
    mu: float
    length: float


@lru_cache(maxsize=256)
def full_rates(dim: int, population: int) -> Rates:
    """Those for a full covariance, with negative weights (pycma: `CMAParameters`, `RecombinationWeights`,
    `CMAAdaptSigmaCSA`)."""
    raw = [math.log((population + 1) / 2) - math.log(rank) for rank in range(1, population + 1)]
    positive, negative = [w for w in raw if w > 0], [w for w in raw if w <= 0]
    mass = sum(positive) ** 2 / sum(w * w for w in positive)
    counter_mass = sum(negative) ** 2 / sum(w * w for w in negative)
    one = min(1, population / 6) * 2 / ((dim + 1.3) ** 2 + mass)
    mu = min(1 - one, 2 * (0.25 + mass - 2 + 1 / mass) / ((dim + 2) ** 2 + mass))
    # The negative weights sum to what leaves C as it was under random selection, unless that is more than the mean is
    # worth, or enough to make C indefinite.
    against = min(1 + one / mu, 1 + 2 * counter_mass / (mass + 2), (1 - one - mu) / (dim * mu))
    weights = [w / sum(positive) for w in positive] + [-against * w / sum(negative) for w in negative]
    step = min(0.5, (mass + 2) / (dim + mass + 3))  # the tutorial has dim + mass + 5
    inner = max(1.0, 3 * (1 - 0.5 ** (dim / 9)))  # larger populations are damped more since pycma 4.5
    return Rates(
        weights=tuple(weights),
        total=1 - against,
        mass=mass,
        step=step,
        damping=1 + 2 * max(0.0, inner * math.sqrt((mass - 1) / (dim + 1)) - 1) + step,
        path=(4 + mass / dim) / (dim + 4 + 2 * mass / dim),
        one=one,
        mu=mu,
        length=math.sqrt(2) * math.exp(math.lgamma((dim + 1) / 2) - math.lgamma(dim / 2)),
    )


@dataclass(frozen=True)
class CovarianceAdaptation(Algorithm):
    """Normal points around a mean, whose step size follows the length of the path that the mean takes.

    A subclass knows the covariance C: how to take it out of points, and what to learn. All is held in float64, whatever
    the points are. A run in which no point has a finite fitness stays as it is.

    Arguments:
        population: 4 + floor(3 ln D) unless given.
        tolx: stop where the standard deviation in all dimensions, and the path, are below.
        tolfun: stop where the fitness of the generation, and the best of the last 10 + 30 D / population, range over
            less.
        tolfunhist: stop where the best of so many generations alone do.
        tolfacupx: stop where the standard deviation in a dimension is so many times that of the beginning.
        condition: stop where that of C is above.
    """

    inside: ClassVar[bool] = False
    learns_mirrored: ClassVar[bool] = True

    population: int | None = None
    tolx: float = 1e-11
    tolfun: float = 1e-11
    tolfunhist: float = 1e-12
    tolfacupx: float = 1e3
    condition: float = 1e14

    def __post_init__(self) -> None:
        check_population(self.population)
        check_positive(tolfacupx=self.tolfacupx)
        check_within("[0, inf]", tolx=self.tolx, tolfun=self.tolfun, tolfunhist=self.tolfunhist)
        check_within("(1, inf]", condition=self.condition)

    # What a subclass knows

    def rates(self, dim: int, population: int) -> Rates:
        """Those of this covariance."""
        return full_rates(dim, population)

    def begin(self, s: State, variances: Tensor) -> None:
        """Sets C to the diagonal matrix of variances (1, 1, D)."""
        raise NotImplementedError

    def whitened(self, s: State, y: Tensor) -> Tensor:
        """Vectors (runs, rows, D) as they would be if C were the identity, in some orthogonal coordinates."""
        raise NotImplementedError

    def upright(self, s: State, z: Tensor) -> Tensor:
        """Whitened vectors in the coordinates of the points."""
        raise NotImplementedError

    def learn(self, s: State, lost: Tensor, path: Tensor, y: Tensor, weights: Tensor, rates: Rates) -> None:
        """C becomes (1 - lost) C + c_1 path path' + c_mu sum(weights y y'), of lost (runs, 1, 1), path (runs, 1, D), y
        (runs, P, D), which may be overwritten, and weights (runs, P, 1)."""
        raise NotImplementedError

    def variances(self, s: State) -> Tensor:
        """The diagonal of C, (runs, 1, D)."""
        raise NotImplementedError

    def spectrum(self, s: State) -> Tensor:
        """The roots of the eigenvalues of C, (runs, 1, D)."""
        raise NotImplementedError

    # What all have

    def points(self, s: State) -> int:
        return points_for(s.problem.dim, self.population)

    def init(self, s: State) -> None:
        mean, spread = middle(s)
        points, runs, dim = self.points(s), s.problem.runs, s.problem.dim
        s.mean = mean.double()
        s.spread = spread.double().repeat(runs, 1, 1)
        s.sigma = s.spread.amax(-1, keepdim=True)
        s.step_path, s.path = torch.zeros_like(s.mean), torch.zeros_like(s.mean)
        s.fitness = s.mean.new_zeros(runs, points)
        s.bests = s.mean.new_zeros(runs, 10 + 30 * dim // points)
        self.begin(s, (s.spread[:1] / s.sigma[:1]).square())

    def update(self, s: State, x: Tensor, fitness: Tensor) -> None:
        dim, points = s.problem.dim, fitness.shape[1]
        rates = self.rates(dim, points)
        best = fitness.amin(1)
        learns = (best < math.inf).to(torch.float64).reshape(-1, 1, 1)
        weights = learns * by_rank(rates.weights, fitness)
        good = weights.clamp(min=0.0)

        y = (x - s.mean).div_(s.sigma)
        z = self.whitened(s, y.to(x.dtype))
        inverse = torch.linalg.vector_norm(z, dim=-1, keepdim=True).double().add_(1e-9).reciprocal_()
        shorten = (_farthest(dim) * inverse).clamp_(max=1.0)
        shortened = good * shorten
        pulls = shortened.mT
        shift = torch.bmm(pulls, y)
        s.mean = torch.addcmul(s.mean, s.sigma, shift)

        straight = self.upright(s, torch.bmm(pulls.to(z.dtype), z).double())
        del z  # as large as the population: before another such is made
        s.step_path = torch.addcmul(s.step_path, s.step_path, learns, value=-rates.step)
        s.step_path.add_(straight, alpha=math.sqrt(rates.step * (2 - rates.step) * rates.mass))
        length = torch.linalg.vector_norm(s.step_path, dim=-1, keepdim=True)

        # While the step size has yet to grow, the path of C waits: it would stretch C instead.
        settled = 1 - (1 - rates.step) ** (2 * s.generation + 2)
        goes = (length < math.sqrt((2 + 4 / (dim + 1)) * dim * settled)).to(torch.float64)
        s.path = torch.addcmul(s.path, s.path, learns, value=-rates.path)
        s.path.addcmul_(goes, shift, value=math.sqrt(rates.path * (2 - rates.path) * rates.mass))

        missed = rates.one * rates.path * (2 - rates.path)  # by a path that waits, and kept by C
        lost = (goes * missed).add_(rates.one + rates.mu * rates.total - missed).mul_(learns)
        # The bad ones are cut to length sqrt(D), and so cannot make C indefinite.
        of_points = shortened.mul_(shorten).addcmul_(weights - good, inverse.square_(), value=dim)
        self.learn(s, lost, learns * s.path, y, of_points, rates)

        growth = (length - rates.length).mul_(learns).mul_(rates.step / (rates.damping * rates.length))
        s.sigma = kept_finite(growth.clamp_(max=1.0).exp_().mul_(s.sigma))
        s.fitness = fitness
        s.bests.select(1, s.generation % s.bests.shape[1]).copy_(best)

    def center(self, s: State) -> Tensor:
        return s.mean[:, 0].to(s.problem.dtype, copy=True)

    def stops(self, s: State) -> dict[str, Tensor]:
        """As pycma's, of which these are the ones that matter to functions without noise."""
        if s.generation == 0:
            return {}
        deviations = s.sigma * self.variances(s).sqrt()
        lengths = self.spectrum(s)
        bests = s.bests[:, : s.generation]
        lately = bests.amax(1) - bests.amin(1)
        now = s.fitness.amax(1) - s.fitness.amin(1)
        small = ((deviations < self.tolx) & (s.sigma * s.path.abs() < self.tolx)).all(-1)
        mean, moved = (x.to(s.problem.dtype) for x in (s.mean, s.mean + 0.2 * deviations))
        return {
            "tolx": small.flatten(),
            "tolfun": (now < self.tolfun) & (lately < self.tolfun),
            "tolfunhist": (lately < self.tolfunhist) & (bests.shape[1] > 9),
            "tolfacupx": (deviations > self.tolfacupx * s.spread).any(-1).flatten(),
            "condition": (lengths.amax(-1) > math.sqrt(self.condition) * lengths.amin(-1)).flatten(),
            "no effect": (mean == moved).any(-1).flatten(),  # of a fifth of a standard deviation, in some dimension
        }


def by_rank(weights: tuple[float, ...], fitness: Tensor) -> Tensor:
    """The weight of each point (runs, P, 1), float64, by the rank of its fitness (runs, P)."""
    ordered = _vector(weights, fitness.device).expand(fitness.shape)
    return torch.empty_like(ordered).scatter_(1, fitness.argsort(dim=1, stable=True), ordered).unsqueeze_(-1)


@lru_cache(maxsize=256)
def _vector(values: tuple[float, ...], device: torch.device) -> Tensor:
    return torch.tensor(values, dtype=torch.float64, device=device)


def _farthest(dim: int) -> float:
    """The length, whitened, to which points from elsewhere are shortened (Hansen, Injecting external solutions into
    CMA-ES, 2011). Samples are not: they get beyond with chance 1e-12 or less."""
    return math.sqrt(dim) + 6


def in_range(x: Tensor) -> Tensor:
    """Points that the dtype can hold, changed in place: down a slope without an end the mean leaves it."""
    most = torch.finfo(x.dtype).max / 4
    return x.nan_to_num_(0.0, most, -most)
