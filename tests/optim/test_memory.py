"""A native step takes next to no memory of its own: under 2 % of the parameters, for every rule."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from optim.trajectories import RULES, every_rule, needs_native

from thalweg.optim import RuleOptimizer

PEAK = Path("/proc/self/clear_refs")  # writing 5 to it begins the peak of resident memory anew
SIZE = 1 << 22  # 32 MiB of float64
pytestmark = [needs_native, pytest.mark.skipif(not PEAK.exists(), reason="reads the peak of memory from Linux's /proc")]


def memory(kind: str) -> int:
    """Resident memory of this process in bytes: "VmRSS" now, "VmHWM" at its peak."""
    status = Path("/proc/self/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith(kind)]
    return int(line.split()[1]) * 1024


@every_rule
def test_a_step_takes_under_2_percent_of_the_parameters_in_memory(rule):
    small = torch.nn.Parameter(torch.ones(3, dtype=torch.float64))
    small.grad = torch.ones_like(small)
    RuleOptimizer([small], rule).step()  # compiling is not stepping
    p = torch.nn.Parameter(torch.ones(SIZE, dtype=torch.float64))
    optimizer = RuleOptimizer([p], rule)
    p.grad = torch.ones_like(p)
    for _ in range(2):
        PEAK.write_text("5")
        before = memory("VmRSS")
        optimizer.step()
        assert memory("VmHWM") - before < 0.02 * p.nbytes


def test_the_plain_step_is_seen_to_take_more():
    """So that the figure above is known to see what it is to see."""
    p = torch.nn.Parameter(torch.ones(SIZE, dtype=torch.float64))
    p.grad = torch.ones_like(p)
    optimizer = RuleOptimizer([p], RULES["adam"], backend="plain")
    PEAK.write_text("5")
    before = memory("VmRSS")
    optimizer.step()
    assert memory("VmHWM") - before > 0.9 * p.nbytes
