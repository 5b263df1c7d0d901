"""Figure 2: a run of the paper's evolution, scaled, and its cost against that of the published runs.

What evolves is given as a function, so that this says what is run and what is told of it, and nothing of the engine.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean, stdev
from typing import Any

from thalweg.race.charts import Style, inline
from thalweg.race.charts.panel import line_panel
from thalweg.race.charts.scale import extent, padded
from thalweg.race.report.table import Cell, Table
from thalweg.reproduce.autolr import published
from thalweg.reproduce.paper import Options, Part, Picture, Tell
from thalweg.reproduce.records import Records

NAMES = {"best": "best individual", "mean": "mean of the population"}
STYLES = {"best": Style(0, 0), "mean": Style(1, 1)}


@dataclass(frozen=True)
class Setting:
    """The paper's evolution: its grammar, Algorithm 1 as fitness (the worst of up to `trainings`, which end at the
    first below `least`), and the numbers of Table 1. Mutation is a chance for each expressed codon."""

    runs: int = published.RUNS
    generations: int = 1500
    population: int = published.POPULATION
    tournament: int = 5
    crossover: float = 0.9
    mutation: float = 0.15
    elitism: int = 1
    trainings: int = 5
    least: float = 0.8
    patience: int = 5
    epochs: int = 100
    images: int = 10_600  # that train, of each training
    validation: int = 3_500
    fitness: int = 3_500
    batch: int = 1000
    shrink: int = 1


# So few steps leave every network below 0.8, so that `least` is lower.
FULL = Setting(
    runs=2, generations=30, least=0.5, epochs=12, images=600, validation=100, fitness=200, batch=60, shrink=2
)
QUICK = Setting(runs=1, generations=12, least=0.5, epochs=6, images=480, validation=80, fitness=160, batch=32, shrink=2)


@dataclass(frozen=True)
class Run:
    """What an evolution came to: by generation the best and the mean fitness; how many individuals there were, how many
    of these were trained rather than refused or known, and how many epochs that took; and what it would have taken to
    train every individual. The winner as the text of its rule, with its mean fitness on fresh seeds."""

    best: Sequence[float]
    mean: Sequence[float]
    individuals: int
    trained: int
    epochs: int
    epochs_of_all: int
    winner: str
    retested: float


Evolving = Callable[[Setting, int, Options, Tell], Run]  # of a setting and the number of a run


def run(evolving: Evolving, options: Options, tell: Tell, setting: Setting | None = None) -> Records:
    """The runs of a setting: the paper's own on a GPU alone."""
    if setting is None:
        setting = QUICK if options.quick else Setting() if options.device.startswith("cuda") else FULL
    found = [evolving(setting, number, options, tell) for number in range(setting.runs)]
    return Records("autolr", (), {"evolution": [asdict(one) for one in found]}, {"evolution": asdict(setting)})


def part(evolving: Evolving, cost: str) -> Part:
    """The part that runs it, by an engine."""
    return Part(
        "evolution", "Figure 2: the paper's evolution, scaled", (), cost, ("fashion_mnist",),
        lambda options, tell: run(evolving, options, tell), figures=("2",), quick_minutes=1,
    )  # fmt: skip


def saved(of: Mapping[str, Any]) -> float:
    """By how much fewer epochs a run took than training every one of its individuals would have."""
    return float(of["epochs_of_all"]) / float(of["epochs"])


def evolution_table(records: Records) -> list[Table]:
    """The runs here beside the published ones; none where there was none."""
    runs: Sequence[Mapping[str, Any]] = records.figures.get("evolution", ())
    if not runs:
        return []
    rows = [
        [
            Cell(f"run {number}"),
            *(_whole(of[key]) for key in ("individuals", "trained", "epochs", "epochs_of_all")),
            Cell(f"{saved(of):.1f}", saved(of)),
            Cell(f"{of['best'][-1]:.3f}", of["best"][-1]),
            Cell(f"{of['retested']:.3f}", of["retested"]),
            Cell(of["winner"], code=True),
        ]
        for number, of in enumerate(runs, start=1)
    ]
    trained = published.EPOCHS_TRAINED
    theirs = [Cell("all nine, published", note="from the authors' logs"), *map(_whole, (published.READABLE,) * 2)]
    theirs += [
        _whole(trained),
        _whole(trained),
        Cell("1.0", 1.0),
        Cell("0.874", 0.8743),
        Cell("0.856", 0.8559),
        Cell(""),
    ]
    heads = [
        "",
        "individuals",
        "trained",
        "epochs",
        "epochs without filters",
        "fewer by",
        "best",
        "re-tested",
        "winner",
    ]
    return [Table("evolution", "The paper's evolution, scaled, and what it cost", heads, rows, [theirs])]


def evolution_pictures(records: Records) -> list[Picture]:
    """Figure 2: by generation the best and the mean fitness, mean over runs, with a standard deviation."""
    runs: Sequence[Mapping[str, Any]] = records.figures.get("evolution", ())
    if not runs:
        return []
    title = "Best and mean fitness by generation"
    curves = {key: list(zip(*(of[key] for of in runs), strict=False)) for key in NAMES}
    means = {key: [fmean(values) for values in generations] for key, generations in curves.items()}
    wide = {key: [_spread(values) for values in own] for key, own in curves.items()}
    low, high = extent([value for own in means.values() for value in own])
    last = max(1, *(len(own) - 1 for own in means.values()))
    texts = {key: f"{NAMES[key]}: {own[-1]:.3f}" for key, own in means.items()}
    panel = line_panel(
        title, (0, last), padded(low, high), list(texts.values()), whole_x=True, x_label="generation", y_label="fitness"
    )
    ends = {}
    for key, own in means.items():
        across = list(range(len(own)))
        below, above = ([m + sign * w for m, w in zip(own, wide[key], strict=True)] for sign in (-1, 1))
        panel.band(across, below, above, STYLES[key].variable)
        panel.curve(across, own, STYLES[key].variable, 1.6, STYLES[key].dashes)
        ends[key] = (float(panel.x.at(across[-1])), float(panel.y.at(own[-1])))
    panel.ends(ends, texts, STYLES)
    return [Picture(title, inline(panel.sheet.figure, title), f"Figure 2 of the paper, over {len(runs)} runs, scaled.")]


def _spread(values: Sequence[float]) -> float:
    """Their standard deviation; none of one, or where nothing has learnt yet."""
    return stdev(values) if len(values) > 1 and all(map(math.isfinite, values)) else 0.0


def _whole(value: int) -> Cell:
    return Cell(f"{value:,}", value)
