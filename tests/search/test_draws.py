"""Random factors, where they are few and where they are many."""

import pytest
import torch

from thalweg.search.draws import MANY, Draws


def draws(runs, generators=1, dtype=torch.float64):
    seeded = [torch.Generator().manual_seed(seed) for seed in range(generators)]
    return Draws(seeded, runs, dtype, torch.device("cpu"))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("count", [1000, MANY])
def test_factors_are_uniform_in_the_open_interval(dtype, count):
    found = draws(1, dtype=dtype).factors(count)
    assert found.shape == (1, count)
    assert found.dtype == dtype
    assert 0 < found.min() <= 5 / count
    assert 1 - 5 / count <= found.max() < 1
    assert found.mean().item() == pytest.approx(0.5, abs=1.2 / count**0.5)  # four deviations of a mean
    assert found.var().item() == pytest.approx(1 / 12, abs=0.3 / count**0.5)


@pytest.mark.parametrize("count", [10, MANY])
def test_each_run_draws_from_a_generator_of_its_own_what_it_would_alone(count):
    together = draws(3, generators=3)
    first, second = together.factors(2, count), together.factors(2, count)
    for run in range(3):
        alone = Draws([torch.Generator().manual_seed(run)], 1, torch.float64, torch.device("cpu"))
        assert torch.equal(alone.factors(2, count)[0], first[run])
        assert torch.equal(alone.factors(2, count)[0], second[run])
    assert not torch.equal(first, second)
