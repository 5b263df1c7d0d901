"""Runs papers on the command line: how far they are, what goes wrong, and what is finished when it ends early."""

import traceback
from collections.abc import Sequence
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from rich.status import Status

from thalweg.cli.console import end, messages, refuse
from thalweg.cli.running import duration
from thalweg.names import shown

if TYPE_CHECKING:  # its parts import torch, which takes seconds: `thalweg --help` need not wait
    from thalweg.reproduce import Options, Paper, Records
    from thalweg.reproduce.combined import Found

PATIENCE = 30.0  # seconds from one line on progress to the next where the output is no terminal


class Failed(Exception):
    """What went wrong with a paper, in words, and the exit code that it ends with."""

    def __init__(self, why: str, code: int) -> None:
        super().__init__(why)
        self.code = code


def run(paper: "Paper", how: "Options", only: tuple[str, ...]) -> "Records":
    """Runs the parts of a paper, or those named; ends the command where that fails or nothing could be run."""
    try:
        with Progress() as progress:
            found = _run(paper, how, only, progress)
    except KeyboardInterrupt:
        end(f"Interrupted: {_kept(how)}. Finished so far: {_finished(paper, how)}", 130)
    except Failed as error:
        end(f"Error: {error}", error.code)
    left = found.settings.get("not_run", {})
    asked = [part for part in paper.chosen(only) if part.name in left]
    if len(asked) == len(paper.chosen(only)):
        end(f"Error: no part could be run. {asked[0].title}: {left[asked[0].name]}", 2)
    for part in asked:
        say(f"Not run: {part.title}: {left[part.name]}")
    return found


def run_all(papers: Sequence["Paper"], how: "Options") -> tuple[list["Found"], list[str]]:
    """Runs all papers, one after another, and says which of them failed: one that does costs the others nothing."""
    from thalweg.reproduce.combined import Found

    found, failed = [], []
    try:
        with Progress() as progress:
            for place, paper in enumerate(papers, start=1):
                progress.begin_paper(paper, len(papers) - place)
                records, why = _tried(paper, how, progress)
                found.append(Found(paper, records))
                if why:
                    failed.append(shown(paper.name))
                    say(f"Error: {shown(paper.name)}: {why}")
    except KeyboardInterrupt:
        done = "; ".join(f"{shown(paper.name)}: {_finished(paper, how)}" for paper in papers)
        end(f"Interrupted: {_kept(how)}. Finished so far: {done}", 130)
    for one in found:
        left = one.records.settings.get("not_run", {})
        for part in one.paper.parts:
            if part.name in left:
                say(f"Not run: {shown(one.paper.name)}: {part.title}: {left[part.name]}")
    return found, failed


def made_before(paper: "Paper", how: "Options") -> "Records | None":
    """What the store has of a paper; else the records that come with Thalweg. None without either."""
    try:
        found = paper.stored(how)
        if found.settings.get("parts"):
            say(f"From what {how.store} has of {shown(paper.name)}, {how.kept_as}.")
            return found
        committed = paper.committed()
    except ValueError as error:
        end(f"Error: {error}", 2)
    if committed is not None:
        say(f"From the records that come with Thalweg: {shown(paper.name)}.")
    return committed


def all_made_before(papers: Sequence["Paper"], how: "Options") -> list["Found"]:
    """The same of all papers; nothing of those that have neither."""
    from thalweg.reproduce import Records
    from thalweg.reproduce.combined import Found

    return [Found(paper, made_before(paper, how) or Records(paper.name, ())) for paper in papers]


def read(paper: "Paper", file: Path) -> "Records":
    """The records in a file; ends the command where it has none of the paper."""
    from thalweg.reproduce import Records

    if not file.is_file():
        refuse("--records", file, "is not there; with --page-only it is read")
    try:
        found = Records.read(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        refuse("--records", file, f"cannot be read: {error}")
    if found.paper != paper.name:
        refuse("--records", file, f"must hold records of {paper.name}, but has those of {found.paper}")
    return found


def say(text: str) -> None:
    """A line that is no result."""
    messages.print(text, markup=False, highlight=False, soft_wrap=True)


class Progress:
    """A line a part, and below it how far it is: one line that changes in a terminal, elsewhere one now and then."""

    def __init__(self) -> None:
        self._status = Status("", console=messages)
        self._start = self._last = monotonic()
        self._paper = ""

    def __enter__(self) -> "Progress":
        if messages.is_terminal:
            self._status.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._status.stop()

    def begin_paper(self, paper: "Paper", left: int) -> None:
        """Which paper is begun, whose name all further lines have, and how many are left after it."""
        self._paper = f"{shown(paper.name)}, {left} left: "
        self.begin(paper.title)

    def begin(self, text: str) -> None:
        """What part is begun, found or left out."""
        self._status.update(" ")  # an empty text would leave the last one
        say(self._paper + text)
        self._start = self._last = monotonic()

    def tell(self, text: str) -> None:
        """How far it is."""
        line = f"    {self._paper}{text}, after {duration(monotonic() - self._start)}"
        if messages.is_terminal:
            self._status.update(line.replace("[", r"\["))
        elif monotonic() - self._last >= PATIENCE:
            say(line)
            self._last = monotonic()


def _run(paper: "Paper", how: "Options", only: tuple[str, ...], progress: Progress) -> "Records":
    """Runs the parts; raises Failed where the input cannot be (code 2) or the machine failed (1)."""
    from thalweg.race import EngineError, OtherRace, StoreError, WorkerDied
    from thalweg.race.store import Unreadable

    try:
        return paper.run(how, progress.tell, only, progress.begin)
    except WorkerDied as error:
        raise Failed(f"{error}; {_kept(how)}", 1) from error
    except (OtherRace, Unreadable, EngineError, ValueError) as error:
        raise Failed(str(error), 2) from error
    except (StoreError, OSError) as error:
        raise Failed(str(error), 1) from error


def _tried(paper: "Paper", how: "Options", progress: Progress) -> tuple["Records", str]:
    """What the store has of a paper after it was run, and why it failed, "" where it did not."""
    from thalweg.reproduce import Records

    try:
        return _run(paper, how, (), progress), ""
    except Failed as error:
        why = str(error)
    except Exception as error:  # an hour's run does not end by a fault in one of its papers
        traceback.print_exc()
        why = f"{type(error).__name__}: {error}"
    reasons = {part.name: f"the run failed before it was finished: {why}" for part in paper.parts}
    try:
        return paper.stored(how, reasons), why
    except ValueError:  # what failed is the store's own file
        return Records(paper.name, (), settings={"not_run": reasons}), why


def _kept(how: "Options") -> str:
    """Where it goes on from; a part that is no race begins anew."""
    kept = f"finished parts, and finished trials of races, are kept in {how.store}"
    return f"{kept}, and the same command goes on from there"


def _finished(paper: "Paper", how: "Options") -> str:
    try:
        left = paper.stored(how).settings.get("not_run", {})
    except ValueError as error:
        return f"unknown, {error}"
    return ", ".join(part.name for part in paper.parts if part.name not in left) or "no part"
