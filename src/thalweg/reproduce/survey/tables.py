"""The tables of the page: statements with their verdicts, and the numbers that these rest on."""

from __future__ import annotations

from collections.abc import Iterable

from thalweg.names import shown
from thalweg.race.report.table import SOFT, Cell, Table
from thalweg.reproduce.fair import verdict_table
from thalweg.reproduce.records import Records
from thalweg.reproduce.statements import statement_table
from thalweg.reproduce.survey.evidence import Evidence
from thalweg.reproduce.survey.networks import BASELINE
from thalweg.reproduce.survey.networks import TABLE as NETWORKS
from thalweg.reproduce.survey.statements import judged

NONE = "–"


def tables(records: Records) -> list[Table]:
    """All that the records have the figures of."""
    evidence = Evidence(records)
    found = [statement_table(judged(records), "What the survey says, and what was measured", "the survey")]
    for dim in dict.fromkeys(cell["dim"] for cell in evidence.functions):
        found.append(_functions(evidence, dim))
    if evidence.nets:
        found.append(_sizes(evidence))
        every = dict.fromkeys(one.column for one in records.measured if one.table == NETWORKS)
        others = [name for name in every if name != BASELINE]
        found.append(verdict_table(
            records, NETWORKS, "accuracy", BASELINE, others, "Networks at equal passes: test accuracy against Adam"
        ))  # fmt: skip
    if evidence.choices:
        found += [_choices(evidence, problem) for problem in ("knapsack", "tour")]
    if evidence.growth:
        found += [_growth(evidence), _work(evidence)]
    return found


def _functions(evidence: Evidence, dim: int) -> Table:
    """Methods by functions: runs solved and median passes, or how far they came."""
    cells = {(c["method"], c["function"]): c for c in evidence.functions if c["dim"] == dim}
    names = list(dict.fromkeys(name for _, name in cells))
    rows = [[Cell(shown(method)), *(_function(cells.get((method, name))) for name in names)]
            for method in dict.fromkeys(method for method, _ in cells)]  # fmt: skip
    budget = next(iter(cells.values()))["budget"]
    caption = f"{dim} dimensions, {budget:,} passes a run: runs solved, and their median passes or the median gap"
    return Table(f"functions-{dim}", caption, ["", *names], rows)


def _function(cell: object) -> Cell:
    if not isinstance(cell, dict):
        return Cell(NONE, float("nan"))
    solved = f"{cell['solved']}/{cell['runs']}"
    if cell["passes"] is None:
        return Cell(f"{solved}, {cell['best'][-1]:.1e}", cell["best"][-1], mark=SOFT)
    return Cell(f"{solved}, {cell['passes']:,.0f}", cell["passes"])


def _sizes(evidence: Evidence) -> Table:
    rows = [
        [
            Cell(name),
            Cell(f"{net['weights']:,}", net["weights"]),
            *(
                Cell(f"{each:,.0f}", each)
                for each in (max(own["passes"] for own in net["methods"].values()), net["methods"]["adam"]["passes"])
            ),
        ]
        for name, net in evidence.nets.items()
    ]
    heads = ["", "weights", "passes, most", "passes, Adam"]
    return Table("sizes", "The networks; a backward pass counts as two forward ones", heads, rows)


def _choices(evidence: Evidence, problem: str) -> Table:
    rows = [
        [
            Cell(shown(method)),
            Cell(f"{cell['solved']}/{cell['runs']}", cell["solved"]),
            _number(cell["evaluations"], ",.0f"),
            Cell(f"{cell['gap']:.2%}", cell["gap"]),
        ]
        for method, cell in evidence.choice(problem).items()
    ]
    heads = ["", "at the optimum", "evaluations to it, median", "gap, median"]
    return Table(problem, f"The {problem}, against its exact solution", heads, rows)


def _growth(evidence: Evidence) -> Table:
    dims = next(iter(evidence.growth.values()))["passes"]
    rows = [
        [Cell(shown(method)), *(_number(own["passes"][dim], ",.0f") for dim in dims), _number(own["exponent"], ".2f")]
        for method, own in evidence.growth.items()
    ]
    caption = "A sphere: median passes until the distance to the optimum is a tenth, by dimensions, and their power"
    return Table("growth", caption, ["", *dims, "power"], rows)


def _work(evidence: Evidence) -> Table:
    dims = next(iter(evidence.growth.values()))["work"]

    def row(method: str, work: dict[str, dict[str, float] | None]) -> Iterable[Cell]:
        yield Cell(shown(method))
        for own in work.values():
            yield _number(1e6 * own["seconds"] if own else None, ",.2f")
        last = next((own for own in reversed(work.values()) if own), None)
        yield _number(last["bytes"] / 1e6 if last else None, ",.1f")

    rows = [list(row(method, own["work"])) for method, own in evidence.growth.items()]
    caption = "A method's own work: microseconds an evaluation (or a step), by dimensions, and megabytes at the most"
    return Table("work", caption, ["", *dims, "MB"], rows)


def _number(value: float | None, form: str) -> Cell:
    return Cell(NONE, float("nan")) if value is None else Cell(f"{value:{form}}", value)
