"""How a race ends in the terminal: its table and notes."""

from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:  # it imports what takes seconds
    from thalweg.race.summary import Summary

COLOURS = {"+": "green", "-": "red"}


def console_table(summary: "Summary") -> Group:
    """A line a method; scores are coloured by their verdict where the terminal has colours."""
    from thalweg.race.plaintext import table

    content = table(summary)
    shown = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for place, column in enumerate(content.columns):
        shown.add_column(column, no_wrap=True, justify="right" if place else "left")
    for row in content.rows:
        shown.add_row(*(Text(cell, style=COLOURS.get(cell[-1:], "") if " " in cell else "") for cell in row))
    for row in content.references:
        shown.add_row(*map(Text, row), style="dim")
    return Group(Text(content.title, style="italic"), shown)


def notes(summary: "Summary") -> str:
    """What stands below the table."""
    from thalweg.race import plaintext

    return plaintext.notes(summary)
