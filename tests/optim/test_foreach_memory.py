"""A foreach step makes at most one list of the parameters' size; a stacked native step makes next to nothing.

What a step takes is every allocation of torch's, added up as it goes; of a native step, the peak of resident memory.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from optim.test_many_passes import PASSES
from optim.test_memory import PEAK, memory
from optim.trajectories import RULES, SETTINGS, needs_native
from torch.profiler import ProfilerActivity, profile

from thalweg import Rule
from thalweg.optim import RuleOptimizer, StackedOptimizer

ALL = {**RULES, **{name: case.rule for name, case in PASSES.items()}}
ELEMENTWISE = {name: rule for name, rule in ALL.items() if rule.program.elementwise}
every_setting = pytest.mark.parametrize("options", SETTINGS.values(), ids=SETTINGS)

SMALL = 0.03  # of the parameters: values without dimensions, one for each parameter, and the allocator's rounding


def most_taken(call: Callable[[], None]) -> int:
    """How many bytes more than at its start torch has allocated at any time of a call."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        call()
    events = [event for event in seen.profiler.kineto_results.events() if event.name() == "[memory]"]
    taken = most = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        taken += event.nbytes()
        most = max(most, taken)
    assert taken == 0  # a step keeps nothing
    return most


def taken_by_a_step(rule: Rule, params: list[torch.nn.Parameter], backend: str = "foreach", **options) -> float:
    """The most memory that a later step takes beyond what there is, as a multiple of the parameters'."""
    optimizer = RuleOptimizer(params, rule, backend=backend, **options)
    for p in params:
        p.grad = torch.ones_like(p)
    optimizer.step()
    return most_taken(optimizer.step) / sum(p.nbytes for p in params)


def equal(count: int, size: int, dtype: torch.dtype = torch.float32) -> list[torch.nn.Parameter]:
    return [torch.nn.Parameter(torch.ones(size, dtype=dtype)) for _ in range(count)]


@every_setting
@pytest.mark.parametrize("rule", ALL.values(), ids=ALL)
def test_a_foreach_step_of_16_parameters_makes_at_most_one_list_of_their_size(rule, options):
    taken = taken_by_a_step(rule, equal(16, 1 << 13), **options)
    assert taken <= 1 + SMALL


@every_setting
@pytest.mark.parametrize("rule", ELEMENTWISE.values(), ids=ELEMENTWISE)
def test_a_foreach_step_of_one_large_parameter_takes_at_most_its_size(rule, options):
    """It is stepped in pieces where its rule has more temporaries at once."""
    taken = taken_by_a_step(rule, equal(1, 1 << 17), **options)
    assert taken <= 1 + SMALL


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("name", ["sgd", "adam", "ades", "radam", "gravity", "own"])
def test_a_foreach_step_in_low_precision_takes_at_most_the_parameters_size(name, dtype):
    """Float32 copies of weights and gradients included: a portion of the parameters at a time."""
    taken = taken_by_a_step(RULES[name], equal(16, 1 << 13, dtype))
    assert taken <= 1 + SMALL


def test_a_transposed_parameter_is_stepped_in_pieces_too():
    p = torch.nn.Parameter(torch.ones(1 << 8, 1 << 9).t())
    taken = taken_by_a_step(RULES["ades"], [p])
    assert taken <= 1 + SMALL


# That the figures see what they are to see


def test_the_plain_step_of_one_large_parameter_is_seen_to_take_more():
    assert taken_by_a_step(RULES["adam"], equal(1, 1 << 17), backend="plain") > 2


def test_a_rule_with_three_temporaries_is_seen_to_take_three_without_portions(monkeypatch):
    monkeypatch.setattr("thalweg.optim.foreach.Foreach.portions", lambda self, needs: iter([self.slots]))
    assert taken_by_a_step(RULES["ades"], equal(16, 1 << 13)) == pytest.approx(3, abs=SMALL)


def test_an_out_of_place_expression_is_seen_to_take_all_its_values():
    x = torch.ones(1 << 17)

    def expression() -> None:
        (x + 1) * (x + 2)

    assert most_taken(expression) == 3 * x.nbytes


# Stacked

MEMBERS = 8


@needs_native
@pytest.mark.skipif(not PEAK.exists(), reason="reads the peak of memory from Linux's /proc")
@pytest.mark.parametrize("name", ["adam", "gravity", "own", "scalar_state"])
def test_a_stacked_native_step_takes_under_2_percent_of_the_parameters_in_memory(name):
    rule, size = ALL[name], 1 << 19
    small = {"w": torch.ones(MEMBERS, 3, dtype=torch.float64)}
    StackedOptimizer(small, rule, backend="native").step(
        {"w": torch.ones_like(small["w"])}
    )  # compiling is not stepping
    params = {"w": torch.ones(MEMBERS, size, dtype=torch.float64)}
    optimizer = StackedOptimizer(params, rule, lr=[0.01 * i for i in range(MEMBERS)], backend="native")
    grads = {"w": torch.ones_like(params["w"])}
    for _ in range(2):
        PEAK.write_text("5")
        before = memory("VmRSS")
        optimizer.step(grads)
        assert memory("VmHWM") - before < 0.02 * params["w"].nbytes


@pytest.mark.skipif(not PEAK.exists(), reason="reads the peak of memory from Linux's /proc")
def test_the_stacked_step_by_torch_is_seen_to_take_more():
    params = {"w": torch.ones(MEMBERS, 1 << 19, dtype=torch.float64)}
    optimizer = StackedOptimizer(params, RULES["adam"], backend="torch")
    PEAK.write_text("5")
    before = memory("VmRSS")
    optimizer.step({"w": torch.ones_like(params["w"])})
    assert memory("VmHWM") - before > 0.9 * params["w"].nbytes
