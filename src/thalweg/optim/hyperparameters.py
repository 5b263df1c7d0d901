"""What the hyperparameters of a parameter group may be."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch

from thalweg.optim.rounding import ROUNDINGS
from thalweg.rules import Rule
from thalweg.rules.program import COUPLED, DECOUPLED, MAXIMIZE
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
    check_rounding(group["rounding"])
    check_options(group["decay"], group["maximize"])


def check_rounding(rounding: Any) -> None:
    """Raises ValueError where it is not one."""
    if rounding not in ROUNDINGS:
        raise ValueError(f"rounding must be one of {', '.join(map(repr, ROUNDINGS))}, got {rounding!r}")


def check_known(rule: Rule, keys: Iterable[str]) -> None:
    """Raises TypeError on a hyperparameter that the rule does not have."""
    unknown = [key for key in keys if key not in rule.hyperparameters]
    if unknown:
        raise TypeError(f"{rule.name} has no hyperparameter {unknown[0]!r}; it has {', '.join(rule.hyperparameters)}")


def check_rule(rule: Any) -> None:
    """Raises TypeError where it is not one."""
    if not isinstance(rule, Rule):
        raise TypeError(f"rule must be a thalweg.Rule, got {rule!r}")


def check_options(decay: Any, maximize: Any) -> None:
    """Raises ValueError where an option of the driver is not one."""
    if decay not in DECAYS:
        raise ValueError(f"decay must be 'coupled' or 'decoupled', got {decay!r}")
    if not isinstance(maximize, bool):
        raise ValueError(f"maximize must be True or False, got {maximize!r}")


def flags_of(maximize: bool, decay: str, weight_decay: Any) -> frozenset[str]:
    """The driver's equations that are in force: decay unless it is the number 0."""
    decayed = isinstance(weight_decay, torch.Tensor) or weight_decay != 0
    return frozenset([MAXIMIZE] * maximize + [{"coupled": COUPLED, "decoupled": DECOUPLED}[decay]] * decayed)


def joined(rule: Rule, named: Mapping[str, Any]) -> dict[str, Any]:
    """Values by the names that the text reads, under the hyperparameters' own: `beta1` and `beta2` become `betas`."""
    return {
        key: named[key] if names == (key,) else tuple(named[name] for name in names)
        for key, names in rule.read_as.items()
        if set(names) <= set(named)
    }


def member_settings(rule: Rule, hyperparameters: Mapping[str, Any], members: int) -> np.ndarray:
    """The hyperparameters of many networks as float64 (members, names that the text reads), checked.

    Each is one number for all, or one for each member: a list, array or tensor of `members` numbers. Of a tuple such as
    `betas` each part may be so.

    Raises ValueError, naming the key, the value and the member; TypeError on a key that the rule does not have.
    """
    check_known(rule, hyperparameters)
    values = {**rule.hyperparameters, **hyperparameters}
    columns: dict[str, np.ndarray] = {}
    for key, names in rule.read_as.items():
        parts = (values[key],) if names == (key,) else values[key]
        if names != (key,) and not (isinstance(parts, tuple) and len(parts) == len(names)):
            raise ValueError(
                f"{key} must be a tuple of {len(names)}, each a number or one for each member, got {parts!r}"
            )
        columns.update({name: _of_members(key, part, members) for name, part in zip(names, parts, strict=True)})
    settings = np.stack(list(columns.values()), axis=1)
    group = {"decay": rule.decay, "maximize": False, "rounding": "nearest"}
    # Of members with the same settings the first is asked.
    for member in sorted(np.unique(settings, axis=0, return_index=True)[1]):
        named = dict(zip(columns, settings[member].tolist(), strict=True))
        try:
            check_group(rule, {**group, **joined(rule, named)})
        except ValueError as error:
            raise ValueError(f"{error} for member {member}") from None
    return settings


def _of_members(key: str, value: Any, members: int) -> np.ndarray:
    if isinstance(value, torch.Tensor) and value.is_floating_point():
        value = value.detach().to("cpu", torch.float64)
    try:
        given = np.asarray(value)
    except ValueError:  # rows of different lengths
        given = np.asarray(None)
    if given.dtype.kind not in "fiu":
        raise ValueError(f"{key} must be a number or one for each member, got {value!r:.80}")
    if given.shape not in ((), (1,), (members,)):
        raise ValueError(f"{key} must be a number or one for each of {members} members, got shape {given.shape}")
    return np.broadcast_to(given.astype(np.float64), (members,))


def _check_bounds(key: str, values: Iterable[float]) -> None:
    least, most, inclusive = BOUNDS[key]
    for value in values:
        if not (least <= value < most or (inclusive and value == most)):
            raise ValueError(f"{key} must be in [{least:g}, {most:g}{']' if inclusive else ')'}, got {value!r}")
