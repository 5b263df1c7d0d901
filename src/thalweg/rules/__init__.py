"""The rule language, the gallery, and what is derived from a rule."""

from thalweg.rules.rule import Rule

__all__ = ["Rule"]
