"""Members of a population lose what the module with their weights would lose, however many are evaluated at once."""

import copy
import random

import pytest
import torch
from search.networks import NETWORKS, Tied, by_itself, data, frozen, network, stream, weights
from torch import nn
from torch.nn.functional import cross_entropy, dropout, mse_loss
from torch.utils._python_dispatch import TorchDispatchMode

from thalweg.search import Population
from thalweg.search.networks.chunks import candidates, pieces
from thalweg.swarm.losses import AUCLoss, BlackBox, F1Loss, ZeroOneLoss
from thalweg.tasks import accuracy, mlp
from thalweg.tasks.dropout import with_own_dropout

EVERY = 11  # members
CHUNKS = (EVERY, 5, "loop")


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def close(found, expected, tolerance=1e-10):
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)


# One loss a member


LARGER = ("transformer", "gru", "convolution with instance norm")
EACH = [pytest.param(name, marks=pytest.mark.slow) if name in LARGER else name for name in NETWORKS]


@pytest.mark.parametrize("chunk", CHUNKS)
@pytest.mark.parametrize("name", EACH)
def test_stacked_chunked_and_one_after_another_members_lose_what_the_module_would(name, chunk):
    module, (inputs, targets) = network(name), data(name)
    members = Population(module, cross_entropy, chunk=chunk)
    x = weights(members)
    expected = torch.stack([by_itself(module, row, inputs, targets) for row in x])
    close(members.losses(x, inputs, targets), expected)
    assert (members.chunk, members.reason) == (chunk, "")


@pytest.mark.parametrize("chunk", CHUNKS)
@pytest.mark.parametrize("name", ["perceptron", "convolution with batch norm", "batch norm"])
def test_evaluation_mode_goes_by_the_statistics_that_the_module_has(name, chunk):
    module, (inputs, targets) = network(name), data(name)
    with torch.no_grad():
        module(inputs)  # moves them
    members = Population(module, cross_entropy, training=False, chunk=chunk)
    x = weights(members)
    expected = torch.stack([by_itself(module, row, inputs, targets, training=False) for row in x])
    close(members.losses(x, inputs, targets), expected)


@pytest.mark.parametrize("chunk", CHUNKS)
def test_paths_agree_to_a_millionth_in_single_precision(chunk):
    module = mlp((64, 32, 10), stream(0))
    inputs, targets = torch.randn(64, 64, generator=stream(1)), torch.arange(64) % 10
    members = Population(module, cross_entropy, chunk=chunk)
    x = weights(members)
    expected = torch.stack([by_itself(module, row, inputs, targets) for row in x])
    assert members.losses(x, inputs, targets).dtype == torch.float32
    close(members.losses(x, inputs, targets), expected, 1e-6)


def test_a_batch_of_another_size_is_evaluated_too():
    module = network("perceptron")
    members = Population(module, cross_entropy, chunk=EVERY)
    for rows in (12, 5, 1, 12):
        inputs, targets = data("perceptron", rows)
        expected = torch.stack([by_itself(module, row, inputs, targets) for row in weights(members)])
        close(members.losses(weights(members), inputs, targets), expected)


def test_a_single_member_is_evaluated_and_decides_nothing():
    module, (inputs, targets) = network("perceptron"), data("perceptron")
    members = Population(module, cross_entropy)
    close(members.losses(members.start[None], inputs, targets)[0], by_itself(module, members.start, inputs, targets))
    assert members.chunk == "auto"


def test_weights_that_are_not_finite_reach_no_other_member():
    members = Population(network("perceptron"), cross_entropy, chunk=EVERY)
    x = weights(members)
    sound = members.losses(x, *data("perceptron"))
    x[3], x[7, 0] = torch.nan, torch.inf
    found = members.losses(x, *data("perceptron"))
    others = [i for i in range(EVERY) if i not in (3, 7)]
    assert found[3].isnan()
    assert torch.equal(found[others], sound[others])


@pytest.mark.parametrize("name", ["perceptron", "convolution"])
def test_the_inputs_are_shared_and_not_copied_for_each_member(name):
    inputs, targets = data(name, rows=300)
    members = Population(network(name), cross_entropy, chunk=EVERY)
    x = weights(members)
    members.losses(x, inputs, targets)
    with Largest() as largest:
        members.losses(x, inputs, targets)
    widest = {"perceptron": 300 * 8, "convolution": 300 * 4 * 36}[name]  # of a hidden layer
    assert largest.numbers <= EVERY * widest


