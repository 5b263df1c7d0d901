"""`evolve`: finds an optimizer for tasks of one's own, and says what it is worth."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from numbers import Real
from pathlib import Path
from random import Random
from time import monotonic
from typing import Any

import thalweg
from thalweg.evolve.archive import Archive
from thalweg.evolve.breeding import Breeder
from thalweg.evolve.entry import definition_of
from thalweg.evolve.evaluation import Plan
from thalweg.evolve.finals import Finalist, finals
from thalweg.evolve.funnel import Funnel
from thalweg.evolve.grammar import grammar_named
from thalweg.evolve.outcome import Judge, outcome
from thalweg.evolve.probes import probe_of
from thalweg.evolve.representation import Refused, Representation
from thalweg.evolve.result import Result
from thalweg.evolve.search import Progress, Row, Search
from thalweg.evolve.settings import CONSTANTS, TREE, Budget, Settings, preset_named
from thalweg.evolve.sge import GrammaticalEvolution
from thalweg.evolve.store import Store
from thalweg.evolve.trainable import check_trainable
from thalweg.evolve.trees import Trees
from thalweg.race.engine import available_cpus, check_engine, executor
from thalweg.race.jobs import one_thread
from thalweg.race.races import check_device, listed
from thalweg.rules import Rule, gallery
from thalweg.tasks import Task
from thalweg.tasks.catalogue import find

STORES = Path("evolve-store")  # where evolutions are kept that nobody gave a store
AWAY = ("iris", "wine", "breast_cancer")  # where the winner is tried besides, by default
STALLED = 10  # batches in which nothing new is trained, nor a seed that was missing: then a space is used up
TUNED = ("heavy_ball", "nesterov", "rmsprop", "adam", "lion", "sign")  # whose constants alone a control varies


@dataclass(frozen=True)
class Told:
    """How far `evolve` is: what it is doing, the share of that which is done, how many candidates there were, what
    became of them, and the best equations so far with their score."""

    doing: str
    share: float
    candidates: int
    funnel: str
    best: str


OnProgress = Callable[[Told], None]


def evolve(
    tasks: Sequence[Task | str] | Task | str,
    *,
    budget: str | Budget = "10m",
    seed: int = 0,
    preset: str = "laptop",
    seed_rules: Sequence[Rule | str] | Rule | str = (),
    epochs: float | None = None,
    away: Sequence[Task | str] | Task | str | None = None,
    controls: bool = True,
    race: bool = True,
    finalists: int = 8,
    choices: int = 10,
    tests: int = 20,
    store: str | Path | None = None,
    workers: int | None = None,
    engine: str | Executor | None = None,
    device: str = "cpu",
    data_dir: str | Path | None = None,
    on_progress: OnProgress | None = None,
    **settings: Any,
) -> Result:
    """Evolves an optimizer that trains the tasks well, and judges it on seeds and tasks that it was not chosen by.

    Arguments:
        tasks: `Task`s or names, as for `thalweg.race`; of several, one rule is sought that serves all.
        budget: "90s", "10m", "2h", or "2000c" for candidates; it ends with the batch under way. Finals, controls and
            race come after it.
        seed: of all randomness. With a budget in candidates the same seed gives the same bits.
        preset, settings: a name of `PRESETS`, and what is to be otherwise; see `Settings`.
        seed_rules: known rules that the search begins with, beside mutants of them: gallery names or `Rule`s.
        epochs: of a full training, in place of each task's own.
        away: tasks that the winner is tried on besides, in the race; by default bundled ones, ["none"] for none.
        controls: whether random search and a search for hyperparameters alone get the same budget, to compare.
        race: whether the winner is raced with tuned known optimizers.
        finalists, choices, tests: how many of the best are trained again, on how many fresh seeds the winner is chosen,
            and on how many others it is reported.
        store: folder of the evolution. The same call again goes on where it was; by default one in `evolve-store`.
        workers: processes; by default one a CPU. No result depends on them.
        engine: None, the address of a Dask scheduler, or an Executor.
        device: "cpu", or "cuda", where candidates are trained one after another by operations on lists.
        on_progress: called with a `Told` after every batch.

    Raises ValueError, naming the argument, where one is out of range, a name unknown, the store another evolution's or
    damaged; DataMissing; EngineError; WorkerDied where a process is killed; OSError where the disk is full. What was
    found by then is kept.
    """
    own = preset_named(preset).changed(**settings)
    ends = budget if isinstance(budget, Budget) else Budget.parsed(budget)
    processes = available_cpus() if workers is None else workers
    _check_numbers(seed, epochs, finalists=finalists, choices=choices, tests=tests, workers=processes)
    check_engine(engine)
    check_device(device, engine)
    asked = Evolution(
        tuple(_task(one, data_dir) for one in listed("tasks", tasks, Task)), own, seed,
        tuple(_rule(one) for one in listed("seed_rules", seed_rules, Rule)), epochs, device,
    )  # fmt: skip
    names = [task.name for task in asked.tasks]
    if not names or len(set(names)) < len(names):
        raise ValueError(f"tasks must be at least one, of names of their own, got {', '.join(names) or 'none'}")
    asked.check()
    elsewhere = _away(away, names, data_dir)
    folder = Path(store) if store is not None else STORES / asked.digest
    tell = on_progress or (lambda told: None)
    with executor(engine, processes) as pool, one_thread(), ExitStack() as archives:

        def run(one: Evolution, place: Path, until: Budget, doing: str) -> Ran:
            search = one.search(archives.enter_context(Store(place).begin(one.asked)))
            return one.run(search, Store(place), pool, until, (finalists, choices, tests), tell, doing)

        ran = {"evolution": run(asked, folder, ends, "evolving")}
        compute = Budget(examples=ran["evolution"].search.history[-1].examples)
        for name, control in asked.controls().items() if controls else ():
            ran[name] = run(control, folder / name.replace(" ", "-"), compute, name)
        judge = Judge(
            asked.tasks, elsewhere, race, pool, processes, engine, device, seed,
            lambda doing: tell(Told(doing, 1.0, ran["evolution"].search.candidates, "", "")),
        )  # fmt: skip
        return outcome(asked.title, ran, Store(folder), judge, asked.shown(ends))


FEWEST = {"finalists": 1, "choices": 1, "tests": 10, "workers": 1}


def _check_numbers(seed: int, epochs: float | None, **counts: int) -> None:
    """Raises ValueError, naming the argument, on one out of range."""
    for name, count in counts.items():
        if isinstance(count, bool) or not isinstance(count, int) or count < FEWEST[name]:
            raise ValueError(f"{name} must be a whole number of at least {FEWEST[name]}, got {count!r}")
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise ValueError(f"seed must be a whole number of at least 0, got {seed!r}")
    if epochs is not None and (isinstance(epochs, bool) or not isinstance(epochs, Real) or not 0 < epochs < math.inf):
        raise ValueError(f"epochs must be a number above 0, got {epochs!r}")


@dataclass(frozen=True)
class Ran:
    """What a search came to: its finalists, the best first, and the search with its archive's counts."""

    finalists: list[Finalist]
    search: Search


