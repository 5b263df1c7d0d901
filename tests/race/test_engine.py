"""Where jobs run makes no difference to what they come to; and what goes wrong there is said clearly."""

import json
import random
import shutil
import subprocess
import sys
import threading
from concurrent.futures import Executor, Future, ThreadPoolExecutor

import cloudpickle
import pytest
import torch
from race.cluster import TESTS, two_workers, with_tests
from race.small import TRIALS, comparable, fragile, line, plain_method, small_race

from thalweg.race import EngineError, Store, WorkerDied, engine, jobs, load
from thalweg.race.jobs import TrialFailed
from thalweg.race.trial import ALONE


class Own(Executor):
    """An executor of a user's: runs everything at once."""

    def submit(self, function, /, *arguments, **named):
        future = Future()
        try:
            future.set_result(function(*arguments, **named))
        except Exception as error:
            future.set_exception(error)
        return future


class Clumsy(torch.optim.SGD):
    """Fails in its third step."""

    def step(self, closure=None):
        self.steps = getattr(self, "steps", 0) + 1
        if self.steps == 3:
            raise IndexError("no third step")
        return super().step(closure)


def copied_choice(store, other):
    """How trials train is measured once, and the other store is given it."""
    shutil.copytree(store / "choices", other / "choices")
    return other


# Executors


def test_any_executor_comes_to_the_same_and_is_left_open(tmp_path, unmeasured):
    here = comparable(small_race(tmp_path / "here"))
    with ThreadPoolExecutor(2) as threads:
        assert comparable(small_race(tmp_path / "threads", engine=threads)) == here
        assert threads.submit(int, "3").result() == 3
    assert comparable(small_race(tmp_path / "own", engine=Own())) == here


def test_jobs_of_one_process_take_turns(tmp_path, unmeasured, monkeypatch):
    """For torch's number of threads and its global generator are the process's."""
    at_work, most = set(), []

    class Watched(jobs.Job):
        def run(self):
            at_work.add(threading.get_ident())
            most.append((len(at_work), torch.get_num_threads()))
            result = super().run()
            at_work.discard(threading.get_ident())
            return result

    monkeypatch.setattr(jobs, "Job", Watched)
    with ThreadPoolExecutor(4) as threads:
        small_race(tmp_path, engine=threads)
    assert set(most) == {(1, 1)}


def test_in_this_process_each_job_is_kept_before_the_next_begins(tmp_path, unmeasured, trained):
    def stop(progress):
        if progress.records:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        small_race(tmp_path, [line(), line(name="other")], on_progress=stop)
    assert {path.stem for path in tmp_path.rglob("trials/*/*.json")} == set(trained)
    assert 0 < len(trained) < TRIALS


def test_a_task_that_cannot_be_sent_to_another_process_can_be_raced_in_this_one(tmp_path, unmeasured):
    lock = threading.Lock()

    def locked():
        with lock:
            return torch.nn.Linear(3, 2)

    with pytest.raises(ValueError, match=r"task line cannot be sent to another process \(TypeError: .*lock"):
        small_race(tmp_path, line(model=locked), engine=Own())
    assert small_race(tmp_path, line(model=locked)).trials == TRIALS


def test_what_is_made_in_a_notebook_is_sent_by_value():
    """As functions of `__main__` are, which no other process can import."""
    names = {"__name__": "__main__", "torch": torch}
    exec("def model(): return torch.nn.Linear(3, 2)\ndef loss(o, t): return (o[:, 0] - t).square().mean()", names)
    task = line(model=names["model"], loss=names["loss"])
    sent = jobs.packed(task, "task line")
    assert cloudpickle.loads(sent).fingerprint() == task.fingerprint()
    assert cloudpickle.loads(sent).check().weight.shape == (2, 3)


# What goes wrong


def test_a_trial_that_raises_is_named_and_what_others_came_to_is_kept(tmp_path, unmeasured):
    methods = [plain_method(), plain_method("clumsy", Clumsy)]
    for name, where in (("here", None), ("own", Own())):
        with pytest.raises(TrialFailed, match=r"task line, method clumsy: .*IndexError: no third step"):
            small_race(tmp_path / name, methods=methods, engine=where, seeds=0, budget=20, repeats=0)
        kept = Store(tmp_path / name)
        assert {kept.get(path.stem).method for path in kept.folder.rglob("trials/*/*.json")} == {"plain"}


def test_a_metric_that_is_not_a_number_is_an_error_and_no_score(tmp_path, unmeasured):
    def metric(outputs, targets):
        return (outputs[:, 0] * 0).sum() / (targets == 2).sum()

    with pytest.raises(ValueError, match="metric"):
        small_race(tmp_path, line(metric=metric))
    assert not list(tmp_path.rglob("trials/*/*.json"))


def test_an_exception_that_cannot_be_read_elsewhere_is_told_in_words():
    class Odd(Exception):
        def __init__(self, one, two):
            super().__init__(f"{one} and {two}")

    def model(generator):
        if generator.initial_seed() != 0:
            raise Odd(1, 2)
        return torch.nn.Linear(3, 2)

    with pytest.raises(TrialFailed, match=r"task line: .*Odd: 1 and 2"):
        jobs.measure_task(jobs.versions(), jobs.packed(line(model=model), "task line"), "cpu")


