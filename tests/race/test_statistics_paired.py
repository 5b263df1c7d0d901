"""Verdicts: better, equivalent, worse or undecided, and how many seeds would decide."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import ndtri

from thalweg.race.statistics import (
    against,
    compare,
    default_margin,
    holm,
    judge,
    mean_interval,
    pairs_needed,
    signed_rank_p,
    smallest_n,
)

BASE = np.linspace(0.9, 1, 15)
RAMP = np.linspace(0.01, 0.02, 15)


def one(a, b, margin=None, test="signed-rank"):
    """The only comparison of its family."""
    (comparison,) = compare([(np.asarray(a), np.asarray(b))], margin, test)
    return comparison


@pytest.mark.parametrize("test", ["signed-rank", "sign-flip"])
def test_a_clear_difference_is_better_one_way_and_worse_the_other(test):
    better, worse = compare([(BASE + RAMP, BASE), (BASE, BASE + RAMP)], None, test)
    assert (better.verdict, worse.verdict) == ("better", "worse")
    assert better.difference == pytest.approx(0.015)
    assert better.low < better.low_90 < better.difference < better.high_90 < better.high
    assert (better.probability, better.needed) == (1.0, None)


def test_the_figures_are_those_of_the_functions_they_come_from():
    rng = np.random.default_rng(0)
    scores = dict(zip("abcd", rng.normal(size=(4, 12)), strict=True))
    found = against(scores, "b", margin=0.5)
    differences = np.stack([scores[name] - scores["b"] for name in "acd"])
    assert list(found) == ["a", "c", "d"]
    assert [c.p for c in found.values()] == pytest.approx(holm(signed_rank_p(differences)).tolist())
    assert [c.p_alone for c in found.values()] == pytest.approx(signed_rank_p(differences).tolist())
    for i, comparison in enumerate(found.values()):
        np.testing.assert_allclose((comparison.low, comparison.high), mean_interval(differences[i]), rtol=1e-9)
        np.testing.assert_allclose(
            (comparison.low_90, comparison.high_90), mean_interval(differences[i], 0.9), rtol=1e-9
        )


def test_a_large_p_is_undecided_and_never_equal_without_a_margin():
    for margin in (None, 0, 0.0):
        same = one(BASE, BASE, margin)
        assert (same.verdict, same.difference, same.low, same.high, same.p) == ("undecided", 0.0, 0.0, 0.0, 1.0)
        assert same.needed is None


def test_identical_methods_are_equivalent_within_any_margin():
    same = one(BASE, BASE, 1e-6)
    assert same.verdict == "equivalent"
    assert (same.probability, same.cliff, same.hedges) == (0.5, 0.0, 0.0)
    assert same.correlation == pytest.approx(1)


def test_equivalent_needs_the_whole_90_percent_interval_within_the_margin():
    wide = one(BASE + RAMP, BASE, 1.01 * one(BASE + RAMP, BASE).high_90)
    narrow = one(BASE + RAMP, BASE, 0.99 * one(BASE + RAMP, BASE).high_90)
    assert wide.p == narrow.p < 0.05
    assert (wide.verdict, narrow.verdict) == ("equivalent", "better")  # real, but too small to matter; and not


def test_a_constant_difference_is_judged_by_its_size():
    found = [one(BASE + d, BASE, 0.01) for d in (0.02, 0.005, -0.005, -0.02)]
    assert [c.verdict for c in found] == ["better", "equivalent", "equivalent", "worse"]
    assert found[0].low == found[0].high == pytest.approx(0.02)


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_below_six_pairs_nothing_is_ever_decided(n):
    found = one(BASE[:n] + 1, BASE[:n], 5.0)
    assert found.verdict == "undecided"
    assert found.p >= 0.05
    assert found.needed is (None if n == 1 else found.needed)
    assert one(BASE[:6] + 1, BASE[:6], 0.5).verdict == "better"
    assert one(BASE[:6] + 1, BASE[:6], 5.0).verdict == "equivalent"


def test_one_seed_far_off_cannot_turn_the_ranks_into_a_verdict_on_the_mean():
    d = np.append(np.linspace(0.01, 0.02, 14), -1.0)  # better on 14 seeds, far worse on one
    found = one(BASE + d, BASE)
    assert found.p < 0.05
    assert found.difference < 0
    assert (found.verdict, found.needed) == ("undecided", None)


def test_scores_that_never_vary_are_compared_without_a_warning():
    flat = one(np.full(15, 0.9), np.full(15, 0.8), 0.005)
    assert (flat.verdict, flat.hedges, flat.cliff) == ("better", math.inf, 1.0)
    assert math.isnan(flat.correlation)


def test_seen_from_the_other_side_a_comparison_is_its_mirror_image():
    rng = np.random.default_rng(0)
    a, b = rng.normal([[0], [2]], 1, (2, 15))
    found, mirrored = one(a, b, 0.1), one(b, a, 0.1)
    assert (found.verdict, mirrored.verdict) == ("worse", "better")
    assert (mirrored.difference, mirrored.p, mirrored.hedges) == pytest.approx(
        (-found.difference, found.p, -found.hedges)
    )
    assert (mirrored.low, mirrored.high) == pytest.approx((-found.high, -found.low), abs=0.02)  # as resamples allow
    assert mirrored.probability == 1 - found.probability


def test_a_family_shares_holm_but_each_member_its_own_margin():
    a, b = compare([(BASE + RAMP, BASE)] * 2, [0.001, 0.1])
    assert (a.verdict, b.verdict) == ("better", "equivalent")
    assert a.p == pytest.approx(2 * a.p_alone)


def test_many_families_at_once_are_judged_as_one_by_one():
    d = np.random.default_rng(0).normal(0.3, 1, (5, 4, 12))
    margins = np.linspace(0.1, 1, 5)[:, None]
    together = judge(d, margins)
    for i in range(5):
        alone = judge(d[i], margins[i])
        assert together.verdict[i].tolist() == alone.verdict.tolist()
        np.testing.assert_allclose(together.p[i], alone.p)
        np.testing.assert_allclose(together.low[i], alone.low)


def test_the_margin_is_half_the_baselines_deviation_but_no_less_than_the_floor():
    assert default_margin(np.array([0.8, 0.9])) == pytest.approx(np.std([0.8, 0.9], ddof=1) / 2)
    assert default_margin(np.full(15, 0.9)) == 0.005
    assert default_margin(np.array([0.9])) == 0.005
    assert default_margin(np.array([1.0, 3.0]), floor=0) == pytest.approx(math.sqrt(2) / 2)


@pytest.mark.parametrize(("rho", "pairs"), [(0.0, 69), (0.5, 35), (0.8, 14)])
def test_equivalence_at_half_a_deviation_needs_68_times_one_minus_rho(rho, pairs):
    assert pairs_needed(math.sqrt(2 * (1 - rho)), 0.0, 0.5) == pairs
    by_hand = (ndtri(0.95) + ndtri(0.9)) ** 2 * 2 * (1 - rho) / 0.5**2
    assert pairs == math.ceil(by_hand)


def test_a_shift_needs_the_pairs_of_a_z_test_over_the_efficiency_of_wilcoxons():
    z = ndtri(1 - 0.05 / 14)
    by_hand = math.pi / 3 * ((z + ndtri(0.8)) / 0.8) ** 2 + z**2 / 2
    assert pairs_needed(1.0, 0.8, comparisons=7) == pairs_needed(1.0, -0.8, comparisons=7) == math.ceil(by_hand)
    assert pairs_needed(1.0, 100.0, comparisons=7) == smallest_n(7)  # fewer could not reach p < 0.05 at all


def test_near_the_margin_the_difference_is_easier_to_show_than_equivalence():
    at_edge = pairs_needed(1.0, 0.5, 0.5)
    assert at_edge == pairs_needed(1.0, 0.4999999, 0.5) == pairs_needed(1.0, 0.5)
    assert pairs_needed(1.0, 0.1, 0.5) < pairs_needed(1.0, 0.1)


def test_nothing_is_needed_where_no_number_would_do():
    assert pairs_needed(1.0, 0.0) is None
    assert pairs_needed(0.0, 0.0, 0.1) == 6


def test_what_is_undecided_says_how_many_pairs_it_needs_and_always_more_than_there_are():
    rng = np.random.default_rng(0)
    for _ in range(50):
        n = int(rng.integers(6, 20))
        found = one(rng.normal(0.3, 1, n), rng.normal(size=n), 0.5)
        assert (found.needed is None) == (found.verdict != "undecided")
        assert found.needed is None or found.needed > n


def test_wrong_arguments_say_what_is_allowed():
    with pytest.raises(ValueError, match=r"margin must be finite and >= 0, got -0\.1"):
        one(BASE, BASE, -0.1)
    with pytest.raises(ValueError, match="baseline must be one of a, b, got c"):
        against({"a": BASE, "b": BASE}, "c")
    with pytest.raises(ValueError, match="test must be signed-rank or sign-flip, got t"):
        one(BASE, BASE, None, "t")
    with pytest.raises(ValueError, match="all scores of a family need one shape"):
        compare([(BASE, BASE), (BASE[:5], BASE[:5])])


def test_a_family_of_none_is_empty():
    assert compare([]) == []
    assert against({"sgd": BASE}, "sgd") == {}
