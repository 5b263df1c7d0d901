"""Trees: what drawing, constants, edits, crossing and warm starts do."""

from __future__ import annotations

import math
import re
import statistics
from random import Random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from rules.random_rules import PROGRAMS, as_text

from thalweg import Rule
from thalweg.evolve.tree_constants import varied, varied_odds
from thalweg.evolve.tree_crossing import crossed
from thalweg.evolve.tree_edits import EDITS, insert_state, jitter, remove_state
from thalweg.evolve.tree_form import Tree, tidy
from thalweg.evolve.trees import Trees
from thalweg.rules import plain
from thalweg.rules.gallery import GALLERY

TREES = Trees()
CONSTANTS = Trees(constants_only=True)
SEEDS = st.integers(0, 2**32 - 1)


def tree(*equations: str) -> Tree:
    return TREES.from_json({"equations": list(equations), "init": {}, "first_step": 1})


def lines(genome: Tree | None) -> list[str]:
    assert genome is not None
    return genome.text.split("\n")


def same(rule: Rule, other: Rule) -> bool:
    return all(rule.behaviour(seed) == other.behaviour(seed) for seed in (0, 1))


# Drawing.


def quotient_of_losses(rule: Rule, steps: int = 80) -> float:
    """The loss after training over that before, of a quadratic of curvatures from 1 to 1/100 with noisy gradients."""
    generator = torch.Generator().manual_seed(0)
    curvature = torch.logspace(0, -2, 32, dtype=torch.float64)
    start = torch.randn(32, generator=generator, dtype=torch.float64)
    noise = 0.1 * curvature.sqrt() * torch.randn(steps, 32, generator=generator, dtype=torch.float64)
    scalars, step = rule.scalars(rule.hyperparameters), plain.step(rule)
    w, states = start, [torch.zeros_like(start) if s in rule.program.tensor_states else 0.0 for s in rule.states]
    for i in range(steps):
        g, t = curvature * w + noise[i], float(rule.first_step + i)
        w, *states = step(w, g, *states, t=t, **scalars, maximize=False, decay="coupled")
    return float((curvature * w * w).sum() / (curvature * start * start).sum())


def test_of_random_genomes_a_third_descend_a_noisy_quadratic_and_few_are_gradient_descent():
    random = Random(3)
    genomes = [TREES.random(random) for _ in range(120)]
    ratios = [quotient_of_losses(TREES.rule(genome)) for genome in genomes]
    assert sum(ratio < 0.999 for ratio in ratios) > 120 / 3
    assert sum(ratio < 0.1 for ratio in ratios) > 120 / 20
    assert sum(bool(re.fullmatch(r"w = w - \S+\*g", genome.text)) for genome in genomes) < 120 / 10
    assert len({TREES.rule(genome).canonical() for genome in genomes}) > 114


# Warm starts.


@pytest.mark.parametrize("name", GALLERY)
def test_a_known_rule_as_a_tree_does_what_it_does(name):
    rule = GALLERY[name].rule
    assert same(TREES.rule(TREES.genome_of(rule)), rule)


@pytest.mark.parametrize(
    "rule",
    [
        Rule("coupled", "w = w - lr*g/(abs(g) + 1)", lr=0.1, weight_decay=0.1),
        Rule("coupled once", "w = w - lr*g", lr=0.1, weight_decay=0.1),
        Rule("decoupled", "w = w - lr*(g + 0.1*w)", decay="decoupled", lr=0.1, weight_decay=0.2),
        Rule("w again", "w = w - lr*g*v\n v = w", decay="decoupled", lr=0.1, weight_decay=0.2),
        Rule("taken", "decayed = g + g\n w = w - lr*decayed", lr=0.1, weight_decay=0.1),
        Rule(
            "drawn", "w = w - lr*v\n v = a*v + u\n u = u + g", init={"u": "normal(0, a)", "v": "normal(1, lr)"}, a=0.5
        ),
        Rule("of w", "w = w - v*g\n v = 0.5*v", init={"v": "a*w"}, first_step=0, a=0.25),
        Rule("dead", "a = a + g\n b = c*w\n w = w - lr*g", c=0.5, lr=0.1),
        Rule("whole", "w = w - b*(a*(1*g + 0)) - (0*t)*g", a=3, b=0.01),
    ],
    ids=lambda rule: rule.name,
)
def test_decay_initial_values_and_dead_code_are_read_for_what_they_do(rule):
    assert same(TREES.rule(TREES.genome_of(rule)), rule)


