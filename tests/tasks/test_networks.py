"""Networks made from a generator, whatever the model takes."""

from functools import partial

import pytest
import torch
from torch import nn

from thalweg.tasks import mlp
from thalweg.tasks.networks import network_from


class OfHidden(nn.Module):
    """Has arguments, none of which must be given."""

    def __init__(self, hidden=3):
        super().__init__()
        self.layer = nn.Linear(hidden, 2)


def own(generator=None, hidden=3):
    return mlp((hidden, 2), generator)


MODELS = [
    lambda: nn.Linear(4, 2),
    lambda seeded: mlp((4, 2), seeded),
    partial(mlp, (4, 2)),
    own,
    OfHidden,
]


@pytest.mark.parametrize("model", MODELS, ids=["nothing", "one argument", "partial", "named", "class"])
def test_the_generator_decides_and_the_global_one_is_not_touched(model, generator):
    network = network_from(model)
    before = torch.get_rng_state()
    first, again, other = (next(network(generator(seed)).parameters()) for seed in (5, 5, 6))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (nn.Linear(4, 2), r"is a network already, .* model=lambda: Linear"),
        (lambda a, b: None, "takes? a torch.Generator or nothing, but it needs a, b"),
        ("mlp", "must be a function that returns a network, got 'mlp'"),
    ],
)
def test_what_is_no_model_is_refused(model, message):
    with pytest.raises(ValueError, match=message):
        network_from(model)
