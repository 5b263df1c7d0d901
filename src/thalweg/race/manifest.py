"""The manifest of a race: its specification with a hash, and with what it was run."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from thalweg.race.record import SCHEMA, values_from_json
from thalweg.race.result import MethodInfo, Protocol, TaskInfo
from thalweg.race.spaces import dimension_from_dict

PACKAGES = ("thalweg", "torch", "numba", "numpy", "scipy", "scikit-learn", "optuna")


@dataclass(frozen=True)
class Manifest:
    """`references` says, by name, how a task or a method is found again: a name, or `file.py:function`; "" where it
    came from a program. `hyperparameters` holds each method's at draw 0."""

    tasks: tuple[TaskInfo, ...]
    methods: tuple[MethodInfo, ...]
    protocol: Protocol
    definitions: Mapping[str, Any]
    hyperparameters: Mapping[str, Mapping[str, Any]]
    references: Mapping[str, str]
    checksums: Mapping[str, Mapping[str, str]]
    provenance: Mapping[str, Any]

    @cached_property
    def hash(self) -> str:
        """Of the specification alone: equal for two races that compare the same things in the same way."""
        spec = {
            "schema": SCHEMA,
            "tasks": [[task.name, task.fingerprint] for task in self.tasks],
            "methods": [_method_spec(self, method) for method in self.methods],
            "protocol": dataclasses.asdict(self.protocol),
        }
        return _digest(spec)

    def place_hash(self, task: str, method: str) -> str:
        """Of all that decides what the trials of one method on one task are."""
        of_task = next(one.fingerprint for one in self.tasks if one.name == task)
        of_method = next(_method_spec(self, one) for one in self.methods if one.name == method)
        return _digest([SCHEMA, task, of_task, of_method, dataclasses.asdict(self.protocol)])

    def extending(self, old: Manifest) -> Manifest:
        """The same manifest with the circumstances of the race that it takes over, and of those before, as "before"."""
        before = dict(old.provenance)
        return dataclasses.replace(self, provenance={**self.provenance, "before": [*before.pop("before", []), before]})

    def gone_on(self, provenance: Mapping[str, Any]) -> Manifest:
        """The same manifest, where a race that goes on does so with other versions, machine or code: with a note of it.

        The notes stand in `provenance["resumed"]`.
        """
        notes = self.provenance.get("resumed", [])
        known = (self.provenance, *notes, *self.provenance.get("before", []))
        if any(_circumstances(one) == _circumstances(provenance) for one in known):
            return self
        return dataclasses.replace(self, provenance={**self.provenance, "resumed": [*notes, dict(provenance)]})

    @property
    def command(self) -> str:
        """What was typed, or a word that says it was a program."""
        return str(self.provenance.get("command") or "the program that made it")

    def to_json(self) -> str:
        """All of it as one JSON object."""
        return json.dumps(self.as_dict(), indent=1)

    def as_dict(self) -> dict[str, Any]:
        """All of it as JSON gives it back: lists for tuples."""
        fields = dataclasses.asdict(self)
        for fields_of_method, method in zip(fields["methods"], self.methods, strict=True):
            fields_of_method["space"] = [dimension.as_dict() for dimension in method.space]
        return json.loads(json.dumps({"schema": SCHEMA, "spec_hash": self.hash, **fields}))

    @classmethod
    def from_json(cls, text: str) -> Manifest:
        """Reads what `to_json` wrote. Raises ValueError, KeyError or TypeError when the text is not a manifest."""
        return cls.from_dict(json.loads(text))

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Manifest:
        """The manifest of `as_dict`. Raises ValueError, KeyError or TypeError where it is not one."""
        if fields["schema"] != SCHEMA:
            raise ValueError(f"schema must be {SCHEMA}, got {fields['schema']}: it was written by another version")
        methods = []
        for method in fields["methods"]:
            space = tuple(dimension_from_dict(dimension) for dimension in method["space"])
            tuples = {name: tuple(method[name]) for name in ("ablations", "loss_names")}
            methods.append(MethodInfo(**method | {"space": space} | tuples))
        return cls(
            tuple(TaskInfo(**task) for task in fields["tasks"]),
            tuple(methods),
            Protocol(**fields["protocol"]),
            fields["definitions"],
            {name: values_from_json(values) for name, values in fields["hyperparameters"].items()},
            fields["references"],
            fields["checksums"],
            fields["provenance"],
        )


