"""Genealogy: the line of descent of one candidate."""

import math

import pytest

from thalweg.evolve.judgement.genealogy import Birth, ancestors, line_of_descent


def birth(id, parents=(), born=0, score=0.0):
    return Birth(id, parents, "mutation" if len(parents) == 1 else "crossover" if parents else "random", born,
                 f"w = w - {id}*g", score)  # fmt: skip


FAMILY = [
    birth(1, score=0.1),
    birth(2, score=0.5),
    birth(3, (1, 2), 1, 0.6),
    birth(4, (1,), 1, -math.inf),
    birth(5, (4, 3), 2, 0.7),
    birth(6, (5,), 3, 0.8),
    birth(7, (1,), 3, 0.9),
]


def test_of_two_parents_the_line_follows_the_better():
    assert [one.id for one in line_of_descent(FAMILY, 6)] == [2, 3, 5, 6]


def test_of_equal_parents_the_line_follows_the_first():
    equal = [birth(1), birth(2), birth(3, (2, 1), 1)]
    assert [one.id for one in line_of_descent(equal, 3)] == [2, 3]


def test_ancestors_are_all_that_it_descends_from_and_nobody_else():
    assert [one.id for one in ancestors(FAMILY, 6)] == [1, 2, 3, 4, 5, 6]
    assert [one.id for one in ancestors(FAMILY, 7)] == [1, 7]


def test_the_order_of_the_records_changes_nothing():
    assert line_of_descent(FAMILY[::-1], 6) == line_of_descent(FAMILY, 6)
    assert ancestors(FAMILY[::-1], 6) == ancestors(FAMILY, 6)


def test_a_parent_without_a_record_ends_the_line():
    assert [one.id for one in line_of_descent(FAMILY[2:], 6)] == [3, 5, 6]


def test_a_founder_is_its_own_line():
    assert line_of_descent(FAMILY, 1) == (FAMILY[0],)


def test_a_candidate_without_a_record_is_refused():
    with pytest.raises(ValueError, match="no record of candidate 99"):
        line_of_descent(FAMILY, 99)


def test_somebody_who_is_their_own_ancestor_is_refused():
    with pytest.raises(ValueError, match="its own ancestor"):
        line_of_descent([birth(1, (2,)), birth(2, (1,))], 2)
