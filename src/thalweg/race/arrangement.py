"""Whether the trials of a task train stacked or one after another: measured once, kept in the store, replayed."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from thalweg.cohort import Unstackable
from thalweg.race.alone import Alone, outputs_of
from thalweg.race.method import method_named
from thalweg.race.seeds import Stream, tuning_seed
from thalweg.race.stack import Stack
from thalweg.race.teams import EVALUATED, Member, Team
from thalweg.race.training import batch_order
from thalweg.race.trial import ALONE, STACKED
from thalweg.tasks import Task, dropout

MOST = 256  # members of a cohort: more gain nothing, and leave less to share among processes
FEWEST = 32
MEASURED = 32  # members that are timed, fewer where a step takes long
LONG = 0.5  # seconds that a step of those may take, by the time of one alone
WORTH = 0.9  # of the time alone, which a step must take stacked to be worth it: near 1 the luck of timing decides
MEMORY = 1 << 30  # bytes that a cohort may take
COPIES = 6  # of the weights: themselves, gradients, the kept ones, two states and what is in passing
ANSWERS = 4  # of what a network answers to the training part: that, twice while it is joined, and the loss's own
TURN = 0.02  # seconds: far above what reading the clock takes
TURNS = 5  # of each, of which the shortest counts
JOB_SECONDS = 5.0  # about how long a job of trials that train alone should take


@dataclass(frozen=True)
class Arrangement:
    """How the trials of a task train. `stacked` and `alone`: seconds of a step of one network, inf where it cannot be.
    `steps` of one trial; `members` at most in one job."""

    arrangement: str
    stacked: float
    alone: float
    steps: int
    members: int

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> Arrangement:
        """From what `as_dict` gave."""
        return cls(**fields)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {name: 1e300 if value == float("inf") else value for name, value in asdict(self).items()}

    @property
    def seconds(self) -> float:
        """About how long one trial takes."""
        return self.steps * (self.stacked if self.arrangement == STACKED else self.alone)

    def job_size(self, trials: int, stackable: bool) -> int:
        """How many of so many trials one job takes. It never depends on the number of processes."""
        if stackable and self.arrangement == STACKED:
            return min(self.members, max(FEWEST, -(-trials // 2)))
        return max(1, min(FEWEST, int(JOB_SECONDS / max(1e-9, self.steps * self.alone))))


def measure(task: Task, device: str) -> Arrangement:
    """Times a few steps of plain SGD, stacked and alone, after a look at whether all that a trial does can be stacked:
    dropout, a last batch that is smaller, evaluation.

    Raises ValueError where the task gives the same network twice: its trials would go on where others ended.
    """
    place = torch.device(device)
    seed = tuning_seed(0, task.name, 0)
    member = Member(method_named("sgd"), task.workload(seed.generator(Stream.SPLIT)), seed, None)
    if member.network() is member.network():
        raise ValueError(f"the model of {task.name} must return a new network at every call, got the same one twice")
    examples, batch = len(member.workload.train), member.batch
    steps = member.workload.epochs * -(-examples // batch)
    rows = batch_order(examples, 1, seed.generator(Stream.ORDER))[:, :batch]
    teams: list[Team] = [alone := Alone(member, place)]
    most = min(MOST, MEMORY // _bytes_of(alone, rows))
    if most > 1:
        members = max(2, min(MEASURED, most, int(LONG / _turn(alone, rows))))
        try:
            _try_stacked(member, place)
            teams.append(Stack([member] * members, place))
        except Unstackable:
            most = 1
    for team in teams:  # the first one, in which the cohort is traced, does not count
        _turn(team, rows)
    turns = [[_turn(team, rows) for team in teams] for _ in range(TURNS)]
    seconds = [min(each) / team.members for each, team in zip(zip(*turns, strict=True), teams, strict=True)]
    stacked = seconds[1] if len(teams) > 1 else float("inf")
    arrangement = STACKED if stacked < WORTH * seconds[0] else ALONE
    return Arrangement(arrangement, stacked, seconds[0], steps, max(1, most))


def _try_stacked(member: Member, device: torch.device) -> None:
    """Does once, with two members on few examples, all that a trial may do. Raises Unstackable."""
    workload, batch = member.workload, member.batch
    rest = len(workload.train) % batch or batch
    few = replace(workload, train=workload.train[: max(batch, 2)], validation=workload.validation[:2])
    dropped = {"dropout": 0.5} if dropout.layers(member.network()) else {}
    method = member.method.at({**member.method.hyperparameters, **dropped})
    stack = Stack([Member(method, few, member.seed, None)] * 2, device)
    for size in (batch, rest):
        stack.step(torch.arange(size).expand(2, -1), np.ones(2), np.ones(2, dtype=np.bool_))
    stack.losses(stack.outputs("train"), "train")


def _bytes_of(team: Alone, rows: Tensor) -> int:
    """About what one member of a cohort takes: its weights and states, what a step or an evaluation holds, answers."""
    held: dict[int, int] = {}

    def note(x: Tensor) -> Tensor:
        held[x.data_ptr()] = x.numel() * x.element_size()
        return x

    with torch.autograd.graph.saved_tensors_hooks(note, lambda x: x):
        team.step(rows, np.ones(1), np.ones(1, dtype=np.bool_))
    workload, batch = team.trial.workload, rows.shape[1]
    answers = outputs_of(team.network.eval(), workload.train.inputs[:2].to(team.device))
    bytes_a_number = answers.element_size()
    return (
        COPIES * team.parameters * bytes_a_number
        + sum(held.values()) * max(batch, EVALUATED) // batch
        + ANSWERS * len(workload.train) * answers[0].numel() * bytes_a_number
    )


def _turn(team: Team, rows: Tensor) -> float:
    """The seconds of a step, among as many as fill a turn, at least one."""
    ones, active = np.ones(team.members), np.ones(team.members, dtype=np.bool_)
    own = rows.expand(team.members, -1)
    start, taken = time.perf_counter(), 0
    while taken == 0 or time.perf_counter() - start < TURN:
        team.step(own, ones, active)
        taken += 1
    return (time.perf_counter() - start) / taken