def extends(new: Manifest, old: Manifest) -> bool:
    """Whether the new race is the old one and more: further tasks, methods or seeds, all else being equal."""
    return (
        {(task.name, task.fingerprint) for task in old.tasks} <= {(task.name, task.fingerprint) for task in new.tasks}
        and all(_method_spec(old, method) in [_method_spec(new, m) for m in new.methods] for method in old.methods)
        and dataclasses.replace(old.protocol, seeds=0) == dataclasses.replace(new.protocol, seeds=0)
        and new.protocol.seeds >= old.protocol.seeds
    )


def differences(new: Manifest, old: Manifest) -> list[str]:
    """In words, what a race would change about the one that is there."""
    found = []
    for what, ours, theirs in (
        ("tasks", [task.name for task in new.tasks], [task.name for task in old.tasks]),
        ("methods", [method.name for method in new.methods], [method.name for method in old.methods]),
    ):
        if ours != theirs:
            found.append(f"its {what} are {', '.join(theirs)}")
    held = {task.name: task.fingerprint for task in old.tasks}
    changed = [task.name for task in new.tasks if held.get(task.name, task.fingerprint) != task.fingerprint]
    if changed:
        found.append(f"the data, the network or the settings of {', '.join(changed)} are others")
    specs = {method.name: _method_spec(old, method) for method in old.methods}
    changed = [m.name for m in new.methods if m.name in specs and specs[m.name] != _method_spec(new, m)]
    if changed:
        found.append(f"the rule, the defaults or the search space of {', '.join(changed)} are others")
    for name, theirs in dataclasses.asdict(old.protocol).items():
        if name == "seeds":
            if new.protocol.seeds < theirs:
                found.append(f"it has {theirs} seeds, which are more")
        elif getattr(new.protocol, name) != theirs:
            found.append(f"its {name} is {theirs}")
    return found


def provenance(command: str | None) -> dict[str, Any]:
    """With what a race is run: versions, machine, the commit of Thalweg where it is run from a checkout."""
    return {
        "command": command,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in PACKAGES}},
        "machine": {
            "system": f"{platform.system()} {platform.release()} {platform.machine()}",
            "cpu": _cpu(),
            "cpus": os.cpu_count(),
            "gpus": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
        },
        "load_average": list(os.getloadavg()) if hasattr(os, "getloadavg") else None,
        "git": _git(Path(__file__).parents[1]),
    }


def _method_spec(manifest: Manifest, method: MethodInfo) -> list[Any]:
    space = [dimension.as_dict() for dimension in method.space]
    hyperparameters = manifest.hyperparameters[method.name]
    return json.loads(json.dumps([method.name, manifest.definitions[method.name], hyperparameters, space]))


def _digest(spec: Any) -> str:
    return hashlib.sha256(json.dumps(spec, sort_keys=True).encode()).hexdigest()


def _circumstances(provenance: Mapping[str, Any]) -> list[Any]:
    """What of a provenance can make a difference to results."""
    return [provenance.get(name) for name in ("versions", "machine", "git")]


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def _git(folder: Path) -> dict[str, str | None]:
    """The commit of the code in a folder, and a hash of what in it differs from that; None of both where the folder is
    not part of a repository, as that of an installed package, wherever it is installed."""

    def said(*arguments: str) -> bytes | None:
        command = ["git", "-C", str(folder), *arguments]
        try:
            return subprocess.run(command, capture_output=True, check=True, timeout=20).stdout
        except (OSError, subprocess.SubprocessError):
            return None

    if not said("ls-files", "--", "."):
        return {"commit": None, "dirty": None}
    commit, changed = said("rev-parse", "HEAD"), said("diff", "HEAD", "--", ".")
    added = (said("ls-files", "-z", "--others", "--exclude-standard", "--", ".") or b"").split(b"\0")
    digest = hashlib.sha256(changed or b"")
    for name in filter(None, added):
        path = folder / os.fsdecode(name)
        digest.update(name + b"\0" + (path.read_bytes() if path.is_file() else b""))
    dirty = digest.hexdigest()[:16] if changed or any(added) else None
    return {"commit": commit.decode().strip() if commit else None, "dirty": dirty}
