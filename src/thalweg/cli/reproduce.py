"""`thalweg reproduce`: measure the numbers that a paper claims again, and say of each what came of it."""

import os
from collections.abc import Sequence
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Annotated

import typer
from rich.status import Status
from rich.table import Table

from thalweg.cli import options
from thalweg.cli.console import end, messages, output, refuse
from thalweg.cli.running import duration
from thalweg.names import shown

if TYPE_CHECKING:  # its parts import torch, which takes seconds: `thalweg --help` need not wait
    from thalweg.reproduce import Options, Paper, Records

DEVICES = ("cpu", "cuda")
PATIENCE = 30.0  # seconds from one line on progress to the next where the output is no terminal


def command(
    paper: Annotated[str | None, typer.Argument(metavar="PAPER", help="See --list.", show_default=False)] = None,
    all_papers: Annotated[
        bool,
        typer.Option("--list", help="List the papers: tables, parts, what they cost, whether their data are there."),
    ] = False,
    quick: Annotated[bool, typer.Option("--quick", help="At a smaller scale, which the page says.")] = False,
    part: Annotated[
        list[str] | None, typer.Option("--part", help="A part to run, in place of all; may be given several times.")
    ] = None,
    page_only: Annotated[
        bool,
        typer.Option("--page-only", help="Run nothing: from --records, else the store, else Thalweg's own records."),
    ] = False,
    store: Annotated[Path, typer.Option(help="Folder of finished parts; what it holds is not run again.")] = Path(
        "reproduce-store"
    ),
    out: Annotated[Path | None, typer.Option(help="The page; by default reproduce-PAPER.html.")] = None,
    markdown: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder for the page as Markdown, with its pictures.")
    ] = None,
    records: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="All that was measured, as JSON: written, with --page-only read."),
    ] = None,
    workers: options.Workers = None,
    device: options.Device = "cpu",
    data_dir: options.DataDir = None,
) -> None:
    """Measure a paper's published numbers again, by its own protocol and by a fair one, with a verdict on each."""
    from thalweg.reproduce import PAPERS

    if paper is not None:
        paper = paper.replace("-", "_")
        options.check_choice("PAPER", paper, list(PAPERS))
    if all_papers:
        _list([paper] if paper else list(PAPERS), data_dir)
        return
    if paper is None:
        refuse("PAPER", "", f"must be one of {', '.join(map(shown, PAPERS))}; --list says what they are")
    out = out or Path(f"reproduce-{shown(paper)}.html")
    options.check_counts(("--workers", workers, 1))
    options.check_choice("--device", device, DEVICES)
    _check_places(out, records, markdown, page_only)
    if page_only and part:
        refuse("--part", ", ".join(part), "cannot be given with --page-only, which runs nothing")
    chosen = _paper(paper)
    for name in part or []:
        options.check_choice("--part", name, [one.name for one in chosen.parts])
    how = _options(quick, store, data_dir, workers, device, page_only)
    found = _made_before(chosen, how, records) if page_only else _run(chosen, how, tuple(part or ()))
    _write(chosen, found, out, markdown, None if page_only else records)
    if chosen.claims:
        output.print(_counts(chosen, found))
    written = [f"Page: {out}"] + ([f"Markdown: {markdown}"] if markdown else [])
    if not page_only:
        written += [f"Records: {records}"] if records else [f"Store: {store}"]
    output.print("   ".join(written), highlight=False, markup=False, soft_wrap=True)


def _paper(name: str) -> "Paper":
    from thalweg.reproduce import paper_named

    return paper_named(name)


def _options(
    quick: bool, store: Path, data_dir: Path | None, workers: int | None, device: str, page_only: bool
) -> "Options":
    """Ends the command where the store cannot be written or the device is not there."""
    import torch

    from thalweg.race import available_cpus
    from thalweg.race.store import writable
    from thalweg.reproduce import Options

    if not page_only and (why := writable(store)):
        refuse("--store", store, why)
    if device == "cuda" and not torch.cuda.is_available():
        refuse("--device", device, "needs a GPU, and torch finds none here: give cpu")
    return Options(quick, store, data_dir, workers or available_cpus(), device)


def _made_before(paper: "Paper", how: "Options", file: Path | None) -> "Records":
    """The records of a file; else of the store, else those that come with Thalweg."""
    if file is not None:
        return _read(paper, file)
    try:
        found = paper.stored(how)
        if found.measured or found.figures:
            _say(f"From what {how.store} has of {shown(paper.name)}, {how.scale}.")
            return found
        committed = paper.committed()
    except ValueError as error:
        end(f"Error: {error}", 2)
    if committed is None:
        refuse("--page-only", how.store, f"has no finished part of {shown(paper.name)}, {how.scale}; run it first")
    _say("From the records that come with Thalweg.")
    return committed


def _read(paper: "Paper", file: Path) -> "Records":
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


