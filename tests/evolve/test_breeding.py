"""Breeding: who may be a parent, who makes room, and that everything follows from the random state."""

from collections import Counter
from random import Random

import pytest

from thalweg.evolve.breeding import CROSSOVER, MUTATION, RANDOM, SEED, Breeder, Child, Member
from thalweg.evolve.settings import Settings
from thalweg.evolve.standing import Standing

SMALL = Settings(population=8, batch=8, tournament=3, elites=2, contenders=2, islands=2, migration=2)


class Numbers:
    """Genomes that are numbers, so that whence one came can be read off it."""

    name = "numbers"

    def random(self, random):
        return random.randrange(1000)

    def mutate(self, genome, random):
        return genome + 10_000 if isinstance(genome, int) else (*genome, "mutated")

    def cross(self, one, other, random):
        return (one, other)

    def learn(self, best):
        self.learnt = list(best)


def standings(values):
    return {entry: Standing(2, value, value, 1) for entry, value in values.items()}


def breeder(settings=SMALL, seeds=(), seed=0):
    return Breeder(settings, Numbers(), Random(seed), seeds)


def test_an_evolution_begins_with_the_known_rules_and_mutants_of_them():
    children = breeder(seeds=[5, 6, 7]).first()
    assert len(children) == SMALL.population * SMALL.islands
    assert [(child.genome, child.operation, child.island) for child in children[:3]] == [
        (5, SEED, 0),
        (6, SEED, 1),
        (7, SEED, 0),
    ]
    assert {child.operation for child in children} == {SEED, MUTATION, RANDOM}
    assert all(child.genome in (10_005, 10_006, 10_007) for child in children if child.operation == MUTATION)


def test_without_known_rules_it_begins_from_scratch():
    assert {child.operation for child in breeder().first()} == {RANDOM}


def test_the_oldest_make_room_however_good_they_are():
    settings = SMALL.changed(islands=1)
    own = breeder(settings)
    values = {entry: float(-entry) for entry in range(12)}  # the oldest are the best
    for start in (0, 4, 8):
        own.take_in([(Child(entry, RANDOM), entry) for entry in range(start, start + 4)], standings(values), 1)
    assert [member.entry for member in own.islands.members[0]] == list(range(4, 12))
    assert [member.entry for member in own.islands.best] == [0, 1]


def test_the_best_of_all_times_are_among_the_parents_still():
    settings = SMALL.changed(islands=1, tournament=8, fresh=0.0, crossover=0.0)
    own = breeder(settings)
    values = {entry: float(-entry) for entry in range(40)}
    for start in range(0, 40, 4):
        own.take_in([(Child(entry, RANDOM), entry) for entry in range(start, start + 4)], standings(values), 1)
    parents = Counter(own.child(0, standings(values)).parents[0] for _ in range(200))
    assert set(parents) & {0, 1}


def test_generations_keep_the_elite_and_replace_the_rest():
    settings = SMALL.changed(search="generational", islands=1, population=4, tournament=2, elites=1)
    own = breeder(settings)
    assert own.size() == 3
    values = {0: 0.9, 1: 0.1, 2: 0.2, 3: 0.3, 4: 0.0, 5: 0.5, 6: 0.4}
    own.take_in([(Child(entry, RANDOM), entry) for entry in range(4)], standings(values), 0)
    own.take_in([(Child(entry, MUTATION), entry) for entry in (4, 5, 6)], standings(values), 1)
    assert [member.entry for member in own.islands.members[0]] == [0, 5, 6, 4]
    assert own.representation.learnt == [0]


def test_in_generations_the_children_of_two_mutate_too():
    settings = SMALL.changed(search="generational", islands=1, population=4, tournament=2, crossover=1.0, fresh=0.0)

    class Sums(Numbers):
        def cross(self, one, other, random):
            return one + other

    own = Breeder(settings, Sums(), Random(0))
    own.islands.members[0] = [Member(entry, entry) for entry in range(4)]
    child = own.child(0, standings({entry: 0.0 for entry in range(4)}))
    assert child.operation == CROSSOVER
    assert child.genome == sum(child.parents) + 10_000


def test_islands_breed_apart_but_for_the_best_that_migrate():
    own = breeder(SMALL.changed(migration=3))
    values = {entry: float(entry) for entry in range(8)}
    children = [(Child(entry, RANDOM, (), entry % 2), entry) for entry in range(8)]
    own.take_in(children, standings(values), 1)
    assert [{m.entry % 2 for m in island} for island in own.islands.members] == [{0}, {1}]
    own.take_in([], standings(values), 3)
    assert [m.entry for m in own.islands.members[0]][-1] == 7
    assert [m.entry for m in own.islands.members[1]][-1] == 6


def test_random_search_never_looks_at_a_parent():
    own = breeder(SMALL.changed(search="random"))
    own.take_in(
        [(Child(entry, RANDOM, (), 0), entry) for entry in range(8)], standings(dict.fromkeys(range(8), 1.0)), 1
    )
    assert {own.child(place, {}).operation for place in range(50)} == {RANDOM}


def test_the_winner_of_a_tournament_of_all_is_the_best():
    own = breeder(SMALL.changed(islands=1, tournament=8, elites=0, fresh=0.0, crossover=0.0))
    own.islands.members[0] = [Member(entry, entry) for entry in range(8)]
    values = {entry: float(entry == 5) for entry in range(8)}
    assert all(own.child(0, standings(values)).parents == (5,) for _ in range(20))


@pytest.mark.parametrize("search", ["ageing", "generational", "random"])
def test_the_same_random_state_breeds_the_same_children(search):
    def bred():
        own = breeder(SMALL.changed(search=search), seeds=[3], seed=4)
        values = standings({entry: float(entry % 5) for entry in range(16)})
        own.take_in([(child, entry) for entry, child in enumerate(own.first())], values, 2)
        return [own.child(place, values) for place in range(20)]

    assert bred() == bred()