@given(PROGRAMS)
@settings(max_examples=50, deadline=None)
def test_any_rule_as_a_tree_does_what_it_does(program):
    rule = Rule("drawn", as_text(program))
    assert same(TREES.rule(TREES.genome_of(rule)), rule)


def test_what_follows_from_hyperparameters_is_one_constant():
    assert lines(TREES.genome_of(GALLERY["ades_heavy_ball"].rule)) == [
        "y = 0.821649574857*y - 0.0891333251431*g",
        "w = w + y",
    ]
    assert lines(TREES.genome_of(GALLERY["adamw"].rule)) == [
        "m = 0.9*m + 0.1*g",
        "v = 0.999*v + 0.001*square(g)",
        "m_hat = m/(1 - 0.9**t)",
        "v_hat = v/(1 - 0.999**t)",
        "w = w*0.99999 - 0.001*m_hat/(sqrt(v_hat) + 1e-08)",
    ]


def test_a_random_initial_value_is_kept():
    genome = TREES.genome_of(GALLERY["gravity"].rule)
    assert TREES.to_json(genome)["init"] == {"v": "normal(0, 0.1)"}
    assert TREES.rule(genome).first_step == 0


# Constants.


def test_a_small_constant_is_varied_by_powers_of_two_that_are_normal():
    random = Random(0)
    powers = [math.log2(varied(0.01, random) / 0.01) for _ in range(4000)]
    assert statistics.mean(powers) == pytest.approx(0, abs=0.06)
    assert statistics.stdev(powers) == pytest.approx(1, rel=0.05)


def test_a_decay_is_mostly_varied_in_what_it_forgets_and_stays_a_decay():
    random = Random(0)
    assert sum(0.9 < varied(0.999, random) < 1 for _ in range(4000)) > 0.75 * 4000
    forgotten = [math.log2((1 - varied_odds(0.999, random)) / 0.001) for _ in range(4000)]
    assert statistics.mean(forgotten) == pytest.approx(0, abs=0.06)
    assert statistics.stdev(forgotten) == pytest.approx(1, rel=0.05)


def test_a_negative_constant_stays_negative_and_none_becomes_zero_or_infinite():
    random = Random(0)
    value, least, most = -0.5, 1.0, 0.0
    for _ in range(4000):
        value = varied(value, random)
        least, most = min(least, abs(value)), max(most, abs(value))
        assert value < 0
    assert least >= 1e-10
    assert most <= 1e6


def blanked(genome: Tree) -> str:
    """The text without its constants that are not whole: those are what `constants_only` varies."""
    return re.sub(r"(?<![\w.])\d+(?:\.\d+)?(?:e[-+]?\d+)?", lambda m: m[0] if m[0].isdigit() else "#", genome.text)


@given(SEEDS)
@settings(max_examples=25, deadline=None)
def test_constants_only_keeps_all_but_the_constants(seed):
    random = Random(seed)
    genome = random.choice([CONSTANTS.random(random), CONSTANTS.genome_of(random.choice([*GALLERY.values()]).rule)])
    cousin = CONSTANTS.mutate(genome, random)
    for _ in range(10):
        child = CONSTANTS.mutate(genome, random)
        both = CONSTANTS.cross(child, cousin, random)
        assert blanked(child) == blanked(both) == blanked(genome)
        assert child.text != genome.text or "#" not in blanked(genome)
        genome = child


def test_constants_only_leaves_a_rule_without_constants_as_it_is():
    genome = tree("w = w - sign(g)")
    assert CONSTANTS.mutate(genome, Random(0)) == genome
    assert CONSTANTS.cross(genome, tree("w = w - 0.5*g"), Random(0)) == genome