def _run(paper: "Paper", how: "Options", only: tuple[str, ...]) -> "Records":
    """Runs the parts, and turns what goes wrong into words and an exit code, as a race does."""
    from thalweg.race import EngineError, OtherRace, StoreError, WorkerDied
    from thalweg.race.store import Unreadable

    kept = f"finished parts and trials are kept in {how.store}, and the same command goes on from there"
    try:
        with Progress() as progress:
            found = paper.run(how, progress.tell, only, progress.begin)
    except KeyboardInterrupt:
        end(f"Interrupted: {kept}. Finished so far: {_finished(paper, how)}", 130)
    except WorkerDied as error:
        end(f"Error: {error}; {kept}", 1)
    except (OtherRace, Unreadable, EngineError, ValueError) as error:
        end(f"Error: {error}", 2)
    except (StoreError, OSError) as error:
        end(f"Error: {error}", 1)
    left = found.settings.get("not_run", {})
    asked = [part for part in paper.chosen(only) if part.name in left]
    if len(asked) == len(paper.chosen(only)):
        end(f"Error: no part could be run. {asked[0].title}: {left[asked[0].name]}", 2)
    for part in asked:
        _say(f"Not run: {part.title}: {left[part.name]}")
    return found


def _finished(paper: "Paper", how: "Options") -> str:
    left = paper.stored(how).settings.get("not_run", {})
    return ", ".join(part.name for part in paper.parts if part.name not in left) or "no part"


class Progress:
    """A line a part, and below it how far it is: one line that changes in a terminal, elsewhere one now and then."""

    def __init__(self) -> None:
        self._status = Status("", console=messages)
        self._start = self._last = monotonic()

    def __enter__(self) -> "Progress":
        if messages.is_terminal:
            self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._status.stop()

    def begin(self, text: str) -> None:
        """What part is begun, found or left out."""
        self._status.update(" ")  # an empty text would leave the last one
        _say(text)
        self._start = self._last = monotonic()

    def tell(self, text: str) -> None:
        """How far it is."""
        line = f"    {text}, after {duration(monotonic() - self._start)}"
        if messages.is_terminal:
            self._status.update(line.replace("[", r"\["))
        elif monotonic() - self._last >= PATIENCE:
            _say(line)
            self._last = monotonic()


def _write(paper: "Paper", found: "Records", out: Path, markdown: Path | None, records: Path | None) -> None:
    from thalweg.reproduce.markdown import write_markdown
    from thalweg.reproduce.page import write_page

    try:
        write_page(paper, found, out)
        if markdown is not None:
            write_markdown(paper, found, markdown)
        if records is not None:
            found.write(records)
    except OSError as error:
        end(f"Error: cannot write {error.filename or out}: {error.strerror}", 1)


def _counts(paper: "Paper", found: "Records") -> Table:
    """How many claims of each table have which verdict."""
    from thalweg.reproduce.summary import counts
    from thalweg.reproduce.verdicts import WORDS

    title = f"{paper.title}: claims by verdict"
    table = Table(box=None, title=title, title_justify="left", pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("table")
    for column in ("claims", *WORDS):
        table.add_column(column, justify="right", min_width=max(map(len, column.split())))
    for name, words in counts(paper, found).items():
        table.add_row(name, str(sum(words.values())), *(str(words[word] or "") for word in WORDS))
    return table


def _list(names: Sequence[str], data_dir: Path | None) -> None:
    from thalweg.reproduce.data import lacking
    from thalweg.reproduce.summary import title_of

    for name in names:
        paper = _paper(name)
        _print(f"{shown(name)}: {paper.title}", style="bold")
        _print(f"    {paper.source}")
        for part in paper.parts:
            gone = lacking(part, data_dir)
            data = f"MISSING {', '.join(gone)}" if gone else "there" if part.needs else "none needed"
            _print(f"    {part.name}: {part.title}", style="bold")
            if part.tables:
                _print(f"        {', '.join(map(title_of, part.tables))}")
            _print(f"        takes {part.cost}; data: {data}")
    _print("Data are looked for in --data-dir or $THALWEG_DATA: see docs/data.md.")


def _check_places(out: Path, records: Path | None, markdown: Path | None, page_only: bool) -> None:
    """Refuses places where nothing can be written; with `page_only`, records are read."""
    for option, file in (("--out", out), ("--records", None if page_only else records)):
        if file is not None:
            if file.is_dir() or not file.parent.is_dir():
                refuse(option, file, "must be a file in a folder that exists")
            _check_writable(option, file)
    if records is not None and records.resolve() == out.resolve():
        refuse("--records", records, "must be another file than --out")
    if markdown is not None:
        if markdown.exists() and not markdown.is_dir():
            refuse("--markdown", markdown, "must be a folder, but is a file")
        if not markdown.parent.is_dir():
            refuse("--markdown", markdown, "must be a folder in one that exists")
        _check_writable("--markdown", markdown)


def _check_writable(option: str, path: Path) -> None:
    place = path if path.exists() else path.parent
    if not os.access(place, os.W_OK):
        refuse(option, path, f"cannot be written: {place} is read-only")


def _print(text: str, style: str | None = None) -> None:
    output.print(text, style=style, markup=False, highlight=False, soft_wrap=True)


def _say(text: str) -> None:
    messages.print(text, markup=False, highlight=False, soft_wrap=True)
