"""What the tests of DDP and ZeRO do in each process: train on a share of the batch, or step a share of the weights."""

from __future__ import annotations

import copy

import torch
from optim.trajectories import NOISY, RULES
from processes.split import batch, network, train
from processes.world import SIZE
from torch import distributed
from torch.distributed.optim import ZeroRedundancyOptimizer
from torch.nn.parallel import DistributedDataParallel

from thalweg.optim import RuleOptimizer
from thalweg.swarm import SwarmGradient


def train_on_shares(model: torch.nn.Module, optimizer: torch.optim.Optimizer, steps: int) -> None:
    for i in range(steps):
        x, y = (tensor.chunk(SIZE)[distributed.get_rank()] for tensor in batch(i))
        optimizer.zero_grad()
        (model(x) - y).square().mean().backward()
        optimizer.step()


def every_rule_on_shares_equals_one_process_on_the_whole_batch() -> None:
    for name, rule in RULES.items():
        model, other = DistributedDataParallel(network()), network()
        train_on_shares(model, RuleOptimizer(model.parameters(), rule, backend="plain"), 4)
        train(other, RuleOptimizer(other.parameters(), rule, backend="plain"), 0, 4)
        for p, q in zip(model.parameters(), other.parameters(), strict=True):
            torch.testing.assert_close(
                p.detach(), q.detach(), rtol=1e-10, atol=1e-10, msg=lambda m, n=name: f"{n}: {m}"
            )
        assert_equal_on_every_rank(model)


def assert_equal_on_every_rank(model: torch.nn.Module) -> None:
    """To the bit."""
    for p in model.parameters():
        copies = [torch.empty_like(p.detach()) for _ in range(SIZE)]
        distributed.all_gather(copies, p.detach())
        assert all(torch.equal(copies[0], copy) for copy in copies)


def stochastic_rounding_is_equal_on_every_rank() -> None:
    model = DistributedDataParallel(network(torch.bfloat16))
    optimizer = RuleOptimizer(model.parameters(), RULES["gravity"], rounding="stochastic")
    for i in range(4):
        x, y = (tensor.chunk(SIZE)[distributed.get_rank()].bfloat16() for tensor in batch(i))
        optimizer.zero_grad()
        (model(x) - y).square().mean().backward()
        optimizer.step()
        assert_equal_on_every_rank(model)


def zero_redundancy_equals_one_optimizer() -> None:
    """Gravity's start noise is drawn by a parameter's place, and ZeRO gives it another place: without noise, then."""
    for name, rule in RULES.items():
        if name in NOISY:
            continue
        model, other = network(), network()
        optimizer = ZeroRedundancyOptimizer(model.parameters(), RuleOptimizer, rule=rule, backend="plain")
        reference = RuleOptimizer(other.parameters(), rule, backend="plain")
        train(model, optimizer, 0, 4)
        train(other, reference, 0, 4)
        for p, q in zip(model.parameters(), other.parameters(), strict=True):
            assert torch.equal(p, q), name


def zero_redundancy_resumes_from_its_consolidated_state() -> None:
    for name in ("adam", "gravity", "own", "nadam"):
        model, again = network(), network()
        optimizer = ZeroRedundancyOptimizer(model.parameters(), RuleOptimizer, rule=RULES[name], backend="plain")
        train(model, optimizer, 0, 3)
        again.load_state_dict(model.state_dict())
        optimizer.consolidate_state_dict(to=0)
        saved = [copy.deepcopy(optimizer.state_dict()) if distributed.get_rank() == 0 else None]  # as a file would
        distributed.broadcast_object_list(saved, src=0)
        resumed = ZeroRedundancyOptimizer(again.parameters(), RuleOptimizer, rule=RULES[name], backend="plain")
        resumed.load_state_dict(saved[0])
        train(model, optimizer, 3, 6)
        train(again, resumed, 3, 6)
        for p, q in zip(model.parameters(), again.parameters(), strict=True):
            assert torch.equal(p, q), name


def swarm_gradients_are_averaged_over_ranks() -> None:
    """DDP hooks onto backward as it does with any loss; each rank's swarm searches for its own share of the batch."""
    model, alone = DistributedDataParallel(network()), network()
    x, y = (tensor.chunk(SIZE)[distributed.get_rank()] for tensor in batch(0))
    for one in (model, alone):
        loss = SwarmGradient(lambda outputs, targets: (outputs - targets).abs())
        loss(one(x), y).backward()
    for shared, own in zip(model.parameters(), alone.parameters(), strict=True):
        assert shared.grad is not None
        assert own.grad is not None
        distributed.all_reduce(own.grad)
        torch.testing.assert_close(shared.grad, own.grad / SIZE)
