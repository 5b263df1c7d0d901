"""Gravity beside momentum as an exponential moving average, from the same start: what the damping changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from thalweg.race.seeds import Stream, final_seed
from thalweg.reproduce.autolr.phenotypes import apart, trajectory
from thalweg.reproduce.autolr.toy import train
from thalweg.rules.gallery import find
from thalweg.tasks import find as task_named

METHODS = ("gravity", "gravity_ema_noise", "gravity_ema")
NOTICED = 0.01  # of a gradient, from which on its damping counts as one


@dataclass(frozen=True)
class Tensors:
    """The weights of a network, tensor by tensor: their names, and how many each has."""

    names: tuple[str, ...]
    sizes: tuple[int, ...]

    @classmethod
    def of_digits(cls) -> Tensors:
        """Those that `toy.train` trains, in its order."""
        seed = final_seed(0, "digits", 0)
        task = task_named("digits")
        network = task.workload(seed.generator(Stream.SPLIT)).network(seed.generator(Stream.INIT))
        named = dict(network.named_parameters())
        return cls(tuple(named), tuple(weight.numel() for weight in named.values()))

    def split(self, gradients: Tensor) -> tuple[Tensor, ...]:
        """Gradients (steps, weights) as one (steps, n) a tensor."""
        return gradients.split(list(self.sizes), dim=1)


def beside_momentum(steps: int, seeds: int) -> dict[str, Any]:
    """On the gradients of trainings by Gravity: how far EMA momentum with the same beta-hats and V0 lies from it at
    most, as a share of the way; which share of the gradients' sum the damping takes, and of all of them it changes by
    one per cent or more; the medians, 99 % quantiles and maxima of max|G| by tensor; and the last losses of trainings
    by each of `METHODS`. The first two are the largest over seeds."""
    tensors = Tensors.of_digits()
    gravity, momentum = find("gravity").rule, find("gravity_ema_noise").rule
    distances, taken, changed = [], [], []
    largest: list[Tensor] = []
    losses: dict[str, list[float]] = {name: [] for name in METHODS}
    for seed in range(seeds):
        walk = train(gravity, steps, seed, keep_gradients=True)
        losses["gravity"].append(walk.loss)
        for name in METHODS[1:]:
            losses[name].append(train(find(name).rule, steps, seed).loss)
        parts = tensors.split(walk.gradients.double())
        ours, theirs = (torch.cat([trajectory(rule, g) for g in parts], dim=1) for rule in (gravity, momentum))
        distances.append(apart(ours, theirs))
        tops = torch.stack([g.abs().amax(dim=1) for g in parts], dim=1)
        largest.append(tops)
        g = torch.cat(parts, dim=1)
        squares = torch.cat([(part * top[:, None]).square() for part, top in zip(parts, tops.T, strict=True)], dim=1)
        less = squares / (1 + squares)  # 1 - zeta/g
        taken.append(float((less * g.abs()).sum() / g.abs().sum()))
        changed.append(float((less >= NOTICED).double().mean()))
    by_tensor = dict(zip(tensors.names, torch.cat(largest).T, strict=True))
    return {
        "apart": max(distances), "taken": max(taken), "changed": max(changed), "losses": losses,
        "largest": {name: _quantiles(values) for name, values in by_tensor.items()},
        "all": _quantiles(torch.cat(largest).flatten()),
    }  # fmt: skip


def _quantiles(values: Tensor) -> dict[str, float]:
    return {"median": float(values.median()), "q99": float(values.quantile(0.99)), "max": float(values.max())}
