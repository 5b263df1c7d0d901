"""What stands around an optimizer in training works: schedulers, gradient scalers, hooks, zero_grad, group edits."""

from __future__ import annotations

import inspect
from collections.abc import Callable

import pytest
import torch
from optim.trajectories import (
    OWN,
    RULES,
    assert_same,
    copies,
    every_rule,
    gradients,
    needs_native,
    parameters,
    run,
    step,
)
from torch.optim import lr_scheduler as schedulers
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook
from torch.optim.swa_utils import SWALR

from thalweg.optim import RuleOptimizer

STEPS = 24

# Every scheduler of torch, as it is made for an optimizer whose base lr is 0.01.
SCHEDULERS: dict[str, Callable[[torch.optim.Optimizer], schedulers.LRScheduler]] = {
    "LambdaLR": lambda o: schedulers.LambdaLR(o, lambda k: 1 / (1 + k)),
    "MultiplicativeLR": lambda o: schedulers.MultiplicativeLR(o, lambda k: 0.9),
    "StepLR": lambda o: schedulers.StepLR(o, 5),
    "MultiStepLR": lambda o: schedulers.MultiStepLR(o, [3, 10]),
    "ConstantLR": lambda o: schedulers.ConstantLR(o, 0.3, 4),
    "LinearLR": lambda o: schedulers.LinearLR(o, 0.1, total_iters=6),
    "ExponentialLR": lambda o: schedulers.ExponentialLR(o, 0.9),
    "PolynomialLR": lambda o: schedulers.PolynomialLR(o, 20, 2.0),
    "CosineAnnealingLR": lambda o: schedulers.CosineAnnealingLR(o, 9),
    "CosineAnnealingWarmRestarts": lambda o: schedulers.CosineAnnealingWarmRestarts(o, 7),
    "CyclicLR": lambda o: schedulers.CyclicLR(o, 0.001, 0.02, step_size_up=4),
    "OneCycleLR": lambda o: schedulers.OneCycleLR(o, 0.02, total_steps=STEPS + 1),
    "SequentialLR": lambda o: schedulers.SequentialLR(
        o, [schedulers.ConstantLR(o, 0.1, 3), schedulers.ExponentialLR(o, 0.9)], [4]
    ),
    "ChainedScheduler": lambda o: schedulers.ChainedScheduler(
        [schedulers.ConstantLR(o, 0.1, 3), schedulers.ExponentialLR(o, 0.9)]
    ),
    "ReduceLROnPlateau": lambda o: schedulers.ReduceLROnPlateau(o, patience=2),
    "SWALR": lambda o: SWALR(o, swa_lr=0.05, anneal_epochs=6),
}


def scheduled(optimizer, params, scheduler_name: str) -> list[list[torch.Tensor]]:
    scheduler = SCHEDULERS[scheduler_name](optimizer)
    weights = []
    for row in gradients(params, STEPS):
        step(optimizer, params, row)
        if isinstance(scheduler, schedulers.ReduceLROnPlateau):
            scheduler.step(1.0)
        else:
            scheduler.step()
        weights.append([p.detach().clone() for p in params])
    return weights


@pytest.mark.parametrize("name", SCHEDULERS)
def test_a_scheduler_drives_our_adam_as_it_drives_torchs(name):
    """So do schedulers that move betas too: CyclicLR and OneCycleLR."""
    ours, theirs = parameters(), parameters()
    found = scheduled(RuleOptimizer(ours, RULES["adam"], lr=0.01), ours, name)
    expected = scheduled(torch.optim.Adam(theirs, lr=0.01), theirs, name)
    for row, other in zip(found, expected, strict=True):
        torch.testing.assert_close(row, other, rtol=1e-6, atol=1e-6)


def test_every_scheduler_of_torch_is_tried():
    everyone = {name for name, kind in inspect.getmembers(schedulers, inspect.isclass) if name in schedulers.__all__}
    assert everyone - {"LRScheduler"} <= set(SCHEDULERS)


