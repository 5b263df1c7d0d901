"""The pictures of the paper's functions, drawn from the records alone: gradients, their order, descents, searches."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from thalweg.names import shown
from thalweg.race.charts import Style, inline
from thalweg.race.charts.panel import Panel, line_panel
from thalweg.race.charts.scale import Scale, extent, padded
from thalweg.race.charts.sheet import TICK
from thalweg.reproduce.panels import Lines, key, small_panels
from thalweg.reproduce.paper import Picture
from thalweg.reproduce.records import Records

GRADIENTS = {
    "true": ("true gradient", Style(8, 0)),
    "paper": ("swarm, the paper's", Style(1, 0)),
    "fitted": ("swarm, fitted", Style(0, 1)),
}
ORDERS = {
    "near": ("near form", Style(1, 0)),
    "away": ("away form", Style(4, 0)),
    "zero": ("the answer 0", Style(8, 2)),
    "fitted": ("curvature fitted", Style(0, 0)),
}
ERRORS = {
    "true": ("true gradients", Style(0, 0)),
    "fitted": ("swarm, fitted", Style(2, 2)),
    "true_longer": ("true, lr × {factor:g}", Style(8, 0)),
    "paper": ("swarm, the paper's", Style(1, 2)),
}
SEARCHES = {"mpso": ("MPSO", Style(1, 0)), "empso": ("EMPSO", Style(0, 0))}
ERROR_RANGE = 1e-16, 1e4

Values = Sequence[float | None]


def function_pictures(records: Records) -> list[Picture]:
    """Those pictures whose numbers the records have."""
    figures = records.figures
    found = []
    if "gradients" in figures:
        found.append(_gradients(figures["gradients"]))
    found += [_order(one) for one in figures.get("order", ())]
    if "error_gradients" in figures:
        found.append(_errors(figures["error_gradients"]))
    if "convergence" in figures:
        found.append(_convergence(figures["convergence"]))
    return found


def _gradients(curves: Sequence[Mapping[str, Any]]) -> Picture:
    title = "True and approximate gradients around the optimum"
    sheet, places = small_panels(title, len(curves), columns=2, height=84.0)
    for one, (left, right, bottom, top) in zip(curves, places, strict=True):
        x, lines = one["x"], {name: _floats(one[name]) for name in GRADIENTS}
        most = 2 * np.nanquantile(np.abs(lines["true"]), 0.9)  # a pole, or another gradient, is not to flatten it
        limits = padded(*extent([np.clip(line, -most, most) for line in lines.values()]))
        panel = Panel(sheet, Scale(*padded(*extent(x), share=0.0), left, right), Scale(*limits, bottom, top))
        panel.frame(x_ticks=panel.x.ticks(3), y_ticks=panel.y.ticks(3))
        for name, (_, style) in GRADIENTS.items():
            panel.curve(x, lines[name], style.variable, 1.4, style.dashes)
        sheet.text(left, top + 4, one["text"], "soft", TICK, va="baseline")
    key(sheet, GRADIENTS)
    return _picture(
        title,
        sheet.figure,
        "Figure 1 of the paper. The gradient (C / eta)(x - g) knows where the optimum is and nothing else of the "
        "function: its slope is about 8.5 everywhere. With the curvature fitted to values that the swarm has seen it "
        "has the function's own size.",
    )


def _order(one: Mapping[str, Any]) -> Picture:
    title = f"Error by distance to the optimum: {one['text']}"
    texts = {name: f"{text}: {one['order'][name]:.2f}" for name, (text, _) in ORDERS.items()}
    limits = padded(*extent([*one["error"].values()], log=True), log=True)
    panel = line_panel(
        title, extent(one["distance"]), limits, list(texts.values()), log_x=True, log_y=True,
        x_label="distance to the optimum", y_label="mean absolute error",
    )  # fmt: skip
    _draw(panel, ORDERS, texts, {name: (one["distance"], one["error"][name]) for name in ORDERS})
    return _picture(
        title,
        panel.sheet.figure,
        "The numbers are orders of accuracy: the exponent of the distance that the error falls with. The gradient "
        "itself falls with order 1, so the answer 0 has that order too; only what is of higher order comes to be right "
        "near the optimum.",
    )


def _errors(of: Mapping[str, Any]) -> Picture:
    title = "Training loss by true error gradients and by a swarm's"
    texts = {name: text.format(factor=of["factor"]) for name, (text, _) in ERRORS.items()}
    lines = {name: (range(of["epochs"] + 1), of["loss"][name]) for name in ERRORS}
    panel = line_panel(
        title, (0, of["epochs"]), padded(*extent([*of["loss"].values()], log=True), log=True), list(texts.values()),
        log_y=True, whole_x=True, x_label="epoch", y_label="half the mean squared error",
    )  # fmt: skip
    _draw(panel, ERRORS, texts, lines)
    return _picture(
        title,
        panel.sheet.figure,
        "A stand-in for Figure 2 of the paper, whose data are not in it: a network of ten tanh units, mean of "
        f"{of['seeds']} seeds. The paper's gradient is {of['factor']:g} times as long as the true one; the true one "
        "with so many times the learning rate descends alike.",
    )


def _convergence(curves: Sequence[Mapping[str, Any]]) -> Picture:
    title = "MPSO and EMPSO: best value above the minimum by iteration"
    sheet, places = small_panels(title, len(curves), columns=3, height=70.0)
    for one, (left, right, bottom, top) in zip(curves, places, strict=True):
        across = Scale(1, one["iteration"][-1], left, right, log=True)
        panel = Panel(sheet, across, Scale(*ERROR_RANGE, bottom, top, log=True))
        panel.frame(x_ticks=across.ticks(2), y_ticks=[(1.0, "1"), (1e-6, "10⁻⁶"), (1e-12, "10⁻¹²")])
        for name, (_, style) in SEARCHES.items():
            panel.curve(one["iteration"], one["error"][name], style.variable, 1.4, style.dashes)
        sheet.text(left, top + 4, shown(one["name"]), "soft", TICK, va="baseline")
    key(sheet, SEARCHES)
    return _picture(title, sheet.figure, "Median over runs, without a stopping rule; 50 particles.")


def _draw(panel: Panel, lines: Lines, texts: Mapping[str, str], values: Mapping[str, tuple[Any, Any]]) -> None:
    """Lines with their names at their ends: x ascending or descending, drawn to the right edge."""
    styles = {name: style for name, (_, style) in lines.items()}
    ends = {}
    for name, (x, y) in values.items():
        panel.curve(x, y, styles[name].variable, 1.6, styles[name].dashes)
        last = int(np.argmax(x))
        ends[name] = (panel.x.at(x[last]), panel.y.at(y[last]))
    panel.ends(ends, texts, styles)


def _picture(title: str, figure: Figure, caption: str) -> Picture:
    return Picture(title, inline(figure, title), caption)


def _floats(values: Values) -> np.ndarray:
    return np.array([math.nan if value is None else value for value in values], float)
