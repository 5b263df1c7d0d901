"""Populations, and the children that are bred of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from thalweg.evolve.representation import Representation
from thalweg.evolve.settings import CONSTANTS, Settings
from thalweg.evolve.standing import NOWHERE, Standing

NOBODY = -1  # the entry of a genome that is no candidate
JOLTS = 5  # mutations that make a known rule's constants as good as new
RANDOM, SEED, MUTATION, CROSSOVER = "random", "seed", "mutation", "crossover"


@dataclass(frozen=True)
class Member:
    """A genome in a population, and the archive's entry of what it says."""

    entry: int
    genome: Any


@dataclass(frozen=True)
class Child:
    """A genome that was bred, how, and of the entries of which parents; `island` says where it belongs."""

    genome: Any
    operation: str
    parents: tuple[int, ...] = ()
    island: int = 0


@dataclass
class Islands:
    """The populations, the oldest member of each first, and the best of all times, the best first."""

    members: list[list[Member]]
    best: list[Member] = field(default_factory=list)

    def everyone(self) -> list[Member]:
        """All members, those of the best that live nowhere any more included."""
        return [member for island in self.members for member in island] + self.best


class Breeder:
    """Breeds children and takes them in, as the settings say."""

    def __init__(
        self, settings: Settings, representation: Representation[Any], random: Random, seeds: Sequence[Any] = ()
    ) -> None:
        self.settings, self.representation, self.random = settings, representation, random
        self.seeds = list(seeds)  # genomes of known rules
        self.islands = Islands([[] for _ in range(settings.islands)])

    def first(self) -> list[Child]:
        """The children that an evolution begins with: known rules, mutants of them, and genomes drawn from scratch."""
        count = self.settings.population * self.settings.islands
        children = [Child(genome, SEED, (), place % self.settings.islands) for place, genome in enumerate(self.seeds)]
        while len(children) < count:
            island = len(children) % self.settings.islands
            if self.seeds and self.random.random() < 0.5:
                seed = self.random.choice(self.seeds)
                children.append(Child(self.representation.mutate(seed, self.random), MUTATION, (), island))
            else:
                children.append(Child(self._scratch(), RANDOM, (), island))
        return children

    def _scratch(self) -> Any:
        """A genome from scratch; where constants alone are searched, a known rule with other ones."""
        if self.settings.representation != CONSTANTS:
            return self.representation.random(self.random)
        genome = self.random.choice(self.seeds)
        for _ in range(JOLTS):
            genome = self.representation.mutate(genome, self.random)
        return genome

    def size(self) -> int:
        """How many children are bred at a time."""
        own = self.settings
        return max(1, own.population - own.elites) if own.search == "generational" else own.batch

    def child(self, place: int, standings: Mapping[int, Standing]) -> Child:
        """One child, for the island that is its turn."""
        island, own, random = place % self.settings.islands, self.settings, self.random
        parents = self._parents(island)
        if own.search == "random" or not parents or random.random() < own.fresh:
            return Child(self._scratch(), RANDOM, (), island)
        mother = self._chosen(parents, standings)
        if random.random() >= own.crossover or len(parents) < 2:
            return Child(self.representation.mutate(mother.genome, random), MUTATION, _entries(mother), island)
        father = self._chosen(parents, standings)
        genome = self.representation.cross(mother.genome, father.genome, random)
        if own.search == "generational":  # as in the paper, every child mutates
            genome = self.representation.mutate(genome, random)
        return Child(genome, CROSSOVER, _entries(mother, father), island)

    def take_in(
        self, children: Sequence[tuple[Child, int | None]], standings: Mapping[int, Standing], batch: int
    ) -> None:
        """Gives the children of a batch, each with its entry, their place in the populations. In generations those that
        are no candidates have theirs, too; elsewhere they are forgotten."""
        generational = self.settings.search == "generational"
        bred = [(child.island, Member(NOBODY if entry is None else entry, child.genome)) for child, entry in children]
        bred = [(island, member) for island, member in bred if generational or member.entry != NOBODY]
        for place, members in enumerate(self.islands.members):
            new = [member for island, member in bred if island == place]
            if generational:
                kept = _distinct(members, standings)[: self.settings.elites]
                self.islands.members[place] = _sorted([*kept, *new], standings)[: self.settings.population]
            else:
                self.islands.members[place] = [*members, *new][-self.settings.population :]
        everyone = [*self.islands.everyone(), *(member for _, member in bred)]
        most = max(self.settings.elites, self.settings.contenders, 1)
        self.islands.best = _distinct(everyone, standings)[:most]
        if batch and batch % self.settings.migration == 0:
            self._migrate(standings)
        learnt = self.islands.best[:1] if generational else self.islands.best
        if learnt:
            self.representation.learn([member.genome for member in learnt])

    def _parents(self, island: int) -> list[Member]:
        members = self.islands.members[island]
        if self.settings.search == "generational":  # its elite is among the members
            return members
        return [*members, *self.islands.best[: self.settings.elites]]

    def _chosen(self, parents: Sequence[Member], standings: Mapping[int, Standing]) -> Member:
        """The best of a tournament; of several as good, the first drawn."""
        drawn = self.random.sample(parents, min(self.settings.tournament, len(parents)))
        return max(drawn, key=lambda member: standings.get(member.entry, NOWHERE)[:2])

    def _migrate(self, standings: Mapping[int, Standing]) -> None:
        """The best of each island goes to the next one, too, in the place of its worst or oldest."""
        islands = self.islands.members
        if len(islands) > 1:
            leaving = [_distinct(members, standings)[:1] for members in islands]
            for place, members in enumerate(islands):
                come = leaving[place - 1]
                if self.settings.search == "generational":
                    islands[place] = _sorted([*members[: self.settings.population - len(come)], *come], standings)
                else:
                    islands[place] = [*members, *come][-self.settings.population :]


def _sorted(members: Sequence[Member], standings: Mapping[int, Standing]) -> list[Member]:
    """The members, the best first, equals as they were."""
    return sorted(members, key=lambda member: standings.get(member.entry, NOWHERE)[:2], reverse=True)


def _distinct(members: Sequence[Member], standings: Mapping[int, Standing]) -> list[Member]:
    """The candidates among the members, the best first, each entry once; of equals the older entry."""
    distinct = {member.entry: member for member in reversed(members) if member.entry != NOBODY}
    return _sorted(sorted(distinct.values(), key=lambda member: member.entry), standings)


def _entries(*parents: Member) -> tuple[int, ...]:
    return tuple(parent.entry for parent in parents if parent.entry != NOBODY)
