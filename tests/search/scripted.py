"""Algorithms that do what a test wants to see, and functions that keep a record of how they are called."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from thalweg.search import Algorithm
from thalweg.search.algorithm import initial


@dataclass(frozen=True)
class Countdown(Algorithm):
    """Uniform points, for `life` generations; then it is tired."""

    batched: ClassVar[tuple[str, ...]] = ("life",)

    population: int = 4
    life: int | Tensor = 3

    def init(self, s):
        pass

    def sample(self, s):
        return initial(s, self.population)

    def update(self, s, x, fitness):
        pass

    def stops(self, s):
        over = torch.as_tensor(s.generation >= self.life, device=s.problem.device)
        return {"tired": over.reshape(-1).expand(s.problem.runs)}


@dataclass(frozen=True)
class Listener(Countdown):
    """Remembers what it received: (generation, point, fitness, which runs)."""

    life: int = 10**9
    heard: list = field(default_factory=list, compare=False)

    def receive(self, s, x, fitness, runs):
        self.heard.append((s.generation, x.clone(), fitness.clone(), runs.clone()))


@dataclass(frozen=True)
class Ladder(Listener):
    """One point a generation, each nearer to the corner (low) than the one before, up to a generation."""

    population: int = 1
    stuck_from: int = 10**9

    def sample(self, s):
        step = 1 / (2 + min(s.generation, self.stuck_from))
        share = torch.full((s.problem.runs, 1, s.problem.dim), step, dtype=s.problem.dtype)
        return torch.lerp(s.problem.low, s.problem.high, share)


class Recorded:
    """A function of points that remembers its calls: the sizes, the values in their order, and whether with gradient.

    `fails_at`: it raises once, in place of so many-th call.
    """

    def __init__(self, f, fails_at=None):
        self.f, self.fails_at = f, fails_at
        self.sizes, self.values, self.gradients = [], [], 0
        self._lock = threading.Lock()

    def __call__(self, x):
        with self._lock:
            if len(self.sizes) == self.fails_at:
                self.fails_at = None
                raise ZeroDivisionError("as the test wants it")
            values = self.f(x)
            self.sizes.append(len(x) if x.dim() == 2 else 1)
            self.values += torch.as_tensor(values).detach().reshape(-1).tolist()
            self.gradients += x.requires_grad
        return values


def bowl(x):
    """Lowest at 1. It is added up in one order, for one point as for many."""
    return sum((x - 1).square().unbind(-1))


def interrupted_after(method, calls):
    """A method that does what it does, until in the call of that number Ctrl-C comes when it is done."""
    made = []

    def interrupted(self, *given):
        result = method(self, *given)
        made.append(given)
        if len(made) == calls:
            raise KeyboardInterrupt
        return result

    return interrupted
