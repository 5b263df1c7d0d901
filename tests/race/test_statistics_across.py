"""Comparisons over tasks against published tables and independent implementations."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.stats import friedmanchisquare, trim_mean, wilcoxon

from thalweg.race.statistics import (
    across_tasks,
    critical_difference,
    friedman,
    groups,
    holm,
    interquartile_means,
    iqm,
    normalise,
    pairwise_p,
    probability_of_improvement,
    rank,
)

# Areas under the curve of four classifiers on 14 data sets: Demsar 2006, table 6. On the last but one the table ranks
# apart what it rounds to 0.975 twice, hence 0.9751.
DEMSAR = np.array(
    [
        [0.763, 0.768, 0.771, 0.798],
        [0.599, 0.591, 0.590, 0.569],
        [0.954, 0.971, 0.968, 0.967],
        [0.628, 0.661, 0.654, 0.657],
        [0.882, 0.888, 0.886, 0.898],
        [0.936, 0.931, 0.916, 0.931],
        [0.661, 0.668, 0.609, 0.685],
        [0.583, 0.583, 0.563, 0.625],
        [0.775, 0.838, 0.866, 0.875],
        [1.000, 1.000, 1.000, 1.000],
        [0.940, 0.962, 0.965, 0.962],
        [0.619, 0.666, 0.614, 0.669],
        [0.972, 0.981, 0.9751, 0.975],
        [0.957, 0.978, 0.946, 0.970],
    ]
)


def planted(tasks=14, methods=6, seed=0):
    """Mean scores with a clear order of some methods."""
    rng = np.random.default_rng(seed)
    return rng.normal(0, 0.4, (tasks, methods)) + np.array([0, 0.1, 0.8, 0.9, 1.0, 2.0])[:methods]


def test_ranks_and_friedmans_statistic_are_those_of_demsars_example():
    assert rank(DEMSAR).mean(axis=0) == pytest.approx([3.143, 2.000, 2.893, 1.964], abs=5e-4)
    statistic, p = friedman(DEMSAR)
    assert statistic == pytest.approx(friedmanchisquare(*DEMSAR.T).statistic)
    assert p == pytest.approx(friedmanchisquare(*DEMSAR.T).pvalue)


def test_ranks_are_averaged_over_tasks_and_shared_by_equals():
    assert across_tasks([[0.9, 0.8, 0.8], [0.1, 0.3, 0.2]]).mean_ranks.tolist() == [2.0, 1.75, 2.25]
    assert rank([[0.1 + 0.2, 0.3, 0.2]]).tolist() == [[1.5, 1.5, 3.0]]


def test_all_equal_gives_no_difference_and_one_group():
    found = across_tasks(np.full((12, 3), 0.9))
    assert (found.friedman, found.friedman_p) == (0.0, 1.0)
    assert found.groups == ((0, 1, 2),)
    assert (found.p == 1).all()


def test_pairs_are_scipys_wilcoxon_with_holm():
    means = planted()
    i, j = np.triu_indices(6, 1)
    expected = holm([wilcoxon(means[:, a], means[:, b], method="exact").pvalue for a, b in zip(i, j, strict=True)])
    found = pairwise_p(means)
    np.testing.assert_allclose(found[i, j], expected, rtol=1e-12)
    np.testing.assert_array_equal(found, found.T)


def test_pairs_are_those_of_scikit_posthocs():
    posthocs = pytest.importorskip("scikit_posthocs", reason="scikit-posthocs is not installed")
    means = planted()
    reference = posthocs.posthoc_wilcoxon(list(means.T), method="exact", p_adjust="holm")
    np.testing.assert_allclose(pairwise_p(means), reference.to_numpy(), rtol=1e-12)


@pytest.mark.parametrize("seed", range(8))
def test_groups_are_the_largest_sets_without_a_difference(seed):
    rng = np.random.default_rng(seed)
    p = np.triu(rng.uniform(0, 0.12, (6, 6)), 1)
    p, ranks = p + p.T + np.eye(6), rng.permutation(6)
    sets = [set(s) for size in range(2, 7) for s in itertools.combinations(range(6), size)]
    alike = [s for s in sets if all(p[a, b] >= 0.05 for a, b in itertools.combinations(s, 2))]
    largest = [s for s in alike if not any(s < other for other in alike)]
    found = groups(p, ranks)
    assert sorted(map(sorted, found)) == sorted(map(sorted, largest))
    for group in found:
        assert list(group) == sorted(group, key=lambda m: ranks[m])


@pytest.mark.parametrize("seed", range(6))
def test_groups_are_the_bars_of_scikit_posthocs_diagram(seed):
    pandas = pytest.importorskip("pandas", reason="scikit-posthocs is not installed")
    posthocs = pytest.importorskip("scikit_posthocs", reason="scikit-posthocs is not installed")
    figure = pytest.importorskip("matplotlib.figure")
    found = across_tasks(planted(seed=seed))
    bars = posthocs.critical_difference_diagram(
        pandas.Series(found.mean_ranks), pandas.DataFrame(found.p), ax=figure.Figure().subplots()
    )["crossbars"]
    drawn = sorted(sorted(float(x) for line in bar for x in line.get_xdata()) for bar in bars)
    assert drawn == sorted(sorted(float(found.mean_ranks[m]) for m in group) for group in found.groups)
    assert len(drawn) > 1


def test_order_and_groups_run_from_best_to_worst():
    found = across_tasks(planted())
    assert found.order[0] == 5
    assert found.mean_ranks[list(found.order)].tolist() == sorted(found.mean_ranks)
    assert [found.order.index(g[0]) for g in found.groups] == sorted(found.order.index(g[0]) for g in found.groups)


def test_five_tasks_can_separate_nothing_and_nine_are_still_only_described():
    few = across_tasks(planted(tasks=5))
    assert few.groups == (few.order,)
    assert few.descriptive
    assert across_tasks(planted(tasks=9)).descriptive
    assert not across_tasks(planted(tasks=10)).descriptive


def test_one_method_or_one_task_has_no_comparison():
    assert across_tasks([[0.1], [0.2]]).groups == ()
    assert across_tasks([[0.1, 0.2]]).groups == ((1, 0),)


# Demsar 2006, table 5a: q at 0.05 of the Nemenyi test.
Q = {2: 1.960, 3: 2.343, 4: 2.569, 5: 2.728, 6: 2.850, 7: 2.949, 8: 3.031, 9: 3.102, 10: 3.164}


@pytest.mark.parametrize(("methods", "q"), Q.items())
def test_nemenyis_q_is_demsars_table(methods, q):
    tasks = methods * (methods + 1) / 6  # so that the root is 1
    assert critical_difference(methods, tasks) == pytest.approx(q, abs=1.1e-3)


def test_nemenyis_difference_is_where_scikit_posthocs_p_is_5_percent():
    posthocs = pytest.importorskip("scikit_posthocs", reason="scikit-posthocs is not installed")
    means = planted(tasks=15)
    ranks = rank(means).mean(axis=0)
    p = posthocs.posthoc_nemenyi_friedman(means).to_numpy()
    apart = np.abs(ranks[:, None] - ranks) > critical_difference(6, 15)
    np.testing.assert_array_equal(apart, p < 0.05)
    assert apart.any()
    assert not apart.all()


def test_the_interquartile_mean_is_the_trimmed_mean_of_a_quarter():
    values = np.random.default_rng(0).normal(size=(3, 30))
    np.testing.assert_allclose(iqm(values), trim_mean(values, 0.25, axis=1))


SCORES = np.random.default_rng(0).normal(size=(12, 3, 15)) + np.array([0.0, 0.0, 1.0])[:, None]


def test_interquartile_means_with_intervals_that_keep_the_pairing():
    constant = np.arange(12.0)[:, None, None]  # tasks far apart, the same for all methods
    found = interquartile_means(SCORES * 0.1 + constant)
    assert found.mean == pytest.approx([float(iqm((SCORES * 0.1 + constant)[:, m].ravel())) for m in range(3)])
    assert (found.low < found.mean).all()
    assert (found.mean < found.high).all()
    assert found.difference[0] == found.difference_low[0] == found.difference_high[0] == 0
    shifted = interquartile_means(np.concatenate([SCORES, SCORES[:, :1] + 0.25], axis=1))
    assert (shifted.difference_low[3], shifted.difference_high[3]) == pytest.approx((0.25, 0.25))


def test_normalised_scores_are_0_and_1_where_they_should():
    found = normalise(SCORES, SCORES[:, 0].mean(axis=-1), SCORES[:, 2].mean(axis=-1))
    np.testing.assert_allclose(found[:, 0].mean(axis=-1), 0, atol=1e-12)
    np.testing.assert_allclose(found[:, 2].mean(axis=-1), 1)
    with pytest.raises(ValueError, match=r"got 0\.5 and 0\.5 on task 1"):
        normalise(SCORES[:2], [0.1, 0.5], [0.5, 0.5])


def test_the_probability_of_improvement_counts_wins_on_one_seed():
    p = probability_of_improvement(SCORES)
    assert p[2, 0] == pytest.approx(np.mean(SCORES[:, 2] > SCORES[:, 0]))
    np.testing.assert_allclose(p + p.T, 1)
    assert np.diag(p) == pytest.approx([0.5] * 3)


def test_wrong_shapes_are_refused():
    with pytest.raises(ValueError, match=r"shape \(tasks, methods\)"):
        across_tasks([0.1, 0.2])
    with pytest.raises(ValueError, match=r"shape \(tasks, methods, seeds\), got shape \(12, 3\)"):
        interquartile_means(SCORES[:, :, 0])
