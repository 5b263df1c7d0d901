"""What torch's contract and mathematics promise of every optimizer holds for every rule, and for a user's own."""

from __future__ import annotations

import math

import pytest
import torch
from optim.trajectories import (
    NOISY,
    RULES,
    SETTINGS,
    assert_same,
    copies,
    every_rule,
    gradients,
    moved,
    needs_native,
    parameters,
    run,
    share_states,
    step,
    with_gaps,
)  # fmt: skip

from thalweg import Rule
from thalweg.optim import RuleOptimizer

STEPS = 8
QUIET = {name: rule for name, rule in RULES.items() if name not in NOISY}


def states(optimizer: torch.optim.Optimizer, p: torch.Tensor) -> list[torch.Tensor]:
    return [torch.as_tensor(value).clone() for value in optimizer.state[p].values()]


# One optimizer against several, against torch's other forms of the same thing


@every_rule
def test_two_groups_are_two_optimizers(rule):
    ours, first, second = parameters(), parameters(), parameters()
    lr = 0.3 * rule.hyperparameters["lr"]
    together = RuleOptimizer([{"params": ours[::2]}, {"params": ours[1::2], "lr": lr}], rule)
    alone = RuleOptimizer(first[::2], rule), RuleOptimizer(second[1::2], rule, lr=lr)
    share_states(together, alone[0], list(zip(ours[::2], first[::2], strict=True)))
    share_states(together, alone[1], list(zip(ours[1::2], second[1::2], strict=True)))
    for row in with_gaps(gradients(ours, STEPS)):
        step(together, ours, row)
        step(alone[0], first[::2], row[::2])
        step(alone[1], second[1::2], row[1::2])
        assert_same(ours[::2], first[::2])
        assert_same(ours[1::2], second[1::2])


@every_rule
def test_maximizing_with_coupled_decay_is_minimizing_the_negated_objective_with_its_penalty(rule):
    ours, plain = parameters(), parameters()
    up = RuleOptimizer(ours, rule, backend="plain", **SETTINGS["maximize_coupled"])
    down = RuleOptimizer(plain, rule, backend="plain", weight_decay=0.0)
    for row in gradients(ours, STEPS):
        step(up, ours, row)
        step(down, plain, [-g + 0.1 * q.detach() for g, q in zip(row, plain, strict=True)])
        assert_same(ours, plain)


@needs_native
@pytest.mark.parametrize("name", ["adam", "gravity", "ades", "own"])
def test_maximizing_is_minimizing_the_negated_objective(name):
    ours, negated = parameters(), parameters()
    up, down = RuleOptimizer(ours, RULES[name], maximize=True), RuleOptimizer(negated, RULES[name])
    for row in gradients(ours, STEPS):
        step(up, ours, row)
        step(down, negated, [-g for g in row])
        assert_same(ours, negated)


@every_rule
def test_decoupled_decay_shrinks_the_weight_before_the_step_and_leaves_the_gradient(rule):
    ours, shrunk = parameters(), parameters()
    decayed = RuleOptimizer(ours, rule, backend="plain", lr=0.5, weight_decay=0.1, decay="decoupled")
    bare = RuleOptimizer(shrunk, rule, backend="plain", lr=0.5, weight_decay=0.0)
    for row in gradients(ours, STEPS):
        step(decayed, ours, row)
        with torch.no_grad():
            for p in shrunk:
                p.mul_(1 - 0.5 * 0.1)
        step(bare, shrunk, row)
        assert_same(ours, shrunk)


@every_rule
def test_a_complex_parameter_is_stepped_as_its_real_and_imaginary_parts(rule):
    random = torch.Generator().manual_seed(0)
    values = [torch.randn(shape, generator=random, dtype=torch.complex128) for shape in ((3, 2), (), (0,))]
    values.append(torch.randn(2, 3, generator=random, dtype=torch.complex128).t())
    ours = [torch.nn.Parameter(v.clone()) for v in values]
    real = [torch.nn.Parameter(torch.view_as_real(v.clone())) for v in values]
    whole, parts = RuleOptimizer(ours, rule), RuleOptimizer(real, rule)
    for row in with_gaps(gradients(real, STEPS)):
        step(parts, real, row)
        step(whole, ours, [None if g is None else torch.view_as_complex(g) for g in row])
        assert_same([torch.view_as_real(p.detach()) for p in ours], real)


@pytest.mark.parametrize("name", ["adam", "gravity"])
def test_a_complex_parameter_trains_by_autograd_through_its_conjugate(name):
    p = torch.nn.Parameter(torch.tensor([1.0 + 2.0j, -0.5 + 0.1j]))
    optimizer = RuleOptimizer([p], RULES[name])
    before = p.detach().clone()
    (p.conj() * torch.tensor([1j, 2.0])).real.sum().backward()
    optimizer.step()
    assert moved([p.detach()], [before])


