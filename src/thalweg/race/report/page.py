"""The page: all sections in one HTML file that needs no network."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

from markupsafe import Markup

from thalweg.files import write_atomically
from thalweg.names import shown
from thalweg.race.notation import listed, plural
from thalweg.race.report.across import across_tasks
from thalweg.race.report.cost import cost
from thalweg.race.report.curves import learning_curves
from thalweg.race.report.embedded import embedded
from thalweg.race.report.provenance import provenance
from thalweg.race.report.rendering import rendered
from thalweg.race.report.results import ablations, results
from thalweg.race.report.robustness import robustness
from thalweg.race.report.section import Section
from thalweg.race.report.sensitivity import sensitivity
from thalweg.race.report.targets import time_to_target
from thalweg.race.report.tuning import tuning
from thalweg.race.report.verdict import verdict_page
from thalweg.race.result import RaceResult
from thalweg.race.summary import Summary


def write_report(result: RaceResult, path: Path | str, command: str | None = None) -> None:
    """Writes the report, whole or not at all; `command` is shown as what was run (None: what the manifest says).

    The same records give the same bytes. Raises OSError if the file cannot be written.
    """
    write_atomically(Path(path), report_html(result, command))


def report_html(result: RaceResult, command: str | None = None) -> str:
    """The report as a string."""
    summary = result.summary
    return rendered(
        Path(__file__).parent,
        "page.html.jinja",
        names={"unbroken": _unbroken},
        title=title(summary),
        verdict=verdict_page(summary),
        sections=sections(summary, command),
        embedded=Markup(embedded(result)),
        version=_version(result),
    )


def title(summary: Summary) -> str:
    """What the browser's tab and the first line say."""
    tasks = [task.title for task in summary.result.tasks]
    methods = [shown(name) for name in summary.methods]
    over = listed(tasks) if len(tasks) <= 4 else plural(len(tasks), "task")
    return f"Thalweg race: {listed(methods) if len(methods) <= 4 else plural(len(methods), 'method')} on {over}"


def sections(summary: Summary, command: str | None = None) -> list[Section]:
    """All that follow the verdict; those that have something to say."""
    finals = [results, ablations, learning_curves, time_to_target, across_tasks]
    makers = [*(finals if summary.has_finals else []), tuning, sensitivity, cost]
    makers += [robustness] if summary.has_finals else []
    makers.append(partial(provenance, command=command))
    return [section for make in makers if (section := make(summary))]


def _unbroken(title: str) -> str:
    """A column's title that is not broken before a per cent sign, a parenthesis or around plus-minus."""
    return re.sub(" (?=[%±(])|(?<=±) ", "\u00a0", title)


def _version(result: RaceResult) -> str:
    inner = result.manifest.get("provenance", result.manifest)
    return str(inner.get("versions", {}).get("thalweg", ""))
