"""How figures are written, the same on the page, in the terminal and in a paper."""

import math
import re
from collections.abc import Mapping

from thalweg.race.record import Value

MINUS, PLUS_MINUS = "−", "±"
NONE = "–"  # stands where there is no figure


def score(mean: float, sd: float, percent: bool) -> str:
    """A mean with its standard deviation: "96.4 ± 1.2" in per cent, or "0.512 ± 0.034" by the digits that sd leaves."""
    if math.isnan(mean):
        return NONE
    sd = 0.0 if sd <= 1e-12 * abs(mean) else sd  # rounding of equal values
    places = _places(sd, percent)
    scale = 100 if percent else 1
    text = f"{scale * mean:.{places}f}"
    return _signs(text if math.isnan(sd) else f"{text} {PLUS_MINUS} {scale * sd:.{places}f}")


def single(value: float, percent: bool) -> str:
    """One score: "96.41" in per cent, or four significant digits."""
    if math.isnan(value):
        return NONE
    return _signs(f"{100 * value:.2f}" if percent else f"{value:.4g}")


def difference(value: float, percent: bool) -> str:
    """A difference of scores with its sign: "+1.25" in points, or three significant digits."""
    if math.isnan(value):
        return NONE
    text = f"{100 * value:+.2f}" if percent else f"{value:+.3g}"
    return "0" if float(text) == 0 else _signs(text)


def magnitude(value: float, percent: bool) -> str:
    """A difference without sign: a margin, a standard deviation."""
    if math.isnan(value):
        return NONE
    return f"{100 * value:.2f}" if percent else f"{value:.3g}"


def interval(low: float, high: float, percent: bool) -> str:
    """An interval of differences: "[−0.10, +1.35]"."""
    if math.isnan(low) or math.isnan(high):
        return NONE
    return f"[{difference(low, percent)}, {difference(high, percent)}]"


def scores_interval(low: float, high: float, percent: bool) -> str:
    """An interval of scores: "[95.10, 97.30]"."""
    if math.isnan(low) or math.isnan(high):
        return NONE
    return f"[{single(low, percent)}, {single(high, percent)}]"


def p_value(p: float) -> str:
    """A p value to three places."""
    if math.isnan(p):
        return NONE
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def share(value: float) -> str:
    """A share of one in per cent, without places."""
    return NONE if math.isnan(value) else f"{100 * value:.0f} %"


def number(value: float, digits: int = 3) -> str:
    """A number of any size, to significant digits; "not reached" is for the caller to say, infinity is "∞"."""
    if math.isnan(value):
        return NONE
    if math.isinf(value):
        return "∞" if value > 0 else f"{MINUS}∞"
    if value and not 1e-3 <= abs(value) < 1e5:
        return _signs(f"{value:.{digits}g}")
    whole = value == round(value)
    places = 0 if whole else max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return _signs(f"{value:,.{places}f}")


def fixed(value: float, places: int = 2) -> str:
    """A number whose size is known, to decimal places: a correlation, an effect size."""
    if not math.isfinite(value):
        return number(value)
    return _signs(f"{value:.{places}f}")


def count(value: float) -> str:
    """A whole number with its thousands apart: "1,234,567"."""
    return NONE if math.isnan(value) else f"{round(value):,}"


def seconds(value: float) -> str:
    """A time in the unit that suits it: "38 µs", "1.25 ms", "12.5 s", "3 h 20 min"."""
    if math.isnan(value):
        return NONE
    if math.isinf(value):
        return "∞"
    for unit, size in (("µs", 1e-6), ("ms", 1e-3)):
        if value < 999.5 * size:
            return f"{value / size:.3g} {unit}"
    if value < 600:
        return f"{value:.3g} s"
    minutes = round(value / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def setting(value: Value, digits: int = 3) -> str:
    """A hyperparameter: three significant digits, a tuple in parentheses, a choice as it is."""
    if isinstance(value, tuple):
        return f"({', '.join(setting(v, digits) for v in value)})"
    return value if isinstance(value, str) else f"{value:.{digits}g}"


def settings(values: Mapping[str, Value]) -> str:
    """Hyperparameters as arguments, as exact as they were run: "lr=0.0032, betas=(0.9, 0.999)"."""
    return ", ".join(f"{name}={argument(value)}" for name, value in values.items())


def argument(value: Value) -> str:
    """A hyperparameter as Python reads it, to three significant digits, but as many as tell it from one."""
    if isinstance(value, str):
        return repr(value)
    if isinstance(value, tuple):
        inside = ", ".join(argument(v) for v in value)
        return f"({inside},)" if len(value) == 1 else f"({inside})"
    if isinstance(value, bool | int):
        return repr(value)
    digits = 3
    if 0.9 < abs(value) < 1:  # what matters of a decay rate is its distance from one
        digits += math.floor(-math.log10(1 - abs(value)))
    return repr(float(f"{value:.{digits}g}"))


def listed(names: list[str]) -> str:
    """Names in a sentence: "a, b and c"."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def plural(amount: int, word: str, many: str | None = None) -> str:
    """An amount with its word: "1 seed", "2 seeds"."""
    return f"{amount:,} {word if amount == 1 else many or word + 's'}"


def _places(sd: float, percent: bool) -> int:
    if percent:
        return 1
    if math.isnan(sd) or sd == 0 or math.isinf(sd):
        return 3
    return min(6, max(0, 1 - math.floor(math.log10(sd))))


def _signs(text: str) -> str:
    return re.sub("(?<!e)-", MINUS, text)
