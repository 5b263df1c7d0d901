"""Sizes of effects by brute force, what pairing saved, and how much lies between tunings."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy.stats import f_oneway, ttest_1samp

from thalweg.race.statistics import cliffs_delta, hedges_g, pairing, seed_correlation, superiority, tuning_noise

RNG = np.random.default_rng(0)
TIED = RNG.integers(0, 6, (2, 11)) / 30


def test_cliffs_delta_counts_all_pairs_of_runs():
    a, b = TIED
    wins = sum(int(x > y) - int(x < y) for x, y in itertools.product(a, b))
    assert cliffs_delta(a, b) == pytest.approx(wins / 121, rel=1e-12)
    assert cliffs_delta(b, a) == -cliffs_delta(a, b)
    assert (cliffs_delta(a + 1, b), cliffs_delta(a, a)) == (1.0, 0.0)


def test_p_of_better_counts_ties_half_and_only_runs_of_one_seed():
    assert superiority([0.9, 0.8, 0.7, 0.6], [0.8, 0.8, 0.8, 0.8]) == (1 + 0.5) / 4
    assert superiority([2, 4, 6], [1, 3, 5]) == 1.0
    assert cliffs_delta([2, 4, 6], [1, 3, 5]) < 1.0


def test_hedges_g_is_the_difference_in_deviations_of_a_run():
    a, b = np.array([1.0, 2.0, 3.0, 4.0]), np.array([2.0, 1.0, 4.0, 3.0]) - 2
    assert hedges_g(a, b) == pytest.approx(2 / math.sqrt(5 / 3) * (1 - 3 / 11))
    assert hedges_g(1000 * a, 1000 * b) == pytest.approx(hedges_g(a, b))


def test_effects_of_scores_that_never_vary():
    same, other = np.full(6, 0.7), np.full(6, 0.9)
    assert (hedges_g(same, same), hedges_g(other, same), hedges_g(same, other)) == (0.0, math.inf, -math.inf)
    assert math.isnan(seed_correlation(same, other))
    assert math.isnan(hedges_g([1.0], [0.0]))
    assert math.isnan(seed_correlation([0.1, 0.2], [0.3, 0.1]))  # two points always lie on a line


def test_equal_methods_correlate_perfectly_and_opposite_ones_not_at_all():
    a = RNG.normal(size=9)
    assert seed_correlation(a, 2 * a + 1) == pytest.approx(1)
    assert seed_correlation(a, -a) == pytest.approx(-1)


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.9])
def test_pairing_saves_one_over_one_minus_rho(rho):
    noise = np.random.default_rng(1).normal(size=(40, 6))
    shared, *own = np.linalg.qr(noise - noise.mean(axis=0))[
        0
    ].T  # of equal variance, and uncorrelated to the last digit
    found = pairing([math.sqrt(rho) * shared + math.sqrt(1 - rho) * alone for alone in own])
    assert found.correlation == pytest.approx(rho, abs=1e-12)
    assert found.saved == pytest.approx(1 / (1 - rho))
    assert found.correlation_low < found.correlation < found.correlation_high
    assert found.saved_low < found.saved < found.saved_high


def test_for_two_methods_it_is_the_ratio_of_the_variances_of_differences():
    a, b = np.random.default_rng(1).normal(size=(2, 12)) * [[1.0], [3.0]] + np.random.default_rng(2).normal(size=12)
    found = pairing([a, b])
    assert found.saved == pytest.approx((a.var() + b.var()) / (a - b).var())
    assert found.correlation == pytest.approx(seed_correlation(a, b))


def test_over_many_methods_correlations_and_shares_are_averaged():
    scores = np.random.default_rng(3).normal(size=(4, 10)) * np.arange(1, 5)[:, None]
    pairs = list(itertools.combinations(scores, 2))
    found = pairing(scores)
    assert found.correlation == pytest.approx(np.mean([seed_correlation(a, b) for a, b in pairs]))
    assert 1 / found.saved == pytest.approx(np.mean([(a - b).var() / (a.var() + b.var()) for a, b in pairs]))


def test_the_intervals_of_pairing_cover():
    rng = np.random.default_rng(0)
    found = [pairing(math.sqrt(0.5) * (rng.normal(size=15) + rng.normal(size=(2, 15)))) for _ in range(60)]
    assert sum(p.correlation_low <= 0.5 <= p.correlation_high for p in found) >= 52
    assert sum(p.saved_low <= 2 <= p.saved_high for p in found) >= 52


def test_pairing_where_methods_do_not_vary():
    varied = np.linspace(0, 1, 8)
    one = pairing([varied, np.full(8, 0.3)])
    assert (one.correlation, one.saved, one.saved_low, one.saved_high) == (0.0, 1.0, 1.0, 1.0)
    none = pairing(np.full((3, 8), 0.3))
    assert (none.correlation, none.saved) == (0.0, 1.0)
    same = pairing([varied, varied + 0.1])
    assert same.correlation == pytest.approx(1)
    assert same.saved > 1e9


def test_below_six_seeds_pairing_has_no_interval():
    found = pairing(np.random.default_rng(0).normal(size=(3, 5)))
    assert (found.correlation_low, found.correlation_high, found.saved_low, found.saved_high) == (-1, 1, 0, math.inf)


def test_pairing_needs_two_methods():
    with pytest.raises(ValueError, match="2 methods or more"):
        pairing([[0.1, 0.2]])


def test_tuning_noise_is_the_one_way_analysis_of_variance():
    studies = np.arange(15) % 3
    values = np.random.default_rng(0).normal(size=15) + 2.0 * studies
    found = tuning_noise(values, studies)
    parts = [values[studies == s] for s in range(3)]
    assert found.p == pytest.approx(f_oneway(*parts).pvalue)
    within = np.mean([part.var(ddof=1) for part in parts])
    between = np.var([part.mean() for part in parts], ddof=1) - within / 5
    assert found.share == pytest.approx(between / (between + within))
    expected = ttest_1samp([part.mean() for part in parts], 0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_tuning_noise_where_nothing_varies_or_nothing_can_be_told():
    studies = np.arange(6) % 3
    assert tuning_noise(np.full(6, 0.1), studies).share == 0.0
    assert (tuning_noise(studies / 10, studies).share, tuning_noise(studies / 10, studies).p) == (1.0, 0.0)
    one = tuning_noise([0.1, 0.3], [0, 0])
    assert math.isnan(one.share)
    assert (one.low, one.high) == (-math.inf, math.inf)
    assert math.isnan(tuning_noise([0.1, 0.3, 0.2], [0, 1, 2]).share)
    with pytest.raises(ValueError, match="one shape"):
        tuning_noise([0.1, 0.2], [0, 0, 0])
