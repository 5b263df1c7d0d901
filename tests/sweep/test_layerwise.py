"""For small learning rates a sweep is a plain step with the learning rates 1, 2, ..., L times as large."""

from __future__ import annotations

import pytest
import torch
from sweep.networks import batch, batches, copies, of_depth, plainly, same_weights, sgd, twins
from torch import Tensor, nn

from thalweg.sweep import PositionWise, layerwise_lr, propose_blocks

DEPTH = 4
mse = nn.MSELoss()


def moved(lr: float, normalize: bool = False) -> list[Tensor]:
    """By how much a sweep moves each parameter, per learning rate."""
    network = of_depth(DEPTH)
    before = copies(network)
    PositionWise(network, mse, sgd(network, lr), normalize_lr=normalize).step(*batch())
    return [(p.detach() - q) / lr for p, q in zip(network.parameters(), before, strict=True)]


def slopes() -> list[Tensor]:
    network, (x, y) = of_depth(DEPTH), batch()
    return list(torch.autograd.grad(mse(network(x), y), list(network.parameters())))


def away(moves: list[Tensor], expected: list[Tensor]) -> float:
    return max(float((move - one).abs().max()) for move, one in zip(moves, expected, strict=True))


@pytest.mark.parametrize("normalize", [False, True])
def test_block_l_moves_l_times_as_far_but_for_a_rest_that_is_linear_in_the_learning_rate(normalize):
    """dW_l / lr = -l g_l + O(lr); over L with normalize_lr."""
    share = 1 / DEPTH if normalize else 1.0
    expected = [-(1 + i // 2) * share * g for i, g in enumerate(slopes())]
    rests = [away(moved(lr, normalize), expected) for lr in (1e-2, 1e-3, 1e-4, 1e-5)]
    assert 0 < rests[0] < 0.1 * max(float(move.abs().max()) for move in expected)
    assert rests[1] == pytest.approx(rests[0] / 10, rel=0.2)
    assert rests[2] == pytest.approx(rests[1] / 10, rel=0.02)
    assert rests[3] == pytest.approx(rests[2] / 10, rel=0.002)


def test_the_groups_take_exactly_that_first_order_step():
    network, lr = of_depth(DEPTH), 0.1
    before = copies(network)
    plainly(network, mse, torch.optim.SGD(layerwise_lr(network, lr)), *batch())
    for i, (p, w, g) in enumerate(zip(network.parameters(), before, slopes(), strict=True)):
        torch.testing.assert_close(p, w - lr * (1 + i // 2) * g, rtol=1e-15, atol=1e-16)


def test_a_sweep_and_a_layerwise_step_differ_by_the_square_of_the_learning_rate():
    def apart(lr: float) -> float:
        swept, stepped = twins(of_depth(DEPTH))
        PositionWise(swept, mse, sgd(swept, lr)).step(*batch())
        plainly(stepped, mse, torch.optim.SGD(layerwise_lr(stepped, lr)), *batch())
        return away(copies(swept), copies(stepped))

    assert apart(1e-3) == pytest.approx(apart(1e-2) / 100, rel=0.2)
    assert apart(1e-4) == pytest.approx(apart(1e-3) / 100, rel=0.02)


@pytest.mark.parametrize(
    ("normalize", "lrs"), [(False, [0.125, 0.25, 0.375, 0.5]), (True, [0.03125, 0.0625, 0.09375, 0.125])]
)
def test_each_block_is_a_group_with_its_place_as_a_factor(normalize, lrs):
    network = of_depth(DEPTH)
    groups = layerwise_lr(network, 0.125, normalize=normalize)
    assert [group["lr"] for group in groups] == lrs
    for group, block in zip(groups, propose_blocks(network), strict=True):
        assert len(group["params"]) == 2
        assert all(p is q for p, q in zip(group["params"], block.parameters(), strict=True))


def test_a_list_of_blocks_has_a_group_each_and_those_that_are_frozen_count_with_their_neighbours():
    network = of_depth(DEPTH)
    network[2].requires_grad_(False)
    first, *others = propose_blocks(network)
    groups = layerwise_lr([first, torch.relu, *others], 1.0)
    assert [(group["lr"], len(group["params"])) for group in groups] == [(1.0, 4), (2.0, 2), (3.0, 2)]


def test_one_block_is_plain_training():
    network, twin = twins(of_depth(1))
    grouped, plain = torch.optim.SGD(layerwise_lr(network, 0.1, normalize=True), momentum=0.9), sgd(twin, momentum=0.9)
    for x, y in batches(3, 3, 2):
        plainly(network, mse, grouped, x, y)
        plainly(twin, mse, plain, x, y)
    assert same_weights(network, twin)
