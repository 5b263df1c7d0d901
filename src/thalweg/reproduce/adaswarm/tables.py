"""Tables IV and V and supplementary tables 5 to 9: fifteen data sets, three losses, eight optimizers.

By the paper's protocol there is no split: what is scored is what was trained on. By the fair one every method is tuned
by the same budget, and scored on test parts that nothing has seen, with the seeds shared by all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import stdev
from typing import Any

import numpy as np

from thalweg.race import Method, RaceResult
from thalweg.race.composed import COMPOSED
from thalweg.race.method import composed, method_named
from thalweg.race.record import Record
from thalweg.race.through import Through
from thalweg.reproduce.adaswarm.labels import ELEMENTS, ELEMENTWISE, LOSSES, Labelled, LabelLoss, network_of
from thalweg.reproduce.paper import Options, Part, Tell
from thalweg.reproduce.races import raced
from thalweg.reproduce.records import Measured, Records
from thalweg.tasks import ACCURACY, Task
from thalweg.tasks.catalogue import find
from thalweg.tasks.uci import UCI
from thalweg.tasks.uci_tables import TABLES

TABLE_OF = {"bce": "S5", "mse": "IV", "mae": "V"}
EPOCHS_TABLE_OF = {"bce": "S6", "mse": "S7", "mae": "S8"}
COLUMNS = ("sgd", "swarm_sgd", "adagrad", "adadelta", "rmsprop", "amsgrad", "adam", "adaswarm")
PLAIN = ("adam_label_distance", "adam_best_distance")  # what AdaSwarm reduces to
EPOCHS = {"bce": 40, "mse": 50, "mae": 100}  # about: the largest numbers in supplementary tables 6 to 8
HIDDEN = {"seeds": 2}  # the published script's; all others have the paper's 10
BATCHES = {"iris": 50, "seeds": 105}  # the published scripts'; the others' are not published
LR = 0.1  # of all optimizers, in the published scripts
SATURATED = 0.005  # below its best accuracy, at which an optimizer counts as saturated here

MISSING = (
    "batch size and number of epochs (only the scripts for iris and seeds are published), and how many runs an average "
    "is of"
)
MISSING_EPOCHS = f"when an optimizer counts as saturated; {MISSING}"


@dataclass(frozen=True)
class Scale:
    """How much is run: data sets, seeds by the paper's protocol, and the fair race's seeds and budget."""

    sets: tuple[str, ...]
    runs: int
    seeds: int
    draws: int
    studies: int
    repeats: int
    epochs: float = 1.0  # of the paper's

    def words(self) -> str:
        """What is smaller than the paper's; "" for nothing."""
        return "" if self.epochs == 1 else f"{self.epochs:g} of the epochs"


FULL = Scale(UCI, runs=10, seeds=15, draws=5, studies=3, repeats=0)
SMALL_SETS = tuple(table.name for table in TABLES if table.rows <= 400)
QUICK = Scale(SMALL_SETS, runs=5, seeds=6, draws=3, studies=2, repeats=0)


def run(options: Options, tell: Tell, scale: Scale | None = None) -> Records:
    """Both protocols for each loss, one race each. Raises DataMissing where a data set is not there."""
    scale = scale or (QUICK if options.quick else FULL)
    measured: list[Measured] = []
    figures: dict[str, Any] = {}
    for kind in LOSSES:
        published = raced(
            published_tasks(kind, scale, options), published_methods(), options, tell, f"published-{kind}",
            baseline="adam", seeds=scale.runs,
        )  # fmt: skip
        fair = raced(
            fair_tasks(kind, scale, options), fair_methods(), options, tell, f"fair-{kind}",
            baseline="adam", seeds=scale.seeds, budget=scale.draws, studies=scale.studies, repeats=scale.repeats,
        )  # fmt: skip
        measured += cells(kind, scale, published, fair)
        figures[f"seconds_{kind}"] = step_seconds(published)
        measured += claims_in_words(kind, measured, figures[f"seconds_{kind}"])
    measured += wins(measured, scale)
    settings = {"tables_scale": {**vars(scale), "sets": list(scale.sets)}}
    return Records("adaswarm", tuple(measured), figures, settings)


