"""Simulated annealing: many chains that cool, alone or by parallel tempering."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from thalweg.search.algorithm import Algorithm, State, initial
from thalweg.search.checks import check_whole, check_within
from thalweg.search.spaces import Box

FIRST = 10  # points from which the temperature to begin with is taken, at least


@dataclass(frozen=True)
class SA(Algorithm):
    """Boltzmann annealing of `chains` points: each goes to a normal point around it with probability
    `min(1, exp(-(f' - f) / T))`, and widens or narrows its steps so that it goes a share `acceptance` of the time.

    T falls geometrically, from how much worse the median of the first generation is than its best, to `final` times
    that at the end of the budget; or by `rate` a generation. It needs one of the two. So fitness may be in any unit.

    Arguments:
        acceptance: the share of proposals to accept, 0.44 (Roberts and Rosenthal 2001: the best in one dimension).
        tempering: how many times as hot as the coldest chain the hottest is, where they form a ladder of temperatures,
            geometric from T up; neighbours exchange points every `swap_every` generations, with probability
            `min(1, exp((f_i - f_j) (1 / T_i - 1 / T_j)))`. None: all are at T and know nothing of each other.

    The best is the best point that any chain proposed, accepted or not; at the end chains are usually somewhere near.
    """

    title = "simulated annealing"
    purpose = "The classic, to compare with: robust and simple, slow, and only as good as the budget is large."
    source = (
        "Kirkpatrick, Gelatt and Vecchi, Optimization by simulated annealing, Science 220, 1983; tempering: Geyer, "
        "Markov chain Monte Carlo maximum likelihood, 1991"
    )
    batched = ("acceptance",)

    chains: int = 16
    acceptance: float | Tensor = 0.44
    final: float = 1e-12
    rate: float | None = None
    tempering: float | None = None
    swap_every: int = 10

    def __post_init__(self) -> None:
        check_whole(chains=self.chains, swap_every=self.swap_every)
        check_within("(0, 1)", acceptance=self.acceptance)
        check_within("(0, 1]", final=self.final, rate=self.rate)
        check_within("[1, inf]", tempering=self.tempering)
        if self.tempering is not None and self.chains == 1:
            raise ValueError(f"tempering must be >= 1, of at least 2 chains, got {self.tempering} of {self.chains}")

    def init(self, s: State) -> None:
        if self.rate is None and s.problem.budget is None:
            raise ValueError("budget must be given for annealing to cool by, or its rate; got None for both")
        # In fifths of the box, or units of sigma0.
        s.step = torch.ones(s.problem.runs, self.chains, 1, dtype=s.problem.dtype, device=s.problem.device)

    def sample(self, s: State) -> Tensor:
        problem = s.problem
        assert isinstance(problem.space, Box)
        if s.generation == 0:
            return initial(s, max(self.chains, FIRST))
        return problem.space.reflect(s.x + s.step * 0.2 * problem.width * s.draws.normal(self.chains, problem.dim))

    def update(self, s: State, x: Tensor, fitness: Tensor) -> None:
        if s.generation == 0:
            s.first = _worse_than_best(fitness).unsqueeze(-1)
            s.x, s.f = x[:, : self.chains].clone(), fitness[:, : self.chains, None].clone()
            return
        fitness = fitness.unsqueeze(-1)
        accepted = s.draws.uniform(self.chains, 1) < chance(s.f, fitness, self.temperatures(s))
        s.x = torch.where(accepted, x, s.x)
        s.f = torch.where(accepted, fitness, s.f)
        # Slow against the noise of single decisions, fast against cooling. No step is wider than a box.
        s.step = (s.step * torch.exp(0.1 * (accepted.to(x) - self.acceptance))).clamp_(max=5)
        if self.tempering is not None and s.generation % self.swap_every == 0:
            self._swap(s)

    def receive(self, s: State, x: Tensor, fitness: Tensor, runs: Tensor) -> None:
        if s.generation > 0:
            worst = s.f == s.f.amax(1, keepdim=True)
            first = (worst.cumsum(1) == 1) & worst & runs.reshape(-1, 1, 1)
            s.x = torch.where(first, x.unsqueeze(1), s.x)
            s.f = torch.where(first, fitness.reshape(-1, 1, 1), s.f)

    def temperatures(self, s: State) -> Tensor:
        """Those of the chains, the coldest first, (runs, chains, 1)."""
        cooled = self.final**s.progress if self.rate is None else self.rate**s.generation
        rung = torch.linspace(0, 1, self.chains, dtype=s.problem.dtype, device=s.problem.device).unsqueeze(-1)
        return (s.first * cooled * (self.tempering or 1.0) ** rung).clamp_(min=torch.finfo(s.problem.dtype).tiny)

    def _swap(self, s: State) -> None:
        """Pairs of neighbours on the ladder, (0, 1), (2, 3), ... and (1, 2), (3, 4), ... in turn, exchange points."""
        odd = s.generation // self.swap_every % 2
        count = (self.chains - odd) // 2
        low = torch.arange(odd, odd + 2 * count, 2, device=s.x.device)
        cold = 1 / self.temperatures(s)
        exponent = (s.f[:, low] - s.f[:, low + 1]) * (cold[:, low] - cold[:, low + 1])
        swapped = (s.draws.uniform(count, 1) < exponent.exp()).squeeze(-1).long()
        source = torch.arange(self.chains, device=s.x.device).repeat(len(s.x), 1)
        source[:, low] += swapped
        source[:, low + 1] -= swapped
        s.x = s.x.gather(1, source.unsqueeze(-1).expand_as(s.x))
        s.f = s.f.gather(1, source.unsqueeze(-1))


def chance(f: Tensor, proposed: Tensor, temperature: Tensor) -> Tensor:
    """The probability with which a chain goes from fitness f to the proposed one."""
    return torch.where(proposed <= f, 1.0, torch.exp((f - proposed) / temperature))


def _worse_than_best(fitness: Tensor) -> Tensor:
    """How much worse the median is than the best, (runs, 1); 1 where that is no positive number."""
    gap = fitness.median(1, keepdim=True).values - fitness.amin(1, keepdim=True)
    return torch.where((gap > 0) & gap.isfinite(), gap, 1.0)
