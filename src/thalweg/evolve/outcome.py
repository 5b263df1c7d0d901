"""What comes out of an evolution: the winner written out, explained, compared, and put in the store."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from thalweg.evolve.evaluation import CHOICE, STARTS, TEST, Job, evaluate
from thalweg.evolve.finals import Finalist
from thalweg.evolve.hurdle import false_rejects
from thalweg.evolve.judgement import report as pages
from thalweg.evolve.judgement.ablation import Ablation, ablations
from thalweg.evolve.judgement.genealogy import Birth, line_of_descent
from thalweg.evolve.judgement.nearest import nearest_known
from thalweg.evolve.judgement.readable import readable
from thalweg.evolve.judgement.retest import difference, reported, retest
from thalweg.evolve.result import Point, Result, front
from thalweg.evolve.search import Search
from thalweg.evolve.store import RACE, REPORT, WINNER, Store
from thalweg.names import shown
from thalweg.race.engine import Here
from thalweg.race.jobs import packed, versions
from thalweg.race.method import method_named, method_of
from thalweg.race.races import race
from thalweg.race.statistics.paired import SWAPPED, Verdict
from thalweg.rules import Rule
from thalweg.tasks import Task

if TYPE_CHECKING:
    from thalweg.evolve.evolution import Ran

RIVALS = ("heavy_ball", "nesterov", "rmsprop", "adam", "lion", "sgd")  # in the race with the winner
ABLATED = 12  # at most, of the parts of a rule


@dataclass(frozen=True)
class Judge:
    """What the outcome of an evolution is judged with.

    `away`: tasks beside its own on which the winner is raced; `raced`: whether it is raced at all. `seed`: the
    evolution's, and the race's.
    """

    tasks: Sequence[Task]
    away: Sequence[Task]
    raced: bool
    pool: Executor
    workers: int
    engine: str | Executor | None
    device: str
    seed: int
    tell: Callable[[str], None]


def outcome(
    title: str, ran: Mapping[str, Ran], store: Store, judge: Judge, settings: Sequence[tuple[str, str]]
) -> Result:
    """Judges what was found and writes report and optimizer. Raises ValueError where nothing learnt."""
    found = ran["evolution"]
    search, finalists = found.search, found.finalists
    worst = _combined(search, search.worst.values())
    if not finalists or not float(np.mean(finalists[0].choice)) > worst:
        raise ValueError(
            f"nothing that was bred learns {' and '.join(task.name for task in judge.tasks)} in full training "
            f"({_came_to_nothing(search)}); give a larger budget, or more epochs"
        )
    winner = finalists[0]
    rule = readable(winner.entry.rule)
    chosen_on = range(STARTS[CHOICE], STARTS[CHOICE] + len(winner.choice))
    score = reported({STARTS[TEST] + seed: value for seed, value in enumerate(winner.test)}, chosen_on)
    rule.export(store.path(WINNER))
    judge.tell("taking it apart")
    parts = _ablations(search, judge, rule, winner)
    raced, away = _raced(rule, search.plan.epochs, store, judge) if judge.raced else ([], [])
    points = front(search)
    counts = search.archive.counters()
    page = pages.EvolutionReport(
        title=title,
        metric=judge.tasks[0].metric.name.replace("_", " "),
        percent=judge.tasks[0].metric.percent,
        settings=tuple(settings),
        best=pages.best_of(rule, score),
        nearest=nearest_known(rule).sentence,
        history=tuple(pages.Batch(row.batch, row.candidates, row.best, row.scores, row.mean) for row in search.history),
        funnel=tuple(_funnel(search, counts)),
        refusals=tuple(
            pages.Stage(name.removeprefix("refused: "), int(count))
            for name, count in counts.items()
            if name.startswith("refused: ")
        ),
        hurdle=_hurdle(search),
        front=tuple(pages.FrontPoint(point.size, point.score, _equations(point)) for point in points),
        lineage=_lineage(search, winner.entry.id),
        finalists=tuple(
            pages.Finalist(f"{place}", readable(one.entry.rule).text, retest(one.test), one is winner)
            for place, one in enumerate(finalists, start=1)
        ),
        ablations=tuple(parts),
        controls=tuple(_controls(ran, winner)),
        race=tuple(raced),
        away=tuple(away),
    )
    pages.write_report(page, store.path(REPORT))
    return Result(rule, score, tuple(finalists), points, tuple(search.history), counts, page, store.folder)


def _combined(search: Search, values: Iterable[float]) -> float:
    """Values on the tasks as one, as the finals combine them."""
    return float(min(values) if search.settings.across == "worst" else np.mean(list(values)))


def _came_to_nothing(search: Search) -> str:
    """What became of those that were bred, and the most frequent reason to refuse one."""
    counts = search.archive.counters()
    ends = [f"{counts['generated']:.0f} bred"]
    ends += [f"{counts[name]:.0f} {name}" for name in ("refused", "repeated", "blind", "alike") if counts.get(name)]
    reasons = {name: count for name, count in counts.items() if name.startswith("refused: ")}
    told = f"; most often {max(reasons, key=lambda name: reasons[name])}" if reasons else ""
    return f"{', '.join(ends)}, {counts.get('fresh', 0):.0f} tried{told}"


def _equations(point: Point) -> str:
    return readable(point.rule).text


def _funnel(search: Search, counts: Mapping[str, float]) -> Iterator[pages.Stage]:
    """What became of the candidates, from the bred to the ones trained in full."""
    for name, title in (
        ("generated", "bred"), ("refused", "refused: no rule"), ("repeated", "repeats by form"),
        ("blind", "blind to the gradient"), ("alike", "repeats by behaviour"), ("fresh", "evaluated"),
    ):  # fmt: skip
        yield pages.Stage(title, int(counts.get(name, 0)))
    stages = search.archive.stages()
    for stage in (*search.hurdles, "full"):
        if stage != "proxy":
            yield pages.Stage("trained in full" if stage == "full" else f"came to {stage}", stages.get(stage, 0))


def _hurdle(search: Search) -> pages.HurdleLoss | None:
    if not search.control.viable:
        return None
    lost = false_rejects(search.control.lost, search.control.viable)
    return pages.HurdleLoss(lost.viable, lost.lost, lost.rate, lost.low, lost.high)


def _lineage(search: Search, of: int) -> tuple[Birth, ...]:
    """The line of descent of a candidate."""
    births, waiting = dict[int, Birth](), [of]
    while waiting:
        entry = search.archive.entry(waiting.pop())
        values = entry.values("full") or tuple(score.value for score in entry.scores[-1:])
        score = float(np.mean(values)) if values else float("-inf")
        births[entry.id] = Birth(entry.id, entry.parents, entry.operation, entry.born, entry.rule.text, score)
        waiting += [parent for parent in entry.parents if parent not in births and parent not in waiting]
    return line_of_descent(births.values(), of)


def _controls(ran: Mapping[str, Ran], winner: Finalist) -> Iterator[pages.Compared]:
    """The winner against those of other searches with the same compute, on the same seeds."""
    for name, other in ran.items():
        if name != "evolution" and other.finalists:
            yield _compared(name, winner.test, other.finalists[0].test)


def _compared(label: str, ours: Sequence[float], theirs: Sequence[float]) -> pages.Compared:
    found = difference(ours, theirs)
    return pages.Compared(
        label, retest(ours).mean, retest(theirs).mean, found.mean, found.low, found.high, found.n, found.verdict
    )


def _ablations(search: Search, judge: Judge, rule: Rule, winner: Finalist) -> list[pages.Compared]:
    """What is left of the winner without each of its parts, trained on the seeds of its test."""
    parts: list[Ablation] = ablations(rule)[:ABLATED]
    if not parts:
        return []
    tasks: Any = list(judge.tasks) if isinstance(judge.pool, Here) else packed(list(judge.tasks), "the tasks")
    rules = tuple(part.rule for part in parts)
    futures = []
    for seed in range(len(winner.test)):
        job = Job(rules, (seed,) * len(rules), (True,) * len(rules), again=True, stage=TEST)
        futures.append(judge.pool.submit(evaluate, versions(), tasks, search.plan, job))
    by_part: list[list[float]] = [[] for _ in parts]
    for future in futures:
        for own, scores in zip(by_part, future.result(), strict=True):
            values = [s.value if np.isfinite(s.value) else search.worst[s.task] for s in scores]
            own.append(_combined(search, values))
    return [_compared(part.title, own, winner.test) for part, own in zip(parts, by_part, strict=True)]


def _raced(
    rule: Rule, epochs: float | None, store: Store, judge: Judge
) -> tuple[list[pages.Compared], list[pages.Compared]]:
    """The winner against tuned known optimizers, on its own tasks and on those away from home."""
    judge.tell("racing it")
    tasks = [*judge.tasks, *judge.away]
    if epochs is not None:  # a race has whole ones
        tasks = [replace(task, epochs=max(1, round(epochs))) for task in judge.tasks] + list(judge.away)
    decides = [rule.definition(), [(task.name, task.fingerprint()) for task in tasks], judge.seed]
    place = f"{RACE}-{hashlib.sha256(repr(decides).encode()).hexdigest()[:8]}"  # another winner has another race
    result = race(
        tasks, [method_of(rule), *(method_named(name) for name in RIVALS)], baseline=rule.name,
        seeds=10, budget=9, studies=1, repeats=2, seed=judge.seed, device=judge.device, store=store.path(place),
        engine=judge.engine, workers=judge.workers,
    )  # fmt: skip
    home = {task.name for task in judge.tasks}
    rows: tuple[list[pages.Compared], list[pages.Compared]] = [], []
    summary = result.summary
    for one in result.verdicts:
        ours, theirs = (summary.means[one.task, name] for name in (rule.name, one.method))
        said = cast(Verdict, one.verdict)
        row = pages.Compared(
            shown(one.method), ours, theirs, -one.difference, -one.high, -one.low, one.seeds,
            SWAPPED.get(said, said), one.task,
        )  # fmt: skip
        rows[one.task not in home].append(row)
    return rows
