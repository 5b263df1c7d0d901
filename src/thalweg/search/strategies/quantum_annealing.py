"""Simulated quantum annealing of bits: path-integral Monte Carlo over coupled replicas."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from thalweg.search.algorithm import Algorithm, State
from thalweg.search.checks import check_within, is_whole
from thalweg.search.spaces import Bits
from thalweg.search.strategies.discrete import drawn


@dataclass(frozen=True)
class SQA(Algorithm):
    """Bits in a transverse field that goes down linearly with the budget, simulated by the path integral.

    P replicas of the bits lie on a ring. As spins s = 2 x - 1 they have, at temperature PT, the energy

        sum_k f(x_k) - J sum_k sum_i s_ik s_i,k+1,    J = -(PT / 2) ln tanh(Gamma / PT)

    so that they become one as the field Gamma goes down. A generation proposes for each replica to flip one bit, drawn
    anew. What that does to f depends on no other replica, so that all are evaluated at once; then the even ones accept
    or not by Metropolis's rule, and then the odd ones, by where their neighbours are now. So at constant Gamma the
    distribution that replicas come to is Boltzmann's.

    Arguments:
        replicas: P, even.
        temperature: PT.
        field, last_field: Gamma in the beginning and in the end.
        unit: of energy, in which these three are; without one the mean change of f by the first flips that change it,
            in each run by itself.

    The defaults did best of 2 to 16 replicas at temperatures and fields of 0.1 to 3 on knapsacks and random quadratic
    objectives of 100 bits, in 20,000 to 50,000 evaluations. More replicas want more evaluations.
    """

    title = "simulated quantum annealing"
    purpose = "Bits, where barriers are high but thin, so that replicas tunnel through; needs a budget."
    source = (
        "Martonak, Santoro and Tosatti, Quantum annealing by the path-integral Monte Carlo method: the two-dimensional "
        "random Ising model, Physical Review B 66, 2002"
    )
    spaces = (Bits,)
    batched = ("temperature", "field", "last_field", "unit")

    replicas: int = 8
    temperature: float | Tensor = 0.2
    field: float | Tensor = 0.3
    last_field: float | Tensor = 0.0
    unit: float | Tensor | None = None

    def __post_init__(self) -> None:
        if not is_whole(self.replicas) or self.replicas < 2 or self.replicas % 2:
            raise ValueError(f"replicas must be an even number >= 2, got {self.replicas!r}")
        check_within("(0, inf]", temperature=self.temperature, unit=self.unit)
        check_within("[0, inf]", field=self.field, last_field=self.last_field)

    def init(self, s: State) -> None:
        if s.problem.budget is None:
            raise ValueError("budget must be given for sqa, whose field goes down with it, got None")
        s.x = drawn(s, self.replicas)
        s.energy = torch.full_like(s.x[..., :1], math.inf)
        s.unit = torch.zeros_like(s.energy[:, :1]) + (0.0 if self.unit is None else self.unit)

    def sample(self, s: State) -> Tensor:
        if s.generation == 0:
            return s.x.clone()
        place = s.draws.integers(s.problem.dim, self.replicas, 1)
        return s.x.scatter(-1, place, 1 - s.x.gather(-1, place))

    def update(self, s: State, x: Tensor, fitness: Tensor) -> None:
        fitness = fitness.unsqueeze(-1)
        if s.generation == 0:
            s.x, s.energy = x.clone(), fitness.clone()
            return
        change = torch.where(fitness == s.energy, 0.0, fitness - s.energy)
        s.unit = torch.where(s.unit > 0, s.unit, _mean_size(change))
        change = change / (self.temperature * torch.where(s.unit > 0, s.unit, 1.0))
        hold = coupling(self.field + (self.last_field - self.field) * s.progress, self.temperature)
        chance = s.draws.uniform(self.replicas, 1)
        odd = torch.arange(self.replicas, device=x.device).reshape(-1, 1) % 2
        for turn in (0, 1):
            neighbours = 2 * (s.x.roll(1, dims=1) + s.x.roll(-1, dims=1)) - 2  # the sum of two spins
            pull = hold * (2 * (x - s.x) * neighbours).sum(-1, keepdim=True)
            accepted = (odd == turn) & (chance < (pull - change).exp())
            s.x = torch.where(accepted, x, s.x)
            s.energy = torch.where(accepted, fitness, s.energy)

    def receive(self, s: State, x: Tensor, fitness: Tensor, runs: Tensor) -> None:
        """In the place of the worst replica."""
        row = torch.arange(self.replicas, device=x.device).reshape(-1, 1)
        placed = (row == s.energy.argmax(dim=1, keepdim=True)) & runs.reshape(-1, 1, 1)
        s.x = torch.where(placed, x.unsqueeze(1), s.x)
        s.energy = torch.where(placed, fitness.reshape(-1, 1, 1), s.energy)


def coupling(field: Tensor, temperature: Tensor | float) -> Tensor:
    """J / PT = -ln(tanh(Gamma / PT)) / 2: by how much of a temperature spins of neighbouring replicas hold together."""
    ratio = field / temperature
    return -0.5 * ratio.clamp(min=torch.finfo(ratio.dtype).tiny).tanh().log()


def _mean_size(change: Tensor) -> Tensor:
    """Of those of a run's changes (runs, P, 1) that are changes and finite; 0 where there are none."""
    counts = (change != 0) & change.isfinite()
    return torch.where(counts, change.abs(), 0.0).sum(1, keepdim=True) / counts.sum(1, keepdim=True).clamp(min=1)
