"""The same page as Markdown for docs/, with its pictures as SVG files beside it; made from the records alone."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from thalweg.files import write_atomically
from thalweg.names import shown
from thalweg.race import charts
from thalweg.race.report.table import Table
from thalweg.reproduce import facts
from thalweg.reproduce.bars import TITLE, bars
from thalweg.reproduce.layout import Grid, Published, Shown, in_words, published
from thalweg.reproduce.paper import COMMITTED, Paper
from thalweg.reproduce.records import Records
from thalweg.reproduce.summary import ALL, comparisons, counts
from thalweg.reproduce.verdicts import ABSENT, DIRECTION, HOW, NOT_REPRODUCED, REPRODUCED, UNDER_SPECIFIED

SIGNS = {REPRODUCED: "✔", DIRECTION: "→", NOT_REPRODUCED: "✘", UNDER_SPECIFIED: "?", ABSENT: "○"}
BARS = "verdicts"  # the name of the summary's picture
FONT = "system-ui, sans-serif"


def file_name(paper: Paper) -> str:
    """Of the page; its pictures are in a folder of that name without the ending."""
    return f"reproduce-{shown(paper.name)}.md"


def write_markdown(paper: Paper, records: Records, folder: Path) -> None:
    """Writes the page and its pictures into a folder, which is made where it is absent. Raises OSError."""
    beside = folder / file_name(paper).removesuffix(".md")
    beside.mkdir(parents=True, exist_ok=True)
    for name, svg in pictures(paper, records).items():
        write_atomically(beside / f"{name}.svg", svg)
    write_atomically(folder / file_name(paper), markdown(paper, records))


def markdown(paper: Paper, records: Records) -> str:
    """The page: the same text for the same records."""
    return "\n".join([*_head(paper), *_summary(paper, records), *_around(paper, records), *_tables(paper, records)])


def pictures(paper: Paper, records: Records) -> dict[str, str]:
    """By name, the pictures as files of their own."""
    found = counts(paper, records)
    drawn = {BARS: charts.inline(bars(found), TITLE)} if found[ALL] else {}
    drawn |= {_slug(picture.title): picture.svg for picture in paper.pictures(records)}
    return {name: standalone(svg) for name, svg in drawn.items()}


def _head(paper: Paper) -> Iterator[str]:
    file = f"src/thalweg/reproduce/{paper.name}/{COMMITTED}"
    yield f"# {escaped(facts.heading(paper))}"
    yield ""
    yield f"Made by `thalweg reproduce {shown(paper.name)} --page-only --records {file} --markdown docs`."
    yield ""
    yield escaped(paper.source)
    yield ""


def _summary(paper: Paper, records: Records) -> Iterator[str]:
    yield "## Summary"
    yield ""
    yield escaped(facts.scale(paper, records))
    yield ""
    if not paper.claims:
        yield "It has no published claims: what follows is what was measured."
        yield ""
        return
    yield f"![{TITLE}]({_folder(paper)}/{BARS}.svg)"
    yield ""
    yield from table_lines(facts.summary_table(paper, records), linked=True)
    compared = facts.comparisons_table(comparisons(paper, records))
    if compared is not None:
        yield f"**{escaped(compared.caption)}**"
        yield ""
        yield from table_lines(compared)
    yield "## How verdicts are reached"
    yield ""
    yield from (f"- {escaped(text)}" for text in HOW)
    yield ""
    yield from table_lines(facts.allowances_table(paper))


def _around(paper: Paper, records: Records) -> Iterator[str]:
    if paper.notes:
        yield "## Notes"
        yield ""
        for note in paper.notes:
            yield escaped(note)
            yield ""
    drawn = paper.pictures(records)
    if drawn:
        yield "## Pictures"
        yield ""
    for picture in drawn:
        yield f"![{escaped(picture.title)}]({_folder(paper)}/{_slug(picture.title)}.svg)"
        yield ""
        yield escaped(picture.caption)
        yield ""
    further = paper.tables(records)
    if further:
        yield "## Comparisons"
        yield ""
    for table in further:
        yield f"**{escaped(table.caption)}**"
        yield ""
        yield from table_lines(table)
    yield "## What was run"
    yield ""
    yield from table_lines(facts.parts_table(paper, records))
    settings = facts.settings_table(records)
    if settings is not None:
        yield "<details><summary>Settings</summary>"
        yield ""
        yield from table_lines(settings)
        yield "</details>"
        yield ""


def _tables(paper: Paper, records: Records) -> Iterator[str]:
    tables = published(paper, records)
    if not tables:
        return
    signs = ", ".join(f"{sign} {word}" for word, sign in SIGNS.items())
    yield "## The published tables" if paper.claims else "## What was measured"
    yield ""
    said = (
        "In each cell, from the top: the number claimed, with the verdict; ours by the paper's own protocol and by the "
        f"fair one, as mean ± standard deviation over seeds. {signs}. Small figures are remarks below the table."
    )
    yield said if paper.claims else "Mean ± standard deviation over seeds."
    yield ""
    for table in tables:
        yield from _table(table)


def _table(table: Published) -> Iterator[str]:
    yield f"### {table.title}"
    yield ""
    if table.about:
        yield escaped(table.about)
        yield ""
    for text in table.general:
        yield escaped(text)
        yield ""
    for grid in table.grids:
        yield f"**{escaped(grid.caption)}**" + (f" ({grid.seeds})" if grid.seeds else "")
        yield ""
        yield from _grid(grid)
    yield from (f"{number}. {escaped(text)}" for number, text in enumerate(table.remarks, start=1))
    if table.remarks:
        yield ""


def _grid(grid: Grid) -> Iterator[str]:
    heads = [""]
    for place in grid.columns:
        name, quantity = grid.title(place)
        marks = _marks(grid.marks.columns.get(place, ()))
        heads.append(escaped(name) + marks + (f"<br>{escaped(quantity)}" if quantity else ""))
    heads += [f"constant answer<br>{escaped(in_words(quantity))}" for quantity in grid.with_constants]
    rows = []
    for row in grid.rows:
        cells = [escaped(shown(row)) + _marks(grid.marks.rows.get(row, ()))]
        cells += [_cell(grid.cells.get((row, place)), grid) for place in grid.columns]
        cells += [grid.constants.get((row, quantity), "") for quantity in grid.with_constants]
        rows.append(cells)
    yield from _lines(heads, rows)


def _cell(cell: Shown | None, grid: Grid) -> str:
    if cell is None:
        return ""
    sign = f" {SIGNS[cell.verdict.word]}" if cell.verdict else ""
    lines = [f"**{cell.claimed}**{sign}"] if grid.has_claims else []
    if cell.ours or cell.fair:
        lines += [cell.ours or "–"] if grid.has_ours else []
        lines += [cell.fair] if cell.fair else []
    return "<br>".join([line + marks for line, marks in zip(lines, [_marks(cell.marks), "", ""], strict=False)])


def table_lines(table: Table, linked: bool = False) -> Iterator[str]:
    """A table of plain texts; `linked`: its rows are named after sections of the page."""
    rows = [[escaped(cell.text) for cell in row] for row in (*table.rows, *table.fixed)]
    if linked:
        rows[: len(table.rows)] = [[f"[{name}](#{_slug(name)})", *cells] for name, *cells in rows[: len(table.rows)]]
    yield from _lines([escaped(column) for column in table.columns], rows)


def _lines(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |"
    yield "|" + "---|" * len(heads)
    yield from (f"| {' | '.join(row)} |" for row in rows)
    yield ""


def _marks(numbers: Sequence[int]) -> str:
    return f" <sup>{' '.join(map(str, numbers))}</sup>" if numbers else ""


def escaped(text: str) -> str:
    """As Markdown shows it letter for letter."""
    return re.sub(r"([\\`*_|\[\]])", r"\\\1", html.escape(text, quote=False))


def _folder(paper: Paper) -> str:
    return file_name(paper).removesuffix(".md")


def _slug(title: str) -> str:
    return "-".join(re.findall(r"[a-z0-9]+", title.lower()))


def standalone(svg: str) -> str:
    """An SVG element of a page as a file: with the page's colours and font, light and dark."""
    light, dark = (
        " ".join(f"--{name}: {value};" for name, value in palette.items()) for palette in (charts.LIGHT, charts.DARK)
    )
    style = (
        f"<style>svg {{ {light} font-family: {FONT}; }} "
        f"@media (prefers-color-scheme: dark) {{ svg {{ {dark} }} }}</style>"
    )
    element = svg[svg.index("<svg") :]
    end = element.index(">") + 1
    return f"{element[:end]}{style}{element[end:]}\n"
