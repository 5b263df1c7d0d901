"""Under DDP and ZeRO a rule does what it does in one process."""

from __future__ import annotations

import pytest
from processes import replicated, world


def test_ddp_equals_one_process_on_the_joined_batch_for_every_rule():
    world.run(replicated.every_rule_on_shares_equals_one_process_on_the_whole_batch)


def test_stochastic_rounding_is_equal_on_every_rank():
    world.run(replicated.stochastic_rounding_is_equal_on_every_rank)


def test_zero_redundancy_equals_one_optimizer_for_every_rule():
    world.run(replicated.zero_redundancy_equals_one_optimizer)


@pytest.mark.slow
def test_zero_redundancy_resumes_from_its_consolidated_state():
    world.run(replicated.zero_redundancy_resumes_from_its_consolidated_state)
