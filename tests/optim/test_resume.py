"""Resume equals uninterrupted to the bit: state dicts through torch.save, copies and pickles, for every rule."""

from __future__ import annotations

import copy
import io
import pickle

import pytest
import torch
from optim.trajectories import (
    GALLERY,
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
    with_gaps,
)  # fmt: skip

from thalweg.optim import RuleOptimizer

STEPS = 4
DTYPES = {"float64": torch.float64, "bfloat16": torch.bfloat16}


def through_a_file(saved):
    file = io.BytesIO()
    torch.save(saved, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=DTYPES)
@every_rule
def test_resume_through_a_file_equals_uninterrupted(rule, dtype):
    ours = parameters(dtype)
    optimizer = RuleOptimizer(ours, rule, generator=torch.Generator().manual_seed(1))
    grads = with_gaps(gradients(ours, 2 * STEPS))
    run(optimizer, ours, grads[:STEPS])
    optimizer.param_groups[0]["lr"] *= 0.5
    weights = [p.detach().clone() for p in ours]
    saved = through_a_file(optimizer.state_dict())
    expected = run(optimizer, ours, grads[STEPS:])

    again = parameters(dtype)
    with torch.no_grad():
        for p, w in zip(again, weights, strict=True):
            p.copy_(w)
    resumed = RuleOptimizer(again, rule, generator=torch.Generator().manual_seed(2))
    resumed.load_state_dict(saved)
    for found, row in zip(run(resumed, again, grads[STEPS:]), expected, strict=True):
        assert_same(found, row)
    for p, q in zip(again, ours, strict=True):
        assert list(resumed.state[p]) == list(optimizer.state[q])
        for found, state in zip(resumed.state[p].values(), optimizer.state[q].values(), strict=True):
            assert type(found) is type(state)
            if isinstance(found, torch.Tensor):
                assert found.dtype == state.dtype == (torch.float32 if dtype == torch.bfloat16 else dtype)
                assert_same([found], [state])
            else:
                assert found == state


@every_rule
def test_a_loaded_state_dict_is_saved_again_unchanged(rule):
    params = parameters(torch.bfloat16)
    optimizer = RuleOptimizer(params, rule)
    run(optimizer, params, with_gaps(gradients(params, STEPS)))
    saved = through_a_file(optimizer.state_dict())
    other = RuleOptimizer(parameters(torch.bfloat16), rule)
    other.load_state_dict(saved)
    again = through_a_file(other.state_dict())
    assert again["param_groups"] == saved["param_groups"]
    for i, state in saved["state"].items():
        assert list(again["state"][i]) == list(state)
        for name, value in state.items():
            assert_same([torch.as_tensor(again["state"][i][name])], [torch.as_tensor(value)])


@every_rule
def test_a_loaded_optimizer_shares_no_memory_with_its_source(rule):
    ours, other = parameters(), parameters()
    optimizer, loaded = RuleOptimizer(ours, rule), RuleOptimizer(other, rule)
    grads = gradients(ours, STEPS)
    run(optimizer, ours, grads[:2])
    run(loaded, other, grads[:2])
    loaded.load_state_dict(optimizer.state_dict())
    before = copy.deepcopy(optimizer.state_dict())
    run(loaded, other, grads[2:])
    for i, state in before["state"].items():
        now = optimizer.state_dict()["state"][i]
        assert_same([torch.as_tensor(v) for v in now.values()], [torch.as_tensor(v) for v in state.values()])


@pytest.mark.parametrize("how", ["deepcopy", "pickle"])
@every_rule
def test_a_copy_continues_as_the_original_and_apart_from_it(rule, how):
    ours = parameters()
    optimizer = RuleOptimizer([{"params": ours[:2]}, {"params": ours[2:], "lr": 0.2}], rule)
    grads = gradients(ours, 2 * STEPS)
    run(optimizer, ours, grads[:STEPS])
    twin = copy.deepcopy(optimizer) if how == "deepcopy" else pickle.loads(pickle.dumps(optimizer))
    theirs = [p for group in twin.param_groups for p in group["params"]]
    start = copies(theirs)
    assert_same(theirs, ours)
    expected = run(optimizer, ours, grads[STEPS:])
    assert_same(theirs, start)
    for found, row in zip(run(twin, theirs, grads[STEPS:]), expected, strict=True):
        assert_same(found, row)
    assert twin.rule == optimizer.rule
    assert repr(twin) == repr(optimizer)


