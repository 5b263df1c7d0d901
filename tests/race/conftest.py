"""A race small enough for tests, run once."""

import pytest
from race.small import small_tasks

from thalweg.race import method_named, race


@pytest.fixture(scope="session")
def small_result(tmp_path_factory):
    methods = [method_named(name) for name in ("sgd", "adam", "gravity", "gravity_ema_noise", "gravity_ema")]
    store = tmp_path_factory.mktemp("store")
    return race(small_tasks("iris", "wine"), methods, seeds=8, draws=3, store=store, workers=1)
