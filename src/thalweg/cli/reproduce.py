"""`thalweg reproduce`: measure the numbers that a paper claims again, and say of each what came of it."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from thalweg.cli import options, reproducing
from thalweg.cli.console import end, output, refuse
from thalweg.cli.running import duration
from thalweg.names import shown

if TYPE_CHECKING:  # its parts import torch, which takes seconds: `thalweg --help` need not wait
    from thalweg.reproduce import Options, Paper, Part, Records
    from thalweg.reproduce.combined import Found

DEVICES = ("cpu", "cuda")


def command(
    paper: Annotated[
        str | None, typer.Argument(metavar="PAPER", help="See --list; all: every one.", show_default=False)
    ] = None,
    all_papers: Annotated[
        bool,
        typer.Option(
            "--list", help="List the papers: tables, figures, parts, what they cost, whether their data are there."
        ),
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
    mixed_precision: Annotated[
        bool, typer.Option("--mixed-precision", help="On a GPU, by parts that know how; the page says so.")
    ] = False,
    data_dir: options.DataDir = None,
) -> None:
    """Measure a paper's published numbers again, by its own protocol and by a fair one, with a verdict on each."""
    from thalweg.reproduce import ALL_PAPERS, PAPERS

    if paper is not None:
        paper = paper.replace("-", "_")
        options.check_choice("PAPER", paper, [*PAPERS, ALL_PAPERS])
    if all_papers:
        _list(list(PAPERS) if paper in (None, ALL_PAPERS) else [paper], data_dir)
        return
    if paper is None:
        refuse(
            "PAPER", "", f"must be one of {', '.join(map(shown, PAPERS))}, or {ALL_PAPERS}; --list says what they are"
        )
    out = out or Path(f"reproduce-{shown(paper)}.html")
    options.check_counts(("--workers", workers, 1))
    options.check_choice("--device", device, DEVICES)
    if paper == ALL_PAPERS:
        _check_all(part, records, out)
    _check_places(out, records, markdown, page_only)
    if page_only and part:
        refuse("--part", ", ".join(part), "cannot be given with --page-only, which runs nothing")
    papers = [_paper(name) for name in (PAPERS if paper == ALL_PAPERS else [paper])]
    for name in part or []:
        options.check_choice("--part", name, [one.name for one in papers[0].parts])
    if mixed_precision:
        _check_mixed(papers, device)
    how = _options(quick, store, data_dir, workers, device, mixed_precision, page_only)
    written = [f"Page: {out}"] + ([f"Markdown: {markdown}"] if markdown else [])
    if not page_only:
        written += [f"Records: {records}"] if records else [f"Store: {store}"]
    if paper == ALL_PAPERS:
        failed = _all(papers, how, out, markdown, page_only)
    else:
        failed = []
        _one(papers[0], how, tuple(part or ()), out, markdown, records, page_only)
    output.print("   ".join(written), highlight=False, markup=False, soft_wrap=True)
    if failed:
        end(f"Error: failed, as said above: {', '.join(failed)}", 1)


def _one(
    paper: "Paper",
    how: "Options",
    only: tuple[str, ...],
    out: Path,
    markdown: Path | None,
    records: Path | None,
    page_only: bool,
) -> None:
    """Runs a paper, or with `page_only` finds what was measured, and writes its page."""
    if not page_only:
        found = reproducing.run(paper, how, only)
    elif records is not None:
        found = reproducing.read(paper, records)
    else:
        before = reproducing.made_before(paper, how)
        if before is None:
            refuse(
                "--page-only", how.store, f"has no finished part of {shown(paper.name)}, {how.kept_as}; run it first"
            )
        found = before
    _write(paper, found, out, markdown, None if page_only else records)
    if paper.claims:
        output.print(_counts(paper, found))


def _all(papers: Sequence["Paper"], how: "Options", out: Path, markdown: Path | None, page_only: bool) -> list[str]:
    """The same of all papers, with one page of them together; returns the names of those that failed."""
    from thalweg.reproduce.combined_page import write_combined, write_combined_markdown

    found, failed = (
        reproducing.run_all(papers, how) if not page_only else (reproducing.all_made_before(papers, how), [])
    )
    try:
        write_combined(found, out, how.quick)
        if markdown is not None:
            write_combined_markdown(found, markdown)
    except OSError as error:
        end(f"Error: cannot write {error.filename or out}: {error.strerror}", 1)
    for one in found:
        for line in _said(one):
            _print(line)
    return failed


