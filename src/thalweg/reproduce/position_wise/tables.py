"""The tables that the paper has none of: seeds, learning rates, initial weights, chance, and what an epoch costs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from thalweg.race.notation import fixed
from thalweg.race.report.table import Cell, Table, count, decimal
from thalweg.reproduce.claims import claims_of
from thalweg.reproduce.position_wise.measure import BEFORE, Counts
from thalweg.reproduce.position_wise.protocol import METHODS, MOST
from thalweg.reproduce.records import Records

TITLES = {
    "cat": "experiment 1, cats", "cifar10": "experiment 2, CIFAR-10", "mnist": "experiment 3, MNIST",
    "twin": "experiment 1 on made images",
}  # fmt: skip
PUBLISHED = ("cat", "cifar10", "mnist")
COLUMNS = ("gradient_descent", "position_wise", "position_wise" + BEFORE, "layerwise_lr")
HEADS = ("gradient descent", "position-wise", "position-wise, by the loss before a sweep", "layer-wise rates")
LEVELS = 5  # decimal places of losses that differ in the third


def control_tables(records: Records) -> list[Table]:
    """Those whose numbers the records have."""
    figures: Mapping[str, Any] = {name: records.figures[name] for name in TITLES if name in records.figures}
    found = []
    if any(name in figures for name in PUBLISHED):
        found.append(_chance(records, figures))
    for name, of in figures.items():
        if of["seeds"]:  # a quick run has none of the larger images
            found.append(_seeds(name, of["seeds"], "the code's initial weights"))
        if "xavier" in of:
            found.append(_seeds(name, of["xavier"], "the initial weights of equation 6", "-xavier"))
        if "rates" in of:
            found.append(_rates(of["rates"]))
    if any("cost" in of for of in figures.values()):
        found.append(_costs(figures))
    return found


def _seeds(name: str, counts: Sequence[Counts], drawn: str, ending: str = "") -> Table:
    rows = []
    for of in counts:
        ratios = [_ratio(of["gradient_descent"], of["position_wise"]), _ratio(of[COLUMNS[2]], of["layerwise_lr"])]
        rows.append([Cell(str(of["seed"]), of["seed"]), *(_epochs(of[column]) for column in COLUMNS), *ratios])
    means = [_epochs(fmean(of[column] for of in counts)) for column in COLUMNS]
    caption = (
        f"Epochs to the target by seed, {TITLES[name]}, {drawn}. The last column compares position-wise training with "
        "layer-wise rates, both by the loss that an epoch begins with."
    )
    heads = ["seed", *HEADS, "gradient descent over position-wise", "position-wise over layer-wise rates"]
    return Table(f"seeds-{name}{ending}", caption, heads, rows, [[Cell("mean"), *means, Cell(""), Cell("")]])


def _rates(rates: Sequence[Mapping[str, Any]]) -> Table:
    rows = [
        [
            Cell(METHODS[of["method"]]),
            Cell(f"{of['factor']:g}", of["factor"]),
            _epochs(of["epochs"]),
            _epochs(of["before"]),
        ]
        for of in rates
    ]
    caption = "Epochs to the target by learning rate, in multiples of the published one; experiment 1, seed 1"
    return Table("rates", caption, ["method", "learning rate", "epochs", "by the loss before an epoch"], rows)


def _chance(records: Records, figures: Mapping[str, Any]) -> Table:
    rows = []
    for name in PUBLISHED:
        if name not in figures:
            continue
        of = figures[name]
        right = {one.column: one.protocol[0] for one in records.measured
                 if (one.row, one.quantity) == (name, "train_accuracy")}  # fmt: skip
        levels = [of["chance"][kind] for kind in ("uniform", "shares")]
        rows.append([
            Cell(TITLES[name]),
            Cell(f"{of['target']:g}", of["target"]),
            *(Cell(fixed(level, LEVELS), level) for level in levels),
            *(Cell(fixed(of["chance_without_eps"][kind], LEVELS), of["chance_without_eps"][kind])
              for kind in ("uniform", "shares")),
            decimal(100 * (1 - of["target"] / min(levels))),
            *(decimal(right[method]) if method in right else Cell("") for method in METHODS),
            decimal(of["chance"]["accuracy"]),
        ])  # fmt: skip
    heads = [
        "", "target", "loss of a uniform answer", "of the classes' shares", "uniform, without eps",
        "shares, without eps", "target below the lower, %",
        *(f"training accuracy, {name}" for name in METHODS.values()), "of the commonest class",
    ]  # fmt: skip
    caption = (
        "The targets beside what is scored without a look at the input, by the code's loss, which adds 1e-5 to what it "
        "takes logarithms of, and without that; and the accuracy in per cent that was reached with the target"
    )
    return Table("chance", caption, heads, rows)


def _costs(figures: Mapping[str, Any]) -> Table:
    claims = {claim.cell: claim.value for claim in claims_of("position_wise")}
    rows = []
    for number, name in enumerate(PUBLISHED, 1):
        if name not in figures:
            continue

        def each(method: str, number: int = number, name: str = name) -> float:
            seconds, epochs = (claims[f"Experiment {number}", name, method, of] for of in ("seconds", "epochs"))
            return (seconds or math.nan) / (epochs or math.nan)

        of = figures[name]["cost"]
        printed = each("position_wise") / each("gradient_descent")
        layerwise = of["seconds_layerwise_lr"] / of["seconds_gradient_descent"]
        places = [Cell(fixed(value, 3), value) for value in (of["formula"], printed, of["measured"], layerwise)]
        rows.append([Cell(TITLES[name]), *places])
    heads = [
        "", "position-wise, multiplications", "seconds as printed", "seconds here", "layer-wise rates, seconds here",
    ]  # fmt: skip
    caption = (
        "What an epoch takes over one of gradient descent. The formula is that of a sweep which keeps what it can, sum "
        "of (3 l - 1) f_l over 3 F - f_1, where f_l are the multiplications of layer l forward; losses, activations "
        "and what Python does between them are not in it"
    )
    return Table("cost", caption, heads, rows)


def _epochs(value: float) -> Cell:
    """Epochs, or that the target was not reached."""
    return count(value) if math.isfinite(value) else Cell(f"not within {MOST:,}", math.inf)


def _ratio(one: float, other: float) -> Cell:
    both = math.isfinite(one) and math.isfinite(other)
    return decimal(one / other) if both else Cell("", math.nan)
