"""Tests of paired differences against full enumeration and independent implementations."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.stats import permutation_test, wilcoxon

from thalweg.race.statistics import (
    holm,
    paired_differences,
    sign_flip_p,
    signed_rank_p,
    smallest_n,
    smallest_p,
)


@pytest.mark.parametrize("seed", range(5))
def test_the_signed_rank_test_is_scipys_exact_one_without_ties(seed):
    differences = np.random.default_rng(seed).normal(0.3, 1, (4, 15))
    expected = wilcoxon(differences, method="exact", axis=1).pvalue
    np.testing.assert_allclose(signed_rank_p(differences), expected, rtol=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_with_ties_and_zeros_it_is_the_count_over_all_signs(seed):
    differences = np.random.default_rng(seed).integers(-3, 5, 9).astype(float)
    nonzero = differences[differences != 0]
    ranks = np.array([np.mean(np.flatnonzero(np.sort(np.abs(nonzero)) == abs(d)) + 1) for d in nonzero])
    observed = min(ranks[nonzero > 0].sum(), ranks[nonzero < 0].sum())
    sums = [ranks[np.array(signs, dtype=bool)].sum() for signs in itertools.product((0, 1), repeat=len(ranks))]
    assert signed_rank_p(differences) == pytest.approx(min(1.0, 2 * np.mean(np.array(sums) <= observed)), rel=1e-12)


@pytest.mark.parametrize("test", [signed_rank_p, sign_flip_p])
def test_rows_of_a_batch_do_not_know_of_each_other(test):
    differences = np.random.default_rng(0).integers(-4, 6, (3, 5, 12)).astype(float)
    one_by_one = [[test(row) for row in family] for family in differences]
    np.testing.assert_allclose(test(differences), one_by_one, rtol=1e-12)


@pytest.mark.parametrize("test", [signed_rank_p, sign_flip_p])
@pytest.mark.parametrize("pairs", [1, 2, 9, 15, 40])
def test_no_difference_at_all_gives_p_1(test, pairs):
    assert test(np.zeros(pairs)) == 1.0


@pytest.mark.parametrize("n", [5, 8, 11])
def test_the_sign_flip_test_is_scipys_permutation_of_samples(n):
    d = np.random.default_rng(n).normal(0.5, 1, n)
    reference = permutation_test((d, np.zeros(n)), lambda a, b: np.mean(a - b), permutation_type="samples")
    assert sign_flip_p(d) == pytest.approx(reference.pvalue, rel=1e-12)


def test_drawn_flips_come_close_to_all_flips():
    d = np.random.default_rng(3).normal(0.3, 1, 18)
    half = 1.0 - 2.0 * (np.arange(2**17)[:, None] >> np.arange(18) & 1)
    exact = np.mean(np.abs(half @ d) >= abs(d.sum()) - 1e-12)
    assert sign_flip_p(d) == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / 9999))


def test_drawn_flips_never_give_p_0():
    assert sign_flip_p(np.arange(1.0, 101.0)) == 1e-4


@pytest.mark.parametrize("seeds", [1, 5, 6, 15, 200])
def test_the_smallest_p_is_reached_when_all_differences_have_one_sign(seeds):
    assert signed_rank_p(np.arange(1.0, seeds + 1)) == pytest.approx(smallest_p(seeds, 1))


# methods: against one baseline, all pairs (counted exactly, with Holm)
SMALLEST_N = {2: (6, 6), 3: (7, 7), 5: (8, 9), 8: (9, 11), 10: (9, 11)}


@pytest.mark.parametrize(("methods", "expected"), SMALLEST_N.items())
def test_the_fewest_seeds_that_can_decide(methods, expected):
    assert (smallest_n(methods - 1), smallest_n(methods * (methods - 1) // 2)) == expected


def test_five_seeds_can_never_reach_a_verdict():
    assert smallest_p(5, 1) == 0.0625


def test_holm_on_a_worked_example():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]).shape == (0,)


def test_holm_is_statsmodels_family_by_family():
    multitest = pytest.importorskip("statsmodels.stats.multitest", reason="statsmodels is not installed")
    p = np.random.default_rng(0).uniform(0, 0.2, (6, 9)).round(2)
    for family, adjusted in zip(p, holm(p), strict=True):
        np.testing.assert_allclose(adjusted, multitest.multipletests(family, method="holm")[1], rtol=1e-12)


def test_rounding_noise_does_not_break_ties_at_any_scale():
    a, b = np.array([0.97, 1.0, 0.94]), np.array([0.93, 0.96, 0.9])
    assert len(set(a - b)) > 1
    for scale in (1e-6, 1.0, 1e6):
        assert len(set(paired_differences(scale * a, scale * b))) == 1


def test_one_huge_loss_does_not_round_the_others_away():
    found = paired_differences([-1e30, 0.5, 0.25], [-1.0, 0.25, 0.5])
    assert found.tolist() == [pytest.approx(-1e30), 0.25, -0.25]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_scores_that_are_not_finite_are_refused(bad):
    with pytest.raises(ValueError, match="worst score of its task"):
        paired_differences([1.0, bad], [1.0, 1.0])


def test_scores_of_unequal_seeds_are_refused():
    with pytest.raises(ValueError, match=r"equally many seeds, at least 1, got \(2,\) and \(3,\)"):
        paired_differences([1.0, 2.0], [1.0, 2.0, 3.0])
