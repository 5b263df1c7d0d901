"""`thalweg report`: from the store alone; what is wrong is said, with exit code 2, before anything is written."""

import re
import shutil

import pytest
from race.made import made_result, stored
from typer.testing import CliRunner

from thalweg.cli import app
from thalweg.race.report import read_embedded


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return stored(made_result(1, 3, 6), tmp_path_factory.mktemp("a") / "store")


def run(*arguments):
    return CliRunner().invoke(app, ["report", *map(str, arguments)])


def test_everything_is_written_and_the_table_shown(store, tmp_path):
    done = run(
        store, "--out", tmp_path / "a.html", "--csv", tmp_path / "a.csv", "--latex", tmp_path / "paper",
        "--parquet", tmp_path / "a.parquet",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert len(read_embedded(tmp_path / "a.html")["records"]) == len((tmp_path / "a.csv").read_text().splitlines()) - 1
    assert (tmp_path / "paper" / "main.tex").exists()
    assert (tmp_path / "a.parquet").read_bytes().startswith(b"PAR1")
    assert re.search(r"^sgd +\d", done.output, flags=re.M)
    assert f"Report: {tmp_path / 'a.html'}" in done.output


def test_the_report_of_a_store_is_the_same_each_time(store, tmp_path):
    for name in ("a.html", "b.html"):
        assert run(store, "--out", tmp_path / name).exit_code == 0
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["absent"], "there is none"),
        (["file"], "must be the store of a race"),
        (["empty"], "is not the store of a race"),
        (["STORE", "--out", "absent/a.html"], "must be a file in a folder that exists"),
        (["STORE", "--out", "empty"], "must be a file in a folder that exists"),
        (["STORE", "--csv", "absent/a.csv"], "must be a file in a folder that exists"),
        (["STORE", "--latex", "file"], "must be a folder, but is a file"),
        (["STORE", "--latex", "absent/paper"], "must be a folder in one that exists"),
        (["STORE", "--csv", "race.html"], "must be different files"),
    ],
)
def test_bad_input_ends_with_two_and_writes_nothing(store, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    done = run(*(store if argument == "STORE" else argument for argument in arguments))
    assert done.exit_code == 2
    assert words in " ".join(done.output.split())
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["empty", "file"]


@pytest.mark.parametrize("damage", ["manifest", "record"])
def test_an_unreadable_store_ends_with_two(store, tmp_path, monkeypatch, damage):
    monkeypatch.chdir(tmp_path)
    broken = tmp_path / "store"
    shutil.copytree(store, broken)
    file = broken / "manifest.json" if damage == "manifest" else next((broken / "trials").rglob("*.json"))
    file.write_text("{")
    done = run(broken)
    assert done.exit_code == 2
    assert file.name in done.output.replace("\n", "")
    assert not (tmp_path / "race.html").exists()


def test_parquet_without_its_packages_says_what_to_install(store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    done = run(store, "--parquet", "a.parquet")
    assert done.exit_code == 2
    assert "thalweg[export]" in done.output
    assert list(tmp_path.iterdir()) == []
