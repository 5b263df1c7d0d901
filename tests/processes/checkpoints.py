"""What the tests of distributed checkpoints do in each process."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from optim.trajectories import RULES
from processes import world
from processes.split import assert_same, network, sharded, train
from torch import distributed, nn
from torch.distributed import checkpoint
from torch.distributed.checkpoint.state_dict import get_state_dict, set_state_dict
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import Replicate, Shard, distribute_tensor

from thalweg.optim import RuleOptimizer

NAMES = ("adamw", "gravity", "own", "nadam", "sgd", "rprop")


def both(model: nn.Module, optimizer: RuleOptimizer) -> dict[str, Any]:
    weights, states = get_state_dict(model, optimizer)
    return {"model": weights, "optimizer": states}


def save(model: nn.Module, optimizer: RuleOptimizer, folder: str) -> None:
    checkpoint.save(both(model, optimizer), checkpoint_id=folder)


def load(model: nn.Module, optimizer: RuleOptimizer, folder: str) -> None:
    """Into states that are there already, before any step."""
    loaded = both(model, optimizer)
    checkpoint.load(loaded, checkpoint_id=folder, no_dist=not distributed.is_initialized())
    set_state_dict(model, optimizer, model_state_dict=loaded["model"], optim_state_dict=loaded["optimizer"])


def start(model: nn.Module, name: str) -> RuleOptimizer:
    return RuleOptimizer(model.parameters(), RULES[name], backend="plain", generator=torch.Generator().manual_seed(5))


def resume_equals_uninterrupted(folder: str) -> None:
    for name in NAMES:
        model = sharded()
        optimizer = RuleOptimizer(
            model.parameters(), RULES[name], backend="plain", generator=torch.Generator().manual_seed(5)
        )
        train(model, optimizer, 0, 10)
        optimizer.param_groups[0]["lr"] *= 0.5
        save(model, optimizer, f"{folder}/{name}")
        again = sharded()
        resumed = RuleOptimizer(again.parameters(), RULES[name], backend="plain")
        load(again, resumed, f"{folder}/{name}")
        assert resumed.param_groups[0]["lr"] == optimizer.param_groups[0]["lr"]
        train(model, optimizer, 10, 14)
        train(again, resumed, 10, 14)
        for p, q in zip(model.parameters(), again.parameters(), strict=True):
            assert torch.equal(p.to_local(), q.to_local()), name
            assert resumed.state[q]["step"] == 14
    rounding_resumes_too(folder)


def rounding_resumes_too(folder: str) -> None:
    for rounding in ("stochastic", "kahan"):
        model, again = sharded(torch.bfloat16), sharded(torch.bfloat16)
        generator = torch.Generator().manual_seed(5)
        optimizer = RuleOptimizer(model.parameters(), RULES["adamw"], rounding=rounding, generator=generator)
        train(model, optimizer, 0, 5)
        save(model, optimizer, f"{folder}/{rounding}")
        resumed = RuleOptimizer(again.parameters(), RULES["adamw"], rounding=rounding)
        load(again, resumed, f"{folder}/{rounding}")
        train(model, optimizer, 5, 8)
        train(again, resumed, 5, 8)
        for p, q in zip(model.parameters(), again.parameters(), strict=True):
            assert torch.equal(p.to_local(), q.to_local()), rounding


def save_sharded(folder: str) -> None:
    for name in NAMES:
        model = sharded()
        optimizer = RuleOptimizer(
            model.parameters(), RULES[name], backend="plain", generator=torch.Generator().manual_seed(5)
        )
        train(model, optimizer, 0, 10)
        save(model, optimizer, f"{folder}/{name}")


def continue_in_one_process(folder: str) -> None:
    """The same run as that of `save_sharded`, never interrupted and in one process, is what a resumed one comes to."""
    for name in NAMES:
        model, whole = network(), network()
        resumed = RuleOptimizer(model.parameters(), RULES[name], backend="plain")
        load(model, resumed, f"{folder}/{name}")
        train(model, resumed, 10, 14)
        reference = RuleOptimizer(
            whole.parameters(), RULES[name], backend="plain", generator=torch.Generator().manual_seed(5)
        )
        train(whole, reference, 0, 14)
        assert_same(model, resumed, whole, reference)


def another_layout_is_refused() -> None:
    model, other = sharded(), network()
    optimizer, whole = (RuleOptimizer(m.parameters(), RULES["adamw"]) for m in (model, other))
    for source, target, words in ((optimizer, whole, "split over processes"), (whole, optimizer, "whole")):
        with pytest.raises(ValueError, match=rf"{words}.*torch\.distributed\.checkpoint"):
            target.load_state_dict(source.state_dict())
    lone = init_device_mesh("cpu", (world.SIZE, 1))
    states = optimizer.state_dict()
    for state in states["state"].values():
        for name in ("m", "v"):
            state[name] = distribute_tensor(state[name].full_tensor(), lone, [Replicate(), Shard(0)])
    with pytest.raises(ValueError, match=r"split as .*\(2, 1\).* split as .*\(2,\).*torch\.distributed\.checkpoint"):
        optimizer.load_state_dict(states)
