"""`thalweg race`, `tune`, `methods` and `tasks` on the command line."""

import json
import re

import pytest
from typer.testing import CliRunner

from thalweg.cli import app

runner = CliRunner()
SMALL = (
    "--tasks", "iris", "--methods", "adam,gravity", "--seeds", "2", "--draws", "2", "--studies", "1", "--epochs", "1",
)  # fmt: skip

MY_TASK = """
import torch
from thalweg import Task

def task():
    x = torch.randn(120, 3, generator=torch.Generator().manual_seed(0))
    return Task(lambda: torch.nn.Linear(3, 2), torch.nn.functional.cross_entropy, (x, (x[:, 0] > 0).long()),
                name="mine", epochs=2, metric=lambda outputs, targets: (outputs.argmax(1) == targets).double().mean())
"""
MY_OPTIMIZER = """
import torch

class MyOptimizer(torch.optim.SGD):
    search_space = {"lr": (1e-3, 1.0)}
"""


def run(*arguments):
    return runner.invoke(app, arguments)


def words(text):
    """The text on one line: the console breaks lines where it likes."""
    return " ".join(text.split())


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("THALWEG_DATA", raising=False)


def test_a_race_says_what_it_costs_prints_a_table_and_writes_a_report(tmp_path):
    result = run("race", "--workers", "1", *SMALL)
    assert result.exit_code == 0, result.output
    for name in ("adam", "gravity", "gravity-ema-noise", "gravity-ema"):
        assert name in result.stdout
    # 2 settings, both of which run on two further seeds, and 2 final seeds
    assert "4 methods x 1 tasks x (1 studies x (2 settings + 2 x 2 again) + 2 seeds) = 32 trials" in words(
        result.stderr
    )
    assert {path.name for path in tmp_path.iterdir()} == {"race.html", "race-store"}
    assert "32 of 32 trials were there before" in words(run("race", "--workers", "1", *SMALL).stdout)


def test_tuning_prints_what_each_study_chose_and_reads_no_test_part(tmp_path):
    arguments = ("--tasks", "iris", "--methods", "sgd", "--draws", "3", "--studies", "2", "--epochs", "1")
    result = run("tune", "--workers", "1", "--store", "store", *arguments)
    assert result.exit_code == 0, result.output
    assert len(re.findall(r"iris +sgd +[12] +lr=", result.stdout)) == 2
    records = [json.loads(path.read_text()) for path in tmp_path.glob("store/trials/*/*.json")]
    assert {record["role"] for record in records} == {"tuning"}
    assert {record["test_metric"] for record in records} == {None}


def test_ones_own_task_and_optimizer_race_beside_the_known_ones(tmp_path):
    (tmp_path / "my_file.py").write_text(MY_TASK)
    (tmp_path / "my_optimizer.py").write_text(MY_OPTIMIZER)
    result = run(
        "race", "--workers", "1", "--task", "my_file.py:task", "--optimizer", "my_optimizer.py:MyOptimizer",
        "--methods", "sgd", "--seeds", "2", "--draws", "2", "--studies", "1", "--store", "store",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    records = [json.loads(path.read_text()) for path in tmp_path.glob("store/trials/*/*.json")]
    assert {(record["task"], record["method"]) for record in records} == {("mine", "sgd"), ("mine", "MyOptimizer")}
    # torch's SGD and ours do the same sums: at the same settings, on the same seed, they end alike
    ends = {}
    for record in records:
        place = record["hyperparameters"]["lr"], record["hyperparameters"]["schedule"], record["rep"], record["role"]
        ends.setdefault(place, []).append(record["validation_loss"][-1])
    shared = [losses for losses in ends.values() if len(losses) == 2]
    assert shared
    for ours, theirs in shared:
        assert ours == pytest.approx(theirs, rel=1e-5)


def test_a_race_from_its_report_and_from_its_store_comes_to_the_same_bits(tmp_path):
    assert run("race", "--workers", "1", "--store", "first", *SMALL).exit_code == 0
    for number, source in enumerate(("race.html", "first")):
        result = run("race", "--workers", "1", "--from", source, "--store", f"again{number}", "--out", "again.html")
        assert result.exit_code == 0, result.output
        assert "32 of 32 records are equal to the bit." in result.stdout


def test_a_race_from_a_report_names_the_records_that_differ(tmp_path):
    assert run("race", "--workers", "1", "--store", "first", *SMALL).exit_code == 0
    (changed,) = [
        path for path in (tmp_path / "first" / "trials").glob("*/*.json")
        if '"final"' in path.read_text() and '"rep": 1' in path.read_text() and '"method": "adam"' in path.read_text()
    ]  # fmt: skip
    record = json.loads(changed.read_text())
    changed.write_text(json.dumps(record | {"test_metric": 0.125}))
    result = run("race", "--workers", "1", "--from", "first", "--store", "again", "--out", "again.html")
    assert "31 of 32 records are equal to the bit." in result.stdout
    assert "differs: iris, adam, final, repetition 1: 0.125 there" in result.stdout


def test_methods_and_tasks_are_listed():
    methods = words(run("methods").stdout)
    for name in ("adamw", "gravity-ema", "lbfgs", "muon", "snes", "ga-lamarckian", "lr 1e-05 to 1 (log)"):
        assert name in methods
    assert "ades-eq8" not in methods
    tasks = run("tasks").stdout
    for name in ("iris", "modular-addition-gru", "uci-car", "fashion-mnist", "missing"):
        assert name in tasks


def test_strategies_are_listed_with_what_they_are_for():
    listed = words(run("strategies").stdout)
    for said in ("cma: CMA-ES", "qea:", "over: Bits", "defaults: population=", "Hansen"):
        assert said in listed


def test_every_command_explains_its_options():
    for command, options in {
        "race": ("--tasks", "--methods", "--task", "--optimizer", "--space", "--seeds", "--draws", "--store", "--from",
                 "--engine", "--data-dir", "--baseline", "--margin", "--sampler", "--device"),
        "tune": ("--tasks", "--sampler", "--studies"),
        "report": ("--out", "--latex", "--csv", "--parquet"),
    }.items():  # fmt: skip
        result = run(command, "--help")
        assert result.exit_code == 0
        for option in options:
            assert option in result.stdout, (command, option)
