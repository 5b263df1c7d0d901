"""How claimed and measured numbers are written."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from statistics import fmean, stdev

from thalweg.race.notation import MINUS, NONE, PLUS_MINUS
from thalweg.reproduce.claims import Claim

MOST_PLACES = 6


def claimed(claim: Claim | None) -> str:
    """As it is printed."""
    if claim is None or claim.value is None:
        return NONE
    return _signed((claim.printed or f"{claim.value:.6g}").replace("inf", "∞"))


def measured(values: Sequence[float], claim: Claim | None = None) -> str:
    """A mean with the standard deviation over seeds, to the digit that this leaves, or two where it begins with a one;
    but no more than two places beyond the claim's; of one number, or of equal ones, four digits, or as many places as
    the claim has. Of numbers that are not finite, how many they are."""
    if not values:
        return NONE
    lost = sum(not math.isfinite(value) for value in values)
    if lost:
        worst = next(value for value in values if not math.isfinite(value))
        text = NONE if math.isnan(worst) else "∞" if worst > 0 else f"{MINUS}∞"
        return text if len(values) == 1 else f"{text} ({lost} of {len(values)})"
    mean, sd = fmean(values), stdev(values) if len(values) > 1 else 0.0
    if sd <= 1e-9 * abs(mean):
        return _single(mean, _places(claim)) + (f" {PLUS_MINUS} 0" if len(values) > 1 else "")
    if max(abs(mean), sd) < 1e-3 or max(abs(mean), sd) >= 1e6:
        return f"{_scientific(mean, 2)} {PLUS_MINUS} {_scientific(sd, 1)}"
    size = math.floor(math.log10(sd))
    most = MOST_PLACES if claim is None else max(4, _places(claim) + 2)
    places = min(most, max(0, (1 if sd < 2 * 10.0**size else 0) - size))
    return _signed(f"{mean:.{places}f} {PLUS_MINUS} {sd:.{places}f}")


def _single(value: float, places: int) -> str:
    if value == 0:
        return "0"
    if not 1e-3 <= abs(value) < 1e6:
        return _scientific(value, 3)
    if value == round(value) and not places:
        return _signed(f"{value:.0f}")
    return _signed(f"{value:.{min(MOST_PLACES, max(places, 3 - math.floor(math.log10(abs(value)))))}f}")


def _places(claim: Claim | None) -> int:
    """Decimal places that are printed."""
    match = re.search(r"\.(\d+)$", claim.printed) if claim else None
    return len(match[1]) if match else 0


def _scientific(value: float, digits: int) -> str:
    text = f"{value:.{digits}g}"
    return _signed(re.sub(r"e([-+])0?(\d+)", lambda m: f"e{m[1].replace('+', '')}{m[2]}", text))


def _signed(text: str) -> str:
    return re.sub("(?<!e)-", MINUS, text)
