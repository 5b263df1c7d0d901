"""How a page is rendered: templates, style and script, for the race's report and for all pages in its dress."""

from __future__ import annotations

import math
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from thalweg.race import charts
from thalweg.race.report.section import Chart
from thalweg.race.report.table import Cell

# The page's own colours beside those that the charts draw in.
BACKGROUND = {"light": "#ffffff", "dark": "#14171a"}


def rendered(folder: Path, template: str, /, *, more_style: str = "", names: dict[str, Any], **values: Any) -> str:
    """A page from a template of the folder. `names` are the functions and filters that it has beside those for charts
    and cells; `more_style` follows the style sheet of the race's report."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {"draw": _draw, "classes": _classes, "sort_value": _sort_value, **names}
    environment.filters |= names
    report = resources.files("thalweg.race.report")
    style = jinja2.Template(report.joinpath("page.css").read_text(encoding="utf-8")).render(
        light=_variables(charts.LIGHT, "light"), dark=_variables(charts.DARK, "dark")
    )
    return environment.get_template(template).render(
        style=Markup(f"{style}\n{more_style}" if more_style else style),
        script=Markup(report.joinpath("page.js").read_text(encoding="utf-8")),
        **values,
    )


def _draw(chart: Chart) -> Markup:
    return Markup(charts.inline(chart.draw(), chart.title))


def _classes(cell: Cell, numeric: bool) -> Markup:
    kinds = [name for name, has in (("number", numeric), ("wide", cell.wide or cell.code)) if has]
    kinds += [cell.mark] if cell.mark else []
    return Markup(f' class="{" ".join(kinds)}"') if kinds else Markup("")


def _sort_value(value: float | str | None) -> Markup:
    """What the script sorts by, where it is a number; shorter than the CSV's, which has all digits."""
    if not isinstance(value, int | float):
        return Markup("")
    if math.isfinite(value):
        return Markup(f' data-v="{value:.7g}"')
    return Markup(' data-v=""' if math.isnan(value) else f' data-v="{"-" if value < 0 else ""}Infinity"')


def _variables(palette: dict[str, str], kind: str) -> str:
    return " ".join(f"--{name}: {value};" for name, value in {"bg": BACKGROUND[kind], **palette}.items())
