"""The run store: a folder with one immutable file a trial, and the few that say what they belong to."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from thalweg.files import remove_abandoned, write_atomically, write_once
from thalweg.race.manifest import Manifest, differences, extends
from thalweg.race.record import Record, values_from_json
from thalweg.race.result import Draw, Place, RaceResult, Study

MANIFEST = "manifest.json"
Cell = tuple[tuple[Study, ...], tuple[Record, ...]]  # the studies of a method on a task, and its final records
Made = TypeVar("Made")


class StoreError(Exception):
    """A file of the run store cannot be read or written."""


class Unreadable(StoreError):
    """A file or folder is not what it should be: a record, a manifest, a store, a report."""


class _Missing(Unreadable):
    """A record that a cell names is not there."""


class OtherRace(StoreError):
    """The store holds a race of another specification."""


@dataclass(frozen=True)
class Store:
    """A race in a folder.

        manifest.json         the specification, and with what it was run
        trials/ab/abcd...json one record a trial, named by the hash of all that decides it
        arrived/              records of a job on their way into `trials`
        cells/TASK/METHOD.json which trials are whose draws, and which are final
        choices/              what was chosen by timing, once

    A file appears whole or not at all, and those of trials and choices never change, so killing a race loses at most
    the jobs that were running. Several processes may share the folder without locks: of two that run the same trial
    the first one writes it, and both go on with that.
    """

    folder: Path

    def begin(self, manifest: Manifest) -> Manifest:
        """Makes the folder a race's, or finds it so, and tidies up after a process that was killed.

        Returns the manifest that it has. A race that is the old one and more (tasks, methods, seeds) takes it over.
        Raises OtherRace, saying what differs, where the folder holds any other; StoreError where it cannot be read or
        written.
        """
        held = self.manifest()
        if held is None and (why := writable(self.folder)):
            raise Unreadable(f"the store {self.folder} {why}; give another one")
        if held is None:
            if not self._write_once(self.folder / MANIFEST, manifest.to_json()):
                return self.begin(manifest)  # another process was as quick
            held = manifest
        elif held.hash != manifest.hash:
            if not extends(manifest, held):
                found = "; ".join(differences(manifest, held))
                raise OtherRace(f"{self.folder} holds another race ({found}); give another store, or the same command")
            held = manifest.extending(held)
            self.put_manifest(held)
        remove_abandoned(self.folder)
        self._take_in_all()
        return held

    def manifest(self) -> Manifest | None:
        """The manifest, or None where there is none yet. Raises StoreError where it cannot be read."""
        return self._read(self.folder / MANIFEST, Manifest.from_json, "manifest")

    def put_manifest(self, manifest: Manifest) -> None:
        """Puts another manifest in the place of the one that is there."""
        self._write(self.folder / MANIFEST, manifest.to_json())

    def path(self, key: str) -> Path:
        """The file of the trial with this key."""
        return self.folder.joinpath("trials", key[:2], f"{key}.json")

    def get(self, key: str) -> Record | None:
        """The record of the trial, or None if it has not been run. Raises StoreError if the file is not a record."""
        path = self.path(key)
        record = self._read(path, Record.from_json, "record")
        if record is not None and record.key != key:
            raise Unreadable(f"{path} holds the record of another trial ({record.key}); delete it and run again")
        return record

    def records(self, keys: Iterable[str]) -> dict[str, Record]:
        """Those that are there, by key. Of a job that another process is writing at this moment, all of them or none.

        Raises StoreError where a file is not a record.
        """
        found: dict[str, Record] = {}
        missing = list(keys)
        while True:
            new = {key: record for key in missing if (record := self.get(key)) is not None}
            found |= new
            missing = [key for key in missing if key not in new]
            if not new or not missing:
                return found
            self._take_in_all()  # a job of which some were there has then arrived as a whole

    def put(self, records: Iterable[Record]) -> list[Record]:
        """Writes the records of a job: all of them are safe, in one file, before any of their own is written.

        Returns them as the store has them: where another process ran the same trial first, its record. Raises
        StoreError if the folder cannot be written.
        """
        made = {record.key: record for record in records}
        if not made:
            return []
        texts = {key: record.to_json() for key, record in made.items()}
        text = json.dumps(texts)
        # Named by its content: another process that writes the same job at the same time does not remove this one.
        arrived = self.folder / "arrived" / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.json"
        self._write(arrived, text)
        was_there = self._take_in(arrived, texts)
        return [self._needed(key) if key in was_there else record for key, record in made.items()]

    def choice(self, name: str) -> Mapping[str, Any] | None:
        """What was chosen by timing under this name, or None."""
        return self._read(self._choice(name), _mapping, "choice")

    def put_choice(self, name: str, choice: Mapping[str, Any]) -> Mapping[str, Any]:
        """Keeps a choice, and returns it; where another process has chosen already, what that chose."""
        if self._write_once(self._choice(name), json.dumps(choice, indent=1)):
            return choice
        return self.choice(name) or choice

    def put_cell(self, place: Place, place_hash: str, studies: Iterable[Study], finals: Iterable[Record]) -> None:
        """Keeps which trials a method on a task is made of, once all are there; for the race with this `place_hash`."""
        cell = {
            "place_hash": place_hash,
            "studies": [
                [{"hyperparameters": draw.hyperparameters, "keys": [r.key for r in draw.records]} for draw in s.draws]
                for s in studies
            ],
            "finals": [record.key for record in finals],
        }
        self._write(self._cell(place), json.dumps(cell, indent=1))

    def cell(self, place: Place, place_hash: str) -> Cell | None:
        """The studies and the final records of a method on a task, or None where they are not complete: a record that
        somebody has deleted is to be made again."""
        path = self._cell(place)
        cell = self._read(path, _mapping, "cell")
        if cell is None or cell.get("place_hash") != place_hash:
            return None
        try:
            studies = [
                [Draw(values_from_json(d["hyperparameters"]), tuple(map(self._needed, d["keys"]))) for d in draws]
                for draws in cell["studies"]
            ]
            finals = tuple(map(self._needed, cell["finals"]))
        except _Missing:
            return None
        except (KeyError, TypeError, AttributeError) as error:
            raise Unreadable(f"{path} is not a readable cell ({error}); delete it and run the command again") from error
        return tuple(Study(index, tuple(draws)) for index, draws in enumerate(studies)), finals

    def _cell(self, place: Place) -> Path:
        task, method = (_file_name(name) for name in place)
        return self.folder / "cells" / task / f"{method}.json"

    def _choice(self, name: str) -> Path:
        return self.folder / "choices" / f"{_file_name(name)}.json"

    def _needed(self, key: str) -> Record:
        record = self.get(key)
        if record is None:
            raise _Missing(f"{self.path(key)} is missing; give the command again to run that trial")
        return record

    def _take_in_all(self) -> None:
        for arrived in sorted((self.folder / "arrived").glob("*.json")):
            texts = self._read(arrived, _texts, "file of records")
            self._take_in(arrived, texts or {})  # None where another process was as quick

    def _take_in(self, arrived: Path, texts: Mapping[str, str]) -> set[str]:
        """Gives each record of a job a file of its own, then removes the job's; says which ones were there before."""
        was_there = {key for key, text in texts.items() if not self._write_once(self.path(key), text)}
        self._writing(arrived, lambda: arrived.unlink(missing_ok=True))
        return was_there

    def _read(self, path: Path, read: Callable[[str], Made], what: str) -> Made | None:
        try:
            text = path.read_text(encoding="utf-8")
            return read(text) if text else None  # an empty file is what a power failure can leave of one
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise Unreadable(f"cannot read {path}: {error.strerror}") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Unreadable(
                f"{path} is not a readable {what} ({error}); give another store, or delete it and run the command again"
            ) from error

    def _write(self, path: Path, text: str) -> None:
        self._writing(path, lambda: write_atomically(path, text))

    def _write_once(self, path: Path, text: str) -> bool:
        return self._writing(path, lambda: write_once(path, text))

    def _writing(self, path: Path, write: Callable[[], Made]) -> Made:
        try:
            if not path.parent.is_dir():
                path.parent.mkdir(parents=True, exist_ok=True)
            return write()
        except OSError as error:
            raise StoreError(
                f"cannot write {path}: {error.strerror}; what is finished is safe, and the same command goes on from it"
            ) from error


