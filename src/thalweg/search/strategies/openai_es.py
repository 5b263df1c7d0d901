"""OpenAI's evolution strategy: points in pairs around a mean that Adam moves."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from thalweg.rules import plain
from thalweg.rules.gallery import GALLERY
from thalweg.search.algorithm import Algorithm, State, middle
from thalweg.search.checks import check_positive, check_within
from thalweg.search.strategies.fitness_shaping import centered, check_population, points_for, shaped

ADAM = GALLERY["adam"].rule


@dataclass(frozen=True)
class OpenAIES(Algorithm):
    """A normal distribution of fixed size, whose mean follows the gradient of the expected worth of ranks by Adam:

        x = mean +- noise
        gradient = sum(u (x - mean)) / (population sigma^2)

    where u is what a point's rank is worth, from 1/2 to -1/2. Lengths are in units, so that `sigma`, `lr` and
    `weight_decay` are the published numbers wherever the box is and however wide: a unit is half of the box, or where
    there is a sigma0, which is the standard deviation of the noise then, sigma0 / sigma. Weight decay pulls to where
    the search began.

    Arguments:
        population: an even number; twice 4 + floor(3 ln D) unless given. Large ones are what it is made for.
        sigma: the standard deviation of the noise, in units.
        lr, betas, weight_decay: of Adam; `lr` is about how many units a generation moves.
    """

    title = "OpenAI-ES"
    purpose = (
        "Very many weights and many machines: all that it knows is a mean and the moments of Adam. It never comes "
        "nearer than its noise and its steps are wide."
    )
    source = "Salimans, Ho, Chen, Sidor, Sutskever, Evolution strategies as a scalable alternative to RL, 2017"
    batched = ("sigma", "lr")
    inside = False

    population: int | None = None
    sigma: float | Tensor = 0.02
    lr: float | Tensor = 0.01
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.005

    def __post_init__(self) -> None:
        check_population(self.population, even=True)
        check_positive(sigma=self.sigma, lr=self.lr)
        if not isinstance(self.betas, (tuple, list)) or len(self.betas) != 2:
            raise ValueError(f"betas must be two numbers in [0, 1), got {self.betas!r:.80}")
        check_within("[0, 1)", betas=self.betas)
        check_within("[0, inf]", weight_decay=self.weight_decay)

    def init(self, s: State) -> None:
        s.start, spread = middle(s)
        unit = (s.problem.high - s.problem.low) / 2 if s.problem.sigma0 is None else spread / self.sigma
        s.unit = unit + torch.zeros_like(s.start)
        s.mean, s.m, s.v = s.start.clone(), torch.zeros_like(s.start), torch.zeros_like(s.start)

    def sample(self, s: State) -> Tensor:
        return pairs(s, s.mean, s.unit * self.sigma, self.population)

    def update(self, s: State, x: Tensor, fitness: Tensor) -> None:
        uphill = s.unit * gradient(shaped(fitness, centered), x.sub_(s.mean), s.unit * self.sigma)
        hyper = {**ADAM.hyperparameters, "lr": self.lr, "betas": self.betas, "weight_decay": self.weight_decay}
        moved, s.m, s.v = plain.step(ADAM)(
            (s.mean - s.start).div_(s.unit), uphill, s.m, s.v,
            t=s.generation + ADAM.first_step, **ADAM.named(hyper), maximize=True, decay=ADAM.decay,
        )  # fmt: skip
        s.mean = torch.addcmul(s.start, s.unit, moved)

    def center(self, s: State) -> Tensor:
        return s.mean[:, 0].clone()


def gradient(worth: Tensor, noise: Tensor, deviation: Tensor) -> Tensor:
    """Of the expected worth, by the mean, (runs, 1, D): from points (runs, P, D) around it, worth (runs, 1, P) each."""
    return torch.bmm(worth, noise) / (deviation.square() * noise.shape[1])


def pairs(s: State, mean: Tensor, deviation: Tensor, population: int | None) -> Tensor:
    """Points (runs, P, D) of which each in the first half has its mirror image beyond the mean in the second."""
    half = points_for(s.problem.dim) if population is None else population // 2
    noise = s.draws.normal(half, s.problem.dim)
    x = noise.new_empty(s.problem.runs, 2 * half, s.problem.dim)
    torch.addcmul(mean, noise, deviation, out=x[:, :half])
    torch.addcmul(mean, noise, deviation, value=-1, out=x[:, half:])
    return x
