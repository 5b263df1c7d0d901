"""A user's own task from a file."""

import sys

import cloudpickle
import pytest

from thalweg.tasks import DataMissing, find

TASK = """
import torch
from torch import nn

from thalweg.tasks import Task

SCALE = 3.0


def scaled(outputs, targets):
    return SCALE * nn.functional.cross_entropy(outputs, targets)


def task():
    inputs = torch.randn(60, 2, generator=torch.Generator().manual_seed(0))
    return Task(lambda: nn.Linear(2, 2), scaled, (inputs, (inputs[:, 0] > 0).long()), name="mine")


def number():
    return 5


def fails():
    return 1 / 0


ready = task()
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "my_tasks.py"
    path.write_text(TASK)
    return path


def test_a_function_in_a_file_gives_a_task(file, generator):
    task = find(f"{file}:task")
    assert task.name == "mine"
    assert len(task.workload(generator()).train) == 36
    assert find(f"{file}:task").fingerprint() == task.fingerprint()


def test_a_task_travels_to_a_process_that_does_not_know_the_file(file, generator):
    task = find(f"{file}:task")
    fingerprint, data_hash = task.fingerprint(), task.workload(generator()).data_hash
    pickled = cloudpickle.dumps(task)
    del sys.modules[task.loss.__module__]  # as it is not there in another process
    file.unlink()
    travelled = cloudpickle.loads(pickled)
    assert travelled.loss is not task.loss
    assert travelled.fingerprint() == fingerprint
    assert travelled.workload(generator()).data_hash == data_hash
    travelled.check()


def test_a_file_that_was_changed_is_read_anew(file):
    first = find(f"{file}:task").fingerprint()
    file.write_text(TASK.replace("SCALE = 3.0", "SCALE = 4.0").replace("return SCALE *", "return 2 * SCALE *"))
    assert find(f"{file}:task").fingerprint() != first


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("tusk", r"my_tasks.py has no function 'tusk'; it has scaled, task, number, fails"),
        ("number", r"number\(\) in .*my_tasks.py must return a thalweg.Task, got int"),
        ("fails", r"fails\(\) in .*my_tasks.py failed: ZeroDivisionError: division by zero \(line 24\)"),
        ("ready", "ready is a Task already; name a function that returns one"),
        ("SCALE", "SCALE is no function but a float"),
    ],
)
def test_what_is_no_function_that_returns_a_task_is_refused(file, function, message):
    with pytest.raises(ValueError, match=message):
        find(f"{file}:{function}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import nothing_of_this_name", r"could not be run: ModuleNotFoundError: No module .* \(line 1\)"),
        ("def task(:", "could not be run: SyntaxError: invalid syntax"),
        ("raise SystemExit(3)", "could not be run: SystemExit: 3"),
    ],
)
def test_a_file_that_cannot_be_run_is_refused(tmp_path, text, message):
    (tmp_path / "broken.py").write_text(text)
    with pytest.raises(ValueError, match=message):
        find(f"{tmp_path / 'broken.py'}:task")


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"there is no file .*none.py"):
        find(f"{tmp_path / 'none.py'}:task")


def test_missing_data_of_a_users_task_stay_that(tmp_path):
    (tmp_path / "lacking.py").write_text(
        "from thalweg.tasks import DataMissing\ndef task():\n    raise DataMissing('where is it?')\n"
    )
    with pytest.raises(DataMissing, match="where is it"):
        find(f"{tmp_path / 'lacking.py'}:task")
