"""Sensitivity: how much depends on the learning rate."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from matplotlib.figure import Figure

from thalweg.names import shown
from thalweg.race import charts, notation, statistics
from thalweg.race.report.curves import standing_out
from thalweg.race.report.section import FOLD_ABOVE, Chart, Part, Section
from thalweg.race.report.table import Cell, Table, share
from thalweg.race.report.tuning import draw_scores, lowest, score_cell, searched
from thalweg.race.spaces import Choice, Dimension, Float
from thalweg.race.summary import Summary

PER_DECADE = 2  # bins of a scan
LANDSCAPES = 12  # charts of lr by a second hyperparameter in a report


@dataclass(frozen=True)
class Scanned:
    """A method's draws on a task by learning rate: the rates, ascending, and their scores (diverged: not finite)."""

    dimension: Float
    lr: np.ndarray
    scores: np.ndarray


def sensitivity(summary: Summary) -> Section | None:
    """None where no method searches a learning rate."""
    named = [name for name, method in summary.methods.items() if _rate(method.space)]
    if not named:
        return None
    parts = [Part(notes=_notes())]
    for task, info in summary.tasks.items():
        drawings = [_scan_chart(summary, task, named), *_landscapes(summary, task, named)]
        folded = len(summary.tasks) > FOLD_ABOVE
        parts.append(Part(info.title, charts=drawings, tables=[_table(summary, task, named)], folded=folded))
    return Section("sensitivity", "Sensitivity", parts)


def _rate(space: Sequence[Dimension]) -> Float | None:
    return next((d for d in space if isinstance(d, Float) and d.name == "lr" and d.log), None)


def _scanned(summary: Summary, task: str, method: str) -> Scanned:
    dimension = _rate(summary.methods[method].space)
    assert dimension is not None
    pairs = sorted(
        (float(dimension.searched_value(draw.hyperparameters)), score)  # type: ignore[arg-type]
        for study in summary.result.studies[task, method]
        for draw, score in zip(study.draws, draw_scores(study), strict=True)
    )
    rates, scores = np.array(pairs).T
    return Scanned(dimension, rates, scores)


def _bins(one: Scanned, worst: float) -> list[tuple[float, np.ndarray]]:
    """The draws of all studies in half-decades: (middle rate, scores), those without draws left out."""
    start, end = math.log10(one.dimension.low), math.log10(one.dimension.high)
    number = max(1, round((end - start) * PER_DECADE))
    places = np.clip(((np.log10(one.lr) - start) / (end - start) * number).astype(int), 0, number - 1)
    found = []
    for place in range(number):
        inside = one.scores[places == place]
        if len(inside):
            middle = 10 ** (start + (place + 0.5) * (end - start) / number)
            found.append((middle, np.where(np.isfinite(inside), inside, worst)))
    return found


def _width(one: Scanned, worst: float, start: float) -> statistics.Width | None:
    """From the best of each bin, so that an unlucky choice of another hyperparameter does not count against a rate."""
    bins = _bins(one, worst)
    best = [float(scores.max()) for _, scores in bins]
    if not bins or max(best) <= start:
        return None
    return statistics.lr_width([rate for rate, _ in bins], best, start)


def _start(summary: Summary, task: str) -> float:
    """The score from which "within 1 %" is counted: of the untrained networks."""
    return float(
        np.median(
            [
                study.draws[0].records[0].validation_metric[0]
                for name in summary.methods
                for study in summary.result.studies[task, name]
            ]
        )
    )


def _scan_chart(summary: Summary, task: str, named: Sequence[str]) -> Chart:
    info = summary.tasks[task]
    title = f"{info.title}: validation score by learning rate"
    return Chart(title, partial(_draw_scan, summary, task, named, title))


