"""Bootstrap intervals against scipy's, Student's and each other."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import bootstrap
from scipy.stats import t as student

from thalweg.race.statistics import bca_interval, corrected_level, mean_interval, mean_intervals


@pytest.mark.parametrize("n", [8, 16, 30])
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_it_is_scipys_bca_at_the_corrected_level(n, level):
    differences = np.random.default_rng(n).gamma(2, size=n)
    if n < 30:  # many resamples have the observed mean: sixteenths are summed exactly by either way of summing
        differences = np.round(16 * differences) / 16
    scipys = bootstrap(
        (differences,), np.mean, confidence_level=corrected_level(level, n), rng=np.random.default_rng(0)
    ).confidence_interval
    low, high = mean_interval(differences, level)
    assert (low, high) == pytest.approx((scipys.low, scipys.high), rel=1e-9)


def test_a_paired_bootstrap_of_two_samples_is_one_of_their_differences():
    a, b = np.random.default_rng(0).normal(size=(2, 15))
    scipys = bootstrap(
        (a, b),
        lambda x, y, axis: np.mean(x - y, axis=axis),
        paired=True,
        confidence_level=corrected_level(0.95, 15),
        rng=np.random.default_rng(0),
    ).confidence_interval
    assert mean_interval(a - b) == pytest.approx((scipys.low, scipys.high), rel=1e-9)


@pytest.mark.parametrize("n", [6, 15, 30, 200])
def test_at_the_corrected_level_a_normal_interval_is_as_long_as_students(n):
    z = -student.ppf((1 - corrected_level(0.95, n)) / 2, np.inf)
    assert z * np.sqrt((n - 1) / n) == pytest.approx(student.ppf(0.975, n - 1), rel=1e-9)


def test_rows_of_a_batch_have_the_intervals_that_they_have_alone():
    differences = np.random.default_rng(0).normal(size=(3, 4, 15))
    low, high = mean_interval(differences)
    assert low.shape == high.shape == (3, 4)
    for index in np.ndindex(3, 4):
        assert mean_interval(differences[index]) == pytest.approx((low[index], high[index]), rel=1e-12)


def test_batches_larger_than_the_memory_that_is_held_make_no_difference(monkeypatch):
    differences = np.random.default_rng(0).normal(size=(7, 15))
    whole = mean_intervals(differences, (0.95, 0.9))
    monkeypatch.setattr("thalweg.race.statistics.significance.BATCH", 20_000)  # two rows
    np.testing.assert_allclose(mean_intervals(differences, (0.95, 0.9)), whole, rtol=1e-12)


def test_a_wider_level_contains_a_narrower_one():
    differences = np.random.default_rng(0).gamma(1, size=(50, 15))
    (low, high), (low_90, high_90) = mean_intervals(differences, (0.95, 0.9))
    assert (low < low_90).all()
    assert (high_90 < high).all()


def test_turned_around_the_interval_is_the_mirror_image():
    differences = np.random.default_rng(0).gamma(1, size=15)
    low, high = mean_interval(differences)
    assert mean_interval(-differences) == pytest.approx((-high, -low), rel=1e-9)


@pytest.mark.parametrize("n", [2, 5, 6, 15])
@pytest.mark.parametrize("value", [0.0, 0.1, -7.0])
def test_equal_differences_have_an_interval_of_no_length(n, value):
    assert mean_interval(np.full(n, value)) == pytest.approx((value, value), rel=1e-12)


def test_one_pair_says_nothing_and_few_have_students_interval():
    assert mean_interval(np.array([0.3])) == (-np.inf, np.inf)
    d = np.array([0.1, 0.2, 0.6])
    half = student.ppf(0.975, 2) * d.std(ddof=1) / np.sqrt(3)
    assert mean_interval(d) == pytest.approx((0.3 - half, 0.3 + half))


def test_one_odd_seed_has_a_finite_interval_around_the_mean():
    low, high = mean_interval(np.array([0.0] * 14 + [0.03]))
    assert 0 <= low <= 0.002 <= high <= 0.03


def test_ties_that_rounding_drew_apart_count_as_ties():
    """Resampled means of accuracies often equal the observed one, and the bias of BCa depends on it."""
    whole = np.random.default_rng(4).integers(-3, 4, 15)
    low, high = mean_interval(whole.astype(float))
    assert mean_interval(np.rint(whole) / 30) == pytest.approx((low / 30, high / 30), rel=1e-9)


def test_any_statistic_of_the_pairs_has_the_interval_that_scipy_gives_it():
    a, b = np.random.default_rng(2).normal(size=(2, 20)) + np.random.default_rng(3).normal(size=20)

    def covariance(weights):
        return weights @ (a * b) - (weights @ a) * (weights @ b)

    scipys = bootstrap(
        (a, b),
        lambda x, y, axis: (x * y).mean(axis) - x.mean(axis) * y.mean(axis),
        paired=True,
        confidence_level=corrected_level(0.95, 20),
        rng=np.random.default_rng(0),
    ).confidence_interval
    assert bca_interval(covariance, 20) == pytest.approx((scipys.low, scipys.high), rel=1e-6)
