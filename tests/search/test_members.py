"""What members remember is the better of what they had and what they saw, to the last bit."""

import math

import pytest
import torch

from thalweg.search.strategies.members import remember, rows, take_in


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("ties", [False, True])
def test_a_member_has_the_better_of_two_points_and_at_a_tie_the_new_one_if_that_is_wanted(ties, dtype):
    own, x = normal(2, 50, 3, dtype=dtype), 1e6 * normal(2, 50, 3, seed=1, dtype=dtype)
    own_f, fitness = normal(2, 50, seed=2, dtype=dtype), normal(2, 50, seed=3, dtype=dtype)
    fitness[:, :10] = own_f[:, :10]
    fitness[:, 10], own_f[:, 11] = math.inf, math.inf
    better = fitness <= own_f if ties else fitness < own_f
    expected = torch.where(better.unsqueeze(2), x, own), torch.where(better, fitness, own_f)
    remember(own, own_f, x, fitness, ties=ties)
    assert torch.equal(own, expected[0])
    assert torch.equal(own_f, expected[1])
    assert (own[:, 10] != x[:, 10]).all()
    assert torch.equal(own[:, 11], x[:, 11])


@pytest.mark.parametrize("runs", [1, 3])
def test_rows_are_taken_run_by_run_with_repetition(runs):
    x = normal(runs, 5, 4)
    places = torch.randint(5, (runs, 9), generator=torch.Generator().manual_seed(0))
    assert torch.equal(rows(x, places), x.gather(1, places.unsqueeze(2).expand(-1, -1, 4)))


def test_a_point_from_elsewhere_takes_the_place_of_the_best_member_of_marked_runs_if_it_is_better():
    own, own_f = normal(4, 5, 3), normal(4, 5, seed=1)
    best, least = own_f.argmin(1), own_f.amin(1)
    expected, expected_f = own.clone(), own_f.clone()
    x, marked = normal(4, 3, seed=2), torch.tensor([True, True, False, True])
    fitness = torch.stack([least[0] - 1, least[1] + 1, least[2] - 1, least[3]])
    expected[0, best[0]], expected_f[0, best[0]] = x[0], fitness[0]
    take_in(own, own_f, x, fitness, marked)
    assert torch.equal(own, expected)
    assert torch.equal(own_f, expected_f)
