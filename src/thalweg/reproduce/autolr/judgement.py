"""What may be said of a statement, and how measured numbers are put in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from thalweg.names import shown
from thalweg.reproduce.autolr.evidence import Difference, Evidence

HOLDS, PARTLY, FAILS, UNDECIDED, NOT_MEASURED = "holds", "holds in part", "does not hold", "undecided", "not measured"
VERDICTS = (HOLDS, PARTLY, FAILS, UNDECIDED, NOT_MEASURED)


@dataclass(frozen=True)
class Judgement:
    """A verdict, and the measured numbers that it rests on, in words."""

    verdict: str
    because: str


Judge = Callable[[Evidence], Judgement | None]


def all_above(found: list[Difference]) -> str:
    """Whether all differences are above nothing, clearly or at least on the whole."""
    if any(one.below for one in found):
        return FAILS
    if all(one.above for one in found):
        return HOLDS
    return PARTLY if all(one.mean > 0 for one in found) else UNDECIDED


def listed(values: Mapping[str, float]) -> str:
    return ", ".join(f"{shown(name)} {_signed(value)}" for name, value in values.items())


def _signed(value: float) -> str:
    return f"{value:.2f}".replace("-", "−")
