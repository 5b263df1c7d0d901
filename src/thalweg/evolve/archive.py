"""`Archive`: every candidate that was tried, with all of its scores, in one SQLite file.

One process owns it, for as long as it is open. All that a batch changes becomes part of the file at once, together with
the checkpoint from which the search goes on: whenever that process is killed, the file holds the last whole batch.
"""

from __future__ import annotations

import errno
import json
import math
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from thalweg.evolve.candidate import Candidate
from thalweg.evolve.entry import Entry, Keys, definition_of, entry_from

APPLICATION = 0x7468776C  # "thwl": which program a database belongs to
VERSION = 1
MEMORY = ":memory:"
MOST_BYTES = 256 * 2**20  # of one text: no checkpoint comes near it, and a broken file cannot ask for more memory

TABLES = (
    """CREATE TABLE candidates (
        id INTEGER PRIMARY KEY, canonical TEXT NOT NULL UNIQUE, definition TEXT NOT NULL, size INTEGER NOT NULL,
        behaviour TEXT, second_behaviour TEXT, born INTEGER NOT NULL, parents TEXT NOT NULL, operation TEXT NOT NULL,
        fate TEXT NOT NULL)""",
    "CREATE INDEX behaviours ON candidates (behaviour, second_behaviour)",
    "CREATE TABLE aliases (canonical TEXT PRIMARY KEY, candidate INTEGER NOT NULL)",
    """CREATE TABLE scores (
        id INTEGER PRIMARY KEY, candidate INTEGER NOT NULL, stage TEXT NOT NULL, task TEXT NOT NULL,
        seed INTEGER NOT NULL, value REAL NOT NULL, examples INTEGER NOT NULL,
        UNIQUE (candidate, stage, task, seed))""",
    "CREATE INDEX stages ON scores (stage, candidate, value)",
    "CREATE TABLE counters (name TEXT PRIMARY KEY, value NUMERIC NOT NULL)",
    "CREATE TABLE checkpoint (only INTEGER PRIMARY KEY CHECK (only = 0), text TEXT NOT NULL)",
)
_COLUMNS = "id, canonical, definition, size, behaviour, second_behaviour, born, parents, operation, fate"
_DUMPED = {
    "candidates": f"SELECT {_COLUMNS} FROM candidates ORDER BY id",
    "aliases": "SELECT canonical, candidate FROM aliases ORDER BY canonical",
    "scores": "SELECT id, candidate, stage, task, seed, value, examples FROM scores ORDER BY id",
    "counters": "SELECT name, value FROM counters ORDER BY name",
    "checkpoint": "SELECT text FROM checkpoint",
}
_HELD = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_BROKEN = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_TOOBIG)


