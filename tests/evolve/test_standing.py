"""Standings: how far comes first, then how good for certain."""

import math

import pytest

from thalweg.evolve.entry import Score
from thalweg.evolve.evaluation import FULL, PROXY
from thalweg.evolve.settings import Settings
from thalweg.evolve.standing import CAUTION, UNSURE, Standings


def full(*values: float, task: str = "digits") -> list[Score]:
    return [Score(FULL, task, seed, value, 10) for seed, value in enumerate(values)]


def of(scores, settings=None, tasks=("digits",)):
    return Standings(settings or Settings(), tasks).of(scores)


def test_who_came_further_stands_above_whatever_the_scores():
    standings = of(
        {0: [Score(PROXY, "proxy", 0, 0.99, 1)], 1: full(0.2), 2: [Score("rung 0.25", "digits", 0, 0.5, 1)], 3: []}
    )
    assert standings[1] > standings[2] > standings[0] > standings[3]


def test_one_lucky_score_stands_below_the_same_mean_on_many_seeds():
    standings = of({0: full(0.9), 1: full(0.9, 0.9, 0.9, 0.9)})
    assert standings[1] > standings[0]
    assert standings[0].mean == standings[1].mean == pytest.approx(0.9)
    assert standings[1].value == pytest.approx(0.9 - CAUTION * UNSURE / 2)


def test_the_standard_error_is_the_pooled_one_of_all_candidates():
    scores = {0: full(0.5, 0.7), 1: full(0.6, 0.8, 1.0), 2: full(0.1, 0.1, 0.1)}
    pooled = math.sqrt((0.02 + 0.08 + 0.0) / 5)
    assert of(scores)[1].value == pytest.approx(0.8 - CAUTION * pooled / math.sqrt(3))


def test_one_failure_among_the_scores_is_a_failure():
    standings = of({0: full(0.9, -math.inf), 1: full(0.1)})
    assert standings[0].mean == -math.inf
    assert standings[1] > standings[0]


def test_the_paper_counts_the_worst_of_the_trials():
    standing = of({0: full(0.9, 0.85, 0.88)}, Settings(trial="worst"))[0]
    assert standing.value == standing.mean == 0.85


@pytest.mark.parametrize(("combined", "winner"), [("mean", 0), ("worst", 1)])
def test_scores_on_several_tasks_combine_as_asked(combined, winner):
    scores = {0: full(1.0) + full(0.5, task="iris"), 1: full(0.8) + full(0.6, task="iris")}
    standings = of(scores, Settings(across=combined), ("digits", "iris"))
    assert max(standings, key=lambda key: standings[key][:2]) == winner


def test_ranks_do_not_depend_on_the_units_of_a_task():
    scores = {
        key: full(value) + full(-1000.0 * other, task="diabetes")
        for key, (value, other) in enumerate([(0.9, 3.0), (0.8, 2.0), (0.7, 1.0), (0.89, 1.5)])
    }
    standings = of(scores, Settings(across="rank"), ("digits", "diabetes"))
    assert max(standings, key=lambda key: standings[key][:2]) == 3  # second on both, where the others are last on one


def test_a_candidate_without_a_score_on_each_task_has_not_been_trained_in_full():
    standings = of({0: full(0.9), 1: full(0.1) + full(0.1, task="iris")}, tasks=("digits", "iris"))
    assert standings[1] > standings[0]
