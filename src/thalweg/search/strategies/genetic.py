"""Genetic algorithms: with crossover, for functions, and by mutation and truncation alone, for networks."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from thalweg.search.algorithm import Algorithm, State, initial
from thalweg.search.checks import check_positive, check_whole, check_within
from thalweg.search.spaces import Box


@dataclass(frozen=True)
class GA(Algorithm):
    """The (mu + mu) genetic algorithm of real vectors: binary tournaments, simulated binary crossover, polynomial
    mutation, and the best of parents and children survive.

    Arguments:
        population: so many parents, and so many children of theirs in a generation.
        crossover: the probability that two parents cross; half of their genes do then, and half of those change sides.
        eta_crossover: the larger, the nearer to their parents children are.
        mutation: how many genes of a child mutate, on average.
        eta_mutation: the larger, the smaller mutations are: about `1 / eta_mutation` of the box.

    Where there is a sigma0, mutations are as in a box five times as wide as it. Two that are the same are never both
    kept where there are others, and a child that crossover left as a parent was always mutates. Fitness is asked once:
    where it is noisy, who was lucky lives for ever.
    """

    title = "genetic algorithm"
    purpose = "Many dimensions, separable or nearly so, where a good solution matters more than its last digits."
    source = (
        "Deb and Agrawal, Simulated binary crossover for continuous search space, Complex Systems 9, 1995; bounded: "
        "A niched-penalty approach for constraint handling in genetic algorithms, ICANNGA 1999"
    )
    batched = ("crossover", "eta_crossover", "eta_mutation")

    population: int = 100
    crossover: float | Tensor = 0.9
    eta_crossover: float | Tensor = 15.0
    mutation: float = 1.0
    eta_mutation: float | Tensor = 20.0

    def __post_init__(self) -> None:
        check_whole(2, population=self.population)
        check_within("[0, 1]", crossover=self.crossover)
        check_positive(mutation=self.mutation)
        check_within("[0, inf]", eta_crossover=self.eta_crossover, eta_mutation=self.eta_mutation)

    def init(self, s: State) -> None:
        pass

    def sample(self, s: State) -> Tensor:
        if s.generation == 0:
            return initial(s, self.population)
        x, alike = self._crossed(s)
        self._mutate(s, x, alike)
        return x.clamp_(s.problem.low, s.problem.high)

    def update(self, s: State, x: Tensor, fitness: Tensor) -> None:
        # The pool has places for parents and children. `order` has the living first, best first, then the free places:
        # nobody moves, and children take the places of the dead.
        if s.generation == 0:
            s.pool, s.sketch = torch.cat([x, x], 1), sketch(x).repeat(1, 2)
            s.f = torch.cat([torch.full_like(fitness, math.inf), fitness], 1)
            s.order = ranked(s.sketch, s.f)
        else:
            self._put(s, s.order[:, self.population :], x, fitness)

    def receive(self, s: State, x: Tensor, fitness: Tensor, runs: Tensor) -> None:
        if s.generation > 0:
            self._put(s, s.order[:, -1:], x.unsqueeze(1).clone(), torch.where(runs, fitness, math.inf).unsqueeze(1))

    @staticmethod
    def _put(s: State, free: Tensor, x: Tensor, fitness: Tensor) -> None:
        """Puts points, which are overwritten, in free places."""
        dim = x.shape[-1]
        s.pool.view(-1, dim).index_copy_(0, _places(s.pool, free), x.reshape(-1, dim))
        s.sketch, s.f = s.sketch.scatter(1, free, x.mul_(weights(x)).sum(-1)), s.f.scatter(1, free, fitness)
        s.order = ranked(s.sketch, s.f)

    def _crossed(self, s: State) -> tuple[Tensor, Tensor]:
        """Children (runs, P, D), and which of them, (runs, P), are still what a parent was."""
        pairs = (self.population + 1) // 2
        # The better of two has the lower rank.
        first, second = s.draws.integers(self.population, 2, 2 * pairs).unbind(1)
        x = rows(s.pool, s.order.gather(1, torch.minimum(first, second)))
        mothers, fathers = x.split(pairs, 1)
        gap = fathers - mothers
        # One number decides three things: its half whether a gene crosses, its quarter whether that changes sides, and
        # its place in the quarter how far it spreads. By arithmetic, for torch.where is slow.
        u = s.draws.factors(pairs, s.problem.dim).mul_(4)
        quarter = u.floor()
        spread = sbx_spread(u.sub_(quarter), self._crowding(s, mothers, gap), self.eta_crossover)
        stays = quarter.clamp(max=1).sub_(0.5)
        share = spread.mul_(stays).sub_(0.5).mul_(quarter.clamp_(1, 2).sub_(2))
        cross = s.draws.uniform(pairs, 1) < self.crossover
        gap.mul_(share).mul_(cross)
        mothers.add_(gap)
        fathers.sub_(gap)
        alike = (gap.abs_().sum(-1) == 0).repeat(1, 2)
        return x[:, : self.population].contiguous(), alike[:, : self.population]

    @staticmethod
    def _crowding(s: State, mothers: Tensor, gap: Tensor) -> Tensor:
        """The gap between parents as a share of the widest with the same middle that is still in the box."""
        middle = torch.add(mothers, gap, alpha=0.5)
        above = s.problem.high - middle
        room = middle.sub_(s.problem.low)
        torch.minimum(room, above, out=room).clamp_(min=torch.finfo(gap.dtype).tiny)
        return torch.abs(gap, out=above).mul_(0.5).div_(room).clamp_(max=1)

    def _mutate(self, s: State, x: Tensor, alike: Tensor) -> None:
        """Changes `mutation` genes of a child on average, in place, and one more of those that are alike."""
        runs, count, dim = x.shape
        size, genes = count * dim, x.view(runs, -1)
        due = s.draws.integers(dim, count) + torch.arange(0, size, dim, device=x.device)
        at = torch.cat([coins(s, min(1.0, self.mutation / dim), size), due.masked_fill_(~alike, size)], 1)
        meant = at < size
        at.clamp_(max=size - 1)
        u, place = s.draws.uniform(at.shape[1]), at % dim
        side = torch.where(u < 0.5, s.problem.low[place], s.problem.high[place])
        width = s.problem.width[place]
        reach = (side - genes.gather(1, at)).abs_().div_(width).clamp_(max=1)
        eta = self.eta_mutation.reshape(-1, 1) if isinstance(self.eta_mutation, Tensor) else self.eta_mutation
        genes.scatter_add_(1, at, pm_shift(u, reach, eta) * width * meant)


@dataclass(frozen=True)
class TruncationGA(Algorithm):
    """The genetic algorithm that trains deep networks by mutation alone: every child is one of the `parents` best with
    normal noise on all its genes, and the best of them lives on, to be judged again beside its children.

    `sigma`: the standard deviation of the noise in units of sigma0, or without one, of a fiftieth of the box. Of
    networks 0.002 to 0.005 is published, which is about a tenth of the spread of initial weights.
    """

    title = "genetic algorithm by mutation and truncation"
    purpose = "Networks, also where fitness is noisy or gradients mislead; not for the last digits of a function."
    source = (
        "Such et al., Deep neuroevolution: genetic algorithms are a competitive alternative for training deep neural "
        "networks for reinforcement learning, arXiv:1712.06567, 2017"
    )
    batched = ("sigma",)

    population: int = 200
    parents: int = 20
    sigma: float | Tensor = 1.0

    def __post_init__(self) -> None:
        check_whole(2, population=self.population)
        check_whole(parents=self.parents)
        check_positive(sigma=self.sigma)

    def init(self, s: State) -> None:
        pass

    def sample(self, s: State) -> Tensor:
        if s.generation == 0:
            return initial(s, self.population)
        problem = s.problem
        assert isinstance(problem.space, Box)
        scale = 0.02 * (problem.high - problem.low) if problem.sigma0 is None else problem.sigma0
        chosen = rows(s.x, s.draws.integers(s.x.shape[1], self.population - 1))
        children = chosen.add_(self.sigma * scale * s.draws.normal(self.population - 1, problem.dim))
        return problem.space.reflect(torch.cat([s.x[:, :1], children], 1))

    def update(self, s: State, x: Tensor, fitness: Tensor) -> None:
        # All that lives was judged now: on the next batch of data yesterday's fitness says little.
        s.x = rows(x, ranked(sketch(x), fitness)[:, : self.parents])

    def receive(self, s: State, x: Tensor, fitness: Tensor, runs: Tensor) -> None:
        if s.generation > 0:
            s.x = torch.where(runs.reshape(-1, 1, 1), torch.cat([x.unsqueeze(1), s.x[:, :-1]], 1), s.x)


def rows(x: Tensor, at: Tensor) -> Tensor:
    """Rows (runs, n, D) of x (runs, P, D) at places (runs, n)."""
    return x.reshape(-1, x.shape[-1]).index_select(0, _places(x, at)).view(*at.shape, -1)


def sketch(x: Tensor) -> Tensor:
    """A number for each point, (runs, P): that of two is the same if they are the same, and else hardly ever."""
    return (x * weights(x)).sum(-1)


def weights(x: Tensor) -> Tensor:
    """Of coordinates in a sketch, (D,): between 1 and 2, all different."""
    place = torch.arange(1, x.shape[-1] + 1, dtype=torch.float64, device=x.device)
    return (1 + (place * 0.5 * (math.sqrt(5) - 1)) % 1).to(x)


def ranked(sketches: Tensor, fitness: Tensor) -> Tensor:
    """The order of points by their fitness, (runs, P); of points that are the same all but one count as inf.

    The same are those of equal fitness and equal sketch, so that the best fitness always comes first.
    """
    sketches, order = sketches.sort(dim=1, stable=True)
    fitness = fitness.gather(1, order)
    twin = (sketches[:, 1:] == sketches[:, :-1]) & (fitness[:, 1:] == fitness[:, :-1])
    fitness[:, 1:].masked_fill_(twin, math.inf)
    return order.gather(1, fitness.argsort(dim=1, stable=True))


def sbx_spread(u: Tensor, crowding: Tensor, eta: float | Tensor) -> Tensor:
    """How many times as far apart as their parents two children are, at uniform u; at most `1 / crowding`, which is
    overwritten.

    The density is `(eta + 1) spread**eta / alpha` up to 1 and `(eta + 1) spread**-(eta + 2) / alpha` beyond, where
    `alpha = 2 - crowding**(eta + 1)`.
    """
    v = _power(crowding, eta + 1).neg_().add_(2).mul_(u)
    return _power(v.clamp(max=1).div_(v.clamp_(min=1).neg_().add_(2)), 1 / (eta + 1))


def pm_shift(u: Tensor, reach: Tensor, eta: float | Tensor) -> Tensor:
    """How far a gene mutates in units of the box, at uniform u: down where u < 1/2, else up; at most `reach`.

    Where `reach` is 1 both ways, the density is `(eta + 1) / 2 * (1 - |shift|)**eta`.
    """
    v = 2 * u - 1
    remains = 1 - v.abs() * (1 - _power(1 - reach, eta + 1))
    return v.sign() * (1 - _power(remains, 1 / (eta + 1)))


def _power(x: Tensor, exponent: float | Tensor) -> Tensor:
    """x >= 0, which is overwritten, to a positive power, in half the time of torch.pow, which must look after signs."""
    return x.log2_().mul_(exponent).exp2_()


def coins(s: State, p: float, count: int) -> Tensor:
    """The places among `count`, in order, where a coin of probability p falls heads: int64 (runs, n), where those that
    are >= count mean nothing.

    The gaps between them are geometric, so that rare ones cost few draws. The number of gaps is six standard
    deviations more than what is needed on average.
    """
    expected = count * p
    n = min(count, math.ceil(expected + 6 * math.sqrt(expected) + 6))
    scale = math.log1p(-p) if p < 1 else -math.inf
    gaps = 1 + (torch.log1p(-s.draws.uniform(n)) / scale).clamp_(max=count).long()
    return gaps.cumsum(1) - 1


def _places(x: Tensor, at: Tensor) -> Tensor:
    """Places (runs, n) of rows, as places among the rows of all runs, (runs * n,)."""
    if len(x) == 1:
        return at.reshape(-1)
    return (at + x.shape[1] * torch.arange(len(x), device=x.device).unsqueeze(1)).reshape(-1)
