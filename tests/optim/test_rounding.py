"""Half-precision weights keep updates smaller than their spacing, by stochastic rounding or by compensation."""

from __future__ import annotations

import math

import pytest
import torch
from optim.trajectories import RULES, every_rule, gradients, parameters, run, step, with_gaps

from thalweg.optim import RuleOptimizer
from thalweg.optim.rounding import stochastic
from thalweg.optim.steps import BLOCK

LOW = [torch.bfloat16, torch.float16]
low_precision = pytest.mark.parametrize("dtype", LOW, ids=str)


def rounded(values: list[float], dtype: torch.dtype, draws: int = 20_000) -> torch.Tensor:
    """Many roundings of each value, one value a column, as float64."""
    x = torch.tensor(values).expand(draws, len(values))
    return stochastic(x, dtype, torch.Generator().manual_seed(0)).double()


def neighbours(value: float, dtype: torch.dtype) -> tuple[float, float]:
    """The numbers of a dtype below and above a value, found among all of them."""
    every = torch.arange(-(2**15), 2**15, dtype=torch.int32).to(torch.int16).view(dtype).double()
    every = every[every.isfinite()]
    return every[every <= value].max().item(), every[every >= value].min().item()


# One rounding

VALUES = [1.0, 1.001, -1.001, 3.14159, -100.3, 0.1, 1e-3, 5.9e-6, -3.1e-7, 2e-8, 0.0, 65000.0]


@low_precision
def test_a_value_goes_to_one_of_its_two_neighbours_and_is_the_mean_of_where_it_goes(dtype):
    found = rounded(VALUES, dtype)
    for value, column in zip(torch.tensor(VALUES).double().tolist(), found.T, strict=True):
        low, high = neighbours(value, dtype)
        assert set(column.tolist()) <= {low, high}
        deviation = math.sqrt((value - low) * (high - value) / len(column))
        assert abs(column.mean().item() - value) <= 4.5 * deviation + 1e-12 * abs(value)


@low_precision
def test_numbers_of_the_narrow_dtype_are_never_changed(dtype):
    every = torch.arange(-(2**15), 2**15, dtype=torch.int32).to(torch.int16).view(dtype)
    found = stochastic(every.float(), dtype, torch.Generator().manual_seed(0))
    torch.testing.assert_close(found, every, rtol=0, atol=0, equal_nan=True)


@low_precision
def test_what_is_not_finite_or_out_of_range_is_rounded_as_torch_rounds_it(dtype):
    payload = torch.tensor([0x7FFFFFFF, -1], dtype=torch.int32).view(torch.float32)  # NaNs whose bits are all set
    largest = torch.finfo(dtype).max
    x = torch.cat([torch.tensor([math.inf, -math.inf, math.nan, 3.4e38, -3.4e38, largest, -largest]), payload])
    found = stochastic(x.repeat(100), dtype, torch.Generator().manual_seed(0))
    torch.testing.assert_close(found, x.repeat(100).to(dtype), rtol=0, atol=0, equal_nan=True)


# Many small updates

STEPS = 2000


def drift(dtype: torch.dtype, like: torch.dtype = torch.bfloat16, **options: str) -> float:
    """How far the mean of 4,096 weights near 1 goes in 2,000 steps, each a hundredth of the spacing of `like` there."""
    start = 1 + 0.5 * torch.rand(4096, generator=torch.Generator().manual_seed(0))
    p = torch.nn.Parameter(start.to(like).to(dtype))
    optimizer = RuleOptimizer([p], RULES["sgd"], lr=torch.finfo(like).eps / 100, **options)
    before = p.detach().double().mean()
    for _ in range(STEPS):
        step(optimizer, [p], [torch.full_like(p.detach(), -1.0)])
    return (p.detach().double().mean() - before).item()


@low_precision
def test_small_updates_drift_as_in_float32_where_rounding_to_the_nearest_stalls(dtype):
    expected = drift(torch.float32, dtype)
    assert expected == pytest.approx(STEPS * torch.finfo(dtype).eps / 100, rel=1e-2)
    assert drift(dtype, dtype) == 0.0
    assert drift(dtype, dtype, rounding="stochastic") == pytest.approx(expected, rel=0.05)
    assert drift(dtype, dtype, rounding="kahan") == pytest.approx(expected, rel=0.05)


@low_precision
@every_rule
def test_weight_and_compensation_together_follow_float32(rule, dtype):
    """Their sum has at least twice the digits of the weight."""
    ours, wide = parameters(dtype), [torch.nn.Parameter(p.detach().float()) for p in parameters(dtype)]
    optimizer, truth = RuleOptimizer(ours, rule, rounding="kahan"), RuleOptimizer(wide, rule, backend="plain")
    digits = torch.finfo(dtype).eps ** 2
    for row in gradients(ours, 6):
        step(optimizer, ours, row)
        step(truth, wide, [g.float() for g in row])
        for p, q in zip(ours, wide, strict=True):
            found = p.detach().float() + optimizer.state[p]["_compensation"].float()
            torch.testing.assert_close(found, q.detach(), rtol=4 * digits, atol=4 * digits)
            for name in rule.states:  # what differs by rounding must not add up
                if isinstance(truth.state[q][name], torch.Tensor):
                    truth.state[q][name].copy_(optimizer.state[p][name])
            q.data.copy_(found)


# In the driver


