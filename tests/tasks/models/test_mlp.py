"""Multi-layer perceptrons."""

import math

import pytest
import torch
from torch import nn

from thalweg.tasks import mlp
from thalweg.tasks.dropout import Dropout


def test_weights_are_he_uniform_and_biases_zero(generator):
    network = mlp((200, 300, 3), generator())
    first, last = network[0], network[-1]
    bound = math.sqrt(6 / 200)
    assert first.weight.abs().max() <= bound
    assert first.weight.var().item() == pytest.approx(bound**2 / 3, rel=0.02)
    assert not first.bias.any()
    assert not last.bias.any()


def test_each_hidden_layer_has_its_relu_and_its_dropout_and_the_last_has_none(generator):
    layers = list(mlp((4, 8, 8, 3), generator(), dropout=0.5))
    kinds = ["linear" if isinstance(layer, nn.Linear) else type(layer).__name__ for layer in layers]
    assert kinds == ["linear", "ReLU", "Dropout"] * 2 + ["linear"]
    assert [layer.p for layer in layers if isinstance(layer, Dropout)] == [0.5, 0.5]


def test_its_weights_keep_their_names(generator):
    assert list(mlp((4, 8, 3), generator()).state_dict()) == ["0.weight", "0.bias", "3.weight", "3.bias"]


@pytest.mark.parametrize("depth", [0, 1, 5])
def test_any_depth_will_do(depth, generator):
    network = mlp((4, *[8] * depth, 3), generator())
    assert network(torch.zeros(2, 4)).shape == (2, 3)
    assert sum(isinstance(layer, nn.Linear) for layer in network) == depth + 1


@pytest.mark.parametrize(("sizes", "message"), [((4,), r"at least .* got \(4,\)"), ((4, 0, 3), "all be at least 1")])
def test_sizes_that_make_no_network_are_refused(sizes, message, generator):
    with pytest.raises(ValueError, match=message):
        mlp(sizes, generator())
