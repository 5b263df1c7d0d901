"""Whether a task's trials train stacked or alone: what the measurement sees, and what follows from it."""

from __future__ import annotations

import json
import math

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from thalweg.race import arrangement
from thalweg.race.arrangement import Arrangement, measure
from thalweg.race.trial import ALONE, STACKED
from thalweg.tasks import Task
from thalweg.tasks.models import mlp

pytestmark = pytest.mark.usefixtures("one_thread")


def task(model, **settings) -> Task:
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(200, 4, generator=generator)
    return Task(model, cross_entropy, (inputs, (inputs[:, 0] > 0).long()), name="sign", **{"epochs": 3, **settings})


class Asking(nn.Module):
    """Does something that cannot be stacked, only where it is asked to."""

    def __init__(self, when) -> None:
        super().__init__()
        self.inner, self.drop, self.when = nn.Linear(4, 2), nn.Dropout(0.0), when

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.drop(x)
        return self.inner(x) * (1 if not self.when(self, x) or bool(x.sum() > 0) else 2)


def test_small_perceptrons_are_stacked():
    found = measure(task(lambda generator: mlp((4, 8, 2), generator)), "cpu")
    assert found.arrangement == STACKED
    assert found.stacked < found.alone
    assert found.steps == 3 * math.ceil(120 / 32)
    assert found.members == arrangement.MOST
    assert found.seconds == found.steps * found.stacked


@pytest.mark.parametrize(
    "when",
    [
        lambda network, x: network.training,
        lambda network, x: not network.training,
        lambda network, x: network.training and len(x) == 120 % 32,
        lambda network, x: network.training and network.drop.p > 0,
    ],
    ids=["in training", "in evaluation", "in the last batch", "with dropout"],
)
def test_what_cannot_be_stacked_in_any_part_of_a_trial_is_found_beforehand(when):
    found = measure(task(lambda: Asking(when)), "cpu")
    assert (found.arrangement, found.stacked, found.members) == (ALONE, math.inf, 1)
    assert found.seconds == found.steps * found.alone


def test_members_are_as_many_as_fit_into_memory(monkeypatch):
    """Of a network with 4*500 + 500 + 500*2 + 2 weights at least six copies of 4 bytes each."""
    most = measure(task(lambda generator: mlp((4, 500, 2), generator)), "cpu").members
    monkeypatch.setattr(arrangement, "MEMORY", 3502 * 4 * 6 * 10)
    fewer = measure(task(lambda generator: mlp((4, 500, 2), generator)), "cpu").members
    assert 1 <= fewer < 10 < most
    monkeypatch.setattr(arrangement, "MEMORY", 3502 * 4 * 6)
    found = measure(task(lambda generator: mlp((4, 500, 2), generator)), "cpu")
    assert (found.arrangement, found.members) == (ALONE, 1)


def test_the_global_generator_is_left_alone():
    before = torch.random.get_rng_state()
    measure(task(lambda: nn.Sequential(nn.Linear(4, 2), nn.Dropout(0.5))), "cpu")
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_model_that_gives_the_same_network_again_is_an_error():
    network = nn.Linear(4, 2)
    with pytest.raises(ValueError, match="the model of sign must return a new network at every call"):
        measure(task(lambda: network), "cpu")


def test_it_is_written_and_read_and_says_the_same():
    for found in (Arrangement(STACKED, 1e-6, 1e-4, 100, 256), Arrangement(ALONE, math.inf, 1e-2, 100, 1)):
        again = Arrangement.of(json.loads(json.dumps(found.as_dict(), allow_nan=False)))
        assert (again.arrangement, again.seconds, again.members) == (found.arrangement, found.seconds, found.members)
        for trials in (1, 10, 90, 1000):
            for stackable in (True, False):
                assert again.job_size(trials, stackable) == found.job_size(trials, stackable)


def test_a_round_of_stacked_trials_is_at_least_two_jobs_none_larger_than_fits():
    found = Arrangement(STACKED, 1e-6, 1e-4, 100, 100)
    assert [found.job_size(trials, True) for trials in (1, 40, 64, 90, 150, 1000)] == [32, 32, 32, 45, 75, 100]


def test_a_job_of_trials_one_after_another_takes_about_five_seconds():
    assert Arrangement(ALONE, math.inf, 1e-2, 100, 1).job_size(1000, True) == 5
    assert Arrangement(ALONE, math.inf, 1.0, 100, 1).job_size(1000, True) == 1
    assert Arrangement(STACKED, 1e-6, 1e-6, 100, 256).job_size(1000, False) == 32