TABLES_PART = Part(
    "tables",
    "Tables IV and V, supplementary tables 5 to 9: fifteen data sets",
    ("IV", "V", "S5", "S6", "S7", "S8", "S9"),
    "about 30 minutes on two cores, quick 4",
    tuple(table.file for table in TABLES),
    run,
    quick_minutes=4,
)


# Tasks and methods


def published_tasks(kind: str, scale: Scale, options: Options) -> list[Task]:
    """A data set each: as it is, without a split, features unscaled."""
    tasks = []
    for name in scale.sets:
        base, table = find(f"uci_{name}", options.data_dir), _table(name)
        data = Labelled(base.train, table.classes)
        tasks.append(
            Task(
                network_of(table.features, HIDDEN.get(name, 10), table.classes),
                ELEMENTS[kind],
                data,
                data,
                data,
                metric=ELEMENTWISE,
                name=name,
                title=table.title,
                batch_size=BATCHES.get(name, 50),
                epochs=max(1, round(scale.epochs * EPOCHS[kind])),
                standardise=False,
                source=base.source,
            )
        )
    return tasks


def fair_tasks(kind: str, scale: Scale, options: Options) -> list[Task]:
    """The same data sets split anew with each seed, features standardised, scored by the most likely class."""
    tasks = []
    for name in scale.sets:
        base, table = find(f"uci_{name}", options.data_dir), _table(name)
        model = network_of(table.features, 10, table.classes)
        epochs = max(1, round(scale.epochs * EPOCHS["bce"]))
        tasks.append(replace(base, model=model, loss=LabelLoss(kind), metric=ACCURACY, name=name, epochs=epochs))
    return tasks


def published_methods() -> list[Method]:
    """At the published settings; AdaSwarm and the emulation of SGD as the published code runs them."""
    methods = []
    for name in COLUMNS:
        plain = method_named(COMPOSED[name].rule if name in COMPOSED else name)
        through = published_swarm(eta=0.5 if name == "swarm_sgd" else 0.1) if name in COMPOSED else None
        own = {**plain.hyperparameters, "lr": LR}
        methods.append(
            Method(name, plain.optimizer, own, plain.space, (), COMPOSED.get(name, plain).title, "", through)
        )
    return methods


def published_swarm(eta: float) -> Through:
    """The swarm of the published scripts: it begins at the labels, all samples share one best, a particle has one
    factor, and the momentum is never written, which leaves PSO with inertia 1 - 0.1; gradients are summed."""
    fixed = {
        "init": "target", "bounds": (0.0, 1.0), "reference": True, "level": "joint", "reduction": "sum",
        "variant": "pso", "inertia": 0.9, "c1": 0.9, "c2": 0.8, "per_dimension": False, "coeff": "paper", "eta": eta,
        "particles": 10, "iterations": 40,
    }  # fmt: skip
    return Through("SwarmGradient", {}, (), fixed)


def fair_methods() -> list[Method]:
    """Tuned in the spaces of their optimizers. Swarms begin anywhere in (0, 1), without the labels: what they find
    depends on the label alone, so it is found once for each."""
    methods = []
    for name in (*COLUMNS, *PLAIN):
        if name not in COMPOSED:
            methods.append(method_named(name))
            continue
        plain = method_named(COMPOSED[name].rule)
        own = composed(name, COMPOSED[name]).hyperparameters
        if "particles" in own:
            own = {**own, "bounds": (0.0, 1.0)}
        title, through = COMPOSED[name].title, COMPOSED[name].through
        methods.append(Method(name, plain.optimizer, own, plain.space, (), title, "", through))
    return methods


def _table(name: str) -> Any:
    return next(table for table in TABLES if table.name == name)


# What they come to


