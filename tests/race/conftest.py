"""A race small enough for tests, run once."""

from dataclasses import replace

import pytest

from thalweg.race import method_named, race
from thalweg.tasks import TASKS


def small_tasks(*names, epochs=2):
    return [replace(TASKS[name](), epochs=epochs) for name in names]


@pytest.fixture(scope="session")
def small_result(tmp_path_factory):
    methods = [method_named(name) for name in ("sgd", "adam", "gravity", "gravity_ema_noise", "gravity_ema")]
    store = tmp_path_factory.mktemp("store")
    return race(small_tasks("iris", "wine"), methods, seeds=8, draws=3, store=store, workers=1)
