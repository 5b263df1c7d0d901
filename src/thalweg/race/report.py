"""The report of a race: one HTML file that needs no network."""

import math
import os
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import jinja2
from markupsafe import Markup

from thalweg.files import write_atomically
from thalweg.names import shown
from thalweg.race import charts
from thalweg.race.races import RaceResult
from thalweg.race.record import Value
from thalweg.race.summary import Score, Summary
from thalweg.tasks import Task

PACKAGES = ("thalweg", "torch", "numba", "numpy", "scipy", "scikit-learn")


def write_report(result: RaceResult, path: Path, command: str | None = None) -> None:
    """Writes the report, whole or not at all; `command` is shown as what to run to get it again.

    The same records give the same bytes on the same machine. Raises OSError if the file cannot be written.
    """
    write_atomically(path, report_html(result, command))


def report_html(result: RaceResult, command: str | None = None) -> str:
    """The report as a string."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"shown": shown, "percent": percent, "points": points, "p": p_value, "value": value}
    summary = Summary(result)
    return environment.get_template("report.html.jinja").render(
        summary=summary,
        result=result,
        protocol=result.protocol,
        task_titles={task.name: task.title for task in result.tasks},
        findings=[finding(summary, task) for task in result.tasks],
        curves=[_curves(result, task) for task in result.tasks],
        packages={name: version(name) for name in PACKAGES},
        machine=machine(),
        command=command,
    )


def finding(summary: Summary, task: Task) -> str:
    """One sentence on who was best on a task, and which others were worse."""
    by_verdict: dict[str, list[str]] = {"best": [], "undecided": [], "worse": []}
    for row in summary.rows:
        by_verdict[row.scores[task.name].verdict].append(shown(row.method))
    highest = max(row.scores[task.name].mean for row in summary.rows)
    best = by_verdict["best"]
    sentences = [f"{', '.join(best)} {'has' if len(best) == 1 else 'have'} the highest mean, {100 * highest:.1f} %."]
    if by_verdict["worse"]:
        sentences.append(f"Worse: {', '.join(by_verdict['worse'])}.")
        if by_verdict["undecided"]:
            sentences.append(f"Not told apart from the best: {', '.join(by_verdict['undecided'])}.")
    elif by_verdict["undecided"]:
        sentences.append("No other can be told apart from it.")
    return " ".join(sentences)


def percent(score: Score) -> str:
    """A score in per cent: "96.4 ± 1.2"."""
    return f"{100 * score.mean:.1f}" + ("" if math.isnan(score.sd) else f" ± {100 * score.sd:.1f}")


def points(difference: float) -> str:
    """A difference of accuracies in percentage points, with its sign."""
    text = f"{100 * difference:+.2f}"
    return "0.00" if text in ("+0.00", "-0.00") else text.replace("-", "−")


def p_value(p: float) -> str:
    """A p value to three places."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def value(number: Value) -> str:
    """A hyperparameter to three significant figures."""
    return f"({', '.join(f'{v:.3g}' for v in number)})" if isinstance(number, tuple) else f"{number:.3g}"


def machine() -> str:
    """This machine in words."""
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs, Python {platform.python_version()}"


def _curves(result: RaceResult, task: Task) -> Sequence[Markup]:
    drawn = charts.styles(result.methods)
    records = {method.name: result.records[task.name, method.name] for method in result.methods}
    return [
        Markup(charts.train_loss_chart(records, drawn, task.title)),
        Markup(charts.validation_accuracy_chart(records, drawn, task.title)),
    ]
