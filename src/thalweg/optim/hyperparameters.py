"""What the hyperparameters of a parameter group may be."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import torch

from thalweg.optim.rounding import ROUNDINGS
from thalweg.rules import Rule
from thalweg.rules.rule import DECAYS, checked_value

# By the name that the field gives a hyperparameter: least, most, and whether the most is allowed.
# Any other may be any number but NaN.
_AT_LEAST_0 = (0.0, math.inf, False)
BOUNDS = {
    "lr": _AT_LEAST_0, "weight_decay": _AT_LEAST_0, "eps": _AT_LEAST_0, "momentum": _AT_LEAST_0,
    "lr_decay": _AT_LEAST_0, "momentum_decay": _AT_LEAST_0, "alpha": _AT_LEAST_0,
    "initial_accumulator_value": _AT_LEAST_0, "initial_accumulator": _AT_LEAST_0,
    "beta": (0.0, 1.0, True), "rho": (0.0, 1.0, True), "betas": (0.0, 1.0, False),
}  # fmt: skip


def check_group(rule: Rule, group: Mapping[str, Any]) -> None:
    """Raises ValueError, naming the key and quoting the value, where a group has a value that it may not have."""
    for key, default in rule.hyperparameters.items():
        value = group[key]
        if isinstance(value, torch.Tensor) and value.numel() != 1:
            raise ValueError(f"{key} must be a number or a tensor of one element, got {tuple(value.shape)}")
        checked = checked_value(key, value)
        if isinstance(default, tuple) and (not isinstance(checked, tuple) or len(checked) != len(default)):
            raise ValueError(f"{key} must be a tuple of {len(default)} numbers, got {value!r}")
        if key in BOUNDS:
            _check_bounds(key, checked if isinstance(checked, tuple) else (checked,))
        if key == "etas" and not (isinstance(checked, tuple) and 0 < checked[0] < 1 < checked[-1]):
            raise ValueError(f"etas must be one in (0, 1) and one above 1, got {value!r}")
        if key == "lr" and checked != 1 and not rule.reads_lr:
            raise ValueError(f"lr must be 1 for {rule.name}, whose text has no lr, got {value!r}")
    if group["decay"] not in DECAYS:
        raise ValueError(f"decay must be 'coupled' or 'decoupled', got {group['decay']!r}")
    if group["rounding"] not in ROUNDINGS:
        raise ValueError(f"rounding must be one of {', '.join(map(repr, ROUNDINGS))}, got {group['rounding']!r}")
    if not isinstance(group["maximize"], bool):
        raise ValueError(f"maximize must be True or False, got {group['maximize']!r}")


def _check_bounds(key: str, values: Iterable[float]) -> None:
    least, most, inclusive = BOUNDS[key]
    for value in values:
        if not (least <= value < most or (inclusive and value == most)):
            raise ValueError(f"{key} must be in [{least:g}, {most:g}{']' if inclusive else ')'}, got {value!r}")
