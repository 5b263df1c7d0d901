"""The first page: what was compared, what came out, whether to believe it, and the line to paste."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
from matplotlib.figure import Figure

from thalweg.names import shown
from thalweg.race import charts, notation, paste, sentences
from thalweg.race.notation import plural
from thalweg.race.paste import Recommendation
from thalweg.race.report.provenance import unclean
from thalweg.race.report.section import Chart
from thalweg.race.report.table import BAD, GOOD
from thalweg.race.statistics import Comparison
from thalweg.race.summary import Summary

LIMIT = 3.0  # margins from which on a difference has its full colour
SIGNS = {"better": "▲", "worse": "▼", "equivalent": "=", "undecided": ""}


@dataclass(frozen=True)
class Light:
    """Whether one thing that has to hold does: green (GOOD), red (BAD) or, where it only wants attention, neither."""

    name: str
    answer: str
    mark: str = ""
    why: str = ""


@dataclass(frozen=True)
class Line:
    """What is said of one method; the colour is that of its style in the charts."""

    method: str
    colour: int
    text: str


@dataclass(frozen=True)
class VerdictPage:
    """All that the first page says."""

    compared: str
    headline: str
    endpoint: str
    lines: tuple[Line, ...]
    lights: tuple[Light, ...]
    chart: Chart | None
    recommendation: Recommendation


def verdict_page(summary: Summary) -> VerdictPage:
    drawn = charts.styles(summary.result.methods)
    ranked = [name for name in summary.order if name != summary.baseline] if summary.has_finals else []
    return VerdictPage(
        sentences.compared(summary),
        sentences.headline(summary) if summary.has_finals else "",
        sentences.endpoint(summary) if summary.has_finals else "",
        tuple(Line(shown(name), drawn[name].colour, sentences.of_method(summary, name)) for name in ranked),
        tuple(lights(summary)),
        heat_map(summary) if ranked else None,
        paste.recommend(summary),
    )


def lights(summary: Summary) -> list[Light]:
    """The traffic lights, worked out from the records."""
    fair, protocol = summary.fairness, summary.result.protocol
    found = []
    if summary.has_finals:
        if fair.unpaired:
            why = f"{plural(len(fair.unpaired), 'seed')} with other data, initial weights or batch order"
            found.append(Light("Paired", "NO", BAD, why))
        else:
            found.append(Light("Paired", "yes", GOOD, "data, initial weights and batch order have equal hashes"))
    if len(fair.budgets) > 1:
        found.append(Light("Same tuning budget", "NO", BAD, "methods had different numbers of settings or trials"))
    else:
        ((settings, trials),) = fair.budgets
        why = f"{plural(settings, 'setting')} in {plural(trials, 'trial')} for each method on each task"
        found.append(Light("Same tuning budget", "yes", GOOD, why))
    if summary.has_finals:
        enough = f"better or worse takes {fair.fewest_seeds} at least with {plural(len(summary.methods), 'method')}"
        found.append(
            Light("Enough seeds", f"yes, {protocol.seeds}", GOOD, enough)
            if fair.can_decide
            else Light("Enough seeds", f"NO, {protocol.seeds}", BAD, f"no inference on differences: {enough}")
        )
        once = Light("Test read once", "yes", GOOD, "after the last epoch of final trials; tuning never had it")
        found.append(once if fair.read_test_once else Light("Test read once", "NO", BAD, "see the records"))
    finals, tuning = (sum(getattr(d, name) for d in fair.divergences) for name in ("final", "tuning"))
    if finals:
        found.append(Light("Divergences", f"{finals} final", BAD, "they score the worst; see robustness"))
    else:
        found.append(Light("Divergences", "none in final trials", GOOD, f"{tuning} in tuning" if tuning else ""))
    edges = len(fair.edges)
    why = "a wider search space might serve those methods better" if edges else "all chosen values lie inside"
    found.append(Light("Edges of search spaces hit", str(edges) if edges else "none", "" if edges else GOOD, why))
    dirty = unclean(summary.result.manifest)
    found.append(
        Light("Clean code", "NO", "", dirty) if dirty else Light("Clean code", "yes", GOOD, "no uncommitted changes")
    )
    return found


def heat_map(summary: Summary) -> Chart:
    """Differences to the baseline, tasks by methods."""
    title = f"Difference to {shown(summary.baseline)}"
    caption = (
        "▲ better, ▼ worse, = equivalent, no sign: undecided. In points where scores are in per cent. Colour: in "
        "margins of the task."
    )
    return Chart(title, partial(_draw, summary, title), caption)


def _draw(summary: Summary, title: str) -> Figure:
    names = [name for name in summary.order if name != summary.baseline]
    values, texts = [], []
    for task, info in summary.tasks.items():
        ones = [summary.comparisons[task, name] for name in names]
        unit = summary.margin(task) or max((abs(c.difference) for c in ones), default=1.0) / LIMIT or 1.0
        values.append([c.difference / unit for c in ones])
        texts.append([_short(c, info.percent) for c in ones])
    rows = [info.title for info in summary.tasks.values()]
    return charts.heat_map(
        np.array(values), rows, [shown(name) for name in names], title, texts=texts, diverging=True, limit=LIMIT
    )


def _short(c: Comparison, percent: bool) -> str:
    """A difference in few characters: the sign of a decided one is in its triangle."""
    difference = abs(c.difference) if c.verdict in ("better", "worse") else c.difference
    text = f"{100 * difference:.1f}" if percent else f"{difference:.2g}".replace("0.", ".", 1)
    return SIGNS[c.verdict] + text.replace("-", notation.MINUS)
