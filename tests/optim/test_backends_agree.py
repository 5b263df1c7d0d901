"""Every step of a rule gives the plain step's numbers: native and blocks, for the gallery and for a user's rule."""

from __future__ import annotations

import pytest
import torch
from optim.trajectories import (
    RULES,
    SETTINGS,
    assert_steps_agree,
    every_rule,
    gradients,
    needs_native,
    parameters,
    sharp,
    step,
)  # fmt: skip

from thalweg.optim import RuleOptimizer
from thalweg.optim.native import SLICE
from thalweg.optim.steps import BLOCK

ELEMENTWISE = {name: rule for name, rule in RULES.items() if rule.program.elementwise}


@needs_native
@every_rule
def test_native_equals_plain_in_float64(rule):
    assert_steps_agree(rule, "native", parameters(), 1e-12, resync=sharp(rule))


@needs_native
@every_rule
def test_native_equals_plain_in_float32_where_the_driver_maximizes_and_decays(rule):
    assert_steps_agree(rule, "native", parameters(torch.float32), 1e-6, resync=True, **SETTINGS["maximize_coupled"])


@needs_native
@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("lion", "maximize_coupled"),
        ("lion", "maximize_decoupled"),
        ("gravity", "maximize_coupled"),
        ("gravity", "maximize_decoupled"),
        ("ades", "maximize_coupled"),
        ("own", "maximize_decoupled"),
    ],
)
def test_native_equals_plain_in_float64_where_the_driver_maximizes_and_decays(name, settings):
    """Of the rules that torch has, test_parity_torch.py says so."""
    rule = RULES[name]
    assert_steps_agree(rule, "native", parameters(), 1e-12, resync=sharp(rule), **SETTINGS[settings])


@needs_native
@pytest.mark.parametrize("name", ["adam", "gravity", "own"])
def test_native_equals_plain_in_float32(name):
    assert_steps_agree(RULES[name], "native", parameters(torch.float32), 1e-6, resync=True)


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
@pytest.mark.parametrize("rule", ELEMENTWISE.values(), ids=ELEMENTWISE)
def test_blocks_equal_plain_in_float64(rule, settings):
    assert_steps_agree(rule, "blocks", parameters(), 1e-12, resync=sharp(rule), **settings)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("rule", ELEMENTWISE.values(), ids=ELEMENTWISE)
def test_blocks_equal_plain_in_low_precision(rule, dtype):
    assert_steps_agree(rule, "blocks", parameters(dtype), 1e-6, resync=True)


def test_blocks_of_a_large_tensor_equal_plain():
    """More than two blocks, the last one short; the weights transposed."""
    p = torch.nn.Parameter(torch.randn(300, BLOCK // 100, generator=torch.Generator().manual_seed(0)).t())
    assert p.numel() > 2 * BLOCK
    small = [torch.nn.Parameter(torch.ones(3)), torch.nn.Parameter(torch.ones(()))]
    assert_steps_agree(RULES["adam"], "blocks", [p, *small], 1e-6, resync=True, steps=3)


@needs_native
@pytest.mark.parametrize("name", ["adam", "gravity", "own"])
def test_native_slices_of_a_large_tensor_equal_plain(name):
    """Three slices, the last one short, beside small tensors in the same bucket."""
    random = torch.Generator().manual_seed(0)
    large = torch.randn(2 * SLICE + 12345, generator=random, dtype=torch.float64)
    params = [torch.nn.Parameter(x) for x in (large, torch.ones(7, dtype=torch.float64), torch.ones(()).double())]
    assert_steps_agree(RULES[name], "native", params, 1e-12, resync=sharp(RULES[name]), steps=3)


def test_parameters_on_different_clocks_are_stepped_by_their_own():
    """Adam's bias correction of a parameter that missed steps is that of a parameter stepped as often alone."""
    p, q, alone = (torch.nn.Parameter(torch.ones(3, dtype=torch.float64)) for _ in range(3))
    together, single = RuleOptimizer([p, q], RULES["adam"]), RuleOptimizer([alone], RULES["adam"])
    grads = gradients([p], 10)
    for k, (g,) in enumerate(grads):
        step(together, [p, q], [g, g if k % 3 == 0 else None])
    for (g,) in grads[::3]:
        step(single, [alone], [g])
    assert torch.equal(q, alone)
    assert (together.state[p]["step"], together.state[q]["step"]) == (10, 4)
