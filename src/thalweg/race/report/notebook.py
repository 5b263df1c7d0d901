"""A race as a notebook shows it: the answer and one small table, in the notebook's own style."""

from __future__ import annotations

from markupsafe import Markup, escape

from thalweg.race import plaintext
from thalweg.race.summary import Summary


def small_table(summary: Summary) -> str:
    """An HTML fragment without styles, scripts or links."""
    content = plaintext.table(summary)
    head = _row("th", content.columns)
    body = Markup("").join(_row("td", row) for row in (*content.rows, *content.references))
    notes = Markup("").join(Markup("<p>{}</p>").format(line) for line in plaintext.notes(summary).splitlines())
    return str(
        Markup("<table><caption>{}</caption><thead>{}</thead><tbody>{}</tbody></table>{}").format(
            content.title, head, body, notes
        )
    )


def _row(tag: str, cells: tuple[str, ...]) -> Markup:
    inside = Markup("").join(Markup(f"<{tag}>{{}}</{tag}>").format(escape(cell.strip())) for cell in cells)
    return Markup("<tr>{}</tr>").format(inside)
