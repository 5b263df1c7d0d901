"""Streams of gradients on which rules are compared, and the steps that a rule takes on them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike

from thalweg.rules import Rule, plain

STEPS, WEIGHTS = 48, 16  # of a stream: as many as tell a decay of 0.99 from one of 0.999


@dataclass(frozen=True)
class Streams:
    """Gradients of several parameter tensors: `gradients` and `counts` (1 where there is a gradient, 0 beyond a
    stream's end) of shape (steps, tensors, weights), `weights` at the start of shape (tensors, weights), float64."""

    gradients: torch.Tensor
    counts: torch.Tensor
    weights: torch.Tensor


def streams_of(recorded: Sequence[ArrayLike] | None = None, seed: int = 0) -> Streams:
    """Three synthetic streams, and each of the recorded ones, an array of shape (steps, weights) of one tensor.

    The synthetic ones drift, jump, are sparse and shrink, at scales of 1e-4 to 0.05 as gradients of networks have them.
    Of a recorded stream at most 48 steps are used, its first, and 16 weights, evenly spaced.

    Raises ValueError where a recorded stream has another shape or values that are not finite.
    """
    generator = torch.Generator().manual_seed(seed)
    gradients = [_synthetic(kind, generator) for kind in range(3)]
    counts = [torch.ones(STEPS, WEIGHTS, dtype=torch.float64) for _ in gradients]
    for values in recorded or ():
        gradient, count = _recorded(values)
        gradients.append(gradient)
        counts.append(count)
    weights = 0.1 * torch.randn(len(gradients), WEIGHTS, generator=generator, dtype=torch.float64)
    return Streams(torch.stack(gradients, 1), torch.stack(counts, 1), weights)


def _synthetic(kind: int, generator: torch.Generator) -> torch.Tensor:
    """Gradients that 0: drift and jump, 1: are often zero, 2: shrink as training goes on."""
    noise = torch.randn(STEPS, WEIGHTS, generator=generator, dtype=torch.float64)
    drift = torch.randn(WEIGHTS, generator=generator, dtype=torch.float64)
    drifts = []
    for step in noise.flip(1):
        drift = 0.9 * drift + math.sqrt(1 - 0.9**2) * step
        drifts.append(drift)
    gradient = 0.7 * torch.stack(drifts) + 0.7 * noise
    if kind == 0:
        gradient = gradient * torch.where(torch.rand(gradient.shape, generator=generator) < 0.05, 4.0, 1.0)
    if kind == 1:
        gradient = gradient * (torch.rand(gradient.shape, generator=generator) > 0.3)
    if kind == 2:
        gradient = gradient * 0.95 ** torch.arange(STEPS, dtype=torch.float64)[:, None]
    return gradient * torch.logspace(-4, -1.7, WEIGHTS, dtype=torch.float64)


def _recorded(values: ArrayLike) -> tuple[torch.Tensor, torch.Tensor]:
    array = np.asarray(values, dtype=float)
    if array.ndim != 2 or 0 in array.shape or not np.isfinite(array).all():
        raise ValueError(f"gradients must be finite arrays of shape (steps, weights), got one of shape {array.shape}")
    chosen = np.unique(np.linspace(0, array.shape[1] - 1, min(WEIGHTS, array.shape[1])).round().astype(int))
    part = torch.from_numpy(array[:STEPS, chosen])
    gradient, count = torch.zeros(2, STEPS, WEIGHTS, dtype=torch.float64)
    gradient[: part.shape[0], : part.shape[1]] = part
    count[: part.shape[0], : part.shape[1]] = 1.0
    return gradient, count


def steps_on(rule: Rule, streams: Streams, settings: Mapping[str, Any] | None = None) -> torch.Tensor:
    """The steps that a rule takes (the new weight less the old), of shape (settings, steps, tensors, weights).

    `settings` has values of shape (settings,) for scalars by the names that the text reads; the others are at the
    rule's defaults. Random initial states begin at their mean. Steps that overflow are infinite or NaN.
    """
    scalars: dict[str, Any] = dict(rule.scalars(rule.hyperparameters))
    members = 1
    for name, values in (settings or {}).items():
        members = len(values)
        scalars[name] = torch.as_tensor(values, dtype=torch.float64)[:, None, None]
    step, initial = _compiled(rule)
    w = streams.weights.expand(members, *streams.weights.shape)
    states = [
        _tensor(value).expand_as(w) if name in rule.program.tensor_states else value
        for name, value in zip(rule.states, initial(w, None, **scalars), strict=True)
    ]
    taken = []
    for i, gradient in enumerate(streams.gradients):
        before = w
        clock = float(rule.first_step + i)
        w, *states = step(w, gradient, *states, t=clock, **scalars, maximize=False, decay=rule.decay)
        taken.append((w - before).expand_as(before))
    return torch.stack(taken, 1) * streams.counts


@lru_cache(maxsize=64)
def _compiled(rule: Rule) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """The plain step and what its states begin as, of scalars that have a value a setting."""
    names = {**plain.namespace(), **_OF_TENSORS}
    step = plain.compiled(plain.step_source(rule), "step", dict(names))
    return step, plain.compiled(plain.init_source(rule), "initial", names)


def _tensor(value: Any) -> torch.Tensor:
    return torch.as_tensor(value, dtype=None if isinstance(value, bool) else torch.float64)


# In place of what the plain step calls: scalars may have a value a setting, and a tensor is one of several.
_OF_TENSORS: dict[str, Any] = {
    "_lift": lambda value, like: value if isinstance(value, torch.Tensor) else _tensor(value),
    "_spread": lambda value, like: _tensor(value).expand_as(like),
    "_normal": lambda mean, std, like, generator: _tensor(mean).expand_as(like),
    "_max_abs": lambda x: x.abs().amax(-1, keepdim=True),
    "_norm": lambda x: x.square().sum(-1, keepdim=True).sqrt(),
    "_mean": lambda x: x.mean(-1, keepdim=True),
    "_div": lambda a, b: _tensor(a) / b,
    "_pow": lambda a, b: _tensor(a) ** b,
    "_where": lambda condition, a, b: torch.where(_tensor(condition), _tensor(a), _tensor(b)),
    "_minimum": lambda a, b: torch.minimum(_tensor(a), _tensor(b)),
    "_maximum": lambda a, b: torch.maximum(_tensor(a), _tensor(b)),
    "_safe_div": lambda a, b: torch.where(_tensor(b) == 0, 0.0, _tensor(a) / _tensor(b)),
    "_sign": lambda x: torch.sign(_tensor(x)),
    "_sqrt": lambda x: torch.sqrt(_tensor(x)),
    "_square": lambda x: torch.square(_tensor(x)),
    "_exp": lambda x: torch.exp(_tensor(x)),
    "_log": lambda x: torch.log(_tensor(x)),
    "math": SimpleNamespace(tanh=lambda x: torch.tanh(_tensor(x)), inf=math.inf, nan=math.nan),
}
