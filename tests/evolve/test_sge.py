"""Structured grammatical evolution: what holds for every genome, and what mutation, crossover and learning do."""

from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from thalweg import Rule
from thalweg.evolve.grammar import grammar_named, read_grammar
from thalweg.evolve.representation import Refused
from thalweg.evolve.sge import GrammaticalEvolution

PAPER, RICH = grammar_named("paper"), grammar_named("rich")
SMALL = read_grammar(
    "<start> ::= w = w - <c>*<e>\n<e> ::= g | g | (<e> + <e>)\n<c> ::= 0.1 | 0.4 | 0.2 | 0.3 | 1.0 | 2.0"
)

GRAMMARS = st.sampled_from([PAPER, RICH, SMALL])
EDITS = st.sampled_from(["few", 0.15, 1.0])


def holds(evolution: GrammaticalEvolution, genome) -> None:
    """What is true of every genome: codons in range, the limits, a file of it, and a rule or a reason."""
    assert genome.depth <= evolution.limits.depth
    assert genome.size <= evolution.limits.size
    for own, codons, choices in zip(evolution.grammar.productions, genome.codons, genome.choices, strict=True):
        assert len(choices) <= len(codons) <= evolution.limits.size
        assert all(0 <= codon < (len(own) if evolution.probabilities is None else 1) for codon in codons)
        assert all(0 <= choice < len(own) for choice in choices)
    assert evolution.from_json(json.loads(json.dumps(evolution.to_json(genome)))) == genome
    try:
        rule = evolution.rule(genome)
    except Refused as refused:
        assert str(refused)  # noqa: PT017
    else:
        assert isinstance(rule, Rule)


def life(evolution: GrammaticalEvolution, seed: int, children: int) -> list:
    """Genomes drawn, mutated, crossed and learnt from, one after another."""
    random = Random(seed)
    genomes = [evolution.random(random) for _ in range(2)]
    for _ in range(children):
        one, other = random.choice(genomes), random.choice(genomes)
        genomes.append(evolution.mutate(evolution.cross(one, other, random), random))
        genomes.append(evolution.mutate(one, random))
        evolution.learn([genomes[-1]])
    return genomes


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(GRAMMARS, EDITS, st.booleans(), st.integers(0, 2**32), st.integers(5, 20), st.integers(12, 120))
def test_what_holds_for_every_genome_holds_however_it_came_about(grammar, edits, probabilistic, seed, depth, size):
    evolution = GrammaticalEvolution(grammar, max_depth=depth, max_size=size, edits=edits, probabilistic=probabilistic)
    for genome in life(evolution, seed, 4):
        holds(evolution, genome)


@pytest.mark.slow
@pytest.mark.parametrize("probabilistic", [False, True])
@pytest.mark.parametrize("grammar", [PAPER, RICH])
def test_it_holds_for_ten_thousand_genomes(grammar, probabilistic):
    evolution = GrammaticalEvolution(grammar, probabilistic=probabilistic)
    for seed in range(250):
        for genome in life(evolution, seed, 5):
            holds(evolution, genome)


@settings(max_examples=20, deadline=None)
@given(GRAMMARS, EDITS, st.booleans(), st.integers(0, 2**32))
def test_equal_random_states_make_equal_genomes(grammar, edits, probabilistic, seed):
    lives = [life(GrammaticalEvolution(grammar, edits=edits, probabilistic=probabilistic), seed, 4) for _ in range(2)]
    assert lives[0] == lives[1]


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([PAPER, RICH]), st.booleans(), st.integers(0, 2**32))
def test_few_edits_are_one_or_two_and_change_the_text(grammar, probabilistic, seed):
    evolution, random = GrammaticalEvolution(grammar, probabilistic=probabilistic), Random(seed)
    parent = evolution.random(random)
    child = evolution.mutate(parent, random)
    assert child.text != parent.text
    changed = sum(
        old != new
        for before, after in zip(parent.codons, child.codons, strict=True)
        for old, new in zip(before, after, strict=False)
    )
    assert changed in (1, 2)


def test_mutation_leaves_what_is_not_expressed_alone():
    evolution, random = GrammaticalEvolution(SMALL, edits=1.0), Random(0)
    genome = evolution.from_json({"codons": [[0], [0, 2, 2], [3, 1]], "choices": [[0], [0], [3]]})
    child = evolution.mutate(genome, random)
    assert child.codons[0] == (0,)  # there is nothing else to choose
    assert child.codons[1][0] != 0
    assert child.codons[1][1:3] == (2, 2)
    assert child.codons[2][0] != 3
    assert child.codons[2][1] == 1


