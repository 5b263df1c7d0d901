"""A stochastic step draws the first block that it trains; what it does then is a plain step of that block and those
behind it."""

from __future__ import annotations

import pytest
import torch
from sweep.networks import (
    batch,
    batches,
    copies,
    of_depth,
    plainly,
    same_weights,
    sgd,
    stream,
    twins,
)
from torch import nn

import thalweg.optim
from thalweg.sweep import PositionWise, propose_blocks

mse = nn.MSELoss()


def stochastic(network: nn.Module, seed: int = 0, **options) -> PositionWise:
    return PositionWise(network, mse, sgd(network, 0.01), schedule="stochastic", generator=stream(seed), **options)


@pytest.mark.parametrize("make", [
    lambda params: torch.optim.SGD(params, lr=0.1, momentum=0.9),
    lambda params: torch.optim.Adam(params, lr=0.01),
    lambda params: thalweg.optim.Adam(params, lr=0.01),
])  # fmt: skip
def test_a_step_is_a_plain_one_with_the_blocks_before_the_start_frozen(make):
    network, twin = twins(of_depth(4))
    sweep = PositionWise(network, mse, make(network.parameters()), schedule="stochastic")
    plain, blocks, starts = make(twin.parameters()), propose_blocks(twin), set()
    for x, y in batches(30, 3, 2):
        loss = sweep.step(x, y)
        (start,) = sweep.starts
        starts.add(start)
        for place, block in enumerate(blocks):
            block.requires_grad_(place >= start)
        assert torch.equal(loss, plainly(twin, mse, plain, x, y))
        assert same_weights(network, twin)
        assert len(sweep.losses) == 1
    assert starts == {0, 1, 2, 3}


def test_blocks_before_the_start_do_not_move():
    network = of_depth(4)
    sweep, (x, y) = stochastic(network), batch()
    for _ in range(20):
        before = copies(network)
        sweep.step(x, y)
        moved = [not torch.equal(p, q) for p, q in zip(network.parameters(), before, strict=True)]
        assert moved == [place >= sweep.starts[0] for place in range(4) for _ in range(2)]


@pytest.mark.parametrize("stages", [None, [1, 2, 1]])
def test_counts_follow_the_starts_which_are_uniform(stages):
    """Block l of L is updated in l / L of the steps; with stages of several blocks, by the place of its stage."""
    network, steps = of_depth(4), 400
    sweep, (x, y) = stochastic(network, stages=stages), batch()
    expected = [0] * 4
    for _ in range(steps):
        sweep.step(x, y)
        expected = [count + (place >= sweep.starts[0]) for place, count in enumerate(expected)]
    assert sweep.updates == expected
    shares = [0.25, 0.5, 0.75, 1.0] if stages is None else [1 / 3, 2 / 3, 2 / 3, 1.0]
    for count, share in zip(sweep.updates, shares, strict=True):
        assert abs(count - steps * share) <= 4 * (steps * share * (1 - share)) ** 0.5


def test_starts_are_those_of_the_generator_and_nothing_else_is_drawn_from():
    network = of_depth(8)
    before = torch.get_rng_state()

    def starts(seed: int | None) -> list[int]:
        generator = None if seed is None else stream(seed)
        sweep = PositionWise(network, mse, sgd(network), schedule="stochastic", generator=generator)
        found = []
        for x, y in batches(20, 3, 2):
            sweep.step(x, y)
            found += sweep.starts
        return found

    assert starts(3) == starts(3) != starts(4)
    assert starts(None) == starts(0)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_nested_sweep_draws_nothing():
    network, generator = of_depth(3), stream(5)
    PositionWise(network, mse, sgd(network), generator=generator).step(*batch())
    assert torch.equal(generator.get_state(), stream(5).get_state())
