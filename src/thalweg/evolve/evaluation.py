"""What a worker does with candidates: micro-proxy, hurdles, training on the tasks; it returns scores alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from thalweg.evolve.entry import Score
from thalweg.evolve.proxy import Proxy
from thalweg.evolve.session import Session
from thalweg.race.jobs import check_versions, kept, one_thread, turn
from thalweg.race.seeds import Seed
from thalweg.rules import Rule
from thalweg.tasks import Task

PROXY, FULL = "proxy", "full"
CHOICE, TEST = "choice", "test"  # of finalists: on fresh seeds, by the validation part, and by the test part
STARTS = {FULL: 2_000_000, CHOICE: 2_100_000, TEST: 2_200_000}  # of the repetitions: none is that of a race's trial


def rung_named(share: float) -> str:
    """The stage of a hurdle after a share of a training."""
    return f"rung {share:g}"


@dataclass(frozen=True)
class Plan:
    """How candidates are evaluated, the same for all of an evolution; see `Settings`."""

    master: int
    epochs: float | None
    proxy: bool
    rungs: tuple[float, ...]
    trials: int
    floor: float | None
    device: str = "cpu"


@dataclass(frozen=True)
class Job:
    """Candidates that are evaluated together.

    `seeds`: the first seed of each one's training. `ungated`: which of them no hurdle stops. `hurdles`: by stage, the
    least score that goes on. `again`: they are known, and only trained in full on their seeds, for a score of `stage`.
    """

    rules: tuple[Rule, ...]
    seeds: tuple[int, ...]
    ungated: tuple[bool, ...]
    hurdles: Mapping[str, float] = field(default_factory=dict)
    again: bool = False
    stage: str = FULL


def evaluate(made_with: Mapping[str, str], tasks: Sequence[Task] | bytes, plan: Plan, job: Job) -> list[list[Score]]:
    """The scores of each candidate of a job, with one torch thread. The same job gives the same bits anywhere."""
    check_versions(made_with)
    with turn:
        given: Sequence[Task] = kept(tasks) if isinstance(tasks, bytes) else tasks
        with one_thread():
            return _Evaluation(given, plan, job).run()


class _Evaluation:
    def __init__(self, tasks: Sequence[Task], plan: Plan, job: Job) -> None:
        self.tasks, self.plan, self.job = tasks, plan, job
        self.scores: list[list[Score]] = [[] for _ in job.rules]

    def run(self) -> list[list[Score]]:
        going = np.arange(len(self.job.rules))
        if self.plan.proxy and not self.job.again:
            going = self.through_proxy(going)
        for seed in sorted(set(self.job.seeds)):
            self.trained(going[[self.job.seeds[i] == seed for i in going]], seed)
        return self.scores

    def through_proxy(self, going: np.ndarray) -> np.ndarray:
        values, examples = Proxy().scores_and_examples(
            [self.job.rules[i] for i in going], Seed(self.plan.master, "proxy", 0)
        )
        return self.over_hurdle(PROXY, PROXY, 0, going, values, examples)

    def trained(self, going: np.ndarray, seed: int) -> None:
        """One trial after another, each on all tasks. After each, those go on that are above floor and hurdle.

        The best are trained again, and finals held, on all tasks whatever comes out.
        """
        trials = 1 if self.job.again else self.plan.trials
        for trial in range(seed, seed + trials):
            rungs = self.plan.rungs if trial == seed and not self.job.again else ()
            values = np.empty((len(going), 0))
            for task in self.tasks:
                if not len(going):
                    return
                passed, own = self.on_task(going, task, trial, rungs)
                kept = np.isin(going, passed)
                values = np.column_stack([values[kept], own])
                going, rungs = passed, ()
                if not self.job.again:  # who failed on one task is not tried on the next
                    sound = np.isfinite(own)
                    values, going = values[sound], going[sound]
            floor = -math.inf if self.plan.floor is None else self.plan.floor
            going = going[values.mean(1) >= max(floor, self.job.hurdles.get(FULL, -math.inf))]

    def on_task(
        self, going: np.ndarray, task: Task, trial: int, rungs: Sequence[float]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Trains on one task with one seed; returns those that came to the end, and their scores."""
        epochs = self.plan.epochs or task.epochs
        seed = Seed(self.plan.master, task.name, STARTS[self.job.stage] + trial)
        session = Session([self.job.rules[i] for i in going], task, seed, device=self.plan.device)
        done, spent = 0.0, session.examples
        for share in rungs:
            session.advance(max(share * epochs - done, 1 / session.steps_per_epoch))  # at least a step
            done = max(share * epochs, 1 / session.steps_per_epoch)
            passed = self.over_hurdle(
                rung_named(share), task.name, trial, going, session.scores(), session.examples - spent
            )
            session.drop(np.isin(going, passed))
            going, spent = passed, session.examples
            if not len(going):
                return going, np.empty(0)
        session.advance(max(0.0, epochs - done))
        values = session.test_scores() if self.job.stage == TEST else session.scores()
        for i, value, examples in zip(going, values, session.examples - spent, strict=True):
            self.scores[i].append(Score(self.job.stage, task.name, trial, float(value), int(examples)))
        return going, values

    def over_hurdle(
        self, stage: str, task: str, seed: int, going: np.ndarray, values: np.ndarray, examples: np.ndarray
    ) -> np.ndarray:
        """Notes the scores of a stage; returns the candidates that go on."""
        for i, value, spent in zip(going, values, examples, strict=True):
            self.scores[i].append(Score(stage, task, seed, float(value), int(spent)))
        least = self.job.hurdles.get(stage, -math.inf)
        ungated = np.array([self.job.ungated[i] for i in going], dtype=bool)
        return going[(values >= least) & np.isfinite(values) | ungated]
