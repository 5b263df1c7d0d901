"""What the tests of FSDP2 do in each process: train a network split over the processes, and the same one whole."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from optim.test_many_passes import PASSES
from optim.trajectories import RULES
from processes import world
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, Replicate, Shard, distribute_tensor

from thalweg.optim import RuleOptimizer, shards

EVERY = {**RULES, **{name: case.rule for name, case in PASSES.items()}}


def network(dtype: torch.dtype = torch.float64) -> nn.Module:
    """Dimensions that two processes cannot share evenly, and a bias of which the second gets nothing."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3), nn.Tanh(), nn.Linear(3, 1)).to(dtype)


def batch(step: int) -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(step)
    return tuple(torch.randn(8, n, generator=random, dtype=torch.float64) for n in (4, 1))


def sharded(dtype: torch.dtype = torch.float64) -> nn.Module:
    model = network(dtype)
    mesh = init_device_mesh("cpu", (world.SIZE,))
    for layer in model:
        if isinstance(layer, nn.Linear):
            fully_shard(layer, mesh=mesh)
    fully_shard(model, mesh=mesh)
    return model


def train(model: nn.Module, optimizer: torch.optim.Optimizer, first: int, last: int) -> None:
    """Steps on whole batches; a sharded model averages the same gradient over its processes."""
    for i in range(first, last):
        x, y = (tensor.to(next(model.parameters()).dtype) for tensor in batch(i))
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


def compensated_weights_equal_unsharded(backend: str) -> None:
    for name in ("adamw", "gravity"):
        model, other = sharded(torch.bfloat16), network(torch.bfloat16)
        optimizer = RuleOptimizer(model.parameters(), RULES[name], backend=backend, rounding="kahan")
        reference = RuleOptimizer(other.parameters(), RULES[name], backend=backend, rounding="kahan")
        train(model, optimizer, 0, 4)
        train(other, reference, 0, 4)
        assert_same(model, optimizer, other, reference)


def parts_are_rounded_by_noise_of_their_own() -> None:
    mesh = init_device_mesh("cpu", (world.SIZE,))
    whole = distribute_tensor(torch.zeros(2000, dtype=torch.bfloat16), mesh, [Shard(0)])
    p = nn.Parameter(whole)
    optimizer = RuleOptimizer([p], RULES["sgd"], rounding="stochastic", lr=1.001)
    p.grad = distribute_tensor(torch.ones(2000, dtype=torch.bfloat16), mesh, [Shard(0)])
    optimizer.step()
    first, second = p.detach().full_tensor().chunk(2)
    assert not torch.equal(first, second)


# Along every dimension, along none, in two groups of processes; and what gradients may be.
PLACEMENTS = {
    "rows": (Shard(0),),
    "columns": (Shard(1),),
    "copies": (Replicate(),),
    "copies of rows": (Replicate(), Shard(0)),
    "rows of copies": (Shard(0), Replicate()),
}


def dtensors_of_any_placement_equal_whole_ones(backend: str | None) -> None:
    random = torch.Generator().manual_seed(0)
    for rule in (RULES["gravity"], RULES["own"], RULES["adamw"]):
        for name, placements in PLACEMENTS.items():
            shape = {1: (world.SIZE,), 2: (1, world.SIZE) if name == "copies of rows" else (world.SIZE, 1)}
            mesh = init_device_mesh("cpu", shape[len(placements)])
            value = torch.randn(3, 5, generator=random, dtype=torch.float64)
            p = nn.Parameter(distribute_tensor(value, mesh, placements))
            q = nn.Parameter(value.clone())
            optimizer, reference = (RuleOptimizer([each], rule, backend=backend) for each in (p, q))
            for gradient_placed in (placements, [Replicate()] * len(placements), placements):
                g = torch.randn(3, 5, generator=random, dtype=torch.float64)
                p.grad, q.grad = distribute_tensor(g, mesh, gradient_placed), g
                optimizer.step()
                reference.step()
            torch.testing.assert_close(p.detach().full_tensor(), q.detach(), rtol=1e-12, atol=1e-12, msg=name)


def a_nan_in_one_part_reaches_the_reductions_of_all(backend: str | None) -> None:
    mesh = init_device_mesh("cpu", (world.SIZE,))
    p = nn.Parameter(distribute_tensor(torch.ones(8, dtype=torch.float64), mesh, [Shard(0)]))
    optimizer = RuleOptimizer([p], RULES["gravity"], alpha=0.0, backend=backend)
    p.grad = distribute_tensor(torch.tensor([1.0] * 7 + [float("nan")], dtype=torch.float64), mesh, [Shard(0)])
    optimizer.step()
    assert p.detach().full_tensor().isnan().all()


def gradient_and_parameter_must_both_be_distributed() -> None:
    whole = torch.ones(8)
    split = distribute_tensor(whole, init_device_mesh("cpu", (world.SIZE,)), [Shard(0)])
    with pytest.raises(RuntimeError, match="the parameter is a DTensor and its gradient is not"):
        shards.local_gradient(split, whole)
    with pytest.raises(RuntimeError, match="the gradient is a DTensor and its parameter is not"):
        shards.local_gradient(whole, split)


# Together in one start of processes, which takes longer than they do.


def dtensors() -> None:
    for backend in (None, "foreach", "plain"):
        dtensors_of_any_placement_equal_whole_ones(backend)
        a_nan_in_one_part_reaches_the_reductions_of_all(backend)
    gradient_and_parameter_must_both_be_distributed()


def half_precision() -> None:
    for backend in ("foreach", "plain"):
        compensated_weights_equal_unsharded(backend)
    parts_are_rounded_by_noise_of_their_own()
