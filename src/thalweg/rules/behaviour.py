"""The behavioural hash: what a rule does, whatever it looks like."""

from __future__ import annotations

import hashlib
import math

import torch

from thalweg.rules import plain
from thalweg.rules.rule import Rule

STEPS, LANES = 8, 8


def behaviour(rule: Rule, seed: int = 0) -> str:
    """See `Rule.behaviour`. Two rules with one hash do the same on one probe; a second seed makes it surer.

    The probe: eight steps of eight weights in float64, with gradients of scales 1 to 1e-4, of both signs and zero;
    those of every other weight shrink tenfold a step, which tells apart rules that forget at different rates.
    """
    generator = torch.Generator().manual_seed(seed)
    scales = torch.logspace(0, -4, LANES, dtype=torch.float64)
    shrinking = torch.tensor([1.0, 0.1] * (LANES // 2), dtype=torch.float64)
    w = torch.randn(LANES, generator=generator, dtype=torch.float64)
    scalars = rule.scalars(rule.hyperparameters)
    start = plain.initial(rule)(w, generator.clone_state(), **scalars)
    states = [
        torch.zeros_like(w) + value if name in rule.program.tensor_states else value
        for name, value in zip(rule.states, start, strict=True)
    ]
    digest = hashlib.sha256()
    for i in range(STEPS):
        g = torch.randn(LANES, generator=generator, dtype=torch.float64) * scales * shrinking**i
        g[i % LANES] = 0.0
        clock, before = float(rule.first_step + i), w
        w, *states = plain.step(rule)(w, g, *states, t=clock, **scalars, maximize=False, decay=rule.decay)
        pairs = zip((w - before).tolist(), before.tolist(), strict=True)
        digest.update(" ".join(_five_digits(*pair) for pair in pairs).encode())
    return digest.hexdigest()[:16]


def _five_digits(step: float, weight: float) -> str:
    """Five digits of a step, and fewer of one so small that the weight's own rounding is among them."""
    if not math.isfinite(step) or not math.isfinite(weight):
        return str(step)
    floor = -11 + math.frexp(weight)[1] * math.log10(2)
    return f"{round(step, -math.ceil(floor)) + 0.0:.4e}"
