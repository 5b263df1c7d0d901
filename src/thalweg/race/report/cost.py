"""Cost: time, passes, memory, and what the whole race spent, tuning included."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import partial

import numpy as np
from matplotlib.figure import Figure

from thalweg.names import shown
from thalweg.race import charts, notation, spending
from thalweg.race.record import Record
from thalweg.race.report.section import FOLD_ABOVE, Chart, Part, Section
from thalweg.race.report.table import Cell, Table, count, number, seconds
from thalweg.race.summary import Summary


def cost(summary: Summary) -> Section:
    """Over all tasks, and a table a task."""
    parts = [
        Part(
            charts=[Chart("Seconds a step", partial(_draw, summary))], tables=[_totals(summary)], notes=_notes(summary)
        )
    ]
    for task, info in summary.tasks.items():
        parts.append(Part(info.title, tables=[_table(summary, task)], folded=len(summary.tasks) > FOLD_ABOVE))
    return Section("cost", "Cost", parts)


def _median(records: Iterable[Record], figure: Callable[[Record], float]) -> float:
    return float(np.median([figure(record) for record in records]))


def _table(summary: Summary, task: str) -> Table:
    base = spending.seconds_a_step(summary, task, spending.reference(summary))
    rows = []
    for name in summary.order:
        records = spending.trials(summary, task, name)
        step = spending.seconds_a_step(summary, task, name)
        rows.append(
            [
                Cell(shown(name)),
                seconds(step),
                number(step / base if base else math.nan),
                number(_median(records, lambda r: r.forward_passes / max(1, r.steps))),
                number(_median(records, lambda r: r.backward_passes / max(1, r.steps))),
                count(_median(records, lambda r: r.examples)),
                number(_median(records, lambda r: r.state_bytes / r.parameters)),
                seconds(_median(records, lambda r: r.seconds)),
                Cell(_members(records), float(np.median([r.members for r in records]))),
            ]
        )
    columns = [
        "Method", "Time a step", f"in those of {shown(spending.reference(summary))}", "Forward passes a step",
        "Backward passes a step",
        "Examples a trial", "State bytes a parameter", "Time a trial", "Trained together",
    ]  # fmt: skip
    return Table(f"cost-{shown(task)}", f"{summary.tasks[task].title}: cost of a trial", columns, rows)


def _members(records: list[Record]) -> str:
    low, high = min(r.members for r in records), max(r.members for r in records)
    return str(low) if low == high else f"{low} to {high}"


def _totals(summary: Summary) -> Table:
    rows = []
    for name in summary.order:
        tuning = [r for task in summary.tasks for r in spending.tuning_trials(summary, task, name)]
        finals = [r for task in summary.tasks for r in summary.result.records.get((task, name), ())]
        every = [*tuning, *finals]
        spent = sum(r.seconds for r in every)
        rows.append(
            [
                Cell(shown(name)),
                number(
                    spending.overhead(summary, name),
                    note="trained alone: not comparable" if spending.alone(summary, name) else "",
                ),
                count(len(tuning)),
                count(len(finals)),
                count(sum(r.forward_passes for r in every)),
                count(sum(r.backward_passes for r in every)),
                count(sum(r.examples for r in every)),
                seconds(spent),
                Cell(
                    notation.share(sum(r.seconds for r in tuning) / spent if spent else math.nan),
                    sum(r.seconds for r in tuning) / spent if spent else math.nan,
                ),
            ]
        )
    columns = [
        "Method", f"Time a step, in those of {shown(spending.reference(summary))}", "Tuning trials", "Final trials",
        "Forward passes",
        "Backward passes", "Examples", "Time in steps", "of it tuning",
    ]  # fmt: skip
    return Table("cost", "What each method spent in all, tuning included", columns, rows)


def _draw(summary: Summary) -> Figure:
    bars = {name: spending.overhead(summary, name) for name in summary.order}
    return charts.costs(
        bars, charts.styles(summary.result.methods), "Seconds a step",
        x_label=f"in those of {shown(spending.reference(summary))}, geometric mean over tasks", reference=1.0,
    )  # fmt: skip


def _notes(summary: Summary) -> list[str]:
    return [
        "Time is that spent in training steps: forward, backward and update; evaluation is not counted. Networks "
        "that are trained together share it among them, so it is what a trial cost here, not what it would take "
        "alone. Passes and examples are counted whatever the machine. A method that takes dearer steps is judged at "
        "equal steps in the results, and against seconds in the learning curves."
    ]
