"""The page of an evolution: one HTML file that needs no network, in the dress of the race's report."""

from __future__ import annotations

import math
from importlib import resources
from pathlib import Path

import jinja2
from markupsafe import Markup

from thalweg.evolve.judgement.report.data import EvolutionReport
from thalweg.evolve.judgement.report.sections import sections
from thalweg.files import write_atomically
from thalweg.race import charts
from thalweg.race.report.page import BACKGROUND
from thalweg.race.report.section import Chart
from thalweg.race.report.table import Cell


def write_report(report: EvolutionReport, path: Path | str) -> None:
    """Writes the page, whole or not at all; the same data give the same bytes. Raises OSError where it cannot be."""
    write_atomically(Path(path), report_html(report))


def report_html(report: EvolutionReport) -> str:
    """The page as a string."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {"draw": _draw, "attributes": _attributes}
    shared = resources.files("thalweg.race.report")
    palettes = {
        kind: " ".join(f"--{name}: {value};" for name, value in {"bg": BACKGROUND[kind], **palette}.items())
        for kind, palette in (("light", charts.LIGHT), ("dark", charts.DARK))
    }
    style = jinja2.Template(shared.joinpath("page.css").read_text(encoding="utf-8")).render(**palettes)
    return environment.get_template("page.html.jinja").render(
        title=report.title,
        sections=sections(report),
        style=Markup(style),
        script=Markup(shared.joinpath("page.js").read_text(encoding="utf-8")),
    )


def _draw(chart: Chart) -> Markup:
    return Markup(charts.inline(chart.draw(), chart.title))


def _attributes(cell: Cell, numeric: bool) -> Markup:
    """The classes of a cell, and what the script sorts by where it is a number."""
    kinds = [n for n, has in (("number", numeric), ("wide", cell.wide or cell.code), (cell.mark, cell.mark)) if has]
    written = f' class="{" ".join(kinds)}"' if kinds else ""
    if isinstance(cell.value, int | float):
        written += f' data-v="{cell.value:.7g}"' if math.isfinite(cell.value) else ' data-v=""'
    return Markup(written)
