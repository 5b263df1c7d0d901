"""A task's way through its plan, and how the tracks of all tasks are driven to their ends."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from thalweg.race.arrangement import Arrangement
from thalweg.race.engine import Parcel, completed
from thalweg.race.manifest import Manifest
from thalweg.race.method import Method
from thalweg.race.plan import Plan, plan
from thalweg.race.record import Record
from thalweg.race.store import Cell, Store, StoreError, Unreadable
from thalweg.race.trial import ALONE, Trial
from thalweg.tasks import Task


@dataclass(frozen=True)
class Progress:
    """How far a race is: of a task, the trials that are done and the number that it has in all; `records` are those
    that have just arrived; `arrangement` says how long a trial takes, once that is known."""

    task: str
    done: int
    trials: int
    records: tuple[Record, ...] = ()
    arrangement: Arrangement | None = None


OnProgress = Callable[[Progress], None]


class Track:
    """A task's way through its plan, with what the store has already.

    `cells` are what it comes to, by method; `found` and `done` count trials: those that the store had before, and all
    that are there.
    """

    def __init__(self, task: Task, methods: Sequence[Method], manifest: Manifest, store: Store) -> None:
        self.task, self.methods, self.protocol, self.store = task, methods, manifest.protocol, store
        self.parcel = Parcel(task, self.protocol.device)
        self.cells: dict[str, Cell] = {}
        self.found = self.done = 0
        self.arrangement: Arrangement | None = None
        self._place_hashes = {one.name: manifest.place_hash(task.name, one.name) for one in methods}
        self._choice = f"{task.name}-{task.fingerprint()[:16]}-{self.protocol.device}"
        self._rounds: Plan = plan(task.name, task.fingerprint(), methods, self.protocol)
        self._asked: list[Trial] = []  # the trials of the round, equal ones as often as they are asked for
        self._there: dict[str, Record] = {}
        self._run: set[str] = set()  # by this very process: a sampler may ask for the same again

    @property
    def finished(self) -> bool:
        """Whether all cells are there."""
        return len(self.cells) == len(self.methods)

    @property
    def total(self) -> int:
        """Trials in all."""
        return len(self.methods) * self.protocol.trials_per_cell

    def restore(self) -> None:
        """Takes what the store has: whole cells, or the trials of the first rounds, and how they are trained."""
        for name, place_hash in self._place_hashes.items():
            if (cell := self.store.cell((self.task.name, name), place_hash)) is not None:
                self.cells[name] = cell
        if self.finished:
            self.found = self.done = self.total
            return
        if (choice := self.store.choice(self._choice)) is not None:
            self.arrangement = self._replayed(choice)
        self._advance()

    def arrange(self, measured: Arrangement) -> None:
        """Keeps what was measured; of several processes on one store the first one decides for all."""
        self.arrangement = self._replayed(self.store.put_choice(self._choice, measured.as_dict()))

    def jobs(self) -> list[list[Trial]]:
        """What of the round is to be run. Which trials form a job follows from the plan, not from what is there."""
        assert self.arrangement is not None
        jobs = []
        for stackable in (True, False):
            trials = {one.key: one for one in self._asked if one.method.stackable == stackable}
            size = self.arrangement.job_size(len(trials), stackable)
            every = list(trials.values())
            jobs += [every[i : i + size] for i in range(0, len(every), size)]
        missing = [[trial for trial in job if trial.key not in self._there] for job in jobs]
        return [job for job in missing if job]

    def arrangement_of(self, job: Sequence[Trial]) -> str:
        """How a job's trials train."""
        assert self.arrangement is not None
        return self.arrangement.arrangement if job[0].method.stackable else ALONE

    def arrived(self, records: Sequence[Record]) -> tuple[tuple[Record, ...], bool]:
        """Keeps the records of a job. Returns them as the store has them, and whether they complete the round: then
        the track has gone on to the next."""
        kept = self.store.put(records)
        keys = {record.key for record in kept}
        self._run |= keys
        self._there |= {record.key: record for record in kept}
        self.done += sum(trial.key in keys for trial in self._asked)
        complete = all(trial.key in self._there for trial in self._asked)
        if complete:
            self._advance(self._there)
        return tuple(kept), complete

    def progress(self, records: tuple[Record, ...] = (), arrangement: Arrangement | None = None) -> Progress:
        """How far it is."""
        return Progress(self.task.name, self.done, self.total, records, arrangement)

    def _advance(self, records: Mapping[str, Record] | None = None) -> None:
        """Goes to the next round that has something to run, or to the end."""
        while True:
            try:
                self._asked = next(self._rounds) if records is None else self._rounds.send(records)
            except StopIteration as end:
                self._finish(end.value)
                return
            self._there = self.store.records(dict.fromkeys(trial.key for trial in self._asked))
            there = [trial.key for trial in self._asked if trial.key in self._there]
            self.found += sum(key not in self._run for key in there)
            self.done += len(there)
            if len(there) < len(self._asked):
                return
            records = self._there

    def _finish(self, cells: dict[str, Cell]) -> None:
        for name, (studies, finals) in cells.items():
            self.store.put_cell((self.task.name, name), self._place_hashes[name], studies, finals)
        self.cells, self._asked = cells, []

    def _replayed(self, choice: Mapping[str, Any]) -> Arrangement:
        try:
            return Arrangement.of(choice)
        except TypeError as error:
            where = f"the choice {self._choice} in {self.store.folder}"
            raise Unreadable(f"{where} is damaged ({error}); delete it and run the command again") from error


def drive(tracks: Sequence[Track], executor: Executor, tell: OnProgress) -> None:
    """Runs the jobs of all tracks until all are finished. What arrives is kept at once, in whatever order.

    Where a job fails, or the race is interrupted, the others that have ended are kept before that is raised.
    """
    pending: dict[Future[Any], Track] = {}

    def submit(track: Track) -> None:
        for job in track.jobs():
            pending[track.parcel.run(executor, job, track.arrangement_of(job))] = track

    try:
        for track in tracks:
            if track.arrangement is None:
                pending[track.parcel.measure(executor)] = track
            else:
                submit(track)
            tell(track.progress(arrangement=track.arrangement))
        while pending:
            for future in completed(pending):
                result, track = future.result(), pending[future]
                del pending[future]
                if isinstance(result, Arrangement):
                    track.arrange(result)
                    submit(track)
                    tell(track.progress(arrangement=track.arrangement))
                else:
                    kept, complete = track.arrived(result)
                    if complete and not track.finished:
                        submit(track)
                    tell(track.progress(kept))
    except StoreError:
        raise
    except BaseException:
        with suppress(StoreError):  # what went wrong first is what is to be told
            for future, track in pending.items():
                if future.done() and not future.cancelled() and isinstance(records := _result(future), list):
                    track.store.put(records)
        raise
    finally:
        for future in pending:
            future.cancel()


def _result(future: Future[Any]) -> Any:
    """What it came to; None where it raised."""
    return None if future.exception() else future.result()
