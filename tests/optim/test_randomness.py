"""What is drawn comes from the generator that was given: by seed and place alone, never from global random state."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from optim.trajectories import NOISY, RULES, assert_same, every_rule, gradients, moved, parameters, run, step, with_gaps

from thalweg.optim import RuleOptimizer

STEPS = 8


def noise(optimizer: RuleOptimizer) -> list[torch.Tensor]:
    return [optimizer.state[p]["v"].clone() for group in optimizer.param_groups for p in group["params"]]


@pytest.mark.parametrize("name", sorted(NOISY))
def test_start_noise_is_that_of_its_seed(name):
    def drawn(seed: int) -> list[torch.Tensor]:
        return noise(RuleOptimizer(parameters(), RULES[name], generator=torch.Generator().manual_seed(seed)))

    assert_same(drawn(1), drawn(1))
    assert moved(drawn(1), drawn(2))
    assert_same(noise(RuleOptimizer(parameters(), RULES[name])), noise(RuleOptimizer(parameters(), RULES[name])))


@pytest.mark.parametrize("name", sorted(NOISY))
def test_two_optimizers_of_one_generator_start_from_different_noise(name):
    generator = torch.Generator().manual_seed(1)
    first, second = (noise(RuleOptimizer(parameters(), RULES[name], generator=generator)) for _ in range(2))
    assert moved(first, second)


@pytest.mark.parametrize("name", sorted(NOISY))
def test_parameters_of_one_shape_start_from_different_noise(name):
    first, second = noise(RuleOptimizer([torch.nn.Parameter(torch.zeros(9)) for _ in range(2)], RULES[name]))
    assert moved([first], [second])


@pytest.mark.parametrize("name", sorted(NOISY))
def test_start_noise_depends_on_the_place_of_a_parameter_alone(name):
    """So it is the same on every rank: whatever groups, layouts, shapes of others and other draws there are."""
    shape = (4, 3)
    p = torch.nn.Parameter(torch.zeros(shape, dtype=torch.float64))
    q = torch.nn.Parameter(torch.zeros(3, 4, dtype=torch.float64).t(), requires_grad=False)
    one = RuleOptimizer([torch.nn.Parameter(torch.zeros(100)), p], RULES[name])
    torch.rand(5)
    two = RuleOptimizer([{"params": [torch.nn.Parameter(torch.zeros(2))]}, {"params": [q]}], RULES[name])
    assert torch.equal(one.state[p]["v"], two.state[q]["v"])


@every_rule
def test_no_global_random_state_is_touched(rule):
    params = parameters()
    row = gradients(params, 1)[0]
    before = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()  # noqa: NPY002
    optimizer = RuleOptimizer(params, rule)
    step(optimizer, params, row)
    optimizer.state_dict()
    after = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()  # noqa: NPY002
    assert torch.equal(before[0], after[0])
    assert before[1:] == after[1:]


@every_rule
def test_two_runs_of_one_seed_are_equal_to_the_bit(rule):
    ours, other = parameters(torch.float32), parameters(torch.float32)
    grads = with_gaps(gradients(ours, STEPS))
    for params in (ours, other):
        generator = torch.Generator().manual_seed(3)
        run(RuleOptimizer(params, rule, backend="plain", generator=generator), params, grads)
    assert_same(ours, other)
