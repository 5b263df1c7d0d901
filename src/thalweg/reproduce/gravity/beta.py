"""Averages of gradients (section 2.4): Figure 7, how training begins by each average, equation 25's overflow; and large
learning rates (section 2.2.1).

`figures["beta"]` of the records:
- "at": the numbers of steps after which losses were measured; "curves": by network ("digits", "digits_deep"), variant
  (`starts.variants`) and seed the training loss at each of them, not a number where it is none.
- "overflow": a `overflow.Correction` a beta.
- "rates": by problem what `rates.by_rate` gives.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from statistics import median
from typing import Any

import numpy as np

from thalweg.names import shown
from thalweg.race.charts import Style
from thalweg.race.charts.scale import extent, padded
from thalweg.race.report.table import BAD, Cell, Table
from thalweg.reproduce.curve_picture import curve_picture
from thalweg.reproduce.gravity import overflow, rates, starts
from thalweg.reproduce.paper import Options, Part, Picture, Tell
from thalweg.reproduce.records import Records
from thalweg.reproduce.trials import all_of

FALLS = (0.1, 0.5)  # shares of the first loss, by which it has to fall
EVERY = 20  # steps after each of which losses are measured; then at ever fewer
TITLES = {"digits": "digits, 1 hidden layer", "digits_deep": "digits, 8 hidden layers", "diabetes_unscaled": "diabetes"}
NEVER = "not in time"
LARGEST_DRAWN = 4.0  # times the first loss


@dataclass(frozen=True)
class Scale:
    """How much is run: steps of the curves and their seeds; learning rates a decade, steps at each, and their seeds."""

    steps: int = 1000
    seeds: int = 12
    a_decade: int = 2
    rate_steps: int = 200
    rate_seeds: int = 8


QUICK = Scale(steps=100, seeds=5, a_decade=1, rate_steps=60, rate_seeds=4)


def run(options: Options, tell: Tell, scale: Scale | None = None) -> Records:
    """Curves of all averages on both networks, equation 25, and the learning rates."""
    scale = scale or (QUICK if options.quick else Scale())
    wanted = [(kind, name) for kind, names in (("curves", starts.LAYERS), ("rates", rates.PROBLEMS)) for name in names]
    found = all_of(wanted, partial(_measured, scale), options.workers, tell, "averages and learning rates")
    figures: dict[str, Any] = {"at": marks(scale.steps), "overflow": overflow.corrections()}
    for kind, name in wanted:
        figures.setdefault(kind, {})[name] = found[kind, name]
    return Records("gravity", (), {"beta": figures}, {"beta": asdict(scale)})


def _measured(scale: Scale, one: tuple[str, str]) -> dict[str, Any]:
    kind, name = one
    if kind == "curves":
        return starts.curves(name, marks(scale.steps), scale.seeds)
    return rates.by_rate(name, scale.rate_steps, scale.rate_seeds, scale.a_decade)


def marks(steps: int) -> list[int]:
    """Numbers of steps from 0: every one to `EVERY`, then as many in geometric proportion, the last among them."""
    if steps <= EVERY:
        return list(range(steps + 1))
    later = np.unique(np.geomspace(EVERY, steps, EVERY).round().astype(int)).tolist()
    return [*range(EVERY), *later]


# Questions to the records


def fallen(records: Records, network: str, variant: str, share: float) -> list[float]:
    """After how many steps the training loss first was lower by this share of what it was before any, by seed: as
    finely as losses were measured; infinite where it never was."""
    of = records.figures.get("beta", {})
    found = []
    for losses in of.get("curves", {}).get(network, {}).get(variant, ()):
        low = (at for at, loss in zip(of["at"], losses, strict=True) if loss <= (1 - share) * losses[0])
        found.append(float(next(low, math.inf)))
    return found


def finite(records: Records, problem: str, method: str) -> list[float]:
    """The share of seeds, for each learning rate, whose training ends at a finite loss."""
    return [_share(map(math.isfinite, losses)) for losses in _by_rate(records, problem, method)]


def learnt(records: Records, problem: str, method: str) -> list[float]:
    """The share of seeds, for each learning rate, whose training ends at less than 0.9 of the constant answer's loss: a
    network that has died ends below its start too, at that loss."""
    of = records.figures.get("beta", {}).get("rates", {}).get(problem, {})
    return [
        _share(end < rates.LEARNT * of["constant"] for end in losses) for losses in _by_rate(records, problem, method)
    ]


def largest(records: Records, problem: str, shares: Sequence[float]) -> float | None:
    """The largest learning rate with all seeds, of one of the shares above; None where there is none."""
    lrs = records.figures["beta"]["rates"][problem]["lr"]
    return max((lr for lr, share in zip(lrs, shares, strict=True) if share == 1), default=None)


def _by_rate(records: Records, problem: str, method: str) -> Sequence[Sequence[float]]:
    of = records.figures.get("beta", {}).get("rates", {})
    found: Sequence[Sequence[float]] = of.get(problem, {}).get("losses", {}).get(method, ())
    return found


def _share(held: Any) -> float:
    every = [bool(one) for one in held]
    return sum(every) / len(every)


# What the page shows


def beta_tables(records: Records) -> list[Table]:
    """How soon the loss falls by each average, what equation 25 does, and the largest learning rates."""
    of = records.figures.get("beta", {})
    if not of:
        return []
    falls = [_falls(records, network) for network in of["curves"]]
    return [*falls, _corrections(of["overflow"]), *(_rates(records, problem) for problem in of["rates"])]


def beta_pictures(records: Records) -> list[Picture]:
    """Figure 7, and the start by each average at 0.9, on both networks; and the largest rates."""
    of = records.figures.get("beta", {})
    found = []
    for network, curves in of.get("curves", {}).items():
        fixed = {name: own for name, own in curves.items() if name not in starts.STARTS}
        own = {starts.FIXED: curves[starts.FIXED], **{name: curves[name] for name in starts.STARTS}}
        found.append(_curves(of["at"], fixed, f"Figure 7, loss by beta: {TITLES[network]}"))
        found.append(_curves(of["at"], own, f"The start, by what is averaged: {TITLES[network]}"))
    return found


def _falls(records: Records, network: str) -> Table:
    of = records.figures["beta"]
    rows = []
    for variant, curves in of["curves"][network].items():
        cells = [_steps(median(fallen(records, network, variant, share))) for share in FALLS]
        ends = median(_or_infinite(own[-1]) for own in curves)
        last = Cell(f"{ends:.3g}" if math.isfinite(ends) else "diverged", ends, mark="" if math.isfinite(ends) else BAD)
        rows.append([Cell(shown(variant)), *cells, last])
    caption = (
        f"{TITLES[network]}: median steps until the training loss is lower by a tenth and by half, and the median loss "
        f"after {of['at'][-1]:,}; at a learning rate of 0.1, V from 0 but for gravity's"
    )
    return Table(f"start-{shown(network)}", caption, ["", "by a tenth", "by half", "last loss"], rows)


def _corrections(found: Sequence[Mapping[str, Any]]) -> Table:
    rows = [
        [
            Cell(f"{of['beta']:g}", of["beta"]),
            Cell(f"10^{of['printed']:,.1f}", of["printed"]),
            Cell(f"{of['printed_at']:,}", of["printed_at"]),
            *(_overflow(of[kind]) for kind in ("float32", "float64")),
            Cell(f"{of['corrected']:.1e}", of["corrected"]),
        ]
        for of in found
    ]
    caption = (
        "Equation 25 on gradients that are always 1: as printed, V is averaged on after it is corrected, and grows; as "
        "in Adam it stays at 1"
    )
    heads = ["beta", "printed: largest V", "at step", "overflows float32 at", "float64 at", "as in Adam: off by"]
    return Table("equation-25", caption, heads, rows)


def _rates(records: Records, problem: str) -> Table:
    of = records.figures["beta"]["rates"][problem]
    heads = [f"{lr:.2g}" for lr in of["lr"]]
    rows = []
    for method in of["losses"]:
        shares = zip(finite(records, problem, method), learnt(records, problem, method), strict=True)
        rows.append([Cell(shown(method)), *(Cell(f"{kept:.0%}, {done:.0%}", done) for kept, done in shares)])
    caption = (
        f"{TITLES[problem]}, by learning rate: seeds that end at a finite loss, and at less than {rates.LEARNT:g} of "
        f"the constant answer's, {of['constant']:.4g}"
    )
    return Table(f"rates-{shown(problem)}", caption, ["", *heads], rows)


def _steps(steps: float) -> Cell:
    return Cell(f"{steps:g}", steps) if math.isfinite(steps) else Cell(NEVER, math.inf, mark=BAD)


def _overflow(step: int | None) -> Cell:
    return Cell("never", math.inf) if step is None else Cell(f"{step:,}", step, mark=BAD)


def _or_infinite(loss: float) -> float:
    return loss if math.isfinite(loss) else math.inf


def _curves(at: Sequence[int], curves: Mapping[str, Sequence[Sequence[float]]], title: str) -> Picture:
    medians = {name: [median(map(_or_infinite, column)) for column in zip(*own, strict=True)]
               for name, own in curves.items()}  # fmt: skip
    most = LARGEST_DRAWN * next(iter(medians.values()))[0]
    low, high = extent([loss for own in medians.values() for loss in own if loss < most], log=True)
    texts = {name: f"{shown(name)}: {own[-1]:.3g}" for name, own in medians.items()}
    points = {name: list(zip(at, own, strict=True)) for name, own in medians.items()}
    styles = {name: Style(place, 0) for place, name in enumerate(medians)}
    caption = "The median over seeds of the loss over the whole training part; the numbers are those of the last step."
    return curve_picture(
        title, caption, points, padded(low, high, log=True), texts, styles, log_y=True, whole_x=True, x_label="step",
        y_label="training loss",
    )  # fmt: skip


PART = Part(
    "beta",
    "Averages of gradients, and large learning rates",
    (),
    "about 8 minutes on one core, quick 20 s",
    (),
    run,
    figures=("7",),
    quick_minutes=0.5,
)
