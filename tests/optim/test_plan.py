"""`plan()` says how each parameter is stepped, and a backend asked for that cannot be had is refused."""

from __future__ import annotations

import pytest
import torch
from optim.trajectories import OWN, RULES, needs_native

from thalweg.optim import RuleOptimizer


@needs_native
def test_plan_says_how_each_parameter_is_stepped_and_why():
    values = [torch.ones(3), torch.ones(3, dtype=torch.bfloat16), torch.ones(6)[::2], torch.ones(2, dtype=torch.cfloat)]
    adam = [str(plan) for plan in RuleOptimizer([torch.nn.Parameter(v) for v in values], RULES["adam"]).plan()]
    assert adam == [
        "group 0, parameter 0 [3]: native",
        "group 0, parameter 1 [3]: blocks (the parameter is torch.bfloat16)",
        adam[2],
        "group 0, parameter 3 [2]: native",
    ]
    assert adam[2].startswith("group 0, parameter 2 [3]: plain (the parameter is not dense in memory")
    own = [plan.backend for plan in RuleOptimizer([torch.nn.Parameter(v) for v in values[:2]], OWN).plan()]
    assert own == ["native", "plain"]


def test_plan_changes_nothing():
    """Asking how a frozen parameter would be stepped makes no state for it."""
    p = torch.nn.Parameter(torch.ones(3), requires_grad=False)
    optimizer = RuleOptimizer([p], RULES["adam"])
    before = optimizer.state_dict()
    optimizer.plan()
    assert optimizer.state_dict() == before


@pytest.mark.parametrize(
    ("backend", "value"),
    [
        pytest.param("native", torch.ones(3, dtype=torch.bfloat16), marks=needs_native, id="native-bfloat16"),
        pytest.param("native", torch.ones(6)[::2], marks=needs_native, id="native-not-dense"),
        pytest.param("blocks", torch.ones(6)[::2], id="blocks-not-dense"),
    ],
)
def test_a_backend_that_a_parameter_is_not_fit_for_is_refused(backend, value):
    p = torch.nn.Parameter(value)
    optimizer = RuleOptimizer([p], RULES["adam"], backend=backend)
    p.grad = torch.empty_strided(p.size(), p.stride(), dtype=p.dtype).fill_(1.0)
    with pytest.raises(RuntimeError, match=f"backend='{backend}' was asked for, but the parameter is"):
        optimizer.step()


def test_blocks_are_refused_for_a_rule_that_reduces():
    p = torch.nn.Parameter(torch.ones(3))
    optimizer = RuleOptimizer([p], RULES["gravity"], backend="blocks")
    p.grad = torch.ones(3)
    with pytest.raises(RuntimeError, match="gravity reduces over whole tensors"):
        optimizer.step()
