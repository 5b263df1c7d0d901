"""Races that reproductions are made of: kept in the store, told of in lines."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from thalweg.race import Method, RaceResult, race
from thalweg.race.track import Progress
from thalweg.reproduce.paper import Options, Tell
from thalweg.tasks import Task


def raced(
    tasks: Sequence[Task],
    methods: Sequence[Method],
    options: Options,
    tell: Tell,
    name: str,
    *,
    baseline: str,
    seeds: int,
    budget: int = 1,
    studies: int = 1,
    repeats: int = 0,
) -> RaceResult:
    """The race of this name, with what of it is in the store already. Raises what races raise."""
    return race(
        tasks,
        methods,
        baseline=baseline,
        store=options.store / "races" / f"{name}-{options.kept_as}",
        workers=options.workers,
        device=options.device,
        on_progress=_telling(tell, name, len(tasks)),
        seeds=seeds,
        budget=budget,
        studies=studies,
        repeats=repeats,
    )


def _telling(tell: Tell, name: str, tasks: int) -> Callable[[Progress], None]:
    done: dict[str, tuple[int, int]] = {}

    def note(progress: Progress) -> None:
        done[progress.task] = progress.done, progress.trials
        if progress.records:
            total = sum(trials for _, trials in done.values()) * tasks // len(done)
            tell(f"{name}: {sum(count for count, _ in done.values()):,} of {total:,} trials")

    return note
