"""The quantum-inspired evolutionary algorithm, whose individuals are probabilities of bits."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from thalweg.search.algorithm import Algorithm, State
from thalweg.search.checks import check_whole, check_within
from thalweg.search.spaces import Bits


@dataclass(frozen=True)
class QEA(Algorithm):
    """Q-bits that are observed, and turned towards the best that they were observed as.

    A Q-bit is an angle theta and is observed as 1 with probability sin^2 theta. An individual has one for each bit,
    all at pi / 4 in the beginning, and keeps the best point b that it was observed as or that came to it from others.
    After an observation x each Q-bit turns by an angle of the table `rotation`, but never so far that one of its two
    values keeps less than the probability `epsilon` (the gate H_epsilon).

    Arguments:
        population: so many individuals, each observed once a generation.
        rotation: angles in units of pi for (x_i, b_i, whether x is as good as b), in the order (0, 0, no),
            (0, 0, yes), (0, 1, no), ..., (1, 1, yes).
        local_migration, global_migration: in every so manieth generation, each b becomes the best of its group, or of
            all, if that is better.
        group: so many neighbours are a group.
    """

    title = "quantum-inspired evolutionary algorithm"
    purpose = "Bits, with a small population: masks of features, pruning, knapsacks."
    source = (
        "Han and Kim, Quantum-inspired evolutionary algorithm for a class of combinatorial optimization, IEEE "
        "Transactions on Evolutionary Computation 6(6), 2002; H_epsilon: 8(2), 2004"
    )
    spaces = (Bits,)

    population: int = 10
    rotation: tuple[float, ...] = (0.0, 0.0, 0.01, 0.0, -0.01, 0.0, 0.0, 0.0)
    epsilon: float = 0.01
    local_migration: int = 1
    global_migration: int = 100
    group: int = 2

    def __post_init__(self) -> None:
        check_whole(population=self.population, local_migration=self.local_migration)
        check_whole(global_migration=self.global_migration, group=self.group)
        if not isinstance(self.rotation, (tuple, list)) or len(self.rotation) != 8:
            raise ValueError(f"rotation must be 8 numbers, one for each case, got {self.rotation!r:.80}")
        check_within("(-inf, inf)", rotation=self.rotation)
        check_within("[0, 0.5)", epsilon=self.epsilon)

    def init(self, s: State) -> None:
        problem = s.problem
        shape = (problem.runs, self.population, problem.dim)
        s.theta = torch.full(shape, math.pi / 4, dtype=problem.dtype, device=problem.device)
        s.best_x = torch.zeros_like(s.theta)
        s.best_f = torch.full_like(s.theta[..., :1], math.inf)

    def sample(self, s: State) -> Tensor:
        x = (s.draws.uniform(*s.theta.shape[1:]) < s.theta.sin().square()).to(s.theta.dtype)
        if s.generation == 0 and s.problem.x0 is not None:
            x[:, :1] = s.problem.x0
        return x

    def update(self, s: State, x: Tensor, fitness: Tensor) -> None:
        fitness = fitness.unsqueeze(-1)
        case = (4 * x + 2 * s.best_x + (fitness <= s.best_f)).long()
        angles = math.pi * torch.tensor(self.rotation, dtype=x.dtype, device=x.device)
        least = math.asin(math.sqrt(self.epsilon))
        s.theta = (s.theta + angles[case]).clamp_(least, math.pi / 2 - least)
        better = fitness < s.best_f
        s.best_x, s.best_f = torch.where(better, x, s.best_x), torch.where(better, fitness, s.best_f)
        if s.generation and s.generation % self.global_migration == 0:
            self._migrate(s, self.population)
        elif s.generation and s.generation % self.local_migration == 0:
            self._migrate(s, self.group)

    def receive(self, s: State, x: Tensor, fitness: Tensor, runs: Tensor) -> None:
        """In the place of the worst of the individuals' bests."""
        row = torch.arange(self.population, device=x.device).reshape(-1, 1)
        placed = (row == s.best_f.argmax(dim=1, keepdim=True)) & runs.reshape(-1, 1, 1)
        s.best_x = torch.where(placed, x.unsqueeze(1), s.best_x)
        s.best_f = torch.where(placed, fitness.reshape(-1, 1, 1), s.best_f)

    def _migrate(self, s: State, size: int) -> None:
        """Each best becomes that of the best individual among `size` neighbours."""
        group = torch.arange(self.population, device=s.best_f.device) // size
        together = group.unsqueeze(1) == group
        value, source = torch.where(together, s.best_f.mT, math.inf).min(dim=-1, keepdim=True)
        better = value < s.best_f
        s.best_x = torch.where(better, s.best_x.gather(1, source.expand_as(s.best_x)), s.best_x)
        s.best_f = torch.where(better, value, s.best_f)