class Largest(TorchDispatchMode):
    """The most numbers that an operation made room for."""

    numbers = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor):
            self.numbers = max(self.numbers, result.untyped_storage().nbytes() // result.element_size())
        return result


# What is left as it was


@pytest.mark.parametrize("chunk", ["auto", *CHUNKS])
def test_neither_the_module_nor_a_global_generator_is_touched(chunk):
    module = network("convolution with batch norm")
    module.insert(0, nn.Dropout(0.5))
    before, state, plain = copy.deepcopy(module.state_dict()), torch.get_rng_state(), random.getstate()
    members = Population(module, cross_entropy, chunk=chunk)
    members.losses(weights(members), *data("convolution"))
    members.member(weights(members)[0], [data("convolution")[0]])
    assert all(torch.equal(w, before[name]) for name, w in module.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)
    assert random.getstate() == plain
    assert module.training
    assert type(module[0]) is nn.Dropout
    assert all(w.grad is None and w.requires_grad for w in module.parameters())


# Luck


def droppy():
    return nn.Sequential(
        nn.Linear(4, 40), nn.ReLU(), nn.Dropout(0.5), nn.Linear(40, 40), nn.Dropout(0.2), nn.Linear(40, 3)
    )


@pytest.mark.parametrize("chunk", CHUNKS)
def test_dropout_drops_for_all_members_what_one_network_would_and_anew_in_each_call(chunk):
    module, (inputs, targets) = droppy().double(), data("perceptron")
    members = Population(module, cross_entropy, chunk=chunk, generator=stream(5))
    alone = with_own_dropout(copy.deepcopy(module))
    same = members.start.expand(EVERY, -1).contiguous()
    calls = [members.losses(same, inputs, targets) for _ in range(2)]
    generator = stream(5)
    for found in calls:
        start = generator.get_state()
        for row, loss in zip(same, found, strict=True):
            generator.set_state(start)
            for layer in (alone[2], alone[4]):
                layer.generator = generator
            close(loss, by_itself_drawing(alone, row, inputs, targets))
    assert calls[0][0] != calls[1][0]
    assert members.random


def by_itself_drawing(module, x, inputs, targets):
    nn.utils.vector_to_parameters(x, module.parameters())
    with torch.no_grad():
        return cross_entropy(module(inputs), targets)


def test_dropout_rests_in_evaluation_mode():
    members = Population(droppy().double(), cross_entropy, training=False)
    first, second = (members.losses(weights(members), *data("perceptron")) for _ in range(2))
    assert torch.equal(first, second)
    assert not members.random


class DrawsByItself(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 30)

    def forward(self, x):
        return dropout(self.linear(x), 0.5)


def test_what_is_drawn_from_the_global_generator_is_the_same_for_all_and_leaves_it_alone():
    members = Population(DrawsByItself().double(), cross_entropy, generator=stream(0))
    same, state = members.start.expand(5, -1), torch.get_rng_state()
    first, second = (members.losses(same, *data("perceptron")) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), state)
    assert len(first.unique()) == len(second.unique()) == 1
    assert first[0] != second[0]
    assert members.chunk == "loop"
    assert "random numbers" in members.reason
    again = Population(DrawsByItself().double(), cross_entropy, generator=stream(0))
    again.load(members.start)
    assert torch.equal(again.losses(same, *data("perceptron")), first)


# Normalisation


def test_running_statistics_of_a_member_are_the_means_of_those_of_the_batches():
    module = nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 2))
    batches = [torch.randn(n, 3, generator=stream(n)) + n for n in (5, 8, 3)]
    members = Population(module, mse_loss)
    member = members.member(members.start + 1, batches)
    close(member[0].running_mean, torch.stack([batch.mean(0) for batch in batches]).mean(0), 1e-6)
    close(member[0].running_var, torch.stack([batch.var(0) for batch in batches]).mean(0), 1e-6)
    assert torch.equal(member[1].weight, module[1].weight + 1)
    assert not member.training
    assert member[0].momentum == module[0].momentum


# Losses and metrics


