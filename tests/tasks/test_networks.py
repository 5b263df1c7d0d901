"""Networks drawn from a generator of their own."""

import math

import pytest
import torch
from torch import nn

from thalweg.tasks import mlp


def test_weights_are_he_uniform_and_biases_zero():
    first, _, second = mlp((200, 300, 3), torch.Generator().manual_seed(0))
    bound = math.sqrt(6 / 200)
    assert first.weight.abs().max() <= bound
    assert first.weight.var().item() == pytest.approx(bound**2 / 3, rel=0.02)
    assert not first.bias.any()
    assert not second.bias.any()


def test_the_last_layer_has_no_activation():
    layers = mlp((4, 8, 8, 3), torch.Generator())
    assert [isinstance(layer, nn.Linear) for layer in layers] == [True, False, True, False, True]


def test_the_generator_decides_and_the_global_one_is_not_touched():
    before = torch.get_rng_state()
    a, b = (mlp((4, 8, 3), torch.Generator().manual_seed(5)) for _ in range(2))
    assert all(torch.equal(p, q) for p, q in zip(a.parameters(), b.parameters(), strict=True))
    assert torch.equal(torch.get_rng_state(), before)


def test_one_size_is_no_network():
    with pytest.raises(ValueError, match=r"sizes must name at least .* got \(4,\)"):
        mlp((4,), torch.Generator())
