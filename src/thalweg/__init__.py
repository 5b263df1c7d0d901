"""Thalweg: optimizers as equations, raced fairly on your own network.

>>> import thalweg
>>> thalweg.optim.AdamW.__name__
'AdamW'
"""

from importlib import import_module
from importlib.metadata import version
from types import ModuleType

from thalweg.rules import Rule

__all__ = ["Rule", "optim"]

__version__ = version("thalweg")


def __getattr__(name: str) -> ModuleType:
    """`thalweg.optim`, imported when it is asked for: it imports torch, which takes seconds."""
    if name == "optim":
        return import_module("thalweg.optim")
    raise AttributeError(f"module 'thalweg' has no attribute {name!r}")
