"""The readable rule: it behaves as the rule that it was made of, and is written as a person would have written it."""

import pytest
from hypothesis import given, settings
from rules.random_rules import PROGRAMS, as_text

from thalweg.evolve.judgement.expressions import number_text, terms, text_of, total
from thalweg.evolve.judgement.readable import readable
from thalweg.evolve.judgement.simpler import simpler
from thalweg.rules import Rule
from thalweg.rules.gallery import GALLERY
from thalweg.rules.program import Number, Read, apply

SEEDS = (0, 1)


def behaviours(rule, seeds=SEEDS):
    return [rule.behaviour(seed) for seed in seeds]


@pytest.mark.parametrize("entry", GALLERY.values(), ids=lambda entry: entry.rule.name)
def test_every_rule_of_the_gallery_keeps_its_behaviour(entry):
    assert behaviours(readable(entry.rule)) == behaviours(entry.rule)


@given(PROGRAMS)
@settings(max_examples=25, deadline=None)
def test_every_random_rule_keeps_its_behaviour(lines):
    rule = Rule("random", as_text(lines))
    assert behaviours(readable(rule)) == behaviours(rule)


@pytest.mark.parametrize(
    ("text", "wanted", "lr"),
    [
        ("v = 0.9*v + g\n w = w - 0.1*v", "x = 0.9*x + g\nw = w - lr*x", 0.1),
        ("m = 0.9*m + (1 - 0.9)*g\n dead = g*g\n w = w + m*(0 - 0.5)", "x = 0.9*x + 0.1*g\nw = w - lr*x", 0.5),
        ("u = 0.5*(g + g)\n w = w - 0.25*u", "w = w - lr*g", 0.25),
        ("w = w - 0.1*w - 0.2*g", "w = 0.9*w - 0.2*g", 1.0),
        ("w = w - 0.1*g - 0.2*sign(g)", "w = w - 0.1*g - 0.2*sign(g)", 1.0),
        (
            "c = 0.9*m + 0.1*g\n w = w - 0.01*sign(c)\n m = 0.99*m + 0.01*g",
            "w = w - lr*sign(0.1*g + 0.9*x)\nx = 0.99*x + 0.01*g",
            0.01,
        ),
    ],
)
def test_what_a_person_would_write(text, wanted, lr):
    found = readable(Rule("r", text))
    assert found.text == wanted
    assert found.hyperparameters["lr"] == lr


def test_a_sign_that_evolution_built_of_a_safe_division_is_written_as_one():
    # The most frequent instance of AutoLR's Sign: c1*(c2/(g/|g|)), where x over 0 is 0.
    phenotype = Rule(
        "sign", "y = y - (y + g)\n q = safe_div(0.0136636, safe_div(y, sqrt(y*y)))\n w = w - 0.0613374*q*(0 - 1)"
    )
    found = readable(phenotype)
    assert found.text == "w = w - lr*sign(g)"
    assert found.hyperparameters["lr"] == pytest.approx(8.4e-4, rel=0.01)


def test_states_that_wait_for_each_other_s_old_values_are_written_in_an_order_that_works():
    swapped = Rule("swap", "n = y + 0.1*g\n y = x - g\n x = n\n w = w - 0.1*x*y")
    assert behaviours(readable(swapped), (0, 1, 2)) == behaviours(swapped, (0, 1, 2))


def test_numbers_get_the_digits_that_the_behaviour_needs_and_no_more():
    found = readable(Rule("r", "w = w - 0.083333333333333*g"))
    assert len(number_text(found.hyperparameters["lr"])) < 12
    assert found.hyperparameters["lr"] == pytest.approx(1 / 12, rel=1e-4)


def test_a_decay_is_not_rounded_to_one_however_little_a_short_probe_tells_of_it():
    assert "0.99*x" in readable(GALLERY["lion"].rule).text


def test_an_initial_value_and_the_first_step_are_kept():
    rule = Rule("r", "v = 0.5*v + g/(t + 1)\n w = w - v", init={"v": "2"}, first_step=0)
    found = readable(rule, "named")
    assert (found.name, found.first_step) == ("named", 0)
    assert behaviours(found) == behaviours(rule)


def test_where_the_text_would_be_too_long_the_rule_itself_comes_back_under_the_name():
    lines = [f"a{i} = tanh({i / 7} + g*{' * g*'.join(f'tanh(g + {i}.{k})' for k in range(9))})" for i in range(150)]
    text = "\n".join(
        [
            *lines,
            *(f"b{i} = a{2 * i}*a{2 * i + 1}" for i in range(49)),
            "w = w - " + " - ".join(f"b{i}" for i in range(49)),
        ]
    )
    rule = Rule("long", text)
    found = readable(rule, "found")
    assert found.name == "found"
    assert found.text == rule.text


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("sqrt(4*square(g))", "2*abs(g)"),
        ("abs(-3*g)", "3*abs(g)"),
        ("sign(-3*g)", "-sign(g)"),
        ("safe_div(abs(g), g)", "sign(g)"),
        ("safe_div(w, sign(g))", "w*sign(g)"),
        ("w + 0*g", "w"),
        ("1 - 2*(3*g)", "1 - 6*g"),
    ],
)
def test_identities(text, wanted):
    value = Rule("r", f"v = {text}\n w = w - v").program.equations[-2].value
    assert text_of(simpler(value)) == wanted


def test_a_sum_taken_apart_and_put_together_is_the_sum():
    g, w = Read("g"), Read("w")
    node = total([(-0.5, g), (1.0, w), (2.0, Number(1.0))])
    assert text_of(node) == "w - 0.5*g + 2"
    assert terms(node) == [(1.0, w), (-0.5, g), (2.0, Number(1.0))]
    assert terms(apply("negative", node)) == [(-1.0, w), (0.5, g), (-2.0, Number(1.0))]
