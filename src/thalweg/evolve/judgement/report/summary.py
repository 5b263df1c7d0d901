"""An evolution in a few lines, as the terminal shows it."""

from __future__ import annotations

from collections.abc import Iterable

from thalweg.evolve.judgement.report.data import Compared, EvolutionReport
from thalweg.evolve.judgement.report.sections import reported
from thalweg.race import notation

LINES, WIDTH = 25, 100
_MOST = 4  # comparisons of a kind


def text_summary(report: EvolutionReport) -> str:
    """At most 25 lines: the equations, what they are near to, the score, the funnel, the verdicts."""
    lines = [report.title]
    if (best := report.best) is not None:
        equations = best.equations.splitlines()
        lines += [f"  {line}" for line in equations[:8]] + ["  ..."] * (len(equations) > 8)
        lines += [f"  with {best.settings}"] if best.settings else []
        lines += [report.nearest] if report.nearest else []
        lines += [reported(report, best.score)] if best.score is not None else []
    if report.funnel:
        lines.append("; ".join(f"{stage.name} {stage.count:,}" for stage in report.funnel))
    for title, rows in (("controls", report.controls), ("race", report.race), ("other tasks", report.away)):
        lines += _compared(report, title, rows)
    return "\n".join(_short(line) for line in lines[:LINES])


def _compared(report: EvolutionReport, title: str, rows: Iterable[Compared]) -> list[str]:
    lines = []
    for one in list(rows)[:_MOST]:
        difference = notation.difference(one.difference, report.percent)
        ends = notation.interval(one.low, one.high, report.percent)
        name = f"{one.label} on {one.task}" if one.task else one.label
        lines.append(f"{title}: {one.verdict} than {name}" if one.verdict in ("better", "worse") else
                     f"{title}: {one.verdict} against {name}")  # fmt: skip
        lines[-1] += f", {difference} {ends}"
    return lines


def _short(line: str) -> str:
    printable = "".join(letter if letter.isprintable() else "·" for letter in line)
    return printable if len(printable) <= WIDTH else f"{printable[: WIDTH - 1]}…"
