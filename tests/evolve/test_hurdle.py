"""Hurdles follow the scores that they see, and a control stream tells what they lose."""

from __future__ import annotations

import json
import math
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta

from thalweg.evolve.hurdle import Control, RollingHurdle, chance_level, false_rejects
from thalweg.tasks.bundled import diabetes, digits

SCORES = st.lists(st.floats(-5, 5).map(lambda x: round(x, 1)), max_size=60)


def test_a_hurdle_is_the_quantile_of_distinct_scores():
    hurdle = RollingHurdle(0.75, least=1)
    hurdle.see([0.0, 0.1, 0.2, 0.3, 0.4, 0.4, 0.4, 0.4])
    assert hurdle.threshold == pytest.approx(0.3)
    assert hurdle.passes([0.29, 0.31, 0.3, -math.inf, math.nan, math.inf]).tolist() == [False, True, True] + [False] * 3


def test_of_many_different_scores_a_quantile_does_not_pass():
    hurdle = RollingHurdle(0.75)
    scores = np.random.default_rng(0).permutation(np.linspace(0, 1, 1000))
    hurdle.see(scores)
    assert hurdle.passes(scores).mean() == pytest.approx(0.25, abs=0.002)


def test_only_the_latest_distinct_scores_count():
    hurdle = RollingHurdle(1.0, window=3, least=1)
    hurdle.see([9.0, 1.0, 2.0, 3.0])
    assert hurdle.threshold == 3.0
    hurdle.see([1.0, 4.0])  # 1 is the latest but one now, and 2 makes room
    assert hurdle.state() == [3.0, 1.0, 4.0]


def test_a_floor_decides_alone_until_enough_was_seen_and_holds_ever_after():
    hurdle = RollingHurdle(0.5, floor=0.15, least=3)
    hurdle.see([0.5, 0.7])
    assert hurdle.threshold == 0.15
    hurdle.see([0.9])
    assert hurdle.threshold == 0.7
    low = RollingHurdle(0.5, floor=0.15, least=3)
    low.see([0.0, 0.1, 0.12, 0.2])
    assert low.threshold == 0.15
    assert RollingHurdle(0.5).passes([-1e9, -math.inf]).tolist() == [True, False]


@given(SCORES, SCORES)
def test_a_restored_hurdle_goes_on_as_it_would_have(before, after):
    whole, restored = RollingHurdle(0.6, window=20, least=5), RollingHurdle(0.6, window=20, least=5)
    whole.see(before)
    restored.restore(json.loads(json.dumps(whole.state())))
    for hurdle in (whole, restored):
        hurdle.see(after)
    assert whole.state() == restored.state()
    assert whole.threshold == restored.threshold


@given(SCORES, st.integers(1, 5))
def test_clones_of_the_latest_score_do_not_move_a_hurdle(scores, times):
    hurdle = RollingHurdle(0.6, least=1)
    hurdle.see(scores)
    before = hurdle.threshold
    hurdle.see(scores[-1:] * times)
    assert hurdle.threshold == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"quantile": 1.5}, "quantile must be from 0 to 1, got 1.5"),
        ({"quantile": 0.5, "window": 5}, "window must be at least 20"),
        ({"quantile": 0.5, "floor": math.nan}, "floor must be a number, got nan"),
        ({"quantile": 0.5, "least": 0}, "least must be at least 1, got 0"),
    ],
)
def test_arguments_out_of_bounds_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        RollingHurdle(**arguments)


@pytest.mark.parametrize("state", [None, {}, ["0.5"], [math.nan], [True]])
def test_a_state_that_is_none_is_refused(state):
    with pytest.raises(ValueError, match="state must be a list of finite numbers"):
        RollingHurdle(0.5).restore(state)


# The control stream


def test_the_control_stream_is_drawn_from_what_it_is_given_at_its_share():
    picks = [Control(0.02).pick(20_000, Random(seed)) for seed in (1, 1, 2)]
    np.testing.assert_array_equal(picks[0], picks[1])
    assert (picks[0] != picks[2]).any()
    assert picks[0].mean() == pytest.approx(0.02, abs=0.004)


def test_false_rejects_are_of_the_viable_alone():
    control = Control(0.02)
    control.see(stopped=[True, True, False, False], viable=[True, False, True, True])
    control.see(stopped=[True], viable=[False])
    found = control.false_rejects()
    assert (found.lost, found.viable, found.rate) == (1, 3, pytest.approx(1 / 3))
    other = Control(0.02)
    other.restore(json.loads(json.dumps(control.state())))
    assert other.false_rejects() == found


@pytest.mark.parametrize(("lost", "viable"), [(0, 100), (3, 500), (5, 5)])
def test_the_interval_is_that_of_clopper_and_pearson(lost, viable):
    found = false_rejects(lost, viable)
    low = beta.ppf(0.025, lost, viable - lost + 1) if lost else 0.0
    high = beta.ppf(0.975, lost + 1, viable - lost) if lost < viable else 1.0
    assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))


def test_of_no_viable_candidate_nothing_is_known():
    found = false_rejects(0, 0)
    assert math.isnan(found.rate)
    assert (found.low, found.high) == (0.0, 1.0)


def test_a_control_stream_refuses_what_it_cannot_be():
    with pytest.raises(ValueError, match="share must be from 0 to 1, got 2"):
        Control(2)
    with pytest.raises(ValueError, match="of one length, got 2 and 1"):
        Control(0.1).see([True, False], [True])
    for state in ([3, 2], [1], None, [0.5, 1]):
        with pytest.raises(ValueError, match="state must be the lost and the viable"):
            Control(0.1).restore(state)


def test_chance_is_the_share_of_the_most_frequent_class_and_no_explained_variance():
    chance = chance_level(digits())
    assert chance == pytest.approx(0.1, abs=0.02)
    assert chance_level(diabetes()) == pytest.approx(0.0, abs=0.02)
