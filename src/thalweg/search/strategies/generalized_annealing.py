"""Generalized simulated annealing: heavy-tailed visits that narrow faster than they could if they were normal."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from thalweg.search.algorithm import Algorithm, State, initial
from thalweg.search.checks import check_positive, check_whole, check_within, checked_number
from thalweg.search.spaces import Box


@dataclass(frozen=True)
class GSA(Algorithm):
    """Generalized simulated annealing by Tsallis' statistics, as scipy's `dual_annealing` without its local search.

    At iteration i, from 0, the temperature is `T_i = T (2^(qv - 1) - 1) / ((i + 2)^(qv - 1) - 1)` and a chain makes 2 D
    visits: D in which all coordinates move, by draws of the visiting distribution, then one for each coordinate. It
    goes there if that is better, else with probability `max(0, 1 - (1 - qa) (f' - f) (i + 1) / T_i)^(1 / (1 - qa))`.
    Once T_i is below `restart` times T it begins anew, at a random point.

    Arguments:
        chains: more than one know nothing of each other; at equal evaluations one is best.
        qv: the shape of the visits, in (1, 3): 2 is Cauchy's, larger has heavier tails.
        qa: of acceptance, < 1: the lower, the less is accepted that is worse.
        temperature: to begin with. Fitness is expected in units in which this is much, and T = 1 little.
        restart: the share of it at which a chain starts anew.

    Unlike scipy's, its lengths are in tenths of the box (where there is a sigma0, in halves of that), so that it does
    the same in any box; and it mirrors at the sides what scipy puts at the opposite one.
    """

    title = "generalized simulated annealing"
    purpose = "Rugged functions, above all together with a local search that takes it to the bottom of each valley."
    source = (
        "Tsallis and Stariolo, Generalized simulated annealing, Physica A 233, 1996; Xiang et al., Generalized "
        "simulated annealing algorithm and its application to the Thomson model, Physics Letters A 233, 1997"
    )

    chains: int = 1
    qv: float = 2.62
    qa: float = -5.0
    temperature: float = 5230.0
    restart: float = 2e-5

    def __post_init__(self) -> None:
        check_whole(chains=self.chains)
        check_within("(1, 3)", qv=self.qv)
        if not -math.inf < checked_number("qa", self.qa) < 1:
            raise ValueError(f"qa must be < 1 and finite, got {self.qa}")
        check_positive(temperature=self.temperature)
        check_within("(0, 1)", restart=self.restart)

    def init(self, s: State) -> None:
        s.iteration, s.visit = 0, -1  # -1: the chains' first points are not known yet

    def sample(self, s: State) -> Tensor:
        problem = s.problem
        assert isinstance(problem.space, Box)
        if s.visit < 0:
            # x0 is where the first chain begins, but not where it begins anew.
            return initial(s, self.chains) if s.generation == 0 else initial(s, self.chains + 1)[:, 1:].contiguous()
        x, single = s.x.clone(), s.visit - problem.dim
        moving = slice(None) if single < 0 else slice(single, single + 1)
        x[..., moving] += 0.1 * problem.width[moving] * self._visits(s, problem.dim if single < 0 else 1)
        return problem.space.reflect(x)

    def update(self, s: State, x: Tensor, fitness: Tensor) -> None:
        fitness = fitness.unsqueeze(-1)
        if s.visit < 0:
            s.x, s.f, s.visit = x.clone(), fitness.clone(), 0
            return
        chances = chance(s.f, fitness, self.cooled(s.iteration) / (s.iteration + 1), self.qa)
        accepted = s.draws.uniform(self.chains, 1) < chances
        s.x = torch.where(accepted, x, s.x)
        s.f = torch.where(accepted, fitness, s.f)
        s.visit += 1
        if s.visit == 2 * s.problem.dim:
            s.iteration, s.visit = s.iteration + 1, 0
            if self.cooled(s.iteration) < self.restart * self.temperature:
                s.iteration, s.visit = 0, -1

    def receive(self, s: State, x: Tensor, fitness: Tensor, runs: Tensor) -> None:
        if s.visit >= 0:
            lowest = torch.arange(self.chains, device=x.device).reshape(1, -1, 1) == s.f.argmin(1, keepdim=True)
            taken = lowest & runs.reshape(-1, 1, 1)
            s.x = torch.where(taken, x.unsqueeze(1), s.x)
            s.f = torch.where(taken, fitness.reshape(-1, 1, 1), s.f)

    def cooled(self, iteration: int) -> float:
        """The temperature of the visits."""
        return self.temperature * (2 ** (self.qv - 1) - 1) / ((iteration + 2) ** (self.qv - 1) - 1)

    def _visits(self, s: State, dim: int) -> Tensor:
        """(runs, chains, dim), folded into [-10, 10): a box and its mirror images repeat after 20, and without a box
        nobody should go further at once. Of those so far away that rounding would leave less than half of the digits,
        what is left of multiples of 20 is drawn anew."""
        normal = s.draws.normal(2, self.chains, dim)
        far = torch.finfo(s.problem.dtype).eps ** -0.5
        v = visits(normal[:, 0], normal[:, 1], self.cooled(s.iteration), self.qv)
        v = torch.where(v.abs() < far, v, 20 * s.draws.uniform(self.chains, dim))
        return torch.remainder(v + 10, 20) - 10


def visits(x: Tensor, y: Tensor, temperature: float, qv: float) -> Tensor:
    """Draws from the visiting distribution of index qv at a temperature, from two standard normal numbers each: one
    over a power of the other (Tsallis and Stariolo, section 3). Of index 2 it is Cauchy's, of that scale."""
    power = (qv - 1) / (3 - qv)
    spread = temperature ** (1 / (qv - 1)) * math.sqrt(math.pi) * (qv - 1) ** (4 - qv)
    spread /= 2 ** ((2 - qv) / (qv - 1)) * (3 - qv) * math.gamma(1 / (qv - 1) - 0.5)
    return spread**power * x / (y.abs() ** power).clamp_(min=torch.finfo(y.dtype).tiny)


def chance(f: Tensor, proposed: Tensor, temperature: float, qa: float) -> Tensor:
    """The probability with which a chain goes from fitness f to the proposed one."""
    base = 1 - (1 - qa) * (proposed - f) / temperature
    return torch.where(proposed <= f, 1.0, base.clamp(min=0) ** (1 / (1 - qa)))
