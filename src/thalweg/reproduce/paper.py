"""A paper under reproduction: its parts, each run by itself and kept when it is finished, and what they come to."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import TYPE_CHECKING

from thalweg.reproduce.claims import Cell, Claim, claims_in, folder_of
from thalweg.reproduce.records import Records
from thalweg.reproduce.verdicts import Verdict, verdicts

if TYPE_CHECKING:  # it imports torch, which takes seconds
    from thalweg.race.report.table import Table
    from thalweg.reproduce.statements import Judged

Tell = Callable[[str], None]  # takes a line on how far a part is

COMMITTED = "records.json"  # in a paper's room: what its page in docs/ is made of


@dataclass(frozen=True)
class Options:
    """How a reproduction is run: `quick` at a smaller scale, which the records say; data sets in `data_dir`; what is
    finished is kept in `store`. `mixed_precision`: on a GPU, by parts that know how, whose results are kept apart."""

    quick: bool
    store: Path
    data_dir: Path | None = None
    workers: int = 1
    device: str = "cpu"
    mixed_precision: bool = False

    @property
    def scale(self) -> str:
        """In a word; results of different scales are kept apart."""
        return "quick" if self.quick else "full"

    @property
    def kept_as(self) -> str:
        """What results are kept by: the scale and, where it is not the CPU, the device, on which some parts do more."""
        return self.scale if self.device == "cpu" else f"{self.scale}-{self.device}"


@dataclass(frozen=True)
class Part:
    """Some tables and figures of a paper that are measured together.

    `cost` says in words how long that takes, `quick_minutes` how long at the smaller scale on two cores. `needs` names
    the data without which it cannot be run: tasks with data, or files below the data folder. `mixed_precision`: whether
    it knows how.
    """

    name: str
    title: str
    tables: tuple[str, ...]
    cost: str
    needs: tuple[str, ...]
    run: Callable[[Options, Tell], Records]
    figures: tuple[str, ...] = ()
    quick_minutes: float = 0.0
    mixed_precision: bool = False


@dataclass(frozen=True)
class Picture:
    """A picture of a page: SVG, and what it shows in words."""

    title: str
    svg: str
    caption: str


@dataclass(frozen=True)
class Paper:
    """A paper: the room with its claims, its parts, and with which column of a row another one is compared.

    The first of `partners` is its own method, and what that is set beside. `pictures` draws from records alone, those
    that the records have the figures of: of some parts there may be none; `tables` are those that it has beside the
    published ones, from records alone too, and so is `judged`: what is to be said of its statements, for a paper whose
    sentences are judged. `notes` is what a reader must know, in paragraphs; `about` says in words what a published
    table is.
    """

    name: str
    title: str
    source: str
    parts: tuple[Part, ...]
    partners: Mapping[str, str]
    pictures: Callable[[Records], list[Picture]]
    notes: tuple[str, ...] = ()
    about: Mapping[str, str] = field(default_factory=dict)
    tables: Callable[[Records], list[Table]] = lambda records: []
    judged: Callable[[Records], list[Judged]] = lambda records: []

    @property
    def folder(self) -> Traversable:
        """Where its claims are, and the records that come with Thalweg."""
        return folder_of(self.name)

    @cached_property
    def claims(self) -> tuple[Claim, ...]:
        """All that it claims."""
        return claims_in(self.folder)

    def verdicts(self, records: Records) -> dict[Cell, Verdict]:
        """What is to be said of its claims, from the records alone."""
        return verdicts(self.claims, {one.cell: one for one in records.measured}, self.partners)

    def part_of(self, table: str) -> Part | None:
        """The part that measures a table; None where none does."""
        return next((part for part in self.parts if table in part.tables), None)

    def committed(self) -> Records | None:
        """The records that come with Thalweg; None where there are none."""
        file = self.folder / COMMITTED
        return Records.read(file.read_text(encoding="utf-8")) if file.is_file() else None

    def stored(self, options: Options, reasons: Mapping[str, str] | None = None) -> Records:
        """What the store has of all parts at the scale of the options. Nothing is run.

        `reasons` says by part why others are missing; they stand in `settings["not_run"]`. Raises ValueError where a
        file is damaged.
        """
        found = {part.name: self._read(part, options) for part in self.parts}
        left = {name: (reasons or {}).get(name, "it was not asked for") for name, one in found.items() if one is None}
        records = Records(self.name, ()).joined(one for one in found.values() if one is not None)
        return replace(records, settings={**records.settings, "not_run": left}) if left else records

    def run(
        self, options: Options, tell: Tell, only: tuple[str, ...] = (), begin: Callable[[str], None] | None = None
    ) -> Records:
        """Runs its parts, or those named, and returns all that the store has then.

        A part that the store has is not run again; one whose data are missing is left out, and the records say why.
        `begin` takes a line when a part begins (None: `tell`), `tell` those on how far it is. Raises ValueError where
        there is no part of a name, or a file of the store is damaged, and what the parts raise; what is finished by
        then is kept.
        """
        from thalweg.tasks import DataMissing  # torch, for which whoever only lists papers need not wait

        begin = begin or tell
        reasons: dict[str, str] = {}
        for part in self.chosen(only):
            if self._read(part, options) is not None:
                begin(f"{part.title}: there already, in {self._file(part, options)}")
                continue
            begin(f"{part.title} ({part.cost})")
            try:
                self._measure(part, options, tell)
            except DataMissing as error:
                reasons[part.name] = str(error)
                begin(f"{part.title}: left out, {error}")
        return self.stored(options, reasons)

    def chosen(self, only: tuple[str, ...]) -> list[Part]:
        """The parts of these names in their own order, or all; ValueError where there is no part of a name."""
        known = [part.name for part in self.parts]
        for name in only:
            if name not in known:
                raise ValueError(f"part must be one of {', '.join(known)}, got {name!r}")
        return [part for part in self.parts if not only or part.name in only]

    def _measure(self, part: Part, options: Options, tell: Tell) -> None:
        from thalweg.race.manifest import provenance

        circumstances = provenance(None)
        start = time.perf_counter()
        records = part.run(options, tell)
        run = {
            "scale": options.scale,
            "seconds": round(time.perf_counter() - start, 1),
            "workers": options.workers,
            "device": options.device,
            **({"mixed_precision": True} if _is_mixed(part, options) else {}),
            **{name: circumstances[name] for name in ("started", "versions", "machine", "git")},
        }
        file = self._file(part, options)
        file.parent.mkdir(parents=True, exist_ok=True)
        replace(records, settings={**records.settings, "parts": {part.name: run}}).write(file)

    def _read(self, part: Part, options: Options) -> Records | None:
        """What the store has of a part."""
        file = self._file(part, options)
        if not file.exists():
            return None
        try:
            records = Records.read(file.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(f"{file}: {error}; remove the file to have the part run again") from error
        if records.paper != self.name:
            raise ValueError(f"{file} must hold records of {self.name}, got those of {records.paper!r}")
        return records

    def _file(self, part: Part, options: Options) -> Path:
        mixed = "-mixed" if _is_mixed(part, options) else ""
        return options.store / f"{self.name}-{part.name}-{options.kept_as}{mixed}.json"


def _is_mixed(part: Part, options: Options) -> bool:
    """Whether a part is run in mixed precision."""
    return part.mixed_precision and options.mixed_precision