@every_rule
def test_an_lr_given_as_a_tensor_is_the_same_as_a_float(rule):
    ours, other = parameters(), parameters()
    lr = rule.hyperparameters["lr"]
    tensor = RuleOptimizer(ours, rule, lr=torch.tensor(lr, dtype=torch.float64))
    number = RuleOptimizer(other, rule, lr=lr)
    for k, row in enumerate(gradients(ours, STEPS)):
        if k == 4:
            tensor.param_groups[0]["lr"].fill_(lr / 4)
            number.param_groups[0]["lr"] = lr / 4
        step(tensor, ours, row)
        step(number, other, row)
        assert_same(ours, other)


@every_rule
def test_a_group_added_later_is_as_if_given_at_the_start(rule):
    ours, other = parameters(), parameters()
    grads = gradients(ours, STEPS)
    for row in grads[:2]:
        row[2:] = [None] * len(row[2:])
    whole = RuleOptimizer([{"params": ours[:2]}, {"params": ours[2:], "lr": 0.3}], rule)
    grown = RuleOptimizer(other[:2], rule)
    for k, row in enumerate(grads):
        if k == 2:
            grown.add_param_group({"params": other[2:], "lr": 0.3})
        step(whole, ours, row)
        step(grown, other, row)
    assert_same(ours, other)


@every_rule
def test_torchs_foreach_and_fused_are_taken_and_change_nothing(rule):
    ours, other = parameters(), parameters()
    grads = gradients(ours, 3)
    run(RuleOptimizer(ours, rule, foreach=True, fused=True), ours, grads)
    run(RuleOptimizer(other, rule, foreach=False, fused=None), other, grads)
    assert_same(ours, other)


# What a step touches


@every_rule
def test_gradients_are_unchanged_by_a_step(rule):
    params = parameters()
    optimizer = RuleOptimizer(params, rule)
    for row in gradients(params, 3):
        before = [g.clone() for g in row]
        step(optimizer, params, row)
        assert all(p.grad is g for p, g in zip(params, row, strict=True))
        assert_same(row, before)


@every_rule
def test_gradients_are_unchanged_by_a_step_of_torch_operations_that_maximizes_and_decays(rule):
    params = parameters()
    optimizer = RuleOptimizer(params, rule, backend="plain", **SETTINGS["maximize_coupled"])
    for row in gradients(params, 3):
        before = [g.clone() for g in row]
        step(optimizer, params, row)
        assert_same(row, before)


@every_rule
def test_without_gradients_a_step_changes_nothing(rule):
    params = parameters()
    optimizer = RuleOptimizer(params, rule)
    step(optimizer, params, gradients(params, 1)[0])
    weights, before = copies(params), [states(optimizer, p) for p in params]
    step(optimizer, params, [None] * len(params))
    assert_same(params, weights)
    for p, expected in zip(params, before, strict=True):
        assert_same(states(optimizer, p), expected)


@pytest.mark.parametrize("rule", QUIET.values(), ids=QUIET)
def test_zero_gradients_from_the_start_move_nothing(rule):
    """Not so for Gravity, whose start noise moves every weight (spec/gravity.md 2.2)."""
    params = parameters()
    start = copies(params)
    optimizer = RuleOptimizer(params, rule, weight_decay=0.0)
    for _ in range(3):
        step(optimizer, params, [torch.zeros_like(p.detach()) for p in params])
    assert_same(params, start)


@every_rule
def test_a_nan_gradient_touches_no_other_parameter(rule):
    ours, other = parameters(), parameters()
    poisoned, clean = RuleOptimizer(ours, rule), RuleOptimizer(other, rule)
    for k, row in enumerate(gradients(ours, 4)):
        step(clean, other, row)
        if k >= 1:
            row[0] = torch.full_like(row[0], math.nan)
        step(poisoned, ours, row)
        assert_same(ours[1:], other[1:])


@every_rule
def test_a_step_is_seen_by_autograd_as_a_change_of_the_weights(rule):
    params = parameters()
    optimizer = RuleOptimizer(params, rule)
    for row in gradients(params, 2):
        before = [p._version for p in params]
        step(optimizer, params, row)
        assert all(p._version > version for p, version in zip(params, before, strict=True))


# The closure


@every_rule
def test_the_closure_is_called_once_with_gradients_on_and_its_loss_is_returned(rule):
    p = torch.nn.Parameter(torch.ones(4, dtype=torch.float64))
    optimizer = RuleOptimizer([p], rule)
    calls = []

    def closure() -> torch.Tensor:
        assert torch.is_grad_enabled()
        optimizer.zero_grad()
        loss = (p**2).sum()
        loss.backward()
        calls.append(p.detach().clone())
        return loss

    with torch.no_grad():
        loss = optimizer.step(closure)
    assert len(calls) == 1
    assert float(loss.detach()) == 4.0
    assert torch.equal(calls[0], torch.ones(4, dtype=torch.float64))  # called before the step
    assert moved([p.detach()], calls)


