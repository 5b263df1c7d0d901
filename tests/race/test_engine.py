"""Processes: interrupted, killed and resumed, a race says the same."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from race.small import comparable

from thalweg.race import Store, method_named, race
from thalweg.tasks import TASKS

METHODS = ("sgd", "heavy_ball")
COMMAND = (
    "from thalweg.cli import app; app("
    "'race --tasks iris --methods sgd,heavy-ball --seeds 4 --draws 40 --epochs 2 --workers {workers}'.split())"
)


def start(folder: Path, workers: int) -> subprocess.Popen:
    command = [sys.executable, "-c", COMMAND.format(workers=workers)]
    return subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True, start_new_session=True)


def wait_for_records(folder: Path, count: int, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + 60
    while len(list(folder.glob("race-store/*.json"))) < count:
        assert process.poll() is None, "the race ended before it could be interrupted"
        assert time.monotonic() < deadline
        time.sleep(0.005)


def children(process: subprocess.Popen) -> list[int]:
    """The worker processes of a race."""
    pids = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return [int(pid) for pid in pids if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def run_to_the_end(store: Path):
    task = replace(TASKS["iris"](), epochs=2)
    return race([task], [method_named(m) for m in METHODS], seeds=4, draws=40, store=store, workers=1)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    return run_to_the_end(tmp_path_factory.mktemp("whole") / "race-store")


def test_a_race_killed_in_the_middle_and_resumed_equals_an_uninterrupted_one(tmp_path, uninterrupted):
    process = start(tmp_path, workers=1)
    wait_for_records(tmp_path, 5, process)
    process.kill()
    process.communicate()
    store = Store(tmp_path / "race-store")
    written = list(store.folder.glob("*.json"))
    assert all(store.get(path.stem) is not None for path in written)
    resumed = run_to_the_end(store.folder)
    assert len(written) == resumed.found < resumed.trials
    assert comparable(resumed) == comparable(uninterrupted)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_ctrl_c_and_a_dying_worker_end_clearly_and_keep_what_is_done(tmp_path, uninterrupted):
    process = start(tmp_path, workers=2)
    wait_for_records(tmp_path, 4, process)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Interrupted: finished trials are kept in race-store" in said
    assert "Traceback" not in said

    process = start(tmp_path, workers=2)
    wait_for_records(tmp_path, 8, process)
    os.kill(children(process)[0], signal.SIGKILL)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "a worker process died" in said
    assert "Traceback" not in said

    resumed = run_to_the_end(tmp_path / "race-store")
    assert 8 <= resumed.found < resumed.trials
    assert comparable(resumed) == comparable(uninterrupted)
