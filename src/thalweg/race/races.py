"""A race: methods x tasks x seeds, tuned with equal budgets."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from thalweg.race.cell import Cell, CellResult, Protocol
from thalweg.race.engine import available_cpus, run_cells
from thalweg.race.method import Method
from thalweg.race.record import Record
from thalweg.race.spaces import space_of
from thalweg.race.store import Store
from thalweg.race.tuning import Study
from thalweg.rules.gallery import GALLERY, find
from thalweg.tasks import Task


@dataclass(frozen=True)
class RaceResult:
    """All that a race found: for each (task, method), by name, its tuning study and its records in order of seeds."""

    tasks: tuple[Task, ...]
    methods: tuple[Method, ...]
    protocol: Protocol
    studies: dict[tuple[str, str], Study]
    records: dict[tuple[str, str], tuple[Record, ...]]
    found: int

    @property
    def trials(self) -> int:
        return len(self.records) * self.protocol.trials_per_cell


def race(
    tasks: Sequence[Task],
    methods: Sequence[Method],
    *,
    seeds: int = 15,
    draws: int = 9,
    seed: int = 0,
    store: str | Path = "race-store",
    workers: int | None = None,
    on_done: Callable[[CellResult], None] | None = None,
) -> RaceResult:
    """Tunes each method on each task by the same number of draws, then trains it on fresh seeds, paired over methods.

    Every finished trial is a file in the folder `store`; what is there already is not run again, so an interrupted
    race goes on where it was. `seed` is the master of all randomness. `workers` processes share the work, by default
    one a CPU (a script needs `if __name__ == "__main__":` around it unless `workers=1`). `on_done` is called as each
    method ends on a task. Raises ValueError on settings out of range, StoreError where the store cannot be read or
    written, WorkerDied if a process is killed.
    """
    protocol = Protocol(seeds=seeds, draws=draws, master=seed)
    if workers is None:
        workers = available_cpus()
    if workers < 1:
        raise ValueError(f"workers must be >= 1, got {workers}")
    _check_names("tasks", [task.name for task in tasks])
    _check_names("methods", [method.name for method in methods])
    cells = [Cell(task, method, protocol, Store(Path(store))) for method in methods for task in tasks]
    results = run_cells(cells, workers, on_done or (lambda result: None))
    places = [(cell.task.name, cell.method.name) for cell in cells]
    return RaceResult(
        tasks=tuple(tasks),
        methods=tuple(methods),
        protocol=protocol,
        studies={place: result.study for place, result in zip(places, results, strict=True)},
        records={place: result.records for place, result in zip(places, results, strict=True)},
        found=sum(result.found for result in results),
    )


def method_named(name: str) -> Method:
    """The method that trains with a rule of the gallery, from its published defaults in its row of the search spaces.

    Raises ValueError, with the nearest names, if the gallery has no such rule.
    """
    entry = find(name)
    name = entry.rule.name
    return Method(name, entry.rule, dict(entry.rule.hyperparameters), space_of(name), entry.ablations)


def with_ablations(names: Iterable[str]) -> list[str]:
    """The names of gallery rules, each once, in the order given; then the ablations of all of them."""
    named = list(dict.fromkeys(names))
    return list(dict.fromkeys([*named, *(ablation for name in named for ablation in GALLERY[name].ablations)]))


def _check_names(argument: str, names: list[str]) -> None:
    if not names or len(set(names)) < len(names):
        raise ValueError(f"{argument} must hold at least one, each once, got {names}")
