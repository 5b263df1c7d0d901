"""The finals: the best candidates on seeds that the search never saw, so that no lucky score wins."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import astuple, dataclass
from typing import Any

import numpy as np

from thalweg.evolve.entry import Entry
from thalweg.evolve.evaluation import CHOICE, FULL, TEST, Job, evaluate
from thalweg.evolve.search import Search, gathered, job_size
from thalweg.evolve.standing import CAUTION
from thalweg.race.engine import Here
from thalweg.race.jobs import packed, versions

LOOKED_AT = 64  # of the candidates with the highest means, which may be luck: standings tell


@dataclass(frozen=True)
class Finalist:
    """A candidate with its scores on fresh seeds, the tasks combined: `choice` on validation parts, by which the
    winner is chosen; `test` on test parts and on other seeds again, which says how good it is."""

    entry: Entry
    choice: tuple[float, ...]
    test: tuple[float, ...]


def finals(search: Search, executor: Executor, finalists: int, choices: int, tests: int) -> list[Finalist]:
    """The best of a search, by how they do on fresh seeds, the best first. All are kept in the archive, so that nothing
    is trained twice."""
    entries = _standing_highest(search, finalists)
    _train(search, executor, entries, CHOICE, choices)
    _train(search, executor, entries, TEST, tests)
    tested = [
        Finalist(entry, _scores(entry, search, CHOICE, choices), _scores(entry, search, TEST, tests))
        for entry in map(search.archive.entry, entries)
    ]
    return sorted(tested, key=lambda one: (-certain(one.choice), one.entry.size, one.entry.id))


def certain(scores: Sequence[float]) -> float:
    """The mean less two standard errors, by which a winner is chosen: who fails on one seed in ten will fail again."""
    error = np.std(scores, ddof=1) / np.sqrt(len(scores)) if len(scores) > 1 else 0.0
    return float(np.mean(scores) - CAUTION * error)


def _standing_highest(search: Search, count: int) -> list[int]:
    """Those that stand highest of all that were ever trained in full, whether they still live somewhere or not."""
    best = [member.entry for member in search.breeder.islands.best]
    ever = {entry.id for entry in search.archive.ranked(FULL, most=LOOKED_AT)}.union(best)
    standing = search.standings.of({entry: search.archive.entry(entry).scores for entry in sorted(ever)})
    full = len(search.settings.rungs) + 1
    able = [entry for entry in sorted(ever) if standing[entry].stage >= full]
    return sorted(able, key=lambda entry: standing[entry][:2], reverse=True)[:count]


def _train(search: Search, executor: Executor, entries: Sequence[int], stage: str, seeds: int) -> None:
    """Trains each on the seeds of a stage that it has no score of."""
    wanted = [
        (entry, seed)
        for entry in entries
        for known in [set(search.archive.entry(entry).seeds(stage))]
        for seed in range(seeds)
        if seed not in known
    ]
    wanted.sort(key=lambda pair: pair[1])  # those of one seed are trained together
    if not wanted:
        return
    tasks: Any = search.tasks if isinstance(executor, Here) else packed(search.tasks, "the tasks")
    futures = {}
    size = job_size(len(wanted))
    for start in range(0, len(wanted), size):
        few = wanted[start : start + size]
        rules = tuple(search.archive.entry(entry).rule for entry, _ in few)
        job = Job(rules, tuple(seed for _, seed in few), (True,) * len(few), again=True, stage=stage)
        future = executor.submit(evaluate, versions(), tasks, search.plan, job)
        futures[future] = tuple(entry for entry, _ in few)
    for entry, scores in gathered(futures):
        for score in scores:
            search.archive.score(search.archive.entry(entry), *astuple(score))
    search.archive.commit(search.checkpoint())


def _scores(entry: Entry, search: Search, stage: str, seeds: int) -> tuple[float, ...]:
    """The scores by seed: of several tasks their mean, or the worst where the search goes by that. Who diverged has
    what counts as worst."""
    by_seed = np.empty((len(search.tasks), seeds))
    for place, task in enumerate(search.tasks):
        own = {score.seed: score.value for score in entry.scores if score.stage == stage and score.task == task.name}
        values = [own[seed] for seed in range(seeds)]
        by_seed[place] = [value if np.isfinite(value) else search.worst[task.name] for value in values]
    combined = by_seed.min(0) if search.settings.across == "worst" else by_seed.mean(0)
    return tuple(map(float, combined))
