"""The micro-proxy tells what learns from what does not, whoever is tried beside it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from thalweg.evolve.proxy import FIRST, STEPS, Proxy, small_digits
from thalweg.race.seeds import Seed
from thalweg.rules import Rule
from thalweg.tasks.bundled import iris

LEARNING = [
    Rule("descent", "w = w - 0.1*g"),
    Rule("slow descent", "w = w - 0.02*g"),
    Rule("momentum", "v = 0.9*v + g\nw = w - 0.03*v"),
    Rule("sign", "w = w - 0.01*sign(g)"),
    Rule("adam", "m = 0.9*m + 0.1*g\nv = 0.99*v + 0.01*g*g\nw = w - 0.01*m/(sqrt(v) + 1e-8)"),
]
NOT_LEARNING = [
    Rule("ascent", "w = w + 0.1*g"),
    Rule("constant", "w = w - 0.1 + 0*g"),
    Rule("still", "w = w - 0*g"),
    Rule("forgetting", "w = 0*g"),
    Rule("blown up", "w = w - 1e30*g"),
    Rule("no number", "w = w - g/0"),
]
FAILED = NOT_LEARNING[-2:]


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_the_small_digits_are_the_digits_averaged_over_blocks_of_four_pixels():
    from sklearn.datasets import load_digits

    read = small_digits().train
    assert callable(read)
    expected = load_digits().images.reshape(-1, 4, 2, 4, 2).mean((2, 4)).reshape(-1, 16)
    np.testing.assert_allclose(read().inputs, expected, rtol=1e-6)  # type: ignore[union-attr]


@pytest.mark.parametrize("seed", [0, 1])
def test_known_rules_learn_and_what_goes_up_or_ignores_the_gradient_does_not(seed):
    scores = Proxy().scores([*LEARNING, *NOT_LEARNING], seed)
    learnt, others = scores[: len(LEARNING)], scores[len(LEARNING) :]
    assert (learnt > 0.3).all()
    assert learnt[0] > 0.7
    assert (others < 0.15).all()
    assert (others[-len(FAILED) :] == -np.inf).all()


def test_order_and_company_change_scores_by_rounding_alone():
    rules = [*LEARNING, *NOT_LEARNING]
    example = 1 / 359  # of the validation part: one answer may tip
    scores = Proxy().scores(rules)
    np.testing.assert_allclose(Proxy().scores(rules[::-1])[::-1], scores, atol=1.1 * example)
    for i in (0, 2, 6):
        np.testing.assert_allclose(Proxy().scores([rules[i]]), scores[i : i + 1], atol=1.1 * example)


def test_the_same_candidates_get_the_same_bits_and_another_seed_other_ones():
    first, again, other = (Proxy().scores(LEARNING, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_the_early_cut_spares_those_at_chance_and_leaves_the_others_as_they_are():
    rules = [*LEARNING, *NOT_LEARNING]
    (cut, spent), (whole, all_spent) = (Proxy(first=first).scores_and_examples(rules) for first in (FIRST, 0))
    learning = len(LEARNING)
    np.testing.assert_allclose(cut[:learning], whole[:learning], atol=0.003)
    np.testing.assert_array_equal(spent[:learning], all_spent[:learning])
    assert spent[0] == 2 * 1079 + (STEPS - 2 * 34) * 32  # 1079 examples to train on are 34 batches, one of them smaller
    assert (spent[[learning, learning + 1, learning + 2]] == FIRST * 32).all()
    assert (spent[-2:] <= 3 * 32).all()


def test_small_steps_survive_the_early_cut_although_they_are_at_chance_by_then():
    rules = [Rule("small", "w = w - 0.0004*sign(g)"), Rule("small", "w = w - 0.005*g")]
    scores, spent = Proxy().scores_and_examples(rules)
    assert Proxy(steps=FIRST, first=0).scores(rules).max() < 0.15
    assert (spent > FIRST * 32).all()
    assert (scores > 0.15).all()


def test_a_seed_of_a_race_says_everything_and_a_number_stands_for_one():
    np.testing.assert_array_equal(
        Proxy().scores(LEARNING, 5), Proxy().scores(LEARNING, Seed(5, small_digits().name, 0))
    )


def test_any_task_can_take_the_place_of_the_small_digits():
    scores = Proxy(iris(), steps=40, first=10).scores([LEARNING[0], FAILED[0]])
    assert scores[0] > 0.7
    assert scores[1] == -np.inf


def test_no_candidates_have_no_scores():
    assert Proxy().scores([]).shape == (0,)


@pytest.mark.parametrize(("steps", "first"), [(0, 0), (10, 10), (10, -1)])
def test_steps_out_of_bounds_are_refused(steps, first):
    with pytest.raises(ValueError, match="steps must be at least 1 and first from 0 to below it"):
        Proxy(steps=steps, first=first)
