"""Whether a task can be evolved for: looked at before anything is written."""

from __future__ import annotations

import math

import torch

from thalweg.evolve.hurdle import chance_level, worst_of
from thalweg.tasks import Task, dropout


def check_trainable(task: Task) -> None:
    """Takes one gradient of the untrained network, as it would be trained, and asks the metric about a whole part.

    Raises ValueError, which names the task and the trouble, where one of them fails, the loss is not finite, or no
    weight follows it: no rule could learn then. Networks are made as the task makes them; it stays as it is.
    """
    where = f"task {task.name}"
    network, workload = task.check().train(), task.workload(torch.Generator().manual_seed(0))
    for layer in dropout.layers(network).values():
        layer.generator = torch.Generator()
    weights = [w for w in network.parameters() if w.requires_grad]
    if not weights:
        raise ValueError(f"{where}: its network has no weights that could be trained")
    batch = workload.train[: task.batch_size]
    try:
        with torch.random.fork_rng(devices=[]):  # a user's layers may draw from the global generator
            loss = task.loss(network(batch.inputs.clone()), batch.targets)
            slopes = torch.autograd.grad(loss, weights, allow_unused=True) if loss.requires_grad else ()
    except Exception as error:  # whatever a user's network or loss raise
        raise ValueError(f"{where}: training its network failed: {type(error).__name__}: {error}") from error
    if all(slope is None for slope in slopes):
        raise ValueError(f"{where}: its loss has no gradient with respect to any weight: no optimizer can follow it")
    if not math.isfinite(value := float(loss.detach())):
        raise ValueError(f"{where}: the loss of its untrained network is {value}: no optimizer can follow it")
    try:
        chance_level(task)
        worst = worst_of(task)
    except Exception as error:  # whatever a user's metric raises
        raise ValueError(f"{where}: the metric, on a whole part, failed: {type(error).__name__}: {error}") from error
    if not math.isfinite(worst):
        raise ValueError(f"{where}: the metric of its untrained network is {worst}: candidates cannot be told apart")
