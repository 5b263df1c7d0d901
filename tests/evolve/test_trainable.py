"""What no rule could train is refused before anything is written, and what one could is not."""

from functools import partial

import pytest
import torch
from torch import nn
from torch.nn.functional import mse_loss

from thalweg.evolve.trainable import check_trainable
from thalweg.tasks import Task
from thalweg.tasks.models import mlp

X = torch.randn(60, 3, generator=torch.Generator().manual_seed(0))
PLAIN = partial(mlp, (3, 4, 1))


def task(model=PLAIN, loss=mse_loss) -> Task:
    return Task(model, loss, (X, X[:, :1]), name="own")


@pytest.mark.parametrize(
    "model", [partial(mlp, (3, 4, 1), dropout=0.3), lambda: nn.Sequential(nn.Dropout(), nn.Linear(3, 1))]
)
def test_a_network_that_draws_can_be_trained_and_the_global_generator_is_left_as_it_was(model):
    before = torch.random.get_rng_state()
    check_trainable(task(model))
    assert torch.equal(torch.random.get_rng_state(), before)


def stepped(outputs, targets):
    return (outputs.detach() > targets).float().mean()


def infinite(outputs, targets):
    return mse_loss(outputs, targets) / 0


@pytest.mark.parametrize(
    ("loss", "said"),
    [(stepped, "no gradient with respect to any weight"), (infinite, "loss of its untrained network is inf")],
)
def test_a_loss_that_nothing_can_follow_is_refused(loss, said):
    with pytest.raises(ValueError, match=rf"task own: .*{said}"):
        check_trainable(task(loss=loss))