@dataclass(frozen=True)
class Evolution:
    """An evolution as it is asked for: all that its result depends on but the budget."""

    tasks: tuple[Task, ...]
    settings: Settings
    seed: int
    seed_rules: tuple[Rule, ...]
    epochs: float | None
    device: str

    @cached_property
    def representation(self) -> Representation[Any]:
        """The genomes that are bred. Raises ValueError where there is no such grammar."""
        own = self.settings
        if own.representation in (TREE, CONSTANTS):
            return Trees(constants_only=own.representation == CONSTANTS)
        return GrammaticalEvolution(grammar_named(own.grammar), edits=own.edits, probabilistic=own.probabilistic)

    @cached_property
    def asked(self) -> dict[str, Any]:
        """What the store is known by."""
        grammar = repr(grammar_named(self.settings.grammar)) if self.settings.representation == "grammar" else ""
        return {
            "thalweg": thalweg.__version__,
            "tasks": [[task.name, task.fingerprint()] for task in self.tasks],
            "settings": self.settings.to_json(),
            "seed": self.seed,
            "seed_rules": [json.loads(definition_of(rule)) for rule in self.seed_rules],
            "epochs": self.epochs,
            "device": self.device,
            "grammar": hashlib.sha256(grammar.encode()).hexdigest()[:16],
        }

    @property
    def title(self) -> str:
        """What the report is called."""
        return f"An optimizer evolved for {' and '.join(task.title for task in self.tasks)}"

    def shown(self, budget: Budget) -> list[tuple[str, str]]:
        """The settings for the report."""
        rules = ", ".join(rule.name for rule in self.seed_rules) or "none"
        own = [("budget", str(budget)), ("seed", str(self.seed)), ("seed rules", rules)]
        return own + [(name, str(value)) for name, value in self.settings.to_json().items()]

    @property
    def digest(self) -> str:
        """A name for it: the first task, and a hash of all that was asked for."""
        text = json.dumps(self.asked, sort_keys=True)
        return f"{self.tasks[0].name}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"

    def controls(self) -> dict[str, Evolution]:
        """Searches that this one is to beat with the same budget."""
        known = tuple(gallery.find(name).rule for name in TUNED)
        return {
            "random search": self._changed(search="random"),
            "hyperparameters alone": Evolution(
                self.tasks, self.settings.changed(representation=CONSTANTS), self.seed, known, self.epochs, self.device
            ),
        }

    def run(
        self, search: Search, store: Store, pool: Executor, budget: Budget, counts: tuple[int, int, int],
        tell: OnProgress, doing: str,
    ) -> Ran:  # fmt: skip
        """The search until the budget is spent, then its finals."""
        began, before = monotonic(), store.seconds

        def share(row: Row) -> float:
            seconds = before + monotonic() - began
            store.keep_seconds(seconds)
            return budget.share(row.candidates, seconds, row.examples)

        def progress(made: Progress) -> None:
            tell(Told(doing, share(made.row), made.row.candidates, _funnel(made), _best(search, made)))

        def stalled() -> bool:
            # Where everything that can be said was tried, no more examples will ever be trained on.
            past, still = search.history, self.settings.seeds + STALLED
            return budget.examples is not None and len(past) > still and past[-1].examples == past[-1 - still].examples

        search.run(pool, lambda row: share(row) >= 1 or stalled(), progress)
        return Ran(finals(search, pool, *counts), search)

    def check(self) -> None:
        """Raises ValueError where there is no such grammar, nothing to search, a seed rule that the genomes cannot
        say, or a task that no rule could train."""
        representation = self.representation
        if self.settings.representation == CONSTANTS and not self.seed_rules:
            raise ValueError("representation constants needs seed_rules whose constants are searched, got none")
        for rule in self.seed_rules:
            try:
                representation.genome_of(rule)
            except Refused as refusal:
                raise ValueError(f"seed_rules: {rule.name} cannot be begun with: {refusal}") from refusal
        for task in self.tasks:
            check_trainable(task)

    def search(self, archive: Archive) -> Search:
        """The search, from its beginning or from where the archive says."""
        own, representation = self.settings, self.representation
        genomes = [representation.genome_of(rule) for rule in self.seed_rules]
        breeder = Breeder(own, representation, self._random("breeding"), genomes)
        funnel = Funnel(
            representation, archive, probe_of(self.tasks[0], self.seed), self._random("control"), own.control
        )
        plan = Plan(self.seed, self.epochs, own.proxy, own.rungs, own.trials, own.floor, self.device)
        return Search(own, plan, self.tasks, archive, breeder, funnel)

    def _changed(self, **settings: Any) -> Evolution:
        changed = self.settings.changed(**settings)
        return Evolution(self.tasks, changed, self.seed, self.seed_rules, self.epochs, self.device)

    def _random(self, purpose: str) -> Random:
        return Random(f"thalweg evolve {self.seed} {purpose}")


