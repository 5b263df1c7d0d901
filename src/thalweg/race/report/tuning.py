"""Tuning: what was searched, what was chosen, what it bought."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
from matplotlib.figure import Figure

from thalweg.names import shown
from thalweg.race import charts, notation, paste, statistics
from thalweg.race.record import Value
from thalweg.race.report.curves import standing_out
from thalweg.race.report.section import FOLD_ABOVE, Chart, Part, Section
from thalweg.race.report.table import BAD, GOOD, Cell, Table, count
from thalweg.race.result import Draw, MethodInfo, Study
from thalweg.race.spaces import Dimension, Float, Integer
from thalweg.race.summary import Summary

SEARCHES = 24  # parallel-coordinate charts in a report: more would weigh more than all the rest


def tuning(summary: Summary) -> Section:
    """Search spaces, chosen settings with edge warnings, and charts a task."""
    parts = [Part(tables=[_spaces(summary)], notes=_notes(summary)), _edges(summary)]
    for task, info in summary.tasks.items():
        drawings = [
            _best_so_far(summary, task),
            _expected_best(summary, task),
            _default_to_tuned(summary, task),
            *_searches(summary, task),
        ]
        folded = len(summary.tasks) > FOLD_ABOVE
        parts.append(Part(info.title, charts=drawings, tables=[chosen_table(summary, task)], folded=folded))
    return Section("tuning", "Tuning", parts)


def chosen_table(summary: Summary, task: str) -> Table:
    """What each study of each method chose, and the line to paste."""
    percent = summary.tasks[task].percent
    warned = {(e.method, e.warning) for e in summary.fairness.edges if e.task == task}
    rows = []
    for name, method in summary.methods.items():
        for study in summary.result.studies[task, name]:
            chosen, default = study.chosen, study.draws[0]
            is_default = chosen is default
            at_edge = [
                str(dimension)
                for dimension in method.space
                if not is_default and (name, dimension.edge_warning(chosen.hyperparameters)) in warned
            ]
            note = "published default" if is_default else f"at an edge: {', '.join(at_edge)}" if at_edge else ""
            gain = chosen.score - default.score
            rows.append(
                [
                    Cell(shown(name)),
                    count(study.index + 1),
                    Cell(_searched(method, chosen.hyperparameters), None, note, BAD if at_edge else ""),
                    score_cell(chosen.score, percent),
                    score_cell(default.score, percent),
                    Cell("default diverged", math.inf, mark=GOOD)
                    if math.isinf(gain)
                    else Cell(notation.difference(gain, percent), gain),
                    Cell(paste.optimizer_line(method, chosen.hyperparameters), code=True),
                ]
            )
    columns = ["Method", "Study", "Chosen", "Validation", "of the default", "Gain", "To paste"]
    return Table(f"chosen-{shown(task)}", f"{summary.tasks[task].title}: chosen settings", columns, rows)


def draw_scores(study: Study) -> list[float]:
    """The score of each draw on the study's own seed; minus infinity where it diverged."""
    return [_first_score(draw) for draw in study.draws]


def _first_score(draw: Draw) -> float:
    record = draw.records[0]
    return -math.inf if record.diverged else record.validation_metric[-1]


def _searched(method: MethodInfo, hyperparameters: Mapping[str, Value]) -> str:
    values = [f"{d} = {notation.setting(d.searched_value(hyperparameters))}" for d in method.space]
    return ", ".join(values) or "nothing is searched"


def score_cell(value: float, percent: bool) -> Cell:
    """A validation score, minus infinity where the draw diverged."""
    return Cell("diverged", value, mark=BAD) if math.isinf(value) else Cell(notation.single(value, percent), value)


def _spaces(summary: Summary) -> Table:
    rows = []
    for name, method in summary.methods.items():
        default = next(iter(summary.result.studies[t.name, name] for t in summary.result.tasks))[0].draws[0]
        for dimension in method.space:
            rows.append(
                [
                    Cell(shown(name)),
                    Cell(str(dimension)),
                    Cell(dimension.extent),
                    Cell(notation.setting(dimension.searched_value(default.hyperparameters))),
                ]
            )
    return Table("spaces", "Search spaces, the same for every task", ["Method", "Searched", "Range", "Default"], rows)


def _edges(summary: Summary) -> Part:
    edges = summary.fairness.edges
    if not edges:
        return Part(texts=["No chosen value lies within 5 % of an edge of its range."])
    rows = [
        [Cell(summary.tasks[e.task].title), Cell(shown(e.method)), Cell(e.warning), count(e.studies)] for e in edges
    ]
    text = (
        "These chosen values lie within 5 % of an edge of their range. A wider range might serve the method better: "
        "widen it for all and run again before believing that the method is worse."
    )
    table = Table("edges", "Chosen at an edge of the search space", ["Task", "Method", "Warning", "Studies"], rows)
    return Part(texts=[text], tables=[table])


def _best_so_far(summary: Summary, task: str) -> Chart:
    title = f"{summary.tasks[task].title}: best validation score so far"
    scale = 100 if summary.tasks[task].percent else 1

    def draw() -> Figure:
        curves = {
            name: [(scale * np.maximum.accumulate(draw_scores(study))).tolist() for study in studies]
            for name in summary.methods
            if (studies := summary.result.studies[task, name])
        }
        drawn = charts.styles(summary.result.methods)
        return charts.best_so_far(curves, drawn, title, highlight=standing_out(summary))

    return Chart(title, draw)


