"""Four objectives that autograd cannot follow, on four data sets: an experiment of our own, without claims."""

from __future__ import annotations

from thalweg.race.report.table import Cell, Table
from thalweg.reproduce.fair import verdict_table
from thalweg.reproduce.objectives.measure import BASELINE, ESTIMATES, METHODS, OBJECTIVES, PART, SURROGATES
from thalweg.reproduce.paper import Paper
from thalweg.reproduce.records import Records

__all__ = ["PAPER"]


def tables(records: Records) -> list[Table]:
    """Verdicts against the smooth surrogate and against the honest swarm, an objective each."""
    found = [_evaluations(records)]
    for objective in dict.fromkeys(one.table for one in records.measured):
        chosen = OBJECTIVES[objective]
        for baseline, others in (
            (BASELINE, [name for name in METHODS if name != BASELINE]),
            ("adaswarm_fitted", [name for name in ESTIMATES if name != "adaswarm_fitted"]),
        ):
            caption = f"{chosen.title}: against {baseline.replace('_', '-')}"
            found.append(verdict_table(records, objective, "score", baseline, others, caption, percent=chosen.percent))
    return found


def _evaluations(records: Records) -> Table:
    counted = records.figures.get("evaluations_a_step", {})
    rows = [[Cell(name.replace("_", "-")), Cell(f"{each:g}", each)] for name, each in counted.items()]
    return Table("evaluations", "Evaluations of the objective for a batch, a step", ["method", "evaluations"], rows)


PAPER = Paper(
    name="objectives",
    title="Objectives without a useful gradient",
    source="An experiment of this project; the data sets are those of Mohapatra et al. 2022.",
    parts=(PART,),
    partners={},
    pictures=lambda records: [],
    notes=(
        "Every method is Adam with the same two-layer network of ten hidden units; what differs is where the gradient "
        "with respect to the outputs comes from. adaswarm, adaswarm-fitted, output-spsa, output-es and "
        "output-differences know values of the objective alone and evaluate it 200 times a step. "
        f"{', '.join(name.replace('_', '-') for name in SURROGATES)} are differentiated and evaluate it never: what a "
        "practitioner would try first. adam, on the objective itself, has gradient 0 and stays where it begins.",
        "Every method is tuned with the same budget over its learning rate, its schedule and one scale of its own "
        "(span, sigma, temperature). Scores are of test parts, paired over 15 seeds; verdicts are the race's: signed "
        "ranks, Holm over the methods of a data set, equivalence within half a standard deviation of the baseline or "
        "half a point.",
        "0-1 error and costs are a sum over samples, so each sample's own loss is used by all estimators. F1 and AUC "
        "couple the batch: there the estimators have one number for 50 samples.",
    ),
    tables=tables,
)