def _away(away: Any, home: Sequence[str], data_dir: str | Path | None) -> list[Task]:
    """The tasks on which the winner is tried besides: those that are given, or bundled ones; none of those at home."""
    given = listed("away", AWAY if away is None else away, Task)
    tasks = [] if given == ["none"] else [_task(one, data_dir) for one in given]
    return [task for name, task in {task.name: task for task in tasks}.items() if name not in home]


def _task(task: Task | str, data_dir: str | Path | None) -> Task:
    return find(task, data_dir) if isinstance(task, str) else task


def _rule(rule: Rule | str) -> Rule:
    return gallery.find(rule).rule if isinstance(rule, str) else rule


def _funnel(made: Progress) -> str:
    """What became of the candidates, in a line."""
    counts = made.counts
    parts = [
        f"{made.row.candidates} bred",
        *(f"{counts[name]:.0f} {name}" for name in ("refused", "repeated", "blind", "alike") if counts.get(name)),
        f"{counts.get('fresh', 0):.0f} tried",
    ]
    return ", ".join(parts)


def _best(search: Search, made: Progress) -> str:
    """The best equations, with their mean score."""
    if made.best is None:
        return "nothing that learns yet"
    row, rule = made.row, search.archive.entry(made.best).rule
    seeds = f"{row.scores} seed{'s' * (row.scores != 1)}"
    return f"best so far: {row.best:.4f} over {seeds}\n{rule.text}"