def test_a_worker_with_other_versions_is_refused():
    with pytest.raises(EngineError, match=r"has torch .* but the race is run with 1\.0: all must"):
        jobs.run_job({**jobs.versions(), "torch": "1.0"}, b"", b"", ALONE, "cpu")


def test_a_worker_that_lacks_what_a_task_imports_says_so():
    sent = b"\x80\x04cno_such_module\nmodel\n."
    with pytest.raises(EngineError, match=r"cannot unpack .* No module named 'no_such_module'.* must be installed"):
        jobs.run_job(jobs.versions(), sent, b"", ALONE, "cpu")


def test_a_killed_worker_ends_the_race_in_words_and_it_goes_on(tmp_path, unmeasured, monkeypatch):
    whole = small_race(tmp_path / "whole", line(model=fragile))
    copied_choice(tmp_path / "whole", tmp_path / "store")
    monkeypatch.setenv("KILL_ONCE", str(tmp_path / "marker"))

    def kill(progress):
        (tmp_path / "marker").touch()

    with pytest.raises(WorkerDied, match="a worker process died"):
        small_race(tmp_path / "store", line(model=fragile), workers=2, on_progress=kill)
    assert not (tmp_path / "marker").exists()
    assert comparable(small_race(tmp_path / "store", line(model=fragile))) == comparable(whole)


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("localhost:8786", "must be the address of a Dask scheduler, like tcp://host:8786, got 'localhost:8786'"),
        ("tcp://127.0.0.1:1", "no Dask scheduler answers at tcp://127.0.0.1:1"),
        ("bus://127.0.0.1:1", "no Dask scheduler answers at bus://127.0.0.1:1: unknown address scheme"),
    ],
)
def test_an_address_without_a_scheduler_is_told_soon(tmp_path, monkeypatch, address, said):
    pytest.importorskip("distributed", reason="the package distributed is not installed")
    monkeypatch.setattr(engine, "CONNECT_SECONDS", 0.5)
    with pytest.raises(EngineError, match=said):
        small_race(tmp_path, engine=address)


def test_without_the_package_for_clusters_it_is_said_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(EngineError, match=r"pip install 'thalweg\[cluster\]'"):
        small_race(tmp_path, engine="tcp://127.0.0.1:1")


# Killed, and two at once


@pytest.fixture(scope="module")
def ends(tmp_path_factory):
    if not sys.platform.startswith("linux"):
        pytest.skip("forks of a process with torch in it are safe on Linux alone")
    seed = random.SystemRandom().randrange(1 << 30)
    command = [sys.executable, "-m", "race.killed", str(tmp_path_factory.mktemp("killed")), str(seed)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=TESTS, env=with_tests(), timeout=300)
    assert done.returncode == 0, done.stderr
    return {"seed": seed, **json.loads(done.stdout)}


def test_a_race_killed_at_ten_random_moments_and_resumed_equals_an_uninterrupted_one(ends):
    """No trial is lost or run twice, and no file is half."""
    killed = ends["killed"]
    assert sum(one["kills"] for one in killed) >= 10, ends
    for one in killed:
        assert one["equal"], ends
        assert one["code"] == 0, ends
        assert one["half"] == one["again"] == one["rewritten"] == one["left"] == [], ends
        assert one["progress"] == sorted(one["progress"]), ends
        assert one["progress"][-1] == ends["trials"], ends
    assert len({progress for one in killed for progress in one["progress"]}) > 1, ends


def test_two_processes_on_one_store_come_to_the_same_and_harm_nothing(ends):
    two = ends["two"]
    assert two["codes"] == [0, 0], ends
    assert two["equal"], ends
    assert two["half"] == two["left"] == [], ends


# Dask


@pytest.fixture
def cluster(tmp_path):
    pytest.importorskip("distributed", reason="the package distributed is not installed")
    with two_workers(tmp_path) as started:
        yield started


@pytest.mark.slow
def test_a_cluster_that_loses_a_worker_in_mid_race_comes_to_the_same(cluster, tmp_path, unmeasured, monkeypatch):
    address, workers = cluster
    whole = small_race(tmp_path / "whole", line(model=fragile))
    copied_choice(tmp_path / "whole", tmp_path / "cluster")
    monkeypatch.setattr(engine, "CONNECT_SECONDS", 60)  # it may still be starting
    markers = [tmp_path / "marker"]

    def kill(progress):
        """Once the first job has arrived: the worker that makes the next network dies over it."""
        if progress.records and markers:
            markers.pop().touch()

    result = small_race(tmp_path / "cluster", line(model=fragile), engine=address, on_progress=kill)
    assert comparable(result) == comparable(whole) == comparable(load(tmp_path / "cluster"))
    assert not (tmp_path / "marker").exists()
    assert sorted(process.poll() is None for process in workers) == [False, True]
