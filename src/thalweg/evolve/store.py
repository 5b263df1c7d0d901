"""The folder of an evolution: what it was asked for, its archive, and what came out."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from thalweg.evolve.archive import Archive
from thalweg.files import SUFFIX, remove_abandoned, write_atomically

FORMAT = 1
MANIFEST, ARCHIVE, CLOCK, REPORT, WINNER, RACE = (
    "evolution.json", "archive.sqlite", "clock.json", "report.html", "winner.py", "race",
)  # fmt: skip
MOST = 6  # differences that are told


@dataclass(frozen=True)
class Store:
    """An evolution in a folder.

    evolution.json   what it was asked for; the same again goes on with it, anything else is refused
    archive.sqlite   every candidate with every score, and where the search stands
    clock.json       the seconds that it has taken so far
    report.html      what came out; winner.py: the best optimizer, which needs torch alone
    race/            the race of the winner with known optimizers
    """

    folder: Path

    def begin(self, asked: Mapping[str, Any]) -> Archive:
        """Makes the folder an evolution's, or finds it so, and opens its archive.

        Raises ValueError, saying what differs, where it holds another evolution, or something else; OSError where it
        cannot be written.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            raise ValueError(f"store must be a folder, but {str(error.filename)!r} is a file") from error
        manifest = {"format": FORMAT, **asked}
        held = self._read(MANIFEST)
        if held is None:
            # What a killed process was writing has a name of its own, and is no reason not to begin once more.
            if any(not path.name.endswith(SUFFIX) for path in self.folder.iterdir()):
                raise ValueError(
                    f"store must be a new folder or that of an evolution, but {str(self.folder)!r} holds others' files"
                )
            write_atomically(self.folder / MANIFEST, json.dumps(manifest, indent=1, sort_keys=True) + "\n")
        elif differing := list(_differing(held, _plain(manifest))):
            told = "; ".join(f"{name} is {_short(one)}, not {_short(other)}" for name, one, other in differing[:MOST])
            told += f"; and {len(differing) - MOST} more" * (len(differing) > MOST)
            raise ValueError(
                f"store {str(self.folder)!r} holds another evolution ({told}); give another folder, or ask for the same"
            )
        remove_abandoned(self.folder)
        return Archive(self.folder / ARCHIVE)

    @property
    def seconds(self) -> float:
        """How long it has run, before this time."""
        seconds = (self._read(CLOCK) or {}).get("seconds", 0.0)
        if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not seconds >= 0:
            raise ValueError(
                f"{self.path(CLOCK)} must hold the seconds of an evolution, got {seconds!r}; delete it to count from 0"
            )
        return float(seconds)

    def keep_seconds(self, seconds: float) -> None:
        """Notes how long it has run by now."""
        write_atomically(self.folder / CLOCK, json.dumps({"seconds": seconds}))

    def path(self, name: str) -> Path:
        """A file of the folder."""
        return self.folder / name

    def _read(self, name: str) -> dict[str, Any] | None:
        path = self.folder / name
        if not path.exists():
            return None
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise ValueError(f"{path} cannot be read ({error}); delete the folder, or give another store") from error
        if not isinstance(found, dict):
            raise ValueError(f"{path} is no file of an evolution; give another store")
        return found


def _differing(held: Any, asked: Any, name: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Where two values from JSON differ: the name of the place, and both. Settings go by their own names."""
    if isinstance(held, dict) and isinstance(asked, dict):
        for key in sorted(held.keys() | asked.keys()):
            place = key if name in ("", "settings") else f"{name} {key}"
            yield from _differing(held.get(key), asked.get(key), place)
    elif isinstance(held, list) and isinstance(asked, list) and len(held) == len(asked) and held:
        for one, other in zip(held, asked, strict=True):
            yield from _differing(one, other, name)
    elif held != asked:
        yield name, held, asked


def _plain(value: Any) -> Any:
    """A value as it comes back from JSON."""
    return json.loads(json.dumps(value))


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
