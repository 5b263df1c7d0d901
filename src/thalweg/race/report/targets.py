"""Time to target: how often, and how soon, a method reaches what the tuned baseline ends with."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from thalweg.names import shown
from thalweg.race import charts, notation, statistics
from thalweg.race.report.curves import standing_out
from thalweg.race.report.section import FOLD_ABOVE, Chart, Part, Section
from thalweg.race.report.table import BAD, Cell, Table, number, seconds, share
from thalweg.race.statistics import Target, TimeToTarget
from thalweg.race.summary import Summary

PROFILE_TARGET = 1  # the second hardest: half of the baseline's own seeds miss the hardest by its definition
PROFILE_FACTORS = np.geomspace(1, 4, 40)


def time_to_target(summary: Summary) -> Section:
    """Targets by rule, tables and curves a task, a performance profile over tasks."""
    parts = [Part(notes=_notes(summary))]
    if len(summary.tasks) > 1:
        parts.append(Part("Over all tasks", charts=_profile(summary), notes=[_profile_note()]))
    for task, info in summary.tasks.items():
        levels = targets(summary, task)
        missing = [] if levels else [f"No target: {shown(summary.baseline)} ended no higher than it began."]
        parts.append(
            Part(
                info.title,
                texts=missing,
                charts=[_curve(summary, task, levels[0])] if levels else [],
                tables=[_table(summary, task, levels)] if levels else [],
                folded=len(summary.tasks) > FOLD_ABOVE,
            )
        )
    return Section("targets", "Time to target", parts)


def targets(summary: Summary, task: str) -> tuple[Target, ...]:
    """From the start, the median score of the untrained network on the validation part, to the baseline's end."""
    records = summary.result.records[task, summary.baseline]
    worst = summary.worst_validation(task)
    finals = [worst if r.diverged else r.validation_metric[-1] for r in records]
    return statistics.target_levels(finals, float(np.median([r.validation_metric[0] for r in records])))


def reached(
    summary: Summary, task: str, method: str, target: Target
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Epochs after which each seed reached the target (infinite where it never did), and the epochs that it had."""
    records = summary.result.records[task, method]
    points = max(len(r.validation_metric) for r in records)
    curves = np.full((len(records), points), math.nan)
    for row, record in zip(curves, records, strict=True):
        row[: len(record.validation_metric)] = record.validation_metric
    epochs = statistics.cost_to_target(curves, np.arange(points), target.score)
    budget = [float(summary.tasks[task].epochs if r.diverged else r.stopped) for r in records]
    return epochs, np.array(budget)


def _timed(summary: Summary, task: str, method: str, target: Target) -> tuple[TimeToTarget, float]:
    """In epochs, and the expected running time in seconds."""
    epochs, _ = reached(summary, task, method, target)
    records = summary.result.records[task, method]
    spent = np.array([float(r.stopped) for r in records])
    rates = np.array([r.seconds / max(1, r.stopped) for r in records])
    arrived = np.isfinite(epochs)
    in_seconds = statistics.time_to_target(
        np.where(arrived, np.where(arrived, epochs, 0) * rates, math.inf), spent * rates
    )
    return statistics.time_to_target(epochs, spent), in_seconds.expected


def _table(summary: Summary, task: str, levels: tuple[Target, ...]) -> Table:
    percent = summary.tasks[task].percent
    rows = []
    for target in levels:
        for name in summary.order:
            timed, in_seconds = _timed(summary, task, name, target)
            missed = timed.success_rate < 0.5
            rows.append(
                [
                    Cell(shown(name)),
                    Cell(f"{notation.single(target.score, percent)} ({100 * target.fraction:.0f} %)", target.score),
                    share(timed.success_rate, mark=BAD if missed else ""),
                    Cell("not reached by half", math.inf) if missed else number(timed.median),
                    number(timed.expected),
                    seconds(in_seconds),
                ]
            )
    columns = ["Method", "Target", "Reached by", "Median epochs", "ERT, epochs", "ERT, seconds"]
    return Table(f"targets-{shown(task)}", f"{summary.tasks[task].title}: time to target", columns, rows)


def _curve(summary: Summary, task: str, target: Target) -> Chart:
    info = summary.tasks[task]
    title = f"{info.title}: seeds that reached {notation.single(target.score, info.percent)}"

    def draw() -> Figure:
        steps = {}
        for name in summary.methods:
            epochs, budget = reached(summary, task, name, target)
            curve = statistics.kaplan_meier(epochs, budget)
            early = budget[~np.isfinite(epochs) & (budget < info.epochs)]
            steps[name] = charts.Steps(curve.costs, curve.shares, tuple(early.tolist()))
        drawn = charts.styles(summary.result.methods)
        return charts.reached(steps, drawn, title, end=float(info.epochs), highlight=standing_out(summary))

    return Chart(title, draw)


def _profile(summary: Summary) -> list[Chart]:
    """None where no task has a target."""
    levels = {task: targets(summary, task) for task in summary.tasks}
    costs = [
        [_timed(summary, task, name, of_task[PROFILE_TARGET])[0].expected for name in summary.methods]
        for task, of_task in levels.items()
        if of_task
    ]
    return [Chart("Performance profile", partial(_draw_profile, summary, np.maximum(costs, 1.0)))] if costs else []


def _draw_profile(summary: Summary, costs: NDArray[np.float64]) -> Figure:
    heights = statistics.performance_profile(costs, PROFILE_FACTORS)
    integrals = statistics.profile_integral(costs)
    x = tuple(PROFILE_FACTORS.tolist())
    return charts.performance_profile(
        {name: charts.Steps(x, tuple(heights[i].tolist())) for i, name in enumerate(summary.methods)},
        charts.styles(summary.result.methods),
        "Performance profile: share of tasks within x times the fewest epochs",
        "times the expected epochs of the fastest method",
        end=float(PROFILE_FACTORS[-1]),
        notes={name: f"{integrals[i]:.2f}" for i, name in enumerate(summary.methods)},
        highlight=standing_out(summary),
    )


def _profile_note() -> str:
    return (
        "Over the tasks, the share on which a method's expected epochs to 90 % of the way are within x times those of "
        "the fastest there. The number beside a name is the mean height from 1 to 4."
    )


def _notes(summary: Summary) -> list[str]:
    return [
        "Targets are set by rule: the median final validation score of the tuned baseline "
        f"({shown(summary.baseline)}), and 90, 75 and 50 % of the way there from the untrained network. Median: "
        "infinite where fewer than half of the seeds arrived. ERT, the expected running time: all that was spent "
        "over the number of successes, as if one restarted until it works. In the curves a diverged seed never "
        "arrives, and a tick is a seed that was stopped early (Kaplan-Meier)."
    ]
