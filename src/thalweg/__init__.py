"""Thalweg: optimizers as equations, raced fairly on your own network.

>>> import thalweg
>>> thalweg.optim.AdamW.__name__
'AdamW'
"""

from importlib import import_module
from importlib.metadata import version
from typing import Any

from thalweg.rules import Rule

__all__ = ["Method", "Rule", "Task", "evolve", "optim", "race"]

__version__ = version("thalweg")

# What is imported when it is asked for, because it imports torch, which takes seconds. A race or an evolution is the
# room itself.
_LATER = {
    "evolve": ("thalweg.evolve", ""),
    "optim": ("thalweg.optim", ""),
    "race": ("thalweg.race", ""),
    "Method": ("thalweg.race", "Method"),
    "Task": ("thalweg.tasks", "Task"),
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module 'thalweg' has no attribute {name!r}")
    module, attribute = _LATER[name]
    return getattr(import_module(module), attribute) if attribute else import_module(module)
