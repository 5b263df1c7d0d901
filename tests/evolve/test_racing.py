"""Racing eliminates who is worse for certain, and as often as it says where nobody is."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import chi2, friedmanchisquare, ttest_rel

from thalweg.evolve.racing import eliminated

TABLES = arrays(
    np.float64,
    st.tuples(st.integers(2, 6), st.integers(0, 8)),
    elements=st.sampled_from([-math.inf, 0.0, 0.1, 0.2, 0.5, 0.9]),
)


def noise(seed: int, candidates: int, seeds: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(candidates, seeds))


def test_who_is_last_on_every_seed_is_out_and_the_best_two_stay():
    scores = np.array([[0.9, 0.8, 0.7, 0.9], [0.8, 0.9, 0.9, 0.7], [0.3, 0.2, 0.1, 0.3], [0.1, 0.1, 0.0, 0.2]])
    assert eliminated(scores).tolist() == [False, False, True, True]


def test_where_every_seed_ranks_alike_all_but_the_best_are_out():
    scores = np.arange(4.0)[:, None] + np.arange(5.0)
    assert eliminated(scores).tolist() == [True, True, True, False]


@pytest.mark.parametrize("seed", range(20))
def test_nobody_is_out_unless_friedmans_test_is_significant(seed):
    scores = noise(seed, 5, 6) + np.linspace(0, 2, 5)[:, None]
    significant = friedmanchisquare(*scores).pvalue < 0.05
    assert eliminated(scores).any() == significant
    statistic = friedmanchisquare(*scores).statistic
    assert (statistic > chi2.ppf(0.95, 4)) == significant


@pytest.mark.parametrize("seed", range(20))
def test_of_two_a_paired_t_test_decides(seed):
    scores = noise(seed, 2, 5) + np.array([[0.0], [1.0]])
    result = ttest_rel(*scores)
    worse = int(result.statistic > 0)
    expected = [False, False]
    expected[worse] = bool(result.pvalue < 0.05)
    assert eliminated(scores).tolist() == expected


def test_where_nobody_is_better_a_race_eliminates_somebody_as_rarely_as_alpha_says():
    share = np.mean([eliminated(noise(seed, 6, 8)).any() for seed in range(600)])
    assert share < 0.05 + 3 * math.sqrt(0.05 * 0.95 / 600)


def test_who_fails_where_others_do_not_is_worse_and_one_failure_is_not_enough():
    scores = np.array([[0.5] * 6, [-math.inf] * 6])
    assert eliminated(scores).tolist() == [False, True]
    scores[1, 1:] = 0.5
    assert eliminated(scores).tolist() == [False, False]
    assert eliminated(np.full((3, 5), -math.inf)).tolist() == [False] * 3


@given(TABLES)
def test_somebody_is_always_left_and_nobody_is_out_before_three_seeds(scores):
    out = eliminated(scores)
    assert out.shape == (len(scores),)
    assert not out.all()
    if scores.shape[1] < 3:
        assert not out.any()


@given(TABLES, st.permutations(range(6)), st.permutations(range(8)))
def test_neither_the_order_of_contenders_nor_that_of_seeds_matters(scores, rows, columns):
    rows = [row for row in rows if row < scores.shape[0]]
    columns = [column for column in columns if column < scores.shape[1]]
    np.testing.assert_array_equal(eliminated(scores[rows][:, columns]), eliminated(scores)[rows])


@given(TABLES)
def test_of_three_and_more_only_ranks_count(scores):
    if len(scores) > 2:
        np.testing.assert_array_equal(eliminated(np.exp(3 * scores)), eliminated(scores))


def test_what_is_no_table_of_scores_is_refused():
    for scores in (np.zeros(3), np.array([[math.nan, 1.0, 2.0]])):
        with pytest.raises(ValueError, match=r"scores must be of shape \(candidates, seeds\) without NaN"):
            eliminated(scores)
    with pytest.raises(ValueError, match="alpha must be between 0 and 1, got 1"):
        eliminated(np.zeros((3, 3)), alpha=1)
