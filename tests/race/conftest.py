"""A race small enough for tests, run once; and a look at what a race trains."""

import math

import pytest
from race.small import small_tasks

from thalweg.race import jobs, race
from thalweg.race.arrangement import Arrangement
from thalweg.race.trial import ALONE, Job


@pytest.fixture(scope="module")
def one_thread():
    """Torch uses one thread, as in a race."""
    with jobs.one_thread():
        yield


@pytest.fixture(scope="session")
def small_result(tmp_path_factory):
    """Five methods, the plain forms of gravity among them, on two tasks."""
    store = tmp_path_factory.mktemp("store")
    return race(small_tasks("iris", "wine"), ["sgd", "adam", "gravity"], seeds=8, budget=3, store=store, workers=1)


@pytest.fixture
def unmeasured(monkeypatch):
    """Trials train one after another without a measurement, which takes longer than they do."""
    monkeypatch.setattr(jobs, "measure", lambda task, device: Arrangement(ALONE, math.inf, 0.5, 1, 1))


@pytest.fixture
def trained(monkeypatch):
    """The keys of the trials that are trained in this process, in order."""
    keys = []

    class Watched(Job):
        def run(self):
            keys.extend(trial.key for trial in self.trials)
            return super().run()

    monkeypatch.setattr(jobs, "Job", Watched)
    return keys
