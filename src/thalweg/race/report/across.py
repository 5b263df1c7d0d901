"""Across tasks: ranks, the critical-difference diagram, probability of improvement, normalised scores."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
from matplotlib.figure import Figure

from thalweg.names import shown
from thalweg.race import charts, notation, statistics
from thalweg.race.report.section import Chart, Part, Section
from thalweg.race.report.table import Cell, Table, number, p_value
from thalweg.race.statistics import InterquartileMeans
from thalweg.race.summary import Summary


def across_tasks(summary: Summary) -> Section | None:
    """None for one task, or one method: there is nothing to rank."""
    if len(summary.tasks) < 2 or len(summary.methods) < 2:
        return None
    drawn = charts.styles(summary.result.methods)
    ranks = {name: summary.across.ranks[:, i].tolist() for i, name in enumerate(summary.methods)}
    middle = _middle(summary)
    drawings = [
        ranks_chart(summary),
        Chart("Ranks", lambda: charts.rank_distribution(ranks, drawn, "Ranks on the tasks")),
        Chart("Normalised scores", partial(_intervals, summary, middle)),
        Chart("Probability of improvement", partial(_improvement, summary)),
    ]
    part = Part(texts=_texts(summary), charts=drawings, tables=[_table(summary, middle)], notes=_notes(summary))
    return Section("across", "Across tasks", [part])


def normalised(summary: Summary) -> np.ndarray:
    """Scores of shape (tasks, methods, seeds): the constant answer is 0, the baseline's mean 1."""
    scores = np.array([[summary.scores(task, name) for name in summary.methods] for task in summary.tasks])
    units = [summary.unit(task) for task in summary.tasks]
    return statistics.normalise(scores, [zero for zero, _ in units], [one for _, one in units])


def _middle(summary: Summary) -> InterquartileMeans:
    return statistics.interquartile_means(normalised(summary), list(summary.methods).index(summary.baseline))


def ranks_chart(summary: Summary) -> Chart:
    """The critical-difference diagram."""
    return Chart("Mean ranks", partial(_ranks, summary))


def _ranks(summary: Summary) -> Figure:
    names = list(summary.methods)
    note = "descriptive only: fewer than 10 tasks" if summary.across.descriptive else ""
    groups = [] if summary.across.descriptive else [[names[i] for i in group] for group in summary.across.groups]
    return charts.critical_difference(
        {name: summary.mean_rank(name) for name in names}, groups,
        "Mean ranks, Wilcoxon-Holm groups" if groups else "Mean ranks",
        drawn=charts.styles(summary.result.methods), note=note,
    )  # fmt: skip


def _intervals(summary: Summary, middle: InterquartileMeans) -> Figure:
    places = {name: i for i, name in enumerate(summary.methods)}
    rows = {
        name: charts.Interval(*(float(values[places[name]]) for values in (middle.mean, middle.low, middle.high)))
        for name in summary.order
    }
    return charts.intervals(
        rows, charts.styles(summary.result.methods), "Interquartile mean of normalised scores",
        x_label="0: constant answer, 1: baseline", reference=1.0,
    )  # fmt: skip


def _improvement(summary: Summary) -> Figure:
    names = list(summary.methods)
    places = [names.index(name) for name in summary.order]
    chances = statistics.probability_of_improvement(normalised(summary))[np.ix_(places, places)]
    np.fill_diagonal(chances, np.nan)
    labels = [shown(name) for name in summary.order]
    texts = [["" if np.isnan(v) else f"{100 * v:.0f}" for v in row] for row in chances]
    return charts.heat_map(
        chances, labels, labels, "P(row better than column), %", texts=texts, diverging=True, centre=0.5, limit=0.5
    )


def _table(summary: Summary, middle: InterquartileMeans) -> Table:
    names = list(summary.methods)
    base = names.index(summary.baseline)
    rows = []
    for name in summary.order:
        i = names.index(name)
        counts = summary.counts(name) if name != summary.baseline else None
        rows.append(
            [
                Cell(shown(name)),
                number(summary.mean_rank(name), 2),
                *(
                    Cell("") if counts is None else Cell(str(counts[v]), counts[v])
                    for v in ("better", "equivalent", "undecided", "worse")
                ),
                Cell("baseline", math.nan) if i == base else p_value(float(summary.across.p[i, base])),
                number(float(middle.mean[i]), note=_interval(middle.low[i], middle.high[i])),
                Cell("baseline", math.nan)
                if i == base
                else number(
                    float(middle.difference[i]), note=_interval(middle.difference_low[i], middle.difference_high[i])
                ),
            ]
        )
    columns = [
        "Method", "Mean rank", "Better", "Equivalent", "Undecided", "Worse",
        f"p against {shown(summary.baseline)} (Holm)", "Normalised IQM [95 %]", "minus baseline [95 %]",
    ]  # fmt: skip
    return Table("across", "Over all tasks", columns, rows)


def _interval(low: float, high: float) -> str:
    return f"[{notation.number(float(low))}, {notation.number(float(high))}]"


def _texts(summary: Summary) -> list[str]:
    across = summary.across
    p = notation.p_value(across.friedman_p)
    friedman = (
        f"Friedman's test that all methods are alike: χ² = {across.friedman:.1f}, "
        f"p {p if p.startswith('<') else f'= {p}'}."
    )
    if not across.descriptive:
        return [f"Here the task is the sample, and there are {len(summary.tasks)}. {friedman}"]
    return [
        f"Here the task is the sample, and there are {len(summary.tasks)}: descriptive only. These figures describe "
        f"these tasks; with fewer than 10 nothing is to be concluded on others. {friedman}"
    ]


def _notes(summary: Summary) -> list[str]:
    notes = [
        "Ranks are of the mean score on each task, 1 the best. p: Wilcoxon's signed-rank test over tasks, Holm's "
        "correction over all pairs of methods; bars join methods that it does not tell apart. Normalised scores: 0 "
        "is the constant answer and 1 the baseline's mean; the interquartile mean leaves out the lowest and the "
        "highest quarter of all runs, and its interval draws tasks, then seeds, the same for all methods.",
    ]
    odd = [info.title for task, info in summary.tasks.items() if not summary.has_unit(task)]
    if odd:
        notes.append(
            f"On {notation.listed(odd)} the baseline is no better than the constant answer: there 0 and 1 are the "
            "lowest and the highest mean of all methods."
        )
    return notes
