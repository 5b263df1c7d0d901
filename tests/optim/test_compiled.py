"""The compiled step gives the plain step's numbers, and a schedule compiles nothing anew."""

from __future__ import annotations

import copy

import pytest
import torch
from optim.trajectories import RULES, copies, gradients, parameters, run, step
from torch._dynamo.testing import CompileCounterWithBackend
from torch._inductor import config as inductor

from thalweg.optim import RuleOptimizer, compiled

needs_compiler = pytest.mark.skipif(
    bool(compiled.unavailable({"cpu"})), reason=f"torch.compile: {compiled.unavailable({'cpu'})}"
)
STEPS = 50
QUICK = ("adamw", "gravity", "radam", "own")  # element-wise, two passes, a scalar condition, a per-tensor state


def programs_of_a_schedule(name: str) -> int:
    """Steps by the compiled and by the plain step under OneCycleLR, which moves lr and betas, comparing every step."""
    rule, start = RULES[name], parameters()
    settings = {"weight_decay": 0.1} if rule.reads_lr else {}
    ours, plain = copies(start), copies(start)
    optimizer = RuleOptimizer(ours, rule, **settings)
    truth = RuleOptimizer(plain, rule, backend="plain", **settings)
    counter = CompileCounterWithBackend("inductor")
    optimizer.compile(backend=counter)
    schedules = [scheduled(each) for each in (optimizer, truth)] if rule.reads_lr else []
    for row in gradients(start, STEPS):
        step(optimizer, ours, row)
        step(truth, plain, row)
        for p, q in zip(ours, plain, strict=True):
            torch.testing.assert_close(p, q, rtol=1e-11, atol=1e-11, equal_nan=True)
            p.data.copy_(q)  # each step is compared, not what a diverging rule makes of roundings
            for state, value in truth.state[q].items():
                if isinstance(value, torch.Tensor):
                    optimizer.state[p][state].copy_(value)
        for schedule in schedules:
            schedule.step()
    return counter.frame_count


def scheduled(optimizer: torch.optim.Optimizer) -> torch.optim.lr_scheduler.OneCycleLR:
    moves_momentum = any(key in optimizer.defaults for key in ("momentum", "betas"))
    lr = optimizer.defaults["lr"]
    return torch.optim.lr_scheduler.OneCycleLR(optimizer, 3 * lr, total_steps=STEPS + 1, cycle_momentum=moves_momentum)


@needs_compiler
@pytest.mark.parametrize("name", QUICK)
def test_one_cycle_of_fifty_steps_is_at_most_two_programs_and_equals_plain(name):
    """One, which torch's compiler starts over where it meets a number without dimensions that it thought a constant."""
    assert programs_of_a_schedule(name) <= 2


@needs_compiler
@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in RULES if name not in QUICK])
def test_one_cycle_of_fifty_steps_is_at_most_two_programs_and_equals_plain_for_every_rule(name):
    assert programs_of_a_schedule(name) <= 2


def eager(params: list[torch.nn.Parameter], name: str = "adam") -> RuleOptimizer:
    """Compiled by a compiler that compiles nothing: what the driver does around it is under test."""
    optimizer = RuleOptimizer(params, RULES[name])
    optimizer.compile(backend="eager")
    return optimizer


def test_the_cost_is_said_before_anything_is_compiled():
    optimizer = RuleOptimizer(parameters(), RULES["adam"])
    before = optimizer.plan()[0].backend
    assert before != "compiled"
    cost = optimizer.compile(backend="eager")
    assert "6 tensors" in cost
    assert "s" in cost
    assert optimizer.plan()[0].backend == "compiled"


def test_without_a_compiler_compile_says_what_it_looked_for():
    optimizer = RuleOptimizer(parameters(), RULES["adam"])
    missing = inductor.patch({"cpp.cxx": (None, "no-such-compiler")})
    with missing, pytest.raises(RuntimeError, match=r"compile\(\) .* no C\+\+ compiler .*no-such-compiler.*CXX"):
        optimizer.compile()
    assert optimizer.plan()[0].backend != "compiled"


def test_other_gradients_are_another_program_and_beyond_eight_the_foreach_step_is_taken_with_a_warning():
    params, plain = ([torch.nn.Parameter(torch.ones(i + 1, dtype=torch.float64)) for i in range(12)] for _ in range(2))
    optimizer, truth = eager(params), RuleOptimizer(plain, RULES["adam"], backend="plain")
    for i in range(12):
        row = [torch.ones(k + 1, dtype=torch.float64) if k == i else None for k in range(12)]
        if i == compiled.PROGRAMS:
            with pytest.warns(UserWarning, match="has made 8 programs"):
                step(optimizer, params, row)
        else:
            step(optimizer, params, row)
        step(truth, plain, row)
    for p, q in zip(params, plain, strict=True):
        torch.testing.assert_close(p, q)


def test_half_precision_is_stepped_by_lists_and_the_plan_says_why():
    optimizer = eager([torch.nn.Parameter(torch.ones(3, dtype=torch.bfloat16)), torch.nn.Parameter(torch.ones(3))])
    plans = optimizer.plan()
    assert [plan.backend for plan in plans] == ["foreach", "compiled"]
    assert "torch.bfloat16" in plans[0].reason


def test_a_copy_of_a_compiled_optimizer_is_not_compiled():
    params = parameters()
    optimizer = eager(params)
    run(optimizer, params, gradients(params, 1))
    assert copy.deepcopy(optimizer).plan()[0].backend != "compiled"