def test_a_step_without_closure_returns_none():
    p = torch.nn.Parameter(torch.ones(4))
    assert RuleOptimizer([p], RULES["sgd"]).step() is None


# Every hyperparameter is heard


OTHERWISE = {"eps": 0.3, "weight_decay": 0.2, "lr_decay": 0.3, "momentum_decay": 0.5, "dampening": 0.4}
# The bounds of Rprop's steps, so near its lr that eight steps reach them.
OTHERWISE |= {
    "etas": [(0.35, 1.2), (0.5, 1.1)],
    "step_sizes": [(0.009, 50.0), (1e-6, 0.011)],
    "initial_accumulator_value": 0.5,
    "alpha": 0.03,
}


def changes(rule):
    """Each hyperparameter of a rule with another value; of a tuple, each of its numbers."""
    for key, value in rule.hyperparameters.items():
        if isinstance(OTHERWISE.get(key), list):
            yield from ((key, other) for other in OTHERWISE[key])
        elif isinstance(value, tuple):
            yield from ((key, (*value[:i], 0.7 * value[i], *value[i + 1 :])) for i in range(len(value)))
        else:
            yield key, OTHERWISE.get(key, 0.7 * value)


CHANGES = [
    pytest.param(rule, key, value, id=f"{n}-{key}-{value}") for n, rule in RULES.items() for key, value in changes(rule)
]


@pytest.mark.parametrize(("rule", "key", "value"), CHANGES)
def test_every_hyperparameter_changes_the_trajectory(rule, key, value):
    assert value != rule.hyperparameters[key]
    ours, other = parameters(), parameters()
    grads = gradients(ours, STEPS)
    run(RuleOptimizer(ours, rule, backend="plain"), ours, grads)
    run(RuleOptimizer(other, rule, backend="plain", **{key: value}), other, grads)
    assert moved(ours, other)


@every_rule
def test_the_kind_of_decay_changes_the_trajectory(rule):
    ours, other = parameters(), parameters()
    grads = gradients(ours, STEPS)
    for params, decay in ((ours, "coupled"), (other, "decoupled")):
        run(RuleOptimizer(params, rule, backend="plain", weight_decay=0.2, decay=decay), params, grads)
    assert moved(ours, other)
    assert RuleOptimizer(ours, rule).param_groups[0]["decay"] == rule.decay


# State


@every_rule
def test_states_exist_before_the_first_step(rule):
    params = parameters()
    optimizer = RuleOptimizer(params, rule)
    for p in params:
        assert list(optimizer.state[p]) == ["step", *rule.states]
        assert optimizer.state[p]["step"] == 0
    keys = optimizer.state_dict()["state"][0].keys()
    step(optimizer, params, gradients(params, 1)[0])
    assert optimizer.state_dict()["state"][0].keys() == keys


@every_rule
def test_every_hyperparameter_is_a_key_of_every_group(rule):
    params = parameters()
    optimizer = RuleOptimizer([{"params": params[:2]}, {"params": params[2:], "lr": 0.7}], rule)
    for group in optimizer.param_groups:
        assert {*rule.hyperparameters, "maximize", "decay", "params"} <= set(group)
    assert [group["lr"] for group in optimizer.param_groups] == [rule.hyperparameters["lr"], 0.7]


@pytest.mark.parametrize("value", [0.25, 3.3, 1e-9])
def test_a_state_starts_at_its_initial_value_in_its_own_precision(value):
    """In float64 too, whatever torch's default dtype is."""
    p = torch.nn.Parameter(torch.zeros(3, dtype=torch.float64))
    optimizer = RuleOptimizer([p], RULES["adagrad"], initial_accumulator_value=value)
    assert optimizer.state[p]["s"].tolist() == [value] * 3


def test_an_initial_value_may_be_made_of_the_weight_and_of_hyperparameters():
    """An optimizer that pulls towards where it started, as L2-SP does."""
    text = "a = anchor\nb = bias\nanchor = a\nbias = b\nw = w - lr*(g + b*(w - a))"
    rule = Rule("pulled", text, state="anchor bias", init={"anchor": "w", "bias": "pull"}, lr=0.5, pull=0.25)
    start = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    for value in (start, start.t(), start.to(torch.bfloat16), torch.complex(start, -start)):
        p = torch.nn.Parameter(value.clone())
        optimizer = RuleOptimizer([p], rule)
        anchor = optimizer.state[p]["anchor"]
        assert torch.equal(anchor, (torch.view_as_real(value) if p.is_complex() else value).to(anchor.dtype))
        assert optimizer.state[p]["bias"] == 0.25
        step(optimizer, [p], [torch.ones_like(p.detach())])
        torch.testing.assert_close(p.detach(), value - 0.5)
