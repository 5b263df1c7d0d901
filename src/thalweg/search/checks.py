"""Checks that many hyperparameters and arguments share: each error names what is wrong, and quotes it."""

from __future__ import annotations

import math
from numbers import Integral
from typing import Any

import torch
from torch import Tensor


def is_whole(value: Any) -> bool:
    """Whether this is an integer, one of NumPy's too; a truth value is none."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def check_whole(least: int = 1, **values: Any) -> None:
    """Raises ValueError unless all that are given, and are not None, are whole numbers of at least `least`."""
    for name, value in values.items():
        if value is not None and (not is_whole(value) or value < least):
            raise ValueError(f"{name} must be a whole number >= {least}, got {value!r}")


def check_positive(**values: Any) -> None:
    """Raises ValueError unless all that are given, and are not None, are positive and finite, in every run."""
    check_within("(0, inf)", **values)


def check_within(interval: str, **values: Any) -> None:
    """Raises ValueError unless all that are given, and are not None, are numbers in an interval such as "[0, 1)", in
    every run."""
    low, high = map(float, interval[1:-1].split(","))
    allowed = _in_words(interval, low, high)
    for name, value in values.items():
        if value is None:
            continue
        try:  # of numbers of Python torch makes float32 by default, which rounds some of them out of the interval
            given = torch.as_tensor(value, dtype=None if isinstance(value, Tensor) else torch.float64)
            above = given >= low if interval[0] == "[" else given > low
            below = given <= high if interval[-1] == "]" else given < high
            fits = bool((above & below).all())
        except (TypeError, ValueError, RuntimeError) as error:
            raise ValueError(f"{name} must be {allowed}, got {value!r:.80}") from error
        if not fits:
            raise ValueError(f"{name} must be {allowed}, got {value}")


def _in_words(interval: str, low: float, high: float) -> str:
    if high < math.inf:
        return f"in {interval}"
    if low == -math.inf:
        return "numbers"
    return f"{'>=' if interval[0] == '[' else '>'} {low:g}{' and finite' * (interval[-1] == ')')}"


def checked_number(name: str, value: Any) -> float:
    """The number that is given. Raises ValueError where that is none."""
    try:
        return float(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"{name} must be a number, got {value!r:.80}") from error


def checked_target(target: Any) -> float | None:
    """A value to stop at, or None. Raises ValueError where it is no finite number."""
    if target is None:
        return None
    number = checked_number("target", target)
    if not math.isfinite(number):
        raise ValueError(f"target must be finite, or None for no target, got {target!r}")
    return number


def checked_generator(generator: Any, device: torch.device | str = "cpu") -> torch.Generator:
    """The generator that is given; for None one with seed 0. Raises ValueError for anything else."""
    if generator is None:
        return torch.Generator(device).manual_seed(0)
    if not isinstance(generator, torch.Generator):
        raise ValueError(f"generator must be a torch.Generator or None, got {generator!r:.80}")
    return generator


def check_callback(callback: Any) -> None:
    """Raises ValueError unless it is None, or can be called."""
    if callback is not None and not callable(callback):
        raise ValueError(f"callback must be a function or None, got {callback!r:.80}")


def says_stop(returned: Any) -> bool:
    """Whether a callback says by what it returns that this is enough: by anything true, of NumPy and torch too. Raises
    ValueError where that is neither true nor false, such as several truths."""
    try:
        return bool(returned)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"callback must return True to stop, or None or False, got {returned!r:.80}") from error
