"""Time to target against tables made by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.integrate import trapezoid

from thalweg.race.statistics import (
    cost_to_target,
    kaplan_meier,
    performance_profile,
    profile_integral,
    target_levels,
    time_to_target,
)

INF = math.inf


def test_targets_are_the_median_of_the_baseline_and_three_on_the_way_to_it():
    found = target_levels([0.9, 0.7, 0.8], start=0.4)
    assert [(t.fraction, pytest.approx(t.score)) for t in found] == [(1, 0.8), (0.9, 0.76), (0.75, 0.7), (0.5, 0.6)]


@pytest.mark.parametrize("start", [0.8, 0.9])
def test_a_baseline_that_learned_nothing_sets_no_target(start):
    assert target_levels([0.9, 0.7, 0.8], start) == ()


def test_the_cost_is_that_of_the_first_point_at_or_above_the_target():
    curves = [[0.1, 0.5, 0.9, 0.4], [0.1, 0.2, 0.3, 0.4], [0.5, 0.1, 0.1, 0.1], [0.1, math.nan, math.nan, math.nan]]
    assert cost_to_target(curves, [0, 10, 20, 30], 0.5).tolist() == [10, INF, 0, INF]
    own = np.arange(16).reshape(4, 4)  # each run with costs of its own
    assert cost_to_target(curves, own, 0.5).tolist() == [1, INF, 8, INF]


def test_sums_over_runs_with_some_that_never_arrive():
    found = time_to_target([10, INF, 20, INF, 30], [100, 100, 100, 40, 100])
    assert found.spent == (10, 100, 20, 40, 30)
    assert (found.success_rate, found.median, found.expected) == (0.6, 30, 200 / 3)


@pytest.mark.parametrize(("costs", "median"), [([1, INF], INF), ([1, 3], 2), ([1, 2, INF], 2), ([INF, INF], INF)])
def test_the_median_counts_the_runs_that_never_arrive(costs, median):
    assert time_to_target(costs, [9] * len(costs)).median == median


def test_no_success_has_infinite_expected_cost():
    found = time_to_target([INF, INF], [9, 9])
    assert (found.success_rate, found.expected) == (0.0, INF)


def test_the_geometric_law_of_restarts():
    """With success rate s, success cost a and failure cost b one expects a + b (1 - s) / s (Auger and Hansen 2005)."""
    found = time_to_target([7, INF, 7, INF, INF], [50] * 5)
    assert found.expected == pytest.approx(7 + 50 * 0.6 / 0.4)


def test_kaplan_meier_on_a_table_made_by_hand():
    # Arrivals at 3, 5, 5 and 9; runs that ended without at 4, 5 and 12. At risk: 7 at 3, 5 at 5, 2 at 9.
    costs = [3, INF, 5, 5, INF, 9, INF]
    censored = [50, 4, 50, 50, 5, 50, 12]
    found = kaplan_meier(costs, censored)
    staying = [6 / 7, 6 / 7 * 3 / 5, 6 / 7 * 3 / 5 * 1 / 2]
    assert found.costs == (3, 5, 9)
    assert found.shares == pytest.approx([1 - s for s in staying])


def test_kaplan_meier_with_one_budget_for_all_is_the_share_of_runs_that_have_arrived():
    found = kaplan_meier([3, INF, 5, 5, INF, 9, INF], [10] * 7)
    assert found.costs == (3, 5, 9)
    assert found.shares == pytest.approx([1 / 7, 3 / 7, 4 / 7])


def test_kaplan_meier_is_statsmodels():
    survival = pytest.importorskip("statsmodels.duration.survfunc", reason="statsmodels is not installed").SurvfuncRight
    rng = np.random.default_rng(0)
    arrival, end = rng.integers(1, 20, (2, 40)).astype(float)
    found = kaplan_meier(np.where(arrival <= end, arrival, INF), end)
    reference = survival(np.minimum(arrival, end), (arrival <= end).astype(int))
    np.testing.assert_allclose(found.costs, reference.surv_times)
    np.testing.assert_allclose(found.shares, 1 - reference.surv_prob)


def test_curves_of_a_target_that_nobody_reached_are_empty():
    found = kaplan_meier([INF, INF], [9, 9])
    assert (found.costs, found.shares) == ((), ())


COSTS = np.array([[1, 2, INF], [4, 2, 6], [INF, INF, INF], [5, 5, 30]])  # tasks by methods


def test_a_profile_is_the_share_of_tasks_solved_within_a_factor_of_the_best():
    found = performance_profile(COSTS, [1, 2, 3, 4])
    assert found.tolist() == [[0.5, 0.75, 0.75, 0.75], [0.5, 0.75, 0.75, 0.75], [0, 0, 0.25, 0.25]]


def test_the_integral_is_that_of_a_finely_drawn_profile():
    factors = np.linspace(1, 4, 300_001)
    drawn = trapezoid(performance_profile(COSTS, factors), factors, axis=1) / 3
    np.testing.assert_allclose(profile_integral(COSTS), drawn, atol=1e-5)
    assert profile_integral([[1.0, 9.0], [2.0, 18.0]]).tolist() == [1.0, 0.0]


def test_a_target_met_before_training_is_met_by_no_factor_of_nothing():
    assert performance_profile([[0, 5]], [1, 100]).tolist() == [[1, 1], [0, 0]]


def test_wrong_costs_are_refused():
    with pytest.raises(ValueError, match="costs must be >= 0 or infinite"):
        performance_profile([[math.nan, 1]], [1])
    with pytest.raises(ValueError, match="totals must be finite"):
        time_to_target([1, INF], [INF, INF])
    with pytest.raises(ValueError, match="baseline must be finite and not empty"):
        target_levels([], 0)
