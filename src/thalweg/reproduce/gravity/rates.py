"""Large learning rates (section 2.2.1): does the damping of large gradients keep training from divergence?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from torch import Tensor

from thalweg.race import Method
from thalweg.race.seeds import Stream, final_seed
from thalweg.reproduce.gravity.starts import losses_of, network_task
from thalweg.rules.gallery import find as find_rule
from thalweg.tasks import Task
from thalweg.tasks.catalogue import find

# In pairs, of which the second lacks the damping alone; and gradient descent, whose divergence the paper explains.
METHODS = ("gravity", "gravity_ema_noise", "gravity_ema", "sgd")
PROBLEMS = ("digits_deep", "diabetes_unscaled")
DECADES = (-3, 4)  # of learning rates
LEARNT = 0.9  # of the constant answer's loss, below which something was learnt


def problem(name: str) -> Task:
    """A deep network without normalisation, or a regression whose targets, up to 346, are left as they are, so that the
    first gradients are in the hundreds."""
    if name == "digits_deep":
        return network_task(name)
    return replace(find("diabetes"), name=name, standardise_targets=False)


def by_rate(name: str, steps: int, seeds: int, a_decade: int) -> dict[str, Any]:
    """ "lr": the learning rates; "start": the training loss before any step, by seed; "constant": that of the best
    constant answer, the mean over seeds; "losses": by method, for each rate the loss after so many steps by seed, not a
    number where it is none."""
    task = problem(name)
    low, high = DECADES
    lrs = np.logspace(low, high, (high - low) * a_decade + 1).tolist()
    methods = [_method(method, lr) for method in METHODS for lr in lrs]
    found = losses_of(task, methods, [0, steps], seeds)
    ends = found[:, :, 1].reshape(len(METHODS), len(lrs), seeds)
    return {
        "lr": lrs,
        "start": found[0, :, 0].tolist(),
        "constant": constant_loss(task, seeds),
        "losses": {method: own.tolist() for method, own in zip(METHODS, ends, strict=True)},
    }


def constant_loss(task: Task, seeds: int) -> float:
    """The training loss of the best answer that does not look at the input: the entropy of the classes, or the variance
    of the targets; the mean over seeds."""
    parts = [task.workload(final_seed(0, task.name, rep).generator(Stream.SPLIT)).train.targets for rep in range(seeds)]
    return float(np.mean([_spread(targets) for targets in parts]))


def _spread(targets: Tensor) -> float:
    if targets.is_floating_point():
        return float(targets.double().var(correction=0))
    shares = targets.bincount().double() / len(targets)
    return -float((shares * shares.clamp_min(1e-300).log()).sum())


def _method(name: str, lr: float) -> Method:
    rule = find_rule(name).rule
    return Method(name, rule, {**rule.hyperparameters, "lr": lr})
