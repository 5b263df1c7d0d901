"""The strategies by name."""

from __future__ import annotations

import difflib
from dataclasses import fields
from typing import Any

from thalweg.names import shown
from thalweg.search.algorithm import Algorithm
from thalweg.search.controls import RandomSearch
from thalweg.search.spaces import Space

ALGORITHMS: dict[str, type[Algorithm]] = {
    "random": RandomSearch,
}


def names() -> list[str]:
    """All strategies that can be named."""
    return list(map(shown, ALGORITHMS))


def algorithm_named(name: str, space: type[Space], hyperparameters: dict[str, Any]) -> Algorithm:
    """The algorithm of this name, for a kind of space. Raises ValueError, with the nearest name, if there is none, and
    where a hyperparameter is none of its."""
    key = name.replace("-", "_")
    if key not in ALGORITHMS:
        near = difflib.get_close_matches(key, ALGORITHMS, n=1)
        meant = f" (did you mean {shown(near[0])}?)" if near else ""
        raise ValueError(f"strategy {name!r} is unknown{meant}; allowed: {', '.join(names())}")
    kind = ALGORITHMS[key]
    known = [field.name for field in fields(kind)]
    for given in hyperparameters:
        if given not in known:
            raise ValueError(f"{given!r} is no hyperparameter of {name}; allowed: {', '.join(known)}")
    return kind(**hyperparameters)
