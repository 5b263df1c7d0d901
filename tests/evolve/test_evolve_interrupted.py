"""An evolution that is killed, or loses a worker, ends as one that nothing happened to: to the last byte."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from race.cluster import two_workers
from race.small import fragile, line
from typer.testing import CliRunner

import thalweg
from thalweg.cli import app
from thalweg.evolve import search
from thalweg.evolve.archive import Archive
from thalweg.evolve.store import Store
from thalweg.race import WorkerDied, engine

TINY = {"population": 12, "batch": 12, "tournament": 4, "elites": 4, "contenders": 3, "seeds": 3}
FEW = {"controls": False, "race": False, "finalists": 3, "choices": 3, "tests": 10}
FILE = """
import torch
from torch.nn.functional import cross_entropy
from thalweg.tasks import ACCURACY, Task
from thalweg.tasks.models import mlp


def task():
    x = torch.randn(160, 2, generator=torch.Generator().manual_seed(0))
    y = (x[:, 0] * x[:, 1] > 0).long()
    return Task(lambda random: mlp((2, 8, 2), random), cross_entropy, (x, y), metric=ACCURACY, name="own", epochs=3)
"""


def left(store: Path) -> dict[str, object]:
    """What an evolution leaves: the archive, with the checkpoint in which the population is, report and optimizer."""
    with Archive(store / "archive.sqlite") as archive:
        dump, checkpoint = archive.dump(), archive.checkpoint
    return {
        "archive": dump,
        "checkpoint": checkpoint,
        "report": (store / "report.html").read_bytes(),
        "winner": (store / "winner.py").read_bytes(),
        "asked": (store / "evolution.json").read_bytes(),
        # SQLite's journal of a killed process, rolled back, stays where there was nothing to write after it.
        "files": sorted(path.name for path in store.iterdir() if path.name != "archive.sqlite-journal"),
    }


# The main process


class Command:
    """`thalweg evolve` on a task in a file, with two workers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "mine.py").write_text(FILE)

    def started(self, store: str) -> subprocess.Popen:
        command = [sys.executable, "-m", "thalweg", "evolve", "--task", "mine.py:task", "--budget", "96c"]
        command += ["--workers", "2", "--no-race", "--no-controls", "--store", store]
        for name, value in TINY.items():
            command += ["--set", f"{name}={value}"]
        return subprocess.Popen(command, cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    def run(self, store: str) -> dict[str, object]:
        process = self.started(store)
        _, said = process.communicate(timeout=300)
        assert process.returncode == 0, said
        return left(self.folder / store)


@pytest.mark.slow
def test_killed_at_ten_random_moments_and_resumed_it_ends_as_if_it_never_was(tmp_path):
    moments, command = random.Random(0), Command(tmp_path)
    start = time.monotonic()
    whole = command.run("whole")
    lasts = time.monotonic() - start
    kills, progress, store = 0, [], 0
    while kills < 10:
        process = command.started(f"{store}")
        time.sleep(moments.uniform(0.1, 0.9) * lasts)
        process.kill()
        process.communicate()
        if process.returncode == -signal.SIGKILL:
            kills += 1
            clock = tmp_path / f"{store}" / "clock.json"
            progress.append(clock.read_text() if clock.exists() else "")
        else:
            assert process.returncode == 0
            assert left(tmp_path / f"{store}") == whole
            store += 1
    assert command.run(f"{store}") == whole
    assert len(set(progress)) > 3  # most of them while it was at work


def test_a_folder_in_which_a_killed_process_has_begun_to_write_is_still_new(tmp_path):
    asked = {"seed": 0}
    (tmp_path / f".{os.uname().nodename}-1-evolution.part").touch()
    Store(tmp_path).begin(asked).close()
    Store(tmp_path).begin(asked).close()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "letter.txt").touch()
    with pytest.raises(ValueError, match="holds others' files"):
        Store(tmp_path / "other").begin(asked)


# Its workers


def evolved(store: Path, budget: str = "48c", **changes):
    """The evolution whose workers die over a network once the marker is there."""
    thalweg.evolve(line(model=fragile), budget=budget, store=store, **{**TINY, **FEW, "workers": 1, **changes})
    return left(store)


@pytest.fixture
def killer(tmp_path, monkeypatch):
    """What tells of progress: once the second batch has arrived, the worker that makes the next network dies."""
    monkeypatch.setattr(search, "LEAST_JOB", 2)  # several jobs a batch
    markers = [tmp_path / "marker"]

    def kill(told):
        if told.candidates >= 24 and markers:
            markers.pop().touch()

    return kill


@pytest.mark.slow
def test_a_cluster_that_loses_a_worker_in_the_middle_comes_to_the_same(tmp_path, killer, monkeypatch):
    pytest.importorskip("distributed", reason="the package distributed is not installed")
    monkeypatch.setattr(engine, "CONNECT_SECONDS", 60)  # it may still be starting
    whole = evolved(tmp_path / "whole")
    with two_workers(tmp_path) as (address, workers):
        assert evolved(tmp_path / "cluster", engine=address, on_progress=killer) == whole
        assert not (tmp_path / "marker").exists()
        assert sorted(process.poll() is None for process in workers) == [False, True]


@pytest.mark.slow
def test_after_a_killed_worker_of_this_machine_the_same_call_goes_on(tmp_path, killer, monkeypatch):
    whole = evolved(tmp_path / "whole")
    monkeypatch.setenv("KILL_ONCE", str(tmp_path / "marker"))
    with pytest.raises(WorkerDied, match="a worker process died"):
        evolved(tmp_path / "store", workers=2, on_progress=killer)
    assert not (tmp_path / "marker").exists()
    with Archive(tmp_path / "store" / "archive.sqlite") as archive:
        assert archive.counters()["generated"] >= 24
    assert evolved(tmp_path / "store", workers=2) == whole


def test_the_command_says_that_it_goes_on_after_a_killed_worker(monkeypatch):
    def die(*_, **__):
        raise WorkerDied("a worker process died")

    monkeypatch.setattr(thalweg.evolve, "evolve", die)
    ended = CliRunner().invoke(app, ["evolve", "--task", "iris"])
    assert ended.exit_code == 1
    assert "a worker process died" in ended.output
    assert "the same command goes on from there" in ended.output
