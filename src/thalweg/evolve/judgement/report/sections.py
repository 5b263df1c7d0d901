"""The sections of the page, each from its own data; one without data is None."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from thalweg.evolve.judgement.report import figures
from thalweg.evolve.judgement.report.data import Best, Compared, EvolutionReport
from thalweg.evolve.judgement.retest import Retest
from thalweg.race import charts, notation
from thalweg.race.charts.style import Style
from thalweg.race.report.results import MARKS
from thalweg.race.report.section import Chart, Part, Section
from thalweg.race.report.table import Cell, Table, count


def sections(report: EvolutionReport) -> list[Section]:
    """Those that have something to show, in the order of the page."""
    makers: list[Callable[[EvolutionReport], Section | None]] = [
        found, fitness, funnel, front, lineage, finalists, ablations, controls, race, away, settings,
    ]  # fmt: skip
    return [section for make in makers if (section := make(report)) is not None]


def found(report: EvolutionReport) -> Section | None:
    """The winner: its equations, what it is near to, how it answers to a gradient."""
    best = report.best
    if best is None:
        return None
    texts = [report.nearest[:1].upper() + report.nearest[1:] + "."] if report.nearest else []
    if best.score is not None:
        texts.append(reported(report, best.score))
    code = best.equations + (f"\n# {best.settings}" if best.settings else "")
    title = "Response: how far a weight moves against its gradient"
    chart = Chart(title, lambda: figures.response(best.response, title), "Reductions over a tensor are held at 1.")
    parts = [Part(code=code, after=texts, charts=[chart] if drawable(best) else [])]
    parts.append(Part(title="LaTeX", code=best.latex, folded=True))
    return Section("found", "What was found", parts)


def drawable(best: Best) -> bool:
    """Whether any point of the response is finite."""
    return any(abs(value) < 1e300 for value in (*best.response.first, *best.response.held))


def reported(report: EvolutionReport, score: Retest) -> str:
    """The score of the winner in a sentence."""
    unit = " %" if report.percent else ""
    mean = notation.single(score.mean, report.percent)
    ends = notation.scores_interval(score.low, score.high, report.percent)
    return f"Its {report.metric} is {mean}{unit} {ends}, over {score.n} seeds that had no part in choosing it."


def fitness(report: EvolutionReport) -> Section | None:
    """Scores over the candidates generated."""
    if not report.history:
        return None
    title = f"{report.metric.capitalize()} over the candidates generated"
    chart = Chart(title, lambda: figures.fitness(report.history, title, _unit(report), _scale(report)))
    rows = [
        [
            Cell(str(b.batch), b.batch),
            count(b.candidates),
            _score(report, b.best),
            count(b.seeds),
            _score(report, b.mean),
        ]
        for b in report.history
    ]
    columns = ["Batch", "Candidates", "Best", "Seeds", "Mean"]
    table = Table("fitness", f"After each batch, {_unit(report)}", columns, rows)
    note = (
        "The best is the mean over the seeds that the table says. Of many noisy scores the best is too high all the "
        "same: what the winner is worth, fresh seeds say below."
    )
    some = any(abs(value) < 1e300 for b in report.history for value in (b.best, b.mean))
    parts = [Part(charts=[chart] if some else [], notes=[note]), Part(title="Batches", tables=[table], folded=True)]
    return Section("fitness", "Fitness over time", parts)


def funnel(report: EvolutionReport) -> Section | None:
    """Where candidates were stopped, and what that cost."""
    if not report.funnel and not report.refusals and report.hurdle is None:
        return None
    title = "Candidates that came to each stage"
    charted = [Chart(title, lambda: figures.funnel(report.funnel, title))] if report.funnel else []
    tables = []
    if report.refusals:
        rows = [[Cell(one.name, wide=True), count(one.count)] for one in report.refusals]
        tables.append(Table("refusals", "Refused, by reason", ["Reason", "Candidates"], rows))
    texts = []
    if (hurdle := report.hurdle) is not None:
        ends = f"{100 * hurdle.low:.3g} to {100 * hurdle.high:.3g} %"
        texts.append(
            f"Of {notation.plural(hurdle.viable, 'viable candidate')} in the control stream, which passes no hurdle, "
            f"the hurdles would have lost {hurdle.lost:,}: {100 * hurdle.share:.3g} %, 95 % interval {ends}."
        )
    return Section("funnel", "Funnel", [Part(texts=texts, charts=charted, tables=tables)])


def front(report: EvolutionReport) -> Section | None:
    """Score against size."""
    if not report.front:
        return None
    title = f"{report.metric.capitalize()} against size"
    chart = Chart(title, lambda: figures.front(report.front, title, _unit(report), _scale(report)))
    rows = [
        [Cell(str(p.size), p.size), _score(report, p.score), Cell(p.equations, code=True, wide=True)]
        for p in sorted(report.front, key=lambda point: point.size)
    ]
    table = Table(
        "front", "Rules that none is both smaller and better than", ["Size", _unit(report), "Equations"], rows
    )
    return Section("front", "Accuracy against complexity", [Part(charts=[chart], tables=[table])])


def lineage(report: EvolutionReport) -> Section | None:
    """The winner's line of descent."""
    if not report.lineage:
        return None
    title = "The line of descent"
    chart = Chart(title, lambda: figures.lineage(report.lineage, title, _unit(report), _scale(report)))
    rows = [
        [
            Cell(str(b.id), b.id), count(b.born), Cell(b.operation), Cell(", ".join(map(str, b.parents))),
            _score(report, b.score), Cell(b.equations, code=True, wide=True),
        ]
        for b in report.lineage
    ]  # fmt: skip
    columns = ["Candidate", "Batch", "By", "Parents", _unit(report), "Equations"]
    table = Table("lineage", "From the founder to the winner", columns, rows)
    return Section("lineage", "Lineage", [Part(charts=[chart], tables=[table])])


