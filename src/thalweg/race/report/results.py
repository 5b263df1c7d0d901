"""The results: scores, differences to the baseline, and the plain methods that published ones reduce to."""

from __future__ import annotations

import math

import numpy as np

from thalweg.names import shown
from thalweg.race import charts, notation, sentences, statistics
from thalweg.race.report.section import FOLD_ABOVE, Chart, Part, Section
from thalweg.race.report.table import BAD, GOOD, SOFT, Cell, Table, count, decimal, p_value, share
from thalweg.race.statistics import Comparison
from thalweg.race.summary import Summary

MARKS = {"better": GOOD, "worse": BAD, "equivalent": "", "undecided": SOFT}


def results(summary: Summary) -> Section:
    """Every score, beside those of no training and of a constant answer."""
    few = len(summary.tasks) <= FOLD_ABOVE
    per_task = [
        Part(
            title=summary.tasks[task].title,
            charts=[forest(summary, task)] if summary.others else [],
            tables=[task_table(summary, task)],
            folded=not few,
        )
        for task in summary.tasks
    ]
    return Section("results", "Results", [Part(tables=[overview(summary)], notes=_legend(summary)), *per_task])


def overview(summary: Summary) -> Table:
    """Methods by tasks: mean and standard deviation, with the verdict against the baseline."""
    rows = []
    for name in summary.order:
        cells = [Cell(shown(name))]
        for task, info in summary.tasks.items():
            best = summary.best[task]
            mean, sd = summary.means[task, name], summary.sds[task, name]
            verdict = "baseline" if name == summary.baseline else summary.comparisons[task, name].verdict
            note = f"{verdict}; best, {_against_next(best.comparison)}" if best.method == name else verdict
            text = notation.score(mean, sd, info.percent)
            cells.append(Cell(text, mean, note, MARKS.get(verdict, ""), bold=best.method == name and best.bold))
        cells.append(Cell(f"{summary.mean_rank(name):.1f}", summary.mean_rank(name)))
        rows.append(cells)
    fixed = [
        [Cell(label), *(_reference(summary, task, field) for task in summary.tasks), Cell("")]
        for label, field in (("constant answer", "constant_metric"), ("untrained network", "untrained_metric"))
    ]
    columns = ["Method", *(f"{t.title} ({unit(summary, t.name)})" for t in summary.result.tasks), "Mean rank"]
    return Table("results", "Test scores, mean ± standard deviation over seeds", columns, rows, fixed)


def unit(summary: Summary, task: str) -> str:
    """What a task's scores are counted in."""
    info = summary.tasks[task]
    return f"{info.metric}, %" if info.percent else info.metric


def task_table(summary: Summary, task: str) -> Table:
    """All figures of one task."""
    info, margin = summary.tasks[task], summary.margin(task)
    percent = info.percent
    finals = {d.method: d.final for d in summary.fairness.divergences if d.task == task}
    rows = []
    for name in sorted(summary.methods, key=lambda name: -round(summary.means[task, name], 12)):
        scores = summary.scores(task, name)
        middle = statistics.iqm(scores)
        low, high = _iqm_interval(scores)
        c = summary.comparisons.get((task, name))
        rows.append(
            [
                Cell(shown(name)),
                Cell(
                    notation.score(summary.means[task, name], summary.sds[task, name], percent),
                    summary.means[task, name],
                ),
                Cell(
                    notation.single(float(middle), percent), float(middle), notation.scores_interval(low, high, percent)
                ),
                *_difference(c, percent),
                _verdict(c),
                count(len(scores)),
                count(finals.get(name, 0), mark=BAD if finals.get(name) else ""),
            ]
        )
    fixed = [
        [Cell(label), _reference(summary, task, field), *[Cell("")] * 9]
        for label, field in (("constant answer", "constant_metric"), ("untrained network", "untrained_metric"))
    ]
    columns = [
        "Method", "Mean ± sd", "IQM [95 %]", f"Difference to {shown(summary.baseline)} [95 %]", "p (Holm)",
        "P(better)",
        "Cliff's δ", "Hedges' g", "Verdict", "Seeds", "Diverged",
    ]  # fmt: skip
    margin_text = f"{notation.magnitude(margin, percent)}{' points' if percent else ''}"
    caption = f"{info.title}: {unit(summary, task)}, margin {margin_text}"
    return Table(f"results-{shown(task)}", caption, columns, rows, fixed)


