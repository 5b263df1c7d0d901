"""One thread for torch, whose pool costs more than it saves on tensors this small; tests of threads ask for more."""

import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
