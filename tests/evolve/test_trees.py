"""Trees: what holds for every genome, however it was drawn, changed or crossed; and what is read from a file."""

from __future__ import annotations

import ast
import json
import statistics
from functools import lru_cache
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thalweg import Rule
from thalweg.evolve.candidate import candidate_of
from thalweg.evolve.representation import Refused
from thalweg.evolve.tree_form import Tree
from thalweg.evolve.trees import Trees
from thalweg.rules.gallery import GALLERY
from thalweg.rules.operators import COMPARISONS, OPERATORS
from thalweg.rules.program import Apply, walk

SEEDS = st.integers(0, 2**32 - 1)
TREES = Trees()
KNOWN = [TREES.genome_of(entry.rule) for entry in GALLERY.values()]


def shape(expression: ast.expr) -> tuple[int, int]:
    """Size and depth of an expression as Python reads it: operators, numbers and names; a number has its own sign."""
    if isinstance(expression, ast.UnaryOp) and isinstance(expression.operand, ast.Constant):
        return 1, 1
    below = [child for child in ast.iter_child_nodes(expression) if isinstance(child, ast.expr)]
    shapes = [shape(child) for child in (expression.args if isinstance(expression, ast.Call) else below)]
    return 1 + sum(size for size, _ in shapes), 1 + max((depth for _, depth in shapes), default=0)


@lru_cache
def measured(genome: Tree) -> tuple[int, int, int]:
    """Size, depth and states, from the rule's text alone."""
    rule = TREES.rule(genome)
    shapes = [shape(line.value) for line in ast.parse(rule.text).body]
    return sum(size for size, _ in shapes), max(depth for _, depth in shapes), len(rule.states)


def within(trees: Trees, genome: Tree, parent: Tree | None = None) -> bool:
    limits = (trees.max_size, trees.max_depth, trees.max_states)
    own = measured(parent) if parent else (0, 0, 0)
    return all(have <= max(pair) for have, *pair in zip(measured(genome), limits, own, strict=True))


def life(trees: Trees, seed: int, children: int, known: int = 2) -> list[tuple[Tree, Tree | None]]:
    """Genomes drawn, known ones, and what is made of them by turns, each with its parent."""
    random = Random(seed)
    born: list[tuple[Tree, Tree | None]] = [(trees.random(random), None) for _ in range(3)]
    born += [(genome, None) for genome in random.sample(KNOWN, known)]
    for _ in range(children):
        one, other = random.choice(born)[0], random.choice(born)[0]
        child = trees.cross(one, other, random) if random.random() < 0.3 else trees.mutate(one, random)
        born.append((child, one))
    return born


def holds(trees: Trees, seed: int, children: int) -> None:
    """What is true of every genome: a rule or a reason, the limits, the gradient, and a file of it."""
    for genome, parent in life(trees, seed, children):
        try:
            rule = trees.rule(genome)
        except Refused as refused:
            assert str(refused)  # noqa: PT017
            continue
        assert rule.name == "evolved"
        assert parent is not None or genome in KNOWN or within(trees, genome)
        assert parent is None or within(trees, genome, parent)
        assert {"w", "g"} <= {node.id for node in ast.walk(ast.parse(rule.text)) if isinstance(node, ast.Name)}
        assert trees.from_json(json.loads(json.dumps(trees.to_json(genome)))) == genome


LIMITS = st.sampled_from([Trees(), Trees(max_size=12, max_depth=5, max_states=1), Trees(max_size=25)])


@given(SEEDS, LIMITS)
@settings(max_examples=8, deadline=None)
def test_every_genome_is_a_rule_within_the_limits_that_reads_the_gradient_and_a_file_keeps_it(seed, trees):
    holds(trees, seed, 20)


@pytest.mark.slow
@given(SEEDS, LIMITS)
@settings(max_examples=400, deadline=None)
def test_so_is_every_one_of_ten_thousand(seed, trees):
    holds(trees, seed, 25)


def test_fewer_than_two_in_a_hundred_genomes_are_refused():
    refused = 0
    for seed in range(3):
        for genome, _ in life(TREES, seed, 70):
            try:
                candidate_of(TREES.rule(genome))
            except Refused:
                refused += 1
    assert refused < 0.02 * 3 * 75


@given(SEEDS)
@settings(max_examples=5, deadline=None)
def test_the_same_random_state_gives_the_same_genomes(seed):
    assert life(TREES, seed, 25) == life(TREES, seed, 25)


@given(SEEDS)
@settings(max_examples=10, deadline=None)
def test_a_child_says_something_else_than_the_parent_that_it_is_made_of(seed):
    for genome, parent in life(TREES, seed, 25):
        assert parent is None or TREES.rule(genome) != TREES.rule(parent)