@pytest.mark.parametrize("loss", [F1Loss(), AUCLoss(), ZeroOneLoss(), accuracy, lambda o, t: o.argmax(1).ne(t).sum()])
def test_losses_made_of_steps_are_taken_for_all_members_at_once(loss):
    module, (inputs, targets) = network("perceptron"), data("perceptron")
    members = Population(module, loss, chunk=EVERY)
    expected = torch.stack([by_itself(module, row, inputs, targets, loss) for row in weights(members)])
    close(members.losses(weights(members), inputs, targets), expected.double())
    assert members.loss_reason == ""


def numpy_errors(outputs, targets):
    return float((outputs.argmax(1) != targets).mean())


def as_float(outputs, targets):
    return (outputs.argmax(1) != targets).double().mean().item()


def remembers_targets(outputs, targets):
    """Which a trace would take for constants."""
    return outputs.sum() * sum(targets.tolist())


@pytest.mark.parametrize("loss", [BlackBox(numpy_errors), as_float, remembers_targets])
def test_a_loss_that_cannot_be_vectorised_is_called_for_each_members_outputs(loss):
    module = network("perceptron")
    members = Population(module, loss, chunk=EVERY)
    for seed in (2, 3):
        inputs, targets = data("perceptron", seed=seed)
        expected = [float(by_itself(module, row, inputs, targets, _tensor(loss))) for row in weights(members)]
        close(members.losses(weights(members), inputs, targets), torch.tensor(expected, dtype=torch.float64))
    assert (members.chunk, members.reason) == (EVERY, "")
    assert members.loss_reason


def picky(outputs, targets):
    """It is given fewer classes by no batch of ours, but would be by a check on other rows."""
    assert sum(targets.tolist()) == 45
    return cross_entropy(outputs, targets)


def test_a_loss_that_raises_on_other_rows_is_called_for_each_member():
    module, targets = mlp((4, 10), stream(0)).double(), torch.arange(10)
    inputs = torch.randn(10, 4, generator=stream(1), dtype=torch.float64)
    members = Population(module, picky, chunk=EVERY)
    expected = torch.stack([by_itself(module, row, inputs, targets, picky) for row in weights(members)])
    close(members.losses(weights(members), inputs, targets), expected)
    assert (members.chunk, members.reason) == (EVERY, "")


def _tensor(loss):
    return lambda outputs, targets: torch.as_tensor(loss(outputs, targets))


# Modules that cannot be stacked


class Branches(nn.Module):
    """It looks at what its inputs are, which a trace would keep for ever."""

    def __init__(self, peek):
        super().__init__()
        self.linear, self.peek = nn.Linear(4, 3), peek

    def forward(self, x):
        return self.linear(x) * self.peek(x, self.linear.weight)


@pytest.mark.parametrize(
    "peek",
    [
        lambda x, w: 2.0 if (x.sum() > 0).item() else 1.0,
        lambda x, w: x[:, 0].tolist()[-1],
        lambda x, w: float(w.sum()),
        lambda x, w: x.numpy().sum(),
    ],
)
def test_modules_that_branch_on_values_are_evaluated_one_after_another_and_right(peek):
    module = Branches(peek).double()
    members = Population(module, cross_entropy, chunk=EVERY)
    for seed in (2, 3):
        inputs, targets = data("perceptron", seed=seed)
        expected = torch.stack([by_itself(module, row, inputs, targets) for row in weights(members)])
        close(members.losses(weights(members), inputs, targets), expected)
    assert members.chunk == "loop"
    assert members.reason


class CountsCalls(nn.Module):
    def __init__(self, what):
        super().__init__()
        self.linear, self.what, self.calls = nn.Linear(4, 3), what, 0
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, x):
        if self.what == "buffer":
            self.seen += 1
        if self.what == "attribute":
            self.calls += 1
        if self.what == "random":
            return self.linear(x) * random.random()
        if self.what == "pair":
            return self.linear(x), x
        return self.linear(x)


def test_a_module_that_changes_a_buffer_is_refused_by_the_buffers_name():
    members = Population(CountsCalls("buffer").double(), cross_entropy)
    with pytest.raises(ValueError, match="module changes its buffer 'seen'"):
        members.losses(weights(members), *data("perceptron"))


