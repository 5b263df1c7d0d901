"""Policy gradients with parameter-based exploration, whose mean moves by ClipUp."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from thalweg.search.algorithm import Algorithm, State, middle
from thalweg.search.checks import check_positive, check_within
from thalweg.search.strategies.fitness_shaping import centered, check_population, kept_finite, shaped
from thalweg.search.strategies.openai_es import pairs


@dataclass(frozen=True)
class PGPE(Algorithm):
    """A normal distribution without correlations that follows the gradient of the expected worth of ranks:

        x = mean +- sd N(0, 1)
        v = momentum v + lr g / |g|,  cut to |v| <= max_speed,  where g = sum(u (x - mean)) / population
        mean += v
        sd += lr_sigma sum(u ((x - mean)^2 - sd^2) / sd) / population,  cut to max_change sd

    where u is what a point's rank is worth, from 1/2 to -1/2. Speeds are in units of sigma0, or of a fifth of the box.

    Arguments:
        population: an even number; twice 4 + floor(3 ln D) unless given. Large ones are what it is made for.
        max_speed: a fifteenth of the radius of the first distribution unless given, which is sqrt(D) units.
        lr: half of max_speed unless given.
        max_change: by which share of itself a standard deviation changes at most in a generation.
    """

    title = "PGPE with ClipUp"
    purpose = (
        "Controllers with thousands of weights and noisy returns: it sets the length of its steps, not the fitness."
    )
    source = (
        "Sehnke et al., Parameter-exploring policy gradients, Neural Networks 23, 2010; "
        "Toklu, Liskowski, Srivastava, ClipUp, PPSN 2020"
    )
    batched = ("max_speed", "lr", "momentum", "lr_sigma", "max_change")
    inside = False

    population: int | None = None
    max_speed: float | Tensor | None = None
    lr: float | Tensor | None = None
    momentum: float | Tensor = 0.9
    lr_sigma: float | Tensor = 0.1
    max_change: float | Tensor = 0.2

    def __post_init__(self) -> None:
        check_population(self.population, even=True)
        check_positive(max_speed=self.max_speed, lr=self.lr, lr_sigma=self.lr_sigma)
        check_within("[0, 1)", momentum=self.momentum, max_change=self.max_change)

    def init(self, s: State) -> None:
        s.mean, spread = middle(s)
        s.unit = spread + torch.zeros_like(s.mean)
        s.sd, s.velocity = s.unit.clone(), torch.zeros_like(s.mean)  # the velocity is in units

    def sample(self, s: State) -> Tensor:
        return pairs(s, s.mean, s.sd, self.population)

    def update(self, s: State, x: Tensor, fitness: Tensor) -> None:
        max_speed = math.sqrt(s.problem.dim) / 15 if self.max_speed is None else self.max_speed
        lr = max_speed / 2 if self.lr is None else self.lr
        of_mean, of_sd = gradients(shaped(fitness, centered), x.sub_(s.mean), s.sd)
        s.velocity = clipped(self.momentum * s.velocity + lr * normalized(of_mean / s.unit), max_speed)
        s.mean = s.mean + s.unit * s.velocity
        most = self.max_change * s.sd
        s.sd = kept_finite(s.sd + torch.clamp(self.lr_sigma * of_sd, -most, most))

    def center(self, s: State) -> Tensor:
        return s.mean[:, 0].clone()


def gradients(worth: Tensor, noise: Tensor, deviation: Tensor) -> tuple[Tensor, Tensor]:
    """Of the expected worth, by the mean and by the standard deviation, (runs, 1, D), each times deviation^2: from
    points around the mean (runs, P, D), which are overwritten, worth (runs, 1, P) each and nothing together."""
    count = noise.shape[1]
    return torch.bmm(worth, noise) / count, torch.bmm(worth, noise.square_()) / (deviation * count)


def normalized(g: Tensor) -> Tensor:
    """Vectors (..., D) at length one; zero stays zero."""
    return torch.nn.functional.normalize(g, dim=-1, eps=torch.finfo(g.dtype).tiny)


def clipped(v: Tensor, longest: float | Tensor) -> Tensor:
    """Vectors (..., D) shortened where they are longer."""
    length = torch.linalg.vector_norm(v, dim=-1, keepdim=True)
    return v * (longest / length.clamp_min(torch.finfo(v.dtype).tiny)).clamp_max(1.0)