def test_a_state_dict_in_a_different_layout_is_loaded_into_the_layout_of_the_weights():
    """Saved from contiguous weights, loaded for transposed ones, which then still take the same step as before."""
    ours = [torch.nn.Parameter(torch.ones(3, 4, dtype=torch.float64))]
    other = [torch.nn.Parameter(torch.ones(4, 3, dtype=torch.float64).t())]
    first, second = RuleOptimizer(ours, RULES["adam"]), RuleOptimizer(other, RULES["adam"])
    before = second.plan()
    grads = gradients(ours, 4)
    run(first, ours, grads[:2])
    with torch.no_grad():
        other[0].copy_(ours[0])
    second.load_state_dict(first.state_dict())
    assert second.plan() == before
    expected = run(first, ours, grads[2:])
    for (g,), row in zip(grads[2:], expected, strict=True):
        step(second, other, [torch.empty_like(other[0].detach()).copy_(g)])
        torch.testing.assert_close(other[0].detach(), row[0], rtol=0, atol=0, check_stride=False)


def test_a_frozen_parameter_has_no_state_and_gets_one_after_a_resume():
    ours = [torch.nn.Parameter(torch.ones(2)), torch.nn.Parameter(torch.ones(2), requires_grad=False)]
    optimizer = RuleOptimizer(ours, RULES["adam"])
    step(optimizer, ours, [torch.ones(2), None])
    other = copies(ours)
    other[1].requires_grad_(False)
    resumed = RuleOptimizer(other, RULES["adam"])
    resumed.load_state_dict(through_a_file(optimizer.state_dict()))
    for params, driven in ((ours, optimizer), (other, resumed)):
        params[1].requires_grad_(True)
        step(driven, params, [torch.ones(2), torch.full((2,), 3.0)])
    assert_same(other, ours)
    assert (resumed.state[other[0]]["step"], resumed.state[other[1]]["step"]) == (2, 1)


# What is refused

FOREIGN = [
    pytest.param(rule, other, id=f"{rule.name}-into-{other.name}")
    for rule, other in zip([*RULES.values()], [*list(RULES.values())[3:], *list(RULES.values())[:3]], strict=True)
    if set(rule.states) != set(other.states)
]


@pytest.mark.parametrize(("rule", "other"), FOREIGN)
def test_the_state_dict_of_another_rule_is_refused_and_changes_nothing(rule, other):
    ours, theirs = parameters(), parameters()
    optimizer, target = RuleOptimizer(ours, rule, lr=0.5), RuleOptimizer(theirs, other)
    grads = gradients(ours, 2)
    run(optimizer, ours, grads)
    before = copy.deepcopy(target.state_dict())
    with pytest.raises(ValueError, match=rf"the state dict holds .*; {other.name} needs "):
        target.load_state_dict(optimizer.state_dict())
    after = target.state_dict()
    assert after["param_groups"] == before["param_groups"]
    for i, state in before["state"].items():
        assert_same([torch.as_tensor(v) for v in after["state"][i].values()], [*map(torch.as_tensor, state.values())])


def test_the_state_dict_of_torchs_own_adam_is_refused():
    p = torch.nn.Parameter(torch.ones(2))
    theirs = torch.optim.Adam([p])
    p.grad = torch.ones(2)
    theirs.step()
    with pytest.raises(ValueError, match="exp_avg"):
        RuleOptimizer([p], RULES["adam"]).load_state_dict(theirs.state_dict())


