"""A cohort computes for every member what its own network would, and refuses networks of which it could not."""

from __future__ import annotations

import copy
import math
import random
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, mse_loss

from thalweg.cohort import Cohort, Unstackable
from thalweg.tasks import dropout
from thalweg.tasks.dropout import Dropout
from thalweg.tasks.models import gru, mlp, transformer

MEMBERS, BATCH = 3, 6


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def stream(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def drawn(network: nn.Module, seed: int) -> nn.Module:
    """With every parameter and running statistic drawn anew, in float64."""
    generator = stream(seed)
    with torch.no_grad():
        for x in (*network.parameters(), *network.buffers()):
            if x.is_floating_point():
                x.copy_(torch.rand(x.shape, generator=generator) + 0.1 - 0.6 * (x.requires_grad))
    return network.double()


class Tied(nn.Module):
    """The weights of the embedding are those of the output."""

    def __init__(self) -> None:
        super().__init__()
        self.token = nn.Embedding(7, 5)
        self.out = nn.Linear(5, 7, bias=False)
        self.out.weight = self.token.weight

    def forward(self, tokens: Tensor) -> Tensor:
        return self.out(torch.tanh(self.token(tokens).mean(1)))


class DropsTwice(nn.Module):
    """One dropout layer in two places, as in many networks."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.drop = nn.Linear(4, 8), nn.Linear(8, 3), Dropout(0.4)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.drop(torch.relu(self.first(self.drop(x)))))


def frozen() -> nn.Module:
    network = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))
    network[0].weight.requires_grad_(False)
    return network


def convolutional() -> nn.Module:
    layers = [nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), Dropout(0.3), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(36, 3))


def floats(*shape: int):
    return lambda i: torch.randn(BATCH, *shape, generator=stream(100 + i), dtype=torch.float64)


def tokens(count: int, length: int):
    return lambda i: torch.randint(0, count, (BATCH, length), generator=stream(100 + i))


# By name: the network, what it is given, and how many classes it tells apart.
NETWORKS = {
    "perceptron": (lambda: mlp((4, 8, 8, 3), stream(0), 0.3), floats(4), 3),
    "batch norm": (lambda: nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3)), floats(4), 3),
    "layer norm": (lambda: nn.Sequential(nn.Linear(4, 8), nn.LayerNorm(8), nn.GELU(), nn.Linear(8, 3)), floats(4), 3),
    "convolution": (convolutional, floats(1, 8, 8), 3),
    "transformer": (lambda: transformer(7, 4, 7, stream(0), width=8, heads=2, dropout=0.2), tokens(7, 4), 7),
    "gru": (lambda: gru(7, 7, stream(0), width=6), tokens(7, 4), 7),
    "tied weights": (Tied, tokens(7, 4), 7),
    "frozen weights": (frozen, floats(4), 3),
    "one dropout twice": (DropsTwice, floats(4), 3),
}
every_network = pytest.mark.parametrize("name", NETWORKS)


def members(name: str, count: int = MEMBERS, first: int = 0) -> tuple[list[nn.Module], Tensor, Tensor]:
    make, inputs, classes = NETWORKS[name]
    places = range(first, first + count)
    networks = [drawn(make(), i) for i in places]
    for i, network in zip(places, networks, strict=True):
        for layer in dropout.layers(network).values():
            layer.set_rate((0.0, 0.3, 0.5)[i % 3])
    targets = torch.stack([torch.randint(0, classes, (BATCH,), generator=stream(200 + i)) for i in places])
    return networks, torch.stack([inputs(i) for i in places]), targets


def generators(count: int = MEMBERS, first: int = 0) -> list[torch.Generator]:
    return [stream(300 + i) for i in range(first, first + count)]


def trained_alone(network: nn.Module, inputs: Tensor, targets: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    loss = cross_entropy(network.train()(inputs), targets)
    named = {name: w for name, w in network.named_parameters() if w.requires_grad}
    return loss.detach(), dict(zip(named, torch.autograd.grad(loss, list(named.values())), strict=True))


def close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-13, check_stride=False)


# Member by member


@every_network
def test_losses_gradients_and_running_statistics_are_those_of_each_network_by_itself(name):
    networks, inputs, targets = members(name)
    cohort = Cohort(copy.deepcopy(networks), cross_entropy, generators())
    for network, generator in zip(networks, generators(), strict=True):
        for layer in dropout.layers(network).values():
            layer.generator = generator
    for _ in range(2):  # masks go on where they were
        losses, grads = cohort.gradients(inputs, targets)
        for i, network in enumerate(networks):
            loss, own = trained_alone(network, inputs[i], targets[i])
            close(losses[i], loss)
            assert grads.keys() == own.keys()
            for key, g in own.items():
                close(grads[key][i], g)
            for key, buffer in network.named_buffers():
                close(cohort.buffers[key][i], buffer)


@every_network
def test_outputs_are_those_of_each_network_in_evaluation_mode(name):
    networks, inputs, targets = members(name)
    cohort = Cohort(copy.deepcopy(networks), cross_entropy, generators())
    outputs = cohort.outputs(inputs)
    with torch.no_grad():
        for i, network in enumerate(networks):
            close(outputs[i], network.eval()(inputs[i]))
            close(cohort.losses(outputs, targets)[i], cross_entropy(outputs[i], targets[i]))
    assert all(
        torch.equal(b, torch.stack([dict(n.named_buffers())[k] for n in networks])) for k, b in cohort.buffers.items()
    )


@pytest.mark.parametrize("name", ["perceptron", "frozen weights"])
def test_a_members_bits_depend_neither_on_how_many_others_there_are_nor_on_which(name):
    def run(count: int, first: int) -> list[Tensor]:
        networks, inputs, targets = members(name, count, first)
        cohort = Cohort(networks, cross_entropy, generators(count, first))
        losses, grads = cohort.gradients(inputs, targets)
        return [x[6 - first] for x in (losses, *grads.values(), cohort.outputs(inputs))]

    alone = run(1, 6)
    for count, first in ((2, 5), (7, 0), (16, 3)):
        assert all(map(torch.equal, run(count, first), alone))


@pytest.mark.parametrize("name", ["perceptron", "batch norm", "convolution", "transformer", "one dropout twice"])
def test_a_member_that_is_not_finite_changes_no_bit_of_the_others(name):
    def run(value: float | None) -> list[Tensor]:
        networks, inputs, targets = members(name)
        if value is not None:
            for weight in networks[1].parameters():
                weight.data.fill_(value)
        cohort = Cohort(networks, cross_entropy, generators())
        found = []
        for _ in range(2):
            losses, grads = cohort.gradients(inputs, targets)
            found += [losses, *grads.values(), *(b.clone() for b in cohort.buffers.values()), cohort.outputs(inputs)]
        return found

    ill, well = run(math.nan), run(None)
    assert not torch.isfinite(ill[0][1])
    for a, b in zip(ill, well, strict=True):
        assert torch.equal(a[[0, 2]], b[[0, 2]])


def test_frozen_weights_are_no_parameters_and_stay_with_their_member():
    networks, inputs, targets = members("frozen weights")
    cohort = Cohort(networks, cross_entropy)
    assert list(cohort.params) == ["0.bias", "2.weight", "2.bias"]
    assert list(cohort.frozen) == ["0.weight"]
    cohort.gradients(inputs, targets)
    assert torch.equal(cohort.frozen["0.weight"][2], networks[2][0].weight)


def test_a_network_can_be_taken_out():
    networks, inputs, targets = members("batch norm")
    cohort = Cohort(networks, cross_entropy)
    _, grads = cohort.gradients(inputs, targets)
    cohort.params["0.bias"] -= grads["0.bias"]
    taken = cohort.network(2)
    with torch.no_grad():
        close(taken(inputs[2]), cohort.outputs(inputs)[2])


def test_the_loss_may_take_one_more_value_of_each_member():
    networks, inputs, _ = members("frozen weights")
    scaled = Cohort(networks, lambda outputs, targets, scale: scale * mse_loss(outputs, targets))
    targets, scale = torch.zeros(MEMBERS, BATCH, 3, dtype=torch.float64), torch.tensor([1.0, 2.0, 4.0]).double()
    losses, grads = scaled.gradients(inputs, targets, scale)
    plain, plain_grads = Cohort(networks, mse_loss).gradients(inputs, targets)
    close(losses, scale * plain)
    close(grads["2.bias"], scale[:, None] * plain_grads["2.bias"])


def test_inputs_may_be_laid_out_otherwise_at_every_call():
    networks, inputs, targets = members("layer norm")
    cohort = Cohort(networks, cross_entropy)
    expected = cohort.gradients(inputs, targets)[0]
    turned = inputs.transpose(0, 1).contiguous().transpose(0, 1)
    close(cohort.gradients(turned, targets)[0], expected)
    same = inputs[:1].expand(MEMBERS, -1, -1)
    close(cohort.outputs(same), cohort.outputs(same.contiguous()))


def test_inputs_and_networks_are_left_as_they_were():
    networks, inputs, targets = members("perceptron")
    networks = [nn.Sequential(nn.ReLU(inplace=True), *network) for network in networks]
    before, given = [copy.deepcopy(network.state_dict()) for network in networks], inputs.clone()
    cohort = Cohort(networks, cross_entropy, generators())
    first = cohort.gradients(inputs.clone(), targets)[0]
    assert torch.equal(given, inputs)
    cohort.params["1.weight"] += 1
    for network, state in zip(networks, before, strict=True):
        assert all(torch.equal(x, state[key]) for key, x in network.state_dict().items())
    alone = [drawn_loss(network, i, given[i], targets[i]) for i, network in enumerate(networks)]
    close(first, torch.stack(alone))


def drawn_loss(network: nn.Module, i: int, inputs: Tensor, targets: Tensor) -> Tensor:
    generator = generators()[i]
    for layer in dropout.layers(network).values():
        layer.generator = generator
    return trained_alone(network, inputs.clone(), targets)[0]


# What cannot be stacked


class Drawing(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(nn.functional.dropout(x, 0.5, self.training))


class DrawingInPython(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * (1 if random.random() < 0.5 else 2)


class DrawingInNumPy(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * float(np.random.normal())  # noqa: NPY002


class Counting(nn.Linear):
    calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls = self.calls + 1
        return super().forward(x) / self.calls


class Averaging(nn.Linear):
    """Replaces its buffer, which a trace would not notice."""

    def __init__(self, *sizes: int) -> None:
        super().__init__(*sizes)
        self.register_buffer("mean", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        self.mean = 0.9 * self.mean + 0.1 * x.mean().detach()
        return super().forward(x) - self.mean


class Remembering(nn.Linear):
    """Keeps a tensor that is no buffer."""

    def __init__(self, *sizes: int) -> None:
        super().__init__(*sizes)
        self.last = torch.zeros(())

    def forward(self, x: Tensor) -> Tensor:
        self.last.add_(1)
        return super().forward(x) + self.last


class Branching(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) if x.sum() > 0 else -super().forward(x)


class Idle(nn.Linear):
    def __init__(self, *sizes: int) -> None:
        super().__init__(*sizes)
        self.idle = nn.Parameter(torch.ones(2))


class Scaled(nn.Linear):
    """Differs from its like in what is neither parameter nor buffer."""

    made = 0

    def __init__(self, *sizes: int) -> None:
        super().__init__(*sizes)
        Scaled.made += 1
        self.scale = float(Scaled.made)


class Projecting(nn.Linear):
    def __init__(self, *sizes: int) -> None:
        super().__init__(*sizes)
        self.fixed = torch.randn(4, 4)


class Mixed(nn.Linear):
    def __init__(self, *sizes: int) -> None:
        super().__init__(*sizes)
        self.bias = nn.Parameter(self.bias.double())


UNSTACKABLE = {
    Drawing: "draws random numbers from 'torch'",
    DrawingInPython: "draws random numbers from 'random'",
    DrawingInNumPy: "draws random numbers from 'numpy.random'",
    Counting: "changes its attribute 'calls'",
    Averaging: "replaces its buffer 'mean'",
    Remembering: "changes its attribute 'last'",
    Branching: "cannot vectorise",
    Idle: "'idle' has no part in the loss",
    Scaled: "network 1 differs from the first in its attribute 'scale'",
    Projecting: "network 1 differs from the first in its attribute 'fixed'",
    Mixed: "must be of one real dtype",
}


@pytest.mark.parametrize(("network", "message"), UNSTACKABLE.items())
def test_what_a_trace_would_change_is_not_stacked_and_no_global_generator_moves(network, message):
    with torch.random.fork_rng():
        networks = [network(4, 3) for _ in range(2)]
    before = torch.random.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
    with pytest.raises(Unstackable, match=message):
        Cohort(networks, cross_entropy).gradients(torch.ones(2, 5, 4), torch.zeros(2, 5, dtype=torch.int64))
    assert torch.equal(torch.random.get_rng_state(), before[0])
    assert random.getstate() == before[1]
    assert np.random.get_state()[1].tolist() == before[2]  # noqa: NPY002


@pytest.mark.parametrize(
    "loss",
    [
        lambda outputs, targets: torch.tensor(cross_entropy(outputs, targets).item(), requires_grad=True),
        lambda outputs, targets: cross_entropy(outputs, targets) * (2 if outputs.max() > 0 else 1),
    ],
    ids=["through a number", "branching"],
)
def test_a_loss_that_cannot_be_vectorised_is_not_stacked(loss):
    networks, inputs, targets = members("frozen weights")
    with pytest.raises(Unstackable):
        Cohort(networks, loss).gradients(inputs, targets)


def test_a_loss_of_several_numbers_is_refused():
    networks, inputs, targets = members("frozen weights")
    with pytest.raises(ValueError, match=r"the loss must be a tensor of one number, got shape \(6,\)"):
        Cohort(networks, lambda o, t: cross_entropy(o, t, reduction="none")).gradients(inputs, targets)


def test_networks_of_different_shapes_or_frozen_parts_are_no_cohort():
    with pytest.raises(ValueError, match="number 1 differs from the first"):
        Cohort([nn.Linear(4, 3), nn.Linear(4, 2)], cross_entropy)
    with pytest.raises(ValueError, match="at least one"):
        Cohort([], cross_entropy)
    networks = [nn.Linear(4, 3), nn.Linear(4, 3)]
    networks[1].bias.requires_grad_(False)
    with pytest.raises(Unstackable, match="what is frozen"):
        Cohort(networks, cross_entropy)
    with pytest.raises(Unstackable, match="its class"):
        Cohort([nn.Linear(4, 3), Drawing(4, 3)], cross_entropy)


def test_the_example_of_the_page_runs():
    names: dict = {}
    page = (Path(__file__).parent.parent / "docs" / "cohorts.md").read_text()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for code in re.findall(r"```python\n(.*?)```", page, flags=re.S):
            exec(code, names)
    assert names["optimizer"].steps.tolist() == [20] * 64
    assert torch.equal(names["best"][0].weight, names["cohort"].params["0.weight"][names["losses"].argmin()])


def test_dropout_needs_a_generator_of_each_member():
    networks, inputs, targets = members("perceptron")
    with pytest.raises(ValueError, match="generators must be one for each member"):
        Cohort(networks, cross_entropy).gradients(inputs, targets)
