"""The command line."""

import pytest
from typer.testing import CliRunner

from thalweg.cli import app

runner = CliRunner()


def run(*arguments):
    return runner.invoke(app, ["race", "--workers", "1", *arguments])


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_a_race_prints_a_table_and_writes_a_report(tmp_path):
    arguments = ("--tasks", "iris", "--methods", "adam,gravity", "--seeds", "2", "--draws", "2", "--epochs", "1")
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    for name in ("adam", "gravity", "gravity-ema-noise", "gravity-ema", "constant answer"):
        assert name in result.stdout
    assert "4 methods x 1 tasks" in result.stderr
    assert "24 trials" in result.stderr
    assert "Too few seeds" in result.stdout
    assert {path.name for path in tmp_path.iterdir()} == {"race.html", "race-store"}
    assert "24 of 24 trials were there before" in run(*arguments).stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--methods", "gravty"), "--methods 'gravty' is unknown (did you mean gravity?); allowed: sgd,"),
        (("--methods", ","), "--methods ',' must name at least one of: sgd,"),
        (("--methods", "ades-eq8"), "--methods 'ades-eq8' is unknown"),
        (
            ("--tasks", "iris,wien"),
            "--tasks 'wien' is unknown (did you mean wine?); allowed: iris, wine, breast-cancer",
        ),
        (("--seeds", "0"), "--seeds '0' must be >= 1"),
        (("--draws", "-3"), "--draws '-3' must be >= 1"),
        (("--epochs", "0"), "--epochs '0' must be >= 1"),
        (("--workers", "0"), "--workers '0' must be >= 1"),
        (("--seed", "-1"), "--seed '-1' must be >= 0"),
        (("--out", "no/such/folder.html"), "--out 'no/such/folder.html' must be a file in a folder that exists"),
        (("--store", "/dev/null/store"), "--store '/dev/null/store' must be a folder, but /dev/null is a file"),
        (("--seeds", "many"), "--seeds"),
    ],
)
def test_bad_input_is_named_quoted_and_answered_and_nothing_is_written(arguments, says, tmp_path):
    result = run(*arguments)
    assert result.exit_code == 2
    assert says in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_an_unreadable_record_is_an_error_that_names_the_file(tmp_path):
    arguments = ("--tasks", "iris", "--methods", "sgd", "--seeds", "1", "--draws", "1", "--epochs", "1")
    assert run(*arguments).exit_code == 0
    broken = sorted((tmp_path / "race-store").iterdir())[0]
    broken.write_text("{")
    result = run(*arguments)
    assert result.exit_code == 1
    assert f"race-store/{broken.name} is not a readable record" in result.stderr


def test_help_names_every_option():
    result = runner.invoke(app, ["race", "--help"])
    assert result.exit_code == 0
    for option in ("--tasks", "--methods", "--seeds", "--draws", "--epochs", "--store", "--out", "--workers", "--seed"):
        assert option in result.stdout
