"""What archive, hurdles and cohorts save of an evolution, on a fixed stream of candidates, and how fast the funnel is.

    python benchmarks/evolve.py --out benchmarks/evolve.txt

The stream is what structured grammatical evolution with the grammar and the mutation rate of Adaptive AutoLR
(Carvalho, Lourenço and Machado 2022) breeds in populations of 20, repeats included. Each candidate's worth is that of a
full training on the bundled digits (64-64-10 network, 16 epochs, seed 0); it is viable from an accuracy of 0.8 on. Then
the stream goes through the funnel, whole and with one part less at a time, and what that costs in training and loses of
the viable is counted. Last, 30,000 candidates of the default evolution go through the funnel up to the micro-proxy.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from random import Random

import numpy as np
import torch
from evolve_alone import one_at_a_time
from timing import arguments_of, processor, publish, verdict

from thalweg.evolve.archive import Archive
from thalweg.evolve.breeding import Breeder, Child
from thalweg.evolve.candidate import Candidate, candidate_of
from thalweg.evolve.evaluation import FULL, PROXY, Job, Plan, evaluate, rung_named
from thalweg.evolve.funnel import Funnel
from thalweg.evolve.grammar import grammar_named
from thalweg.evolve.hurdle import RollingHurdle, chance_level
from thalweg.evolve.probes import probe_of
from thalweg.evolve.representation import Refused
from thalweg.evolve.search import Search, gathered, job_size
from thalweg.evolve.settings import PRESETS
from thalweg.evolve.sge import GrammaticalEvolution
from thalweg.evolve.trees import Trees
from thalweg.race.engine import executor
from thalweg.race.jobs import packed, versions
from thalweg.rules import Rule
from thalweg.tasks import Task
from thalweg.tasks.bundled import digits

JOB = 128  # candidates that a process has at a time, where all are trained
BATCH = 250  # candidates of the stream that are looked at together
VIABLE = 0.8
EPOCHS = 16
SETTINGS = PRESETS["laptop"]
PLAN = Plan(0, None, SETTINGS.proxy, SETTINGS.rungs, 1, None)  # that of the default evolution


@dataclass(frozen=True)
class Cost:
    """What it took to evaluate the stream: examples trained on, seconds, and the full scores that came out; NaN for
    those that were stopped."""

    examples: int
    seconds: float
    scores: np.ndarray


class Recorder(Funnel):
    """A funnel that keeps all that goes into it."""

    def __init__(self, *arguments, **named) -> None:
        super().__init__(*arguments, **named)
        self.seen: list[Candidate | str] = []

    def batch(self, number: int, bred: Sequence[tuple[Child, Candidate | str]]):
        self.seen += [candidate for _, candidate in bred]
        return super().batch(number, bred)


def recorded(count: int, pool: Executor) -> list[Rule]:
    """The stream: rules of the candidates that an evolution as the paper's breeds, in order, repeats included."""
    task = digits()
    settings = PRESETS["paper"].changed(proxy=True, rungs=(0.25,), trials=1, floor=None)
    genomes = GrammaticalEvolution(grammar_named("paper"), edits=0.15)
    archive = Archive(":memory:")
    funnel = Recorder(genomes, archive, probe_of(task, 0), Random("stream control"), 0.0)
    plan = replace(PLAN, epochs=EPOCHS)
    search = Search(settings, plan, [task], archive, Breeder(settings, genomes, Random("stream")), funnel)
    search.run(pool, lambda row: row.candidates >= count, lambda progress: None)
    # What no gradient reaches is refused by its text: the paper's engine trained it all the same, and so does
    # "everything" here, as a rule that stands still.
    still = Rule("still", "w = w - 0*g")
    return [still if isinstance(candidate, str) else candidate.rule for candidate in funnel.seen[:count]]


def everything(stream: Sequence[Rule], pool: Executor, tasks: bytes) -> Cost:
    """Every candidate trained in full, in cohorts."""
    start, futures = time.perf_counter(), {}
    for begin in range(0, len(stream), JOB):
        rules = tuple(stream[begin : begin + JOB])
        job = Job(rules, (0,) * len(rules), (True,) * len(rules), again=True)
        futures[pool.submit(evaluate, versions(), tasks, PLAN, job)] = tuple(range(begin, begin + len(rules)))
    scores, examples = np.full(len(stream), np.nan), 0
    for place, own in gathered(futures):
        scores[place] = own[-1].value
        examples += sum(score.examples for score in own)
    return Cost(examples, time.perf_counter() - start, scores)


def alone(stream: Sequence[Rule], pool: Executor, task: Task) -> Cost:
    start = time.perf_counter()
    futures = [pool.submit(one_at_a_time, tuple(stream[i : i + JOB]), task) for i in range(0, len(stream), JOB)]
    found = [future.result() for future in futures]
    seconds = time.perf_counter() - start
    return Cost(sum(n for _, n in found), seconds, np.array([score for scores, _ in found for score in scores]))


