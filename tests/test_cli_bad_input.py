"""Bad input: every kind ends with a clear error and exit code 2, and nothing is written or lost."""

import json
import shutil

import pytest
from typer.testing import CliRunner

from thalweg.cli import app

runner = CliRunner()
TINY = ("--workers", "1", "--seeds", "1", "--draws", "1", "--studies", "1", "--epochs", "1")
RACE = ("race", *TINY, "--methods", "sgd", "--tasks", "iris", "--store", "store")

TASKS = """
import torch
from thalweg import Task

inputs = torch.randn(60, 3, generator=torch.Generator().manual_seed(0))
targets = (inputs[:, 0] > 0).long()
model = lambda: torch.nn.Linear(3, 2)
loss = torch.nn.functional.cross_entropy

def nan():
    return Task(model, loss, (inputs.clone().index_fill_(0, torch.tensor([7]), float("nan")), targets), name="nan")

def one_class():
    return Task(model, loss, (inputs, torch.zeros(60, dtype=torch.int64)), name="one_class")

def too_small():
    return Task(model, loss, (inputs[:4], targets[:4]), name="too_small")

def lengths():
    return Task(model, loss, (inputs, targets[:50]), name="lengths")

def raises():
    raise RuntimeError("the file server is down")

def no_task():
    return 42

def wrong_shape():
    return Task(lambda: torch.nn.Linear(4, 2), loss, (inputs, targets), name="wrong_shape")

def validation_alone():
    return Task(model, loss, (inputs, targets), val=(inputs, targets), name="validation_alone")

def good():
    return Task(model, loss, (inputs, targets), name="good")
"""
KEEPING = """
class Keeping:
    seen = 0

    def __call__(self, outputs, targets):
        self.seen += 1
        return loss(outputs, targets)

def keeping():
    return Task(model, Keeping(), (inputs, targets))
"""
OPTIMIZERS = """
import torch

class NotOne:
    def __init__(self, params): pass

class Picky(torch.optim.SGD):
    def __init__(self, params, lr=1e-3):
        raise ValueError("I only train on Tuesdays")

class Odd(torch.optim.SGD):
    search_space = {"lr": (1.0, 1e-3)}
"""

BAD = {
    "unknown method": (("race", "--methods", "gravty"), "method 'gravty' is unknown (did you mean gravity?)"),
    "no method": (("race", "--methods", ","), "--methods ',' must name at least one"),
    "reference rule": (("race", "--methods", "ades-eq8"), "ades-eq8"),
    "unknown task": (("race", "--tasks", "iris,wien"), "did you mean wine?"),
    "no task": (("race", "--tasks", " "), "--tasks ' ' must name at least one"),
    "unknown preset": (("race", "ucl"), "PRESET 'ucl' is unknown (did you mean uci?)"),
    "no seeds": (("race", "--seeds", "0"), "--seeds '0' must be >= 1"),
    "negative budget": (("race", "--draws", "-3"), "--draws '-3' must be >= 1"),
    "no studies": (("race", "--studies", "0"), "--studies '0' must be >= 1"),
    "no epochs": (("race", "--epochs", "0"), "--epochs '0' must be >= 1"),
    "no workers": (("race", "--workers", "0"), "--workers '0' must be >= 1"),
    "negative seed": (("race", "--seed", "-1"), "--seed '-1' must be >= 0"),
    "words for a number": (("race", "--seeds", "many"), "--seeds"),
    "unknown sampler": ((*RACE, "--sampler", "tpo"), "--sampler 'tpo' is unknown (did you mean tpe?)"),
    "negative margin": ((*RACE, "--margin", "-1"), "--margin '-1.0' must be >= 0"),
    "margin not a number": ((*RACE, "--margin", "nan"), "--margin 'nan' must be >= 0"),
    "baseline not raced": ((*RACE, "--baseline", "adam"), "baseline must be one of the methods (sgd), got 'adam'"),
    "unknown device": ((*RACE, "--device", "toaster"), "device must be"),
    "out in no folder": ((*RACE, "--out", "no/such/race.html"), "must be a file in a folder that exists"),
    "store below a file": (
        (*RACE[:-2], "--store", "/dev/null/store"),
        "--store '/dev/null/store' must be a folder, but /dev/null is a file",
    ),
    "no data": (("race", "uci"), "THALWEG_DATA"),
    "data folder that is not there": (("race", "uci", "--data-dir", "nowhere"), "nowhere"),
    "no such text": ((*RACE, "--tasks", "chars:nowhere.txt"), "nowhere.txt"),
    "NaN in data": ((*RACE, "--task", "tasks.py:nan"), "nan"),
    "one class only": ((*RACE, "--task", "tasks.py:one_class"), "class"),
    "too small to split": ((*RACE, "--task", "tasks.py:too_small"), "too_small"),
    "lengths that differ": ((*RACE, "--task", "tasks.py:lengths"), "lengths"),
    "a task that raises": ((*RACE, "--task", "tasks.py:raises"), "the file server is down"),
    "a function that gives no task": ((*RACE, "--task", "tasks.py:no_task"), "no_task"),
    "a network that does not fit": ((*RACE, "--task", "tasks.py:wrong_shape"), "wrong_shape"),
    "validation without test": ((*RACE, "--task", "tasks.py:validation_alone"), "val is given but test is not"),
    "no such task function": ((*RACE, "--task", "tasks.py:god"), "god"),
    "no such task file": ((*RACE, "--task", "nowhere.py:task"), "nowhere.py"),
    "a task twice": ((*RACE, "--task", "tasks.py:good", "--task", "tasks.py:good"), "each once"),
    "no such module": ((*RACE, "--optimizer", "no_such_package:SGD"), "no_such_package"),
    "no such class": ((*RACE, "--optimizer", "torch.optim:SDG"), "has no 'SDG'"),
    "not an optimizer": ((*RACE, "--optimizer", "optimizers.py:NotOne"), "must make a torch.optim.Optimizer"),
    "an optimizer that refuses": ((*RACE, "--optimizer", "optimizers.py:Picky"), "I only train on Tuesdays"),
    "an empty range": ((*RACE, "--optimizer", "optimizers.py:Odd"), "search_space"),
    "a space that is not there": ((*RACE, "--space", "sgd=nowhere.toml"), "names no file: nowhere.toml"),
    "a space for nobody": ((*RACE, "--space", "adam=space.toml"), "adam"),
    "a space of another": ((*RACE, "--space", "sgd=space.toml"), "space.toml"),
    "a space without a name": ((*RACE, "--space", "space.toml"), "must be name=file.toml"),
    "from nowhere": (("race", "--from", "nowhere"), "is not there"),
    "from a file that is no report": (("race", "--from", "tasks.py"), "tasks.py"),
    "from a folder that is no store": (("race", "--from", "empty"), "is not the store of a race"),
    "no cluster there": ((*RACE, "--engine", "tcp://127.0.0.1:9"), "no Dask scheduler answers"),
    "from, and another race": (
        ("race", "--from", "tasks.py", "--seeds", "3"), "--seeds '3' cannot be given with --from",
    ),
    "from, over itself": (("race", "--from", "tasks.py", "--out", "tasks.py"), "must be another file than the one"),
    "tune nothing": (("tune",), "must name at least one"),
    "tune by no sampler": (("tune", "--tasks", "iris", "--sampler", "best"), "--sampler 'best' is unknown"),
    "report of nothing": (("report", "nowhere"), "nowhere"),
    "report of no store": (("report", "empty"), "is not the store of a race"),
}  # fmt: skip


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("THALWEG_DATA", raising=False)
    (tmp_path / "tasks.py").write_text(TASKS)
    (tmp_path / "optimizers.py").write_text(OPTIMIZERS)
    (tmp_path / "space.toml").write_text('[colour]\nkind = "float"\nlow = 1.0\nhigh = 2.0\n')
    (tmp_path / "empty").mkdir()
    return tmp_path


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts}


