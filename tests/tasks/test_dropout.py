"""Dropout that draws from its own generator: the same masks alone and in a cohort."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from thalweg.tasks import dropout
from thalweg.tasks.dropout import Dropout, Masks, Pass


def stream(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def training(p: float, seed: int = 0) -> Dropout:
    layer = Dropout(p)
    layer.generator = stream(seed)
    return layer


def test_elements_are_0_with_chance_p_and_else_divided_by_what_is_kept():
    out = training(0.25)(torch.ones(20_000, dtype=torch.float64))
    assert set(out.tolist()) == {0.0, 1 / 0.75}
    assert (out == 0).double().mean().item() == pytest.approx(0.25, abs=0.02)  # more than six standard deviations


def test_nothing_is_dropped_in_evaluation_or_at_rate_0_and_nothing_is_drawn():
    x = torch.randn(5, 3, generator=stream(1))
    layer = training(0.5)
    before = layer.generator.get_state()
    assert layer.eval()(x) is x
    layer.train().set_rate(0.0)
    assert layer(x) is x
    assert torch.equal(layer.generator.get_state(), before)


def test_masks_follow_from_the_generator_alone_whatever_the_layout_of_the_input():
    x = torch.ones(6, 8)
    assert torch.equal(training(0.5)(x), training(0.5)(torch.ones(8, 6).t()))
    before = torch.random.get_rng_state()
    assert torch.equal(training(0.5)(x) == 0, training(0.5)(x.double()) == 0)
    assert not torch.equal(training(0.5)(x), training(0.5, seed=1)(x))
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_masks_of_a_cohort_are_those_that_each_member_draws_alone(dtype):
    """Two layers, of which one is passed twice; rates of their own, one of them 0; three draws one after another."""
    passes = [Pass(name, torch.Size(shape), dtype) for name, shape in (("a", (4, 3)), ("b", (5,)), ("a", (2, 2)))]
    rates = {"a": [0.5, 0.0, 0.1], "b": [0.2, 0.3, 0.0]}
    masks = Masks(passes, rates, [stream(i) for i in range(3)])
    own = [stream(i) for i in range(3)]
    for _ in range(3):
        masks.draw()
        for i, generator in enumerate(own):
            found: dict[str, list[torch.Tensor]] = {"a": [], "b": []}
            for each in passes:
                layer = Dropout(rates[each.layer][i])
                layer.generator = generator
                found[each.layer].append(layer(torch.ones(each.shape, dtype=dtype)).flatten())
            for name, parts in found.items():
                assert torch.equal(masks.flat[name][i], torch.cat(parts))


def test_a_layer_takes_the_masks_of_its_passes_one_behind_another():
    layer = Dropout(0.5)
    layer.mask = torch.arange(10.0)
    layer.passed = 0
    assert layer(torch.ones(2, 3)).tolist() == [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]
    assert layer(torch.full((4,), 2.0)).tolist() == [12.0, 14.0, 16.0, 18.0]


def test_what_passes_is_seen_in_order():
    network = nn.Sequential(Dropout(0.1), nn.Linear(4, 2), Dropout(0.2))
    with dropout.passes_seen(network) as seen:
        network.eval()(torch.ones(3, 4))
    assert seen == [Pass("0", torch.Size([3, 4]), torch.float32), Pass("2", torch.Size([3, 2]), torch.float32)]
    network(torch.ones(3, 4))
    assert len(seen) == 2


def test_torchs_dropout_is_replaced_wherever_it_stands_and_shared_layers_stay_shared():
    shared = nn.Dropout(0.3)
    inner = nn.Sequential(nn.Linear(2, 2), shared)
    inner.add_module("again", shared)
    network = dropout.with_own_dropout(nn.Sequential(nn.Dropout(0.1), inner, shared, nn.Dropout2d(0.1)))
    found = dropout.layers(network)
    assert {name: layer.p for name, layer in found.items()} == {"0": 0.1, "1.1": 0.3}
    assert network[1][1] is network[1].again is network[2]
    assert type(network[3]) is nn.Dropout2d  # drops whole channels
    assert isinstance(dropout.with_own_dropout(nn.Dropout(0.2)), Dropout)


@pytest.mark.parametrize("p", [-0.1, 1.0, float("nan")])
def test_a_rate_outside_0_to_1_is_refused(p):
    with pytest.raises(ValueError, match=f"dropout must be at least 0 and below 1, got {p}"):
        Dropout(p)


def test_without_a_generator_it_does_not_train():
    with pytest.raises(RuntimeError, match="has no generator to draw from"):
        Dropout(0.5)(torch.ones(2))
