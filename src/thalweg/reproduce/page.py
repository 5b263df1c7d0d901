"""The page of a reproduction: one HTML file that needs no network, made from the records alone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from thalweg.files import write_atomically
from thalweg.race import charts
from thalweg.race.notation import plural
from thalweg.race.report.page import BACKGROUND
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
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"slug": _slug, "in_words": in_words}
    environment.globals |= {"classes": _classes, "csv_link": _csv_link, "sort_value": _sort_value}
    report = resources.files("thalweg.race.report")
    return environment.get_template(template).render(
        style=Markup(_style(report.joinpath("page.css").read_text(encoding="utf-8"))),
        script=Markup(report.joinpath("page.js").read_text(encoding="utf-8")),
        **values,
    )


def _style(css: str) -> str:
    """That of the race's report, with what cells of several lines need."""
    palettes = {
        kind: " ".join(f"--{name}: {value};" for name, value in {"bg": BACKGROUND[kind], **palette}.items())
        for kind, palette in (("light", charts.LIGHT), ("dark", charts.DARK))
    }
    own = (Path(__file__).parent / "page.css").read_text(encoding="utf-8")
    return f"{jinja2.Template(css).render(**palettes)}\n{own}"


def _said(words: Mapping[str, int]) -> str:
    """The counts of a table in a line."""
    return ", ".join(f"{words[word]:,} {word}" for word in WORDS if words.get(word))


def _slug(text: str) -> str:
    """As an anchor or a class of a style sheet."""
    return "".join(letter if letter.isalnum() else "-" for letter in text)


def _classes(cell: Cell, numeric: bool) -> Markup:
    kinds = [
        name for name, has in (("number", numeric), ("wide", cell.wide or cell.code), (cell.mark, cell.mark)) if has
    ]
    return Markup(f' class="{" ".join(kinds)}"') if kinds else Markup("")


def _sort_value(value: float | str | None) -> Markup:
    """What the script sorts by, where it is a number."""
    if not isinstance(value, int | float) or math.isnan(value):
        return Markup("")
    return Markup(f' data-v="{value:.7g}"' if math.isfinite(value) else f' data-v="{"-" if value < 0 else ""}Infinity"')


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
