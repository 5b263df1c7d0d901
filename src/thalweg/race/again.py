"""A colleague's race, run again from its manifest: which records come to the same bits?"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from thalweg.race.manifest import Manifest, differences
from thalweg.race.races import Entrants, OnProgress, method_at, run
from thalweg.race.report.embedded import listed, read_embedded
from thalweg.race.result import RaceResult
from thalweg.race.store import Store, Unreadable, load
from thalweg.tasks.catalogue import find


@dataclass(frozen=True)
class Outcome:
    """A trial of both races, by what it is for, such as `iris, adam, final, repetition 3`, with its test metrics."""

    trial: str
    equal: bool
    theirs: float | None
    ours: float | None


@dataclass(frozen=True)
class Again:
    """The race that was run now, its trials against those that were read, and what was different from the start."""

    result: RaceResult
    outcomes: tuple[Outcome, ...]
    circumstances: tuple[str, ...]

    @property
    def differing(self) -> list[Outcome]:
        """The trials that came to another result."""
        return [outcome for outcome in self.outcomes if not outcome.equal]


def again(
    source: str | Path,
    *,
    store: str | Path | None = None,
    engine: str | Executor | None = None,
    workers: int = 1,
    data_dir: str | Path | None = None,
    on_progress: OnProgress | None = None,
    command: str | None = None,
) -> Again:
    """Runs the race of a store, or of a report, again, and compares record by record.

    `store` is where the new records go: by default a folder of its own, never the one that is read. Raises StoreError
    or ValueError where the source cannot be read, or names a task or method that came from a program.
    """
    manifest, theirs = _read(Path(source))
    folder = Path(store) if store is not None else Path("race-store") / f"{manifest.hash[:8]}-again"
    if folder.resolve() == Path(source).resolve():
        raise ValueError(f"store must be another folder than the one that is read, got {str(store)!r}")
    entrants = _entrants(manifest, data_dir)
    ours = entrants.manifest(manifest.protocol, command)
    result = run(entrants, manifest.protocol, folder, engine, workers, on_progress, command)
    there = {_place(row): row for row in theirs}
    outcomes = tuple(
        Outcome(_place(row), row["result_hash"] == held["result_hash"], held["test_metric"], row["test_metric"])
        for row in listed(result)
        if (held := there.get(_place(row)))
    )
    return Again(result, outcomes, (*differences(ours, manifest), *_elsewhere(ours, manifest)))


def _read(source: Path) -> tuple[Manifest, list[dict[str, Any]]]:
    if source.is_dir():
        result = load(source)
        manifest = Store(source).manifest()
        assert manifest is not None
        return manifest, listed(result)
    try:
        held = read_embedded(source)
        return Manifest.from_dict(held["manifest"]), held["records"]
    except (KeyError, TypeError, ValueError, OSError) as error:
        raise Unreadable(f"{source} is not the report of a race that can be run again: {error}") from error


def _place(row: Mapping[str, Any]) -> str:
    """What a trial is for, in words."""
    draw = "" if row["draw"] is None else f", study {row['study']}, draw {row['draw']}"
    return f"{row['task']}, {row['method']}, {row['role']}{draw}, repetition {row['rep']}"


def _entrants(manifest: Manifest, data_dir: str | Path | None) -> Entrants:
    folder = None if data_dir is None else Path(data_dir)
    for name, reference in manifest.references.items():
        if not reference:
            raise ValueError(f"{name} came from a program, not from a name: run that program again")
    tasks = [
        replace(find(manifest.references[f"task {task.name}"], folder), epochs=task.epochs, batch_size=task.batch_size)
        for task in manifest.tasks
    ]
    methods = [
        replace(
            method_at(manifest.references[f"method {method.name}"]),
            hyperparameters=manifest.hyperparameters[method.name],
            space=method.space,
        )
        for method in manifest.methods
    ]
    return Entrants(tuple(tasks), tuple(methods), manifest.references)


def _elsewhere(ours: Manifest, theirs: Manifest) -> list[str]:
    """In words, with what else it was run."""
    here, there = ours.provenance, theirs.provenance
    changed = [
        f"{name} was {version}, is {here['versions'].get(name)}"
        for name, version in there["versions"].items()
        if here["versions"].get(name) != version
    ]
    if there["machine"] != here["machine"]:
        changed.append(f"the machine was {there['machine']['cpu']} with {there['machine']['cpus']} CPUs")
    return changed
