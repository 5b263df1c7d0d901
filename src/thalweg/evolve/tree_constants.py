"""The constants of trees: how they are drawn, varied and rounded."""

from __future__ import annotations

import math
from random import Random

from thalweg.rules.program import Number

LEAST = 1e-4  # of a drawn factor
LONGEST = 1e-3  # of what a drawn average forgets in a step
EDGE = 1e-10, 1e6  # of a varied constant: beyond these it does nothing, or blows up


def log_uniform(random: Random, least: float, most: float) -> float:
    return math.exp(random.uniform(math.log(least), math.log(most)))


def rounded(value: float) -> float:
    """Three digits, and of a number near 1 three digits of what is missing: more than three would only be luck."""
    if 0.5 < value < 1:
        return round(1 - float(f"{1 - value:.3g}"), 12)
    return float(f"{value:.3g}")


def rate(random: Random) -> Number:
    """A factor of a step: log-uniform from 1e-4 to 1."""
    return Number(rounded(log_uniform(random, LEAST, 1.0)))


def decay(random: Random) -> Number:
    """What a running average keeps: it forgets over 2 to 1000 steps, log-uniformly."""
    return Number(rounded(1 - log_uniform(random, LONGEST, 0.5)))


def constant(random: Random) -> Number:
    """Any constant: small, near 1, or small and whole."""
    kind = random.random()
    if kind < 0.45:
        return rate(random)
    return decay(random) if kind < 0.9 else Number(random.choice((1.0, 2.0, 0.5, 10.0)))


def varied(value: float, random: Random) -> float:
    """A constant times 2**N(0, 1); one between 1/2 and 1 mostly has its odds varied, so that decays are refined."""
    if 0.5 <= value < 1 and random.random() < 0.75:
        return varied_odds(value, random)
    least, most = EDGE
    return rounded(math.copysign(min(max(abs(value) * 2.0 ** random.gauss(0.0, 1.0), least), most), value))


def varied_odds(value: float, random: Random) -> float:
    """A constant between 0 and 1 that stays there: value/(1 - value) times 2**N(0, 1)."""
    odds = value / (1 - value) * 2.0 ** random.gauss(0.0, 1.0)
    return rounded(odds / (1 + odds))


def complement(value: float) -> float:
    """What a decay leaves to the new: 1 - value, without the dust of the subtraction."""
    return float(f"{1 - value:.12g}")