def test_spectral_norm_changes_its_vectors_while_it_trains_and_rests_in_evaluation_mode():
    torch_net = nn.utils.parametrizations.spectral_norm(nn.Linear(4, 3)).double()
    with pytest.raises(ValueError, match=r"module changes its buffer .* training=False may do"):
        Population(torch_net, cross_entropy).losses(weights(Population(torch_net, cross_entropy)), *data("perceptron"))
    members = Population(torch_net, cross_entropy, training=False, chunk=EVERY)
    expected = [by_itself(torch_net, row, *data("perceptron"), training=False) for row in weights(members)]
    close(members.losses(weights(members), *data("perceptron")), torch.stack(expected))


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru, self.out = nn.GRU(1, 5, batch_first=True), nn.Linear(5, 3)

    def forward(self, x):
        return self.out(self.gru(x.unsqueeze(-1))[0][:, -1])


def test_torchs_own_recurrent_layers_are_evaluated_one_after_another():
    module = Recurrent().double()
    members = Population(module, cross_entropy, chunk=EVERY)
    expected = torch.stack([by_itself(module, row, *data("perceptron")) for row in weights(members)])
    close(members.losses(weights(members), *data("perceptron")), expected)
    assert members.chunk == "loop"


def test_a_module_that_draws_from_python_is_refused():
    members = Population(CountsCalls("random").double(), cross_entropy)
    with pytest.raises(ValueError, match="got draws from random"):
        members.losses(weights(members), *data("perceptron"))


@pytest.mark.parametrize(("what", "said"), [("attribute", "changes its attribute calls"), ("pair", "returns tuple")])
def test_what_keeps_count_or_returns_no_tensor_is_evaluated_one_after_another(what, said):
    module = CountsCalls(what).double()
    loss = cross_entropy if what == "attribute" else lambda outputs, targets: cross_entropy(outputs[0], targets)
    members = Population(module, loss)
    expected = torch.stack([by_itself(module, row, *data("perceptron"), loss) for row in weights(members)])
    close(members.losses(weights(members), *data("perceptron")), expected)
    assert members.chunk == "loop"
    assert said in members.reason


# Chunks


