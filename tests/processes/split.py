"""What the tests of FSDP2 do in each process: train a network split over the processes, and the same one whole."""

from __future__ import annotations

from typing import Any

import torch
from processes import world
from optim.test_many_passes import PASSES
from optim.trajectories import RULES
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor

from thalweg.optim import RuleOptimizer

EVERY = {**RULES, **{name: case.rule for name, case in PASSES.items()}}


def network(dtype: torch.dtype = torch.float64) -> nn.Module:
    """Dimensions that two processes cannot share evenly, and a bias of which the second gets nothing."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3), nn.Tanh(), nn.Linear(3, 1)).to(dtype)


def batch(step: int) -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(step)
    return tuple(torch.randn(8, n, generator=random, dtype=torch.float64) for n in (4, 1))


def sharded() -> nn.Module:
    model = network()
    mesh = init_device_mesh("cpu", (world.SIZE,))
    for layer in model:
        if isinstance(layer, nn.Linear):
            fully_shard(layer, mesh=mesh)
    fully_shard(model, mesh=mesh)
    return model


def train(model: nn.Module, optimizer: torch.optim.Optimizer, first: int, last: int) -> None:
    """Steps on whole batches; a sharded model averages the same gradient over its processes."""
    for i in range(first, last):
        x, y = batch(i)
        optimizer.zero_grad()
        (model(x) - y).square().mean().backward()
        optimizer.step()


def whole(tensor: Any) -> torch.Tensor:
    return tensor.full_tensor() if isinstance(tensor, DTensor) else torch.as_tensor(tensor)


def assert_same(model: nn.Module, optimizer: RuleOptimizer, other: nn.Module, reference: RuleOptimizer) -> None:
    """Weights and states of a sharded model are those of a whole one."""
    for p, q in zip(model.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(whole(p.detach()), q.detach(), rtol=1e-10, atol=1e-10)
        for name, value in reference.state[q].items():
            torch.testing.assert_close(whole(optimizer.state[p][name]), whole(value), rtol=1e-10, atol=1e-10)


def every_rule_equals_unsharded(backend: str | None) -> None:
    for name, rule in EVERY.items():
        if backend is None and rule.program.elementwise and name not in ("adamw", "gravity_ema_noise"):
            continue  # a rule compiles for half a second, and one that reduces nothing does not see the others' parts
        model, other = sharded(), network()
        settings = {"weight_decay": 0.1, "generator": torch.Generator().manual_seed(3)}
        optimizer = RuleOptimizer(model.parameters(), rule, backend=backend, **settings)
        settings["generator"].manual_seed(3)
        reference = RuleOptimizer(other.parameters(), rule, backend=backend, **settings)
        train(model, optimizer, 0, 4)
        train(other, reference, 0, 4)
        try:
            assert_same(model, optimizer, other, reference)
        except AssertionError as error:
            raise AssertionError(f"{name}, {backend}") from error

