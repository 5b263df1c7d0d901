"""Candidates trained one at a time, as whoever has no cohort trains them: what `evolve.py` compares with."""

from __future__ import annotations

import torch

from thalweg.evolve.singly import Singly
from thalweg.race.seeds import Seed, Stream
from thalweg.rules import Rule
from thalweg.tasks import Task, dropout


def one_at_a_time(rules: tuple[Rule, ...], task: Task) -> tuple[list[float], int]:
    """The same without cohorts: each candidate is trained by itself, to the end, by an optimizer of its own."""
    torch.set_num_threads(1)
    seed = Seed(0, task.name, 2_000_000)
    workload = task.workload(seed.generator(Stream.SPLIT))
    network = dropout.with_own_dropout(workload.network(seed.generator(Stream.INIT))).train()
    group = Singly(rules, task, network, seed, torch.device("cpu"))
    order = seed.generator(Stream.ORDER)
    for _ in range(task.epochs):
        rows = torch.randperm(len(workload.train), generator=order).split(task.batch_size)
        group.train([workload.train[each] for each in rows])
    places, outputs = group.outputs(workload.validation.inputs)
    scores = [float("-inf")] * len(rules)
    for place, answer in zip(places, outputs, strict=True):
        scores[place] = float(task.metric.function(answer, workload.validation.targets))
    return scores, int(group.examples.sum())
