"""What a sweep makes of all that surrounds training: dropout, running statistics, precision, clipping, schedules."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from sweep.networks import (
    batch,
    batches,
    by_the_book,
    close_parameters,
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

from thalweg.sweep import PositionWise, propose_blocks
from thalweg.tasks import dropout
from thalweg.tasks.dropout import Dropout

mse = nn.MSELoss()


def replayed(network: nn.Module, *generators: torch.Generator) -> Callable[[Tensor], Tensor]:
    """The network, for one sweep: it draws the same each time it is called."""
    all_of_them = (torch.default_generator, *generators)
    states = [generator.get_state() for generator in all_of_them]

    def called(x: Tensor) -> Tensor:
        for generator, state in zip(all_of_them, states, strict=True):
            generator.set_state(state)
        return network(x)

    return called


# Dropout


def with_dropout(layer: Callable[[], nn.Module] = lambda: nn.Dropout(0.5)) -> nn.Sequential:
    layers = [nn.Linear(3, 8), layer(), nn.Tanh(), nn.Linear(8, 8), nn.Tanh(), layer(), nn.Linear(8, 2), layer()]
    return drawn(nn.Sequential(*layers))


def test_kept_dropout_drops_the_same_in_all_passes_of_a_sweep():
    network, twin = twins(with_dropout())
    sweep, by_book = PositionWise(network, mse, sgd(network)), sgd(twin)
    for seed, (x, y) in enumerate(batches(5, 3, 2)):
        torch.manual_seed(seed)
        sweep.step(x, y)
        after = torch.get_rng_state()
        torch.manual_seed(seed)
        by_the_book(replayed(twin), mse, by_book, x, y, propose_blocks(twin))
        assert same_weights(network, twin)
        assert torch.equal(torch.get_rng_state(), after)  # as after a plain pass


def test_kept_dropout_knows_the_generators_that_layers_have():
    generator = stream(4)
    network, twin = with_dropout(lambda: Dropout(0.5)), with_dropout(lambda: Dropout(0.5))
    for layer in (*dropout.layers(network).values(), *dropout.layers(twin).values()):
        layer.generator = generator
    sweep, by_book = PositionWise(network, mse, sgd(network)), sgd(twin)
    for x, y in batches(5, 3, 2):
        before = generator.get_state()
        sweep.step(x, y)
        after = generator.get_state()
        generator.set_state(before)
        by_the_book(replayed(twin, generator), mse, by_book, x, y, propose_blocks(twin))
        assert same_weights(network, twin)
        assert torch.equal(generator.get_state(), after)


def test_kept_dropout_of_functions():
    network, twin = twins(of_depth(2))
    first, _, second, _ = network
    sweep = PositionWise([first, nn.functional.dropout, second, nn.functional.dropout], mse, sgd(network))
    x, y = batch()
    torch.manual_seed(0)
    sweep.step(x, y)
    torch.manual_seed(0)
    book = nn.Sequential(twin[0], nn.Dropout(0.5), twin[2], nn.Dropout(0.5))
    by_the_book(replayed(book), mse, sgd(twin), x, y, propose_blocks(twin))
    assert same_weights(network, twin)


def test_fresh_dropout_draws_in_each_pass():
    """The last of three blocks is run three times in a sweep, the one before it twice."""
    network, twin = twins(with_dropout())
    x, y = batch()
    torch.manual_seed(0)
    PositionWise(network, mse, sgd(network), dropout="fresh").step(x, y)
    after = torch.get_rng_state()
    torch.manual_seed(0)
    PositionWise(twin, mse, sgd(twin)).step(x, y)
    assert not same_weights(network, twin)
    torch.manual_seed(0)
    blocks = propose_blocks(twin)
    for first in (0, 2, 1):
        values = torch.zeros(5, blocks[first][0].in_features, dtype=torch.float64)
        for block in blocks[first:]:
            values = block(values)
    assert torch.equal(torch.get_rng_state(), after)


def test_nothing_is_dropped_in_evaluation():
    network = with_dropout().eval()
    network, twin = twins(network)
    x, y = batch()
    before = torch.get_rng_state()
    PositionWise(network, mse, sgd(network)).step(x, y)
    by_the_book(twin, mse, sgd(twin), x, y)
    assert same_weights(network, twin)
    assert torch.equal(torch.get_rng_state(), before)


# Running statistics


def with_norms(momentum: float | None = 0.1) -> nn.Sequential:
    norms = [nn.BatchNorm1d(width, momentum=momentum) for width in (6, 5, 2)]
    return drawn(
        nn.Sequential(nn.Linear(3, 6), norms[0], nn.Linear(6, 5), norms[1], nn.Tanh(), nn.Linear(5, 2), norms[2])
    )


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("momentum", [0.1, None])
def test_running_statistics_move_once_as_in_a_plain_pass(momentum, accumulate):
    network, twin = twins(with_norms(momentum))
    sweep = PositionWise(network, mse, sgd(network), accumulate=accumulate)
    for x, y in batches(3, 3, 2, size=8):
        twin.load_state_dict(network.state_dict())
        for part in x.tensor_split(accumulate):
            twin(part)
        sweep.step(x, y)
        for b, q in zip(network.buffers(), twin.buffers(), strict=True):
            torch.testing.assert_close(b, q, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("momentum", [0.1, None])
def test_or_in_every_pass_of_their_block(momentum):
    """That of block l is run l times in a sweep."""
    network = with_norms(momentum)
    norms = [layer for layer in network if isinstance(layer, nn.BatchNorm1d)]
    _, again = twins(norms)
    given: list[list[Tensor]] = [[] for _ in norms]
    for norm, inputs in zip(norms, given, strict=True):
        norm.register_forward_pre_hook(lambda _, args, inputs=inputs: inputs.append(args[0].detach().clone()))
    sweep = PositionWise(network, mse, sgd(network), batch_norm="every")
    for x, y in batches(2, 3, 2):
        sweep.step(x, y)
    assert [int(norm.num_batches_tracked) for norm in norms] == [2, 4, 6]
    for norm, twin, inputs in zip(norms, again, given, strict=True):
        for x in inputs:
            twin(x)
        assert all(torch.equal(b, q) for b, q in zip(norm.buffers(), twin.buffers(), strict=True))


@pytest.mark.parametrize("batch_norm", ["once", "every"])
def test_batch_statistics_are_those_of_each_pass(batch_norm):
    network, twin = twins(with_norms())
    sweep, by_book = PositionWise(network, mse, sgd(network), batch_norm=batch_norm), sgd(twin)
    for x, y in batches(5, 3, 2):
        sweep.step(x, y)
        by_the_book(twin, mse, by_book, x, y)
    assert same_parameters(network, twin)


def test_buffers_are_the_same_tensors_afterwards():
    network = with_norms()
    before = list(network.buffers())
    PositionWise(network, mse, sgd(network)).step(*batch())
    assert all(b is q for b, q in zip(network.buffers(), before, strict=True))


# Precision


def half() -> torch.autocast:
    return torch.autocast("cpu", dtype=torch.bfloat16)


def in_half(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """In a context of its own, which knows no casts of earlier weights."""

    def called(*args: Any) -> Tensor:
        with half():
            return function(*args)

    return called


@pytest.mark.parametrize("options", [{}, {"stages": [1, 2]}, {"stages": 2}, {"accumulate": 1}])
@pytest.mark.parametrize("contexts", ["one a sweep", "one for all"])
def test_autocast_casts_weights_as_they_are_at_each_stage(contexts, options):
    network, twin = twins(of_depth(3, dtype=torch.float32))
    sweep, by_book = PositionWise(network, mse, sgd(network, 0.5), **options), sgd(twin, 0.5)
    data = [(x.float(), y.float()) for x, y in batches(4, 3, 2)]
    if contexts == "one for all":
        with half():
            for x, y in data:
                sweep.step(x, y)
    else:
        for x, y in data:
            with half():
                sweep.step(x, y)
    blocks = propose_blocks(twin)
    if "stages" in options:
        first = sweep.stages[0]
        blocks = [nn.Sequential(*blocks[:first]), nn.Sequential(*blocks[first:])]
    for x, y in data:
        by_the_book(in_half(twin), in_half(mse), by_book, x, y, blocks)
    assert same_weights(network, twin)


class Precise(nn.Module):
    """A layer that is never run in half precision."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast("cpu", enabled=False):
            return self.linear(x.float())