def test_states_of_other_shapes_are_refused():
    ours, theirs = torch.nn.Parameter(torch.ones(3)), torch.nn.Parameter(torch.ones(2, 2))
    target = RuleOptimizer([theirs], RULES["adam"])
    with pytest.raises(ValueError, match=r"\(3,\).*needed: \(2, 2\)"):
        target.load_state_dict(RuleOptimizer([ours], RULES["adam"]).state_dict())


@pytest.mark.parametrize("count", [0, 1])
def test_a_state_dict_of_other_groups_is_refused_as_torch_does(count):
    def refusal(make) -> str:
        p, q = torch.nn.Parameter(torch.ones(3)), torch.nn.Parameter(torch.ones(3))
        groups = [[{"params": [p]}, {"params": [q]}], [p, q]][count]
        with pytest.raises(ValueError, match="loaded state dict") as error:
            make([p]).load_state_dict(make(groups).state_dict())
        return str(error.value)

    ours = refusal(lambda params: RuleOptimizer(params, RULES["sgd"]))
    assert ours == refusal(lambda params: torch.optim.SGD(params))


# State-dict hooks


def test_state_dict_hooks_run_as_torchs_do():
    def heard(make) -> list[str]:
        p, events = torch.nn.Parameter(torch.ones(2)), []
        optimizer = make([p])
        optimizer.register_state_dict_pre_hook(lambda o: events.append("before saving"))
        optimizer.register_state_dict_post_hook(lambda o, s: events.append(f"after saving {sorted(s)}"))
        optimizer.register_load_state_dict_pre_hook(lambda o, s: events.append(f"before loading {sorted(s)}"))
        optimizer.register_load_state_dict_post_hook(lambda o: events.append("after loading"))
        optimizer.load_state_dict(optimizer.state_dict())
        return events

    assert heard(lambda params: RuleOptimizer(params, RULES["adam"])) == heard(torch.optim.Adam)


def test_a_load_hook_that_rewrites_the_state_dict_is_heeded():
    p = torch.nn.Parameter(torch.zeros(2))
    optimizer = RuleOptimizer([p], RULES["heavy_ball"])

    def renamed(_, loaded):
        state = {i: {"step": s["step"], "v": s["momentum_buffer"]} for i, s in loaded["state"].items()}
        return {**loaded, "state": state}

    optimizer.register_load_state_dict_pre_hook(renamed)
    saved = optimizer.state_dict()
    saved["state"] = {0: {"step": 3, "momentum_buffer": torch.tensor([1.0, 2.0])}}
    optimizer.load_state_dict(saved)
    assert optimizer.state[p]["v"].tolist() == [1.0, 2.0]
    assert optimizer.state[p]["step"] == 3


def test_a_state_after_loading_is_what_a_post_hook_made_of_it():
    """A hook after loading sees, and may change, the states as they will be stepped."""
    p = torch.nn.Parameter(torch.zeros(2, dtype=torch.bfloat16))
    optimizer = RuleOptimizer([p], RULES["heavy_ball"])
    optimizer.register_load_state_dict_post_hook(lambda o: o.state[p]["v"].fill_(7.0))
    optimizer.load_state_dict(optimizer.state_dict())
    assert optimizer.state[p]["v"].tolist() == [7.0, 7.0]


def test_an_older_state_dict_without_a_hyperparameter_takes_the_constructors():
    p = torch.nn.Parameter(torch.zeros(2))
    saved = RuleOptimizer([p], RULES["adam"]).state_dict()
    del saved["param_groups"][0]["eps"]
    optimizer = RuleOptimizer([p], RULES["adam"], eps=0.125)
    optimizer.load_state_dict(saved)
    assert optimizer.param_groups[0]["eps"] == 0.125


@needs_native
def test_a_resumed_optimizer_takes_the_native_step_again():
    params = parameters()
    optimizer = RuleOptimizer(params, OWN)
    step(optimizer, params, gradients(params, 1)[0])
    optimizer.load_state_dict(through_a_file(optimizer.state_dict()))
    assert {plan.backend for plan in optimizer.plan()} == {"native"}
    assert set(GALLERY) < set(RULES)
