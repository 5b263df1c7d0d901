"""`thalweg evolve` on the command line: from a network of one's own to an optimizer that trains it anywhere."""

import errno
import io
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest
from rich.console import Console
from typer.testing import CliRunner

import thalweg
from thalweg.cli import app
from thalweg.cli import evolve as command
from thalweg.evolve.archive import Archive
from thalweg.evolve.evolution import Told

runner = CliRunner()
QUICK = ("--no-controls", "--no-race", "--workers", "1")
TINY = ("--set", "population=8", "--set", "batch=8", "--set", "tournament=2", "--set", "contenders=1")

MY_TASK = """
import torch


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = torch.nn.Sequential(torch.nn.Linear(3, 6), torch.nn.Tanh(), torch.nn.Linear(6, 2))

    def forward(self, x):
        return self.layers(x)


def data(seed, count=120):
    x = torch.randn(count, 3, generator=torch.Generator().manual_seed(seed))
    return x, (x[:, 0] > 0).long()


def task():
    from thalweg import Task
    from thalweg.tasks import ACCURACY

    return Task(Net, torch.nn.functional.cross_entropy, data(0), metric=ACCURACY, name="mine", epochs=4)
"""
ELSEWHERE = """
import importlib.util
import sys


class Blocker:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] == "thalweg":
            raise ImportError(f"{name} is not to be had here")


def module(path):
    spec = importlib.util.spec_from_file_location(path.rpartition("/")[2].removesuffix(".py"), path)
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


sys.meta_path.insert(0, Blocker())
try:
    import thalweg
except ImportError as error:
    print(error)
import torch

mine, winner = module(sys.argv[1]), module(sys.argv[2])
torch.manual_seed(1)
model = mine.Net()
optimizer = winner.Evolved(model.parameters())
assert isinstance(optimizer, torch.optim.Optimizer)
x, y = mine.data(1)
for _ in range(30):
    for rows in torch.randperm(len(x)).split(16):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(x[rows]), y[rows]).backward()
        optimizer.step()
x, y = mine.data(2, 1000)
print(float((model(x).argmax(1) == y).float().mean()))
print([name for name in sys.modules if name.startswith("thalweg")])
"""


def evolve(*arguments):
    return runner.invoke(app, ("evolve", *arguments))


def mine(budget="16c", store="mine"):
    return (
        "--task", "my_task.py:task", "--budget", budget, "--store", store, "--seed-rules", "adam", *QUICK, *TINY,
    )  # fmt: skip


def words(text):
    """The text on one line: the console breaks lines where it likes."""
    return " ".join(text.split())


def held(store):
    """The archive, and the page."""
    with Archive(store / "archive.sqlite") as archive:
        return archive.dump(), (store / "report.html").read_bytes()