@pytest.mark.parametrize("backend", ["foreach", "blocks"])
@pytest.mark.parametrize("rounding", ["nearest", "kahan"])
def test_every_step_rounds_alike(rounding, backend):
    ours, other = parameters(torch.bfloat16), parameters(torch.bfloat16)
    grads = with_gaps(gradients(ours, 6))
    found = run(RuleOptimizer(ours, RULES["adam"], rounding=rounding, backend=backend), ours, grads)
    expected = run(RuleOptimizer(other, RULES["adam"], rounding=rounding, backend="plain"), other, grads)
    for row, truth in zip(found, expected, strict=True):
        for p, q in zip(row, truth, strict=True):
            torch.testing.assert_close(p, q, rtol=2 * torch.finfo(p.dtype).eps, atol=1e-6)


@pytest.mark.parametrize("backend", ["foreach", "blocks", "plain"])
@every_rule
def test_every_step_rounds_stochastically_to_a_neighbour_of_the_float32_result(rule, backend):
    if backend == "blocks" and not rule.program.elementwise:
        backend = "plain"
    ours, wide = (
        parameters(torch.bfloat16),
        [torch.nn.Parameter(p.detach().float()) for p in parameters(torch.bfloat16)],
    )
    (grads,) = gradients(ours, 1)
    step(RuleOptimizer(ours, rule, rounding="stochastic", backend=backend), ours, grads)
    step(RuleOptimizer(wide, rule, backend="plain"), wide, [g.float() for g in grads])
    for p, q in zip(ours, wide, strict=True):
        spacing = torch.finfo(p.dtype).eps * q.abs()
        assert ((p.float() - q).abs() <= spacing + 1e-30).all()


def test_the_noise_of_blocks_differs_from_block_to_block():
    p = torch.nn.Parameter(torch.zeros(2 * BLOCK, dtype=torch.bfloat16))
    optimizer = RuleOptimizer([p], RULES["sgd"], rounding="stochastic", lr=1.001, backend="blocks")
    step(optimizer, [p], [torch.ones_like(p.detach())])
    assert not torch.equal(p[:BLOCK], p[BLOCK:])


@pytest.mark.parametrize("backend", ["plain", "foreach", "blocks"])
def test_noise_differs_between_parameters_and_between_steps(backend):
    params = [torch.nn.Parameter(torch.zeros(1000, dtype=torch.bfloat16)) for _ in range(2)]
    optimizer = RuleOptimizer(params, RULES["sgd"], rounding="stochastic", lr=1.001, backend=backend)
    moves = []
    for _ in range(2):
        for p in params:
            p.data.zero_()
        step(optimizer, params, [torch.ones_like(p.detach()) for p in params])
        moves += [p.detach().clone() for p in params]
    assert not any(torch.equal(a, b) for i, a in enumerate(moves) for b in moves[:i])


def test_the_same_seed_gives_the_same_bits_and_another_gives_others():
    def trained(seed: int) -> torch.Tensor:
        (p,) = params = [torch.nn.Parameter(torch.zeros(1000, dtype=torch.bfloat16))]
        generator = torch.Generator().manual_seed(seed)
        optimizer = RuleOptimizer(params, RULES["sgd"], rounding="stochastic", lr=1.001, generator=generator)
        step(optimizer, params, [torch.ones_like(p.detach())])
        return p.detach()

    before = torch.random.get_rng_state()
    assert torch.equal(trained(1), trained(1))
    assert not torch.equal(trained(1), trained(2))
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("rounding", ["stochastic", "kahan"])
@pytest.mark.parametrize("name", ["adam", "gravity", "own"])
def test_resume_equals_uninterrupted_and_brings_the_rounding_with_it(name, rounding, tmp_path):
    ours, again = parameters(torch.bfloat16), parameters(torch.bfloat16)
    grads = gradients(ours, 8)
    generator = torch.Generator().manual_seed(1)
    optimizer = RuleOptimizer(ours, RULES[name], rounding=rounding, generator=generator)
    run(optimizer, ours, grads[:4])
    torch.save(optimizer.state_dict(), tmp_path / "state")
    with torch.no_grad():
        for p, q in zip(again, ours, strict=True):
            p.copy_(q)
    resumed = RuleOptimizer(again, RULES[name])  # of another seed, and to the nearest
    resumed.load_state_dict(torch.load(tmp_path / "state", weights_only=True))
    for row, expected in zip(run(resumed, again, grads[4:]), run(optimizer, ours, grads[4:]), strict=True):
        assert all(torch.equal(p, q) for p, q in zip(row, expected, strict=True))


@pytest.mark.parametrize("rounding", ["stochastic", "kahan"])
def test_weights_of_full_precision_are_not_rounded(rounding):
    ours, other = parameters(), parameters()
    grads = gradients(ours, 3)
    run(RuleOptimizer(ours, RULES["adam"], rounding=rounding), ours, grads)
    run(RuleOptimizer(other, RULES["adam"]), other, grads)
    assert all(torch.equal(p, q) for p, q in zip(ours, other, strict=True))


def test_rounding_may_be_chosen_for_a_group_and_changed_in_it():
    first, second = ([torch.nn.Parameter(torch.ones(1000, dtype=torch.bfloat16))] for _ in range(2))
    groups = [{"params": first, "rounding": "stochastic"}, {"params": second}]
    optimizer = RuleOptimizer(groups, RULES["sgd"], lr=torch.finfo(torch.bfloat16).eps / 10)
    for _ in range(5):
        step(optimizer, [*first, *second], [torch.ones(1000, dtype=torch.bfloat16)] * 2)
    assert len(first[0].unique()) > 1
    assert second[0].eq(1).all()
    optimizer.param_groups[1]["rounding"] = "stochastic"
    for _ in range(5):
        step(optimizer, [*first, *second], [torch.ones(1000, dtype=torch.bfloat16)] * 2)
    assert len(second[0].unique()) > 1
