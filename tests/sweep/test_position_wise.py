"""A nested sweep is, bit for bit, what working everything out anew at every stage comes to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from sweep.networks import (
    Residual,
    batch,
    batches,
    by_the_book,
    convolutional,
    copies,
    drawn,
    of_depth,
    plainly,
    same_parameters,
    same_weights,
    sgd,
    stream,
    twins,
)
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

import thalweg.optim
from thalweg.swarm import SwarmGradient
from thalweg.sweep import PositionWise, propose_blocks

OPTIMIZERS = {
    "SGD": lambda params: torch.optim.SGD(params, lr=0.1),
    "momentum": lambda params: torch.optim.SGD(params, lr=0.05, momentum=0.9, weight_decay=0.01),
    "Adam": lambda params: torch.optim.Adam(params, lr=0.01),
    "thalweg Adam": lambda params: thalweg.optim.Adam(params, lr=0.01),
    "Gravity": lambda params: thalweg.optim.Gravity(params, lr=0.1, generator=stream(3)),
}
every_optimizer = pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
mse = nn.MSELoss()


# Equal to the book


@every_optimizer
@pytest.mark.parametrize("depth", [2, 4, 8])
def test_sweeps_are_by_the_book(depth, make):
    network, twin = twins(of_depth(depth))
    sweep, by_book = PositionWise(network, mse, make(network.parameters())), make(twin.parameters())
    for x, y in batches(20, 3, 2):
        loss = sweep.step(x, y)
        expected = by_the_book(twin, mse, by_book, x, y)
        assert torch.equal(torch.stack(sweep.losses), torch.stack(expected))
        assert torch.equal(loss, expected[0])
        assert same_weights(network, twin)
    assert sweep.updates == [20 * place for place in range(1, depth + 1)]
    for p, q in zip(network.parameters(), twin.parameters(), strict=True):
        state, other = sweep.optimizer.state[p], by_book.state[q]
        assert state.keys() == other.keys()
        assert all(torch.equal(torch.as_tensor(state[key]), torch.as_tensor(other[key])) for key in state)


def test_the_hand_check():
    """y = w2 w1 x and E = (y - d)^2 / 2, worked out by hand."""
    w1, w2, x, d, lr = 0.7, -1.3, 0.9, 0.4, 0.25
    network = nn.Sequential(*[nn.Linear(1, 1, bias=False, dtype=torch.float64) for _ in range(2)])
    with torch.no_grad():
        network[0].weight.fill_(w1)
        network[1].weight.fill_(w2)
    sweep = PositionWise(network, lambda y, d: (y - d).square().sum() / 2, sgd(network, lr))
    sweep.step(torch.tensor([[x]], dtype=torch.float64), torch.tensor([[d]], dtype=torch.float64))
    e = w2 * w1 * x - d
    after_one = w2 - lr * e * w1 * x
    e_after = after_one * w1 * x - d
    assert network[0].weight.item() == pytest.approx(w1 - lr * e_after * after_one * x, rel=1e-14)
    assert network[1].weight.item() == pytest.approx(after_one - lr * e_after * w1 * x, rel=1e-14)
    assert [loss.item() for loss in sweep.losses] == pytest.approx([e**2 / 2, e_after**2 / 2], rel=1e-14)


@every_optimizer
@pytest.mark.parametrize(("depth", "stages"), [(1, None), (4, 1), (4, [4])])
def test_one_stage_is_a_plain_step(depth, stages, make):
    network, twin = twins(of_depth(depth))
    sweep, plain = PositionWise(network, mse, make(network.parameters()), stages=stages), make(twin.parameters())
    for x, y in batches(5, 3, 2):
        assert torch.equal(sweep.step(x, y), plainly(twin, mse, plain, x, y))
        assert same_weights(network, twin)


@pytest.mark.parametrize("stages", [[2, 1, 3], [1, 1, 4], [5, 1]])
def test_blocks_of_one_stage_are_updated_together(stages):
    network, twin = twins(of_depth(6))
    sweep, by_book = PositionWise(network, mse, sgd(network), stages=stages), sgd(twin)
    blocks = propose_blocks(twin)
    ends = [sum(stages[: i + 1]) for i in range(len(stages))]
    together = [nn.Sequential(*blocks[end - size : end]) for end, size in zip(ends, stages, strict=True)]
    for x, y in batches(5, 3, 2):
        sweep.step(x, y)
        by_the_book(twin, mse, by_book, x, y, together)
    assert same_weights(network, twin)
    assert len(sweep.losses) == len(stages)
    assert sweep.updates == [5 * place for place, size in enumerate(stages, 1) for _ in range(size)]


# Networks of all kinds


def test_a_residual_network_is_cut_between_its_units():
    network, twin = twins(Residual())
    sweep, by_book = PositionWise(propose_blocks(network), mse, sgd(network)), sgd(twin)
    for x, y in batches(10, 4, 2):
        sweep.step(x, y)
        by_the_book(twin, mse, by_book, x, y, twin.blocks)
    assert sweep.updates == [10, 20, 30, 40, 50]
    assert same_weights(network, twin)


@pytest.mark.parametrize("stacked", [nn.Sequential, list, tuple, nn.ModuleList])
def test_a_convolutional_network_in_all_forms_that_blocks_may_have(stacked):
    network, twin = twins(convolutional())
    blocks = propose_blocks(network)
    sweep, by_book = PositionWise(nn.Sequential(*blocks) if stacked is nn.Sequential else stacked(blocks), mse,
                                  sgd(network)), sgd(twin)  # fmt: skip
    for x, y in batches(5, (1, 8, 8), 2):
        sweep.step(x, y)
        by_the_book(twin, mse, by_book, x, y)
    assert len(sweep.updates) == 3
    assert same_parameters(network, twin)


def test_functions_among_the_blocks_belong_to_the_block_before():
    network, twin = twins(of_depth(3))
    first, _, second, _, third, last = network
    blocks = [lambda x: x / 2, first, torch.tanh, lambda x: x + 1, second, nn.Softplus(), third, last]
    sweep, by_book = PositionWise(blocks, mse, sgd(network)), sgd(twin)

    def called(x: Tensor) -> Tensor:
        x = torch.tanh(twin[0](x / 2)) + 1
        return twin[5](twin[4](nn.functional.softplus(twin[2](x))))

    for x, y in batches(5, 3, 2):
        sweep.step(x, y)
        by_the_book(called, mse, by_book, x, y, propose_blocks(twin))
    assert sweep.updates == [5, 10, 15]
    assert same_weights(network, twin)


@pytest.mark.parametrize(
    ("frozen", "blocks"), [((0,), [2, 4, 6]), ((2,), [0, 4, 6]), ((6,), [0, 2, 4]), ((0, 4), [2, 6])]
)
def test_frozen_blocks_stay_and_are_no_stages(frozen, blocks):
    network = of_depth(4)
    for place in frozen:
        network[place].requires_grad_(False)
    network, twin = twins(network)
    before = copies(network)
    sweep, by_book = PositionWise(network, mse, sgd(network)), sgd(twin)
    for x, y in batches(5, 3, 2):
        sweep.step(x, y)
        by_the_book(twin, mse, by_book, x, y, [twin[place] for place in blocks])
    assert sweep.updates == [5 * place for place in range(1, len(blocks) + 1)]
    assert same_weights(network, twin)
    for p, q in zip(network.parameters(), before, strict=True):
        assert torch.equal(p, q) != p.requires_grad


def test_a_frozen_bias_stays_where_its_weight_is_trained():
    network = of_depth(3)
    network[2].bias.requires_grad_(False)
    network, twin = twins(network)
    sweep, by_book = PositionWise(network, mse, sgd(network)), sgd(twin)
    for x, y in batches(5, 3, 2):
        sweep.step(x, y)
        by_the_book(twin, mse, by_book, x, y)
    assert same_weights(network, twin)


class Split(nn.Module):
    """Of what it is given, two layers' outputs; a whole number goes on with them."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Linear(3, 4), nn.Linear(3, 5)

    def forward(self, x: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor, int]:
        return torch.tanh(self.left(x[0])), torch.tanh(self.right(x[0] + x[1])), 2