def finalists(report: EvolutionReport) -> Section | None:
    """Re-tests of the finalists on fresh seeds."""
    if not report.finalists:
        return None
    title = f"Re-tests: {_unit(report)}, mean and 95 % interval"
    scale = _scale(report)
    drawn = {figures.printable(one.name): Style(0 if one.chosen else 8, 0) for one in report.finalists}
    intervals = {
        figures.printable(one.name): charts.Interval(
            scale * one.retest.mean, scale * one.retest.low, scale * one.retest.high
        )
        for one in report.finalists
    }
    chart = Chart(title, lambda: charts.intervals(intervals, drawn, title, x_label=_unit(report)))
    rows = [
        [
            Cell(one.name, note="chosen" if one.chosen else ""), _score(report, one.retest.mean, bold=one.chosen),
            Cell(notation.scores_interval(one.retest.low, one.retest.high, report.percent)), count(one.retest.n),
            Cell(one.equations, code=True, wide=True),
        ]
        for one in report.finalists
    ]  # fmt: skip
    table = Table("retests", title, ["Finalist", "Mean", "95 % interval", "Seeds", "Equations"], rows)
    note = "The winner was chosen on other seeds than these, or a lucky one might have won."
    return Section("retests", "Finalists on fresh seeds", [Part(charts=[chart], tables=[table], notes=[note])])


def ablations(report: EvolutionReport) -> Section | None:
    """What each part of the winner is good for."""
    text = "The rule less one part, minus the rule as it is: where that is worse, the part is needed."
    return _compared(report, "ablations", "What each part is good for", "Left out", text, report.ablations)


def controls(report: EvolutionReport) -> Section | None:
    """Evolution against what needs none of it."""
    text = "The winner minus what the control found at equal compute."
    return _compared(report, "controls", "Against random and hyperparameter search", "Control", text, report.controls)


def race(report: EvolutionReport) -> Section | None:
    """The winner against tuned optimizers at home."""
    text = "The winner minus each optimizer, tuned on the same task, over paired seeds."
    return _compared(report, "race", "Against tuned optimizers", "Optimizer", text, report.race)


def away(report: EvolutionReport) -> Section | None:
    """The same on tasks that no fitness has seen."""
    text = "The winner minus each optimizer on tasks that evolution never saw."
    return _compared(report, "away", "On other tasks", "Optimizer", text, report.away)


def settings(report: EvolutionReport) -> Section | None:
    """With what evolution was run."""
    if not report.settings:
        return None
    rows = [[Cell(name), Cell(value, wide=True)] for name, value in report.settings]
    return Section("settings", "Settings", [Part(tables=[Table("settings", "Settings", ["Setting", "Value"], rows)])])


def _compared(
    report: EvolutionReport, name: str, title: str, what: str, text: str, compared: Sequence[Compared]
) -> Section | None:
    if not compared:
        return None
    percent, scale = report.percent, _scale(report)
    several = any(one.task for one in compared)
    rows = []
    for one in compared:
        cells = [Cell(one.label), *([Cell(one.task)] if several else [])]
        cells += [_score(report, one.ours), _score(report, one.theirs)]
        ends = notation.interval(one.low, one.high, percent)
        cells += [Cell(notation.difference(one.difference, percent), one.difference, ends), count(one.n)]
        rows.append([*cells, Cell(one.verdict, mark=MARKS[one.verdict])])
    columns = [what, *(["Task"] if several else []), "Ours", "Theirs", "Difference [95 %]", "Seeds", "Verdict"]
    drawn = [
        charts.Difference(
            figures.printable(one.label),
            scale * one.difference,
            scale * one.low,
            scale * one.high,
            one.verdict,
            group=figures.printable(one.task),
        )
        for one in compared
    ]
    label = f"difference in {'points of ' if percent else ''}{report.metric}"
    chart = Chart(title, lambda: charts.differences(drawn, title, x_label=label))
    return Section(name, title, [Part(texts=[text], charts=[chart], tables=[Table(name, title, columns, rows)])])


def _score(report: EvolutionReport, value: float, *, bold: bool = False) -> Cell:
    text = notation.number(value) if math.isinf(value) else notation.single(value, report.percent)
    return Cell(text, value, bold=bold)


def _scale(report: EvolutionReport) -> float:
    return 100.0 if report.percent else 1.0


def _unit(report: EvolutionReport) -> str:
    return f"{report.metric}, %" if report.percent else report.metric
