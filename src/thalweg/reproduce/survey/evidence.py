"""What the records say, put so that statements can be held against it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from statistics import fmean, median
from typing import Any

from thalweg.race.statistics import Comparison
from thalweg.reproduce.fair import compared
from thalweg.reproduce.records import Records
from thalweg.reproduce.survey.networks import GRADIENTS, STRATEGIES, TABLE

Cell = Mapping[str, Any]
DEEP = ("digits 16 layers",)
COMPLEX = ("fashion 100",)
SIMPLE = ("iris", "iris 16", "digits 32")
CONTROLS = ("random", "hillclimb")
EARLY = 0.1  # of the training
GENERATION = 50  # passes: the least that a strategy can be said to have begun after
CLEARLY = 0.05  # of accuracy, by which a method must be better than random search to have anything to lose


class Evidence:
    """Questions to the records; every answer is None, or empty, where the part that it needs was not run."""

    def __init__(self, records: Records) -> None:
        self.records = records
        self.functions: Sequence[Cell] = records.figures.get("functions", ())
        self.choices: Sequence[Cell] = records.figures.get("choices", ())
        self.growth: Mapping[str, Any] = records.figures.get("growth", {})
        self.nets: Mapping[str, Any] = records.figures.get("networks", {})

    # Functions

    def cells(self, methods: Iterable[str], minima: str | None = None) -> list[Cell]:
        """Those of some methods, on functions with "one" minimum or "many"."""
        wanted = set(methods)
        return [cell for cell in self.functions if cell["method"] in wanted and minima in (None, cell["minima"])]

    @cached_property
    def _shared(self) -> set[tuple[str, int]]:
        """The functions that every method was run on: CMA is not on the largest, which nobody finds easy."""
        run: dict[tuple[str, int], set[str]] = {}
        for cell in self.functions:
            run.setdefault((cell["function"], cell["dim"]), set()).add(cell["method"])
        every = {cell["method"] for cell in self.functions}
        return {place for place, methods in run.items() if methods == every}

    def solved(self, methods: Iterable[str], minima: str | None = None) -> float | None:
        """The share of runs that were solved, on the functions that every method was run on."""
        cells = [cell for cell in self.cells(methods, minima) if (cell["function"], cell["dim"]) in self._shared]
        return sum(c["solved"] for c in cells) / sum(c["runs"] for c in cells) if cells else None

    def solved_by_each(self, methods: Iterable[str], minima: str | None = None) -> dict[str, float]:
        """The same by method."""
        shares = {method: self.solved([method], minima) for method in methods}
        return {method: share for method, share in shares.items() if share is not None}

    def passes_beside(self, methods: Iterable[str], others: Iterable[str], minima: str) -> list[float]:
        """For each function that both groups solve: the passes of the quickest of the first over the quickest of the
        second."""
        found = []
        first, second = (self._quickest(group, minima) for group in (methods, others))
        for place, passes in first.items():
            if place in second:
                found.append(passes / second[place])
        return found

    def _quickest(self, methods: Iterable[str], minima: str) -> dict[tuple[str, int], float]:
        found: dict[tuple[str, int], float] = {}
        for cell in self.cells(methods, minima):
            if cell["solved"] > cell["runs"] / 2:
                place = cell["function"], cell["dim"]
                found[place] = min(cell["passes"], found.get(place, math.inf))
        return found

    # Networks

    def scores(self, net: str, method: str, quantity: str = "accuracy") -> tuple[float, ...]:
        """One a seed; none where it was not run."""
        one = self.records.of((TABLE, net, method, quantity))
        return one.fair if one else ()

    def against(self, net: str, baseline: str = "adam") -> dict[str, Comparison]:
        """Each method's accuracy against the baseline's."""
        return compared(self.records, TABLE, net, "accuracy", baseline)

    def counted(self, methods: Iterable[str], nets: Iterable[str], baseline: str = "adam") -> Counter[str]:
        """How often each verdict was reached by these methods on these networks against the baseline."""
        wanted, counts = set(methods), Counter[str]()
        for net in nets:
            if net in self.nets:
                found = self.against(net, baseline)
                counts.update(found[name].verdict for name in found if name in wanted)
        return counts

    def ahead_early(self) -> tuple[int, int] | None:
        """On how many networks, of how many, the better of the gradient methods has the lowest mean training loss
        after the first tenth of the training; networks where that has no room for a generation are left out."""
        ahead, total = 0, 0
        for net in self.nets.values():
            passes = [net["methods"][name]["passes"] for name in GRADIENTS if name in net["methods"]]
            if EARLY * max(passes, default=0) < GENERATION:
                continue
            early = {name: _early(own["curve"]) for name, own in net["methods"].items() if own["curve"]}
            gradients = [early[name] for name in GRADIENTS if name in early]
            others = [early[name] for name in STRATEGIES if name in early]
            if gradients and others:
                ahead, total = ahead + (min(gradients) < min(others)), total + 1
        return (ahead, total) if total else None

    def lost_by_setting(self, methods: Iterable[str]) -> float | None:
        """How many points of validation accuracy a drawn setting loses to the best one drawn: the median over networks,
        methods and the other draws within a decade of the best, as ranges are of different widths; one that diverged
        loses all of them. Only where the best is clearly better than random search: near chance nothing can be lost."""
        lost: list[float] = []
        for net in self.nets.values():
            chance = max((draw["score"] or 0.0 for draw in _tuning(net, "random")), default=math.inf)
            for method in dict.fromkeys(methods):
                scale = "lr" if method in GRADIENTS else "scale"
                draws = sorted(_tuning(net, method), key=lambda draw: draw["score"] or 0.0, reverse=True)
                if draws and (draws[0]["score"] or 0.0) > chance + CLEARLY:
                    best, *others = draws
                    near = (draw for draw in others if _decades(draw[scale], best[scale]) <= 1)
                    lost += [100 * (best["score"] - (draw["score"] or 0.0)) for draw in near]
        return median(lost) if lost else None

    def spread_over_seeds(self, methods: Iterable[str]) -> float | None:
        """The standard deviation of test accuracy over seeds, the mean over networks and methods."""
        spreads = []
        for net in self.nets:
            for method in methods:
                scores = self.scores(net, method)
                if len(scores) > 1:
                    middle = fmean(scores)
                    spreads.append((sum((score - middle) ** 2 for score in scores) / (len(scores) - 1)) ** 0.5)
        return fmean(spreads) if spreads else None

    # Choices, growth

    def choice(self, problem: str) -> dict[str, Cell]:
        """What each method made of the knapsack or the tour."""
        return {cell["method"]: cell for cell in self.choices if cell["problem"] == problem}

    def work(self, methods: Iterable[str], quantity: str = "seconds") -> dict[str, float]:
        """A method's own work for an evaluation as a multiple of Adam's for a step, at the most dimensions that both
        are timed at."""
        adams = self.growth.get("adam", {}).get("work", {})
        found = {}
        for method in methods:
            work = self.growth.get(method, {}).get("work", {})
            both = [dim for dim in work if work[dim] and adams.get(dim)]
            if both:
                most = max(both, key=int)
                found[method] = work[most][quantity] / adams[most][quantity]
        return found


def _tuning(net: Mapping[str, Any], method: str) -> Sequence[Mapping[str, Any]]:
    return net["methods"].get(method, {}).get("tuning", ())


def _decades(a: float, b: float) -> float:
    return abs(math.log10(a / b))


def _early(curve: Sequence[float]) -> float:
    return curve[max(1, round(EARLY * (len(curve) - 1)))] if len(curve) > 1 else curve[0]
