"""Objectives that autograd cannot follow, trained from their values alone: which estimate of a gradient serves best?

Every method is Adam, fed with another gradient with respect to the outputs; those that evaluate the objective do so as
often a step. Each searches its learning rate, its schedule and one scale of its own, with the same budget.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from torch import Tensor

from thalweg.race import RaceResult
from thalweg.race.method import method_named
from thalweg.reproduce.paper import Options, Part, Tell
from thalweg.reproduce.races import raced
from thalweg.reproduce.records import Measured, Records
from thalweg.swarm.losses import AUCLoss, F1Loss, StepCost, ZeroOneLoss
from thalweg.tasks import Metric, Task
from thalweg.tasks.catalogue import find
from thalweg.tasks.uci_tables import TABLES

# Epochs such that each data set takes a few hundred steps.
EPOCHS = {"haberman": 40, "ilpd": 40, "car": 20, "mushroom": 4}
ESTIMATES = ("adaswarm", "adaswarm_fitted", "output_spsa", "output_es", "output_differences")
SURROGATES = ("smooth_surrogate", "cross_entropy_surrogate")
METHODS = (*ESTIMATES, *SURROGATES)
BASELINE = "smooth_surrogate"


def cost_loss(classes: int) -> StepCost:
    """Taking a higher class for a lower one costs five times as much as the other way round."""
    costs = [[0 if p == t else 5 if p < t else 1 for p in range(classes)] for t in range(classes)]
    return StepCost(tuple(map(tuple, costs)))


@dataclass(frozen=True)
class Objective:
    """An objective: its loss for a number of classes, and the metric that it is one minus, or minus itself."""

    title: str
    loss: Callable[[int], Any]
    percent: bool

    def metric(self, loss: Any) -> Metric:
        """Better when higher."""
        offset = 1.0 if self.percent else 0.0
        return Metric("objective", self.title, partial(_less, loss, offset), percent=self.percent)


def _less(loss: Any, offset: float, outputs: Tensor, targets: Tensor) -> Tensor:
    return offset - loss(outputs, targets).double()


OBJECTIVES: dict[str, Objective] = {
    "f1": Objective("Macro F1", lambda classes: F1Loss(), percent=True),
    "auc": Objective("AUC", lambda classes: AUCLoss(), percent=True),
    "zero_one": Objective("Accuracy", lambda classes: ZeroOneLoss(), percent=True),
    "cost": Objective("Negative cost", cost_loss, percent=False),
}


@dataclass(frozen=True)
class Scale:
    """How much is run."""

    sets: tuple[str, ...] = tuple(EPOCHS)
    objectives: tuple[str, ...] = tuple(OBJECTIVES)
    seeds: int = 15
    draws: int = 7
    studies: int = 3
    repeats: int = 0


QUICK = Scale(sets=("haberman",), objectives=("f1", "zero_one"), seeds=9, draws=3, studies=1, repeats=0)


def task_of(name: str, objective: str, options: Options) -> Task:
    """A data set, the two-layer network of the race, and the objective as its loss and metric."""
    base = find(f"uci_{name}", options.data_dir)
    chosen = OBJECTIVES[objective]
    loss = chosen.loss(next(table.classes for table in TABLES if table.name == name))
    return replace(
        base,
        loss=loss,
        metric=chosen.metric(loss),
        name=f"{name}_{objective}",
        title=f"{base.title}, {chosen.title}",
        epochs=EPOCHS[name],
    )


def run(options: Options, tell: Tell, scale: Scale | None = None) -> Records:
    """The race. Raises DataMissing where a data set is not there."""
    scale = scale or (QUICK if options.quick else Scale())
    result = raced(
        [task_of(name, objective, options) for objective in scale.objectives for name in scale.sets],
        [method_named(name) for name in METHODS],
        options,
        tell,
        "objectives",
        baseline=BASELINE,
        seeds=scale.seeds,
        budget=scale.draws,
        studies=scale.studies,
        repeats=scale.repeats,
    )
    measured = [
        _measured(result, name, objective, column)
        for objective in scale.objectives
        for name in scale.sets
        for column in result.summary.methods
    ]
    return Records("objectives", tuple(measured), _evaluations(result), {"scale": vars(scale)})


def _measured(result: RaceResult, name: str, objective: str, column: str) -> Measured:
    """The test scores, in per cent where the objective is a share."""
    scores = result.summary.scores(f"{name}_{objective}", column)
    factor = 100 if OBJECTIVES[objective].percent else 1
    return Measured(objective, name, column, "score", fair=tuple(float(factor * score) for score in scores))


def _evaluations(result: RaceResult) -> dict[str, Any]:
    """How often a step evaluates the objective, by method: the most over all tasks."""
    found: dict[str, float] = {}
    for (_, column), records in result.records.items():
        each = sum(one.loss_evaluations for one in records) / max(1, sum(one.steps for one in records))
        found[column] = max(each, found.get(column, 0.0))
    return {"evaluations_a_step": found}


PART = Part(
    "race",
    "Four objectives without a useful gradient, on four data sets",
    (),
    "about 10 minutes on two cores, quick 1",
    tuple(table.file for table in TABLES if table.name in EPOCHS),
    run,
    quick_minutes=1,
)