class Join(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Linear(4, 2), nn.Linear(5, 2)

    def forward(self, x: tuple[Tensor, Tensor, int]) -> Tensor:
        return x[2] * torch.tanh(self.left(x[0]) + self.right(x[1]))


def test_blocks_may_take_and_pass_on_tuples():
    network, twin = twins(drawn(nn.Sequential(Split(), Join(), nn.Linear(2, 2))))
    sweep, by_book = PositionWise(list(network), mse, sgd(network)), sgd(twin)
    for x, y in batches(5, 3, 2):
        sweep.step((x, x.flip(0)), y)
        by_the_book(twin, mse, by_book, (x, x.flip(0)), y, list(twin))
    assert same_weights(network, twin)


class Checkpointed(nn.Module):
    """Its activations are worked out anew in the backward pass."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        return checkpoint(self.inner, x, use_reentrant=False)


def test_checkpointed_blocks():
    network, twin = twins(of_depth(4))
    blocks = [Checkpointed(block) for block in propose_blocks(network)]
    sweep, by_book = PositionWise(blocks, mse, sgd(network)), sgd(twin)
    for x, y in batches(5, 3, 2):
        sweep.step(x, y)
        by_the_book(twin, mse, by_book, x, y)
    assert same_weights(network, twin)


# torch's compiler looks at what a block is given as if it were a parameter.
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
def test_compiled_blocks():
    network, twin = twins(of_depth(2))
    blocks = [torch.compile(block, backend="aot_eager") for block in propose_blocks(network)]
    sweep, by_book = PositionWise(blocks, mse, sgd(network)), sgd(twin)
    for x, y in batches(3, 3, 2):
        sweep.step(x, y)
        by_the_book(twin, mse, by_book, x, y)
    torch.compiler.reset()
    for p, q in zip(network.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-12, atol=1e-14)


def test_the_loss_may_be_a_swarm_gradient():
    network, twin = twins(of_depth(3))

    def swarm() -> SwarmGradient:
        unreduced = nn.MSELoss(reduction="none")
        return SwarmGradient(unreduced, particles=4, iterations=5, generator=stream(7))

    sweep, by_book, loss_fn = PositionWise(network, swarm(), sgd(network, 0.01)), sgd(twin, 0.01), swarm()
    start = copies(network)
    for x, y in batches(5, 3, 2):
        sweep.step(x, y)
        by_the_book(twin, loss_fn, by_book, x, y)
    assert same_weights(network, twin)
    assert not any(torch.equal(p, q) for p, q in zip(network.parameters(), start, strict=True))


def test_a_sweep_runs_where_gradients_are_off():
    network, twin = twins(of_depth(3))
    sweep, by_book, (x, y) = PositionWise(network, mse, sgd(network)), sgd(twin), batch()
    with torch.no_grad():
        loss = sweep.step(x, y)
    by_the_book(twin, mse, by_book, x, y)
    assert same_weights(network, twin)
    assert not loss.requires_grad


# The order of things


class Stages:
    """Keeps all parameters as they are before each step of an optimizer, and which of them have gradients."""

    def __init__(self, network: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        self.network = network
        self.weights: list[list[Tensor]] = []
        self.trained: list[list[bool]] = []
        optimizer.register_step_pre_hook(self.look)

    def look(self, *_: Any) -> None:
        self.weights.append(copies(self.network))
        self.trained.append([p.grad is not None for p in self.network.parameters()])


@pytest.mark.parametrize(
    ("stages", "firsts"), [(None, [3, 2, 1, 0]), ([2, 1, 1], [3, 2, 0]), ([1, 3], [1, 0]), ([4], [0])]
)
def test_a_block_stays_as_it_is_until_its_stage_and_moves_in_all_that_follow(stages: Any, firsts: Sequence[int]):
    network = of_depth(4)
    optimizer = sgd(network)
    seen = Stages(network, optimizer)
    PositionWise(network, mse, optimizer, stages=stages).step(*batch())
    seen.look()  # the end
    assert len(seen.weights) == len(firsts) + 1
    places = [place for place in range(4) for _ in range(2)]  # a weight and a bias each
    for stage, first in enumerate(firsts):
        assert seen.trained[stage] == [place >= first for place in places]
        for place, before, after in zip(places, seen.weights[stage], seen.weights[stage + 1], strict=True):
            assert torch.equal(before, after) == (place < first)


def test_gradients_left_over_from_elsewhere_are_not_used():
    network, twin = twins(of_depth(3))
    sweep, by_book, (x, y) = PositionWise(network, mse, sgd(network)), sgd(twin), batch()
    for p in network.parameters():
        p.grad = torch.full_like(p, 100.0)
    sweep.step(x, y)
    by_the_book(twin, mse, by_book, x, y)
    assert same_weights(network, twin)


def test_the_step_count_of_adam_is_that_of_each_block():
    network = of_depth(4)
    optimizer = torch.optim.Adam(network.parameters())
    sweep = PositionWise(network, mse, optimizer)
    for x, y in batches(3, 3, 2):
        sweep.step(x, y)
    assert [int(optimizer.state[network[2 * i].weight]["step"]) for i in range(4)] == [3, 6, 9, 12]
