"""What equation 25 does where gradients do not change: whether bias correction overflows for beta close to 1.

It can be read in two ways. Adam keeps the average as it is and steps by the corrected one, which never leaves the range
of what is averaged. As it is printed, V on the right is the corrected one too: each step multiplies what is there by
beta / (1 - beta^t), which is above 1 until beta^t < 1 - beta.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from decimal import Context, Decimal, localcontext
from typing import Any

import numpy as np

BETAS = (0.9, 0.99, 0.999, 0.9999)
EXACT = Context(prec=40, Emax=10**9, Emin=-(10**9))  # as good as without limits


@dataclass(frozen=True)
class Correction:
    """Of a beta, for an average of ones, which is 1 at every step if it is right, counted from 1.

    `steps` were tried. `printed`: the base 10 logarithm of the largest V by the printed equation, in unlimited range,
    and `printed_at` the step of it; `float32` and `float64`: the first step at which it overflows in such numbers, None
    for never. `corrected`: how far at most from 1 Adam's reading is in float32.
    """

    beta: float
    steps: int
    printed: float
    printed_at: int
    float32: int | None
    float64: int | None
    corrected: float


def corrections() -> list[dict[str, Any]]:
    """Of all `BETAS`, as plain numbers."""
    return [asdict(correction(beta)) for beta in BETAS]


def correction(beta: float) -> Correction:
    """Followed until the printed equation no longer grows, and twice as long."""
    largest, at, steps = Decimal(1), 1, 0
    with localcontext(EXACT):
        for steps, value, gain in _exact(Decimal(str(beta))):
            if value > largest:
                largest, at = value, steps
            if gain < 1 and steps >= 2 * at:
                break
        printed = float(largest.log10())
    kinds = (np.float32, np.float64)
    float32, float64 = (next((t for t, v in _printed(beta, steps, kind) if np.isinf(v)), None) for kind in kinds)
    off = max(abs(float(value) - 1) for value in _corrected(beta, steps))
    return Correction(beta, steps, printed, at, float32, float64, off)


def _exact(beta: Decimal) -> Iterator[tuple[int, Decimal, Decimal]]:
    """Steps of the printed equation: t, V, and by what it multiplies the V before."""
    value, power, t = Decimal(0), Decimal(1), 0
    while True:
        t, power = t + 1, power * beta
        value = (beta * value + (1 - beta)) / (1 - power)
        yield t, value, beta / (1 - power)


def _printed(beta: float, steps: int, kind: type[np.floating[Any]]) -> Iterator[tuple[int, np.floating[Any]]]:
    """The same in floating-point numbers; the divisor is worked out in float64, as optimizers do."""
    value, rate, rest = kind(0), kind(beta), kind(1 - beta)
    with np.errstate(over="ignore"):
        for t in range(1, steps + 1):
            value = (rate * value + rest) / kind(1 - beta**t)
            yield t, value
            if np.isinf(value):
                return


def _corrected(beta: float, steps: int) -> Iterator[np.float32]:
    """Adam's reading in float32, the divisor too: where beta is close to 1 that is the less exact way."""
    one, rate = np.float32(1), np.float32(beta)
    value, power = np.float32(0), one
    for _ in range(steps):
        value, power = rate * value + (one - rate), rate * power
        yield value / (one - power)
