"""A race in a few lines of text: the terminal's table, and what stands below it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from thalweg.names import shown
from thalweg.race import notation, sentences, spending
from thalweg.race.summary import VERDICTS, Summary

WIDE_TASKS = 4  # with more, a line a method would not fit 80 columns
MARKS = {"better": "+", "worse": "-", "equivalent": "=", "undecided": "?"}


@dataclass(frozen=True)
class TextTable:
    """Columns with their titles, rows of texts, and which rows are no methods. Numbers are set to the right."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    references: tuple[tuple[str, ...], ...] = ()

    def __str__(self) -> str:
        lines = [self.columns, *self.rows, *self.references]
        widths = [max(len(line[place]) for line in lines) for place in range(len(self.columns))]
        return "\n".join([self.title, *(" ".join(map(_padded, line, widths, range(99))).rstrip() for line in lines)])


def _padded(text: str, width: int, place: int) -> str:
    return text.rjust(width) if place else text.ljust(width)


def table(summary: Summary) -> TextTable:
    """A line a method: its score on each task with the verdict, or on many tasks how often each verdict was given."""
    if not summary.has_finals:
        return _of_tuning(summary)
    return _wide(summary) if len(summary.tasks) <= WIDE_TASKS else _long(summary)


def _wide(summary: Summary) -> TextTable:
    rows = []
    for name in summary.order:
        cells = []
        for task, info in summary.tasks.items():
            score = notation.score(summary.means[task, name], summary.sds[task, name], info.percent).replace(" ", "")
            c = summary.comparisons.get((task, name))
            cells.append(f"{score} {MARKS[c.verdict] if c else ' '}")
        rows.append((shown(name), *cells, f"{summary.mean_rank(name):.1f}", _overhead(summary, name)))
    units = {info.metric + (", %" if info.percent else "") for info in summary.tasks.values()}
    title = (
        f"Test {notation.listed(sorted(units))}: mean±sd over {notation.plural(summary.result.protocol.seeds, 'seed')}"
    )
    columns = ("method", *(f"{shown(task)}  " for task in summary.tasks), "rank", "s/step")
    return TextTable(title, columns, tuple(rows), (_constant(summary),))


def _constant(summary: Summary) -> tuple[str, ...]:
    scores = []
    for task, info in summary.tasks.items():
        mean, sd = summary.reference(task, "constant_metric")
        scores.append(notation.score(mean, sd, info.percent).replace(" ", "") + "  ")
    return ("constant answer", *scores, "", "")


def _long(summary: Summary) -> TextTable:
    rows = []
    for name in summary.order:
        counts = ["baseline", "", "", ""]
        if name != summary.baseline:
            counts = [str(summary.counts(name)[verdict]) for verdict in VERDICTS]
        best = sum(best.method == name for best in summary.best.values())
        rows.append((shown(name), *counts, str(best), f"{summary.mean_rank(name):.1f}", _overhead(summary, name)))
    title = f"{len(summary.tasks)} tasks: how often each verdict was given against {shown(summary.baseline)}"
    return TextTable(title, ("method", *VERDICTS, "best", "rank", "s/step"), tuple(rows))


def _of_tuning(summary: Summary) -> TextTable:
    rows = []
    for name in summary.methods:
        cells = []
        for task, info in summary.tasks.items():
            scores = [study.chosen.score for study in summary.result.studies[task, name]]
            best = max(scores)
            cells.append("diverged" if math.isinf(best) else notation.single(best, info.percent))
        rows.append((shown(name), *cells))
    title = "Best validation score of the studies; no final trials were run"
    return TextTable(title, ("method", *map(shown, summary.tasks)), tuple(rows))


def _overhead(summary: Summary, name: str) -> str:
    value = spending.overhead(summary, name)
    if math.isnan(value) or spending.alone(summary, name):
        return notation.NONE
    return f"x{value:.2f}"


def notes(summary: Summary) -> str:
    """What the marks mean, the answer in a sentence, and all that a reader must be warned of."""
    lines = []
    fair = summary.fairness
    if summary.has_finals:
        lines += [sentences.headline(summary), *_legend(summary)]
        if not fair.can_decide:
            lines.append(f"Too few seeds for better or worse: {fair.fewest_seeds} would be the fewest.")
        if fair.unpaired:
            lines.append("NOT paired: the methods differed in data, initial weights or batch order.")
    if len(fair.budgets) > 1:
        lines.append("NOT the same budget: methods had different numbers of tuning trials.")
    if finals := [d for d in fair.divergences if d.final]:
        places = [f"{shown(d.method)} on {shown(d.task)} ({d.final} of {d.finals})" for d in finals]
        lines.append(f"Diverged in final trials: {_some(places)}.")
    if fair.edges:
        places = list(dict.fromkeys(f"{shown(e.method)} on {shown(e.task)}" for e in fair.edges))
        lines.append(f"Chosen at an edge of the search space: {_some(places)}.")
    return "\n".join(lines)


def _legend(summary: Summary) -> list[str]:
    cost = f"s/step: in those of {shown(spending.reference(summary))}."
    if len(summary.tasks) > WIDE_TASKS:
        return [f"rank: mean over the tasks, 1 the best. {cost} Every figure is in the report."]
    marks = f"+ better, - worse, = equivalent to {shown(summary.baseline)} (baseline); ? undecided."
    return [f"{marks} rank: mean over the tasks. {cost}"]


def _some(places: list[str], at_most: int = 5) -> str:
    """The first few of a list that may be long; the report has all."""
    if len(places) <= at_most:
        return "; ".join(places)
    return f"{'; '.join(places[:at_most])}; and {len(places) - at_most} more"
