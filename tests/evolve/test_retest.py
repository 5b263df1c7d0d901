"""Re-tests: a lucky score never wins."""

import numpy as np
import pytest

from thalweg.evolve.judgement.retest import choose, difference, reported, retest

FINALISTS, SEEDS, EVOLUTIONS = 30, 10, 400


def noise(seed):
    """Scores of finalists that are all worth exactly nothing, on the seeds of the choice and on fresh ones."""
    random = np.random.default_rng(seed)
    chosen_on = {str(name): random.standard_normal(SEEDS) for name in range(FINALISTS)}
    fresh = {str(name): dict(enumerate(random.standard_normal(SEEDS), start=SEEDS)) for name in range(FINALISTS)}
    return chosen_on, fresh


def test_where_scores_are_noise_the_winner_s_reported_score_is_unbiased_and_its_chosen_one_is_not():
    lucky, honest = [], []
    for seed in range(EVOLUTIONS):
        chosen_on, fresh = noise(seed)
        winner = choose(chosen_on)
        lucky.append(chosen_on[winner].mean())
        honest.append(np.mean([fresh[winner][seed] for seed in sorted(fresh[winner])]))
    error = 1 / np.sqrt(SEEDS * EVOLUTIONS)  # of the mean of all
    assert abs(np.mean(honest)) < 4 * error
    # The largest of 30 normal means is 2.04 deviations up (order statistics).
    assert np.mean(lucky) == pytest.approx(2.04 / np.sqrt(SEEDS), rel=0.05)


def test_the_reported_interval_of_a_winner_of_noise_covers_nothing_95_times_in_a_hundred():
    covered = []
    for seed in range(60):
        chosen_on, fresh = noise(seed)
        found = reported(fresh[choose(chosen_on)], range(SEEDS))
        covered.append(found.low <= 0 <= found.high)
    assert 0.88 <= np.mean(covered) <= 1.0


def test_a_seed_that_chose_the_winner_may_not_report_it():
    with pytest.raises(ValueError, match="must be of seeds that did not choose the winner, got 3"):
        reported({seed: 0.5 for seed in range(3, 20)}, [1, 2, 3])


def test_fewer_than_ten_seeds_report_nothing():
    with pytest.raises(ValueError, match="at least 10 seeds, got 9"):
        reported({seed: 0.5 for seed in range(9)}, [])


def test_the_order_of_the_seeds_changes_nothing():
    scores = {seed: float(seed % 7) for seed in range(12)}
    assert reported(scores, [99]) == reported(dict(reversed(scores.items())), [99])


def test_mean_interval_and_bound_are_in_order():
    found = retest(np.random.default_rng(0).normal(0.9, 0.01, 20))
    assert found.low < found.bound < found.mean < found.high
    assert found.n == 20


def test_a_run_that_diverged_counts_as_the_worst_and_is_never_left_out():
    assert retest([1.0, -np.inf, 1.0, np.nan], worst=0.0).mean == 0.5
    with pytest.raises(ValueError, match="scores must be finite, got -inf"):
        retest([1.0, -np.inf])


def test_of_equal_finalists_the_first_is_chosen():
    assert choose({"b": [0.5, 0.5], "a": [0.5, 0.5], "c": [0.4, 0.6]}) == "b"


def test_finalists_are_needed():
    with pytest.raises(ValueError, match="at least one finalist"):
        choose({})


def test_a_difference_is_paired():
    # Seeds differ by far more than the two do; in pairs the difference is plain.
    seeds = np.random.default_rng(0).normal(0, 10, 12)
    gained = seeds + np.linspace(0.9, 1.1, 12)
    found = difference(gained, seeds)
    assert found.mean == pytest.approx(1)
    assert found.verdict == "better"
    assert 0.9 < found.low < found.bound < 1 < found.high < 1.1
    assert difference(seeds, gained).verdict == "worse"
    assert difference(seeds, gained, margin=2.0).verdict == "equivalent"


def test_the_one_sided_bound_of_a_difference_is_the_90_percent_interval_s_end():
    ours, theirs = np.random.default_rng(1).normal(0, 1, (2, 30))
    found = difference(ours, theirs)
    assert found.bound == pytest.approx(retest(ours - theirs).bound)
