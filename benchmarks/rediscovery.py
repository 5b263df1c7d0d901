"""Whether evolution finds, from random genomes, what decades of research found: on digits, within minutes.

    python benchmarks/rediscovery.py --out benchmarks/rediscovery.txt

For each of ten seeds the default evolution runs for 40 s on two processes, and random search for another 40 s, with the
same genomes, funnel, hurdles and finals. Both winners, chosen on ten fresh seeds, and SGD with momentum, tuned over a
grid of 60 settings on the same ten, train on 30 seeds that none of the three has seen, and meet on the test parts. A
training is 4 epochs, in which optimizers differ; in the 16 of a race nearly all that learns reaches the same accuracy,
and no search can be told from another.
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Sequence
from concurrent.futures import Executor
from pathlib import Path

import numpy as np
import torch
from timing import arguments_of, processor, publish, verdict

from thalweg.evolve.evaluation import CHOICE, TEST, Job, Plan, evaluate
from thalweg.evolve.evolution import Evolution
from thalweg.evolve.judgement.nearest import nearest_known
from thalweg.evolve.judgement.readable import readable
from thalweg.evolve.judgement.retest import difference
from thalweg.evolve.search import gathered
from thalweg.evolve.settings import Budget, preset_named
from thalweg.evolve.store import Store
from thalweg.race.engine import executor
from thalweg.race.jobs import packed, versions
from thalweg.rules import Rule
from thalweg.rules.gallery import find
from thalweg.tasks.bundled import digits

CHOICES, TESTS = 10, 30
EPOCHS = 4
LRS = (0.003, 0.01, 0.02, 0.03, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.7, 1.0)
MOMENTA = (0.0, 0.5, 0.8, 0.9, 0.95)
BEHIND = -0.01  # a point


def trained(rules: Sequence[Rule], stage: str, seeds: int, pool: Executor, master: int) -> np.ndarray:
    """The scores of rules on the seeds of a stage: (rules, seeds)."""
    tasks, plan = packed([digits()], "the task"), Plan(master, EPOCHS, False, (), 1, None)
    futures = {}
    for seed in range(seeds):
        job = Job(tuple(rules), (seed,) * len(rules), (True,) * len(rules), again=True, stage=stage)
        futures[pool.submit(evaluate, versions(), tasks, plan, job)] = tuple(range(len(rules)))
    scores = np.empty((len(rules), 0))
    found = [own[-1].value for _, own in gathered(futures)]
    scores = np.array(found).reshape(seeds, len(rules)).T
    return np.where(np.isfinite(scores), scores, 0.1)


def tuned(pool: Executor, master: int) -> Rule:
    """SGD with momentum at the best setting of the grid."""
    plain = find("heavy_ball").rule
    settings = [plain.replace(lr=lr, momentum=mu) for lr, mu in itertools.product(LRS, MOMENTA)]
    means = trained(settings, CHOICE, CHOICES, pool, master).mean(1)
    return settings[int(means.argmax())]


def found(search: str, seed: int, seconds: float, pool: Executor, folder: Path):
    """What an evolution of so many seconds finds: the winner, its test scores, and how many candidates there were."""
    settings = preset_named("laptop").changed(search=search)
    asked = Evolution((digits(),), settings, seed, (), EPOCHS, "cpu")
    counts = (8, CHOICES, TESTS)
    store = Store(folder)
    with store.begin(asked.asked) as archive:
        ran = asked.run(asked.search(archive), store, pool, Budget(seconds=seconds), counts, lambda told: None, search)
    best = ran.finalists[0]
    return best.entry.rule, np.array(best.test), ran.search.candidates


def compared(seed: int, seconds: float, pool: Executor) -> tuple[list[str], bool, bool]:
    with tempfile.TemporaryDirectory() as folder:
        rule, ours, bred = found("ageing", seed, seconds, pool, Path(folder) / "evolution")
        _, chance, drawn = found("random", seed, seconds, pool, Path(folder) / "random")
    known = tuned(pool, seed)
    (theirs,) = trained([known], TEST, TESTS, pool, seed)
    against, over = difference(ours, theirs, worst=0.1), difference(ours, chance, worst=0.1)
    setting = f"lr {known.hyperparameters['lr']:g}, momentum {known.hyperparameters['momentum']:g}"
    lines = [
        f"{seed:4}{bred:8}{100 * ours.mean():9.2f}{100 * theirs.mean():9.2f}{100 * against.mean:+8.2f}"
        f"{100 * against.bound:+8.2f}{drawn:9}{100 * chance.mean():9.2f}{100 * over.mean:+8.2f}   {over.verdict}",
        f"      SGD at {setting}; evolved: {'; '.join(readable(rule).text.splitlines())}",
        f"      {nearest_known(rule).sentence}",
    ]
    print("\n".join(lines), flush=True)
    return lines, against.bound > BEHIND, over.mean > 0


def report(seeds: int, seconds: float) -> list[str]:
    with executor(None, 2) as pool:
        rows = [compared(seed, seconds, pool) for seed in range(seeds)]
    good, better = (sum(row[i] for row in rows) for i in (1, 2))
    return [
        "Evolution from random genomes on digits, against tuned SGD with momentum and random search",
        f"{processor()}; torch {torch.__version__}; two processes, {seconds:g} s a search, {EPOCHS} epochs a training",
        f"test accuracy in % on {TESTS} unseen seeds; bound: the lower 95 % one of evolved - SGD",
        "",
        f"{'seed':>4}{'bred':>8}{'evolved':>9}{'SGD':>9}{'-':>8}{'bound':>8}{'drawn':>9}{'random':>9}{'-':>8}",
        *(line for row in rows for line in row[0]),
        "",
        verdict(f"seeds of {seeds} on which it is more than a point behind SGD", seeds - good, 0.2 * seeds),
        verdict(f"seeds of {seeds} on which random search is as good or better", seeds - better, 0.2 * seeds),
    ]


def main() -> None:
    parser = arguments_of(__doc__, 0)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=40.0, help="of each search")
    arguments = parser.parse_args()
    publish(report(arguments.seeds, arguments.seconds), arguments.out)


if __name__ == "__main__":
    main()
