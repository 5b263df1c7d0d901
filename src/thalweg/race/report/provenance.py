"""Provenance: what was run, with what, on what, and how to run it again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from thalweg.names import shown
from thalweg.race import notation
from thalweg.race.report.section import Part, Section
from thalweg.race.report.table import Cell, Table, count
from thalweg.race.summary import Summary

SHOWN_ELSEWHERE = ("tasks", "methods", "protocol", "definitions", "hyperparameters", "references")


def provenance(summary: Summary, command: str | None) -> Section:
    """The manifest in tables, and the command that runs the race again."""
    manifest = summary.result.manifest
    asked = command or _of(manifest).get("command")
    again = "thalweg race --from this-file.html"
    texts = [
        "With this file and the same version of Thalweg the race can be run again; it then says which records are "
        "equal and which differ:"
    ]
    first = Part(texts=texts, code=again, after=[f"It was run by: {asked}"] if asked else [])
    facts = {name: value for name, value in manifest.items() if name not in SHOWN_ELSEWHERE}
    parts = [
        first,
        Part(tables=[_tasks(summary), _methods(summary)]),
        _protocol(summary),
    ]
    if facts:
        parts.append(Part("Circumstances", tables=[_facts(facts)]))
    return Section("provenance", "Provenance", parts)


def _of(manifest: Mapping[str, Any]) -> Mapping[str, Any]:
    """With what it was run: a part of the manifest."""
    inner = manifest.get("provenance", manifest)
    return inner if isinstance(inner, Mapping) else {}


def unclean(manifest: Mapping[str, Any]) -> str | None:
    """Why the code that ran is not that of a commit; None if it is, or is a release."""
    git = _of(manifest).get("git")
    if isinstance(git, Mapping) and git.get("dirty"):
        return f"uncommitted changes ({git['dirty']}) on commit {str(git.get('commit'))[:12]}"
    return None


def _tasks(summary: Summary) -> Table:
    rows = [
        [
            Cell(t.title), Cell(t.metric), count(t.examples), count(t.batch_size), count(t.epochs),
            Cell(t.network, wide=True), count(t.parameters), Cell(t.source, wide=True),
            Cell(t.fingerprint[:16], t.fingerprint, code=True),
        ]
        for t in summary.result.tasks
    ]  # fmt: skip
    columns = ["Task", "Metric", "Examples", "Batch", "Epochs", "Network", "Parameters", "Source", "Fingerprint"]
    return Table("tasks", "Tasks", columns, rows)


def _methods(summary: Summary) -> Table:
    rows = [
        [
            Cell(shown(m.name)), Cell(m.title, wide=True), Cell(m.text, code=True),
            Cell(", ".join(map(shown, m.ablations)) or notation.NONE),
        ]
        for m in summary.result.methods
    ]  # fmt: skip
    return Table("methods", "Methods", ["Method", "Title", "Equations, or class", "Plain forms"], rows)


def _protocol(summary: Summary) -> Part:
    p = summary.result.protocol
    each = p.trials_per_cell
    total = each * len(summary.methods) * len(summary.tasks)
    texts = [
        f"{total:,} trials: {notation.plural(len(summary.methods), 'method')} × "
        f"{notation.plural(len(summary.tasks), 'task')} × ({notation.plural(p.studies, 'study', 'studies')} × "
        f"({notation.plural(p.draws, 'setting')} + {p.finalists} × {notation.plural(p.repeats, 'further seed')}) + "
        f"{notation.plural(p.seeds, 'final seed')}). Sampler {p.sampler}, master seed {p.master}, device {p.device}.",
        "Paired means: for each seed all methods had the same data, initial weights and batch order, as the hashes "
        "in the records prove. The test part is given to final trials alone and is read after the last epoch.",
    ]
    return Part("Protocol", texts=texts)


def _facts(facts: Mapping[str, Any]) -> Table:
    rows = [[Cell(name), Cell(value, wide=True)] for name, value in _flat(facts)]
    return Table("circumstances", "With what it was run", ["What", "Value"], rows)


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(inner, f"{name}, {key}" if name and name != "provenance" else str(key))
    elif isinstance(value, list | tuple):
        yield name, ", ".join(map(str, value)) or notation.NONE
    else:
        yield name, notation.NONE if value is None or value == "" else str(value)
