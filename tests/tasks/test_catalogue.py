"""Names of tasks."""

import cloudpickle
import pytest

from thalweg.tasks import DATA_TASKS, PRESETS, TASKS, UCI, find


def test_every_name_is_that_of_its_task_in_either_spelling(tmp_path):
    for name in [*TASKS, *DATA_TASKS]:
        assert find(name, tmp_path).name == find(name.replace("_", "-"), tmp_path).name == name
    assert not TASKS.keys() & DATA_TASKS.keys()


def test_presets_name_tasks_that_are_there():
    assert set(PRESETS) >= {"bundled", "uci", "vision"}
    for names in PRESETS.values():
        assert set(names) <= {*TASKS, *DATA_TASKS}
    assert PRESETS["uci"] == tuple(f"uci_{name}" for name in UCI)
    assert len(UCI) == 15


def test_the_folder_of_the_data_travels_with_the_task(tmp_path):
    for name in ("uci_iris", "mnist"):
        assert cloudpickle.loads(cloudpickle.dumps(find(name, tmp_path))).train == find(name, tmp_path).train


def test_a_character_model_is_named_by_its_file(tmp_path):
    assert find(f"chars:{tmp_path / 'verse.txt'}").name == "chars_verse"
    assert find(f"chars-gru:{tmp_path / 'verse.txt'}").name == "chars_gru_verse"


@pytest.mark.parametrize(
    ("name", "hint"),
    [("irsi", "did you mean iris"), ("uci-titanik", "did you mean uci-titanic"), ("qqqq", "`thalweg tasks` lists")],
)
def test_an_unknown_name_is_met_with_those_near_it(name, hint):
    with pytest.raises(ValueError, match=f"there is no task '{name}': {hint}"):
        find(name)
