"""What the page is made of: sections of parts, each with texts, tables and charts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from thalweg.race.report.table import Table

FOLD_ABOVE = 3  # tasks: what is shown a task is folded where there are more


@dataclass(frozen=True)
class Chart:
    """A figure that is drawn when it is wanted."""

    title: str
    draw: Callable[[], Figure]
    caption: str = ""


@dataclass(frozen=True)
class Part:
    """A piece of a section, under a heading if it has a title; `folded` ones open by a click, and in print.

    In this order: texts, code, what is said after it, charts, tables, notes in small print.
    """

    title: str = ""
    texts: Sequence[str] = ()
    code: str = ""
    after: Sequence[str] = ()
    charts: Sequence[Chart] = ()
    tables: Sequence[Table] = ()
    notes: Sequence[str] = ()
    folded: bool = False


@dataclass(frozen=True)
class Section:
    """A page of the report. `name` is its anchor."""

    name: str
    title: str
    parts: Sequence[Part]
