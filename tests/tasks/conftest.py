"""What the tests of tasks share: generators, one thread, and the data folder of those who have one."""

import os
from pathlib import Path

import pytest
import torch

BESIDE = Path(__file__).parents[3] / "shared" / "data"


@pytest.fixture
def generator():
    """A function that gives a generator of the seed given."""
    return lambda seed=0: torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Two test processes with two threads each take turns on two cores, which makes small steps many times slower."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def data_dir():
    """The folder with the real files; a test that needs one that is not there is skipped."""
    folder = Path(os.environ.get("THALWEG_DATA", BESIDE))
    if not (folder / "uci").is_dir():
        pytest.skip(f"the real data sets are not here: {folder} has no uci/; THALWEG_DATA may name another folder")
    return folder