def test_at_a_rate_of_zero_a_child_is_its_parent_and_rates_are_by_non_terminal():
    parent = GrammaticalEvolution(SMALL).from_json({"codons": [[0], [0], [3]], "choices": [[0], [0], [3]]})
    assert GrammaticalEvolution(SMALL, edits=0.0).mutate(parent, Random(0)) == parent
    for seed in range(20):
        child = GrammaticalEvolution(SMALL, edits={"<c>": 1.0}).mutate(parent, Random(seed))
        assert child.codons[:2] == parent.codons[:2]
        assert child.codons[2] != parent.codons[2]


def test_each_expressed_codon_mutates_at_the_papers_rate():
    """The text of a flat grammar has ten codons: of 500 children 750 +- 25 codons differ."""
    flat = read_grammar("<start> ::= " + "<c>" * 10 + "\n<c> ::= 1 | 2 | 3")
    evolution, random = GrammaticalEvolution(flat, edits=0.15), Random(0)
    parent = evolution.random(random)
    children = [evolution.mutate(parent, random) for _ in range(500)]
    changed = sum(a != b for child in children for a, b in zip(child.text, parent.text, strict=True))
    assert abs(changed - 750) < 100


@pytest.mark.parametrize("probabilistic", [False, True])
def test_jitter_moves_a_constant_to_one_nearby(probabilistic):
    """At a reach of 1 a constant moves by one place in order of size, and from an end back."""
    evolution = GrammaticalEvolution(SMALL, jitter=1.0, reach=1.0, probabilistic=probabilistic)
    order = ["0.1", "0.2", "0.3", "0.4", "1.0", "2.0"]
    random, moved = Random(0), set()
    for _ in range(200):
        genome = evolution.random(random)
        child = evolution.mutate(genome, random)
        old, new = (text.split("*")[0].split()[-1] for text in (genome.text, child.text))
        if old != new:
            moved.add((old, new))
    assert moved == {*pairwise(order), *pairwise(reversed(order))}


def test_without_jitter_a_constant_may_become_any_other():
    constants = read_grammar("<c> ::= 1 | 2 | 3 | 4 | 5")
    evolution, random = GrammaticalEvolution(constants, jitter=0.0), Random(0)
    parent = evolution.from_json({"codons": [[0]], "choices": [[0]]})
    counts = Counter(evolution.mutate(parent, random).text for _ in range(400))
    assert sorted(counts) == ["2", "3", "4", "5"]
    assert min(counts.values()) > 60


@settings(max_examples=40, deadline=None)
@given(GRAMMARS, st.integers(0, 2**32))
def test_a_child_of_two_has_the_codons_of_a_non_terminal_from_one_of_them(grammar, seed):
    """Where no limit replaces a codon; what a child lacks is behind what it has."""
    evolution, random = GrammaticalEvolution(grammar, max_depth=60, max_size=2000), Random(seed)
    one, other = evolution.random(random), evolution.random(random)
    child = evolution.cross(one, other, random)
    for own, a, b in zip(child.codons, one.codons, other.codons, strict=True):
        assert own[: len(a)] == a or own[: len(b)] == b


def test_crossing_a_genome_with_itself_changes_nothing():
    evolution, random = GrammaticalEvolution(PAPER), Random(0)
    genome = evolution.random(random)
    assert evolution.cross(genome, genome, random) == genome


def test_learning_moves_probabilities_by_what_was_chosen():
    """Mégane et al. (2022): p + lf*count/total of what was used, p*(1 - lf) of what was not, made to add up to 1."""
    evolution = GrammaticalEvolution(SMALL, probabilistic=True, learning_factor=0.1)
    best = evolution.from_json(
        {"codons": [[0.5], [0.9, 0.1, 0.9, 0.2, 0.3], [0.2]], "choices": [[0], [2, 0, 2, 0, 0], [1]]}
    )
    evolution.learn([best])
    raw = [1 / 3 + 0.1 * 3 / 5, (1 / 3) * 0.9, 1 / 3 + 0.1 * 2 / 5]
    assert evolution.state()["probabilities"][1] == pytest.approx([p / sum(raw) for p in raw])
    assert evolution.state()["probabilities"][0] == [1.0]
    raw = [1 / 6 + 0.1 if k == 1 else (1 / 6) * 0.9 for k in range(6)]
    assert evolution.state()["probabilities"][2] == pytest.approx([p / sum(raw) for p in raw])


def test_what_is_learnt_is_drawn_more_often_and_leaves_old_genomes_as_they_are():
    evolution, random = GrammaticalEvolution(SMALL, probabilistic=True, learning_factor=0.2), Random(0)
    best = evolution.from_json({"codons": [[0.5], [0.1], [0.9]], "choices": [[0], [0], [5]]})
    for _ in range(30):
        evolution.learn([best])
    assert evolution.from_json(evolution.to_json(best)) == best
    assert sum("2.0" in evolution.random(random).text for _ in range(100)) > 90


