"""The UCI data sets: small twins of their files, the real files where they are, and OpenML without a network."""

import dataclasses
import hashlib
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from sklearn.datasets import load_wine

from thalweg.tasks import DATA_TASKS, UCI, DataMissing
from thalweg.tasks.hashes import digest_of
from thalweg.tasks.uci import fetch_table, read_table, uci_task
from thalweg.tasks.uci_tables import TABLES, OpenML, Table

TITANIC_LIKE = """Id,Survived,Class,Name,Sex,Age
1,0,3,"Braund, Mr. Owen",male,22
2,1,1,"Cumings, Mrs. John",female,38

3,1,3,"Heikkinen, Miss. Laina",female,
4,0,3,"Allen, Mr. William",male,35
"""


def twin(tmp_path, text, **facts):
    """A file of such text, and a table that describes it."""
    path = tmp_path / "uci" / "twin" / "twin.data"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    given = {"rows": 3, "features": 4, "classes": 2, "openml": OpenML(7, rows=4, columns=2), **facts}
    checksum = hashlib.sha256(path.read_bytes()).hexdigest()
    return path, Table(name="twin", title="Twin", file="uci/twin/twin.data", sha256=checksum, **given)


def test_a_file_with_names_text_categories_and_gaps_becomes_numbers(tmp_path):
    facts = {"header": True, "target": 1, "drop": (0, 3), "categorical": (4,), "missing": ""}
    path, table = twin(tmp_path, TITANIC_LIKE, **facts)
    examples = read_table(table, path)
    assert examples.inputs.tolist() == [[3, 0, 1, 22], [1, 1, 0, 38], [3, 0, 1, 35]]  # class, female, male, age
    assert examples.targets.tolist() == [0, 1, 0]
    assert examples.inputs.dtype == torch.float32
    assert examples.inputs.is_contiguous()


def test_the_last_column_is_the_target_and_classes_are_in_the_order_of_the_alphabet(tmp_path):
    path, table = twin(tmp_path, "1, 2,b\r\n3, 4,a\r\n5, 6,b\r\n\r\n", features=2)
    examples = read_table(table, path)
    assert examples.inputs.tolist() == [[1, 2], [3, 4], [5, 6]]
    assert examples.targets.tolist() == [1, 0, 1]


def test_a_numeric_target_becomes_two_classes_up_to_a_number_and_above_it(tmp_path):
    path, table = twin(tmp_path, "1,11\n2,12\n?,30\n3,5\n", features=1, above=11, missing="?")
    assert read_table(table, path).targets.tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"rows": 5}, "should become 5 rows, 2 features and 2 classes, but it became 3, 2 and 2"),
        ({"target": 0}, "Twin: a column of numbers holds something else"),
        ({"sha256": "0" * 64}, r"is not the file that Twin was raced on: its SHA-256 is [0-9a-f]{64}, expected 0{64}"),
    ],
)
def test_a_file_that_is_not_what_the_table_says_is_refused(tmp_path, facts, message):
    path, table = twin(tmp_path, "1,2,b\n3,4,a\n5,6,b\n", features=2)
    with pytest.raises(ValueError, match=message):
        read_table(dataclasses.replace(table, **facts), path)


def test_a_task_reads_its_file_when_it_needs_it_and_knows_its_checksum(tmp_path, generator):
    rows = "".join(f"{i},{i % 7},{'ab'[i % 2]}\n" for i in range(40))
    _, table = twin(tmp_path, rows, rows=40, features=2)
    task = uci_task(table, tmp_path)
    workload = task.workload(generator())
    assert (task.name, task.batch_size, task.epochs) == ("uci_twin", 50, 40)
    assert [tuple(weight.shape) for weight in workload.network(generator()).parameters()][::2] == [(10, 2), (2, 10)]
    assert task.checksums() == {"uci/twin/twin.data": table.sha256}
    task.check()


def test_missing_data_say_where_they_were_looked_for_and_both_ways_to_get_them(tmp_path, monkeypatch, generator):
    task = DATA_TASKS["uci_wine"](tmp_path)
    for needs_data in (task.look_for_data, task.checksums, task.check):
        with pytest.raises(DataMissing) as caught:
            needs_data()
        assert str(tmp_path / "uci" / "wine" / "wine.data") in str(caught.value)
        assert "--data-dir" in str(caught.value)
        assert "OpenML (number 187)" in str(caught.value)
    monkeypatch.delenv("THALWEG_DATA", raising=False)
    with pytest.raises(DataMissing, match="no folder was named, and THALWEG_DATA is not set"):
        DATA_TASKS["uci_wine"](None).workload(generator())


def test_the_environment_names_the_folder_where_nothing_else_does(tmp_path, monkeypatch):
    monkeypatch.setenv("THALWEG_DATA", str(tmp_path))
    assert DATA_TASKS["uci_wine"](None).train.folder == tmp_path
    assert DATA_TASKS["uci_wine"]("other").train.folder == Path.cwd() / "other"  # absolute, for other processes


