"""What tuning bought, by full enumeration and by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from thalweg.race.statistics import expected_best, lr_width

DRAWS = [0.5, 0.9, 0.9, 0.1]


def test_the_expected_best_is_the_mean_over_all_ways_to_draw():
    by_hand = [np.mean([max(way) for way in itertools.product(DRAWS, repeat=b)]) for b in range(1, 5)]
    np.testing.assert_allclose(expected_best(DRAWS), by_hand)


def test_with_a_default_that_is_always_tried_first():
    by_hand = [0.6, *(np.mean([max(0.6, *way) for way in itertools.product(DRAWS, repeat=b)]) for b in range(1, 5))]
    np.testing.assert_allclose(expected_best(DRAWS, first=0.6), by_hand)


def test_it_begins_at_the_mean_never_falls_and_never_passes_the_best():
    scores = np.random.default_rng(0).normal(size=25)
    found = expected_best(scores)
    assert found[0] == pytest.approx(scores.mean())
    assert (np.diff(found) > 0).all()
    assert found[-1] < scores.max()


def test_equal_draws_are_worth_no_more_than_one():
    np.testing.assert_allclose(expected_best([0.3] * 5), 0.3)


@pytest.mark.parametrize("bad", [[], [0.1, np.inf], [[0.1]]])
def test_draws_without_a_score_are_refused(bad):
    with pytest.raises(ValueError, match="scores must be finite"):
        expected_best(bad)


def test_the_width_is_where_lines_between_points_cross_99_percent_of_the_best():
    lrs, scores = [1e-1, 1e-4, 1e-2, 1e-3], [0.5, 0.6, 1.0, 1.0]
    found = lr_width(lrs, scores)
    assert found.low == pytest.approx(10 ** (-3 - 0.01 / 0.4))
    assert found.high == pytest.approx(10 ** (-2 + 0.01 / 0.5))
    assert found.decades == pytest.approx(1 + 0.01 / 0.4 + 0.01 / 0.5)
    assert (found.open_low, found.open_high) == (False, False)


def test_a_range_that_reaches_the_last_point_is_open():
    found = lr_width([1e-3, 1e-2, 1e-1], [0.2, 0.9, 0.9])
    assert (found.high, found.open_low, found.open_high) == (pytest.approx(0.1), False, True)
    single = lr_width([0.1], [0.9])
    assert (single.decades, single.open_low, single.open_high) == (0.0, True, True)


def test_a_second_peak_does_not_widen_the_range_of_the_first():
    assert lr_width([1e-4, 1e-3, 1e-2, 1e-1, 1], [0.99, 0.1, 1.0, 0.1, 0.995]).decades < 0.1


def test_one_percent_is_of_the_way_from_the_start():
    losses = dict(lrs=[1e-3, 1e-2, 1e-1], scores=[-0.5, -0.1, -0.5])
    assert lr_width(**losses, start=-2.0).decades == pytest.approx(2 * 0.019 / 0.4)
    with pytest.raises(ValueError, match=r"the best score must be above start, got -0\.1 and 0\.0"):
        lr_width(**losses)


@pytest.mark.parametrize(
    ("lrs", "scores", "message"),
    [
        ([0.1, 0.1], [1, 2], "lrs must be positive and all different"),
        ([0.0, 0.1], [1, 2], "lrs must be positive and all different"),
        ([0.1], [1, 2], "one for each lr"),
        ([0.1], [np.nan], "scores must be finite"),
    ],
)
def test_wrong_scans_are_refused(lrs, scores, message):
    with pytest.raises(ValueError, match=message):
        lr_width(lrs, scores)