@needs_native
@pytest.mark.parametrize("name", ["adam", "gravity", "own"])
def test_a_schedule_compiles_nothing_anew(name):
    from thalweg.rules import native as native_rules  # imports numba

    params = parameters()
    optimizer = RuleOptimizer(params, RULES[name], lr=0.01)
    step(optimizer, params, gradients(params, 1)[0])
    before = native_rules.kernel.cache_info().misses
    scheduled(optimizer, params, "CosineAnnealingLR")
    assert native_rules.kernel.cache_info().misses == before


@every_rule
def test_every_rule_is_stepped_with_the_lr_of_the_moment(rule):
    """Stepping with a schedule is stepping each time with an optimizer built anew on the same state."""
    ours, other = parameters(), parameters()
    lr = rule.hyperparameters["lr"]
    optimizer, held = RuleOptimizer(ours, rule), RuleOptimizer(other, rule)
    scheduler = schedulers.ExponentialLR(optimizer, 0.5)
    saved = held.state_dict()
    for k, row in enumerate(gradients(ours, 4)):
        step(optimizer, ours, row)
        scheduler.step()
        held = RuleOptimizer(other, rule)
        saved["param_groups"][0]["lr"] = lr * 0.5**k
        held.load_state_dict(saved)
        step(held, other, row)
        saved = held.state_dict()
        assert_same(ours, other)


# GradScaler


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("name", ["adam", "gravity", "own"])
def test_a_grad_scaler_steps_with_the_unscaled_gradients(name, dtype):
    inputs = torch.linspace(-1, 1, 12).reshape(4, 3)

    def gradients_of(layer: torch.nn.Linear, scale) -> None:
        with torch.autocast("cpu", dtype=dtype):
            loss = layer(inputs).square().mean()
        scale(loss).backward()

    with torch.random.fork_rng():
        torch.manual_seed(0)
        ours = torch.nn.Linear(3, 2)
    other = torch.nn.Linear(3, 2)
    other.load_state_dict(ours.state_dict())
    scaled, bare = RuleOptimizer(ours.parameters(), RULES[name]), RuleOptimizer(other.parameters(), RULES[name])
    scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
    for _ in range(3):
        scaled.zero_grad()
        gradients_of(ours, scaler.scale)
        factor = scaler.get_scale()
        expected = [p.grad.clone() / factor for p in ours.parameters()]
        scaler.step(scaled)
        scaler.update()
        step(bare, list(other.parameters()), expected)
        assert_same(list(ours.parameters()), list(other.parameters()))


@pytest.mark.parametrize("name", ["adam", "gravity", "own"])
def test_a_grad_scaler_skips_a_step_with_infinite_gradients(name):
    params = parameters(torch.float32)
    optimizer = RuleOptimizer(params, RULES[name])
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
    start = copies(params)
    for p, g in zip(params, gradients(params, 1)[0], strict=True):
        p.grad = g
    params[1].grad[3] = torch.inf
    scaler.scale(torch.zeros(()))
    scaler.step(optimizer)
    scaler.update()
    assert scaler.get_scale() == 4.0
    assert_same(params, start)
    assert [optimizer.state[p]["step"] for p in params] == [0] * len(params)


# Hooks


def heard(make: Callable[[list], torch.optim.Optimizer]) -> list[str]:
    """The events of two steps, with hooks of the optimizer, of all optimizers, and a closure."""
    events = []
    p = torch.nn.Parameter(torch.ones(2))
    optimizer = make([p])
    optimizer.register_step_post_hook(lambda o, args, kwargs: events.append(f"after {p[0].item():.3f}"))
    optimizer.register_step_pre_hook(lambda o, args, kwargs: events.append(f"before {p[0].item():.3f}"))
    handles = [
        register_optimizer_step_pre_hook(lambda o, args, kwargs: events.append("before, global")),
        register_optimizer_step_post_hook(lambda o, args, kwargs: events.append("after, global")),
    ]

    def closure() -> float:
        events.append("closure")
        p.grad = torch.ones(2)
        return 1.5

    try:
        events.append(str(optimizer.step(closure)))
        events.append(str(optimizer.step()))
    finally:
        for handle in handles:
            handle.remove()
    return events


def test_step_hooks_run_in_torchs_order():
    ours = heard(lambda params: RuleOptimizer(params, RULES["sgd"], lr=0.25))
    assert ours == heard(lambda params: torch.optim.SGD(params, lr=0.25))
    assert ours[:5] == ["before, global", "before 1.000", "closure", "after 0.750", "after, global"]


