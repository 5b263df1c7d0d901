"""The environments by name."""

from __future__ import annotations

import difflib

from thalweg.names import shown
from thalweg.tasks.control.cart_pole import CartPole
from thalweg.tasks.control.environment import Environment
from thalweg.tasks.control.pendulum import Pendulum

ENVIRONMENTS: dict[str, type[CartPole] | type[Pendulum]] = {"cart_pole": CartPole, "pendulum": Pendulum}


def environment_named(name: str) -> Environment:
    """The environment of this name, such as `cart-pole`. Raises ValueError, with the nearest name, if there is none."""
    key = name.replace("-", "_")
    if key not in ENVIRONMENTS:
        near = difflib.get_close_matches(key, ENVIRONMENTS, n=1)
        meant = f" (did you mean {shown(near[0])}?)" if near else ""
        raise ValueError(f"environment {name!r} is unknown{meant}; allowed: {', '.join(map(shown, ENVIRONMENTS))}")
    return ENVIRONMENTS[key]()
