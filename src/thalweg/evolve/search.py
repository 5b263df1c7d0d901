"""The search: breeds a batch while the one before is trained, and commits after each, so that nothing is ever lost."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import astuple, dataclass
from random import Random
from typing import Any

import numpy as np

from thalweg.evolve.archive import Archive
from thalweg.evolve.breeding import NOBODY, Breeder, Child, Islands, Member
from thalweg.evolve.entry import Score
from thalweg.evolve.evaluation import FULL, PROXY, Job, Plan, evaluate, rung_named
from thalweg.evolve.funnel import Batch, Funnel
from thalweg.evolve.hurdle import Control, RollingHurdle, chance_level, worst_of
from thalweg.evolve.racing import LEAST_SEEDS, eliminated
from thalweg.evolve.settings import Settings
from thalweg.evolve.standing import Standing, Standings
from thalweg.race.engine import Here, completed
from thalweg.race.jobs import packed, versions
from thalweg.tasks import Task

# Candidates that one process evaluates at a time: a quarter of a batch, but not too few to share a step's cost. It
# follows from the batch alone, so that no result depends on the number of workers.
SHARES, LEAST_JOB = 4, 32


@dataclass(frozen=True)
class Row:
    """What a batch came to: candidates so far, the best standing's mean over so many scores, the mean of all members
    that were trained in full and did not diverge, and the examples trained on so far."""

    batch: int
    candidates: int
    best: float
    scores: int
    mean: float
    examples: int


@dataclass(frozen=True)
class Progress:
    """How far an evolution is: the last row, the best rule's entry, and what was counted."""

    row: Row
    best: int | None
    counts: Mapping[str, float]


