"""Scales: from values to points, what range they show, and their ticks."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
_FAR = 6.0  # ends further than so many times the distance of the median end from the best are out of range
_HUGE = 1e100  # from here a value is as good as infinite: differences and squares would overflow
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class Scale:
    """Values from `low` to `high` on points from `start` to `stop`, linear or logarithmic; `whole` ones have whole
    ticks."""

    low: float
    high: float
    start: float
    stop: float
    log: bool = False
    whole: bool = False

    def __call__(self, values: ArrayLike) -> Floats:
        """Points, of the same shape; beyond the range they lie beyond the axis, far beyond at infinity; NaN stays."""
        values = np.asarray(values, float)
        low, high = self.low, self.high
        if self.log:
            with np.errstate(divide="ignore", invalid="ignore"):
                values = np.where(values > 0, np.log10(values), np.where(np.isnan(values), np.nan, -np.inf))
            low, high = math.log10(low), math.log10(high)
        with np.errstate(over="ignore"):
            share = np.clip((values - low) / (high - low), -50, 50)
        return self.start + share * (self.stop - self.start)

    def at(self, value: float) -> float:
        """The point of one value, at the nearer edge if it is out of range."""
        low, high = min(self.start, self.stop), max(self.start, self.stop)
        return float(np.clip(self(value), low, high))

    def holds(self, values: ArrayLike) -> NDArray[np.bool_]:
        """Which values are in the range, but for rounding."""
        values = np.asarray(values, float)
        slack = 1e-9 * (abs(self.high) + abs(self.low))
        return (values >= self.low - slack) & (values <= self.high + slack)

    def ticks(self, most: int = 6) -> list[tuple[float, str]]:
        """Round values in the range with their texts, ascending, at most about `most`."""
        values = (
            _log_ticks(self.low, self.high, most) if self.log else _linear_ticks(self.low, self.high, most, self.whole)
        )
        plain = not self.log or all(1e-3 <= value < 1e4 for value in values)
        return [(value, number(value) if plain else power(value)) for value in values]


def padded(low: float, high: float, share: float = 0.04, *, log: bool = False) -> tuple[float, float]:
    """A range with room around it; never empty, also where there is but one value, or none (NaN, infinite)."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return (0.1, 1.0) if log else (0.0, 1.0)
    if log:
        low, high = padded(math.log10(low), math.log10(high), share)
        return 10**low, 10**high
    if high - low <= 1e-9 * max(abs(low), abs(high), 1e-30):
        room = 0.05 * abs(high) if abs(high) > 1 / _HUGE else 0.5
        return low - room, high + room
    return low - share * (high - low), high + share * (high - low)


def extent(values: ArrayLike, *, log: bool = False) -> tuple[float, float]:
    """Lowest and highest finite value (on a logarithmic scale: positive one); NaN and NaN if there is none."""
    flat = np.ravel(np.asarray(values, float))
    flat = flat[(np.abs(flat) < _HUGE) & ((flat > 0) | (not log))]
    return (float(flat.min()), float(flat.max())) if flat.size else (math.nan, math.nan)


def near(values: ArrayLike, *, higher: bool) -> float:
    """The worst value that is still in the others' range: one that is out of it must not flatten what is in it.

    Out of range is what is more than six times as far from the best as the median is. Infinite ones never count.
    """
    sign = 1 if higher else -1
    goods = np.ravel(np.asarray(values, float))
    goods = sign * goods[np.abs(goods) < _HUGE]
    if not goods.size:
        return math.nan
    best = goods.max()
    room = max(_FAR * (best - np.median(goods)), 0.1 * abs(best))
    return sign * float(goods[goods >= best - room].min())


def number(value: float, span: float = 0.0) -> str:
    """A number as people write it; with `span` as many decimals as tell hundredths of that span."""
    if math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if span > 0:
        decimals = min(max(0, 2 - math.floor(math.log10(span))), 6)
        text = f"{value:.{decimals}f}" if abs(value) < 1e5 else f"{value:.2g}"
    else:
        text = f"{value:.10g}" if value == 0 or 1e-4 <= abs(value) < 1e5 else f"{value:.3g}"
    return text.replace("e-0", "e-").replace("e+0", "e").replace("e+", "e").replace("-", "−")


def signed(value: float, span: float = 0.0) -> str:
    """A difference: as `number`, with its sign."""
    text = number(value, span)
    return text if text[0] in "−–" or value == 0 else f"+{text}"


def power(value: float) -> str:
    """A number in powers of ten: 10⁻³, 2·10⁻³."""
    exponent = math.floor(math.log10(value) + 1e-9)
    factor = round(value / 10**exponent)
    ten = "10" + str(exponent).translate(_SUPERSCRIPTS)
    return ten if factor == 1 else f"{factor}·{ten}"


def _linear_ticks(low: float, high: float, most: int, whole: bool = False) -> list[float]:
    values = MaxNLocator(most, steps=[1, 2, 5, 10] if whole else [1, 2, 2.5, 5, 10], integer=whole).tick_values(
        low, high
    )
    return [float(f"{value:.10g}") for value in values if low <= value <= high]


def _log_ticks(low: float, high: float, most: int) -> list[float]:
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    decades = range(first, last + 1)
    fine = [factor * 10.0**exponent for exponent in range(first - 1, last + 1) for factor in (1, 2, 5)]
    fine = [value for value in fine if low <= value <= high]
    if len(decades) >= 2 and len(fine) > most:
        step = math.ceil(len(decades) / most)
        return [float(10.0**exponent) for exponent in decades if exponent % step == 0]
    return fine if len(fine) > 1 else _linear_ticks(low, high, most)
