"""Verdicts: each word by constructed numbers, and nothing that flatters."""

import math

import pytest

from thalweg.reproduce import Claim, Measured
from thalweg.reproduce.claims import claims_of
from thalweg.reproduce.verdicts import (
    OPPOSITE,
    OTHERWISE,
    SAME,
    TOLERANCES,
    UNCLEAR,
    WORDS,
    allowance,
    direction,
    verdict,
    verdicts,
)

QUANTITIES = sorted({claim.quantity for claim in claims_of("adaswarm")} | {"another"})


def claim(value, quantity="accuracy", column="adaswarm", note="", printed=""):
    return Claim("IV", "iris", column, quantity, value, note, printed)


def measured(*protocol, quantity="accuracy", column="adaswarm", **more):
    return Measured("IV", "iris", column, quantity, protocol, **more)


def word(value, *protocol, quantity="accuracy", partner=None, printed="", **more):
    """The verdict's word; `partner` is the other column's claim and its numbers."""
    beside = None
    if partner is not None:
        theirs, *numbers = partner
        beside = claim(theirs, quantity, "adam"), measured(*numbers, quantity=quantity, column="adam")
    return verdict(claim(value, quantity, printed=printed), measured(*protocol, quantity=quantity, **more), beside).word


def test_each_word_is_reached():
    clear = (90.0, 80.0, 80.1, 79.9)
    found = {
        word(95.0, 95.5),
        word(95.0, 85.0, 85.2, 84.9, partner=clear),
        word(95.0, 85.0),
        word(95.0, 85.0, missing="batch size"),
        word(95.0),
    }
    assert found == set(WORDS)


@pytest.mark.parametrize("quantity", QUANTITIES)
@pytest.mark.parametrize("value", [0.0, 0.3, -50.0, 1180.0])
def test_a_number_within_the_allowance_is_reproduced_and_one_beyond_it_is_not(quantity, value):
    absolute, share = TOLERANCES.get(quantity, OTHERWISE)
    edge = max(absolute, share * abs(value))
    for side in (-1, 1):
        beyond = side * (edge + 1e-3 + 1e-3 * edge)
        kept = (quantity == "at_most" and side < 0) or (quantity == "at_least" and side > 0)
        assert word(value, value + side * edge, quantity=quantity) == "reproduced"
        assert word(value, value + beyond, quantity=quantity) == ("reproduced" if kept else "not reproduced")


def test_half_a_unit_of_the_last_printed_place_is_granted_but_no_more_than_a_little():
    assert allowance(claim(0.03, "value", printed="0.03")) == pytest.approx(0.0003 + 0.005)
    assert allowance(claim(0.0126662, "value", printed="0.0126662")) == pytest.approx(0.000126662, rel=1e-3)
    assert allowance(claim(3.0, "value", printed="3")) == pytest.approx(0.03 + 0.005)
    assert allowance(claim(2e-8, "value", printed="2e-8")) == pytest.approx(0.0001, rel=1e-3)


def test_noise_at_most_doubles_the_allowance():
    # mean 93.5, standard deviation 1: 1.5 off, within 1 + 1
    assert word(95.0, 92.5, 93.5, 94.5) == "reproduced"
    # the same mean and no spread: off by more than 1
    assert word(95.0, 93.5, 93.5, 93.5) == "not reproduced"
    # mean 80, standard deviation 20: the claim lies within one of them, and yet
    assert word(95.0, 60.0, 80.0, 100.0) == "not reproduced"


@pytest.mark.parametrize("lost", [math.inf, -math.inf, math.nan])
def test_what_diverged_on_any_seed_reproduces_nothing(lost):
    assert word(0.2, 0.2, 0.2, lost, quantity="loss") == "not reproduced"
    assert word(0.2, 0.2, 0.2, lost, quantity="loss", partner=(0.3, 9.0, 9.0, 9.0)) == "not reproduced"
    assert word(0.2, lost, quantity="loss", missing="the start") == "under-specified"


def test_a_claimed_infinity_is_reproduced_by_infinities_alone():
    assert word(math.inf, math.inf, math.inf, quantity="gradient") == "reproduced"
    assert word(math.inf, math.inf, 3.0, quantity="gradient") == "not reproduced"
    assert word(math.inf, 1e300, quantity="gradient") == "not reproduced"


