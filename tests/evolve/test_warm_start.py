"""Warm starts: the genome by which a grammar says a known rule, and the rules that it cannot say."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from rules.random_rules import PROGRAMS, as_text

from thalweg import Rule
from thalweg.evolve.grammar import grammar_named, read_grammar
from thalweg.evolve.representation import Refused
from thalweg.evolve.sge import GrammaticalEvolution
from thalweg.rules import plain
from thalweg.rules.gallery import GALLERY

PAPER, RICH = GrammaticalEvolution(grammar_named("paper")), GrammaticalEvolution(grammar_named("rich"))
A, B = 0.0892170603, 0.999060945  # constants of the paper's grammar


def trajectory(rule: Rule) -> np.ndarray:
    """The weights after each of thirty plain steps, from random ones, in float64."""
    random = torch.Generator().manual_seed(0)
    w = torch.randn(6, generator=random, dtype=torch.float64)
    scalars = rule.scalars(rule.hyperparameters)
    states: list = [torch.zeros_like(w) if s in rule.program.tensor_states else 0.0 for s in rule.states]
    weights = []
    for t in range(1, 31):
        g = torch.randn(6, generator=random, dtype=torch.float64)
        w, *states = plain.step(rule)(w, g, *states, t=float(t), **scalars, maximize=False, decay=rule.decay)
        weights.append(w.numpy())
    return np.stack(weights)


SAID = {
    "paper": {
        "sgd": {"lr": 0.0105038445}, "heavy_ball": {"lr": 0.0105038445, "momentum": 0.892947854},
        "nesterov": {"lr": 0.0105038445, "momentum": 0.892947854}, "ema_momentum": {"beta": 1 - A, "lr": A},
        "ades": {"betas": (1 - A, B)},
    },
    "rich": {
        "sgd": {"lr": 0.01}, "heavy_ball": {"lr": 0.01}, "nesterov": {"lr": 0.01},
        "ema_momentum": {"lr": 0.1, "beta": 0.9},
        "rmsprop": {"lr": 0.01}, "rmsprop_momentum": {"lr": 0.01, "momentum": 0.9}, "adam": {}, "signum": {},
        "sign": {"lr": 0.001},
    },
}  # fmt: skip


@pytest.mark.parametrize(("grammar", "name"), [(grammar, name) for grammar, rules in SAID.items() for name in rules])
def test_a_genome_of_a_known_rule_does_what_the_rule_does(grammar, name):
    """With constants that the grammar has, the trajectories are one."""
    evolution = {"paper": PAPER, "rich": RICH}[grammar]
    rule = GALLERY[name].rule.replace(**SAID[grammar][name])
    genome = evolution.genome_of(rule)
    assert genome == evolution.from_json(evolution.to_json(genome))
    np.testing.assert_allclose(trajectory(evolution.rule(genome)), trajectory(rule), rtol=1e-6)


def test_constants_are_the_nearest_that_the_grammar_has():
    small = GrammaticalEvolution(
        read_grammar("<a> ::= x = <d>*x + g; w = w - <c>*x\n<c> ::= 0.1 | 0.2\n<d> ::= 0.9 | 0.99")
    )

    def said(lr: float, momentum: float) -> str:
        return small.genome_of(Rule("m", "v = momentum*v + g\nw = w - lr*v", lr=lr, momentum=momentum)).text

    assert said(0.11, 0.9) == "x = 0.9*x + g; w = w - 0.1*x"
    assert said(0.19, 0.989) == "x = 0.99*x + g; w = w - 0.2*x"
    for lr, momentum in ((0.15, 0.9), (0.1, 0.95), (0.1, 0.999), (1.0, 0.9)):  # what a decay lacks to 1 is what counts
        with pytest.raises(Refused, match="trees, the default, can"):
            said(lr, momentum)


def test_a_weight_that_cannot_read_the_gradient_reads_it_from_a_state_that_is_left_over():
    rule = PAPER.rule(PAPER.genome_of(Rule("sgd", "w = w - lr*g", lr=0.1)))
    assert rule == Rule("evolved", "x = g\nw = w - 0.107052146*x")


def test_the_genome_of_ades_in_the_papers_grammar_is_as_it_was_evolved():
    rule = PAPER.rule(PAPER.genome_of(GALLERY["ades"].rule))
    assert rule.canonical() == Rule("ades", f"y = y - {A}*(y + (y + {B})*(y + g))\nw = w + y").canonical()


def test_a_genome_of_reals_chooses_the_same_by_probabilities_that_were_learnt():
    evolution = GrammaticalEvolution(grammar_named("rich"), probabilistic=True, learning_factor=0.3)
    evolution.learn([evolution.genome_of(GALLERY["adam"].rule)])
    genome = evolution.genome_of(GALLERY["rmsprop"].rule)
    assert genome.text == RICH.genome_of(GALLERY["rmsprop"].rule).text
    assert evolution.from_json(evolution.to_json(genome)) == genome


@pytest.mark.parametrize("evolution", [PAPER, RICH], ids=["paper", "rich"])
@pytest.mark.parametrize("name", GALLERY)
def test_every_rule_of_the_gallery_is_said_within_the_limits_or_refused_with_the_reason(evolution, name):
    try:
        genome = evolution.genome_of(GALLERY[name].rule)
    except Refused as refused:
        assert "trees, the default, can" in str(refused)  # noqa: PT017
    else:
        assert genome.depth <= evolution.limits.depth
        assert genome.size <= evolution.limits.size
        assert isinstance(evolution.rule(genome), Rule)


@pytest.mark.parametrize("name", ["gravity", "yogi", "lion", "rprop"])
def test_what_a_grammar_cannot_say_is_refused(name):
    """Random or other beginnings, a weight before the states, conditions."""
    with pytest.raises(Refused, match="trees, the default, can"):
        RICH.genome_of(GALLERY[name].rule)


def test_a_genome_beyond_the_limits_is_refused():
    small = GrammaticalEvolution(grammar_named("rich"), max_size=15)
    assert small.genome_of(GALLERY["sgd"].rule).size <= 15
    with pytest.raises(Refused, match=r"more than 15 expansions; trees, the default, can"):
        small.genome_of(GALLERY["adam"].rule)


@settings(max_examples=60, deadline=None)
@given(PROGRAMS, st.sampled_from([PAPER, RICH]))
def test_any_rule_is_said_or_refused(program, evolution):
    rule = Rule("any", as_text(program))
    try:
        genome = evolution.genome_of(rule)
    except Refused as refused:
        assert str(refused)  # noqa: PT017
    else:
        assert evolution.from_json(evolution.to_json(genome)) == genome


def test_the_search_is_bounded_where_temporaries_double():
    lines = ["a0 = g + g", *(f"a{i} = a{i - 1}*a{i - 1}" for i in range(1, 40)), "w = w - 0.1*a39"]
    with pytest.raises(Refused, match="too long"):
        PAPER.genome_of(Rule("doubling", "\n".join(lines)))
