"""What methods spent: time a step, and the trials that it is read from."""

from __future__ import annotations

import math
from statistics import median

import numpy as np

from thalweg.race.record import Record
from thalweg.race.summary import Summary


def reference(summary: Summary) -> str:
    """What costs are compared with: SGD, the cheapest there can be, where it is in the race, or else the baseline."""
    return "sgd" if "sgd" in summary.methods else summary.baseline


def overhead(summary: Summary, method: str) -> float:
    """Seconds a step in those of the reference: the geometric mean over the tasks."""
    base = reference(summary)
    pairs = [(seconds_a_step(summary, task, method), seconds_a_step(summary, task, base)) for task in summary.tasks]
    ratios = [mine / other for mine, other in pairs if mine > 0 and other > 0]
    return float(np.exp(np.mean(np.log(ratios)))) if ratios else math.nan


def seconds_a_step(summary: Summary, task: str, method: str) -> float:
    """The median over the trials."""
    return median(record.seconds / max(1, record.steps) for record in trials(summary, task, method))


def alone(summary: Summary, method: str) -> bool:
    """Whether a method was trained one network at a time while the reference was trained many at once.

    Their times cannot be compared then: what is shared among many is a part of what one alone takes.
    """

    def one_by_one(name: str) -> bool:
        return all(record.members == 1 for task in summary.tasks for record in trials(summary, task, name))

    return one_by_one(method) and not one_by_one(reference(summary))


def trials(summary: Summary, task: str, method: str) -> list[Record]:
    """The final trials, or those of tuning where there are none."""
    return list(summary.result.records.get((task, method), ())) or tuning_trials(summary, task, method)


def tuning_trials(summary: Summary, task: str, method: str) -> list[Record]:
    """All trials of all studies."""
    return [r for study in summary.result.studies[task, method] for draw in study.draws for r in draw.records]
