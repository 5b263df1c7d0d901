"""Evolving an optimizer for a network of one's own. `thalweg.evolve(...)` does it.

>>> import thalweg
>>> thalweg.evolve.Budget.parsed("10m").seconds
600.0
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from thalweg.evolve.evolution import Told, evolve
    from thalweg.evolve.representation import Refused
    from thalweg.evolve.result import Result
    from thalweg.evolve.settings import PRESETS, Budget, Settings

__all__ = ["PRESETS", "Budget", "Refused", "Result", "Settings", "Told", "evolve"]

_PLACES = {"evolution": ("Told", "evolve"), "representation": ("Refused",), "result": ("Result",)}
_PLACES["settings"] = ("PRESETS", "Budget", "Settings")
_LATER = {name: module for module, names in _PLACES.items() for name in names}  # they import torch, which takes seconds


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module 'thalweg.evolve' has no attribute {name!r}")
    return getattr(import_module(f"thalweg.evolve.{_LATER[name]}"), name)


class _Room(ModuleType):
    """This room is named after its one function, and `thalweg.evolve` is both."""

    def __call__(self, *arguments: Any, **named: Any) -> "Result":
        from thalweg.evolve.evolution import evolve

        return evolve(*arguments, **named)


sys.modules[__name__].__class__ = _Room