def test_gradients_have_the_precision_of_the_forward_pass():
    network, twin = twins(drawn(nn.Sequential(nn.Linear(3, 4), Precise(), nn.Linear(4, 2)), dtype=torch.float32))
    sweep, by_book = PositionWise(network, mse, sgd(network)), sgd(twin)
    for x, y in ((a.float(), b.float()) for a, b in batches(3, 3, 2)):
        with half():
            sweep.step(x, y)
        by_the_book(in_half(twin), in_half(mse), by_book, x, y, list(twin))
    assert same_weights(network, twin)


def test_autocast_with_parts_of_a_batch():
    network, twin = twins(of_depth(3, dtype=torch.float32))
    x, y = (each.float() for each in batch(size=8))
    with half():
        PositionWise(network, mse, sgd(network), accumulate=2).step(x, y)
    with half():
        PositionWise(twin, mse, sgd(twin)).step(x, y)
    close_parameters(network, twin, rtol=2e-2, atol=2e-3)  # bfloat16 has 8 bits


@pytest.mark.parametrize("options", [{}, {"clip": 0.05}, {"accumulate": 2}])
def test_a_scaler_changes_nothing_but_rounding(options):
    network, twin = twins(of_depth(4, dtype=torch.float32))
    scaler = torch.amp.GradScaler("cpu", init_scale=1000.0, growth_interval=3)
    scaled = PositionWise(network, mse, sgd(network), scaler=scaler, **options)
    plain = PositionWise(twin, mse, sgd(twin), **options)
    for x, y in batches(5, 3, 2):
        scaled.step(x.float(), y.float())
        plain.step(x.float(), y.float())
    close_parameters(network, twin, rtol=1e-5, atol=1e-6)
    assert scaler.get_scale() == 1000.0 * 2 ** (5 * 4 // 3)  # it is updated after each stage


@pytest.mark.parametrize("options", [{}, {"clip": 1.0}])
def test_a_stage_whose_gradients_overflow_is_left_out_and_halves_the_scale(options):
    network = of_depth(3, dtype=torch.float32)
    before = copies(network)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**127)
    sweep = PositionWise(network, lambda a, b: 16 * mse(a, b), sgd(network), scaler=scaler, **options)
    x, y = batch()
    sweep.step(x.float(), y.float())
    assert all(torch.equal(p, q) for p, q in zip(network.parameters(), before, strict=True))
    assert scaler.get_scale() == 2.0**124