def cells(kind: str, scale: Scale, published: RaceResult, fair: RaceResult) -> list[Measured]:
    """All claimed cells of one loss; accuracies in per cent."""
    table, found = TABLE_OF[kind], []
    for name in scale.sets:
        for column in COLUMNS:
            ours, theirs = published.records[name, column], fair.records[name, column]
            accuracies = tuple(100 * _number(record.train_metric) for record in ours)
            missing, words = "" if name in BATCHES else MISSING, scale.words()
            constant = 100 * _number(ours[0].constant_metric)
            tests = tuple(100 * _number(record.test_metric) for record in theirs)
            losses = tuple(_last_loss(record) for record in ours)
            test_losses = tuple(_number(record.test_loss) for record in theirs)
            found += [
                Measured(table, name, column, "loss", losses, test_losses, None, missing, words),
                Measured(table, name, column, "accuracy", accuracies, tests, constant, missing, words),
            ]
            if column == "adaswarm":
                spreads = (stdev(accuracies),), (stdev(tests),)
                found.append(Measured(table, name, column, "accuracy_sd", *spreads, None, missing, words))
        for column in PLAIN:  # what the paper has no column for
            tests = tuple(100 * _number(record.test_metric) for record in fair.records[name, column])
            found.append(Measured(table, name, column, "accuracy", (), tests, scale=scale.words()))
        for column, epochs in epochs_to_saturation(published, name).items():
            fairly = epochs_to_saturation(fair, name)[column]
            place = EPOCHS_TABLE_OF[kind], name, column, "epochs"
            found.append(Measured(*place, epochs, fairly, None, MISSING_EPOCHS, scale.words()))
    return found


def epochs_to_saturation(result: RaceResult, task: str) -> Mapping[str, tuple[float, ...]]:
    """The epoch in which Adam is saturated, and in which AdaSwarm is as accurate as Adam then, by seed; one more than
    there are where it never is."""
    found: dict[str, list[float]] = {"adam": [], "adaswarm": []}
    for adam, swarm in zip(result.records[task, "adam"], result.records[task, "adaswarm"], strict=True):
        target = max(adam.validation_metric) - SATURATED
        for column, record in (("adam", adam), ("adaswarm", swarm)):
            reached = np.array(record.validation_metric) >= target
            found[column].append(float(reached.argmax()) if reached.any() else float(len(adam.validation_metric)))
    return {column: tuple(epochs) for column, epochs in found.items()}


def wins(measured: Sequence[Measured], scale: Scale) -> list[Measured]:
    """How often of ten AdaSwarm is at least as accurate as Adam (supplementary table 9)."""
    by_cell = {one.cell: one for one in measured}
    found = []
    for name in scale.sets:
        for kind, table in TABLE_OF.items():
            pairs = [by_cell[table, name, column, "accuracy"] for column in ("adaswarm", "adam")]
            counts = []
            for numbers in ([one.protocol for one in pairs], [one.fair for one in pairs]):
                least = [ours >= theirs for ours, theirs in zip(*numbers, strict=True)]
                counts.append(10 * sum(least) / len(least))
            found.append(
                Measured("S9", name, "adaswarm", f"wins_{kind}", (counts[0],), (counts[1],), missing=pairs[0].missing)
            )
    return found


def claims_in_words(
    kind: str, measured: Sequence[Measured], seconds: Mapping[str, Mapping[str, float]]
) -> list[Measured]:
    """On how many data sets AdaSwarm takes fewer epochs than Adam, and how its steps compare in time.

    Both are told as the paper tells them, of fifteen data sets; at a smaller scale, in proportion.
    """
    table = EPOCHS_TABLE_OF[kind]
    epochs = {(one.row, one.column): one for one in measured if one.table == table}
    rows = {row for row, _ in epochs}
    counts = []
    for which in ("protocol", "fair"):
        fewer = [
            sum(getattr(epochs[row, "adaswarm"], which)) < sum(getattr(epochs[row, "adam"], which)) for row in rows
        ]
        counts.append(len(UCI) * sum(fewer) / len(fewer))
    row = f"fewer_epochs_{kind}"
    found = [Measured("text", row, "adaswarm", "at_least", (counts[0],), (counts[1],), missing=MISSING_EPOCHS)]
    if kind == "bce":
        ratios = tuple(one["adaswarm"] / one["adam"] for one in seconds.values())
        found.append(Measured("text", "execution_time", "adaswarm", "at_most", ratios))
    return found


def step_seconds(published: RaceResult) -> dict[str, dict[str, float]]:
    """By data set, the seconds of a step of Adam and of AdaSwarm, as the published code runs it."""
    found: dict[str, dict[str, float]] = {}
    for (task, column), records in published.records.items():
        if column in ("adam", "adaswarm"):
            found.setdefault(task, {})[column] = sum(r.seconds for r in records) / max(1, sum(r.steps for r in records))
    return found


def _last_loss(record: Record) -> float:
    return float("inf") if record.diverged else record.train_loss[-1]


def _number(value: float | None) -> float:
    """A metric; one that has none has diverged and scores 0, a loss is infinite."""
    return 0.0 if value is None else value
