"""Races of several processes: killed as a whole, interrupted, orphaned, two on one store, without their cluster."""

import os
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from race.small import comparable, line, plain_method, small_race

from thalweg.race import EngineError, engine, load

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="it reads /proc and ends groups of processes"),
]
TESTS = Path(__file__).parent.parent
# Without the usual `if __name__ == "__main__":`, and with functions that no worker can import.
SCRIPT = """
import sys
import torch
import thalweg.race
from thalweg.tasks import ACCURACY, Task

random = torch.Generator().manual_seed(0)
inputs = torch.randn(60, 3, generator=random)

def model():
    return torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))

def loss(outputs, targets):
    return torch.nn.functional.cross_entropy(outputs, targets)

tasks = [Task(model, loss, (inputs, (inputs[:, i] > 0).long()), metric=ACCURACY, name=f"side{i}") for i in range(2)]
result = thalweg.race(
    tasks, ["sgd", "heavy_ball", "torch.optim:Adam"], seeds=12, budget=6, studies=2, store=sys.argv[1], workers=2
)
print(result.found, result.trials)
"""


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    path = tmp_path_factory.mktemp("script") / "my_race.py"
    path.write_text(SCRIPT)
    return path


@pytest.fixture(scope="module")
def whole(script):
    store = script.parent / "whole"
    process = start(script, store)
    said, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    assert said.split()[0] == "0"
    return store


def start(script, store):
    command = [sys.executable, str(script), str(store)]
    return subprocess.Popen(
        command, cwd=script.parent, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def wait_for_records(store, count, process):
    deadline = time.monotonic() + 120
    while len(list(store.glob("trials/*/*.json"))) < count:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.005)


def workers_of(process):
    pids = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return [int(pid) for pid in pids if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def running(pid):
    """Whether it is there, and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until_gone(pids):
    deadline = time.monotonic() + 20
    while any(map(running, pids)):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def states(store):
    return {str(path): (path.stat().st_ino, path.stat().st_mtime_ns) for path in store.glob("trials/*/*.json")}


def finish(script, store):
    process = start(script, store)
    said, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    assert not list(store.rglob("*.part"))
    assert not list(store.glob("arrived/*"))
    return tuple(map(int, said.split()))


def test_all_its_processes_killed_at_ten_random_moments_it_comes_to_the_same(script, whole, tmp_path):
    seed = random.SystemRandom().randrange(1 << 30)
    moments, store = random.Random(seed), tmp_path / "store"
    kills = 0
    for _ in range(10):
        before = states(store)
        process = start(script, store)
        if moments.random() < 0.7:  # somewhere among its jobs, or else while it starts
            while len(states(store)) == len(before) and process.poll() is None:  # none is left where all had been kept
                time.sleep(0.005)
        time.sleep(moments.uniform(0, 2))
        ended = process.poll() is not None
        if not ended:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        kills += not ended
        after = states(store)
        assert {path: after[path] for path in before} == before, seed
        if ended:
            break
    found, trials = finish(script, store)
    assert kills > 1, seed
    assert found == len(after) <= trials, seed
    assert comparable(load(store)) == comparable(load(whole)), seed


def test_ctrl_c_ends_it_and_its_workers_and_keeps_what_is_done(script, whole, tmp_path):
    process = start(script, tmp_path)
    wait_for_records(tmp_path, 1, process)
    workers = workers_of(process)
    assert len(workers) == 2
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode != 0
    assert errors.rstrip().endswith("KeyboardInterrupt")
    assert "SpawnProcess" not in errors  # the workers have nothing to say
    wait_until_gone(workers)
    found, trials = finish(script, tmp_path)
    assert 0 < found < trials
    assert comparable(load(tmp_path)) == comparable(load(whole))


def test_workers_end_when_the_process_that_started_them_is_killed(script, whole, tmp_path):
    process = start(script, tmp_path)
    wait_for_records(tmp_path, 1, process)
    workers = workers_of(process)
    process.kill()
    process.communicate()
    wait_until_gone(workers)
    assert finish(script, tmp_path)[0] > 0
    assert comparable(load(tmp_path)) == comparable(load(whole))


def test_a_killed_worker_is_said_in_one_line(script, whole, tmp_path):
    process = start(script, tmp_path)
    wait_for_records(tmp_path, 1, process)
    os.kill(workers_of(process)[0], signal.SIGKILL)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 1
    said = "thalweg.race.engine.WorkerDied: a worker process died (killed, or out of memory)"
    assert errors.rstrip().splitlines()[-1] == said
    assert finish(script, tmp_path)[0] > 0
    assert comparable(load(tmp_path)) == comparable(load(whole))


def test_two_on_one_store_and_one_of_them_killed(script, whole, tmp_path):
    processes = [start(script, tmp_path) for _ in range(3)]
    wait_for_records(tmp_path, 1, processes[0])
    os.killpg(processes[0].pid, signal.SIGKILL)
    processes[0].communicate()
    for process in processes[1:]:
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors
    assert comparable(load(tmp_path)) == comparable(load(whole))
    found, trials = finish(script, tmp_path)
    assert found == trials


def test_without_its_scheduler_a_race_ends_in_words(tmp_path, monkeypatch):
    pytest.importorskip("distributed", reason="the package distributed is not installed")
    monkeypatch.setattr(engine, "CONNECT_SECONDS", 30)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    address, everywhere = f"tcp://127.0.0.1:{port}", ["--host", "127.0.0.1", "--no-dashboard"]

    def started(*command):
        command = [sys.executable, "-m", *command, *everywhere]
        environment = {**os.environ, "PYTHONPATH": str(TESTS)}
        return subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.DEVNULL)

    scheduler = started("distributed.cli.dask_scheduler", "--port", port)
    worker = started("distributed.cli.dask_worker", address, "--no-nanny", "--death-timeout", "5")

    def kill(progress):
        if progress.records:
            scheduler.kill()

    try:
        with pytest.raises(EngineError, match=f"the Dask scheduler at {address} was lost"):
            small_race(tmp_path / "store", line(), plain_method(), engine=address, on_progress=kill)
        assert list((tmp_path / "store").rglob("trials/*/*.json"))
    finally:
        for process in (scheduler, worker):
            process.kill()
            process.wait()
