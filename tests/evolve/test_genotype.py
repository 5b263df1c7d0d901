"""The mapping of structured grammatical evolution: which codon is read when, what is drawn, and the exact limits."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thalweg.evolve.genotype import Limits, mapped, replayed
from thalweg.evolve.grammar import grammar_named, read_grammar

SUMS = read_grammar("<sum> ::= <leaf> | (<sum> + <sum>)\n<leaf> ::= x | y | <digit>\n<digit> ::= 1 | 2 | 3")
PAPER, RICH = grammar_named("paper"), grammar_named("rich")
# Only indirectly recursive, and what is lowest is not smallest: a derivation of height 2 has five expansions.
WIDE = read_grammar("<a> ::= <leaf><leaf><leaf><leaf> | <b>\n<b> ::= <c> | (<a>)\n<c> ::= <leaf>\n<leaf> ::= 1")
WIDER = read_grammar("<a> ::= <b> | (<b> + <b>)\n<b> ::= [<a>] | <leaf>*<leaf> | 2*<leaf>\n<leaf> ::= 1 | x")


class NoDraws(Random):
    """Fails where something is drawn."""

    def random(self):
        raise AssertionError("drawn")


def depth_of(text: str) -> int:
    return max(text[:i].count("(") - text[:i].count(")") for i in range(len(text) + 1))


def test_codons_are_read_from_the_left_depth_first_by_non_terminal():
    """By hand: ((x + 3) + y)."""
    codons = [[1, 1, 0, 0, 0], [0, 2, 1], [2]]
    genotype = mapped(SUMS, codons, NoDraws(), Limits(17, 50))
    assert genotype.text == "((x + 3) + y)"
    assert genotype.used == (5, 3, 1)
    assert genotype.size == 9
    assert genotype.depth == 5  # of the 3: sum, sum, sum, leaf, digit, 3, and the axiom is at 0


def test_codons_behind_those_that_are_used_are_kept_and_say_nothing():
    genotype = mapped(SUMS, [[0, 1, 1], [1, 2], [0, 0]], NoDraws(), Limits(17, 50))
    assert genotype.text == "y"
    assert genotype.codons == ((0, 1, 1), (1, 2), (0, 0))
    assert genotype.choices == ((0,), (1,), ())


def test_missing_codons_are_drawn_and_written_into_the_genotype():
    genotype = mapped(SUMS, [[1], [], []], Random(3), Limits(17, 50))
    again = mapped(SUMS, genotype.codons, NoDraws(), Limits(17, 50))
    assert genotype == again
    assert genotype.codons[0][0] == 1
    assert len(genotype.codons[0]) >= 3


def test_a_codon_that_would_lead_beyond_the_depth_is_replaced_in_the_genotype_by_a_shortest_production():
    """A sum at depth 2 may be no sum of sums any more, for that ends at 5 at least: leaf, x and so on."""
    genotype = mapped(SUMS, [[1, 1, 1, 1, 1, 1, 1], [0] * 9, []], Random(0), Limits(4, 50))
    assert genotype.text == "((x + x) + (x + x))"
    assert genotype.codons[0] == (1, 1, 0, 0, 1, 0, 0)


def test_a_codon_that_would_lead_beyond_the_size_is_replaced_too():
    """A leaf takes two expansions, a sum of leaves five."""
    for size in (5, 6, 7):
        assert mapped(SUMS, [[1] * 9, [0] * 9, []], Random(0), Limits(17, size)).text == "(x + x)"
    assert mapped(SUMS, [[1] * 9, [0] * 9, []], Random(0), Limits(17, 8)).text == "((x + x) + x)"


def test_beyond_the_free_depth_only_the_shortest_productions_are_drawn():
    for seed in range(50):
        genotype = mapped(SUMS, [[], [], []], Random(seed), Limits(17, 500), free_depth=2)
        assert depth_of(genotype.text) <= 3
        assert genotype.depth <= 5  # a sum at depth 3 is a leaf, and that x or y


def test_limits_within_which_nothing_can_be_said_are_refused():
    Limits(4, 10).check(PAPER)
    for limits in (Limits(3, 10), Limits(4, 9)):
        with pytest.raises(ValueError, match=r"max_depth must be >= 4 and max_size >= 10, .*; got"):
            limits.check(PAPER)


GRAMMARS = st.sampled_from([SUMS, PAPER, RICH, WIDE, WIDER])


@settings(max_examples=300, deadline=None)
@given(GRAMMARS, st.integers(0, 2**32), st.integers(0, 12), st.integers(0, 60), st.booleans(), st.data())
def test_every_derivation_keeps_the_limits_and_is_complete(grammar, seed, deeper, larger, real, data):
    """Whatever the codons: they are in range, in number as many as are used, and read again they say the same."""
    limits = Limits(grammar.heights[0] + deeper, grammar.sizes[0] + larger)
    limits.check(grammar)
    cumulative = [[(k + 1) / len(own) for k in range(len(own))] for own in grammar.productions] if real else None
    rows = [
        data.draw(st.lists(st.floats(0, 1, exclude_max=True) if real else st.integers(0, len(own) - 1), max_size=9))
        for own in grammar.productions
    ]
    genotype = mapped(grammar, rows, Random(seed), limits, cumulative=cumulative)
    assert genotype.depth <= limits.depth
    assert genotype.size <= limits.size
    assert "<" not in genotype.text
    for own, codons, choices in zip(grammar.productions, genotype.codons, genotype.choices, strict=True):
        assert len(choices) <= len(codons)
        assert all(0 <= choice < len(own) for choice in choices)
        assert all(0 <= codon < (1 if real else len(own)) for codon in codons)
        if not real:
            assert choices == codons[: len(choices)]
    assert mapped(grammar, genotype.codons, NoDraws(), limits, cumulative=cumulative) == genotype
    assert replayed(grammar, genotype.codons, genotype.choices, limits) == genotype


def test_a_real_codon_chooses_the_production_in_whose_share_it_lies():
    cumulative = [[0.25, 1.0], [0.5, 0.5, 1.0], [0.1, 0.9, 1.0]]
    codons = [[0.3, 0.1, 0.2], [0.49, 0.5], [0.95]]
    genotype = mapped(SUMS, codons, NoDraws(), Limits(17, 50), cumulative=cumulative)
    assert genotype.choices == ((1, 0, 0), (0, 2), (2,))  # y has no share
    assert genotype.text == "(x + 3)"


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ([[1, 0], [0, 0], []], "too few codons for <sum>"),
        ([[0, 0], [0], []], "more codons of <sum>"),
        ([[0], [0], [1]], "more codons of <digit>"),
        ([[0], [3], []], "<leaf> has 3 productions, numbered from 0, got 3"),
        ([[0], [-1], []], "got -1"),
        ([[1] * 20 + [0] * 21, [0] * 21, []], "deeper than 4 or more than 50 expansions"),
    ],
)
def test_choices_that_are_no_derivation_are_refused(choices, message):
    with pytest.raises(ValueError, match=message):
        replayed(SUMS, choices, choices, Limits(4, 50))
