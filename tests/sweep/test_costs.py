"""What sweeps cost: multiplications and memory as they are counted, against the formulas."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from sweep.measures import Memory, Products
from sweep.networks import batch, chain, convolutional, copies, plainly, sgd
from torch import Tensor, nn

from thalweg.sweep import PositionWise, block_costs, nested_cost, plain_cost, propose_blocks, stochastic_cost
from thalweg.sweep.costs import equal_stages

SIZE = 5  # examples of a batch
EQUAL, UNEQUAL = (4,), (4, 7, 3, 6)  # widths, repeated
mse = nn.MSELoss()


def network_of(depth: int, widths: tuple[int, ...] = EQUAL) -> nn.Sequential:
    return chain([*itertools.islice(itertools.cycle(widths), depth), 4])


def costs_of(network: nn.Sequential) -> list[int]:
    """The multiplications of a forward pass through each block: f_l = batch * inputs * outputs."""
    return [SIZE * layer.weight.numel() for layer in network if isinstance(layer, nn.Linear)]


def products(step: Callable[[], object]) -> int:
    with Products() as counted:
        step()
    return counted.count


def sweep_of(network: nn.Sequential, **options: Any) -> PositionWise:
    return PositionWise(network, mse, sgd(network), **options)


# Multiplications


@pytest.mark.parametrize("widths", [EQUAL, UNEQUAL])
@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_a_sweep_multiplies_as_often_as_the_formula_says(depth, widths):
    """sum (3 l - 1) f_l, where a plain step multiplies 3 F - f_1 times."""
    network, (x, y) = network_of(depth, widths), batch(4, 4, SIZE)
    costs = costs_of(network)
    sweep, optimizer = sweep_of(network), sgd(network)
    for _ in range(2):
        counted = products(lambda: sweep.step(x, y))
        assert counted == sum((3 * place - 1) * f for place, f in enumerate(costs, 1)) == nested_cost(costs)
    assert products(lambda: plainly(network, mse, optimizer, x, y)) == 3 * sum(costs) - costs[0] == plain_cost(costs)


@pytest.mark.parametrize("stages", [[3, 5], [1, 6, 1], [2, 2, 2, 2], [8], [1] * 8])
def test_stages_of_several_blocks_cost_what_the_formula_says(stages):
    network, (x, y) = network_of(8, UNEQUAL), batch(4, 4, SIZE)
    costs = costs_of(network)
    assert products(lambda: sweep_of(network, stages=stages).step(x, y)) == nested_cost(costs, stages)
    assert nested_cost(costs, [8]) == plain_cost(costs)


@pytest.mark.parametrize("schedule", ["nested", "stochastic"])
@pytest.mark.parametrize("stages", [None, [1, 2, 1]])
def test_accumulation_costs_one_forward_pass_more_but_for_the_last_block(stages, schedule):
    network, (x, y) = network_of(4, UNEQUAL), batch(4, 4, SIZE)
    costs = costs_of(network)
    whole, parts = (sweep_of(network, stages=stages, schedule=schedule, accumulate=n) for n in (1, 3))
    counted = [products(lambda own=own: own.step(x, y)) for own in (whole, parts)]
    assert whole.starts == parts.starts
    again = costs if schedule == "nested" else costs[whole.starts[0] :]
    assert counted[1] == counted[0] + sum(again[:-1])


@pytest.mark.parametrize("widths", [EQUAL, UNEQUAL])
@pytest.mark.parametrize("stages", [None, [2, 1, 3], [6]])
def test_stochastic_steps_cost_the_formula_on_the_average_over_all_starts(stages, widths):
    """sum (1 + (2 l - 1) / L) f_l where each block is a stage."""
    network, (x, y) = network_of(6, widths), batch(4, 4, SIZE)
    costs = costs_of(network)
    sweep = sweep_of(network, stages=stages, schedule="stochastic")
    by_start: dict[int, int] = {}
    while len(by_start) < len(sweep.stages):
        counted = products(lambda: sweep.step(x, y))
        assert by_start.setdefault(sweep.starts[0], counted) == counted
    mean = sum(by_start.values()) / len(by_start)
    assert mean == pytest.approx(stochastic_cost(costs, stages), rel=1e-12)
    if stages is None:
        closed = sum((1 + (2 * place - 1) / 6) * f for place, f in enumerate(costs, 1))
        assert stochastic_cost(costs) == pytest.approx(closed, rel=1e-12)


@pytest.mark.parametrize("depth", [2, 3, 4, 8, 16, 32])
def test_ratios_of_equal_blocks(depth):
    """L (3 L + 1) / (2 (3 L - 1)) for a sweep, 2 L / (3 L - 1) for a stochastic step."""
    costs = [7] * depth
    assert nested_cost(costs) / plain_cost(costs) == pytest.approx(depth * (3 * depth + 1) / (2 * (3 * depth - 1)))
    assert stochastic_cost(costs) / plain_cost(costs) == pytest.approx(2 * depth / (3 * depth - 1))


@pytest.mark.parametrize(("widths", "ratio"), [
    ((12288, 20, 7, 5, 1), 1.001), ((3072, 20, 7, 5, 10), 1.007), ((784, 20, 7, 5, 10), 1.027),
])  # fmt: skip
def test_the_published_networks_have_nearly_all_of_their_cost_in_the_first_layer(widths, ratio):
    costs = block_costs(chain(widths, dtype=torch.float32), torch.zeros(1, widths[0]))
    assert nested_cost(costs) / plain_cost(costs) == pytest.approx(ratio, abs=5e-4)


# The costs of blocks


def test_the_cost_of_a_block_is_two_operations_a_multiplication():
    network = network_of(4, UNEQUAL)
    assert block_costs(network, batch(4, 4, SIZE)[0]) == [2 * f for f in costs_of(network)]


def test_the_cost_of_a_convolution():
    x = batch((1, 8, 8))[0]
    outputs = [3 * 6 * 6, 4 * 1 * 1, 2]
    assert block_costs(convolutional(), x) == [2 * SIZE * n * k for n, k in zip(outputs, [9, 3 * 4, 4], strict=True)]


class Scale(nn.Module):
    """A block without a matrix product."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.scales = nn.ParameterList(torch.ones(3) for _ in range(count))

    def forward(self, x: Tensor) -> Tensor:
        for scale in self.scales:
            x = x * scale
        return x


