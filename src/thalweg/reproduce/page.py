"""The page of a reproduction: one HTML file that needs no network, made from the records alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from markupsafe import Markup

from thalweg.files import write_atomically
from thalweg.race import charts
from thalweg.race.notation import plural
from thalweg.race.report.rendering import rendered as in_dress
from thalweg.race.report.table import Cell, Table
from thalweg.reproduce import facts
from thalweg.reproduce.bars import TITLE, bars
from thalweg.reproduce.layout import Published, in_words, published
from thalweg.reproduce.paper import Paper
from thalweg.reproduce.records import Records
from thalweg.reproduce.summary import ALL, comparisons, counts
from thalweg.reproduce.verdicts import HOW, WORDS

FOLD_ABOVE = 3  # tables: where there are more they are folded


def write_page(paper: Paper, records: Records, path: Path) -> None:
    """Writes the page, whole or not at all; the same records give the same bytes. Raises OSError."""
    write_atomically(path, page_html(paper, records))


def page_html(paper: Paper, records: Records) -> str:
    """The page as a string."""
    found = counts(paper, records)
    tables = published(paper, records)
    return rendered(
        "page.html.jinja",
        paper=paper,
        heading=facts.heading(paper),
        scale=facts.scale(paper, records),
        command=facts.command(paper, records),
        counts={table: _said(words) for table, words in found.items()},
        has_claims=bool(found[ALL]),
        claims=plural(sum(found[ALL].values()), "claim"),
        bars=Markup(charts.inline(bars(found), TITLE)) if found[ALL] else "",
        summary=facts.summary_table(paper, records),
        comparisons=facts.comparisons_table(comparisons(paper, records)),
        how=HOW,
        allowances=facts.allowances_table(paper),
        parts=facts.parts_table(paper, records),
        settings=facts.settings_table(records),
        pictures=[(picture, Markup(picture.svg[picture.svg.index("<svg") :])) for picture in paper.pictures(records)],
        further=paper.tables(records),
        tables=tables,
        links={table.title: f"#table-{_slug(table.name)}" for table in tables},
        folded=len(tables) > FOLD_ABOVE,
    )


def rendered(template: str, **values: Any) -> str:
    """A page from one of the templates here, in the style of the race's report."""
    folder = Path(__file__).parent
    names = {"slug": _slug, "in_words": in_words, "csv_link": _csv_link}
    own = (folder / "page.css").read_text(encoding="utf-8")  # what cells of several lines need
    return in_dress(folder, template, more_style=own, names=names, **values)


def _said(words: Mapping[str, int]) -> str:
    """The counts of a table in a line."""
    return ", ".join(f"{words[word]:,} {word}" for word in WORDS if words.get(word))


def _slug(text: str) -> str:
    """As an anchor or a class of a style sheet."""
    return "".join(letter if letter.isalnum() else "-" for letter in text)


def _csv_link(table: Published) -> str:
    """A published table as a CSV file, a line a cell."""
    columns = ["row", "column", "quantity", "claimed", "ours", "fair", "constant", "verdict", "why"]
    rows = []
    for grid in table.grids:
        for (row, place), cell in grid.cells.items():
            verdict = (cell.verdict.word, cell.verdict.why) if cell.verdict else ("", "")
            constant = grid.constants.get((row, place[1]), "")
            rows.append([*map(Cell, (row, *place, cell.claimed, cell.ours, cell.fair, constant, *verdict))])
    return Table(table.name, table.title, columns, rows).csv_link
