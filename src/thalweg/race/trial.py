"""Trials: one method, one task, one seed; and how a job of them becomes records."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch

from thalweg import __version__
from thalweg.cohort import Unstackable
from thalweg.race.alone import Alone, OwnRandomness, outputs_of
from thalweg.race.method import Method
from thalweg.race.record import SCHEMA, Record
from thalweg.race.searcher import Searcher
from thalweg.race.searching import Searching
from thalweg.race.seeds import Seed, Stream
from thalweg.race.stack import Stack
from thalweg.race.teams import EVALUATED, Member, Team, order_of, together_of
from thalweg.race.training import Curves, batch_order, first_batches, train
from thalweg.tasks import Examples, Task, Workload
from thalweg.tasks.task import tensor_hash

TUNING, FINAL = "tuning", "final"
STACKED, ALONE = "stacked", "alone"


@dataclass(frozen=True)
class Trial:
    """A method, at its hyperparameters, on a task with a seed. A final trial reads the test part once, at its end; a
    tuning trial is never given one. `fingerprint` is the task's."""

    method: Method
    fingerprint: str
    seed: Seed
    role: str

    @cached_property
    def key(self) -> str:
        """The hash of everything that decides the result, and so the name of the trial in a run store."""
        decides = {
            "schema": SCHEMA,
            "versions": [__version__, torch.__version__],
            "task": self.fingerprint,
            "method": self.method.name,
            "definition": self.method.definition(),
            "hyperparameters": dict(self.method.hyperparameters),
            "seed": [self.seed.master, self.seed.task, self.seed.rep],
            "role": self.role,
        }
        return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Job:
    """Trials of one task that one process runs, together or one after another as `arrangement` says."""

    task: Task
    trials: tuple[Trial, ...]
    arrangement: str
    device: str = "cpu"

    def run(self) -> list[Record]:
        """The records, in the order of the trials.

        A cohort that turns out not to be stackable, which `measure` has missed then, trains one after another.
        """
        members = _members(self.task, self.trials)
        device = torch.device(self.device)
        records: dict[int, Record] = {}
        for places in self._cohorts(members):
            together, trials = [members[i] for i in places], [self.trials[i] for i in places]
            try:
                made = _run(Stack(together, device), together, trials)
            except Unstackable:
                continue
            records.update(zip(places, made, strict=True))
        for i, (member, trial) in enumerate(zip(members, self.trials, strict=True)):
            if i not in records:
                team = Searcher if isinstance(trial.method.optimizer, Searching) else Alone
                (records[i],) = _run(team(member, device), [member], [trial])
        return [records[i] for i in range(len(self.trials))]

    def _cohorts(self, members: Sequence[Member]) -> list[list[int]]:
        """The places of those that train together, in the order that a stack wants.

        As many as the job has where batches are the task's own, and fewer the larger they are: memory is limited.
        """
        if self.arrangement == ALONE:
            return []
        stackable = [i for i, one in enumerate(members) if one.method.stackable]
        cohorts = []
        kinds = {i: together_of(members[i]) for i in stackable}
        for kind in sorted(set(kinds.values())):
            size = kind[0]
            same = [i for i in stackable if kinds[i] == kind]
            ordered = [same[place] for place in order_of([members[i] for i in same])]
            most = max(1, len(members) * max(EVALUATED, self.task.batch_size) // size)
            cohorts += [ordered[start : start + most] for start in range(0, len(ordered), most)]
        return cohorts


def _members(task: Task, trials: Sequence[Trial]) -> list[Member]:
    """The trials with their data, cut once for each seed and role."""
    cut: dict[tuple[Any, str], tuple[Workload, Examples | None]] = {}
    members = []
    for trial in trials:
        place = trial.seed, trial.role
        if place not in cut:
            generator = trial.seed.generator(Stream.SPLIT)
            cut[place] = task.workload_and_test(generator) if trial.role == FINAL else (task.workload(generator), None)
        members.append(Member(trial.method, cut[place][0], trial.seed, cut[place][1]))
    return members


def _run(team: Team, members: Sequence[Member], trials: Sequence[Trial]) -> list[Record]:
    orders = {one.seed: _order(one) for one in members}  # all of them train for as many epochs
    curves = train(team, [one.recipe for one in members], [orders[one.seed] for one in members], members[0].batch)
    finals = _finals(team, members, curves)
    own_batch = members[0].workload.batch_size
    hashes = {seed: tensor_hash(*first_batches(order, own_batch)) for seed, order in orders.items()}
    counts = team.counts
    return [
        Record(
            key=trial.key,
            task=trial.seed.task,
            method=trial.method.name,
            hyperparameters=trial.method.hyperparameters,
            master=trial.seed.master,
            rep=trial.seed.rep,
            role=trial.role,
            train_loss=curves.of("train_loss", i),
            validation_loss=curves.of("validation_loss", i),
            validation_metric=curves.of("validation_metric", i),
            **finals[i],  # type: ignore[arg-type]  # they are the floats among the fields
            diverged=bool(curves.diverged[i]),
            stopped=int(curves.lengths[i]) - 1 + int(curves.diverged[i]),
            seconds=float(counts.seconds[i]),
            steps=int(counts.steps[i]),
            forward_passes=round(counts.forward[i]),
            backward_passes=round(counts.backward[i]),
            loss_evaluations=int(counts.losses[i]),
            examples=int(counts.examples[i]),
            state_bytes=int(counts.state_bytes[i]),
            parameters=team.parameters,
            members=team.members,
            data_hash=member.workload.data_hash,
            init_hash=team.init_hashes[i],
            order_hash=hashes[member.seed],
        )
        for i, (member, trial) in enumerate(zip(members, trials, strict=True))
    ]


def _order(member: Member) -> torch.Tensor:
    workload = member.workload
    return batch_order(len(workload.train), member.epochs, member.seed.generator(Stream.ORDER))


def _finals(team: Team, members: Sequence[Member], curves: Curves) -> list[dict[str, float | None]]:
    """The metric on the training part, and what the test part says, read once: of the last weights, of the best, of a
    constant answer and of no training."""
    trained = team.metrics(team.outputs("train"), "train")
    found: list[dict[str, float | None]] = [
        {"train_metric": None if gone else _finite(metric)}
        for gone, metric in zip(curves.diverged, trained, strict=True)
    ]
    if members[0].test is None:
        names = ("test_metric", "test_metric_best", "test_loss", "constant_metric", "untrained_metric")
        return [one | dict.fromkeys(names) for one in found]
    outputs = team.outputs("test")
    last, loss = team.metrics(outputs, "test"), team.losses(outputs, "test")
    team.swap_kept()
    best = team.metrics(team.outputs("test"), "test")
    team.swap_kept()
    untrained = {one.seed: _untrained(one) for one in members}
    for i, member in enumerate(members):
        worst = member.workload.metric.worst
        worst = untrained[member.seed] if worst is None else worst
        found[i] |= {
            "test_metric": worst if curves.diverged[i] else _finite(last[i], worst),
            "test_metric_best": worst if curves.diverged[i] else _finite(best[i], worst),
            "test_loss": _finite(loss[i]),
            "constant_metric": _constant(member, outputs[i].cpu()),
            "untrained_metric": untrained[member.seed],
        }
    return found


def _untrained(member: Member) -> float | None:
    """The metric of the network as it was before any training."""
    assert member.test is not None
    with OwnRandomness(member.seed.generator(Stream.DROPOUT), torch.device("cpu")):
        outputs = outputs_of(member.workload.network(member.seed.generator(Stream.INIT)).eval(), member.test.inputs)
        return _finite(member.workload.metric.function(outputs, member.test.targets))


def _constant(member: Member, outputs: torch.Tensor) -> float | None:
    """The metric of an answer that does not look at the input: the most frequent class, or the mean of the targets.

    None where outputs are neither a number a class nor of the targets' shape.
    """
    assert member.test is not None
    train, test = member.workload.train.targets, member.test.targets
    if train.is_floating_point():
        if outputs.shape != test.shape:
            return None
        answer = train.mean(dim=0).expand_as(outputs)
    else:
        frequent = int(train.flatten().bincount().argmax())
        if outputs.dim() < 2 or outputs.shape[1] <= frequent:
            return None
        answer = torch.zeros_like(outputs)
        answer.select(1, frequent).fill_(1.0)
    return _finite(member.workload.metric.function(answer, test))


def _finite(value: Any, otherwise: float | None = None) -> float | None:
    return float(value) if np.isfinite(float(value)) else otherwise
