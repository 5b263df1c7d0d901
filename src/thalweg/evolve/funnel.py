"""The funnel: of children that were bred, those that are worth an evaluation, and why the others are not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from thalweg.evolve.archive import Archive
from thalweg.evolve.breeding import Child
from thalweg.evolve.candidate import Candidate, candidate_of
from thalweg.evolve.entry import Keys
from thalweg.evolve.probes import Probe
from thalweg.evolve.representation import Refused, Representation
from thalweg.rules import Rule

# What becomes of a child, as it is counted. A refusal is counted under its reason, too.
GENERATED, REFUSED, REPEATED, BLIND, ALIKE, FRESH = "generated", "refused", "repeated", "blind", "alike", "fresh"


@dataclass(frozen=True)
class Batch:
    """Children that were bred together: each with its entry in the archive, or None where it has none.

    `fresh`: the entries that are to be evaluated; `ungated`: which of these no hurdle stops. `counts`: how many
    children ended where. `rules` are those of the fresh ones where they are at hand: to read them anew from the archive
    takes as long as to breed them.
    """

    number: int
    children: tuple[tuple[Child, int | None], ...]
    fresh: tuple[int, ...]
    ungated: tuple[bool, ...]
    counts: Mapping[str, int]
    rules: Mapping[int, Rule] = field(default_factory=dict, compare=False, repr=False)


class Funnel:
    """Looks at children before anything is trained: what is no rule, what cannot learn, what is known already.

    `control`: the share of candidates that no hurdle is to stop, drawn from `random`.
    """

    def __init__(
        self, representation: Representation[Any], archive: Archive, probe: Probe, random: Random, control: float
    ) -> None:
        self.representation, self.archive, self.probe = representation, archive, probe
        self.random, self.control = random, control
        self._looks: dict[str, tuple[Keys, bool]] = {}  # what was seen of candidates that are no entries yet

    def candidate(self, child: Child) -> Candidate | str:
        """The candidate that a child is, or why it is none."""
        try:
            return candidate_of(self.representation.rule(child.genome))
        except Refused as refusal:
            return str(refusal)

    def novel(self, candidates: Sequence[Candidate | str]) -> list[bool]:
        """Which of them are rules, follow the gradient, and do what no earlier one does, here or in the archive."""
        self._looks = self._looked_at(candidates)
        novel, forms, behaviours = list[bool](), set[str](), set[Keys]()
        for candidate in candidates:
            if isinstance(candidate, str) or candidate.canonical not in self._looks or candidate.canonical in forms:
                novel.append(False)
                continue
            keys, blind = self._looks[candidate.canonical]
            novel.append(not blind and keys not in behaviours and self.archive.alike(keys) is None)
            forms.add(candidate.canonical)
            behaviours.add(keys)
        return novel

    def _looked_at(self, candidates: Iterable[Candidate | str]) -> dict[str, tuple[Keys, bool]]:
        """The behaviour of all whose form is not in the archive, and whether it is blind, by their forms."""
        new: dict[str, Rule] = {}
        for candidate in candidates:
            if isinstance(candidate, Candidate) and self.archive.known(candidate.canonical) is None:
                new[candidate.canonical] = candidate.rule
        looks = {form: look for form, look in self._looks.items() if form in new}
        fresh = [form for form in new if form not in looks]
        rules = [new[form] for form in fresh]
        found = zip(self.probe.keys(rules), map(bool, self.probe.blind(rules)), strict=True)
        return looks | dict(zip(fresh, found, strict=True))

    def batch(self, number: int, bred: Sequence[tuple[Child, Candidate | str]]) -> Batch:
        """Gives each child its entry: of an equal candidate, of one that behaves the same, or a new one."""
        counts = Counter({GENERATED: len(bred)})
        new: dict[str, tuple[Child, Candidate]] = {}
        for child, candidate in bred:
            if isinstance(candidate, str):
                counts += Counter([REFUSED, f"{REFUSED}: {_kind(candidate)}"])
            elif candidate.canonical in new or self.archive.known(candidate.canonical) is not None:
                counts[REPEATED] += 1
            else:
                new[candidate.canonical] = child, candidate
        fresh, blind = self._entered(number, new, counts)
        children = tuple((child, self._entry(candidate, blind)) for child, candidate in bred)
        ungated = tuple(self.random.random() < self.control for _ in fresh)
        return Batch(number, children, tuple(fresh), ungated, dict(sorted(counts.items())), fresh)

    def _entered(
        self, number: int, new: Mapping[str, tuple[Child, Candidate]], counts: Counter[str]
    ) -> tuple[dict[int, Rule], set[str]]:
        """Enters new candidates into the archive. Returns the entries of those that do what none has done before, with
        their rules, and the canonical forms of those whose steps the gradient does not change."""
        self._looks = self._looked_at(candidate for _, candidate in new.values())
        fresh, blind = dict[int, Rule](), set[str]()
        for child, candidate in new.values():
            keys, sightless = self._looks[candidate.canonical]
            if sightless:
                blind.add(candidate.canonical)
                counts[BLIND] += 1
            elif (alike := self.archive.alike(keys)) is not None:
                self.archive.alias(candidate.canonical, alike)
                counts[ALIKE] += 1
            else:
                entry = self.archive.add(
                    candidate, born=number, keys=keys, parents=child.parents, operation=child.operation
                )
                fresh[entry.id] = candidate.rule
                counts[FRESH] += 1
        return fresh, blind

    def _entry(self, candidate: Candidate | str, blind: set[str]) -> int | None:
        if isinstance(candidate, str) or candidate.canonical in blind:
            return None
        known = self.archive.known(candidate.canonical)
        return None if known is None else known.id


def _kind(reason: str) -> str:
    """A reason without its numbers, so that equal ones are counted together."""
    return "".join("#" if letter.isdigit() else letter for letter in reason)[:80]
