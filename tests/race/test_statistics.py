"""Tests of paired scores against closed forms and independent implementations."""

import itertools

import numpy as np
import pytest
from scipy.stats import wilcoxon

from thalweg.race.statistics import (
    compare,
    holm,
    mean_interval,
    mean_ranks,
    signed_rank_p,
    smallest_p,
    verdicts_against_best,
)


@pytest.mark.parametrize("seed", range(5))
def test_the_signed_rank_test_is_scipys_exact_one_without_ties(seed):
    differences = np.random.default_rng(seed).normal(0.3, 1, 15)
    assert signed_rank_p(differences) == pytest.approx(wilcoxon(differences, method="exact").pvalue, rel=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_with_ties_it_is_the_count_over_all_signs(seed):
    differences = np.random.default_rng(seed).integers(-3, 5, 9).astype(float)
    nonzero = differences[differences != 0]
    ranks = np.array([np.mean(np.flatnonzero(np.sort(np.abs(nonzero)) == abs(d)) + 1) for d in nonzero])
    observed = min(ranks[nonzero > 0].sum(), ranks[nonzero < 0].sum())
    flips = [
        sum(r for r, s in zip(ranks, signs, strict=True) if s) for signs in itertools.product((0, 1), repeat=len(ranks))
    ]
    expected = min(1.0, 2 * np.mean([total <= observed for total in flips]))
    assert signed_rank_p(differences) == pytest.approx(expected, rel=1e-12)


def test_no_difference_at_all_gives_p_1():
    assert signed_rank_p(np.zeros(15)) == 1.0


@pytest.mark.parametrize("seeds", [1, 5, 6, 15, 200])
def test_the_smallest_p_is_reached_when_all_differences_have_one_sign(seeds):
    assert signed_rank_p(np.arange(1.0, seeds + 1)) == pytest.approx(smallest_p(seeds, 1))


def test_five_seeds_can_never_reach_a_verdict_but_six_can():
    assert smallest_p(5, 1) == 0.0625
    assert smallest_p(6, 1) < 0.05


def test_holm_on_a_worked_example():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


def test_rounding_noise_does_not_break_ties():
    a, b = np.array([0.9667, 1.0, 0.9334]), np.array([0.9334, 0.9667, 0.9001])
    (comparison,) = compare([(a, b)])
    assert comparison.p == 0.25  # three equal differences


def test_a_large_p_is_undecided_and_never_equal():
    scores = np.linspace(0.9, 1, 15)
    (same,) = compare([(scores, scores)])
    assert (same.verdict, same.difference, same.low, same.high) == ("undecided", 0.0, 0.0, 0.0)


def test_a_clear_difference_is_better_one_way_and_worse_the_other():
    a = np.linspace(0.9, 1, 15)
    b = a - np.linspace(0.01, 0.02, 15)
    better, worse = compare([(a, b), (b, a)])
    assert (better.verdict, worse.verdict) == ("better", "worse")
    assert better.difference == pytest.approx(0.015)
    assert better.low < better.difference < better.high


def test_the_interval_covers_the_mean_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    intervals = [mean_interval(rng.normal(0.2, 1, 20)) for _ in range(100)]
    assert 86 <= sum(low < 0.2 < high for low, high in intervals) <= 99


def test_one_odd_seed_has_a_finite_interval():
    low, high = mean_interval(np.array([0.0] * 14 + [0.03]))
    assert 0 <= low <= 0.002 <= high


def test_verdicts_are_against_the_highest_mean_which_equals_share():
    base = np.linspace(0.8, 0.9, 15)
    scores = {
        "low": base - np.linspace(0.1, 0.2, 15),
        "top": base,
        "same": base[::-1],
        "near": base - 1e-3 * (base > 0.88),
    }
    assert verdicts_against_best(scores) == {"low": "worse", "top": "best", "same": "best", "near": "undecided"}


def test_ranks_are_averaged_over_tasks_and_shared_by_equals():
    ranks = mean_ranks([{"a": 0.9, "b": 0.8, "c": 0.8}, {"a": 0.1, "b": 0.3, "c": 0.2}])
    assert ranks == {"a": 2.0, "b": 1.75, "c": 2.25}
