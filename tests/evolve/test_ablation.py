"""Ablations: each is the rule with one part less, a candidate, and different from the others."""

import pytest
from hypothesis import given, settings
from rules.random_rules import PROGRAMS, as_text

from thalweg.evolve.candidate import candidate_of
from thalweg.evolve.judgement.ablation import ablations
from thalweg.evolve.representation import Refused
from thalweg.rules import Rule
from thalweg.rules.gallery import GALLERY


def canonical(text, **hyperparameters):
    return Rule("r", text, **hyperparameters).canonical()


def by_title(rule):
    return {one.title: one.rule.canonical() for one in ablations(rule)}


def test_momentum_without_each_of_its_parts():
    found = by_title(Rule("r", "v = 0.9*v + g\n w = w - lr*v", lr=0.1))
    assert found == {
        "v: without 0.9*v": canonical("w = w - 0.1*g"),
    }  # without g no gradient is left; without the state, too; forgetting is what the first does


def test_ades_without_its_quadratic_terms():
    rule = Rule("r", "y = 0.82*y - 0.089*g - 0.09*square(y) - 0.09*y*g\n w = w + y")
    found = by_title(rule)
    assert found["y: without -0.09*square(y)"] == canonical("y = 0.82*y - 0.089*g - 0.09*y*g\n w = w + y")
    assert found["y: square(y) becomes y"] == canonical("y = 0.73*y - 0.089*g - 0.09*y*g\n w = w + y")
    assert found["y forgets what it held"] == canonical("w = w - 0.089*g")


def test_an_operator_around_a_value_is_taken_away():
    found = by_title(Rule("r", "w = w - lr*sign(g)", lr=0.01))
    assert found == {"w: sign(g) becomes g": canonical("w = w - 0.01*g")}


def test_what_a_state_was_before_its_first_step_is_kept():
    rule = Rule("r", "v = 0.9*v + 0.1*square(g)\n w = w - lr*g/sqrt(v)", init={"v": "start"}, start=1.0, lr=0.1)
    kept = [one.rule for one in ablations(rule) if "v" in one.rule.states]
    assert kept
    assert all(one.canonical().startswith("# s1 begins as 1.0") for one in kept)


@given(PROGRAMS)
@settings(max_examples=25, deadline=None)
def test_each_is_a_candidate_of_its_own(lines):
    rule = Rule("random", as_text(lines))
    found = [one.rule.canonical() for one in ablations(rule)]
    assert len({rule.canonical(), *found}) == len(found) + 1
    for one in ablations(rule):
        assert candidate_of(one.rule)


@pytest.mark.parametrize("entry", GALLERY.values(), ids=lambda entry: entry.rule.name)
def test_those_of_the_gallery_keep_lr_and_clock(entry):
    for one in ablations(entry.rule):
        assert one.rule.first_step == entry.rule.first_step
        assert one.rule.hyperparameters["lr"] in (entry.rule.hyperparameters["lr"], 1.0)


def test_dead_code_has_no_ablations():
    assert by_title(Rule("r", "d = sign(g) + g\n w = w - 0.1*g")) == {}


def test_a_rule_of_which_nothing_can_be_left_out_has_none():
    with pytest.raises(Refused):
        candidate_of(Rule("r", "w = w - 0.1*w"))
    assert ablations(Rule("r", "w = w - 0.1*g")) == []