class Archive:
    """Candidates and their scores, by canonical form and by behaviour.

    `path`: the file, which is made where it is not there, or ":memory:". What is written is seen at once by whoever
    asks this object, and is in the file after `commit`; closed without it, it is forgotten.

    Raises ValueError, naming the file and what to do, where it is damaged, of another program or version, or open in
    another process; OSError where the disk is full or fails: the file then holds the last commit, and this object is
    closed.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = str(path)
        self._connection = self._opened()
        try:
            self._begin()
        except Exception:
            self.close()
            raise

    # What is asked

    def known(self, canonical: str) -> Entry | None:
        """The candidate with this canonical form, or the one that does the same as that one did."""
        found = self._read("SELECT id FROM candidates WHERE canonical = ?", canonical)
        found = found or self._read("SELECT candidate FROM aliases WHERE canonical = ?", canonical)
        return self.entry(found[0][0]) if found else None

    def alike(self, keys: Keys) -> Entry | None:
        """The first candidate that does the same on both probes."""
        ask = "SELECT id FROM candidates WHERE behaviour = ? AND second_behaviour = ? ORDER BY id LIMIT 1"
        found = self._read(ask, *keys)
        return self.entry(found[0][0]) if found else None

    def entry(self, id: int) -> Entry:
        """A candidate as it stands now. Raises KeyError where there is none."""
        rows = self._read(f"SELECT {_COLUMNS} FROM candidates WHERE id = ?", id)
        if not rows:
            raise KeyError(id)
        ask = "SELECT stage, task, seed, value, examples FROM scores WHERE candidate = ? ORDER BY id"
        return entry_from(rows[0], self._read(ask, id), self._where)

    def entries(self) -> Iterator[Entry]:
        """All candidates, the oldest first."""
        for (number,) in self._read("SELECT id FROM candidates ORDER BY id"):
            yield self.entry(number)

    def ranked(self, stage: str, *, least_scores: int = 1, most: int | None = None) -> list[Entry]:
        """Candidates by the mean of their scores in a stage, the best first; of equals the smaller, then the older.

        Only those with `least_scores` there at least, and `most` of them.
        """
        ask = """SELECT candidate FROM scores JOIN candidates ON candidates.id = candidate WHERE stage = ?
            GROUP BY candidate HAVING count(*) >= ? ORDER BY avg(value) DESC, size, candidate LIMIT ?"""
        return [self.entry(number) for (number,) in self._read(ask, stage, least_scores, -1 if most is None else most)]

    def counters(self) -> dict[str, int | float]:
        """All counters by name."""
        return dict(self._read("SELECT name, value FROM counters ORDER BY name"))

    def stages(self) -> dict[str, int]:
        """How many candidates have a score in each stage."""
        return dict(self._read("SELECT stage, count(DISTINCT candidate) FROM scores GROUP BY stage ORDER BY stage"))

    @property
    def checkpoint(self) -> str | None:
        """What the last `commit` was given; None before the first."""
        rows = self._read("SELECT text FROM checkpoint")
        if rows and not isinstance(rows[0][0], str):
            raise self._damaged("its checkpoint is no text")
        return rows[0][0] if rows else None

    def __len__(self) -> int:
        """How many candidates there are."""
        return int(self._read("SELECT count(*) FROM candidates")[0][0])

    def dump(self) -> str:
        """All that is in it, a row a line, floats to their last digit: equal for equal archives."""
        lines = [json.dumps([name, *row]) for name, ask in _DUMPED.items() for row in self._read(ask)]
        return "\n".join([*lines, ""])

    # What is told

    def add(
        self,
        candidate: Candidate,
        *,
        born: int,
        keys: Keys | None = None,
        parents: Sequence[int] = (),
        operation: str = "",
        fate: str = "",
    ) -> Entry:
        """A new candidate. Raises ValueError where its canonical form is known already: it then has an entry."""
        known = self.known(candidate.canonical)
        if known is not None:
            raise ValueError(f"candidate {known.id} has this canonical form already: {candidate.canonical!r:.80}")
        made = self._write(
            f"INSERT INTO candidates ({_COLUMNS}) VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            candidate.canonical,
            definition_of(candidate.rule),
            candidate.size,
            *(keys or (None, None)),
            born,
            " ".join(map(str, parents)),
            operation,
            fate,
        )
        return self.entry(made)

    def alias(self, canonical: str, entry: Entry | int) -> None:
        """Notes that a rule of another canonical form does what this candidate does: `known` then finds it there."""
        if self.known(canonical) is not None:
            raise ValueError(f"canonical must be of no candidate yet, got {canonical!r:.80}")
        self._write("INSERT INTO aliases (canonical, candidate) VALUES (?, ?)", canonical, _id(entry))

    def mark(self, entry: Entry | int, fate: str) -> None:
        """Notes how far a candidate came, or why it was refused."""
        self._write("UPDATE candidates SET fate = ? WHERE id = ?", fate, _id(entry))

    def score(self, entry: Entry | int, stage: str, task: str, seed: int, value: float, examples: int = 0) -> None:
        """Notes a score of a candidate, which is given as its entry or its id; what is not finite is -inf.

        Raises ValueError where the candidate has one of this stage, task and seed: it would be the same once more.
        """
        kept = float(value) if math.isfinite(value) else -math.inf
        columns = "candidate, stage, task, seed, value, examples"
        row = _id(entry), stage, task, int(seed), kept, int(examples)
        try:
            self._write(f"INSERT INTO scores ({columns}) VALUES (?, ?, ?, ?, ?, ?)", *row)
        except sqlite3.IntegrityError as error:
            raise ValueError(
                f"candidate {_id(entry)} has a score of stage {stage!r}, task {task!r} and seed {seed} already"
            ) from error

    def count(self, name: str, amount: int | float = 1) -> None:
        """Adds to a counter, which begins at 0."""
        adds = "ON CONFLICT (name) DO UPDATE SET value = value + excluded.value"
        self._write(f"INSERT INTO counters (name, value) VALUES (?, ?) {adds}", name, amount)

    def commit(self, checkpoint: str) -> None:
        """Makes all that was told since the last commit part of the file, with the checkpoint, as one."""
        self._write("REPLACE INTO checkpoint (only, text) VALUES (0, ?)", checkpoint)
        self._read("COMMIT")

    def close(self) -> None:
        """Closes the file; what was not committed is forgotten."""
        self._connection.close()

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()

    # The file

    @property
    def _where(self) -> str:
        return f"archive {self.path}"

    def _opened(self) -> sqlite3.Connection:
        path = Path(self.path)
        try:
            if self.path != MEMORY and path.exists() and not path.is_file():
                raise sqlite3.OperationalError("it is no file")  # a pipe, say, which would be waited for
            return sqlite3.connect(self.path, timeout=1.0, isolation_level=None)
        except sqlite3.Error as error:
            raise ValueError(
                f"{self._where} cannot be opened ({error}); give a file in a folder that is there"
            ) from error

    def _begin(self) -> None:
        """Takes the file for this process alone, and looks whether it is an archive, or makes it one.

        The lock is the operating system's and goes with the process, however that ends.
        """
        self._connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MOST_BYTES)
        for setting in ("locking_mode = EXCLUSIVE", "synchronous = FULL", "trusted_schema = OFF"):
            self._read(f"PRAGMA {setting}")
        self._read("BEGIN EXCLUSIVE")
        application, version = (int(self._read(f"PRAGMA {name}")[0][0]) for name in ("application_id", "user_version"))
        if not application and not self._schema():
            for table in TABLES:
                self._write(table)
            self._write(f"PRAGMA application_id = {APPLICATION}")
            self._write(f"PRAGMA user_version = {VERSION}")
            self._read("COMMIT")
            return
        if application != APPLICATION:
            raise ValueError(f"{self._where} is a database of another program; give another path")
        if version != VERSION:
            raise ValueError(
                f"{self._where} is of version {version}, and this thalweg reads {VERSION}; give another path"
            )
        if self._schema() != sorted(TABLES):  # a trigger or a view in it would be somebody else's code
            raise self._damaged("its tables are not those of an archive")
        ((health,),) = self._read("PRAGMA quick_check(1)")
        if health != "ok":
            raise self._damaged(str(health).splitlines()[-1])

    def _schema(self) -> list[str]:
        return sorted(str(text) for (text,) in self._read("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL"))

    def _read(self, ask: str, *values: Any) -> list[tuple[Any, ...]]:
        try:
            return self._connection.execute(ask, values).fetchall()
        except sqlite3.Error as error:
            raise self._explained(error) from error

    def _write(self, tell: str, *values: Any) -> int:
        """Changes the file with the next commit; returns the id of the row that was made, if one was."""
        if not self._connection.in_transaction:
            self._read("BEGIN IMMEDIATE")
        try:
            return self._connection.execute(tell, values).lastrowid or 0
        except sqlite3.IntegrityError:
            raise
        except sqlite3.Error as error:
            raise self._explained(error) from error

    def _explained(self, error: sqlite3.Error) -> Exception:
        """What to raise for trouble with the file. Nothing more can be told to one that is full or fails."""
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the rest says where exactly
        if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
            self.close()
            number = errno.ENOSPC if code == sqlite3.SQLITE_FULL else errno.EIO
            return OSError(number, f"{error}; the archive holds its last whole batch", self.path)
        if code in _HELD:
            return ValueError(f"{self._where} is open in another process; wait for it to end, or give another path")
        if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
            return ValueError(f"{self._where} cannot be written ({error}); give another path")
        if code in _BROKEN or "decode" in str(error):
            return self._damaged(str(error))
        return error

    def _damaged(self, why: str) -> ValueError:
        return ValueError(
            f"{self._where} is damaged or no archive ({why}); give another path, or delete it to begin anew"
        )


def _id(entry: Entry | int) -> int:
    return entry.id if isinstance(entry, Entry) else entry