def through_funnel(
    stream: Sequence[Rule], pool: Executor, tasks: bytes, task: Task, *, archive: bool = True, hurdles: bool = True
) -> Cost:
    """The stream through the funnel, batch by batch; a repeat has the score of what it repeats."""
    start = time.perf_counter()
    known, funnel = Archive(":memory:"), None
    funnel = Funnel(Trees(), known, probe_of(task, 0), Random("control"), 0.0)
    plan = PLAN if hurdles else replace(PLAN, proxy=False, rungs=())
    stages = [PROXY, *map(rung_named, PLAN.rungs)] if hurdles else []
    floors = {stage: chance_level(task) for stage in stages if stage != PROXY}
    rolling = {stage: RollingHurdle(SETTINGS.quantile, floor=floors.get(stage, -np.inf)) for stage in stages}
    scores, examples, of_entry = np.full(len(stream), np.nan), 0, dict[int, float]()
    for begin in range(0, len(stream), BATCH):
        rules = stream[begin : begin + BATCH]
        places = list(range(begin, begin + len(rules)))
        if archive:
            bred = [(Child(None, "stream"), _candidate(rule)) for rule in rules]
            batch = funnel.batch(begin, bred)
            entries = [entry for _, entry in batch.children]
            fresh = {entry: known.entry(entry).rule for entry in batch.fresh}
        else:
            entries = places
            fresh = dict(zip(places, rules, strict=True))
        thresholds = {stage: hurdle.threshold for stage, hurdle in rolling.items()}
        for entry, own in _evaluated(fresh, pool, tasks, plan, thresholds):
            examples += sum(score.examples for score in own)
            for score in own:
                if score.stage in rolling:
                    rolling[score.stage].see([score.value])
                if score.stage == FULL:
                    of_entry[entry] = score.value
        for place, entry in zip(places, entries, strict=True):
            scores[place] = of_entry.get(entry, np.nan) if entry is not None else np.nan
    return Cost(examples, time.perf_counter() - start, scores)


def _candidate(rule: Rule) -> Candidate | str:
    try:
        return candidate_of(rule)
    except Refused as refusal:
        return str(refusal)


def _evaluated(fresh, pool: Executor, tasks: bytes, plan: Plan, thresholds):
    futures = {}
    entries, size = list(fresh), job_size(len(fresh))
    for begin in range(0, len(entries), size):
        few = entries[begin : begin + size]
        job = Job(tuple(fresh[entry] for entry in few), (0,) * len(few), (False,) * len(few), thresholds)
        futures[pool.submit(evaluate, versions(), tasks, plan, job)] = tuple(few)
    return gathered(futures)


def through_proxy(count: int, pool: Executor) -> tuple[float, dict[str, float]]:
    """Seconds for so many candidates of the default evolution, up to the micro-proxy, and what became of them."""
    task, trees, archive = digits(), Trees(), Archive(":memory:")
    settings = SETTINGS.changed(rungs=(), control=0.0, contenders=0)
    funnel = Funnel(trees, archive, probe_of(task, 0), Random("proxy control"), 0.0)
    search = Search(
        settings, replace(PLAN, rungs=()), [task], archive, Breeder(settings, trees, Random("proxy")), funnel
    )
    search.hurdles = {PROXY: RollingHurdle(1.0, floor=np.inf)}  # nothing goes on: the proxy is the last stage
    start = time.perf_counter()
    search.run(pool, lambda row: row.candidates >= count, lambda progress: None)
    return time.perf_counter() - start, archive.counters()


def rows(costs: dict[str, Cost], truth: np.ndarray) -> Iterator[str]:
    whole = costs["everything, in cohorts"]
    viable = truth >= VIABLE
    yield f"{'':34}{'examples':>14}{'fewer':>8}{'seconds':>9}{'a second':>10}{'viable lost':>20}"
    for name, cost in costs.items():
        lost = int((viable & np.isnan(cost.scores)).sum())
        share = f"{lost} of {int(viable.sum())} ({100 * lost / viable.sum():.1f} %)"
        yield (
            f"{name:34}{cost.examples:>14,}{whole.examples / cost.examples:>7.1f}x{cost.seconds:>9.1f}"
            f"{len(truth) / cost.seconds:>10.0f}{share:>20}"
        )


def report(count: int, most: int) -> list[str]:
    task = digits()
    tasks = packed([task], "the task")
    with executor(None, 2) as pool:
        stream = recorded(count, pool)
        evaluated = everything(stream[:JOB], pool, tasks)  # compiles and traces what all of them need
        del evaluated
        costs = {"everything, in cohorts": everything(stream, pool, tasks)}
        truth = costs["everything, in cohorts"].scores
        costs["everything, one at a time"] = alone(stream, pool, task)
        costs["the funnel"] = through_funnel(stream, pool, tasks, task)
        costs["the funnel without archive"] = through_funnel(stream, pool, tasks, task, archive=False)
        costs["the funnel without hurdles"] = through_funnel(stream, pool, tasks, task, hurdles=False)
        seconds, counts = through_proxy(most, pool)
    funnel, single = costs["the funnel"], costs["everything, one at a time"]
    lost = ((truth >= VIABLE) & np.isnan(funnel.scores)).sum() / max(1, (truth >= VIABLE).sum())
    bred = ", ".join(f"{name} {amount:,.0f}" for name, amount in counts.items() if ":" not in name)
    return [
        "What archive, hurdles and cohorts save, on a fixed stream of candidates",
        f"{processor()}; torch {torch.__version__}; two processes, a thread each",
        f"{count} candidates of the paper's grammar; a training is {EPOCHS} epochs of digits; viable from {VIABLE} on",
        "",
        *rows(costs, truth),
        "",
        verdict("examples, the funnel / everything", funnel.examples / costs["everything, in cohorts"].examples, 0.1),
        verdict("viable lost", lost, 0.01),
        verdict("seconds, the funnel / one at a time", funnel.seconds / single.seconds, 1 / 15),
        "",
        f"{most:,} candidates of the default evolution, up to the micro-proxy: {seconds:.0f} s, "
        f"{most / seconds:.0f} a second",
        bred,
        verdict("seconds", seconds, 180),
    ]


def main() -> None:
    parser = arguments_of(__doc__, 0)
    parser.add_argument("--candidates", type=int, default=2000, help="of the stream")
    parser.add_argument("--most", type=int, default=30_000, help="candidates up to the micro-proxy")
    arguments = parser.parse_args()
    publish(report(arguments.candidates, arguments.most), arguments.out)


if __name__ == "__main__":
    main()