def _draw_scan(summary: Summary, task: str, named: Sequence[str], title: str) -> Figure:
    scale = 100 if summary.tasks[task].percent else 1
    worst, start = lowest(summary, task), _start(summary, task)
    scans = {}
    for name in named:
        one = _scanned(summary, task, name)
        bins = _bins(one, worst)
        low, median, high = (
            [scale * float(np.quantile(s, q, method="nearest")) for _, s in bins] for q in (0.25, 0.5, 0.75)
        )
        width = _width(one, worst, start)
        diverged = _diverged_shares(one)
        default = summary.result.studies[task, name][0].draws[0].hyperparameters["lr"]
        scans[name] = charts.Scan(
            [rate for rate, _ in bins], median, low, high, diverged,
            default=float(default) if isinstance(default, int | float) else None,
            within=(width.low, width.high) if width else None,
        )  # fmt: skip
    label = f"validation {summary.tasks[task].metric}{', %' if scale == 100 else ''}"
    drawn = charts.styles(summary.result.methods)
    picked = standing_out(summary)
    return charts.lr_scan(scans, drawn, title, y_label=label, highlight=picked and [n for n in picked if n in scans])


def _diverged_shares(one: Scanned) -> list[float]:
    flags = Scanned(one.dimension, one.lr, (~np.isfinite(one.scores)).astype(float))
    return [float(scores.mean()) for _, scores in _bins(flags, 0.0)]


def _table(summary: Summary, task: str, named: Sequence[str]) -> Table:
    percent = summary.tasks[task].percent
    worst, start = lowest(summary, task), _start(summary, task)
    rows = []
    for name in named:
        one = _scanned(summary, task, name)
        width = _width(one, worst, start)
        best = int(np.argmax(one.scores))
        cells = [Cell(shown(name)), Cell(notation.setting(float(one.lr[best])), float(one.lr[best]))]
        cells.append(score_cell(float(one.scores[best]), percent))
        if width is None:
            cells += [Cell("learned nothing", math.nan), Cell("")]
        else:
            more = "at least " if width.open_low or width.open_high else ""
            cells.append(Cell(f"{more}{width.decades:.1f} decades", width.decades))
            cells.append(Cell(f"{notation.setting(width.low)} to {notation.setting(width.high)}", width.low))
        cells.append(share(float((~np.isfinite(one.scores)).mean())))
        rows.append(cells)
    columns = ["Method", "Best lr", "Its score", "Width within 1 %", "From to", "Draws diverged"]
    return Table(f"sensitivity-{shown(task)}", f"{summary.tasks[task].title}: learning rates", columns, rows)


def _landscapes(summary: Summary, task: str, named: Sequence[str]) -> list[Chart]:
    """lr by the next searched number, for the methods that have one."""
    found = []
    for name in sorted(named, key=summary.order.index):
        rate = _rate(summary.methods[name].space)
        others = [d for d in summary.methods[name].space if d is not rate and not isinstance(d, Choice)]
        if rate and others:
            title = f"{summary.tasks[task].title}: {shown(name)}, lr by {others[0]}"
            found.append(Chart(title, partial(_draw_landscape, summary, task, name, rate, others[0], title)))
    return found[: LANDSCAPES // len(summary.tasks)]


def _draw_landscape(summary: Summary, task: str, name: str, rate: Float, other: Dimension, title: str) -> Figure:
    scale = 100 if summary.tasks[task].percent else 1
    studies = summary.result.studies[task, name]
    draws = [draw for study in studies for draw in study.draws]
    scores = [scale * score for study in studies for score in draw_scores(study)]
    defaults = np.cumsum([0, *(len(study.draws) for study in studies)])[:-1].tolist()
    chosen = [i for i, draw in enumerate(draws) if any(draw is study.chosen for study in studies)]
    return charts.landscape(
        searched(rate, draws), searched(other, draws), scores, title, default=defaults, chosen=chosen
    )


def _notes() -> list[str]:
    return [
        "From the draws of tuning, one seed each, gathered in half-decades of the learning rate: median and "
        "quartiles. They differ in the other searched hyperparameters too. A diamond is the published rate, a cross "
        "marks rates at which most draws diverged. Width within 1 %: the range of learning rates whose best draw is "
        "within 1 % of the way from the untrained network to the best; wide is easy to tune."
    ]