def _expected_best(summary: Summary, task: str) -> Chart:
    title = f"{summary.tasks[task].title}: best validation score to expect"

    def draw() -> Figure:
        scale = 100 if summary.tasks[task].percent else 1
        worst = lowest(summary, task)
        bands = {}
        for name in summary.methods:
            curves = [_expected(scores, scale) for scores in _finite_scores(summary, task, name, worst)]
            bands[name] = charts.Band(np.median(curves, 0), np.min(curves, 0), np.max(curves, 0))
        drawn = charts.styles(summary.result.methods)
        return charts.expected_best(bands, drawn, title, highlight=standing_out(summary))

    return Chart(title, draw, "Of random draws, after the default. Band: the studies.")


def _expected(scores: Sequence[float], scale: float) -> np.ndarray:
    """The first point is the default's."""
    if len(scores) == 1:
        return scale * np.array(scores)
    return scale * statistics.expected_best(scores[1:], scores[0])


def _finite_scores(summary: Summary, task: str, method: str, worst: float) -> list[list[float]]:
    """Of each study; a diverged draw has the worst."""
    return [[max(score, worst) for score in draw_scores(study)] for study in summary.result.studies[task, method]]


def lowest(summary: Summary, task: str) -> float:
    """The lowest validation metric that tuning saw on a task."""
    studies = (study for name in summary.methods for study in summary.result.studies[task, name])
    return min(min(draw.records[0].validation_metric) for study in studies for draw in study.draws)


def _default_to_tuned(summary: Summary, task: str) -> Chart:
    title = f"{summary.tasks[task].title}: from the default to the tuned setting"
    scale = 100 if summary.tasks[task].percent else 1

    def draw() -> Figure:
        pairs = {}
        for name in summary.order:
            studies = summary.result.studies[task, name]
            ends = [[scale * draw.score for draw in (study.draws[0], study.chosen)] for study in studies]
            default, tuned = np.median(ends, axis=0)
            pairs[name] = (float(default), float(tuned))
        drawn = charts.styles(summary.result.methods)
        return charts.gaps(pairs, drawn, title, ends=("default", "tuned"), x_label="validation score")

    return Chart(title, draw, "Median of the studies.")


def _searches(summary: Summary, task: str) -> list[Chart]:
    """All draws of a method's studies, where it has more than one dimension; the best-ranked methods if too many."""
    named = [name for name in summary.order if len(summary.methods[name].space) > 1]
    return [_search(summary, task, name) for name in named[: SEARCHES // len(summary.tasks)]]


def _search(summary: Summary, task: str, name: str) -> Chart:
    title = f"{summary.tasks[task].title}: settings tried by {shown(name)}"
    return Chart(title, partial(_draw_search, summary, task, name, title))


def _draw_search(summary: Summary, task: str, name: str, title: str) -> Figure:
    scale = 100 if summary.tasks[task].percent else 1
    studies = summary.result.studies[task, name]
    draws = [draw for study in studies for draw in study.draws]
    starts = np.cumsum([0, *(len(study.draws) for study in studies)])
    return charts.parallel_coordinates(
        [searched(dimension, draws) for dimension in summary.methods[name].space],
        [scale * _first_score(draw) for draw in draws],
        title,
        default=[int(start) for start in starts[:-1]],
        chosen=[
            int(start) + next(i for i, draw in enumerate(study.draws) if draw is study.chosen)
            for study, start in zip(studies, starts, strict=False)
        ],
    )


def searched(dimension: Dimension, draws: Sequence[Draw]) -> charts.Searched:
    """A dimension with its value in each draw, as charts take it."""
    values = [dimension.searched_value(draw.hyperparameters) for draw in draws]
    if isinstance(dimension, Float | Integer):
        numbers = [float(value) if isinstance(value, int | float) else None for value in values]
        return charts.Searched(str(dimension), numbers, dimension.log, dimension.low, dimension.high)
    return charts.Searched(str(dimension), [notation.setting(value) for value in values])


def _notes(summary: Summary) -> list[str]:
    protocol = summary.result.protocol
    repeated = (
        f"The {protocol.finalists} best of a study then ran on {notation.plural(protocol.repeats, 'further seed')}, "
        "and the best mean was chosen. "
        if protocol.finalists
        else ""
    )
    notes = [
        f"Each of {notation.plural(protocol.studies, 'study', 'studies')} of a method on a task tried "
        f"{notation.plural(protocol.draws, 'setting')} ({protocol.sampler}) on a split and seed of its own; the first "
        f"is the published default. {repeated}Final seeds take the choices of the studies in turn, so luck in tuning "
        "is in the verdicts. All hyperparameters that are not in the table stay as published."
    ]
    multi = [name for name, method in summary.methods.items() if len(method.space) > 1]
    drawn = SEARCHES // len(summary.tasks)
    if drawn < len(multi):
        what = f"the {drawn} of lowest mean rank are" if drawn else "none is"
        notes.append(
            f"Of {len(multi)} methods with several dimensions {what} drawn with all settings tried on each task."
        )
    return notes
