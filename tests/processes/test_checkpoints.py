"""A sharded checkpoint resumes to the bit, on as many processes and on others; a plain one is not taken for it."""

from __future__ import annotations

import pytest
from processes import checkpoints, world


def test_a_sharded_checkpoint_resumed_equals_uninterrupted(tmp_path):
    world.run(checkpoints.resume_equals_uninterrupted, str(tmp_path))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:torch.distributed is disabled, unavailable or uninitialized:UserWarning")
def test_a_checkpoint_of_two_processes_resumes_in_one(tmp_path):
    world.run(checkpoints.save_sharded, str(tmp_path))
    checkpoints.continue_in_one_process(str(tmp_path))


@pytest.mark.slow
def test_a_state_dict_of_another_layout_is_refused():
    world.run(checkpoints.another_layout_is_refused)