def test_a_non_terminal_that_no_best_genome_has_keeps_its_probabilities():
    evolution = GrammaticalEvolution(PAPER, probabilistic=True)
    before = evolution.state()
    evolution.learn([])
    assert evolution.state() == before
    assert GrammaticalEvolution(PAPER).state() is None


def test_what_is_learnt_goes_through_a_file_bit_for_bit():
    evolution = GrammaticalEvolution(RICH, probabilistic=True)
    life(evolution, 0, 5)
    other = GrammaticalEvolution(RICH, probabilistic=True)
    other.restore(json.loads(json.dumps(evolution.state())))
    assert other.state() == evolution.state()
    assert [other.random(Random(k)) for k in range(9)] == [evolution.random(Random(k)) for k in range(9)]


@pytest.mark.parametrize(
    "state",
    [None, 3, {}, {"probabilities": []}, {"probabilities": [[1.0], [0.5, 0.5], [1 / 6] * 6]},
     {"probabilities": [[1.0], [0.5, 0.5, 0.5], [1 / 6] * 6]},
     {"probabilities": [[1.0], [2.0, -1.0, 0.0], [1 / 6] * 6]},
     {"probabilities": [[1.0], ["1", 0, 0], [1 / 6] * 6]}, {"probabilities": [[float("nan")], [1, 0, 0], [1 / 6] * 6]}],
)  # fmt: skip
def test_what_is_no_state_is_refused(state):
    with pytest.raises(ValueError, match=r"state must|probabilities"):
        GrammaticalEvolution(SMALL, probabilistic=True).restore(state)
    if state is not None:
        with pytest.raises(ValueError, match="state must be None"):
            GrammaticalEvolution(SMALL).restore(state)


GENOME = {"codons": [[0], [2, 0, 0], [3]], "choices": [[0], [2, 0, 0], [3]]}


@pytest.mark.parametrize(
    "changes",
    [
        {"codons": None}, {"choices": "abc"}, {"codons": [[0], [2, 0, 0]]}, {"codons": [[0], [2, 0, 0], 3]},
        {"codons": [[0], [2, 0, 3], [3]], "choices": [[0], [2, 0, 3], [3]]}, {"codons": [[0], [2, 0, 0.5], [3]]},
        {"codons": [[0], [2, 0, True], [3]]}, {"choices": [[0], [2, 0, 1], [3]]}, {"choices": [[0], [2, 0], [3]]},
        {"choices": [[0], [2, 0, 0], [3, 3]]}, {"codons": [[0], [2, 0, 0] + [0] * 999, [3]]},
        {"choices": [[0], [[], 0, 0], [3]]},
        {"codons": [[0], [2] * 9, [3]], "choices": [[0], [2] * 9, [3]]},
        {"codons": [[0], [2] * 8 + [0] * 9, [3]], "choices": [[0], [2] * 8 + [0] * 9, [3]]},
    ],
    ids=str,
)  # fmt: skip
def test_what_is_no_genome_is_refused(changes):
    evolution = GrammaticalEvolution(SMALL, max_depth=6)
    assert evolution.from_json(GENOME).text == "w = w - 0.3*(g + g)"
    with pytest.raises(ValueError, match=r"genome|codons|choices|deeper|productions"):
        evolution.from_json({**GENOME, **changes})
    with pytest.raises(ValueError, match="a genome must have codons and choices"):
        evolution.from_json([GENOME])


@pytest.mark.parametrize("codon", [1.0, -0.1, float("nan"), "0.5", 0])
def test_a_real_codon_out_of_range_is_refused(codon):
    evolution = GrammaticalEvolution(SMALL, probabilistic=True)
    with pytest.raises(ValueError, match="from 0 to below 1"):
        evolution.from_json({"codons": [[codon], [0.5], [0.5]], "choices": [[0], [0], [3]]})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"max_depth": 1}, "max_depth must be >= 2"), ({"max_size": 2}, "max_size >= 3"),
        ({"edits": "many"}, "edits must be 'few'"), ({"edits": 1.5}, "a rate from 0 to 1"),
        ({"edits": {"<x>": 0.1}}, "no non-terminal '<x>'; it has start, e, c"),
        ({"edits": {"e": -1}}, "a rate from 0 to 1"),
        ({"jitter": 2}, "jitter must be from 0 to 1"), ({"reach": 0}, "reach must be >= 1"),
        ({"learning_factor": -0.1}, "learning_factor must be from 0 to 1"),
    ],
)  # fmt: skip
def test_arguments_out_of_range_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        GrammaticalEvolution(SMALL, **arguments)


def test_random_rules_of_the_rich_grammar_read_the_gradient_and_few_are_refused():
    evolution, random = GrammaticalEvolution(RICH), Random(0)
    told = 0
    for _ in range(200):
        try:
            told += "g" in evolution.rule(evolution.random(random)).text
        except Refused:
            continue
    assert told > 180
