"""The page of all papers together: HTML that needs no network, or Markdown, with the page of each paper beside it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from markupsafe import Markup

from thalweg.files import write_atomically
from thalweg.race import charts
from thalweg.reproduce import ALL_PAPERS, combined
from thalweg.reproduce.combined import Found, Section
from thalweg.reproduce.markdown import BARS, escaped, standalone, table_lines, write_markdown
from thalweg.reproduce.page import rendered, write_page

MARKDOWN = "reproduce"  # the name of the Markdown page, and of the folder of its picture


def pages_folder(path: Path) -> Path:
    """Where the papers' own pages are: beside the page of all, which links to them."""
    return path.with_name(f"{path.stem}-papers")


def write_combined(found: Sequence[Found], path: Path, quick: bool = False) -> None:
    """Writes the page of all papers, and each paper's own; `quick` says by which command. Raises OSError."""
    folder = pages_folder(path)
    folder.mkdir(exist_ok=True)
    for one in found:
        write_page(one.paper, one.records, folder / f"{one.page}.html")
    write_atomically(path, combined_html(found, folder.name, quick))


def combined_html(found: Sequence[Found], folder: str, quick: bool = False) -> str:
    """The page as a string, with links to the papers' own pages in a folder."""
    papers = combined.sections(found)
    return rendered(
        "combined.html.jinja",
        heading=combined.heading(found),
        short=combined.in_short(found),
        bars=Markup(charts.inline(combined.bars(found), combined.BARS)) if papers else "",
        table=combined.verdict_table(found),
        links={section.title: f"#{section.page}" for section in papers},
        command=f"thalweg reproduce {ALL_PAPERS}" + (" --quick" if quick else ""),
        sections=papers,
        own=combined.own_sections(found),
        folder=folder,
    )


def write_combined_markdown(found: Sequence[Found], folder: Path) -> None:
    """Writes the same as Markdown with its picture, and each paper's own page; the folder is made where it is absent.
    Raises OSError."""
    (folder / MARKDOWN).mkdir(parents=True, exist_ok=True)
    for one in found:
        write_markdown(one.paper, one.records, folder)
    for name, svg in combined_pictures(found).items():
        write_atomically(folder / MARKDOWN / f"{name}.svg", svg)
    write_atomically(folder / f"{MARKDOWN}.md", combined_markdown(found))


def combined_pictures(found: Sequence[Found]) -> dict[str, str]:
    """By name, the pictures of the Markdown page."""
    if not combined.sections(found):
        return {}
    return {BARS: standalone(charts.inline(combined.bars(found), combined.BARS))}


def combined_markdown(found: Sequence[Found]) -> str:
    """The page as Markdown: the same text for the same records."""
    return "\n".join(_lines(found))


def _lines(found: Sequence[Found]) -> Iterator[str]:
    papers, own = combined.sections(found), combined.own_sections(found)
    yield from (f"# {combined.heading(found)}", "")
    command = f"thalweg reproduce {ALL_PAPERS} --page-only --markdown docs"
    yield f"Made by `{command}` from the records that come with Thalweg."
    yield from ("", escaped(combined.in_short(found)), "")
    if papers:
        yield from (f"![{combined.BARS}]({MARKDOWN}/{BARS}.svg)", "")
        yield from table_lines(combined.verdict_table(found), linked=True)
    yield from ("How verdicts are reached stands on each paper's own page.", "")
    for section in papers:
        yield from _section(section, "##")
    if own:
        yield from ("## Our own experiments", "")
    for section in own:
        yield from _section(section, "###")


def _section(section: Section, level: str) -> Iterator[str]:
    yield from (f"{level} {escaped(section.title)}", "", escaped(section.source), "")
    if section.note:
        yield from (escaped(section.note), "")
    if section.told:
        yield from (f"**{escaped(section.told.caption)}**", "")
        yield from table_lines(section.told)
    yield from (f"{escaped(section.run)} [The whole page]({section.page}.md).", "")
