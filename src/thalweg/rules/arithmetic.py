"""IEEE arithmetic on Python floats, and the few operations on tensors that torch has under no name of its own.

The plain step and the files that `Rule.export` writes call these by name; an export carries the text of those it uses.
On floats nothing raises and nothing turns complex: a division by zero is inf or NaN, the root of a negative is NaN, an
overflow is inf.
"""

import hashlib
import math
from collections.abc import Callable
from typing import Any

import torch


def _div(a: float, b: float) -> float:
    if b != 0:
        return a / b
    return math.nan if a == 0 or a != a else math.copysign(math.inf, a) * math.copysign(1.0, b)


def _pow(a: float, b: float) -> float:
    try:
        return math.pow(a, b)
    except OverflowError:
        return -math.inf if a < 0 and b % 2 == 1 else math.inf
    except ValueError:  # a negative base with a fractional exponent, or zero to a negative power
        odd = b % 2 == 1
        return math.nan if a != 0 else math.copysign(math.inf, a) if odd else math.inf


def _sign(x: float) -> float:
    return float((x > 0) - (x < 0))


def _sqrt(x: float) -> float:
    return math.sqrt(x) if x >= 0 else math.nan


def _square(x: float) -> float:
    return x * x


def _exp(x: float) -> float:
    try:
        return math.exp(x)
    except OverflowError:
        return math.inf


def _log(x: float) -> float:
    if x > 0:
        return math.log(x)
    return -math.inf if x == 0 else math.nan


def _minimum(a: float, b: float) -> float:
    return a if a != a or a < b else b


def _maximum(a: float, b: float) -> float:
    return a if a != a or a > b else b


def _where(condition: bool, a: float, b: float) -> float:
    return a if condition else b


def _power(a: Any, b: Any) -> Any:
    """a ** b, a tensor in it. For b = 0.5 torch takes a root, and that of -inf is NaN where the power is inf."""
    power = a**b
    return torch.where(a == -math.inf, math.inf, power) if isinstance(b, float) and b == 0.5 else power


def _safe_div(a: Any, b: Any) -> Any:
    """a / b, and 0 where b is 0; of floats or of tensors."""
    if isinstance(b, torch.Tensor):
        return torch.where(b == 0, 0.0, a / b)
    return a / b if b != 0 else 0.0


def _lift(scalar: float, like: torch.Tensor) -> torch.Tensor:
    """A scalar as a 0-d tensor of the dtype and device of `like`; a truth value stays one."""
    dtype = torch.bool if isinstance(scalar, bool) else like.dtype
    return torch.tensor(scalar, dtype=dtype, device=like.device)  # torch.full raises where it overflows to inf


def _spread(value: Any, like: torch.Tensor) -> torch.Tensor:
    """A scalar or a 0-d tensor as one value a weight, in the shape of `like`."""
    tensor = value if isinstance(value, torch.Tensor) else _lift(value, like)
    return tensor.expand_as(like)


def _max_abs(x: torch.Tensor) -> torch.Tensor:
    return x.abs().amax() if x.numel() else x.new_zeros(())


def _norm(x: torch.Tensor) -> torch.Tensor:
    return x.square().sum().sqrt()  # torch's own norm overflows elsewhere, and of one element not at all


def _mean(x: torch.Tensor) -> torch.Tensor:
    return x.mean() if x.numel() else x.new_zeros(())


def _draw_seed(generator: torch.Generator | None) -> int:
    """A seed drawn from a generator; 0 without one."""
    if generator is None:
        return 0
    return int(torch.randint(2**62, (), generator=generator, device=generator.device))


def _stream(seed: int, index: int) -> torch.Generator:
    """The stream of one parameter: the same on whichever rank, and in whatever order, parameters draw."""
    digest = hashlib.sha256(f"{seed} {index}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little"))


def _normal(mean: float, std: float, like: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Independent normal draws in the shape of `like`, made where the generator lives and then moved.

    A tensor's draws depend on its shape and the generator alone, not on its device or memory layout.
    """
    drawn = torch.randn(like.shape, generator=generator, dtype=like.dtype, device=generator.device)
    return mean + std * drawn.to(like.device)


NAMES: dict[str, Callable[..., Any]] = {
    function.__name__: function
    for function in (
        _div, _pow, _sign, _sqrt, _square, _exp, _log, _minimum, _maximum, _where,
        _power, _safe_div, _lift, _spread, _max_abs, _norm, _mean, _draw_seed, _stream, _normal,
    )
}  # fmt: skip