def test_a_direction_takes_a_clear_paired_difference_of_the_claimed_sign():
    ours, other = claim(95.0), claim(90.0, column="adam")
    base = (80.0, 70.0, 60.0, 75.0)  # seeds differ by far more than methods do
    up = tuple(number + step for number, step in zip(base, (1.0, 1.2, 0.8, 1.0), strict=True))
    assert direction(ours, up, other, base) == SAME
    assert direction(ours, base, other, up) == OPPOSITE
    assert direction(ours, up, other, tuple(reversed(base))) == UNCLEAR
    assert direction(ours, base, other, base) == UNCLEAR
    assert direction(ours, up, claim(95.0, column="adam"), base) == ""
    assert direction(ours, (), other, base) == ""


def test_a_direction_takes_students_quantile_and_as_many_seeds_of_both():
    ours, other = claim(95.0), claim(90.0, column="adam")
    # three differences of mean 1, standard error 0.4: 2.5 errors from 0, where Student's t has 4.3
    spread = 0.4 * math.sqrt(3)
    assert direction(ours, (1 - spread, 1.0, 1 + spread), other, (0.0, 0.0, 0.0)) == UNCLEAR
    # 0.2: 5 errors
    assert direction(ours, (1 - spread / 2, 1.0, 1 + spread / 2), other, (0.0, 0.0, 0.0)) == SAME
    assert direction(ours, (1.0, 1.0), other, (0.0, 0.0)) == UNCLEAR
    assert direction(ours, (1.0, 1.0, 1.0, 1.0), other, (0.0, 0.0, 0.0)) == UNCLEAR
    # a difference that does not vary is clear, but for what rounding leaves
    assert direction(ours, (1.0, 1.0, 1.0), other, (0.0, 0.0, 0.0)) == SAME
    assert direction(ours, (0.3, 0.3, 0.3), other, (0.1 + 0.2, 0.1 + 0.2, 0.1 + 0.2)) == UNCLEAR


def test_the_near_number_counts_more_than_its_direction():
    # reproduced, although ours is below its partner and the claim above
    assert word(95.0, 95.0, 95.1, 94.9, partner=(90.0, 99.0, 99.1, 98.9)) == "reproduced"


def test_what_points_the_other_way_is_said():
    other = claim(90.0, column="adam_best"), measured(88.0, 88.1, 87.9, column="adam_best")
    found = verdict(claim(95.0), measured(80.0, 80.1, 79.9, missing="batch size"), other)
    assert found.word == "under-specified"
    assert found.why == "batch size; clearly the other way round against adam-best"
    found = verdict(claim(95.0), measured(80.0, 80.1, 79.9), other)
    assert (found.word, found.why) == ("not reproduced", "clearly the other way round against adam-best")


def test_what_is_no_result_and_what_was_not_measured():
    assert verdict(claim(None, note="NA"), measured(95.0), None).why == "NA"
    assert (
        verdict(claim(40.0, "iterations", note="fixed beforehand, one for both"), measured(40.0), None).word
        == "not run"
    )
    assert verdict(claim(95.0), None, None).word == "not run"
    assert verdict(claim(95.0), measured(missing="the data are absent"), None).why == "the data are absent"
    assert verdict(claim(95.0), measured(fair=(95.0,)), None).word == "not run"


def test_partners_are_of_the_same_row_and_quantity():
    claims = (claim(95.0), claim(90.0, column="adam"), claim(0.1, "loss"), claim(0.2, "loss", "adam"))
    numbers = {
        one.cell: Measured(*one.cell, protocol)
        for one, protocol in zip(
            claims, [(85.0, 85.1, 84.9), (80.0, 80.1, 79.9), (0.9, 0.91, 0.89), (0.5, 0.51, 0.49)], strict=True
        )
    }
    found = [one.word for one in verdicts(claims, numbers, {"adaswarm": "adam"}).values()]
    assert found == ["direction only", "not reproduced", "not reproduced", "not reproduced"]
    assert [one.word for one in verdicts(claims, numbers, {}).values()] == ["not reproduced"] * 4
