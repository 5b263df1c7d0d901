"""A candidate: a rule that evolution found, what it comes to, and how large it is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

from thalweg.evolve.representation import Refused
from thalweg.rules import Rule

MOST_LETTERS = 4000  # of a canonical form: beyond that nobody could read the rule

_PARTS = re.compile(r"(?P<number>\d+\.?\d*(?:e[-+]?\d+)?)|(?P<name>[a-z_]\w*)|(?P<operator>\*\*|[-+*/<>=!]=?)")
_SHARED = re.compile(r"c\d+")  # what the canonical form calls a value that it works out once


@dataclass(frozen=True)
class Candidate:
    """A rule whose weight the gradient can reach, with its canonical form: equal for rules that are one."""

    rule: Rule
    canonical: str

    @cached_property
    def size(self) -> int:
        """How complex it is: the operators, numbers and names in its canonical form, its own abbreviations aside."""
        sides = [line.partition(" = ")[2] for line in self.canonical.splitlines() if not line.startswith("#")]
        parts = [match[0] for side in sides for match in _PARTS.finditer(side)]
        return sum(not _SHARED.fullmatch(part) for part in parts)


def candidate_of(rule: Rule) -> Candidate:
    """Raises Refused where no gradient reaches the weight, or where the rule is too large to be read.

    Only what is written counts: the gradient of 0*g reaches the weight here, and is found out by what it does.
    """
    canonical = rule.canonical()
    if len(canonical) > MOST_LETTERS:
        raise Refused(f"its canonical form has {len(canonical)} letters, more than {MOST_LETTERS}")
    if not re.search(r"\bg\b", canonical):
        raise Refused("no gradient reaches the weight")
    return Candidate(rule, canonical)
