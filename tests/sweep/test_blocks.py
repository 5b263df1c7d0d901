"""Blocks called one after another are the network, and begin where a matrix does."""

from __future__ import annotations

import pytest
import torch
from sweep.networks import Residual, Unit, batch, by_the_book, convolutional, drawn, of_depth, same_weights, sgd, twins
from torch import Tensor, nn

from thalweg.sweep import PositionWise, propose_blocks
from thalweg.tasks.models import mlp

mse = nn.MSELoss()


def one_activation_for_all() -> nn.Module:
    act = nn.Tanh()
    return nn.Sequential(nn.Linear(3, 4), act, nn.Linear(4, 4), act, nn.Linear(4, 2), act)


class Doubled(nn.Sequential):
    """Does more than its layers do."""

    def forward(self, x: Tensor) -> Tensor:
        return 2 * super().forward(x)


class Named(nn.Sequential):
    """A chain by another name."""


def within_each_other() -> nn.Module:
    inner = Named(nn.Linear(4, 4), nn.ReLU(), nn.Sequential(nn.Linear(4, 4), nn.Tanh()))
    return nn.Sequential(nn.Sequential(nn.Linear(3, 4), nn.ReLU()), inner, nn.Linear(4, 2))


def with_more_inside() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 4), Doubled(nn.Linear(4, 4), nn.Linear(4, 4)), nn.Linear(4, 2))


class Scaled(nn.Module):
    """Operations and parameters of its own between its layers; its input is read twice."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.scale = nn.Linear(3, 3), nn.Linear(3, 2), nn.Parameter(torch.ones(3))
        self.register_buffer("shift", torch.ones(3))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.first(x)
        x += self.shift
        return self.second(x.tanh() * self.scale)


class DropsBetween(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.drop, self.second = nn.Linear(3, 8), nn.Dropout(0.5), nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.drop(torch.relu(self.drop(self.first(x)))))


# By name: the network, what it takes, and how many parameters each block has.
NETWORKS = {
    "chain": (lambda: of_depth(3), (3,), [2, 2, 2]),
    "perceptron": (lambda: mlp((3, 4, 2), torch.Generator().manual_seed(0)), (3,), [2, 2]),
    "activation first": (lambda: nn.Sequential(nn.Tanh(), nn.Linear(3, 2)), (3,), [2]),
    "norm first": (lambda: nn.Sequential(nn.LayerNorm(3), nn.Linear(3, 4), nn.LayerNorm(4)), (3,), [6]),
    "one activation for all": (one_activation_for_all, (3,), [2, 2, 2]),
    "within each other": (within_each_other, (3,), [2, 2, 2, 2]),
    "with more inside": (with_more_inside, (3,), [2, 4, 2]),
    "does more": (lambda: Doubled(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)), (3,), [2, 2]),
    "convolution": (convolutional, (1, 8, 8), [4, 2, 2]),
    "residual": (Residual, (4,), [2, 4, 4, 4, 2]),
    "one unit": (lambda: Unit(4), (4,), [4]),
    "scaled": (Scaled, (3,), [3, 2]),
    "dropout": (DropsBetween, (3,), [2, 2]),
}  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
def test_blocks_called_one_after_another_are_the_network(name):
    make, shape, counts = NETWORKS[name]
    network = drawn(make())
    blocks = propose_blocks(network)
    assert [len(list(block.parameters())) for block in blocks] == counts
    ours = [p for block in blocks for p in block.parameters()]
    assert {id(p) for p in ours} == {id(p) for p in network.parameters()}
    for mode in (True, False):
        network.train(mode)
        network, twin = twins(network)
        x = batch(shape)[0]
        torch.manual_seed(0)
        expected = twin(x)
        torch.manual_seed(0)
        for block in propose_blocks(network):
            x = block(x)
        assert torch.equal(x, expected)
        assert same_weights(network, twin)


def test_the_mode_of_the_network_is_that_of_its_blocks():
    network = drawn(DropsBetween())
    blocks = propose_blocks(network)
    network.eval()
    x = batch()[0]
    assert torch.equal(blocks[1](blocks[0](x)), network(x))


@pytest.mark.parametrize(
    "name", ["one activation for all", "within each other", "with more inside", "does more", "scaled"]
)
def test_a_sweep_over_a_network_that_is_cut_is_by_the_book(name):
    make, shape, counts = NETWORKS[name]
    network, twin = twins(drawn(make()))
    sweep, by_book = PositionWise(propose_blocks(network), mse, sgd(network, 0.01)), sgd(twin, 0.01)
    x, y = batch(shape)
    for _ in range(3):
        sweep.step(x, y)
        by_the_book(twin, mse, by_book, x, y)
    assert sweep.updates == [3 * place for place in range(1, len(counts) + 1)]
    assert same_weights(network, twin)


def test_blocks_without_anything_to_train_join_their_neighbours():
    """The first ones the one behind, all others the one before."""
    layers = [nn.Linear(3, 3) for _ in range(6)]
    for place in (0, 1, 3, 5):
        layers[place].requires_grad_(False)
    network = nn.Sequential(*layers)
    sweep = PositionWise([nn.Identity(), *layers], mse, sgd(network))
    assert sweep.updates == [0, 0]
    assert [len(block.every) for block in sweep.blocks] == [8, 4]


def test_weights_may_lie_beside_each_other_in_one_piece_of_memory():
    """As they do once `vector_to_parameters` has set them: sharing a storage is not sharing weights."""
    network = of_depth(3)
    flat = nn.utils.parameters_to_vector(network.parameters()).detach()
    network, twin = twins(network)
    nn.utils.vector_to_parameters(flat, network.parameters())
    assert len({p.untyped_storage().data_ptr() for p in network.parameters()}) == 1
    sweep, by_book, (x, y) = PositionWise(network, mse, sgd(network)), sgd(twin), batch()
    sweep.step(x, y)
    by_the_book(twin, mse, by_book, x, y)
    assert same_weights(network, twin)


def test_weights_may_be_shared_within_a_block():
    layers = [nn.Linear(3, 3, dtype=torch.float64), nn.Linear(3, 3, dtype=torch.float64)]
    layers[1].weight = layers[0].weight
    network, twin = twins(nn.Sequential(nn.Sequential(*layers), nn.Linear(3, 2, dtype=torch.float64)))
    sweep, by_book, (x, y) = PositionWise(list(network), mse, sgd(network)), sgd(twin), batch()
    for _ in range(3):
        sweep.step(x, y)
        by_the_book(twin, mse, by_book, x, y, list(twin))
    assert same_weights(network, twin)