class Search:
    """An evolution under way. Everything that decides how it goes on is in `checkpoint`, and the archive beside it."""

    def __init__(
        self, settings: Settings, plan: Plan, tasks: Sequence[Task], archive: Archive, breeder: Breeder, funnel: Funnel
    ) -> None:
        self.settings, self.plan, self.tasks = settings, plan, list(tasks)
        self.archive, self.breeder, self.funnel = archive, breeder, funnel
        self.standings = Standings(settings, [task.name for task in tasks])
        self.worst = {task.name: worst_of(task) for task in self.tasks}
        chance = chance_level(self.tasks[0])
        floor = -math.inf if chance is None else chance
        self.hurdles = {rung_named(share): RollingHurdle(settings.quantile, floor=floor) for share in settings.rungs}
        if settings.proxy:
            self.hurdles[PROXY] = RollingHurdle(settings.quantile)
        if settings.trials > 1 and settings.floor is None:
            self.hurdles[FULL] = RollingHurdle(settings.trial_quantile)
        self.control = Control(settings.control)
        self.standing: dict[int, Standing] = {}
        self.number, self.history = 0, list[Row]()
        self.pending: Batch | None = None
        self.again: list[tuple[int, int]] = []  # entries to be evaluated again in the batch that is pending, with seeds
        if archive.checkpoint is not None:
            try:
                self._restore(json.loads(archive.checkpoint))
            except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
                raise ValueError(
                    f"archive {archive.path} is damaged: its checkpoint is that of no search ({type(error).__name__}: "
                    f"{error}); give another path, or delete it to begin anew"
                ) from error

    @property
    def candidates(self) -> int:
        """How many were generated, those of the pending batch aside."""
        return self.history[-1].candidates if self.history else 0

    def run(self, executor: Executor, spent: Callable[[Row], bool], tell: Callable[[Progress], None]) -> None:
        """Goes on until the budget is `spent`, which is asked after every batch."""
        tasks: Any = self.tasks if isinstance(executor, Here) else packed(self.tasks, "the tasks")
        if self.pending is None and not self.history:
            self.pending = self._bred(0)
        while self.pending is not None and not (self.history and spent(self.history[-1])):
            futures = self._submitted(executor, tasks, self.pending)
            ahead = None if self.settings.search == "generational" else self._bred(self.pending.number + 1)
            scores = gathered(futures)
            self._absorb(self.pending, scores)
            self.pending = ahead or self._bred(self.pending.number + 1)
            self.again = self._contenders()
            self.archive.commit(self.checkpoint())
            tell(self.progress())

    def progress(self) -> Progress:
        """How far it is."""
        best = self.breeder.islands.best
        return Progress(self.history[-1], best[0].entry if best else None, self.archive.counters())

    # One batch

    def _bred(self, number: int) -> Batch:
        """The next children, in the funnel. What is nothing new is bred anew a few times."""
        children: list[Child] = self.breeder.first() if number == 0 else []
        if number:
            for place in range(self.breeder.size() * self.settings.islands):
                children.append(self.breeder.child(place, self.standing))
        bred = [(child, self.funnel.candidate(child)) for child in children]
        for _ in range(self.settings.retries if number else 0):
            novel = self.funnel.novel([candidate for _, candidate in bred])
            for place in [place for place, new in enumerate(novel) if not new]:
                child = self.breeder.child(place, self.standing)
                bred[place] = child, self.funnel.candidate(child)
        return self.funnel.batch(number, bred)

    def _submitted(self, executor: Executor, tasks: Any, batch: Batch) -> dict[Future[Any], tuple[int, ...]]:
        """The jobs of a batch, each future with the entries that it is about."""
        hurdles = {stage: hurdle.threshold for stage, hurdle in self.hurdles.items()}
        futures: dict[Future[Any], tuple[int, ...]] = {}

        def submit(entries: Sequence[int], **job: Any) -> None:
            rules = tuple(batch.rules.get(entry) or self.archive.entry(entry).rule for entry in entries)
            made = Job(rules, hurdles=hurdles, **job)
            futures[executor.submit(evaluate, versions(), tasks, self.plan, made)] = tuple(entries)

        size = job_size(len(batch.fresh))
        for start in range(0, len(batch.fresh), size):
            entries, ungated = batch.fresh[start : start + size], batch.ungated[start : start + size]
            submit(entries, seeds=(0,) * len(entries), ungated=ungated)
        if self.again:
            entries, seeds = zip(*self.again, strict=True)
            submit(entries, seeds=seeds, ungated=(True,) * len(entries), again=True)
        return futures

    def _absorb(self, batch: Batch, scores: Sequence[tuple[int, list[Score]]]) -> None:
        """Keeps the scores, moves hurdles, standings and populations, and notes what the batch came to."""
        examples = self.history[-1].examples if self.history else 0
        for entry, own in scores:
            for score in own:
                self.archive.score(self.archive.entry(entry), *astuple(score))
                examples += score.examples
        ungated = {entry for entry, free in zip(batch.fresh, batch.ungated, strict=True) if free}
        gated = [own for entry, own in scores if entry not in ungated and entry in batch.fresh]
        for stage, hurdle in self.hurdles.items():
            hurdle.see([value for own in gated if (value := self._first(own, stage)) is not None])
        for name, amount in batch.counts.items():
            self.archive.count(name, amount)
        standings = self._standings(entry for _, entry in batch.children if entry is not None)
        self.breeder.take_in(batch.children, standings, batch.number)
        self.standing = self._standings()
        self._see_control([own for entry, own in scores if entry in ungated])
        self.number = batch.number
        self.history.append(self._row(batch, examples))

    def _standings(self, others: Iterable[int] = ()) -> dict[int, Standing]:
        """Those of all members, and of others."""
        entries = {member.entry for member in self.breeder.islands.everyone()}.union(others) - {NOBODY}
        return self.standings.of({entry: self.archive.entry(entry).scores for entry in sorted(entries)})

    def _first(self, scores: Sequence[Score], stage: str) -> float | None:
        """A candidate's score in a stage with the first seed: of several tasks the mean of those that the stage is on.
        None where it did not come so far."""
        values = [score.value for score in scores if score.stage == stage and score.seed == 0]
        return float(np.mean(values)) if len(values) == (len(self.tasks) if stage == FULL else 1) else None

    def _see_control(self, scores: Sequence[list[Score]]) -> None:
        """Notes which of the candidates that no hurdle stopped one would have stopped, and which turned out well: at
        four fifths of the way from the worst to the best of all."""
        best = self.breeder.islands.best
        if not best or self.standing[best[0].entry].stage <= len(self.settings.rungs):
            return
        worst, top = float(np.mean([*self.worst.values()])), self.standing[best[0].entry].mean
        for own in scores:
            stopped = [
                not hurdle.passes([value])[0]
                for stage, hurdle in self.hurdles.items()
                if stage != FULL and (value := self._first(own, stage)) is not None
            ]
            full = self._first(own, FULL)
            self.control.see([any(stopped)], [full is not None and full >= worst + 0.8 * (top - worst)])

    def _row(self, batch: Batch, examples: int) -> Row:
        best = self.breeder.islands.best
        members = {member.entry for member in self.breeder.islands.everyone()} - {NOBODY}
        full = len(self.settings.rungs) + 1
        means = [own.mean for entry in sorted(members) if (own := self.standing[entry]).stage >= full]
        means = [mean for mean in means if math.isfinite(mean)]
        top = self.standing[best[0].entry] if best else None
        return Row(
            batch.number, self.candidates + len(batch.children), top.mean if top else float("-inf"),
            top.scores if top else 0, sum(means) / len(means) if means else float("-inf"), examples,
        )  # fmt: skip

    def _contenders(self) -> list[tuple[int, int]]:
        """The best that have too few scores, and the seed that it is the turn of for those that have none of it. Those
        that are surely worse than another by now are left out."""
        full = len(self.settings.rungs) + 1
        best = [m.entry for m in self.breeder.islands.best if self.standing[m.entry].stage >= full]
        best = best[: self.settings.contenders]
        seeds = {entry: set(self.archive.entry(entry).seeds(FULL)) for entry in best}
        tested = [entry for entry in best if len(seeds[entry]) >= LEAST_SEEDS]
        shared = sorted(set.intersection(*(seeds[entry] for entry in tested))) if tested else []
        table = np.array([[self._score(entry, seed) for seed in shared] for entry in tested])
        table = table.reshape(len(tested), len(shared))
        out = {entry for entry, gone in zip(tested, eliminated(table), strict=True) if gone}
        turn = self.number % self.settings.seeds
        return [(entry, turn) for entry in best if entry not in out and turn not in seeds[entry]]

    def _score(self, entry: int, seed: int) -> float:
        """The mean over the tasks of a candidate's full scores with a seed."""
        scores = self.archive.entry(entry).scores
        return float(np.mean([score.value for score in scores if score.stage == FULL and score.seed == seed]))

    # From one process to the next

    def checkpoint(self) -> str:
        """All that decides how the search goes on, as JSON."""
        islands, genome = self.breeder.islands, self.breeder.representation.to_json
        assert self.pending is not None
        kept = {
            "number": self.number,
            "history": [list(vars(row).values()) for row in self.history],
            "randoms": [_random_state(random) for random in (self.breeder.random, self.funnel.random)],
            "representation": self.breeder.representation.state(),
            "hurdles": {stage: hurdle.state() for stage, hurdle in self.hurdles.items()},
            "control": self.control.state(),
            "islands": [[[m.entry, genome(m.genome)] for m in members] for members in (*islands.members, islands.best)],
            "pending": {
                "number": self.pending.number,
                "children": [
                    [genome(child.genome), child.operation, list(child.parents), child.island, entry]
                    for child, entry in self.pending.children
                ],
                "fresh": list(self.pending.fresh),
                "ungated": list(self.pending.ungated),
                "counts": dict(self.pending.counts),
            },
            "again": [list(pair) for pair in self.again],
        }
        return json.dumps(kept)

    def _restore(self, kept: Mapping[str, Any]) -> None:
        representation = self.breeder.representation
        representation.restore(kept["representation"])
        self.number = kept["number"]
        self.history = [Row(*row) for row in kept["history"]]
        for random, state in zip((self.breeder.random, self.funnel.random), kept["randoms"], strict=True):
            random.setstate((state[0], tuple(state[1]), state[2]))
        for stage, state in kept["hurdles"].items():
            self.hurdles[stage].restore(state)
        self.control.restore(kept["control"])
        groups = [[Member(entry, representation.from_json(data)) for entry, data in own] for own in kept["islands"]]
        self.breeder.islands = Islands(groups[:-1], groups[-1])
        pending = kept["pending"]
        children = tuple(
            (Child(representation.from_json(data), operation, tuple(parents), island), entry)
            for data, operation, parents, island, entry in pending["children"]
        )
        self.pending = Batch(
            pending["number"], children, tuple(pending["fresh"]), tuple(pending["ungated"]), pending["counts"]
        )
        self.again = [(entry, seed) for entry, seed in kept["again"]]
        self.standing = self._standings()


def job_size(candidates: int) -> int:
    """How many of so many candidates are evaluated in one job."""
    return max(LEAST_JOB, -(-candidates // SHARES))


def gathered(futures: Mapping[Future[Any], tuple[int, ...]]) -> list[tuple[int, list[Score]]]:
    """The scores of each entry, in the order in which the jobs were submitted, whichever ends first."""
    waiting = dict(futures)
    while waiting:
        for future in completed(waiting):
            del waiting[future]
    return [pair for future, entries in futures.items() for pair in zip(entries, future.result(), strict=True)]


def _random_state(random: Random) -> list[Any]:
    version, state, gauss = random.getstate()
    return [version, list(state), gauss]


def _viable(best: float) -> float:
    """The least score of a candidate that it would be a pity to lose."""
    return best - 0.1 * abs(best)
