"""`thalweg strategies` on the command line, and `python -m thalweg`."""

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from thalweg.cli import app
from thalweg.names import shown
from thalweg.search.catalogue import ALGORITHMS, kinds


def run(*arguments):
    return CliRunner().invoke(app, ["strategies", *arguments])


@pytest.mark.parametrize("name", ALGORITHMS)
def test_a_strategy_is_shown_whole(name):
    result = run(shown(name))
    assert result.exit_code == 0, result.output
    for kind in kinds(name):
        for part in (kind.title, kind.purpose, kind.source, *kind.__doc__.split("\n")):
            assert part.strip() in result.stdout
        for key, value in kind().hyperparameters().items():
            assert f"{key}={value}" in result.stdout
    others = [each for each in ALGORITHMS if each != name]
    assert not any(f"{shown(each)}: {ALGORITHMS[each].title}\n" in result.stdout for each in others)


@pytest.mark.parametrize(
    ("name", "says"), [("CMA", "did you mean cma?"), ("ga-lamarckian", "thalweg.search.Memetic trains a network so")]
)
def test_one_that_there_is_not_is_refused(name, says):
    result = run(name)
    assert result.exit_code == 2
    assert says in result.stderr


@pytest.mark.slow
def test_the_package_runs_as_the_command_does():
    called = [sys.executable, "-m", "thalweg", "strategies", "snes"]
    assert subprocess.run(called, capture_output=True, text=True, check=True).stdout == run("snes").stdout