def load(folder: str | Path) -> RaceResult:
    """A race as its store holds it: no data and no user's code are needed.

    Raises StoreError where the folder is no store, cannot be read, or holds a race that is not finished.
    """
    store = Store(Path(folder))
    manifest = store.manifest()
    if manifest is None:
        raise Unreadable(f"{folder} is not the store of a race: it has no {MANIFEST}")
    studies, records = {}, {}
    for task in manifest.tasks:
        for method in manifest.methods:
            place = task.name, method.name
            cell = store.cell(place, manifest.place_hash(*place))
            if cell is None:
                raise Unreadable(f"the race in {folder} is not finished: give its command again ({manifest.command})")
            studies[place], records[place] = cell
    return RaceResult(
        manifest.tasks, manifest.methods, manifest.protocol, studies, records, manifest.as_dict(), str(folder)
    )


def writable(folder: Path) -> str:
    """Why nothing can be written in a folder that may not exist yet; "" where it can."""
    place = folder
    while not place.exists():
        place = place.parent
    if not place.is_dir():
        return f"must be a folder, but {place} is a file"
    return "" if os.access(place, os.W_OK) else f"cannot be written: {place} is read-only"


def _mapping(text: str) -> dict[str, Any]:
    content = json.loads(text)
    if not isinstance(content, dict):
        raise ValueError("it holds no JSON object")
    return content


def _texts(text: str) -> dict[str, str]:
    content = _mapping(text)
    if not all(isinstance(record, str) for record in content.values()):
        raise ValueError("it holds other things than records")
    return content


def _file_name(name: str) -> str:
    """A name as that of a file, on disks too that take capital and small letters for the same."""
    return re.sub(r"[^a-z0-9_.-]", lambda letter: f"%{ord(letter[0]):x}", name)