@pytest.mark.parametrize("chunk", [1, 2, 7, 8, 64, 100])
def test_pieces_hold_every_member_and_are_a_chunk_or_a_half_a_quarter_or_an_eighth_of_one(chunk):
    for count in range(1, 300):
        found = pieces(count, chunk)
        sizes = [chunk // part for part in (1, 2, 4, 8) if chunk >= part]
        assert {piece.stop - piece.start for piece in found} <= set(sizes)
        held = [place for piece in found for place in range(piece.start, piece.stop)]
        assert sorted(set(held)) == (list(range(count)) if count >= sizes[-1] else [])
        assert len(held) - len(set(held)) < sizes[-1]


def test_no_candidate_takes_more_memory_than_there_may_be():
    assert candidates(200, 1000) == [200, 100, 25]
    assert candidates(200, 1 << 28) == [4]
    assert candidates(200, 1 << 40) == [1]


def test_auto_takes_one_of_its_candidates_and_keeps_it():
    members = Population(network("perceptron"), cross_entropy)
    x = weights(members, 40)
    first = members.losses(x, *data("perceptron"))
    chosen = members.chunk
    assert chosen in ("loop", *candidates(40, 1))
    members.losses(weights(members, 80), *data("perceptron"))
    assert members.chunk == chosen
    told = Population(network("perceptron"), cross_entropy, chunk=chosen)
    assert torch.equal(told.losses(x, *data("perceptron")), first)


def test_a_population_that_shrinks_or_grows_is_evaluated_as_well():
    module = network("perceptron")
    members = Population(module, cross_entropy, chunk=16)
    every = weights(members, 50)
    expected = torch.stack([by_itself(module, row, *data("perceptron")) for row in every])
    for count in (16, 15, 9, 3, 2, 1, 50):
        close(members.losses(every[:count], *data("perceptron")), expected[:count])


@pytest.mark.slow
@pytest.mark.parametrize(("hidden", "rows"), [(32, 64), (32, 1000), (256, 1000)])
def test_auto_is_never_slower_than_four_fifths_of_the_best(hidden, rows):
    from time import perf_counter

    module = mlp((64, hidden, 10), stream(0))
    inputs, targets = torch.randn(rows, 64, generator=stream(1)), torch.randint(10, (rows,), generator=stream(2))
    x = weights(Population(module, cross_entropy), 200)
    ways = {chunk: Population(module, cross_entropy, chunk=chunk) for chunk in ("auto", "loop", 10, 100, 200)}

    def seconds(members):
        start = perf_counter()
        members.losses(x, inputs, targets)
        return perf_counter() - start

    for members in ways.values():
        seconds(members)
    times = {chunk: min(seconds(members) for _ in range(7)) for chunk, members in ways.items()}
    assert times["auto"] * 0.8 <= min(times.values()), times


# Weights as a vector


def test_vectors_and_parameters_are_one_another():
    members = Population(network("perceptron"), cross_entropy)
    x = weights(members)
    named = members.unflatten(x)
    assert {name: tuple(w.shape[1:]) for name, w in named.items()} == {
        name: tuple(w.shape) for name, w in members.module.named_parameters()
    }
    assert torch.equal(members.flatten(named), x)
    assert all(w.untyped_storage().data_ptr() == x.untyped_storage().data_ptr() for w in named.values())
    close(members.start, nn.utils.parameters_to_vector(members.module.parameters()).detach())
    members.load(x[4])
    assert torch.equal(members.weights(), x[4])
    assert not torch.equal(members.start, x[4])


def test_tied_weights_are_one_and_frozen_ones_none_of_the_vector():
    assert Population(Tied(), cross_entropy).dim == 7 * 5
    assert Population(frozen(), cross_entropy).names == ("0.bias", "2.weight", "2.bias")
    last = Population(frozen(), cross_entropy, params=lambda name, w: name.startswith("2.") and w.dim() == 2)
    assert last.names == ("2.weight",)


def test_the_search_begins_as_wide_as_each_tensor_is_or_as_torch_would_have_drawn_it():
    module = nn.Sequential(nn.Linear(12, 5), nn.LayerNorm(5), nn.Linear(5, 2))
    with torch.no_grad():
        module[0].bias.zero_()
        module[2].weight.zero_()
    spread = Population(module, cross_entropy).unflatten(Population(module, cross_entropy).spread)
    close(spread["0.weight"], module[0].weight.detach().std(correction=0).expand(5, 12), 1e-6)
    close(spread["0.bias"], torch.full((5,), (3 * 12) ** -0.5), 1e-6)
    close(spread["1.weight"], torch.full((5,), 0.1), 1e-6)
    close(spread["2.weight"], torch.full((2, 5), (3 * 5) ** -0.5), 1e-6)
    close(spread["2.bias"], module[2].bias.detach().std(correction=0).expand(2), 1e-6)


def test_half_precision_networks_are_searched_in_single():
    module = nn.Linear(4, 3).bfloat16()
    members = Population(module, lambda o, t: cross_entropy(o.float(), t), chunk=EVERY)
    inputs, targets = torch.randn(8, 4, generator=stream(0)).bfloat16(), torch.arange(8) % 3
    x = weights(members)
    assert members.start.dtype == torch.float32
    expected = torch.stack(
        [by_itself(module, row.bfloat16(), inputs, targets, lambda o, t: cross_entropy(o.float(), t)) for row in x]
    )
    close(members.losses(x, inputs, targets), expected, 0.02)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"module": torch.zeros(3)}, "module must be a torch.nn.Module, got tensor"),
        ({"loss_fn": "mse"}, "loss_fn must be a function .outputs, targets., got 'mse'"),
        ({"chunk": 0}, "chunk must be .* got 0"),
        ({"chunk": "all"}, "chunk must be .* got 'all'"),
        ({"params": lambda name, w: False}, "params must choose parameters .* got none"),
        ({"module": nn.Linear(2, 2, dtype=torch.complex64)}, "of one real dtype .* got torch.complex64 on cpu"),
    ],
)
def test_what_makes_no_population_is_said(arguments, message):
    with pytest.raises(ValueError, match=message):
        Population(**{"module": nn.Linear(2, 2), "loss_fn": mse_loss} | arguments)


@pytest.mark.parametrize(
    ("loss", "x", "message"),
    [
        (lambda o, t: o, torch.zeros(3, 6), r"loss_fn must return one number .* got a tensor of shape \(4, 2\)"),
        (lambda o, t: "much", torch.zeros(3, 6), "loss_fn must return one number .* got 'much'"),
        (mse_loss, torch.zeros(3, 5), r"x must have the shape \(members, 6\), got \(3, 5\)"),
        (mse_loss, torch.zeros(6), r"x must have the shape \(members, 6\), got \(6,\)"),
    ],
)
def test_what_cannot_be_evaluated_is_said(loss, x, message):
    with pytest.raises(ValueError, match=message):
        Population(nn.Linear(2, 2), loss).losses(x, torch.zeros(4, 2), torch.zeros(4, 2))
