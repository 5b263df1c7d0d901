"""Verdicts on claimed numbers: one rule for all cells, a pure function of what is claimed and what was measured."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from scipy.special import stdtrit

from thalweg.reproduce.claims import Cell, Claim
from thalweg.reproduce.records import Measured

REPRODUCED, DIRECTION, NOT_REPRODUCED = "reproduced", "direction only", "not reproduced"
UNDER_SPECIFIED, ABSENT = "under-specified", "not run"
WORDS = (REPRODUCED, DIRECTION, NOT_REPRODUCED, UNDER_SPECIFIED, ABSENT)

SAME, OPPOSITE, UNCLEAR = "same", "opposite", "unclear"

# How far a measured mean may be from the printed number: absolute, or as a share of it, whichever is larger. Values of
# minima lie close to 0 or differ in their fifth digit, so that their absolute allowance is small.
TOLERANCES: Mapping[str, tuple[float, float]] = {
    "accuracy": (1.0, 0.0), "train_accuracy": (1.0, 0.0), "test_accuracy": (1.0, 0.0), "accuracy_sd": (0.25, 0.5),
    "validation_accuracy": (1.0, 0.0), "validation_accuracy_sd": (0.25, 0.5), "test_accuracy_sd": (0.25, 0.5),
    "final_accuracy": (1.0, 0.0), "final_train_accuracy": (1.0, 0.0), "best_accuracy": (1.0, 0.0),
    "first_accuracy": (1.0, 0.0), "final_loss": (0.005, 0.1), "final_train_loss": (0.005, 0.1),
    "lowest_loss": (0.005, 0.1), "best_epoch": (2.0, 0.2), "lowest_loss_epoch": (2.0, 0.2),
    "loss": (0.005, 0.1), "best_loss": (0.005, 0.1), "value": (0.0001, 0.01), "gradient": (0.01, 0.1),
    "iterations": (1.0, 0.2), "epochs": (2.0, 0.2), "seconds": (0.0, 0.2), "parameters": (0.0, 0.0),
    "wins_bce": (1.0, 0.0), "wins_mse": (1.0, 0.0), "wins_mae": (1.0, 0.0),
    "at_most": (0.0, 0.05), "at_least": (0.0, 0.05),
}  # fmt: skip
OTHERWISE = (0.0, 0.1)
BOUNDS = ("at_most", "at_least")  # quantities whose number need not be met, but kept
LARGEST_ROUNDING = 0.005  # that is granted: of "0.4" nobody knows whether it was 0.400
FEWEST = 3  # seeds that a direction takes
CONFIDENCE = 0.95  # of the interval of paired differences, which must leave out 0

HOW = (
    "The paper's own protocol decides: the mean over our seeds is held against the printed number. The fair protocol "
    "is shown beside it and has no part in the verdict.",
    f"Reproduced: the mean is as near to the printed number as the table of allowances says, or by half a unit of its "
    f"last printed place more (at most {LARGEST_ROUNDING:g}). Twice our standard deviation over seeds is granted too, "
    f"but no more than that allowance again: a measurement that is all noise is not to reproduce everything. One that "
    f"diverged on any seed reproduces nothing but a claimed infinity. A bound (at most, at least) is reproduced where "
    f"the mean keeps it within the allowance; spread is not granted.",
    f"Direction only: the number is not met, but the paper sets it beside another method's, and our difference to that "
    f"method has the sign that is claimed: its {100 * CONFIDENCE:.0f} % interval (Student's t) over at least {FEWEST} "
    f"paired seeds leaves out 0.",
    "Under-specified: neither holds, and the paper does not say something that had to be guessed, which is named. "
    "Another guess might do better, or worse; where ours points clearly the other way round, that is said.",
    "Not reproduced: neither holds, and nothing had to be guessed.",
    "Not run: there is no measurement. Cells in which the paper prints no number, or one that it gave to the method as "
    "a setting, claim no result and are not counted.",
)


@dataclass(frozen=True)
class Verdict:
    """A word of `WORDS`, and why, in a few words."""

    word: str
    why: str


def verdict(claim: Claim, measured: Measured | None, partner: tuple[Claim, Measured] | None) -> Verdict:
    """What is to be said of a claimed number; `HOW` says by which rule. `partner` is the other column of the same row
    beside which the paper sets it, and what was measured of that."""
    if not claim.is_result:
        return Verdict(ABSENT, claim.note or "nothing is printed")
    if measured is None or not measured.protocol:
        return Verdict(ABSENT, "" if measured is None else measured.missing)
    if is_near(claim, measured.protocol):
        return Verdict(REPRODUCED, "")
    found = "" if partner is None else direction(claim, measured.protocol, partner[0], partner[1].protocol)
    beside = "" if partner is None else partner[0].column.replace("_", "-")
    if found == SAME:
        return Verdict(DIRECTION, f"against {beside}")
    reasons = [measured.missing] if measured.missing else []
    reasons += [f"clearly the other way round against {beside}"] if found == OPPOSITE else []
    return Verdict(UNDER_SPECIFIED if measured.missing else NOT_REPRODUCED, "; ".join(reasons))


def is_near(claim: Claim, values: Sequence[float]) -> bool:
    """Whether the mean is near enough to the printed number, or keeps to it where that is a bound."""
    if claim.value is None or not values:
        return False
    if not all(map(math.isfinite, (claim.value, *values))):
        return all(value == claim.value for value in values)
    allowed, over = allowance(claim), fmean(values) - claim.value
    if claim.quantity in BOUNDS:
        return (over if claim.quantity == "at_most" else -over) <= allowed * (1 + 1e-9)
    noise = min(2 * stdev(values), allowed) if len(values) > 1 else 0.0
    return abs(over) <= (allowed + noise) * (1 + 1e-9)


def allowance(claim: Claim) -> float:
    """How far from the printed number a measured one may be, without its spread."""
    absolute, share = TOLERANCES.get(claim.quantity, OTHERWISE)
    return max(absolute, share * abs(claim.value or 0.0)) + min(claim.rounding, LARGEST_ROUNDING)


def is_constant(claim: Claim, measured: Measured) -> bool:
    """Whether an answer that does not look at the input scores what is printed."""
    return claim.is_result and measured.constant is not None and is_near(claim, (measured.constant,))


def direction(claim: Claim, ours: Sequence[float], other: Claim, others: Sequence[float]) -> str:
    """How our difference to another column is to the claimed one: SAME sign, OPPOSITE, or UNCLEAR; "" where nothing is
    claimed or measured. Numbers are paired by position: a method that draws nothing has the same one for each seed."""
    if claim.value is None or other.value is None or claim.value == other.value or not (ours and others):
        return ""
    if len(ours) != len(others) or len(ours) < FEWEST or not all(map(math.isfinite, (*ours, *others))):
        return UNCLEAR
    differences = [our - their for our, their in zip(ours, others, strict=True)]
    mean, error = fmean(differences), stdev(differences) / math.sqrt(len(differences))
    rounding = 1e-12 * max(map(abs, (*ours, *others)))
    if abs(mean) <= float(stdtrit(len(differences) - 1, (1 + CONFIDENCE) / 2)) * error + rounding:
        return UNCLEAR
    return SAME if (mean > 0) == (claim.value > other.value) else OPPOSITE


def verdicts(
    claims: tuple[Claim, ...], measured: Mapping[Cell, Measured], partners: Mapping[str, str]
) -> dict[Cell, Verdict]:
    """The verdicts on all claims. `partners` says with which column of the same row a column is compared."""
    by_cell = {claim.cell: claim for claim in claims}
    found = {}
    for claim in claims:
        beside = partner_of(claim.cell, partners)
        both = (by_cell[beside], measured[beside]) if beside in by_cell and beside in measured else None
        found[claim.cell] = verdict(claim, measured.get(claim.cell), both)
    return found


def partner_of(cell: Cell, partners: Mapping[str, str]) -> Cell:
    """The cell beside which the paper sets another one; of no column where there is none."""
    table, row, column, quantity = cell
    return table, row, partners.get(column, ""), quantity