def ablations(summary: Summary) -> Section | None:
    """Each published method beside the plain one that it reduces to; None where the race has no such pair."""
    if not summary.ablations:
        return None
    rows = []
    for one in summary.ablations:
        percent = summary.tasks[one.task].percent
        difference, p, probability, *_ = _difference(one.comparison, percent)
        rows.append(
            [
                Cell(shown(one.method)), Cell(shown(one.plain)), Cell(summary.tasks[one.task].title), difference, p,
                probability, _verdict(one.comparison),
            ]
        )  # fmt: skip
    columns = ["Published", "Plain form", "Task", "Difference [95 %]", "p (Holm)", "P(better)", "Verdict"]
    table = Table("ablations", "Published methods against their plain forms", columns, rows)
    drawn = [ablation_chart(summary, *pair) for pair in ablation_pairs(summary)]
    text = (
        "A published method is raced with the plain method that it reduces to. Where the two are equivalent or "
        "undecided, the published idea was not shown to add anything here. Differences are published minus plain; "
        "Holm's correction is over all lines of the table."
    )
    return Section(
        "ablations", "Does the published idea add anything?", [Part(texts=[text], charts=drawn, tables=[table])]
    )


def ablation_pairs(summary: Summary) -> list[tuple[str, str]]:
    """Published methods with each of their plain forms in the race."""
    return list(dict.fromkeys((one.method, one.plain) for one in summary.ablations))


def ablation_chart(summary: Summary, method: str, plain: str) -> Chart:
    """A row a task."""
    title = f"{shown(method)} minus {shown(plain)}"
    ones = [one for one in summary.ablations if (one.method, one.plain) == (method, plain)]
    rows = [_row(summary, one.task, summary.tasks[one.task].title, one.comparison, relative=True) for one in ones]
    return Chart(title, lambda: charts.differences(rows, title, x_label=_relative_label(summary)))


def forest(summary: Summary, task: str) -> Chart:
    """Each method's difference to the baseline on a task."""
    title = f"{summary.tasks[task].title}: difference to {shown(summary.baseline)}"
    names = [name for name in summary.order if name != summary.baseline]
    rows = [_row(summary, task, shown(name), summary.comparisons[task, name], relative=False) for name in names]
    label = f"difference in {'points of ' if summary.tasks[task].percent else ''}{summary.tasks[task].metric}"
    return Chart(title, lambda: charts.differences(rows, title, x_label=label))


def _row(summary: Summary, task: str, label: str, c: Comparison, *, relative: bool) -> charts.Difference:
    """`relative`: tasks of several metrics share an axis only in margins."""
    scale = 100.0 if summary.tasks[task].percent else 1.0
    if relative and _mixed(summary):
        scale = 1 / c.margin if c.margin else math.nan
    return charts.Difference(
        label, scale * c.difference, scale * c.low, scale * c.high, c.verdict, scale * c.margin if c.margin else None
    )


def _mixed(summary: Summary) -> bool:
    return len({task.percent for task in summary.result.tasks}) > 1 or not summary.result.tasks[0].percent


def _relative_label(summary: Summary) -> str:
    return "difference in margins of the task" if _mixed(summary) else "difference in points"


def _difference(c: Comparison | None, percent: bool) -> list[Cell]:
    if c is None:
        return [Cell("baseline", math.nan), *[Cell("")] * 4]
    return [
        Cell(notation.difference(c.difference, percent), c.difference, notation.interval(c.low, c.high, percent)),
        p_value(c.p),
        share(c.probability),
        decimal(c.cliff),
        decimal(c.hedges),
    ]


def _verdict(c: Comparison | None) -> Cell:
    if c is None:
        return Cell("")
    needs = sentences.needed(c).strip(" ()") if c.needed is not None else ""
    return Cell(c.verdict, None, needs, MARKS[c.verdict])


def _against_next(c: Comparison | None) -> str:
    if c is None:
        return "alone"
    return {"better": "ahead of the next", "equivalent": "equivalent to the next"}.get(c.verdict, "next undecided")


def _reference(summary: Summary, task: str, field: str) -> Cell:
    mean, sd = summary.reference(task, field)
    return Cell(notation.score(mean, sd, summary.tasks[task].percent), mean)


def _iqm_interval(scores: np.ndarray) -> tuple[float, float]:
    """Nothing below six seeds: resampling so few cannot cover."""
    if len(scores) < 6:
        return math.nan, math.nan
    found = statistics.interquartile_means(scores[None, None, :])
    return float(found.low[0]), float(found.high[0])


def _legend(summary: Summary) -> list[str]:
    seeds = notation.plural(summary.result.protocol.seeds, "seed")
    notes = [
        f"Over {seeds}. Bold: the best mean on its task, unless it is equivalent to the next; below it stands whether "
        "it was told apart from the next. Click a column's head to sort by it.",
        "Constant answer: the most frequent class, or the mean of the targets, of the training part. Untrained "
        "network: the initial weights. Diverged trials (loss not finite) score the task's worst and are never left "
        "out.",
    ]
    if not summary.fairness.can_decide:
        notes.append(
            f"With {seeds} and {notation.plural(len(summary.methods), 'method')} no difference, however large, could "
            f"reach p < 0.05: {summary.fairness.fewest_seeds} seeds would be the fewest."
        )
    return notes