def test_a_scaler_that_is_switched_off():
    network, twin = twins(of_depth(3))
    x, y = batch()
    PositionWise(network, mse, sgd(network), scaler=torch.amp.GradScaler("cpu", enabled=False)).step(x, y)
    by_the_book(twin, mse, sgd(twin), x, y)
    assert same_weights(network, twin)


# Before the step


def norm_of(params: Sequence[nn.Parameter]) -> float:
    return float(torch.cat([p.grad.flatten() for p in params]).norm())


@pytest.mark.parametrize("scaled", [False, True])
def test_gradients_of_a_stage_are_clipped_together(scaled):
    network, twin = twins(of_depth(4, dtype=torch.float32))
    optimizer, clip, unclipped, stepped = sgd(network), 0.1, [], []
    optimizer.register_step_pre_hook(
        lambda own, *_: stepped.append(norm_of([p for p in network.parameters() if p.grad is not None]))
    )
    scaler = torch.amp.GradScaler("cpu", init_scale=256.0) if scaled else None
    sweep = PositionWise(
        network, mse, optimizer, clip=clip, scaler=scaler, before_step=lambda ps: unclipped.append(norm_of(ps))
    )
    by_book = sgd(twin)
    for x, y in ((a.float(), b.float()) for a, b in batches(5, 3, 2)):
        sweep.step(x, y)
        by_the_book(twin, mse, by_book, x, y, before_step=lambda ps: nn.utils.clip_grad_norm_(ps, clip))
    assert max(unclipped) > 2 * clip
    assert stepped == pytest.approx([min(norm, clip) for norm in unclipped], rel=1e-4)
    assert same_weights(network, twin)