def test_blocks_without_matrix_products_weigh_as_much_as_they_have_parameters():
    assert block_costs([Scale(2), Scale(1), torch.tanh, Scale(4)], torch.ones(5, 3)) == [6, 3, 12]


def test_counting_leaves_everything_as_it_was():
    layers = [nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)]
    network = nn.Sequential(*layers).double()
    network[4].eval()
    modes, state, random = [m.training for m in network.modules()], copies(network), torch.get_rng_state()
    buffers = [b.clone() for b in network.buffers()]
    block_costs(network, batch(4)[0])
    assert [m.training for m in network.modules()] == modes
    assert torch.equal(torch.get_rng_state(), random)
    assert all(torch.equal(p, q) for p, q in zip(network.parameters(), state, strict=True))
    assert all(torch.equal(b, q) for b, q in zip(network.buffers(), buffers, strict=True))
    assert all(p.grad is None and p.requires_grad for p in network.parameters())


def test_modes_are_put_back_where_a_block_raises():
    network = chain((4, 4, 4))
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        block_costs(network, torch.ones(5, 3, dtype=torch.float64))
    assert all(m.training for m in network.modules())


# A number of stages


def dearest(costs: list[int], stages: tuple[int, ...]) -> int:
    ends = list(itertools.accumulate(stages))
    return max(sum(costs[end - size : end]) for end, size in zip(ends, stages, strict=True))


def test_of_all_ways_to_divide_blocks_the_dearest_stage_is_the_cheapest():
    generator = torch.Generator().manual_seed(0)
    for depth in range(1, 7):
        for greatest in (2, 10, 1000):
            costs = torch.randint(greatest, (depth,), generator=generator).tolist()
            for count in range(1, depth + 1):
                ways = [w for w in itertools.product(range(1, depth + 1), repeat=count) if sum(w) == depth]
                found = equal_stages(costs, count)
                assert tuple(found) in ways
                assert dearest(costs, tuple(found)) == min(dearest(costs, way) for way in ways)


def test_a_number_of_stages_divides_the_blocks_by_what_they_cost():
    network = chain((40, 20, 4, 4, 4, 4, 4))
    sweep = sweep_of(network, stages=3)
    x, y = batch(40, 4)
    sweep.step(x, y)
    assert sweep.stages == equal_stages(costs_of(network), 3) == [1, 1, 4]
    assert len(sweep.losses) == 3
    blocks = propose_blocks(network)
    assert sweep_of(network, stages=len(blocks)).step(x, y) is not None


# Memory


def peak(step: Callable[[], object]) -> int:
    step()  # whatever is made once
    with Memory() as memory:
        step()
    return memory.peak


def wide(depth: int) -> tuple[nn.Sequential, Tensor, Tensor]:
    """Activations are far larger than weights."""
    return chain([16] * (depth + 1), dtype=torch.float32), torch.ones(512, 16), torch.zeros(512, 16)


@pytest.mark.parametrize("schedule", ["nested", "stochastic"])
@pytest.mark.parametrize("depth", [2, 4, 8, 16])
def test_a_sweep_needs_the_memory_of_a_plain_step(depth, schedule):
    network, x, y = wide(depth)
    optimizer = sgd(network)
    plain = peak(lambda: plainly(network, mse, optimizer, x, y))
    assert plain > depth * x.numel() * x.element_size()  # the activations
    sweep = sweep_of(network, schedule=schedule)
    assert peak(lambda: sweep.step(x, y)) <= 1.05 * plain


def test_accumulation_needs_the_inputs_of_all_blocks_and_the_rest_for_a_part_of_the_batch():
    network, x, y = wide(16)
    blocks = [network[place : place + 8] for place in range(0, 32, 8)]  # of four layers each
    whole, parts = (PositionWise(blocks, mse, sgd(network), accumulate=n) for n in (1, 4))
    most, least = peak(lambda: whole.step(x, y)), peak(lambda: parts.step(x, y))
    assert most > 16 * x.numel() * x.element_size()
    assert least < (4 + 16 / 4 + 1) * x.numel() * x.element_size()


def test_a_stochastic_step_keeps_nothing_of_the_blocks_before_its_start():
    network, x, y = wide(16)
    size = x.numel() * x.element_size()
    sweep, peaks = sweep_of(network, schedule="stochastic", stages=[4, 4, 4, 4]), {}
    sweep.step(x, y)
    while len(peaks) < 4:
        with Memory() as memory:
            sweep.step(x, y)
        peaks[16 - sweep.starts[0]] = memory.peak
    for trained, most in peaks.items():
        assert trained * size < most < (trained + 5) * size
