"""A swarm's search for the minimum of a loss, over many independent problems at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from thalweg.swarm.draws import Factors
from thalweg.swarm.native import Loop
from thalweg.swarm.particles import Particles

Evaluate = Callable[[Tensor], Tensor]  # (particles, problems, dimensions) to losses (particles, problems)


@dataclass(frozen=True)
class Found:
    """What a swarm found: its best positions (problems, dimensions) and their losses (problems,); where it began,
    (particles, problems, dimensions), and the losses there; and `c1 r1 + c2 r2` of the last iteration, averaged over
    the particles, (problems, dimensions or 1)."""

    best: Tensor
    loss: Tensor
    start: Tensor
    start_loss: Tensor
    factor: Tensor


class Swarm:
    """The state of a search: positions and memory, each particle's best, the best of all, with their losses.

    `near`, (problems, dimensions), says which of two equal losses is better: the one nearer to it. Where the loss is
    flat a swarm around a point then answers with that point.
    """

    def __init__(self, particles: Particles, start: Tensor, near: Tensor | None) -> None:
        self.particles = particles
        start = start.contiguous()  # as outputs may not be, and then neither is what is made of them
        self.x = start.clone()
        self.memory = particles.memory(start)
        self.own = start.clone()
        self.own_loss = start.new_full(start.shape[:2], torch.inf)
        self.best = start[0].clone()
        self.best_loss = start.new_full(start.shape[1:2], torch.inf)
        self.near = near
        if near is not None:
            self.own_distance = torch.full_like(self.own_loss, torch.inf)
            self.best_distance = torch.full_like(self.best_loss, torch.inf)

    def note(self, loss: Tensor) -> None:
        """Takes note of the losses (particles, problems) where the particles are. NaN is never better."""
        better = loss < self.own_loss
        if self.near is not None:
            distance = (self.x - self.near).square().sum(-1)
            better = better | ((loss == self.own_loss) & (distance < self.own_distance))
            self.own_distance = torch.where(better, distance, self.own_distance)
        self.own = torch.where(better.unsqueeze(-1), self.x, self.own)
        self.own_loss = torch.where(better, loss, self.own_loss)
        least, first = self.own_loss.min(dim=0)
        if self.near is not None:
            tied = torch.where(self.own_loss == least, self.own_distance, torch.inf)
            distance, first = tied.min(dim=0)
            ahead = (least < self.best_loss) | ((least == self.best_loss) & (distance < self.best_distance))
            self.best_distance = torch.where(ahead, distance, self.best_distance)
        else:
            ahead = least < self.best_loss
        place = first.reshape(1, -1, 1).expand(1, *self.best.shape)
        self.best = torch.where(ahead.unsqueeze(-1), self.own.gather(0, place)[0], self.best)
        self.best_loss = torch.where(ahead, least, self.best_loss)

    def move(self, factors: Factors, low: Tensor, high: Tensor) -> None:
        """Moves the particles, which stay between low and high."""
        draw = self.particles.draw(factors, tuple(self.x.shape))
        self.particles.move(self.x, self.memory, self.particles.pull(self.x, self.own, self.best, draw))
        torch.clamp(self.x, low, high, out=self.x)


def search(
    evaluate: Evaluate,
    start: Tensor,
    low: Tensor,
    high: Tensor,
    particles: Particles,
    iterations: int,
    factors: Factors,
    near: Tensor | None = None,
) -> Found:
    """Evaluates the particles `iterations` times and moves them in between.

    In an iteration all particles are evaluated, then each one's best and the swarm's are set anew where a loss is
    lower, then all move. `low` and `high` are (problems or 1, dimensions or 1).
    """
    swarm = Swarm(particles, start, near)
    low, high = low.expand_as(swarm.best), high.expand_as(swarm.best)
    loop = Loop(swarm, low, high, factors.bits) if Loop.fits(swarm) else None
    start_loss = torch.empty(0)
    for i in range(iterations):
        loss = evaluate(swarm.x)
        moves = i < iterations - 1
        if i == 0:
            start_loss = loss.clone()
        if loop is not None:
            loop.iterate(i, loss.to(start.dtype), moves=moves)
            continue
        swarm.note(loss)
        if moves:
            swarm.move(factors, low, high)
    return Found(swarm.best, swarm.best_loss, start, start_loss, last_factor(particles, factors))


def last_factor(particles: Particles, factors: Factors) -> Tensor:
    """`c1 r1 + c2 r2` of the last iteration, averaged over the particles."""
    r1, r2 = factors.last()
    return (particles.c1 * r1 + particles.c2 * r2).mean(dim=0)