@pytest.fixture(autouse=True)
def _in_a_folder_with_a_task(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("THALWEG_DATA", raising=False)
    (tmp_path / "my_task.py").write_text(MY_TASK)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A store that the command left, and what it printed."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "my_task.py").write_text(MY_TASK)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        result = evolve(*mine())
    assert result.exit_code == 0, result.output
    return folder / "mine", result.stdout


@pytest.fixture
def printed(tmp_path, finished):
    """What the command printed whose store is `mine`, here."""
    shutil.copytree(finished[0], tmp_path / "mine")
    return finished[1]


def test_the_command_ends_with_what_was_found_and_where_it_is(tmp_path, printed):
    assert words(printed).startswith("An optimizer evolved for Mine")
    assert words(printed).endswith("Report: mine/report.html Optimizer: mine/winner.py")
    assert (tmp_path / "mine" / "report.html").is_file()


@pytest.mark.slow
@pytest.mark.usefixtures("printed")
def test_from_the_command_to_an_optimizer_that_trains_ones_own_network_without_thalweg(tmp_path):
    (tmp_path / "elsewhere.py").write_text(ELSEWHERE)
    ran = subprocess.run(
        [sys.executable, "-I", "elsewhere.py", str(tmp_path / "my_task.py"), str(tmp_path / "mine" / "winner.py")],
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    blocked, accuracy, modules = ran.stdout.splitlines()
    assert blocked == "thalweg is not to be had here"
    assert float(accuracy) > 0.9
    assert modules == "[]"


@pytest.mark.slow
def test_the_same_command_again_comes_to_the_same_bytes_and_a_larger_budget_goes_on(tmp_path, printed):
    before = held(tmp_path / "mine")
    again = evolve(*mine())
    assert again.stdout == printed
    assert held(tmp_path / "mine") == before
    longer = evolve(*mine("32c"))
    assert longer.exit_code == 0, longer.output
    with Archive(tmp_path / "mine" / "archive.sqlite") as archive:
        assert archive.counters()["generated"] >= 32
        kept = [line for line in archive.dump().splitlines() if line.startswith('["candidates"')]
    assert kept[: before[0].count('["candidates"')] == [
        line for line in before[0].splitlines() if line.startswith('["candidates"')
    ]


@pytest.mark.usefixtures("printed")
def test_another_command_on_the_same_store_is_refused_and_says_what_differs():
    other = evolve(*mine(), "--seed", "1")
    assert other.exit_code == 2
    assert "store 'mine' holds another evolution (seed is 0, not 1)" in words(other.stderr)


BAD = {
    "unknown task": (("--task", "irs"), "there is no task 'irs': did you mean iris?"),
    "no task file": (("--task", "nowhere.py:task"), "there is no file"),
    "no task function": (("--task", "my_task.py:tsk"), "has no function 'tsk'; it has"),
    "unknown preset": (("--preset", "laptp"), "preset must be one of laptop, gpu, paper, got 'laptp'"),
    "unknown rule": (("--seed-rules", "gravty"), "no rule is named 'gravty'; did you mean gravity"),
    "bad budget": (("--budget", "ten minutes"), "got 'ten minutes'"),
    "no grammar": (("--grammar", "nowhere.bnf"), "grammar 'nowhere.bnf': there is no such file"),
    "no epochs": (("--epochs", "0"), "epochs must be a number above 0, got 0.0"),
    "negative seed": (("--seed", "-1"), "--seed '-1' must be >= 0"),
    "no workers": (("--workers", "0"), "--workers '0' must be >= 1"),
    "unknown task away": (("--away", "wien"), "there is no task 'wien': did you mean wine?"),
    "no engine": (("--engine", "here"), "engine must be the address of a Dask scheduler"),
    "store that is a file": (("--store", "my_task.py"), "store must be a folder, but 'my_task.py' is a file"),
    "setting without a value": (("--set", "population"), "must be name=value, such as population=64"),
    "setting without a name": (("--set", "=64"), "got '=64'"),
    "unknown setting": (("--set", "populaton=64"), "got 'populaton=64'"),
    "setting that is no number": (("--set", "population=many"), "population must be a whole number, got 'many'"),
    "setting out of bounds": (("--set", "population=1"), "population must be a whole number of at least 2, got 1"),
    "setting neither true nor false": (("--set", "proxy=maybe"), "proxy must be true or false, got 'maybe'"),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_input_ends_with_code_2_and_words_and_writes_nothing(what, tmp_path):
    arguments, says = BAD[what]
    given = {"--task": "my_task.py:task", "--store": "mine", **dict([arguments])}
    result = evolve(*QUICK, *(part for pair in given.items() for part in pair))
    assert result.exit_code == 2, result.output
    assert says in words(result.stderr)
    assert "Traceback" not in result.output
    assert [path.name for path in tmp_path.iterdir() if path.name != "__pycache__"] == ["my_task.py"]


@pytest.mark.parametrize(
    ("trouble", "code", "says"),
    [
        (KeyboardInterrupt(), 130, "Interrupted: what was found by then is kept in the store"),
        (
            OSError(errno.ENOSPC, "No space left"),
            1,
            "No space left; what was found by then is kept in the store",
        ),
        (ValueError("seed must be a whole number"), 2, "Error: seed must be a whole number"),
    ],
    ids=["ctrl-c", "full disk", "bad input"],
)
def test_how_it_ends_is_told_by_the_exit_code(trouble, code, says, monkeypatch):
    def end(*_, **__):
        raise trouble

    monkeypatch.setattr(thalweg.evolve, "evolve", end, raising=False)
    result = evolve(*mine())
    assert result.exit_code == code
    assert says in words(result.stderr)


@pytest.mark.slow
def test_ctrl_c_keeps_the_store_and_the_same_command_goes_on(tmp_path):
    arguments = [sys.executable, "-m", "thalweg", "evolve", *mine("100000c")]
    arguments[arguments.index("--workers") + 1] = "2"
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    archive, deadline = tmp_path / "mine" / "archive.sqlite", time.monotonic() + 240
    while not (archive.exists() and archive.stat().st_size > 100_000) and time.monotonic() < deadline:
        assert process.poll() is None
        time.sleep(0.1)
    os.kill(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "the same command goes on from there" in words(said)
    assert "Traceback" not in said
    with Archive(archive) as kept:
        bred, before = kept.counters()["generated"], kept.dump().count('["candidates"')
    assert bred >= 8
    assert evolve(*mine(f"{bred + 8:.0f}c")).exit_code == 0
    with Archive(archive) as kept:
        assert kept.counters()["generated"] >= bred + 8
        assert kept.dump().count('["candidates"') >= before


def test_the_board_shows_what_is_done_and_the_best_equations_so_far(monkeypatch):
    screen = io.StringIO()
    monkeypatch.setattr(command, "messages", Console(file=screen, force_terminal=True, width=100))
    with command.Board() as board:
        best = "best so far: 0.9667 over 3 seeds\nm = 0.9*m + g\nw = w - 0.1*m"
        board(Told("evolving", 0.25, 512, "512 bred, 40 refused, 472 tried", best))
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.getvalue())
    for said in ("evolving", "25 %", "512 bred, 40 refused", "best so far: 0.9667 over 3 seeds", "w = w - 0.1*m"):
        assert said in shown
