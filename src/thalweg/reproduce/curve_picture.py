"""A picture of curves in one panel, with their names at their ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from thalweg.race.charts import Style, inline
from thalweg.race.charts.panel import line_panel
from thalweg.reproduce.paper import Picture

Points = Sequence[tuple[float, float]]  # x and y of each, x ascending


def curve_picture(
    title: str,
    caption: str,
    curves: Mapping[str, Points],
    y: tuple[float, float],
    texts: Mapping[str, str],
    styles: Mapping[str, Style],
    *,
    log_x: bool = False,
    log_y: bool = False,
    whole_x: bool = False,
    x_label: str = "",
    y_label: str = "",
) -> Picture:
    """Curves by name over all x that they have together, with their `texts` at their ends; what lies beyond `y` is left
    out."""
    across = [x for points in curves.values() for x, _ in points]
    panel = line_panel(
        title, (min(across), max(across)), y, list(texts.values()), log_x=log_x, log_y=log_y, whole_x=whole_x,
        x_label=x_label, y_label=y_label,
    )  # fmt: skip
    ends = {}
    for name, points in curves.items():
        at, values = zip(*points, strict=True)
        panel.curve(at, values, styles[name].variable, 1.6, styles[name].dashes)
        ends[name] = (panel.x.at(at[-1]), panel.y.at(values[-1]))
    panel.ends(ends, texts, styles)
    return Picture(title, inline(panel.sheet.figure, title), caption)
