"""Populations, and the children that are bred of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from thalweg.evolve.representation import Representation
from thalweg.evolve.settings import Settings
from thalweg.evolve.standing import NOWHERE, Standing

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
                children.append(Child(self.representation.random(self.random), RANDOM, (), island))
        return children

    def size(self) -> int:
        """How many children are bred at a time."""
        own = self.settings
        return max(1, own.population - own.elites) if own.search == "generational" else own.batch

    def child(self, place: int, standings: Mapping[int, Standing]) -> Child:
        """One child, for the island that is its turn."""
        island, own, random = place % self.settings.islands, self.settings, self.random
        parents = self._parents(island)
        if own.search == "random" or not parents or random.random() < own.fresh:
            return Child(self.representation.random(random), RANDOM, (), island)
        mother = self._chosen(parents, standings)
        if random.random() >= own.crossover or len(parents) < 2:
            return Child(self.representation.mutate(mother.genome, random), MUTATION, (mother.entry,), island)
        father = self._chosen(parents, standings)
        genome = self.representation.cross(mother.genome, father.genome, random)
        if own.search == "generational":  # as in the paper, every child mutates
            genome = self.representation.mutate(genome, random)
        return Child(genome, CROSSOVER, (mother.entry, father.entry), island)

    def take_in(self, children: Sequence[tuple[Child, int]], standings: Mapping[int, Standing], batch: int) -> None:
        """Gives the evaluated children, each with its entry, their place in the populations."""
        for place, members in enumerate(self.islands.members):
            new = [Member(entry, child.genome) for child, entry in children if child.island == place]
            if self.settings.search == "generational":
                kept = _best(members, standings)[: self.settings.elites]
                self.islands.members[place] = _best([*kept, *new], standings)[: self.settings.population]
            else:
                self.islands.members[place] = [*members, *new][-self.settings.population :]
        everyone = [*self.islands.best, *(Member(entry, child.genome) for child, entry in children)]
        self.islands.best = _best(everyone, standings)[: max(self.settings.elites, self.settings.contenders, 1)]
        if batch % self.settings.migration == 0:
            self._migrate(standings)
        if self.settings.search == "generational" and self.islands.best:
            self.representation.learn([self.islands.best[0].genome])
        elif self.islands.best:
            self.representation.learn([member.genome for member in self.islands.best])

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
        """The best of each island goes to the next one, too."""
        islands = self.islands.members
        if len(islands) > 1:
            leaving = [_best(members, standings)[:1] for members in islands]
            for place, members in enumerate(islands):
                islands[place] = [*members, *leaving[place - 1]][-self.settings.population :]


def _best(members: Sequence[Member], standings: Mapping[int, Standing]) -> list[Member]:
    """The members in order, the best first, each entry once."""
    distinct = {member.entry: member for member in reversed(members)}
    ordered = sorted(distinct.values(), key=lambda member: member.entry)
    return sorted(ordered, key=lambda member: standings.get(member.entry, NOWHERE)[:2], reverse=True)
