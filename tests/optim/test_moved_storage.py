"""Weights, gradients and states that move in memory between steps are followed, and never written beyond."""

from __future__ import annotations

import pytest
import torch
from optim.trajectories import RULES, assert_same, gradients, parameters, share_states, step
from torch.multiprocessing.reductions import StorageWeakRef

from thalweg.optim import RuleOptimizer

NAMES = ["adam", "gravity", "own"]
STEPS = 6


def pair(name: str):
    """An optimizer to be disturbed, and one that is made anew for each step, which can hold nothing stale."""
    ours, other = parameters(), parameters()
    return ours, RuleOptimizer(ours, RULES[name]), other, RuleOptimizer(other, RULES[name])


def assert_undisturbed_by(name: str, disturb) -> None:
    """A disturbance of storage after every second step changes no number."""
    ours, disturbed, other, truth = pair(name)
    for k, row in enumerate(gradients(ours, STEPS)):
        if k % 2 == 1:
            disturb(disturbed, ours)
        step(disturbed, ours, [torch.empty_like(p.detach()).copy_(g) for p, g in zip(ours, row, strict=True)])
        step(truth, other, row)
        for p, q in zip(ours, other, strict=True):
            torch.testing.assert_close(p.detach(), q.detach(), rtol=1e-12, atol=1e-12, check_stride=False)


def into_new_storage(optimizer, params):
    for p in params:
        p.data = p.data.clone()


def into_one_flat_vector(optimizer, params):
    flat = torch.cat([p.detach().reshape(-1) for p in params])
    torch.nn.utils.vector_to_parameters(flat, params)


def into_another_layout(optimizer, params):
    for p in params:
        p.data = p.data.t().contiguous().t() if p.dim() == 2 else p.data.contiguous()


def into_shared_memory(optimizer, params):
    for p in params:
        p.share_memory_()


def states_into_shared_memory(optimizer, params):
    for state in optimizer.state.values():
        for value in state.values():
            if isinstance(value, torch.Tensor):
                value.share_memory_()


def states_by_assignment(optimizer, params):
    for state in optimizer.state.values():
        for name, value in state.items():
            if isinstance(value, torch.Tensor):
                state[name] = value.clone()
                value.fill_(torch.nan)  # whoever still reads the old one shows it


def states_by_their_data(optimizer, params):
    for state in optimizer.state.values():
        for value in state.values():
            if isinstance(value, torch.Tensor):
                old = value.data
                value.data = value.data.clone()
                old.fill_(torch.nan)


def states_by_another_dictionary(optimizer, params):
    for p in params:
        old = optimizer.state[p]
        optimizer.state[p] = {k: v.clone() if isinstance(v, torch.Tensor) else v for k, v in old.items()}
        for value in old.values():
            if isinstance(value, torch.Tensor):
                value.fill_(torch.nan)


def groups_by_a_copy(optimizer, params):
    optimizer.param_groups[:] = [dict(group) for group in optimizer.param_groups]


MOVES = [
    into_new_storage,
    into_one_flat_vector,
    into_another_layout,
    into_shared_memory,
    states_into_shared_memory,
    states_by_assignment,
    states_by_their_data,
    states_by_another_dictionary,
    groups_by_a_copy,
]


@pytest.mark.parametrize("move", MOVES, ids=lambda f: f.__name__)
@pytest.mark.parametrize("name", NAMES)
def test_moving_weights_or_states_between_steps_changes_no_number(name, move):
    assert_undisturbed_by(name, move)


@pytest.mark.parametrize("name", NAMES)
def test_clearing_the_states_starts_the_optimizer_afresh(name):
    ours, cleared, other, _ = pair(name)
    grads = gradients(ours, 4)
    for row in grads[:2]:
        step(cleared, ours, row)
    cleared.state.clear()
    with torch.no_grad():
        for p, q in zip(ours, other, strict=True):
            q.copy_(p)
    fresh = RuleOptimizer(other, RULES[name])
    for row in grads[2:]:
        step(cleared, ours, row)
        step(fresh, other, row)
        assert_same(ours, other)


def test_a_scalar_state_set_for_one_parameter_alone_holds_for_it_alone():
    """NAdam's product of momenta, restored by hand for one of two parameters whose clocks agree."""
    ours, other = ([torch.nn.Parameter(torch.ones(2, dtype=torch.float64)) for _ in range(2)] for _ in "ab")
    edited, alone = RuleOptimizer(ours, RULES["nadam"]), [RuleOptimizer([q], RULES["nadam"]) for q in other]
    for k, (g, h) in enumerate(gradients(ours, 4)):
        if k == 2:
            edited.state[ours[1]]["p"] = alone[1].state[other[1]]["p"] = 0.5
        step(edited, ours, [g, h])
        step(alone[0], other[:1], [g])
        step(alone[1], other[1:], [h])
        assert_same(ours, other)


