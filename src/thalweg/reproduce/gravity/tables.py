"""The tables of the page: statements with their verdicts, and the numbers that these rest on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean

from thalweg.names import shown
from thalweg.race.charts.scale import number
from thalweg.race.report.table import SOFT, Cell, Table
from thalweg.reproduce.gravity.beta import beta_tables
from thalweg.reproduce.gravity.choices import choices_tables
from thalweg.reproduce.gravity.curves import exact_tables
from thalweg.reproduce.gravity.evidence import Evidence, Place, named, oscillation
from thalweg.reproduce.gravity.fair_race import fair_tables
from thalweg.reproduce.gravity.images import FIGURES
from thalweg.reproduce.gravity.networks import TITLES as NETWORKS
from thalweg.reproduce.gravity.sequences import sequence_tables
from thalweg.reproduce.gravity.statements import judged
from thalweg.reproduce.gravity.trials import METHODS
from thalweg.reproduce.records import Records
from thalweg.reproduce.statements import statement_table

STATEMENTS = (
    "What the paper says, and what was measured; of our trials only those decide that are long enough, where at most "
    "half are at their best accuracy in their last epoch, and in which all three published methods learn. Clearly is "
    "by a 95 % interval, each by itself, not corrected for how many there are"
)
SHOWN = ("final_train_loss", "final_loss", "lowest_loss", "first_accuracy", "best_accuracy", "best_epoch")


def tables(records: Records) -> list[Table]:
    """All that the records have the figures of."""
    evidence = Evidence(records)
    found = [statement_table(judged(records), STATEMENTS)]
    found += [ends_table(evidence, place) for place in evidence.places]
    found += exact_tables(records) + beta_tables(records) + choices_tables(records)
    return [*found, *fair_tables(records), *sequence_tables(records)]


def ends_table(e: Evidence, place: Place) -> Table:
    """What the curves of a data set and a network come to, and, with a network of the paper's, the authors' own."""
    data, network = place
    claimed = place if place in FIGURES else (data, "vgg16")
    rows = []
    for method in METHODS:
        learns = e.learns(place, method)
        cells = [_cell(e.values(place, method, quantity), learns) for quantity in SHOWN]
        shaken = _cell([100 * value for value in e.measured(place, method, oscillation)], learns)
        theirs = e.published.get((" ".join(claimed), method, "best_accuracy"))
        published = Cell("", math.nan) if theirs is None else Cell(f"{theirs:.2f}", theirs)
        rows.append([Cell(shown(method)), *cells, shaken, Cell("yes" if learns else "no", mark=SOFT), published])
    names = [quantity.replace("_", " ") for quantity in SHOWN]
    heads = ["", *names, "oscillation, %", "learns", f"the authors' best accuracy, {NETWORKS[claimed[1]]}"]
    caption = f"{named(place)}, by the paper's protocol: means over seeds, accuracies in per cent"
    return Table(f"ends-{shown(data)}-{shown(network)}", caption, heads, rows)


def _cell(values: Sequence[float], learns: bool) -> Cell:
    mean = fmean(values) if values else math.nan
    return Cell(number(float(f"{mean:.4g}")), mean, mark="" if learns else SOFT)
