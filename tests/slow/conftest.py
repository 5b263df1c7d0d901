"""Slow tests import large packages, so they are not even read where they are not asked for; and they leave no trace."""

from __future__ import annotations

import os
import random
from unittest import mock

import numpy as np
import pytest
import torch


def pytest_ignore_collect(config: pytest.Config) -> bool | None:
    return True if config.option.markexpr == "not slow" else None


@pytest.fixture(autouse=True)
def everything_global_is_put_back():
    """The other libraries seed every generator and set environment variables."""
    python, threads = random.getstate(), torch.get_num_threads()
    numpy = np.random.get_state()  # noqa: NPY002  it is the legacy generator that they seed
    torch.set_num_threads(1)  # a pool costs more than it saves on tensors this small
    with torch.random.fork_rng(), mock.patch.dict(os.environ):
        yield
    random.setstate(python)
    np.random.set_state(numpy)  # noqa: NPY002
    torch.set_num_threads(threads)
