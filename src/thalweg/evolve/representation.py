"""What a genome is: how one is drawn, varied, told as a rule and kept in a file."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any, Protocol, TypeVar

from thalweg.rules import Rule

Genome = TypeVar("Genome")


class Refused(ValueError):
    """A genome, a phenotype or a rule is no candidate; the message says why in a few words, without the rule itself."""


class Representation(Protocol[Genome]):
    """Genomes of one kind, and the operators that make new ones of them.

    Genomes never change; an operator returns a new one. All draws come from the `random` that is given, and reading a
    genome draws nothing. The limits of the representation, of depth and of size, hold for every genome that it returns.
    """

    name: str

    def random(self, random: Random) -> Genome:
        """A genome drawn from scratch."""
        ...

    def mutate(self, genome: Genome, random: Random) -> Genome:
        """The genome with one or two edits."""
        ...

    def cross(self, one: Genome, other: Genome, random: Random) -> Genome:
        """A genome with parts of both."""
        ...

    def rule(self, genome: Genome) -> Rule:
        """What the genome says. Raises Refused, and nothing else, where that is no rule."""
        ...

    def genome_of(self, rule: Rule) -> Genome:
        """The genome that says a known rule, for a warm start. Raises Refused where none does."""
        ...

    def learn(self, best: Sequence[Genome]) -> None:
        """Takes note of the best genomes of a generation, where the representation has something to learn."""
        ...

    def state(self) -> Any:
        """What has been learnt, as JSON has it; `restore` takes it back, and raises ValueError where it is no state."""
        ...

    def restore(self, state: Any) -> None: ...

    def to_json(self, genome: Genome) -> Any:
        """The genome as JSON has it; `from_json` makes it again, and raises ValueError where that is no genome."""
        ...

    def from_json(self, data: Any) -> Genome: ...
