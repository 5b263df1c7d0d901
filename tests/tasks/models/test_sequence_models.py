"""The recurrent network against torch's, the transformer's attention against torch's, and their initialisation."""

import math

import pytest
import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention

from thalweg.tasks.models import gru, transformer


def test_the_gru_is_torchs(generator):
    ours = gru(7, 5, generator(), width=6).unit
    torchs = nn.GRU(6, 6, batch_first=True)
    torchs.load_state_dict(
        {
            "weight_ih_l0": ours.from_input.weight,
            "weight_hh_l0": ours.from_state.weight,
            "bias_ih_l0": ours.from_input.bias,
            "bias_hh_l0": ours.from_state.bias,
        }
    )
    x = torch.randn(4, 9, 6, generator=generator(1))
    torch.testing.assert_close(ours(x), torchs(x)[0])


def test_the_gru_is_drawn_as_torch_draws_it(generator):
    network = gru(50, 40, generator(), width=64)
    for part in (network.unit, network.head):
        for weight in part.parameters():
            assert weight.abs().max() <= 1 / 8
            assert weight.abs().max() > 0.9 / 8
    assert network.token.weight.std().item() == pytest.approx(1, rel=0.05)


@pytest.mark.parametrize("causal", [False, True])
def test_attention_is_torchs(causal, generator):
    network = transformer(7, 6, 5, generator(), width=8, heads=2, every_place=causal)
    attention = network.blocks[0].attention
    x = torch.randn(3, 6, 8, generator=generator(1))
    query, key, value = attention.query_key_value(x).reshape(3, 6, 3, 2, 4).permute(2, 0, 3, 1, 4)
    mixed = scaled_dot_product_attention(query, key, value, is_causal=causal)
    expected = attention.out(mixed.transpose(1, 2).reshape(3, 6, 8))
    torch.testing.assert_close(attention(x, network.causal), expected)


def test_the_transformer_is_drawn_by_the_inputs_of_each_layer(generator):
    network = transformer(200, 20, 50, generator(), width=64, layers=2)
    block = network.blocks[0]
    deviations = {
        network.token.weight: 0.02,
        block.attention.query_key_value.weight: 1 / 8,
        block.widen.weight: 1 / 8,
        block.attention.out.weight: 1 / 8 / math.sqrt(4),
        block.shrink.weight: 1 / 16 / math.sqrt(4),
        network.head.weight: 1 / 8,
    }
    for weight, expected in deviations.items():
        assert weight.std().item() == pytest.approx(expected, rel=0.05)
    assert not any(weight.any() for name, weight in network.named_parameters() if name.endswith("bias"))


def test_heads_must_divide_the_width(generator):
    with pytest.raises(ValueError, match="width must be a multiple of heads, got 32 and 5"):
        transformer(7, 6, 5, generator(), heads=5)
