"""How training begins by the averages that section 2.4 tries one after another: losses by step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from thalweg.race import Method
from thalweg.race.jobs import one_thread
from thalweg.race.seeds import Seed, Stream, final_seed
from thalweg.race.stack import Stack
from thalweg.race.teams import Member
from thalweg.race.training import batch_order
from thalweg.rules import Rule
from thalweg.rules.gallery import find as find_rule
from thalweg.tasks import Task
from thalweg.tasks.catalogue import find
from thalweg.tasks.models import mlp

# Layers of the networks: that of the task, and one that is deep, where the paper's is slow to begin.
LAYERS = {"digits": (64, 64, 10), "digits_deep": (64, *[64] * 8, 10)}
LR, BETA = 0.1, 0.9  # as published
BETAS = (0.0, 0.5, 0.9, 0.99, 0.999)

ZETA = "z = g/(1 + square(g*max_abs(g)))"
# Equation 22 from V = 0.
AVERAGE = Rule("average", f"{ZETA}\n v = beta*v + (1 - beta)*z\n w = w - lr*v", state="v", lr=LR, beta=BETA)
# Equation 25 as Adam has it: what is corrected is stepped by, and not averaged on.
CORRECTED = Rule(
    "corrected", f"{ZETA}\n v = beta*v + (1 - beta)*z\n w = w - lr*v/(1 - beta**t)", state="v", lr=LR, beta=BETA
)
# Equation 25 as it is printed: the corrected average is the one that the next step averages on.
PRINTED = Rule(
    "printed", f"{ZETA}\n v = (beta*v + (1 - beta)*z)/(1 - beta**t)\n w = w - lr*v", state="v", lr=LR, beta=BETA
)
# Equation 26 from V = 0.
BETA_HAT = Rule(
    "beta_hat", f"{ZETA}\n k = (beta*t + 1)/(t + 2)\n v = k*v + (1 - k)*z\n w = w - lr*v",
    state="v", first_step=0, lr=LR, beta=BETA,
)  # fmt: skip
FIXED = "beta = 0.9"  # the variant that the others of the start are held against
STARTS = {"corrected": CORRECTED, "printed": PRINTED, "beta_hat": BETA_HAT, "gravity": find_rule("gravity").rule}


def variants() -> dict[str, Method]:
    """Figure 7's by their beta, from V = 0; then, all at 0.9: equation 25 in both readings, beta-hat from V = 0, and
    beta-hat from noise, which is Gravity."""
    found = {f"beta = {beta:g}": Method("average", AVERAGE, {"lr": LR, "beta": beta}) for beta in BETAS}
    return found | {name: Method(name, rule, dict(rule.hyperparameters)) for name, rule in STARTS.items()}


def curves(name: str, at: Sequence[int], seeds: int) -> dict[str, list[list[float]]]:
    """The training losses after `at` steps of each variant on a network of `LAYERS`, by seed."""
    tried = variants()
    found = losses_of(network_task(name), list(tried.values()), at, seeds)
    return {variant: own.tolist() for variant, own in zip(tried, found, strict=True)}


def network_task(name: str) -> Task:
    """Digits with a network of `LAYERS`."""
    return replace(find("digits"), model=partial(mlp, LAYERS[name]), name=name)


def losses_of(task: Task, methods: Sequence[Method], at: Sequence[int], seeds: int) -> NDArray[np.float64]:
    """The loss over the training part after `at` steps, ascending, of each method and seed: (methods, seeds, at), not
    a number from where it is none. Seeds draw split, weights and batches, the same for all methods. Methods of one rule
    lie side by side."""
    drawn = [final_seed(0, task.name, rep) for rep in range(seeds)]
    cut = [task.workload(seed.generator(Stream.SPLIT)) for seed in drawn]
    members = [Member(one, own, seed, None) for one in methods for own, seed in zip(cut, drawn, strict=True)]
    found = np.full((len(at), len(members)), np.nan)
    batches = torch.stack([_batches(len(cut[0].train), task.batch_size, at[-1], seed) for seed in drawn])
    with one_thread():
        team = Stack(members, torch.device("cpu"))
        ones, active = np.ones(len(members)), np.ones(len(members), dtype=np.bool_)
        for step in range(at[-1] + 1):
            if step in at:
                found[at.index(step)] = team.losses(team.outputs("train"), "train")
            if step < at[-1]:
                team.step(batches[:, step].repeat(len(methods), 1), ones, active)
    return found.T.reshape(len(methods), seeds, len(at))


def _batches(examples: int, size: int, steps: int, seed: Seed) -> torch.Tensor:
    """Rows of as many whole batches, int64 (steps, size)."""
    a_pass = examples // size
    orders = batch_order(examples, -(-steps // a_pass), seed.generator(Stream.ORDER))
    return orders[:, : a_pass * size].reshape(-1, size)[:steps]