def test_a_decay_and_what_it_leaves_are_varied_as_one_constant_wherever_they_stand():
    genome, tied = tree("m = 0.9*m + 0.1*g", "w = w - 0.02*(m/(1 - 0.9**t))"), 0
    random = Random(0)
    for _ in range(400):
        child = jitter(genome, TREES.words, random)
        if child is None:
            continue
        kept, share, _, base = map(float, re.findall(r"\d\.\d+", child.text.replace("(1 -", "(")))
        tied += kept == base and kept + share == pytest.approx(1)
    assert tied > 0.85 * 400


# Edits.


@given(SEEDS, st.sampled_from([*EDITS]))
@settings(max_examples=100, deadline=None)
def test_the_weight_stays_the_first_term_of_its_own_sum(seed, edit):
    random = Random(seed)
    genome = TREES.random(random)
    child = edit(genome, TREES.words, random)
    if child is not None:
        weight = next(line for line in lines(child) if line.startswith("w = "))
        assert re.match(r"w = (0\.\d+\*)?w [-+] ", weight)


def test_a_new_state_stands_where_what_it_follows_stood():
    genome = tree("w = w - 0.1*sign(g)")
    for seed in range(60):
        *states, last = lines(tidy(insert_state(genome, TREES.words, Random(seed))))
        if last == "w = w - 0.1*sign(m)":
            break
    else:
        pytest.fail("the gradient itself was never followed")
    assert re.fullmatch(r"m = (maximum\()?([\d.]+\*)?m(,| \+) ([\d.e-]+\*)?g\)?", states[0])


def test_a_state_that_is_removed_leaves_what_it_followed():
    genome = tree("m = 0.9*m + 0.1*sign(g)", "w = w - 0.1*tanh(m)")
    assert lines(remove_state(genome, TREES.words, Random(0))) == ["w = w - 0.1*tanh(sign(g))"]


# Crossing.


def children(one: Tree, other: Tree) -> list[Tree]:
    born = [crossed(one, other, Random(seed)) for seed in range(300)]
    return [tidy(child) for child in born if child is not None]


def test_a_subtree_brings_the_states_that_it_reads():
    bare, momentum = tree("w = w - g"), tree("v = 0.9*v + square(g)", "w = w - 0.1*v")
    grafted = [lines(child) for child in children(bare, momentum)]
    assert ["v = 0.9*v + square(g)", "w = w - 0.1*v"] in grafted
    assert ["v = 0.9*v + square(g)", "w = w - v"] in grafted
    assert all("v = 0.9*v + square(g)" in child for child in grafted if any("v" in line for line in child))


def test_a_state_whose_name_is_taken_comes_under_another_and_one_that_is_there_comes_not_at_all():
    one = tree("v = 0.5*v + g", "w = w - 0.1*v")
    grafted = [lines(child) for child in children(one, tree("v = 0.9*v + square(g)", "w = w - sqrt(v)"))]
    assert ["v = 0.5*v + g", "m = 0.9*m + square(g)", "w = w - 0.1*sqrt(m)"] not in grafted  # v is dead there
    assert ["m = 0.9*m + square(g)", "w = w - 0.1*sqrt(m)"] in grafted
    alike = [lines(child) for child in children(one, tree("v = 0.5*v + g", "w = w - tanh(v)"))]
    assert ["v = 0.5*v + g", "w = w - 0.1*tanh(v)"] in alike
    assert all(len(child) <= 2 for child in alike)


@pytest.mark.parametrize("name", ["lion", "nesterov", "rprop", "ades_heavy_ball", "amsgrad"])
def test_the_whole_step_of_another_rule_on_a_bare_weight_is_that_rule(name):
    other = TREES.genome_of(GALLERY[name].rule)
    weight = other.equations[other.of_w].value
    bare = tree(f"w = w {weight.operator.name} g")
    grafted = {TREES.rule(child) for child in children(bare, other) if child.equations[child.of_w].value == weight}
    assert any(same(rule, TREES.rule(other)) for rule in grafted)
