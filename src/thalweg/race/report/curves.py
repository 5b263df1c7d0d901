"""Learning curves: loss and metric against epochs, examples and seconds."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.figure import Figure

from thalweg.race import charts, notation
from thalweg.race.record import Record
from thalweg.race.report.section import FOLD_ABOVE, Chart, Part, Section
from thalweg.race.summary import Summary

STANDING_OUT = 6  # methods: more in strong colours cannot be followed
THIN_POINTS = 15_000  # of single seeds over all tasks, in each of three charts: more would make too large a page


def learning_curves(summary: Summary) -> Section:
    """Four or five charts a task."""
    parts = [Part(notes=_notes(summary))]
    for task in summary.tasks:
        parts.append(
            Part(
                summary.tasks[task].title,
                texts=_equal_examples(summary, task),
                charts=[*task_charts(summary, task)],
                folded=len(summary.tasks) > FOLD_ABOVE,
            )
        )
    return Section("curves", "Learning curves", parts)


def standing_out(summary: Summary) -> list[str] | None:
    """The methods to stand out in charts of many: the baseline and the best. None: all of them."""
    if len(summary.methods) <= STANDING_OUT:
        return None
    return list(dict.fromkeys([summary.baseline, *summary.order]))[:STANDING_OUT]


def task_charts(summary: Summary, task: str) -> list[Chart]:
    """Losses and metric against epochs; the metric against seconds, and against examples where that differs."""
    info = summary.tasks[task]
    scale = 100 if info.percent else 1
    metric = f"{info.metric}{', %' if info.percent else ''}"

    def scored(record: Record) -> list[float]:
        return [scale * value for value in record.validation_metric]

    worst = scale * summary.worst_validation(task)
    drawn = [
        _chart(summary, task, "train loss", lambda record: record.train_loss, math.inf, log=True),
        _chart(summary, task, "validation loss", lambda record: record.validation_loss, math.inf, log=True),
        _chart(summary, task, f"validation {metric}", scored, worst),
        _chart(
            summary, task, f"validation {metric}", scored, worst, x=_rates(summary, task, "seconds"), label="seconds"
        ),
    ]
    if not _one_rate(summary, task):
        rates = _rates(summary, task, "examples")
        drawn.append(_chart(summary, task, f"validation {metric}", scored, worst, x=rates, label="examples"))
    return drawn


def _chart(
    summary: Summary,
    task: str,
    what: str,
    curve: Callable[[Record], Sequence[float]],
    worst: float,
    *,
    log: bool = False,
    x: dict[str, float] | None = None,
    label: str = "epoch",
) -> Chart:
    """`x` has what one epoch costs each method; None: an epoch."""
    title = f"{summary.tasks[task].title}: {what}{'' if label == 'epoch' else f' against {label}'}"

    def draw() -> Figure:
        curves = {name: [curve(record) for record in summary.result.records[task, name]] for name in summary.methods}
        diverged = {name: [r.diverged for r in summary.result.records[task, name]] for name in summary.methods}
        points = max(len(one) for of_method in curves.values() for one in of_method)
        bands = {
            name: charts.band(curves[name], worst, diverged=diverged[name], points=points) for name in summary.methods
        }
        picked = standing_out(summary)
        thin = {n: curves[n] for n in picked or summary.methods} if x is None and _draws_seeds(summary) else None
        places = {name: (np.arange(points) * rate).tolist() for name, rate in x.items()} if x else None
        return charts.learning_curves(
            bands, charts.styles(summary.result.methods), title, x=places, x_label=label, log=log, thin=thin,
            highlight=picked, higher=not log,
        )  # fmt: skip

    return Chart(title, draw)


def _rates(summary: Summary, task: str, field: str) -> dict[str, float]:
    """By method, what an epoch costs: the median over seeds."""
    return {
        name: float(np.median([getattr(r, field) / max(1, r.stopped) for r in summary.result.records[task, name]]))
        for name in summary.methods
    }


def _one_rate(summary: Summary, task: str) -> bool:
    return len(set(_rates(summary, task, "examples").values())) == 1


def _equal_examples(summary: Summary, task: str) -> list[str]:
    """Curves against examples would be those against epochs once more where all methods see equally many."""
    if not _one_rate(summary, task):
        return []
    (rate,) = set(_rates(summary, task, "examples").values())
    steps = float(np.median([r.steps / max(1, r.stopped) for r in summary.result.records[task, summary.baseline]]))
    return [f"An epoch is {notation.count(rate)} examples in {notation.count(steps)} steps for every method."]


def _notes(summary: Summary) -> list[str]:
    notes = [
        "Median over the seeds and the band between the quartiles, after each epoch. A dashed line is a plain form "
        "of the method in the same colour; a cross is a seed that diverged. The test part is read once, after the "
        "last epoch, so it has no curve. Seconds are those of training steps, evaluation not counted.",
    ]
    picked = standing_out(summary)
    if picked:
        notes.append(
            f"Of {len(summary.methods)} methods the baseline and the {len(picked) - 1} of lowest mean rank stand out."
        )
    if _draws_seeds(summary):
        notes.append("Thin lines are single seeds.")
    else:
        notes.append("There are too many seeds to draw each: all curves are in the records (thalweg report --csv).")
    return notes


def _draws_seeds(summary: Summary) -> bool:
    names = standing_out(summary) or summary.methods
    records = summary.result.records
    return sum(len(r.train_loss) for t in summary.tasks for n in names for r in records[t, n]) <= THIN_POINTS