def test_a_step_pre_hook_may_change_the_arguments():
    p = torch.nn.Parameter(torch.ones(2))
    optimizer = RuleOptimizer([p], RULES["sgd"])
    optimizer.register_step_pre_hook(lambda o, args, kwargs: ((o, lambda: 7.0), {}))
    assert optimizer.step() == 7.0


# zero_grad, edits of groups and of gradients


@pytest.mark.parametrize("set_to_none", [True, False])
def test_zero_grad_is_torchs(set_to_none):
    params = parameters()
    optimizer = RuleOptimizer(params, RULES["adam"])
    step(optimizer, params, gradients(params, 1)[0])
    optimizer.zero_grad(set_to_none=set_to_none)
    if set_to_none:
        assert all(p.grad is None for p in params)
    else:
        assert all(not p.grad.any() for p in params)


@every_rule
def test_gradients_kept_between_steps_and_overwritten_in_place_are_read_anew(rule):
    ours, other = parameters(), parameters()
    kept, fresh = RuleOptimizer(ours, rule), RuleOptimizer(other, rule)
    grads = gradients(ours, 4)
    for p in ours:
        p.grad = torch.zeros_like(p.detach())
    for row in grads:
        for p, g in zip(ours, row, strict=True):
            p.grad.copy_(g)
        kept.step()
        step(fresh, other, row)
        assert_same(ours, other)


@pytest.mark.parametrize("name", ["adam", "gravity", "own"])
def test_hyperparameters_edited_in_a_group_hold_from_the_next_step_on(name):
    rule = RULES[name]
    edits = {"weight_decay": 0.3, "maximize": True, "decay": "decoupled", "lr": 0.07}
    ours, other = parameters(), parameters()
    grads = gradients(ours, 4)
    edited, plain = RuleOptimizer(ours, rule), RuleOptimizer(other, rule, backend="plain")
    for k, row in enumerate(grads):
        if k == 2:
            edited.param_groups[0].update(edits)
            plain.param_groups[0].update(edits)
        step(edited, ours, row)
        step(plain, other, row)
        torch.testing.assert_close([p.detach() for p in ours], [p.detach() for p in other], rtol=1e-12, atol=1e-12)


def test_parameters_reordered_or_taken_out_of_a_group_keep_their_states():
    ours, other = parameters(), parameters()
    grads = gradients(ours, 6)
    edited, whole = RuleOptimizer(ours, OWN), RuleOptimizer(other, OWN)
    run(edited, ours, grads[:2])
    run(whole, other, grads[:2])
    edited.param_groups[0]["params"].reverse()
    for row in grads[2:4]:
        step(edited, ours, row)
        step(whole, other, row)
    assert_same(ours, other)
    gone = edited.param_groups[0]["params"].pop()
    before = gone.detach().clone()
    for row in grads[4:]:
        step(edited, ours, row)
        step(whole, other, row)
    assert gone is ours[0]
    assert_same([gone], [before])
    assert_same(ours[1:], other[1:])


@pytest.mark.parametrize("name", ["adam", "gravity"])
def test_a_step_inside_inference_mode_is_a_step(name):
    ours, other = parameters(), parameters()
    inside, outside = RuleOptimizer(ours, RULES[name]), RuleOptimizer(other, RULES[name])
    for row in gradients(ours, 2):
        step(outside, other, row)
        with torch.inference_mode():
            step(inside, ours, row)
        assert_same(ours, other)


def test_a_model_trained_by_accumulated_gradients_is_trained_by_their_sum():
    ours, other = parameters(), parameters()
    parts, whole = RuleOptimizer(ours, OWN), RuleOptimizer(other, OWN)
    for first, second in zip(gradients(ours, 3, seed=1), gradients(ours, 3, seed=2), strict=True):
        for p, a, b in zip(ours, first, second, strict=True):
            p.grad = None
            for g in (a, b):
                p.backward(g)
        parts.step()
        step(whole, other, [a + b for a, b in zip(first, second, strict=True)])
        assert_same(ours, other)
