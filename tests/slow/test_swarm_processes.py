"""Swarm gradients under DDP."""

from __future__ import annotations

import pytest
from processes import replicated, world

pytestmark = pytest.mark.slow


def test_ddp_averages_swarm_gradients_over_ranks():
    world.run(replicated.swarm_gradients_are_averaged_over_ranks)
