"""What the records say, put so that statements can be held against it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from statistics import fmean
from typing import Any

import numpy as np

from thalweg.race.statistics import Comparison, Width, lr_width
from thalweg.reproduce.autolr.fair_race import QUANTITY, TABLE
from thalweg.reproduce.autolr.images import PUBLISHED, TABLES
from thalweg.reproduce.claims import claims_of
from thalweg.reproduce.difference import Difference
from thalweg.reproduce.fair import compared
from thalweg.reproduce.records import Records

SPEED = ("ades", "adam", "rmsprop", "nesterov", "ades_heavy_ball")  # whose epochs to a target are compared

LEARNT = 5.0  # points above an answer that does not look at the input, from where on scores say anything


class Evidence:
    """Questions to the records; every answer is None, or empty, where the part that it needs was not run."""

    def __init__(self, records: Records) -> None:
        self.records = records
        self.exact: Mapping[str, Any] = records.figures.get("exact", {})
        self.grids: Mapping[str, Any] = records.figures.get("sensitivity", {})
        self.trials: Mapping[str, Mapping[str, Sequence[Mapping[str, Any]]]] = {
            name: records.figures[name]["trials"] for name in TABLES if name in records.figures
        }

    # Trials by the paper's protocol

    def scores(self, data: str, method: str, part: str = "test") -> tuple[float, ...]:
        """Accuracies in per cent with the weights that validated best, one a seed."""
        return tuple(float(trial[part]) for trial in self.trials.get(data, {}).get(method, ()))

    def drops(self, data: str, method: str) -> tuple[float, ...]:
        """By how much accuracy falls from the validation to the test part."""
        return tuple(float(trial["validation"]) - float(trial["test"]) for trial in self.trials[data].get(method, ()))

    def ahead(self, data: str, method: str, other: str, part: str = "test") -> Difference | None:
        """By how many points one method's accuracy is above another's, paired by seed."""
        ours, theirs = self.scores(data, method, part), self.scores(data, other, part)
        if len(ours) != len(theirs) or len(ours) < 2:
            return None
        return Difference.of([our - their for our, their in zip(ours, theirs, strict=True)])

    def cut_short(self, data: str) -> tuple[int, int]:
        """How many trials of the five published methods, of how many, validate best in their last epoch: these would
        have come further."""
        own = [trial for method in PUBLISHED for trial in self.trials.get(data, {}).get(method, ())]
        return sum(trial["epoch"] == len(trial["curve"]) - 1 for trial in own), len(own)

    def target(self, data: str) -> float | None:
        """The validation accuracy that all trials of the methods compared by speed reach."""
        best = [score for method in SPEED for score in self.scores(data, method, "validation")]
        return min(best) if best else None

    def epochs_to_target(self, data: str, method: str) -> tuple[int, ...]:
        """The first epoch at which each trial reaches it."""
        level = self.target(data)
        trials = self.trials.get(data, {}).get(method, ())
        if level is None:
            return ()
        return tuple(next(e for e, accuracy in enumerate(trial["curve"]) if accuracy >= level) for trial in trials)

    # The published tables

    @cached_property
    def published(self) -> Mapping[tuple[str, str, str], float]:
        """The printed accuracies: by data set, method, and "validation" or "test"."""
        return {
            (claim.row, claim.column, claim.quantity.removesuffix("_accuracy")): claim.value
            for claim in claims_of("autolr")
            if claim.quantity in ("validation_accuracy", "test_accuracy") and claim.value is not None
        }

    def published_drops(self, data: str) -> dict[str, float]:
        """From the validation to the test part, by method."""
        return {m: self.published[data, m, "validation"] - self.published[data, m, "test"] for m in PUBLISHED}

    # The fair race

    @property
    def raced(self) -> list[str]:
        """The tasks of the fair race, but those on which nobody learns anything that could be compared."""
        constants = {task: of["constant"] for task, of in self.records.figures.get("fair", {}).items()}
        best: dict[str, float] = {}
        for one in self.records.measured:
            if one.table == TABLE:
                best[one.row] = max(fmean(one.fair), best.get(one.row, -math.inf))
        return [task for task, score in best.items() if score > constants.get(task, -math.inf) + LEARNT]

    def against(self, task: str, baseline: str) -> dict[str, Comparison]:
        """Each method's verdict against another one on a task."""
        return compared(self.records, TABLE, task, QUANTITY.get(task, "accuracy"), baseline)

    def counted(self, methods: Iterable[str], baselines: Iterable[str], tasks: Iterable[str]) -> Counter[str]:
        """How often each verdict was reached by these methods on these tasks against these baselines."""
        wanted, counts = set(methods), Counter[str]()
        for task in tasks:
            for baseline in baselines:
                found = self.against(task, baseline)
                counts.update(found[name].verdict for name in found if name in wanted)
        return counts

    # Grids

    def width(self, task: str, method: str) -> Width | None:
        """The range of learning rates whose mean score is within 1 % of the best; None where nothing is learnt."""
        grid = self.grids.get(task, {}).get("lr", {}).get(method, ())
        rates, means = [cell["lr"] for cell in grid], [fmean(cell["scores"]) for cell in grid]
        start = float(self.grids[task]["constant"]) if grid else 0.0
        return lr_width(rates, means, start) if grid and max(means) > start else None

    def step(self, task: str, method: str) -> float:
        """Decades from one learning rate of a grid to the next."""
        rates = sorted(cell["lr"] for cell in self.grids[task]["lr"][method])
        return float(np.log10(rates[1] / rates[0]))

    def by_constants(self, task: str) -> list[float]:
        """ADES less heavy ball, mean scores in points, at each pair of constants."""
        grid = self.grids.get(task, {}).get("betas", {})
        ours, theirs = (
            {(cell["a"], cell["b"]): fmean(cell["scores"]) for cell in grid.get(name, ())}
            for name in ("ades", "ades_heavy_ball")
        )
        return [ours[place] - theirs[place] for place in ours if place in theirs]