class Sums(nn.Module):
    """Its weight is the sum of two parameters, which therefore have one gradient."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Parameter(torch.zeros(3, 3)), nn.Parameter(torch.zeros(3, 3))

    def forward(self, x: Tensor) -> Tensor:
        return x @ (self.first + self.second)


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("scaled", [False, True])
def test_gradients_that_are_equal_are_scaled_and_clipped_once_each(scaled, accumulate):
    network, twin = twins(drawn(nn.Sequential(Sums(), nn.Linear(3, 2)), dtype=torch.float32))
    scaler = torch.amp.GradScaler("cpu", init_scale=256.0) if scaled else None
    sweep = PositionWise(list(network), mse, sgd(network), clip=0.1, scaler=scaler, accumulate=accumulate)
    by_book, (x, y) = sgd(twin), (each.float() for each in batch())
    for _ in range(3):
        sweep.step(x, y)
        by_the_book(twin, mse, by_book, x, y, list(twin), lambda ps: nn.utils.clip_grad_norm_(ps, 0.1))
    close_parameters(network, twin, rtol=1e-5, atol=1e-6)


def test_a_clip_above_all_norms_changes_nothing():
    network, twin = twins(of_depth(4))
    x, y = batch()
    PositionWise(network, mse, sgd(network), clip=1e6).step(x, y)
    PositionWise(twin, mse, sgd(twin)).step(x, y)
    assert same_weights(network, twin)


class Unused(nn.Module):
    """Has a bias that its outputs do not depend on."""

    def __init__(self) -> None:
        super().__init__()
        self.linear, self.unused = nn.Linear(3, 3), nn.Parameter(torch.ones(3))

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x)


@pytest.mark.parametrize("schedule", ["nested", "stochastic"])
def test_before_step_is_called_once_a_stage_with_what_it_trains(schedule):
    blocks = [drawn(nn.Linear(3, 3)), drawn(Unused()), drawn(nn.Linear(3, 2))]
    blocks[2].bias.requires_grad_(False)
    network, seen, unused = nn.Sequential(*blocks), [], blocks[1].unused.detach().clone()
    sweep = PositionWise(blocks, mse, sgd(network), schedule=schedule, before_step=lambda ps: seen.append(list(ps)))
    sweep.step(*batch())
    own = [list(blocks[0].parameters()), list(blocks[1].linear.parameters()), [blocks[2].weight]]
    expected = [[p for params in own[first:] for p in params] for first in sweep.starts]
    assert [list(map(id, params)) for params in seen] == [list(map(id, params)) for params in expected]
    assert torch.equal(blocks[1].unused, unused)


def test_before_step_may_change_gradients():
    """To average those of two processes, which here have halves of a batch, is to train on all of it."""
    network, twin = twins(of_depth(3))
    x, y = batch(size=6)
    halves = []

    def of_the_other_half(params: list[nn.Parameter]) -> None:
        halves.append(copies(network))
        loss = mse(network(x[3:]), y[3:])
        for p, g in zip(params, torch.autograd.grad(loss, params), strict=True):
            p.grad = (p.grad + g) / 2

    PositionWise(network, mse, sgd(network), before_step=of_the_other_half).step(x[:3], y[:3])
    PositionWise(twin, mse, sgd(twin)).step(x, y)
    close_parameters(network, twin)
    assert len(halves) == 3


# Parts of a batch


@pytest.mark.parametrize("parts", [2, 3, 5])
@pytest.mark.parametrize("options", [
    {}, {"stages": [1, 2, 1]}, {"stages": 2}, {"schedule": "stochastic"}, {"clip": 0.05},
], ids=str)  # fmt: skip
def test_a_batch_in_parts_is_the_batch(options, parts):
    """Five examples in parts of one size or several, weighted by their sizes."""
    network, twin = twins(of_depth(4))
    inputs, whole = (
        PositionWise(own, mse, sgd(own), accumulate=n, **options) for own, n in ((network, parts), (twin, 1))
    )
    for x, y in batches(3, 3, 2):
        torch.testing.assert_close(inputs.step(x, y), whole.step(x, y), rtol=1e-12, atol=0)
        torch.testing.assert_close(torch.stack(inputs.losses), torch.stack(whole.losses), rtol=1e-12, atol=0)
    close_parameters(network, twin)
    assert inputs.updates == whole.updates


class Sum(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 4)

    def forward(self, x: tuple[Tensor, Tensor]) -> Tensor:
        return torch.tanh(self.linear(x[0] + x[1]))


def test_tuples_are_cut_into_parts_too():
    network, twin = twins(drawn(nn.Sequential(Sum(), nn.Linear(4, 2))))

    def loss_fn(outputs: Tensor, y: tuple[Tensor, Tensor]) -> Tensor:
        return mse(outputs, y[0] * y[1])

    x, y = batch()
    for own, parts in ((network, 3), (twin, 1)):
        PositionWise(own, loss_fn, sgd(own), accumulate=parts).step((x, x.flip(1)), (y, y.flip(1)))
    close_parameters(network, twin)


def test_kept_dropout_in_parts_of_a_batch():
    """Each part has masks of its own, which are those of all its passes."""
    network, twin = twins(with_dropout()[:-1])
    x, y = batch(size=6)
    torch.manual_seed(0)
    PositionWise(network, mse, sgd(network), accumulate=2).step(x, y)
    torch.manual_seed(0)

    def in_parts(x: Tensor) -> Tensor:
        return torch.cat([part(own) for part, own in zip(parts, x.tensor_split(2), strict=True)])

    parts = [replayed(twin)]
    twin(x[:3])
    parts.append(replayed(twin))
    by_the_book(in_parts, mse, sgd(twin), x, y, propose_blocks(twin))
    close_parameters(network, twin)


def test_no_two_parts_of_a_batch_have_draws_in_common():
    """All that is drawn comes one after another, though the last block is run later than the others."""
    network = with_dropout()
    x, y = batch(size=6)
    torch.manual_seed(0)
    for part in x.tensor_split(2):
        network(part)
    expected = torch.get_rng_state()
    torch.manual_seed(0)
    PositionWise(network, mse, sgd(network), accumulate=2, stages=1).step(x, y)
    assert torch.equal(torch.get_rng_state(), expected)


# Learning rates


@pytest.mark.parametrize(("stages", "count"), [(None, 4), ([2, 2], 2), (3, 3)])
def test_normalized_learning_rates_are_divided_by_the_number_of_stages(stages, count):
    network, twin = twins(of_depth(4))
    whole = PositionWise(network, mse, sgd(network, 0.5), stages=stages, normalize_lr=True)
    divided = PositionWise(twin, mse, sgd(twin, 0.5 / count), stages=stages)
    for x, y in batches(3, 3, 2):
        whole.step(x, y)
        divided.step(x, y)
        assert whole.optimizer.param_groups[0]["lr"] == 0.5
    assert same_weights(network, twin)


def test_learning_rates_are_as_they_were_after_an_error_too():
    network = of_depth(3)
    optimizer = torch.optim.SGD([{"params": network[:2].parameters(), "lr": torch.tensor(0.25)},
                                 {"params": network[2:].parameters()}], lr=0.5)  # fmt: skip
    lrs = [group["lr"] for group in optimizer.param_groups]
    seen = []

    def interrupted(outputs: Tensor, y: Tensor) -> Tensor:
        seen.append([float(group["lr"]) for group in optimizer.param_groups])
        if len(seen) == 2:
            raise RuntimeError("interrupted")
        return mse(outputs, y)

    with pytest.raises(RuntimeError, match="interrupted"):
        PositionWise(network, interrupted, optimizer, normalize_lr=True).step(*batch())
    assert seen == [[pytest.approx(0.25 / 3), 0.5 / 3]] * 2
    assert all(group["lr"] is lr for group, lr in zip(optimizer.param_groups, lrs, strict=True))


def test_schedulers_are_stepped_once_a_sweep():
    network, twin = twins(of_depth(3))
    optimizer, by_book = sgd(network, 0.2), sgd(twin, 0.2)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.4, total_steps=6)
    sweep = PositionWise(network, mse, optimizer)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for x, y in batches(5, 3, 2):
            by_book.param_groups[0].update(
                lr=scheduler.get_last_lr()[0], momentum=optimizer.param_groups[0]["momentum"]
            )
            sweep.step(x, y)
            by_the_book(twin, mse, by_book, x, y)
            scheduler.step()
    assert same_weights(network, twin)


def test_groups_have_learning_rates_of_their_own():
    network, twin = twins(of_depth(3))

    def grouped(own: nn.Sequential) -> torch.optim.SGD:
        groups = [{"params": block.parameters(), "lr": 0.1 * place} for place, block in enumerate(own[::2], 1)]
        return torch.optim.SGD(groups, momentum=0.9)

    sweep, by_book = PositionWise(network, mse, grouped(network)), grouped(twin)
    for x, y in batches(3, 3, 2):
        sweep.step(x, y)
        by_the_book(twin, mse, by_book, x, y)
    assert same_weights(network, twin)


def test_a_plain_step_in_between_is_a_plain_step():
    """Sweeps keep nothing of the network between two batches."""
    network, twin = twins(of_depth(3))
    optimizer, by_book = torch.optim.Adam(network.parameters()), torch.optim.Adam(twin.parameters())
    sweep = PositionWise(network, mse, optimizer)
    for turn, (x, y) in enumerate(batches(6, 3, 2)):
        if turn % 2:
            plainly(network, mse, optimizer, x, y)
            plainly(twin, mse, by_book, x, y)
        else:
            sweep.step(x, y)
            by_the_book(twin, mse, by_book, x, y)
    assert same_weights(network, twin)
