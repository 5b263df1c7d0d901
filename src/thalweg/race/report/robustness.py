"""Robustness: spread over seeds, whether seeds correlate and what pairing saved, overfitting, divergences."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
from matplotlib.figure import Figure

from thalweg.names import shown
from thalweg.race import charts, notation, statistics
from thalweg.race.report.section import FOLD_ABOVE, Chart, Part, Section
from thalweg.race.report.table import BAD, Cell, Table, count, decimal, share
from thalweg.race.statistics import Pairing
from thalweg.race.summary import Summary

PANELS = 6  # of seed scatters in a chart


def robustness(summary: Summary) -> Section:
    """What pairing was worth, what diverged, and a table a task."""
    parts = [_pairing(summary), _diverged(summary), Part("Spread and overfitting", notes=_notes())]
    for task, info in summary.tasks.items():
        drawings = [_seeds_chart(summary, task), _gap_chart(summary, task)]
        if summary.others and summary.result.protocol.seeds > 1:
            drawings.append(_scatter_chart(summary, task))
        folded = len(summary.tasks) > FOLD_ABOVE
        parts.append(Part(info.title, charts=drawings, tables=[_table(summary, task)], folded=folded))
    return Section("robustness", "Robustness", parts)


def pairing_on(summary: Summary, task: str) -> Pairing | None:
    """What pairing the seeds was worth between all methods on a task; None for one method."""
    if len(summary.methods) < 2:
        return None
    return statistics.pairing([summary.scores(task, name) for name in summary.methods])


def _pairing(summary: Summary) -> Part:
    found = {task: pairing for task in summary.tasks if (pairing := pairing_on(summary, task))}
    if not found:
        return Part()
    rows = [
        [
            Cell(summary.tasks[task].title),
            decimal(one.correlation, note=_interval(one.correlation_low, one.correlation_high)),
            decimal(one.saved, note=_interval(one.saved_low, one.saved_high)),
        ]
        for task, one in found.items()
    ]
    columns = ["Task", "Seed correlation [95 %]", "Unpaired seeds for each paired one [95 %]"]
    table = Table("pairing", "Do seeds correlate between methods, and what did pairing save?", columns, rows)
    median = float(np.median([one.saved for one in found.values()]))
    text = (
        f"Without pairing, {notation.number(median, 2)} times as many seeds would have been needed for the same "
        f"certainty ({'the median over the tasks' if len(found) > 1 else 'over all pairs of methods'}). Above 1 "
        "pairing helped; where seeds do not correlate it costs nothing."
    )
    return Part("Was pairing worth it?", texts=[text], tables=[table])


def _diverged(summary: Summary) -> Part:
    if not summary.fairness.divergences:
        return Part("Divergences", texts=["No trial diverged."])
    rows = [
        [
            Cell(summary.tasks[d.task].title),
            Cell(shown(d.method)),
            Cell(f"{d.final} of {d.finals}", d.final, mark=BAD if d.final else ""),
            Cell(f"{d.tuning} of {d.tunings}", d.tuning),
        ]
        for d in summary.fairness.divergences
    ]
    table = Table("divergences", "Trials that diverged", ["Task", "Method", "Final trials", "Tuning trials"], rows)
    text = "A trial whose loss is not finite stops there. It scores the task's worst and is never left out."
    return Part("Divergences", texts=[text], tables=[table], folded=len(rows) > 20)


def _table(summary: Summary, task: str) -> Table:
    percent = summary.tasks[task].percent
    finals = {d.method: d.final for d in summary.fairness.divergences if d.task == task}
    rows = []
    for name in summary.order:
        scores = summary.scores(task, name)
        train, test = _train_and_test(summary, task, name)
        gap = train - test
        c = summary.comparisons.get((task, name))
        noise = statistics.tuning_noise(scores, np.arange(len(scores)) % summary.result.protocol.studies)
        best = [r.test_metric_best for r in summary.result.records[task, name] if r.test_metric_best is not None]
        rows.append(
            [
                Cell(shown(name)),
                Cell(notation.magnitude(summary.sds[task, name], percent), summary.sds[task, name]),
                Cell(notation.single(float(scores.min()), percent), float(scores.min())),
                Cell(notation.difference(gap, percent), gap),
                Cell(notation.single(float(np.mean(best)), percent), float(np.mean(best)))
                if best
                else Cell(notation.NONE, math.nan),
                Cell("baseline", math.nan) if c is None else decimal(c.correlation),
                share(noise.share, note="" if math.isnan(noise.p) else f"p {_p(noise.p)}"),
                count(finals.get(name, 0), mark=BAD if finals.get(name) else ""),
            ]
        )
    columns = [
        "Method", "Sd over seeds", "Worst seed", "Train minus test", "Test, best weights",
        f"Correlation with {shown(summary.baseline)}",
        "Variance between studies", "Diverged",
    ]  # fmt: skip
    return Table(f"robustness-{shown(task)}", f"{summary.tasks[task].title}: spread and overfitting", columns, rows)


def _train_and_test(summary: Summary, task: str, name: str) -> tuple[float, float]:
    """Mean train and test metric with the last weights, over the seeds that did not diverge; nan where all did."""
    pairs = [
        (r.train_metric, r.test_metric)
        for r in summary.result.records[task, name]
        if r.train_metric is not None and r.test_metric is not None and not r.diverged
    ]
    train, test = np.mean(pairs, axis=0) if pairs else (math.nan, math.nan)
    return float(train), float(test)


def _seeds_chart(summary: Summary, task: str) -> Chart:
    title = f"{summary.tasks[task].title}: test scores of the seeds"
    return Chart(title, partial(_draw_seeds, summary, task, title))


def _draw_seeds(summary: Summary, task: str, title: str) -> Figure:
    info = summary.tasks[task]
    scale = 100 if info.percent else 1
    scores = {name: (scale * summary.scores(task, name)).tolist() for name in summary.order}
    diverged = {name: [r.diverged for r in summary.result.records[task, name]] for name in summary.order}
    label = f"{info.metric}{', %' if info.percent else ''}"
    return charts.seed_scores(scores, charts.styles(summary.result.methods), title, x_label=label, diverged=diverged)


def _gap_chart(summary: Summary, task: str) -> Chart:
    title = f"{summary.tasks[task].title}: from train to test"
    return Chart(title, partial(_draw_gaps, summary, task, title))


def _draw_gaps(summary: Summary, task: str, title: str) -> Figure:
    info = summary.tasks[task]
    scale = 100 if info.percent else 1
    pairs = {}
    for name in summary.order:
        train, test = _train_and_test(summary, task, name)
        pairs[name] = (scale * train, scale * test)
    label = f"{info.metric}{', %' if info.percent else ''}"
    return charts.gaps(pairs, charts.styles(summary.result.methods), title, x_label=label)


def _scatter_chart(summary: Summary, task: str) -> Chart:
    title = f"{summary.tasks[task].title}: seeds against those of {shown(summary.baseline)}"
    return Chart(title, partial(_draw_scatter, summary, task, title))


def _draw_scatter(summary: Summary, task: str, title: str) -> Figure:
    scale = 100 if summary.tasks[task].percent else 1
    names = [name for name in summary.order if name != summary.baseline][:PANELS]
    correlations = {name: summary.comparisons[task, name].correlation for name in names}
    return charts.seed_scatter(
        (scale * summary.scores(task, summary.baseline)).tolist(),
        {name: (scale * summary.scores(task, name)).tolist() for name in names},
        charts.styles(summary.result.methods),
        title,
        baseline_label=shown(summary.baseline),
        notes={name: f"ρ = {notation.fixed(rho)}" for name, rho in correlations.items() if not math.isnan(rho)},
    )


def _interval(low: float, high: float) -> str:
    return f"[{notation.fixed(low)}, {notation.fixed(high)}]"


def _p(p: float) -> str:
    text = notation.p_value(p)
    return text if text.startswith("<") else f"= {text}"


def _notes() -> list[str]:
    return [
        "Train minus test: with the last weights, of the seeds that did not diverge. Test, best weights: with those "
        "of lowest validation loss instead of the last. Variance between studies: how much of the variance over "
        "seeds lies between the settings that independent tunings chose; where it is large, another tuning might "
        "give another verdict. ρ is the correlation with the baseline over seeds."
    ]
