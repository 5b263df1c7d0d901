"""Texts and hashes that tell apart what functions, networks and files are."""

import hashlib
from functools import partial

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy, mse_loss

from thalweg.tasks.dropout import Dropout
from thalweg.tasks.hashes import described, file_hash, network_described


def closure(bound):
    return lambda outputs, targets: bound * (outputs - targets).sum()


class Weighted:
    """A loss with an attribute."""

    def __init__(self, weight):
        self.weight = weight

    def __call__(self, outputs, targets):
        return self.weight * mse_loss(outputs, targets)


PAIRS = {
    "functions of torch": (cross_entropy, mse_loss),
    "arguments of a partial": (
        partial(cross_entropy, label_smoothing=0.1),
        partial(cross_entropy, label_smoothing=0.2),
    ),
    "variables of a closure": (closure(1), closure(2)),
    "attributes": (Weighted(1.0), Weighted(torch.ones(2))),
    "weights of a module": (nn.CrossEntropyLoss(torch.ones(2)), nn.CrossEntropyLoss(torch.zeros(2))),
    "methods": (Weighted(1.0).__call__, Weighted(2.0).__call__),
    "values": ({"a": [1, (2.0, None)]}, {"a": [1, (2.5, None)]}),
    "sets": ({1, 2}, {1, 3}),
    "classes": (Weighted, nn.MSELoss),
}


@pytest.mark.parametrize(("one", "other"), PAIRS.values(), ids=PAIRS)
def test_a_description_tells_apart_what_differs_and_only_that(one, other):
    assert described(one) == described(one)
    assert described(one) != described(other)
    assert "0x" not in described(one)  # no address, which differs from process to process


def test_equal_objects_have_equal_descriptions():
    assert described(closure(3)) == described(closure(3))
    assert described(Weighted(2.0)) == described(Weighted(2.0))


def test_a_function_that_holds_itself_is_described_all_the_same():
    def loss(outputs, targets):
        return loss

    assert "def loss" in described(loss)


def test_networks_differ_by_shape_by_weights_and_by_what_they_compute():
    class Doubled(nn.Linear):
        def forward(self, x):
            return 2 * super().forward(x)

    class Halved(nn.Linear):
        def forward(self, x):
            return super().forward(x) / 2

    Halved.__name__ = Halved.__qualname__ = "Doubled"  # so that only the source differs
    torch_linear, doubled, halved = nn.Linear(2, 2), Doubled(2, 2), Halved(2, 2)
    for network in (doubled, halved):
        network.load_state_dict(torch_linear.state_dict())
    networks = [torch_linear, doubled, halved, nn.Linear(2, 2), nn.Linear(2, 3), nn.Sequential(Dropout(0.1))]
    assert len({network_described(network) for network in networks}) == len(networks)
    assert network_described(Dropout(0.2)) != network_described(Dropout(0.1))


def test_a_file_hash_is_its_sha256(tmp_path):
    (tmp_path / "file").write_bytes(b"text")
    assert file_hash(tmp_path / "file") == hashlib.sha256(b"text").hexdigest()
