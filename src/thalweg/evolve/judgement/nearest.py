"""Is it new? The nearest rule that is known, with the hyperparameters that bring it nearest."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from numpy.typing import ArrayLike

from thalweg.evolve.judgement.families import FAMILIES, Family
from thalweg.evolve.judgement.fitting import Fit, Target, first_guess, fit
from thalweg.evolve.judgement.streams import steps_on, streams_of
from thalweg.race import notation
from thalweg.rules import Rule
from thalweg.rules.rule import Hyperparameter

SAME = 0.02  # error up to which a rule is what a simpler one is
IS = 0.05  # error up to which the sentence says "this is"
EXACT = 1e-5  # error up to which the sentence gives none
CLEARLY = 0.5  # of the error of a simpler rule: what a less simple one has to get below
UNSEEN = 1e-7  # an eps that is smaller is not worth a word
CONTENDERS = 8  # families that are fitted: those nearest at the points of their grids


@dataclass(frozen=True)
class Nearest:
    """The nearest known rule: its name in the gallery and its hyperparameters there, the relative L2 error of its
    steps (0: the same, 1: no nearer than standing still), and all that in a sentence. The name is empty where the rule
    has no steps to compare: none, or some that are not finite."""

    name: str
    hyperparameters: Mapping[str, Hyperparameter]
    error: float
    sentence: str


def nearest_known(rule: Rule, gradients: Sequence[ArrayLike] | None = None) -> Nearest:
    """The known rule whose steps, with hyperparameters fitted, come nearest to those of `rule`.

    They are compared on synthetic streams of gradients and on the recorded `gradients`, arrays of shape (steps,
    weights), one a parameter tensor. Simpler rules are preferred: one whose error is at most 2 % ends the search, and
    a later one must at least halve the error. Nothing is drawn but from a fixed seed. Weight decay is not fitted.

    Raises ValueError where recorded gradients are not finite or of another shape.
    """
    streams = streams_of(gradients)
    with torch.no_grad():
        steps = steps_on(rule, streams)[0]
        if not steps.isfinite().all():
            return Nearest("", {}, math.inf, "its steps do not stay finite, so that it is compared with no known rule")
        if not steps.any():
            return Nearest("", {}, math.inf, "it does not move, so that it is compared with no known rule")
        target = Target(steps, streams)
        guesses = {family.name: first_guess(family, target) for family in FAMILIES}
        bound = sorted(error for _, error in guesses.values())[CONTENDERS - 1]
        family, found = FAMILIES[0], fit(FAMILIES[0], target, guesses[FAMILIES[0].name][0])
        for other in [other for other in FAMILIES[1:] if guesses[other.name][1] <= bound]:
            if found.error <= SAME:
                break
            tried = fit(other, target, guesses[other.name][0])
            if tried.error < CLEARLY * found.error:
                family, found = other, tried
    return Nearest(family.name, _hyperparameters(family, found), found.error, _sentence(family, found))


def _hyperparameters(family: Family, found: Fit) -> dict[str, Hyperparameter]:
    """Those that were fitted, as the gallery's rule takes them."""
    rule = family.rule
    values = {**rule.scalars(rule.hyperparameters), **found.scalars}
    fitted = {key: names for key, names in rule.read_as.items() if {*names} & {*found.scalars, *family.fixed}}
    return {
        key: values[key] if names == (key,) else tuple(values[name] for name in names) for key, names in fitted.items()
    }


def _sentence(family: Family, found: Fit) -> str:
    if found.error > 1 - 1e-9:
        return "no known rule comes any nearer than standing still"
    shown = {family.letters.get(name, name): value for name, value in found.scalars.items() if name != "lr"}
    shown = {name: value for name, value in shown.items() if name != "eps" or value > UNSEEN}
    shown["lr"] = found.scalars["lr"]
    what = f"{family.called} with {', '.join(f'{name} = {notation.argument(value)}' for name, value in shown.items())}"
    percent = f"{100 * found.error:.2g} %"
    if found.error <= IS:
        return f"this is {what}, to {f'within {percent}' if found.error > EXACT else 'rounding'}"
    return f"no known rule comes nearer than {percent} (nearest: {what})"
