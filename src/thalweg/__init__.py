"""Thalweg: optimizers as equations, raced fairly on your own network."""

from importlib.metadata import version

from thalweg.rules import Rule

__all__ = ["Rule"]

__version__ = version("thalweg")
