"""Checks that many hyperparameters and arguments share: each error names what is wrong, and quotes it."""

from __future__ import annotations

import math
from numbers import Integral
from typing import Any

import torch


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
    for name, value in values.items():
        try:
            given = torch.as_tensor(1.0 if value is None else value)
        except (TypeError, ValueError, RuntimeError) as error:
            raise ValueError(f"{name} must be > 0 and finite, got {value!r:.80}") from error
        if not bool(((given > 0) & given.isfinite()).all()):
            raise ValueError(f"{name} must be > 0 and finite, got {value}")


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