# What no longer fits is refused before anything is written


def roomy(size: int, room: int = 64) -> tuple[torch.Tensor, torch.Tensor]:
    """A vector of zeros at the front of a larger one, so that whoever writes past its end is seen, and does no harm."""
    storage = torch.zeros(room, dtype=torch.float64)
    return storage[:size], storage[size:]


@pytest.mark.parametrize("stepped_before", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_a_weight_that_outgrew_its_states_is_refused(name, stepped_before):
    p = torch.nn.Parameter(roomy(4)[0])
    optimizer = RuleOptimizer([p], RULES[name])
    beyond = []
    for state, value in optimizer.state[p].items():
        if isinstance(value, torch.Tensor) and value.dim():
            optimizer.state[p][state], rest = roomy(4)
            beyond.append(rest)
    if stepped_before:
        step(optimizer, [p], [torch.ones(4, dtype=torch.float64)])
    p.data = torch.zeros(16, dtype=torch.float64)
    p.grad = torch.ones(16, dtype=torch.float64)
    with pytest.raises(RuntimeError):
        optimizer.step()
    assert not any(bool(rest.any()) for rest in beyond)
    assert not p.detach().any()


@pytest.mark.parametrize("name", NAMES)
def test_a_weight_cut_short_in_place_is_not_stepped_beyond_its_end(name):
    """As structured pruning does: the same memory, fewer weights."""
    whole = torch.zeros(16, dtype=torch.float64)
    p = torch.nn.Parameter(whole)
    optimizer = RuleOptimizer([p], RULES[name])
    step(optimizer, [p], [torch.ones(16, dtype=torch.float64)])
    before = whole.clone()
    p.data = whole[:4]
    p.grad = roomy(4)[0]
    with pytest.raises(RuntimeError):
        optimizer.step()
    assert torch.equal(whole, before)


@pytest.mark.parametrize("name", NAMES)
def test_a_gradient_of_another_shape_is_refused(name):
    p = torch.nn.Parameter(torch.zeros(16, dtype=torch.float64))
    optimizer = RuleOptimizer([p], RULES[name])
    step(optimizer, [p], [torch.ones(16, dtype=torch.float64)])
    before = p.detach().clone()
    p.grad.data = roomy(4)[0]
    with pytest.raises(RuntimeError):
        optimizer.step()
    assert_same([p.detach()], [before])


@pytest.mark.parametrize("name", NAMES)
def test_a_negated_view_is_read_as_its_values(name):
    """torch keeps the imaginary part of a conjugate as memory with a minus sign to come."""

    def negated(values: torch.Tensor) -> torch.Tensor:
        view = torch.complex(torch.zeros_like(values), -values).conj().imag
        assert view.is_neg()
        return view

    value = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    ours, other = torch.nn.Parameter(value.clone()), torch.nn.Parameter(value.clone())
    ours.data = negated(value)
    first, second = RuleOptimizer([ours], RULES[name]), RuleOptimizer([other], RULES[name])
    for (g,) in gradients([other], 3):
        step(first, [ours], [negated(g)])
        step(second, [other], [g])
        torch.testing.assert_close(ours.detach().resolve_neg(), other.detach(), rtol=1e-12, atol=1e-12)


# What is let go


@pytest.mark.parametrize("name", NAMES)
def test_an_optimizer_keeps_no_gradient_alive(name):
    params = parameters()
    optimizer = RuleOptimizer(params, RULES[name])
    for row in gradients(params, 3):
        step(optimizer, params, row)
        kept = [StorageWeakRef(p.grad.untyped_storage()) for p in params if p.numel()]
        row.clear()
        optimizer.zero_grad()
        assert all(storage.expired() for storage in kept)


@pytest.mark.parametrize("name", NAMES)
def test_states_taken_from_one_optimizer_are_taken_over_by_another(name):
    ours, first, other, second = pair(name)
    grads = gradients(ours, 4)
    for row in grads[:2]:
        step(first, ours, row)
        step(second, other, [-g for g in row])
    with torch.no_grad():
        for p, q in zip(ours, other, strict=True):
            q.copy_(p)
    share_states(first, second, list(zip(ours, other, strict=True)))
    for row in grads[2:]:
        step(first, ours, row)
        step(second, other, row)
        assert_same(ours, other)
