"""The page on data says what the tables say, and its example runs."""

import re
from pathlib import Path

import pytest

from thalweg.names import shown
from thalweg.tasks import DATA_TASKS, TASKS, find
from thalweg.tasks.uci_tables import TABLES

PAGE = (Path(__file__).parents[2] / "docs" / "data.md").read_text()


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_the_page_has_the_file_shape_and_number_of_each_uci_set(table):
    start = f"| `uci-{shown(table.name)}` | `{table.file.removeprefix('uci/')}` |"
    shape = f" {table.rows} | {table.features} | {table.classes} |"
    line = next(line for line in PAGE.splitlines() if line.startswith(start))
    assert line.removeprefix(start).startswith(shape)
    assert line.endswith(f" {table.openml.id} |")


def test_the_page_names_every_task_without_data_and_no_task_that_is_not_there():
    named = {name.replace("-", "_") for name in re.findall(r"^\| .*", PAGE, flags=re.M) for name in _codes(name)}
    assert set(TASKS) <= named
    assert {name for name in DATA_TASKS if "vgg" not in name and "resnet" not in name} <= named


def _codes(line):
    return re.findall(r"`([a-z0-9-]+)`", line)


def test_the_example_is_a_task_as_it_stands(tmp_path, generator):
    code = re.search(r"```python\n# my_task.py\n(.*?)```", PAGE, flags=re.S).group(1)
    (tmp_path / "my_task.py").write_text(code)
    task = find(f"{tmp_path / 'my_task.py'}:task")
    task.check()
    workload, test = task.workload_and_test(generator())
    assert [len(workload.train), len(workload.validation), len(test)] == [180, 60, 60]
