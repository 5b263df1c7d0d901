"""Going on from state dicts is going on: of the sweep, of its optimizer, of its blocks."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from sweep.networks import batches, drawn, of_depth, same_weights, sgd, stream, through_a_file
from torch import nn

import thalweg.optim
from thalweg.sweep import PositionWise

mse = nn.MSELoss()
OPTIMIZERS = {
    "momentum": lambda params: torch.optim.SGD(params, lr=0.05, momentum=0.9),
    "Adam": lambda params: torch.optim.Adam(params, lr=0.01),
    "thalweg Adam": lambda params: thalweg.optim.Adam(params, lr=0.01),
}


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
@pytest.mark.parametrize("options", [
    {}, {"schedule": "stochastic"}, {"stages": 2}, {"stages": [1, 3], "schedule": "stochastic", "normalize_lr": False},
], ids=str)  # fmt: skip
def test_resume_through_a_file_equals_uninterrupted(options, make):
    def started(seed: int) -> tuple[nn.Module, PositionWise]:
        network = drawn(nn.Sequential(of_depth(2), nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)), seed)
        return network, PositionWise(network, mse, make(network.parameters()), generator=stream(seed), **options)

    data = list(batches(16, 3, 2))
    network, sweep = started(3)
    for x, y in data[:8]:
        sweep.step(x, y)
    saved = through_a_file([network.state_dict(), sweep.optimizer.state_dict(), sweep.state_dict()])
    other, resumed = started(4)
    for part, state in zip((other, resumed.optimizer, resumed), saved, strict=True):
        part.load_state_dict(state)
    for x, y in data[8:]:
        assert torch.equal(sweep.step(x, y), resumed.step(x, y))
        assert sweep.starts == resumed.starts
    assert same_weights(network, other)
    assert sweep.updates == resumed.updates
    assert sweep.stages == resumed.stages


def test_a_number_of_stages_is_saved_before_it_is_used_too():
    """It is turned into a list at the first batch."""
    x, y = next(batches(1, 3, 2))
    sweeps = [
        PositionWise(own, mse, sgd(own), stages=stages) for own, stages in ((of_depth(4), 2), (of_depth(4), None))
    ]
    assert sweeps[0].state_dict()["stages"] == 2
    sweeps[1].load_state_dict(sweeps[0].state_dict())
    for sweep in sweeps:
        sweep.step(x, y)
    assert sweeps[0].stages == sweeps[1].stages
    assert len(sweeps[1].losses) == 2


def test_what_was_saved_stays_as_it_was():
    network = of_depth(3)
    sweep = PositionWise(network, mse, sgd(network), schedule="stochastic")
    saved = sweep.state_dict()
    before = copy.deepcopy(saved)
    for x, y in batches(3, 3, 2):
        sweep.step(x, y)
    assert saved["updates"] == before["updates"] == [0, 0, 0]
    assert torch.equal(saved["generator"], before["generator"])


def without(key: str) -> Any:
    return lambda saved: {name: value for name, value in saved.items() if name != key}


@pytest.mark.parametrize(("change", "message"), [
    (without("generator"), "the state dict has no 'generator'; it must be a PositionWise's"),
    (without("stages"), "the state dict has no 'stages'"),
    (lambda saved: {"state": {}, "param_groups": []}, "the state dict has no 'generator'"),
    (lambda saved: {**saved, "updates": [1, 2]}, "the state dict is of 2 blocks, and there are 3"),
    (lambda saved: {**saved, "stages": [1, 1]}, r"stages must add up to the number of blocks, 3, got \[1, 1\]"),
])  # fmt: skip
def test_the_state_dict_of_another_is_refused_and_changes_nothing(change, message):
    network = of_depth(3)
    sweep = PositionWise(network, mse, sgd(network), schedule="stochastic", stages=[1, 2])
    other = PositionWise(network, mse, sgd(network), schedule="stochastic", generator=stream(9))
    for x, y in batches(2, 3, 2):
        sweep.step(x, y)
    before = copy.deepcopy(sweep.state_dict())
    with pytest.raises(ValueError, match=message):
        sweep.load_state_dict(change(other.state_dict()))
    after = sweep.state_dict()
    assert torch.equal(after.pop("generator"), before.pop("generator"))
    assert after == before