@given(SEEDS, st.sampled_from([("+", "-", "*"), ("+", "-", "*", "sign", "/"), ("+", "-", "*", "where", "norm", "**")]))
@settings(max_examples=15, deadline=None)
def test_new_parts_hold_no_operators_but_those_allowed(seed, operators):
    trees = Trees(operators=operators)
    allowed = {*operators, *(COMPARISONS if "where" in operators else ())}
    allowed |= {"abs", "sqrt"} & set(operators)
    for genome, _ in life(trees, seed, 25, known=0):
        parts = [part for equation in genome.equations for part in walk(equation.value)]
        assert {part.operator.name for part in parts if isinstance(part, Apply)} <= allowed


def test_edits_drift_to_no_size():
    random = Random(0)
    population = [TREES.random(random) for _ in range(40)]
    for _ in range(900):
        at = random.randrange(len(population))
        one, other = population[at], random.choice(population)
        population[at] = TREES.cross(one, other, random) if random.random() < 0.2 else TREES.mutate(one, random)
    assert 8 < statistics.mean(genome.size for genome in population) < 30


@pytest.mark.parametrize("max_size", [5, 6, 9])
def test_the_tightest_limits_still_leave_rules(max_size):
    trees, random = Trees(max_size=max_size, max_depth=3), Random(0)
    for _ in range(15):
        assert within(trees, trees.mutate(trees.random(random), random))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"max_size": 4}, "max_size must be a whole number >= 5, got 4"),
        ({"max_depth": 2.5}, "max_depth must be a whole number >= 3, got 2.5"),
        ({"max_states": -1}, "max_states must be a whole number >= 0, got -1"),
        ({"max_size": True}, "max_size must be a whole number >= 5, got True"),
        ({"operators": ("+", "-", "*", "sin")}, "got 'sin'"),
        ({"operators": ("+", "-", "*", "normal")}, "got 'normal'"),
        ({"operators": ("+", "sign")}, r"must have \+ - \* among them, got '\+, sign'"),
    ],
)
def test_limits_that_no_rule_fits_in_and_operators_that_are_none_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        Trees(**wrong)


def test_every_operator_of_the_table_that_makes_a_value_of_values_may_be_drawn():
    drawn = {name for name, operator in OPERATORS.items() if not operator.compares and not operator.draws}
    assert set(TREES.operators) == drawn


def test_trees_learn_nothing():
    TREES.learn(KNOWN)
    assert TREES.state() is None
    TREES.restore(None)
    with pytest.raises(ValueError, match="their state must be None, got 3"):
        TREES.restore(3)


def file(*equations: str, **changes: object) -> dict[str, object]:
    return {"equations": list(equations), "init": {}, "first_step": 1, **changes}


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        "w = w - g",
        {},
        file("w = w - g", extra=1),
        file(),
        file("w = w - g", first_step=2),
        file("w = w - g", first_step=True),
        file("w = w - g", first_step=[1]),
        file("w = w - g", init=[]),
        file("w = w - g", init={"m": "0"}),
        file("w = w - m*g", "m = g", init={"m": "__import__('os')"}),
        file("w = w - m*g", "m = g", init={"m": 3}),
        file("w = w - g", equations="w = w - g"),
        file(3),
        file("w = w - g", "w = w"),
        file("w = 3"),
        file("w = w - norm(0.1)"),
        file("w = w - normal(0, 1)"),
        file("w = w - lr_of_mine*g"),
        file("w = __import__('os').system('true')"),
        file("w = (lambda: w)()"),
        file("w = [g for g in w]"),
        file("import os"),
        file("w = w - " + "(" * 200 + "g" + ")" * 200),
        file("w = w - " + "-" * 300 + "g"),
        file("w = w - " + "g + " * 200 + "g"),
        file("w = w - g" * 1_000_000),
        file(*["w = w - g"] * 100_000),
        file("w = w - 0x10*g"),
        file("w = w - 1_0*g"),
        file("ẃ = w - g"),
        file("w = w - g\x00"),
    ],
)
def test_a_file_that_holds_no_genome_is_refused(data):
    with pytest.raises(ValueError, match=r"."):
        TREES.from_json(data)


def test_a_file_may_hold_the_longest_sum_that_a_line_takes():
    genome = TREES.from_json(file("w = w - " + "g + " * 110 + "g"))
    assert genome.size == 223
    assert TREES.rule(TREES.mutate(genome, Random(0))).name == "evolved"


def test_a_rule_whose_line_would_be_too_long_is_refused_with_the_reason():
    sums = " + ".join(f"a{i}*g" for i in range(60))
    rule = Rule("long", f"w = w - ({sums})", **{f"a{i}": 0.123456789 + i for i in range(60)})
    with pytest.raises(Refused, match="allowed: 500 characters a line"):
        TREES.genome_of(rule)
