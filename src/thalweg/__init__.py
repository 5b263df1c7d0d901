"""Thalweg: optimizers as equations, raced fairly on your own network."""

from importlib.metadata import version

__version__ = version("thalweg")