@pytest.mark.parametrize("what", BAD)
def test_bad_input_is_named_and_answered_and_nothing_is_written(what, folder):
    arguments, says = BAD[what]
    before = contents(folder)
    result = runner.invoke(app, arguments)
    assert result.exit_code == 2, result.output
    assert says in result.stderr.replace("\n", " ")
    assert "Traceback" not in result.output
    written = contents(folder)
    assert {path for path in written if path not in before} == set(), result.stderr
    assert written == before


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished")
    result = runner.invoke(app, [*RACE[:-2], "--store", str(folder / "store"), "--out", str(folder / "race.html")])
    assert result.exit_code == 0, result.output
    return folder / "store"


@pytest.fixture
def store(folder, finished):
    shutil.copytree(finished, folder / "store")
    return folder / "store"


def refused(folder, *arguments):
    """What a command says that ends with exit code 2 and leaves everything as it was."""
    before = contents(folder)
    result = runner.invoke(app, arguments)
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    assert contents(folder) == before
    return result.stderr.replace("\n", " ")


def test_a_store_of_another_race_is_refused_and_says_what_differs(folder, store):
    said = refused(folder, "race", *TINY, "--methods", "adam", "--tasks", "iris", "--store", "store")
    assert "store holds another race (its methods are sgd; its baseline is sgd); give another store" in said


def test_a_manifest_of_another_version_is_refused(folder, store):
    manifest = json.loads((store / "manifest.json").read_text())
    (store / "manifest.json").write_text(json.dumps(manifest | {"schema": 1}))
    assert "manifest.json is not a readable manifest (schema must be 3, got 1" in refused(folder, *RACE)
    assert "schema must be 3, got 1" in refused(folder, "report", "store")


def test_an_unreadable_manifest_is_refused(folder, store):
    (store / "manifest.json").write_text("{")
    assert "manifest.json is not a readable manifest" in refused(folder, *RACE)


def test_an_unreadable_record_is_refused(folder, store):
    broken = sorted(store.glob("trials/*/*.json"))[0]
    broken.write_text("{")
    assert f"{broken.name} is not a readable record" in refused(folder, *RACE)
    assert f"{broken.name} is not a readable record" in refused(folder, "report", "store")


def test_a_record_that_holds_nan_is_refused(folder, store):
    broken = sorted(store.glob("trials/*/*.json"))[0]
    broken.write_text(broken.read_text().replace('"seconds": ', '"seconds": NaN, "was": '))
    assert f"{broken.name} is not a readable record (NaN is no number" in refused(folder, "report", "store")


def test_a_record_that_is_deleted_is_made_again(folder, store):
    gone = sorted(store.glob("trials/*/*.json"))[0]
    before = json.loads(gone.read_text())
    gone.unlink()
    assert "is not finished: give its command again" in refused(folder, "report", "store")
    assert runner.invoke(app, RACE).exit_code == 0
    after = json.loads(gone.read_text())
    assert {**before, "seconds": 0, "members": 0} == {**after, "seconds": 0, "members": 0}


def test_a_loss_that_keeps_something_is_refused(folder):
    (folder / "keeping.py").write_text(TASKS + KEEPING)
    said = refused(folder, *RACE, "--task", "keeping.py:keeping")
    assert "the loss keeps something from call to call" in said


def test_a_race_that_is_not_finished_has_no_report(folder, store):
    shutil.rmtree(store / "cells")
    assert "is not finished: give its command again" in refused(folder, "report", "store")
