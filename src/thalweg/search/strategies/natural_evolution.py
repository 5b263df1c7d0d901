"""Separable natural evolution strategies."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from thalweg.search.algorithm import Algorithm, State, middle
from thalweg.search.checks import check_positive
from thalweg.search.strategies.fitness_shaping import (
    check_population,
    kept_finite,
    natural,
    points_for,
    shaped,
)

FARTHEST = 7.0  # standard deviations: a sample's coordinate lies beyond with chance 3e-12


@dataclass(frozen=True)
class SNES(Algorithm):
    """A normal distribution without correlations, which follows the natural gradient of the expected worth of ranks:

        z = (x - mean) / sd
        mean += lr_mean sd sum(u z)
        sd *= exp(lr_sigma / 2 sum(u (z^2 - 1)))

    where u is what a point's rank is worth. `population` is 4 + floor(3 ln D) unless given, and `lr_sigma` is
    (3 + ln D) / (5 sqrt D). Points that somebody else put in from far away count as if they were 7 standard deviations
    off, where no sample gets.
    """

    title = "SNES"
    purpose = (
        "High dimensions, such as the weights of networks: time and memory grow as one population does. It learns the "
        "scale of each dimension, but not how dimensions hang together."
    )
    source = "Wierstra, Schaul, Glasmachers, Sun, Peters, Schmidhuber, Natural evolution strategies, JMLR 15, 2014"
    batched = ("lr_mean", "lr_sigma")
    inside = False

    population: int | None = None
    lr_mean: float | Tensor = 1.0
    lr_sigma: float | Tensor | None = None

    def __post_init__(self) -> None:
        check_population(self.population)
        check_positive(lr_mean=self.lr_mean, lr_sigma=self.lr_sigma)

    def init(self, s: State) -> None:
        s.mean, sigma = middle(s)
        s.sd = sigma.expand_as(s.mean).clone()

    def sample(self, s: State) -> Tensor:
        x = s.draws.normal(points_for(s.problem.dim, self.population), s.problem.dim)
        return x.mul_(s.sd).add_(s.mean)

    def update(self, s: State, x: Tensor, fitness: Tensor) -> None:
        dim = s.problem.dim
        lr_sigma = (3 + math.log(dim)) / (5 * math.sqrt(dim)) if self.lr_sigma is None else self.lr_sigma
        u = shaped(fitness, natural)
        z = x.sub_(s.mean).div_(s.sd).clamp_(-FARTHEST, FARTHEST)
        s.mean = torch.addcmul(s.mean, self.lr_mean * s.sd, torch.bmm(u, z))
        growth = torch.bmm(u, z.square_()).mul_(0.5 * lr_sigma).exp_()  # without the -1, for all u sum to zero
        s.sd = kept_finite(growth.mul_(s.sd))

    def center(self, s: State) -> Tensor:
        return s.mean[:, 0].clone()
