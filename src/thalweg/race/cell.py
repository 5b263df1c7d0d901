"""A cell of a race: one method on one task, tuned, then run on fresh seeds. The work that one process takes on."""

from collections.abc import Callable
from dataclasses import dataclass

from thalweg.race.method import Method
from thalweg.race.record import Record
from thalweg.race.seeds import Seed, Stream, final_seed, tuning_seed
from thalweg.race.store import Store
from thalweg.race.trial import Trial
from thalweg.race.tuning import Study, settings, tune
from thalweg.tasks import Task


@dataclass(frozen=True)
class Protocol:
    """What is the same for every method and task of a race.

    `draws` settings are tried on `tuning_splits` splits each; the chosen one runs on `seeds` seeds. All randomness
    comes from `master`.
    """

    seeds: int = 15
    draws: int = 9
    tuning_splits: int = 2
    master: int = 0

    def __post_init__(self) -> None:
        for name in ("seeds", "draws", "tuning_splits"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be >= 1, got {getattr(self, name)}")
        if self.master < 0:
            raise ValueError(f"master must be >= 0, got {self.master}")

    @property
    def trials_per_cell(self) -> int:
        return self.draws * self.tuning_splits + self.seeds


@dataclass(frozen=True)
class CellResult:
    """The tuning study, then one record a seed, in the order of the seeds; `found` trials were in the store already."""

    study: Study
    records: tuple[Record, ...]
    found: int


@dataclass(frozen=True)
class Cell:
    """One method on one task."""

    task: Task
    method: Method
    protocol: Protocol
    store: Store

    def run(self) -> CellResult:
        """Tunes, then runs the chosen setting on the final seeds; what is in the store already is read from there."""
        runner = _Runner(self.store)
        study = self._tune(runner)
        chosen = self.method.at(study.chosen.hyperparameters)
        records = tuple(runner.run(self._final_trial(chosen, index)) for index in range(self.protocol.seeds))
        return CellResult(study, records, runner.found)

    def _tune(self, runner: "_Runner") -> Study:
        drawn = settings(self.method, self.protocol.draws, self.protocol.master)
        seeds = [self._seed(tuning_seed, index) for index in range(self.protocol.tuning_splits)]
        workloads = [(seed, self.task.workload(seed.generator(Stream.SPLIT))) for seed in seeds]
        return tune(self.method, workloads, drawn, runner.run)

    def _final_trial(self, chosen: Method, index: int) -> Trial:
        seed = self._seed(final_seed, index)
        workload, test = self.task.workload_and_test(seed.generator(Stream.SPLIT))
        return Trial(chosen, workload, seed, test)

    def _seed(self, kind: Callable[[int, str, int], Seed], index: int) -> Seed:
        return kind(self.protocol.master, self.task.name, index)


class _Runner:
    """Runs trials that are not in the store yet, and puts them there."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.found = 0

    def run(self, trial: Trial) -> Record:
        record = self.store.get(trial.key)
        if record is not None:
            self.found += 1
            return record
        record = trial.run()
        self.store.put(record)
        return record
