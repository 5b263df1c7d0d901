"""The pictures: validation accuracy by epoch, scores by learning rate, and, where one was run, an evolution."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean

from thalweg.names import shown
from thalweg.race.charts import Style
from thalweg.race.charts.scale import extent, padded
from thalweg.reproduce.autolr.evidence import Evidence
from thalweg.reproduce.autolr.evolution import evolution_pictures
from thalweg.reproduce.autolr.images import TITLES
from thalweg.reproduce.autolr.sensitivity import MIDDLE
from thalweg.reproduce.curve_picture import Points, curve_picture
from thalweg.reproduce.paper import Picture
from thalweg.reproduce.records import Records

STYLES = {
    "ades": Style(1, 0), "ades_heavy_ball": Style(8, 1), "sign": Style(4, 0), "adam": Style(0, 0),
    "rmsprop": Style(2, 0), "rmsprop_defaults": Style(2, 2), "nesterov": Style(3, 0),
}  # fmt: skip


def pictures(records: Records) -> list[Picture]:
    """Those that the records have the figures of."""
    evidence = Evidence(records)
    found = [_curves(evidence, data) for data in evidence.trials]
    found += [_rates(evidence, task) for task in evidence.grids]
    return found + evolution_pictures(records)


def _curves(evidence: Evidence, data: str) -> Picture:
    trials = evidence.trials[data]
    curves = {
        method: list(enumerate(map(fmean, zip(*(trial["curve"] for trial in own), strict=True))))
        for method, own in trials.items()
    }
    title = f"Validation accuracy by epoch: {TITLES[data]}"
    caption = "By the paper's protocol, scaled; mean over seeds, in per cent. The numbers are those of the last epoch."
    return _lines({name: points[1:] for name, points in curves.items()}, title, caption, "epoch", log_x=False)


def _rates(evidence: Evidence, task: str) -> Picture:
    grids = evidence.grids[task]["lr"]
    curves = {
        method: [(cell["lr"] / MIDDLE[method], fmean(cell["scores"])) for cell in grid]
        for method, grid in grids.items()
    }
    title = f"Score by learning rate: {task}"
    middles = ", ".join(f"{shown(method)} {MIDDLE[method]:g}" for method in grids)
    caption = f"Mean test score in per cent. Learning rates are multiples of {middles}; what diverges scores 0."
    return _lines(curves, title, caption, "learning rate, as a multiple", log_x=True)


def _lines(curves: Mapping[str, Points], title: str, caption: str, x: str, *, log_x: bool) -> Picture:
    limits = padded(*extent([value for points in curves.values() for _, value in points]))
    texts = {method: f"{shown(method)}: {points[-1][1]:.1f}" for method, points in curves.items()}
    return curve_picture(
        title, caption, curves, limits, texts, STYLES, log_x=log_x, whole_x=not log_x, x_label=x, y_label="%"
    )