def openml_answer(pd, rows=4):
    """What fetch_openml returns: a frame of columns with types, one of them categorical, and the target."""
    data = pd.DataFrame({"age": [1.0, 2.0, None, 4.0][:rows], "kind": ["x", "y", "x", "y"][:rows]})
    target = pd.Series(["no", "yes", "yes", "no"][:rows], dtype="category")
    return SimpleNamespace(data=data.astype({"kind": "category"}), target=target)


@pytest.fixture
def openml(monkeypatch):
    """Answers in place of openml.org, and what it was asked."""
    pd = pytest.importorskip("pandas", reason="scikit-learn reads OpenML's data through pandas")
    asked = []

    def fetch(**arguments):
        asked.append(arguments)
        return openml_answer(pd)

    monkeypatch.setattr("sklearn.datasets.fetch_openml", fetch)
    return asked


def test_data_from_openml_are_asked_for_by_number_and_encoded_as_those_of_a_file(tmp_path, openml, generator):
    _, table = twin(tmp_path, "")
    examples = fetch_table(table, "cache")
    assert (openml[0]["data_id"], openml[0]["data_home"]) == (7, "cache")
    assert examples.inputs.tolist() == [[1, 1, 0], [2, 0, 1], [4, 0, 1]]  # age, x, y; the third misses its age
    assert examples.targets.tolist() == [0, 1, 0]
    without = dataclasses.replace(table, openml=OpenML(7, rows=4, columns=2, drop=("age",)))
    assert fetch_table(without).inputs.shape == (4, 2)


def test_the_word_openml_stands_for_the_folder(tmp_path, openml):
    _, table = twin(tmp_path, "")
    task = uci_task(table, "openml:kept here")
    task.look_for_data()
    assert not openml  # which asks for nothing yet
    assert list(task.checksums()) == ["openml/7"]
    assert openml[0]["data_home"] == "kept here"
    assert task.source == "OpenML 7"
    uci_task(table, "openml").checksums()
    assert openml[1]["data_home"] is None  # scikit-learn's own


def test_data_from_openml_that_are_not_what_is_known_of_them_are_refused(tmp_path, openml):
    _, table = twin(tmp_path, "")
    with pytest.raises(ValueError, match="OpenML 7 should be Twin with 9 rows and 2 columns, but it has 4 and 2"):
        fetch_table(dataclasses.replace(table, openml=OpenML(7, rows=9, columns=2)))
    with pytest.raises(ValueError, match=r"OpenML 7 \(Twin\) has changed"):
        fetch_table(dataclasses.replace(table, openml=OpenML(7, rows=4, columns=2, sha256="0" * 64)))


def test_without_a_network_the_data_are_missing(tmp_path, monkeypatch):
    def fetch(**_):
        raise OSError("no route to host")

    monkeypatch.setattr("sklearn.datasets.fetch_openml", fetch)
    _, table = twin(tmp_path, "")
    with pytest.raises(DataMissing, match=r"could not be fetched from OpenML \(7\): OSError: no route .*--data-dir"):
        uci_task(table, "openml:nothing here").train()


# Rows that remain, features, and the size of the largest class; the shares of these are the constants of the paper's
# tables: 53.87 % of heart, 65.10 of pima, 73.52 of haberman, 77.02 of abalone, 71.50 of ILPD.
BECAME = {
    "iris": (150, 4, [50, 50, 50]),
    "ionosphere": (351, 34, [126, 225]),
    "breast_cancer_wisconsin": (683, 9, [444, 239]),
    "sonar": (208, 60, [111, 97]),
    "seeds": (210, 7, [70, 70, 70]),
    "banknote": (1372, 4, [762, 610]),
    "heart": (297, 22, [160, 137]),
    "haberman": (306, 3, [225, 81]),
    "wine": (178, 13, [59, 71, 48]),
    "car": (1728, 21, [384, 69, 1210, 65]),
    "ilpd": (579, 11, [414, 165]),
    "abalone": (4177, 10, [3217, 960]),
    "titanic": (712, 10, [424, 288]),
    "pima": (768, 8, [500, 268]),
    "mushroom": (8124, 117, [4208, 3916]),
}


@pytest.mark.parametrize("table", TABLES, ids=UCI)
def test_the_real_files_become_what_is_documented(table, data_dir):
    task = DATA_TASKS[f"uci_{table.name}"](data_dir)
    examples = task.train()
    rows, features, counts = BECAME[table.name]
    assert examples.inputs.shape == (rows, features)
    assert examples.targets.bincount().tolist() == counts
    task.check()


def test_wine_is_scikit_learns(data_dir):
    inputs, targets = load_wine(return_X_y=True)
    examples = DATA_TASKS["uci_wine"](data_dir).train()
    torch.testing.assert_close(examples.inputs, torch.tensor(inputs, dtype=torch.float32))
    assert examples.targets.tolist() == targets.tolist()


def test_iris_of_openml_is_that_of_the_file(data_dir):
    table = TABLES[0]
    examples = DATA_TASKS["uci_iris"](data_dir).train()
    assert digest_of(examples.inputs, examples.targets).hexdigest() == table.openml.sha256
