"""Checks that many hyperparameters and arguments share: each error names what is wrong, and quotes it."""

from __future__ import annotations

from typing import Any

import torch


def check_whole(least: int = 1, **values: Any) -> None:
    """Raises ValueError unless all that are given, and are not None, are whole numbers of at least `least`."""
    for name, value in values.items():
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < least):
            raise ValueError(f"{name} must be a whole number >= {least}, got {value!r}")


def check_positive(**values: Any) -> None:
    """Raises ValueError unless all that are given, and are not None, are positive and finite, in every run."""
    for name, value in values.items():
        given = torch.as_tensor(1.0 if value is None else value)
        if not bool(((given > 0) & given.isfinite()).all()):
            raise ValueError(f"{name} must be > 0 and finite, got {value}")
