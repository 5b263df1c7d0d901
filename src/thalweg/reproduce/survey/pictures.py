"""The pictures: shares of runs that are solved, how passes grow with dimensions, and accuracy by a network's size."""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import fmean

from thalweg.names import shown
from thalweg.race.charts import Style, heat_map, inline
from thalweg.race.charts.scale import extent, padded
from thalweg.race.charts.style import SERIES
from thalweg.reproduce.curve_picture import Points, curve_picture
from thalweg.reproduce.paper import Picture
from thalweg.reproduce.records import Records
from thalweg.reproduce.survey.evidence import Evidence
from thalweg.reproduce.survey.growth import MOST_CMA

LINES = ("sgd", "adam", "random", "ga", "pso", "de", "cma", "snes", "sep_cma", "tabu")
ON_NETWORKS = ("sgd", "adam", "random", "ga", "pso", "de", "snes", "ga_lamarckian", "snes_then_adam", "es_adam")
LADDER = ("digits 32", "digits 280 280")
LAYERS = {"digits 32": 2, "digits 16 layers": 16}


def pictures(records: Records) -> list[Picture]:
    """Those that the records have the figures of."""
    evidence = Evidence(records)
    found = []
    if evidence.functions:
        found.append(_solved(evidence))
    if evidence.growth:
        found.append(_growth(evidence))
    for title, label, nets in (
        ("Accuracy by weights", "weights", {n: evidence.nets[n]["weights"] for n in LADDER if n in evidence.nets}),
        ("Accuracy by layers", "layers", {n: layers for n, layers in LAYERS.items() if n in evidence.nets}),
    ):
        if len(nets) > 1:
            found.append(_accuracy(evidence, title, label, nets))
    return found


def _solved(evidence: Evidence) -> Picture:
    cells = {((c["function"], c["dim"]), c["method"]): c["solved"] / c["runs"] for c in evidence.functions}
    places = list(dict.fromkeys(place for place, _ in cells))
    methods = list(dict.fromkeys(method for _, method in cells))
    values = [[cells.get((place, method), math.nan) for method in methods] for place in places]
    texts = [["" if math.isnan(value) else f"{100 * value:.0f}" for value in row] for row in values]
    title = "Runs that find the optimum"
    rows = [f"{name}, {dim}" for name, dim in places]
    figure = heat_map(values, rows, [shown(name) for name in methods], title, texts=texts)
    return Picture(title, inline(figure, title), "Per cent of runs, by function and dimensions, at equal passes.")


def _growth(evidence: Evidence) -> Picture:
    curves = {
        method: [(int(dim), passes) for dim, passes in evidence.growth[method]["passes"].items() if passes]
        for method in LINES
        if method in evidence.growth
    }
    title = "Passes to come ten times nearer to the optimum of a sphere"
    caption = (
        "Both axes are logarithmic; a line ends where fewer than half of the runs come there, that of CMA where it is "
        f"not run, above {MOST_CMA} dimensions."
    )
    return _lines({name: points for name, points in curves.items() if points}, title, caption, "dimensions", "passes")


def _accuracy(evidence: Evidence, title: str, label: str, nets: Mapping[str, int]) -> Picture:
    curves = {
        method: [(at, fmean(evidence.scores(net, method))) for net, at in nets.items() if evidence.scores(net, method)]
        for method in ON_NETWORKS
    }
    caption = f"Mean test accuracy on digits, in per cent, by {label}: all methods have equal passes and equal tuning."
    return _lines({name: points for name, points in curves.items() if points}, title, caption, label, "%", log_y=False)


def _lines(curves: Mapping[str, Points], title: str, caption: str, x: str, y: str, *, log_y: bool = True) -> Picture:
    limits = padded(*extent([value for points in curves.values() for _, value in points]), log=log_y)
    texts = {method: shown(method) for method in curves}
    styles = {method: Style(place % SERIES, place // SERIES) for place, method in enumerate(curves)}
    return curve_picture(title, caption, curves, limits, texts, styles, log_x=True, log_y=log_y, x_label=x, y_label=y)
