"""The run store: a folder with one immutable file a trial."""

from dataclasses import dataclass
from pathlib import Path

from thalweg.files import write_atomically
from thalweg.race.record import Record


class StoreError(Exception):
    """A file of the run store cannot be read or written."""


@dataclass(frozen=True)
class Store:
    """Records in a folder, each in a file that is named by the key of its trial.

    A file appears whole or not at all, so killing a race loses at most the trials that were running, and several
    processes may share the folder without locks: whoever writes a trial twice writes the same result.
    """

    folder: Path

    def path(self, key: str) -> Path:
        """The file of the trial with this key."""
        return self.folder / f"{key}.json"

    def get(self, key: str) -> Record | None:
        """The record of the trial, or None if it has not been run. Raises StoreError if the file is not a record."""
        path = self.path(key)
        try:
            record = Record.from_json(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError, OSError) as error:
            raise StoreError(
                f"{path} is not a readable record ({error}); delete it and run the command again"
            ) from error
        if record.key != key:
            raise StoreError(f"{path} holds the record of another trial ({record.key}); delete it and run again")
        return record

    def put(self, record: Record) -> None:
        """Writes the record. Raises StoreError if the folder cannot be written."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_atomically(self.path(record.key), record.to_json())
        except OSError as error:
            raise StoreError(f"cannot write {self.path(record.key)}: {error.strerror}") from error
