"""The page: all sections in one HTML file that needs no network."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import jinja2
from markupsafe import Markup

from thalweg.files import write_atomically
from thalweg.names import shown
from thalweg.race import charts
from thalweg.race.notation import listed, plural
from thalweg.race.report.across import across_tasks
from thalweg.race.report.cost import cost
from thalweg.race.report.curves import learning_curves
from thalweg.race.report.embedded import embedded
from thalweg.race.report.provenance import provenance
from thalweg.race.report.results import ablations, results
from thalweg.race.report.robustness import robustness
from thalweg.race.report.section import Chart, Section
from thalweg.race.report.sensitivity import sensitivity
from thalweg.race.report.table import Cell
from thalweg.race.report.targets import time_to_target
from thalweg.race.report.tuning import tuning
from thalweg.race.report.verdict import verdict_page
from thalweg.race.result import RaceResult
from thalweg.race.summary import Summary

# The page's own colours beside those that the charts draw in.
BACKGROUND = {"light": "#ffffff", "dark": "#14171a"}


def write_report(result: RaceResult, path: Path | str, command: str | None = None) -> None:
    """Writes the report, whole or not at all; `command` is shown as what was run (None: what the manifest says).

    The same records give the same bytes. Raises OSError if the file cannot be written.
    """
    write_atomically(Path(path), report_html(result, command))


def report_html(result: RaceResult, command: str | None = None) -> str:
    """The report as a string."""
    summary = result.summary
    folder = Path(__file__).parent
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["unbroken"] = _unbroken
    environment.globals |= {"draw": _draw, "classes": _classes, "sort_value": _sort_value}
    style = jinja2.Template((folder / "page.css").read_text(encoding="utf-8"))
    return environment.get_template("page.html.jinja").render(
        title=title(summary),
        verdict=verdict_page(summary),
        sections=sections(summary, command),
        style=Markup(style.render(light=_variables(charts.LIGHT, "light"), dark=_variables(charts.DARK, "dark"))),
        script=Markup((folder / "page.js").read_text(encoding="utf-8")),
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


def _draw(chart: Chart) -> Markup:
    return Markup(charts.inline(chart.draw(), chart.title))


def _classes(cell: Cell, numeric: bool) -> Markup:
    kinds = [name for name, has in (("number", numeric), ("wide", cell.wide or cell.code)) if has]
    kinds += [cell.mark] if cell.mark else []
    return Markup(f' class="{" ".join(kinds)}"') if kinds else Markup("")


def _sort_value(cell: Cell) -> Markup:
    """What the script sorts by, where it is a number; shorter than the CSV's, which has all digits."""
    if not isinstance(cell.value, int | float):
        return Markup("")
    if math.isfinite(cell.value):
        return Markup(f' data-v="{cell.value:.7g}"')
    return Markup(' data-v=""' if math.isnan(cell.value) else f' data-v="{"-" if cell.value < 0 else ""}Infinity"')


def _variables(palette: Mapping[str, str], kind: str) -> str:
    return " ".join(f"--{name}: {value};" for name, value in {"bg": BACKGROUND[kind], **palette}.items())


def _version(result: RaceResult) -> str:
    inner = result.manifest.get("provenance", result.manifest)
    return str(inner.get("versions", {}).get("thalweg", ""))
