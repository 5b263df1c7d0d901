"""Parameters split over two processes by FSDP2 are stepped as whole ones are: every rule, reductions included."""

from __future__ import annotations

import pytest
from optim.trajectories import needs_native
from processes import split, world

NATIVE = pytest.param(None, marks=needs_native, id="native")


@pytest.mark.slow
@pytest.mark.parametrize("backend", [NATIVE, "foreach", "plain"])
def test_every_rule_equals_unsharded(backend):
    world.run(split.every_rule_equals_unsharded, backend)


def test_dtensors_of_any_placement_equal_whole_ones_and_a_nan_reaches_every_part():
    world.run(split.dtensors)


def test_half_precision_is_rounded_part_by_part():
    world.run(split.half_precision)
