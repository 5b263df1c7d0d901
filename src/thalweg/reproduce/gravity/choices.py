"""Choices of the Max-Step Grad m: the reciprocal of the largest gradient, and what the authors tried in its place."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

from thalweg.race import Method
from thalweg.race.report.table import Table
from thalweg.reproduce.fair import verdict_table
from thalweg.reproduce.fair_races import Effort, cells, figures, plain, rates_table, untuned
from thalweg.reproduce.paper import Options, Part, Tell
from thalweg.reproduce.races import raced
from thalweg.reproduce.records import Measured, Records
from thalweg.tasks import Task
from thalweg.tasks.catalogue import find
from thalweg.tasks.models import mlp

TABLE = "Choice of m"  # every choice tuned by one budget
PUBLISHED = "Choice of m, published rate"  # every choice at the learning rate 0.1
BASELINE = "gravity"
# The last has no m at all: momentum of the gradients as they are.
METHODS = (BASELINE, "gravity_std", "gravity_range", "gravity_zscore", "gravity_ema_noise")
DEEP = (64, *[64] * 8, 10)  # layers of a plain network that is deep, where gradients are larger


@dataclass(frozen=True)
class Scale:
    """How much is run."""

    tasks: tuple[str, ...]
    effort: Effort


FULL = Scale(("digits", "breast_cancer", "digits_deep"), Effort(seeds=20, draws=8, studies=3))
QUICK = Scale(("digits_deep",), Effort(seeds=8, draws=4, studies=2))


def task_of(name: str) -> Task:
    """A bundled task, or digits with the deep network."""
    if name != "digits_deep":
        return find(name)
    return replace(find("digits"), model=partial(mlp, DEEP), name=name, title="Digits, 8 hidden layers")


def methods() -> list[Method]:
    """Each choice tuned, and at its published hyperparameters, where its name ends in `@published`."""
    return [*map(plain, METHODS), *(untuned(name, {}, "published") for name in METHODS)]


def run(options: Options, tell: Tell, scale: Scale | None = None) -> Records:
    """One race on all tasks."""
    scale = scale or (QUICK if options.quick else FULL)
    result = raced(
        [task_of(name) for name in scale.tasks], methods(), options, tell, "gravity_choices", baseline=BASELINE,
        seeds=scale.effort.seeds, budget=scale.effort.draws, studies=scale.effort.studies,
    )  # fmt: skip
    measured: list[Measured] = []
    found: dict[str, Any] = {}
    for task in scale.tasks:
        for cell in cells(result, TABLE, task):
            name, _, as_published = cell.column.partition("@")
            measured.append(replace(cell, table=PUBLISHED if as_published else TABLE, column=name))
        of = figures(result, task)
        found[task] = {**of, "lr": {name: of["lr"][name] for name in METHODS}}
    return Records("gravity", tuple(measured), {"choices": found}, {"choices": asdict(scale)})


def choices_tables(records: Records) -> list[Table]:
    """Verdicts of the other choices against the published one, at its learning rate and tuned; and the rates."""
    found = records.figures.get("choices", {})
    if not found:
        return []
    captions = {
        PUBLISHED: "Choices of m at the published learning rate 0.1: test accuracy against 1 / max|G|",
        TABLE: "Choices of m, each tuned by one budget: test accuracy against 1 / max|G|",
    }
    tables = [
        verdict_table(records, table, "accuracy", BASELINE, METHODS[1:], caption) for table, caption in captions.items()
    ]
    return [*tables, rates_table(found, "choices-rates", "Choices of m: the learning rates, one a tuning")]


PART = Part("choices", "Choices of m", (), "about 4 minutes on two cores, quick 30 s", (), run, quick_minutes=0.5)
