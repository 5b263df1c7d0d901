"""The page of an evolution: one HTML file that needs no network, in the dress of the race's report."""

from __future__ import annotations

from pathlib import Path

from thalweg.evolve.judgement.report.data import EvolutionReport
from thalweg.evolve.judgement.report.sections import sections
from thalweg.files import write_atomically
from thalweg.race.report.rendering import rendered


def write_report(report: EvolutionReport, path: Path | str) -> None:
    """Writes the page, whole or not at all; the same data give the same bytes. Raises OSError where it cannot be."""
    write_atomically(Path(path), report_html(report))


def report_html(report: EvolutionReport) -> str:
    """The page as a string."""
    return rendered(Path(__file__).parent, "page.html.jinja", names={}, title=report.title, sections=sections(report))
