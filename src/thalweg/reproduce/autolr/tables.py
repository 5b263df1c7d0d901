"""The tables of the page: statements with their verdicts, and the numbers that these rest on."""

from __future__ import annotations

from statistics import fmean

from thalweg.names import shown
from thalweg.race.report.table import BAD, GOOD, SOFT, Cell, Table
from thalweg.reproduce.autolr import published
from thalweg.reproduce.autolr.evidence import SPEED, Evidence
from thalweg.reproduce.autolr.evolution import evolution_table
from thalweg.reproduce.autolr.fair_race import fair_tables
from thalweg.reproduce.autolr.images import TITLES
from thalweg.reproduce.autolr.statements import judged
from thalweg.reproduce.autolr.trials import METHODS
from thalweg.reproduce.difference import Difference
from thalweg.reproduce.records import Records
from thalweg.reproduce.statements import statement_table

NONE = "–"

STATEMENTS = (
    "What the paper says, and what was measured; who is ahead by the paper's protocol is undecided where more than "
    "half of the trials validate best in their last epoch"
)


def tables(records: Records) -> list[Table]:
    """All that the records have the figures of."""
    evidence = Evidence(records)
    found = [statement_table(judged(records), STATEMENTS)]
    found += [beside_ades(evidence, data) for data in evidence.trials]
    if evidence.trials:
        found.append(epochs_table(evidence))
    found += fair_tables(records)
    if evidence.grids:
        found.append(widths_table(evidence))
    if evidence.exact:
        found += [equation_table(evidence), momentum_table(evidence), results_table(), cost_table()]
    found += evolution_table(records)
    return found


def beside_ades(evidence: Evidence, data: str) -> Table:
    """By the paper's protocol at our scale: accuracies, drops, and ADES less each other one."""
    rows = []
    for method in METHODS[data]:
        validation, test = (evidence.scores(data, method, part) for part in ("validation", "test"))
        less = [
            evidence.ahead(data, "ades", method, part) if method != "ades" else None for part in ("validation", "test")
        ]
        rows.append([
            Cell(shown(method)),
            *(_mean(values) for values in (validation, test, evidence.drops(data, method))),
            *(_difference(one) for one in less),
        ])  # fmt: skip
    heads = ["", "validation", "test", "drop", "ADES less it, validation", "ADES less it, test"]
    caption = f"{TITLES[data]} by the paper's protocol, scaled: mean accuracies, and differences with 95 % intervals"
    return Table(f"beside-ades-{shown(data)}", caption, heads, rows)


def epochs_table(evidence: Evidence) -> Table:
    """How long each takes to the validation accuracy that all trials reach."""
    rows = [
        [
            Cell(TITLES[data]),
            Cell(f"{evidence.target(data):.1f}", evidence.target(data)),
            *(_mean(evidence.epochs_to_target(data, method), ".1f") for method in SPEED),
        ]
        for data in evidence.trials
    ]
    return Table("epochs", "Mean epochs to a validation accuracy", ["", "accuracy", *map(shown, SPEED)], rows)


def widths_table(evidence: Evidence) -> Table:
    """The ranges of learning rates, a method a line."""
    tasks = list(evidence.grids)
    rows = []
    for method in evidence.grids[tasks[0]]["lr"]:
        line = [Cell(shown(method))]
        for task in tasks:
            width = evidence.width(task, method)
            if width is None:
                line += [Cell(NONE, float("nan")), Cell("")]
                continue
            more = " or more" if width.open_low or width.open_high else ""
            line += [Cell(f"{width.decades:.2f}{more}", width.decades), Cell(f"{width.low:.2g} to {width.high:.2g}")]
        rows.append(line)
    heads = [head for task in tasks for head in (f"{task}, decades", f"{task}, from and to")]
    return Table("widths", "Learning rates whose mean score is within 1 % of the best", ["", *heads], rows)


def equation_table(evidence: Evidence) -> Table:
    """The toy test."""
    rows = [
        [
            Cell(run["form"]),
            Cell(run["constants"]),
            Cell(f"{run['seed'] + 1}", run["seed"] + 1),
            _number(run["diverged"], "d", mark=BAD),
            _number(run["loss"], ".4f"),
        ]
        for run in evidence.exact["equation_8"]
    ]  # fmt: skip
    caption = "A network of two layers on digits, 400 steps: the step at which it diverges, or the last loss"
    return Table("equation-8", caption, ["", "constants", "seed", "diverges at step", "loss"], rows)


def momentum_table(evidence: Evidence) -> Table:
    """ADES as momentum."""
    rows = [
        [
            Cell(name),
            *(Cell(f"{of[key]:.4f}", of[key]) for key in ("mu", "eta")),
            *(Cell(f"{of[key]:.2%}", of[key]) for key in ("apart", "quadratic_share")),
            Cell(f"{of['largest_y']:.2g}", of["largest_y"]),
        ]
        for name, of in evidence.exact["momentum"].items()
    ]
    heads = ["constants", "mu", "eta", "furthest apart", "quadratic terms", "largest y"]
    return Table("momentum", "ADES beside heavy ball on the gradients of the toy test", heads, rows)


def results_table() -> Table:
    """What the authors' result files say."""
    rows = [
        [
            Cell(TITLES[data]),
            Cell(shown(one.method)),
            Cell(f"{one.validation[0]:.2f} ± {one.validation[1]:.2f}", one.validation[0]),
            Cell(f"{one.test[0]:.2f} ± {one.test[1]:.2f}", one.test[0]),
            Cell(one.remark, wide=True),
        ]
        for data, results in published.RESULTS.items()
        for one in results
    ]
    caption = "Not measured here: the authors' own result files, mean and standard deviation of 30 trials"
    return Table("result-files", caption, ["", "", "validation", "test", ""], rows)


def cost_table() -> Table:
    """What the published runs cost, and what filters would have left of it."""
    rows = [
        [
            Cell(one.name, wide=True),
            Cell(f"{one.candidates:,}", one.candidates),
            Cell(f"{one.epochs:,}", one.epochs),
            Cell(f"{one.factor:.1f}", one.factor),
        ]
        for one in published.FILTERS
    ]
    caption = (
        "Not measured here: the authors' logs of nine runs, and what of their stream of individuals filters leave, one "
        "after another"
    )
    return Table("cost", caption, ["filter", "individuals", "epochs", "fewer by"], rows)


def _mean(values: tuple[float, ...] | tuple[int, ...], form: str = ".2f") -> Cell:
    if not values:
        return Cell(NONE, float("nan"))
    mean = fmean(values)
    return Cell(f"{mean:{form}}".replace("-", "−"), mean)


def _number(value: float | None, form: str, mark: str = "") -> Cell:
    return Cell(NONE, float("nan")) if value is None else Cell(f"{value:{form}}", value, mark=mark)


def _difference(one: Difference | None) -> Cell:
    if one is None:
        return Cell(NONE, float("nan"))
    return Cell(str(one), one.mean, mark=GOOD if one.above else BAD if one.below else SOFT)
