"""Parameters split over two processes by FSDP2 are stepped as whole ones are: every rule, reductions included."""

from __future__ import annotations

import pytest
from optim.trajectories import needs_native
from processes import split, world

NATIVE = pytest.param(None, marks=needs_native, id="native")


@pytest.mark.parametrize("backend", [NATIVE, "foreach", "plain"])
def test_every_rule_equals_unsharded(backend):
    world.run(split.every_rule_equals_unsharded, backend)
