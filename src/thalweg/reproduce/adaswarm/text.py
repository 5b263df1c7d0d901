"""What the paper says in words of the order of accuracy and of the cost of its swarm, as numbers."""

from __future__ import annotations

import time

import numpy as np
import torch
from torch import Tensor

from thalweg.reproduce.adaswarm.gradients import orders
from thalweg.reproduce.paper import Options, Part, Tell
from thalweg.reproduce.records import Measured, Records
from thalweg.swarm.draws import Factors
from thalweg.swarm.particles import EMPSO, Particles
from thalweg.swarm.search import search

SIZES = (10, 20, 40, 80, 160)  # of particles, and of iterations
PROBLEMS = 200
TURNS = 5  # of each size, of which the shortest counts
SEEDS = 10
PROOF = "which order the proof in the supplement comes to"


def run(options: Options, tell: Tell) -> Records:
    """The exponents of seconds in particles and iterations, and the order of accuracy near the optimum."""
    particles = exponent([seconds(particles=size, iterations=20) for size in SIZES])
    iterations = exponent([seconds(particles=20, iterations=size) for size in SIZES])
    found = [one["order"] for one in orders(SEEDS)]
    near, fitted = (tuple(order[name] for order in found) for name in ("near", "fitted"))
    measured = (
        Measured("text", "cost_in_particles", "empso", "at_most", (particles,)),
        Measured("text", "cost_in_iterations", "empso", "at_most", (iterations,)),
        Measured("text", "order_of_accuracy", "empso", "at_least", near, fitted, missing=PROOF),
    )
    return Records("adaswarm", measured)


PART = Part("text", "Claims in words: order of accuracy, cost", ("text",), "seconds", (), run, quick_minutes=0.1)


def seconds(particles: int, iterations: int) -> float:
    """Of a search of squares, on one thread."""
    low, high = torch.full((1, 1), -1.0), torch.ones(1, 1)
    variant: Particles = EMPSO()
    best = float("inf")
    for turn in range(TURNS):
        generator = torch.Generator().manual_seed(turn)
        begun = time.perf_counter()
        factors = Factors([generator], iterations, (particles, PROBLEMS, 1), torch.float32)
        search(_square, factors.more((particles, PROBLEMS, 1)), low, high, variant, iterations, factors)
        best = min(best, time.perf_counter() - begun)
    return best


def exponent(taken: list[float]) -> float:
    """The slope of log seconds over log size, by least squares."""
    return float(np.polyfit(np.log(SIZES), np.log(taken), 1)[0])


def _square(x: Tensor) -> Tensor:
    return x.square().sum(-1)
