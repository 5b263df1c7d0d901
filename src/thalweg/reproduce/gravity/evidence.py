"""What the records say, put so that statements can be held against it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from statistics import fmean
from typing import Any

from thalweg.reproduce.claims import claims_of
from thalweg.reproduce.difference import Difference
from thalweg.reproduce.gravity.fair_race import TABLE as RACE
from thalweg.reproduce.gravity.images import CLASSES, FIGURES, TITLES, ends
from thalweg.reproduce.gravity.networks import NETWORKS
from thalweg.reproduce.gravity.networks import TITLES as NETWORK_TITLES
from thalweg.reproduce.gravity.trials import SETS
from thalweg.reproduce.records import Records

PUBLISHED = ("gravity", "adam", "rmsprop")
OTHERS = PUBLISHED[1:]
LEARNT = 5.0  # points above chance, from where on an accuracy says anything

Place = tuple[str, str]  # a data set and a network
Curves = Mapping[str, Sequence[float]]


class Evidence:
    """Questions to the records; every answer is None, or empty, where the part that it needs was not run."""

    def __init__(self, records: Records) -> None:
        self.records = records
        self.trials: Mapping[Place, Mapping[str, Sequence[Curves]]] = {
            (data, network): records.figures[f"{data} {network}"]
            for data in SETS
            for network in NETWORKS
            if f"{data} {network}" in records.figures
        }

    def figures(self, part: str) -> Mapping[str, Any]:
        """The plain numbers of another part."""
        found: Mapping[str, Any] = self.records.figures.get(part, {})
        return found

    # Trials by the paper's protocol

    def measured(self, place: Place, method: str, of: Callable[[Curves], float]) -> tuple[float, ...]:
        """A number of each trial's curves, one a seed."""
        return tuple(of(trial) for trial in self.trials.get(place, {}).get(method, ()))

    def values(self, place: Place, method: str, quantity: str) -> tuple[float, ...]:
        """What the curves come to, by the names that published histories have too."""
        return self.measured(place, method, lambda trial: ends(trial)[quantity])

    def less(self, place: Place, method: str, other: str, quantity: str, family: int = 1) -> Difference | None:
        """By how much a method has more of a quantity than another one, paired by seed; one of a `family`."""
        ours, theirs = (self.values(place, name, quantity) for name in (method, other))
        if len(ours) != len(theirs) or len(ours) < 2:
            return None
        return Difference.of([our - their for our, their in zip(ours, theirs, strict=True)], family)

    def pooled(
        self, places: Sequence[Place], method: str, other: str, of: Callable[[Curves], float]
    ) -> Difference | None:
        """The same of any number, over the seeds of all these places together."""
        pairs = [
            (our, their)
            for place in places
            for our, their in zip(self.measured(place, method, of), self.measured(place, other, of), strict=True)
        ]
        return Difference.of([our - their for our, their in pairs]) if len(pairs) > 1 else None

    def learns(self, place: Place, method: str) -> bool:
        """Whether its best accuracy, in the mean, is well above chance."""
        best = self.values(place, method, "best_accuracy")
        return bool(best) and fmean(best) > 100 / CLASSES[place[0]] + LEARNT

    @cached_property
    def places(self) -> list[Place]:
        """Where trials are."""
        return list(self.trials)

    @cached_property
    def learnt(self) -> list[Place]:
        """Where all three published methods learn something."""
        return [place for place in self.places if all(self.learns(place, method) for method in PUBLISHED)]

    @cached_property
    def settled(self) -> list[Place]:
        """Those of them where training was long enough: where at most half of the trials of the published methods are
        at their best accuracy in the last epoch, and would have come further."""
        return [place for place in self.learnt if 2 * self.cut_short(place)[0] <= self.cut_short(place)[1]]

    def cut_short(self, place: Place) -> tuple[int, int]:
        """How many trials of the published methods, of how many, are at their best accuracy in their last epoch."""
        own = [trial for method in PUBLISHED for trial in self.trials[place][method]]
        return sum(ends(trial)["best_epoch"] == len(trial["accuracy"]) for trial in own), len(own)

    # The fair race

    @property
    def raced(self) -> list[str]:
        """Its tasks, but those on which nobody learns anything that could be compared."""
        found = self.figures("fair")
        scores = [one for one in self.records.measured if one.table == RACE and one.row in found and one.fair]
        best = {task: max(fmean(one.fair) for one in scores if one.row == task) for task in {one.row for one in scores}}
        return [task for task, of in found.items() if best.get(task, -math.inf) > of["constant"] + LEARNT]

    # The authors' own histories

    @cached_property
    def published(self) -> Mapping[tuple[str, str, str], float]:
        """By row ("cifar10 vgg16"), method and quantity."""
        figures = set(FIGURES.values())
        return {
            (claim.row, claim.column, claim.quantity): claim.value
            for claim in claims_of("gravity")
            if claim.table in figures and claim.value is not None
        }

    def history(self, place: Place, quantity: str) -> dict[str, float]:
        """What the authors' one run of each method came to."""
        return {method: self.published[" ".join(place), method, quantity] for method in PUBLISHED}


def named(place: Place) -> str:
    """A data set and a network in words."""
    return f"{TITLES[place[0]]}, {NETWORK_TITLES[place[1]]}"


def oscillation(trial: Curves) -> float:
    """How validation loss goes up and down from epoch to epoch over the last half: the mean absolute second difference,
    which a straight way down has none of, as a share of the mean loss. Infinite where the loss is not finite."""
    losses = trial["loss"][len(trial["loss"]) // 2 :]
    if not all(map(math.isfinite, losses)):
        return math.inf
    bends = [abs(after - 2 * at + before) for before, at, after in zip(losses, losses[1:], losses[2:], strict=False)]
    return fmean(bends) / fmean(losses) if bends else math.nan
