"""Statements on single figures: held against the authors' own histories, and against our trials on the same images."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from thalweg.names import shown
from thalweg.race.charts.scale import number
from thalweg.reproduce.difference import Difference
from thalweg.reproduce.gravity.evidence import OTHERS, Evidence, Place, named
from thalweg.reproduce.gravity.images import CLASSES, FIGURES
from thalweg.reproduce.gravity.networks import TITLES as NETWORKS
from thalweg.reproduce.layout import in_words
from thalweg.reproduce.statements import FAILS, HOLDS, PARTLY, UNDECIDED, Judge, Judgement


@dataclass(frozen=True)
class Order:
    """That a method has more of a quantity than others, or less."""

    method: str
    than: str  # "more" or "less"
    quantity: str
    others: tuple[str, ...] = OTHERS

    def holds(self, values: dict[str, float]) -> bool:
        """Whether numbers are in that order."""
        sign = 1 if self.than == "more" else -1
        return all(sign * values[self.method] > sign * values[other] for other in self.others)


RULE = (
    "the authors' own histories have it so, one run each, and our trials on these images clearly show the same; "
    "undecided where only the histories have it; in part where they do in some of what is said, or where our trials "
    "clearly show the contrary; not where in nothing"
)


def ordered(data: str, network: str, *orders: Order) -> Judge[Evidence]:
    """Of what is said to be more or less in a figure."""

    def judge(e: Evidence) -> Judgement | None:
        histories = [(order, e.history((data, network), order.quantity)) for order in orders]
        held = [order.holds(values) for order, values in histories]
        ours = _differences(e, [data], orders)
        told = "; ".join(_values(order.quantity, values) for order, values in histories)
        here = f". Here: {'; '.join(map(str, ours))}" if ours else ""
        return Judgement(_verdict(held, ours), f"the authors' {FIGURES[data, network]}, one run each: {told}{here}")

    return judge


def many_classes(e: Evidence) -> Judgement | None:
    """Validation accuracy where classes are more than ten: by the authors' best, and by ours where CIFAR-100 is."""
    places = [place for place in FIGURES if CLASSES[place[0]] > 10]
    order = Order("gravity", "more", "best_accuracy")
    histories = {place: e.history(place, order.quantity) for place in places}
    ours = _differences(e, {data for data, _ in places}, [order])
    held = [order.holds(values) for values in histories.values()]
    told = "; ".join(f"{named(place)}: {_values(order.quantity, values)}" for place, values in histories.items())
    here = "; ".join(map(str, ours)) or "nothing that decides it was run on CIFAR-100"
    return Judgement(_verdict(held, ours), f"the authors' own histories, one run each: {told}. Here: {here}")


@dataclass(frozen=True)
class Ours:
    """A difference that our trials say something about an order by."""

    place: Place
    order: Order
    other: str
    difference: Difference

    @property
    def confirms(self) -> bool:
        """Whether it clearly is so."""
        return self.difference.above if self.order.than == "more" else self.difference.below

    @property
    def contradicts(self) -> bool:
        """Whether it is clearly the other way round."""
        return self.difference.below if self.order.than == "more" else self.difference.above

    def __str__(self) -> str:
        less = f"{shown(self.order.method)} less {shown(self.other)}"
        return f"{in_words(self.order.quantity)}, {NETWORKS[self.place[1]]}, {less}: {self.difference}"


def _verdict(held: Sequence[bool], ours: Sequence[Ours]) -> str:
    """What histories, of which each holds or not, and our trials come to together."""
    if not any(held):
        return FAILS
    if not all(held) or any(one.contradicts for one in ours):
        return PARTLY
    return HOLDS if ours and all(one.confirms for one in ours) else UNDECIDED


def _differences(e: Evidence, sets: Collection[str], orders: Sequence[Order]) -> list[Ours]:
    """Of all that our trials on these data sets say of the orders, as one family."""
    wanted = [(p, order, other) for order in orders for p in e.settled if p[0] in sets for other in order.others]
    found = []
    for place, order, other in wanted:
        difference = e.less(place, order.method, other, order.quantity, len(wanted))
        found += [Ours(place, order, other, difference)] if difference is not None else []
    return found


def _values(quantity: str, values: dict[str, float]) -> str:
    listed = ", ".join(f"{shown(method)} {number(float(f'{value:.4g}'))}" for method, value in values.items())
    return f"{in_words(quantity)} {listed}"