def _paper(name: str) -> "Paper":
    from thalweg.reproduce import paper_named

    return paper_named(name)


def _options(
    quick: bool,
    store: Path,
    data_dir: Path | None,
    workers: int | None,
    device: str,
    mixed_precision: bool,
    page_only: bool,
) -> "Options":
    """Ends the command where the store cannot be written or the device is not there."""
    import torch

    from thalweg.race import available_cpus
    from thalweg.race.store import writable
    from thalweg.reproduce import Options

    if not page_only and (why := writable(store)):
        refuse("--store", store, why)
    if device == "cuda" and not page_only and not torch.cuda.is_available():
        refuse("--device", device, "needs a GPU, and torch finds none here: give cpu")
    return Options(quick, store, data_dir, workers or available_cpus(), device, mixed_precision)


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


def _said(one: "Found") -> Iterator[str]:
    """A line for a paper's printed numbers, and one for its statements: how many have which verdict."""
    from thalweg.reproduce.combined import NUMBERS, OUTCOMES

    for kind, outcomes in one.outcomes.items():
        words = [
            f"{outcomes[outcome]:,} {word if kind == NUMBERS else verdict}"
            for (word, verdict), outcome in OUTCOMES.items()
            if outcomes[outcome]
        ]
        yield f"{shown(one.paper.name)}, {outcomes.total():,} {kind}: {', '.join(words)}"


def _list(names: Sequence[str], data_dir: Path | None) -> None:
    from thalweg.reproduce import ALL_PAPERS
    from thalweg.reproduce.data import lacking
    from thalweg.reproduce.summary import figure_title, title_of

    with_data: list[Part] = []
    without: list[Part] = []
    for name in names:
        paper = _paper(name)
        _print(f"{shown(name)}: {paper.title}", style="bold")
        _print(f"    {paper.source}")
        for part in paper.parts:
            gone = lacking(part, data_dir)
            (without if gone else with_data).append(part)
            data = f"MISSING {', '.join(gone)}" if gone else "there" if part.needs else "none needed"
            _print(f"    {part.name}: {part.title}", style="bold")
            if part.tables or part.figures:
                _print(f"        {', '.join([*map(title_of, part.tables), *map(figure_title, part.figures)])}")
            _print(f"        takes {part.cost}; data: {data}")
    _print("Data are looked for in --data-dir or $THALWEG_DATA: see docs/data.md.")
    which = shown(names[0]) if len(names) == 1 else ALL_PAPERS
    more = f"; the parts whose data are missing would take {_minutes(without)} more" if without else ""
    _print(f"thalweg reproduce {which} --quick takes about {_minutes(with_data)} on two cores{more}.")


def _minutes(parts: Sequence["Part"]) -> str:
    return duration(60 * sum(part.quick_minutes for part in parts))


def _check_all(part: Sequence[str] | None, records: Path | None, out: Path) -> None:
    """Refuses what only one paper can have, and a page beside which there is no room for the papers' own."""
    from thalweg.reproduce import ALL_PAPERS
    from thalweg.reproduce.combined_page import pages_folder

    if part:
        refuse("--part", ", ".join(part), f"cannot be given with {ALL_PAPERS}: name the paper whose part it is")
    if records is not None:
        refuse(
            "--records", records, f"cannot be given with {ALL_PAPERS}, as each paper has records of its own: name one"
        )
    folder = pages_folder(out)
    if folder.exists() and not folder.is_dir():
        refuse("--out", out, f"needs a folder {folder} for the papers' own pages, but that is a file")
    if folder.exists():
        _check_writable("--out", folder)


def _check_mixed(papers: Sequence["Paper"], device: str) -> None:
    """Ends the command where nothing would be run in mixed precision."""
    if device != "cuda":
        end(f"Error: --mixed-precision needs --device cuda, got --device {device}", 2)
    if not any(part.mixed_precision for paper in papers for part in paper.parts):
        end(f"Error: --mixed-precision is known to no part of {', '.join(shown(one.name) for one in papers)}", 2)


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
