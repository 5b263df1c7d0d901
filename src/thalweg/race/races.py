"""A race: methods x tasks x seeds, tuned with equal budgets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from numbers import Integral
from pathlib import Path
from typing import Any

import torch

from thalweg.race import engine
from thalweg.race.engine import available_cpus
from thalweg.race.jobs import one_thread
from thalweg.race.manifest import Manifest, provenance
from thalweg.race.method import Method, method_from, method_named, names, with_space
from thalweg.race.result import Protocol, RaceResult, TaskInfo
from thalweg.race.sampling import SAMPLERS
from thalweg.race.spaces import check_space
from thalweg.race.store import Store
from thalweg.race.track import OnProgress, Progress, Track, drive
from thalweg.tasks import Task
from thalweg.tasks.catalogue import find

__all__ = ["Entrants", "OnProgress", "Progress", "baseline_of", "method_at", "race", "run"]

BASELINES = ("adamw", "adam", "sgd")


def race(
    tasks: Sequence[Task | str] | Task | str,
    methods: Sequence[Method | str] | Method | str,
    *,
    seeds: int = 15,
    budget: int = 9,
    studies: int = 3,
    repeats: int = 2,
    sampler: str = "qmc",
    seed: int = 0,
    baseline: str | None = None,
    margin: float | None = None,
    store: str | Path | None = None,
    engine: str | Executor | None = None,
    workers: int | None = None,
    device: str = "cpu",
    data_dir: str | Path | None = None,
    epochs: int | None = None,
    spaces: Mapping[str, str | Path] | None = None,
    on_progress: OnProgress | None = None,
    command: str | None = None,
) -> RaceResult:
    """Tunes each method on each task by the same budget, then trains it on fresh seeds, paired over methods.

    Arguments:
        tasks: `Task`s, or names: bundled ones, those with data, `chars:FILE`, `file.py:function`.
        methods: `Method`s, or names: of gallery rules and others (their ablations join), `module:Optimizer`.
        seeds: final trials of each method on each task. Fewer than 6 cannot decide anything.
        budget: settings that each study tries, the published default first.
        studies: independent tunings, on splits and seeds of their own. Final seed r has the setting of study
            r modulo studies, so that the luck of tuning is in the spread of the scores.
        repeats: further seeds on which the best three settings of a study are tried before one is chosen.
        sampler: "qmc", "grid", "random", "tpe" or "gp".
        seed: the master of all randomness.
        baseline: the method that the others are compared with; by default AdamW, Adam, SGD or the first.
        margin: the difference in score that is too small to matter; by default the larger of half a point and half
            the baseline's standard deviation over the seeds.
        store: folder of finished trials; what it holds is not run again, so an interrupted race goes on where it was.
            By default a folder of the race's own in `race-store`.
        engine: None for processes of this machine, `tcp://host:port` of a Dask scheduler, or an Executor.
        workers: processes; by default one a CPU. With 1 all runs in this process.
        device: "cpu", or "cuda".
        data_dir: where data sets are that are not bundled; by default $THALWEG_DATA.
        epochs: of every trial, in place of each task's own.
        spaces: by method, the file of another search space.

    Raises ValueError where an argument is out of range or a name unknown; TrialFailed, a ValueError too, where a trial
    raises; DataMissing; StoreError where the store cannot be read or written, or holds another race; EngineError where
    a cluster cannot be used; WorkerDied where a process is killed. What is finished by then is kept.
    """
    if workers is None:
        workers = available_cpus()
    for argument, given, least in (
        ("seeds", seeds, 0),
        ("budget", budget, 1),
        ("studies", studies, 1),
        ("repeats", repeats, 0),
        ("seed", seed, 0),
        ("workers", workers, 1),
    ):
        _check_count(argument, given, least)
    if sampler not in SAMPLERS:
        raise ValueError(f"sampler must be one of {', '.join(SAMPLERS)}, got {sampler!r}")
    entrants = Entrants.named(tasks, methods, data_dir, epochs, spaces or {})
    protocol = Protocol(
        seeds=int(seeds),
        draws=int(budget),
        studies=int(studies),
        repeats=int(repeats),
        sampler=sampler,
        master=int(seed),
        baseline=baseline_of(baseline, entrants.methods),
        margin=margin,
        device=device,
    )
    return run(entrants, protocol, store, engine, workers, on_progress, command)


@dataclass(frozen=True)
class Entrants:
    """The tasks and the methods of a race, and by which words they were named (`task iris`: `iris`)."""

    tasks: tuple[Task, ...]
    methods: tuple[Method, ...]
    references: Mapping[str, str]

    @classmethod
    def named(
        cls,
        tasks: Sequence[Task | str] | Task | str,
        methods: Sequence[Method | str] | Method | str,
        data_dir: str | Path | None = None,
        epochs: int | None = None,
        spaces: Mapping[str, str | Path] | None = None,
    ) -> Entrants:
        """Those named, each once; then the ablations of the methods. The other arguments are those of `race`."""
        folder = None if data_dir is None else Path(data_dir)
        references: dict[str, str] = {}
        chosen_tasks, chosen_methods = [], []
        for task in listed("tasks", tasks, Task):
            found = find(task, folder) if isinstance(task, str) else task
            references[f"task {found.name}"] = task if isinstance(task, str) else ""
            chosen_tasks.append(found)
        for method in _with_ablations(listed("methods", methods, Method)):
            named = method_at(method) if isinstance(method, str) else method
            references[f"method {named.name}"] = method if isinstance(method, str) else ""
            chosen_methods.append(named)
        if epochs is not None:
            chosen_tasks = [replace(task, epochs=epochs) for task in chosen_tasks]
        chosen_methods = _with_spaces(chosen_methods, spaces or {})
        for argument, given in (("tasks", chosen_tasks), ("methods", chosen_methods)):
            called = [one.name for one in given]
            if not called or len(set(called)) < len(called):
                raise ValueError(f"{argument} must hold at least one, each once, got {called}")
        return cls(tuple(chosen_tasks), tuple(chosen_methods), references)

    def manifest(self, protocol: Protocol, command: str | None) -> Manifest:
        """The manifest of a race between them. The data are read for it."""
        return Manifest(
            tasks=tuple(map(_info, self.tasks)),
            methods=tuple(method.info() for method in self.methods),
            protocol=protocol,
            definitions={method.name: method.definition() for method in self.methods},
            hyperparameters={method.name: dict(method.hyperparameters) for method in self.methods},
            references=self.references,
            checksums={task.name: task.checksums() for task in self.tasks},
            provenance=provenance(command),
        )


def run(
    entrants: Entrants,
    protocol: Protocol,
    folder: str | Path | None,
    where: str | Executor | None,
    workers: int,
    on_progress: OnProgress | None,
    command: str | None,
) -> RaceResult:
    """The race between entrants, with what the store has already."""
    engine.check_engine(where)
    check_device(protocol.device, where)
    for method in entrants.methods:
        _check_space(method)
    with one_thread(), ExitStack() as opened:
        if isinstance(where, str):  # that a cluster does not answer is said before anything is written
            where = opened.enter_context(engine.executor(where, workers))
        manifest = entrants.manifest(protocol, command)
        store = Store(Path(folder) if folder is not None else Path("race-store") / manifest.hash[:8])
        held = store.begin(manifest)
        tracks = [Track(task, entrants.methods, manifest, store) for task in entrants.tasks]
        for track in tracks:
            track.restore()
        if unfinished := [track for track in tracks if not track.finished]:
            if (noted := held.gone_on(manifest.provenance)) is not held:
                store.put_manifest(held := noted)
            with engine.executor(where, workers) as executor:
                drive(unfinished, executor, on_progress or (lambda progress: None))
    cells = {(track.task.name, method.name): track.cells[method.name] for track in tracks for method in track.methods}
    return RaceResult(
        manifest.tasks,
        manifest.methods,
        protocol,
        {place: studies for place, (studies, _) in cells.items()},
        {place: finals for place, (_, finals) in cells.items()},
        held.as_dict(),
        str(store.folder),
        sum(track.found for track in tracks),
    )


def _check_count(argument: str, given: int, least: int) -> None:
    if not isinstance(given, Integral) or given < least:
        raise ValueError(f"{argument} must be a whole number >= {least}, got {given!r}")


def check_device(device: str, where: str | Executor | None) -> None:
    """Raises ValueError where it is no device, or a GPU and this machine, which is to train, has none."""
    try:
        kind = torch.device(device).type
    except RuntimeError as error:
        raise ValueError(f"device must be like cpu, cuda or cuda:1, got {device!r}") from error
    if kind == "cuda" and where is None and not torch.cuda.is_available():
        raise ValueError(f"device is {device}, but torch finds no GPU here: give cpu")


def _check_space(method: Method) -> None:
    try:
        check_space(method.space, method.hyperparameters)
    except ValueError as error:
        raise ValueError(f"the search space of {method.name} does not fit: {error}") from error


def _info(task: Task) -> TaskInfo:
    network = task.check()
    workload, test = task.workload_and_test(torch.Generator().manual_seed(0))
    return TaskInfo(
        name=task.name,
        title=task.title,
        metric=task.metric.title,
        percent=task.metric.percent,
        batch_size=task.batch_size,
        epochs=task.epochs,
        examples=len(workload.train) + len(workload.validation) + len(test),
        parameters=sum(weight.numel() for weight in network.parameters()),
        network=repr(network),
        source=task.source,
        fingerprint=task.fingerprint(),
    )


def listed(argument: str, given: object, kind: type) -> list[Any]:
    """One, or several, each a name or of this kind; of text the names between the commas."""
    if isinstance(given, str):
        return [part.strip() for part in given.split(",") if part.strip()]
    several = list(given) if isinstance(given, Iterable) else [given]
    for one in several:
        if not isinstance(one, (str, kind)):
            raise ValueError(f"{argument} must be names or {kind.__name__}s, got {one!r}")
    return several


def _with_ablations(methods: Iterable[Method | str]) -> list[Method | str]:
    """The methods, and after them the ablations of all that are not there already."""
    known = names()
    given = [
        one.replace("-", "_") if isinstance(one, str) and one.replace("-", "_") in known else one for one in methods
    ]
    called = [one if isinstance(one, str) else one.name for one in given]
    named = [method_named(one) if one in known else one for one in given]
    ablations = [name for one in named if isinstance(one, Method) for name in one.ablations]
    return [*given, *dict.fromkeys(name for name in ablations if name not in called)]


def method_at(name: str) -> Method:
    """The method of a name, or at `module:Name`. Raises ValueError where there is none."""
    return method_from(name) if ":" in name else method_named(name)


def _with_spaces(methods: list[Method], spaces: Mapping[str, str | Path]) -> list[Method]:
    files = {name.replace("-", "_"): file for name, file in spaces.items()}
    unknown = [name for name in files if name not in [method.name for method in methods]]
    if unknown:
        raise ValueError(f"spaces must be of methods in the race, got {unknown[0]!r}")
    return [with_space(method, files[method.name]) if method.name in files else method for method in methods]


def baseline_of(name: str | None, methods: Sequence[Method]) -> str:
    """The method that the others are compared with. Raises ValueError where it is not in the race."""
    raced = [method.name for method in methods]
    if name is not None:
        if name.replace("-", "_") not in raced:
            raise ValueError(f"baseline must be one of the methods ({', '.join(raced)}), got {name!r}")
        return name.replace("-", "_")
    return next((one for one in BASELINES if one in raced), raced[0])
