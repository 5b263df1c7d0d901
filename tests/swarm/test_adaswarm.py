"""AdaSwarm is Adam on swarm gradients, and goes on where it was."""

from __future__ import annotations

import copy
import pickle
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from thalweg.optim import Adam
from thalweg.swarm import AdaSwarm, DistanceToLabel, SwarmGradient
from thalweg.swarm.losses import F1Loss

bce = partial(F.binary_cross_entropy, reduction="none")
mae = partial(F.l1_loss, reduction="none")
CONSTANTS: dict[str, Any] = {"lr": 0.05, "betas": (0.8, 0.95), "eps": 1e-6, "weight_decay": 0.01}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def network() -> nn.Module:
    """The same each time."""
    made = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3), nn.Sigmoid()).double()
    own = generator(1)
    with torch.no_grad():
        for p in made.parameters():
            p.copy_(torch.randn(p.shape, generator=own, dtype=p.dtype))
    return made


INPUTS = torch.randn(30, 4, generator=generator(2), dtype=torch.float64)
TARGETS = torch.eye(3, dtype=torch.float64)[torch.arange(30) % 3]


def train(
    model: nn.Module, optimizer: torch.optim.Optimizer, loss: Any, steps: range, targets: Tensor = TARGETS
) -> list[float]:
    """Steps on batches of 10; returns the losses."""
    values = []
    for i in steps:
        rows = torch.arange(10) + 10 * (i % 3)
        optimizer.zero_grad()
        value = loss(model(INPUTS[rows]), targets[rows])
        value.backward()
        optimizer.step()
        values.append(value.item())
    return values


def weights(model: nn.Module) -> Tensor:
    return torch.cat([p.detach().flatten() for p in model.parameters()])


@pytest.mark.parametrize(
    "swarm", [{}, {"coeff": "paper"}, {"coeff": "fitted"}, {"init": "bounds", "cache": True}], ids=repr
)
def test_it_is_torchs_adam_fed_by_hand(swarm):
    """Weight decay is added to the gradient, as there."""
    model, other = network(), network()
    ours = AdaSwarm(model.parameters(), bce, **CONSTANTS, **swarm)
    theirs, loss = torch.optim.Adam(other.parameters(), **CONSTANTS), SwarmGradient(bce, **swarm)
    for i in range(8):
        rows = torch.arange(10) + 10 * (i % 3)
        ours.zero_grad()
        ours.loss(model(INPUTS[rows]), TARGETS[rows]).backward()
        ours.step()
        outputs = other(INPUTS[rows])
        kappa, best = loss.pull(outputs.detach().unsqueeze(0), TARGETS[rows].unsqueeze(0), [_of(loss)])
        theirs.zero_grad()
        outputs.backward((kappa * (outputs.detach() - best) / 30)[0])
        theirs.step()
        torch.testing.assert_close(weights(model), weights(other), rtol=1e-9, atol=1e-9)


def _of(loss: SwarmGradient) -> torch.Generator:
    loss.generator = loss.generator or generator()
    return loss.generator


def test_where_the_swarm_finds_the_labels_it_is_adam_on_the_distance_to_them():
    """To which the whole method comes down for binary cross-entropy: nothing of the loss is left."""
    model, other = network(), network()
    ours = AdaSwarm(model.parameters(), bce, lr=0.05, iterations=60, init="bounds", cache=(0.0, 1.0))
    train(model, ours, ours.loss, range(30))
    train(other, Adam(other.parameters(), lr=0.05), DistanceToLabel(bce), range(30))
    assert (weights(model) - weights(network())).abs().max() > 0.5
    torch.testing.assert_close(weights(model), weights(other), rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize(
    "swarm", [{}, {"coeff": "paper"}, {"init": "bounds", "cache": True, "coeff": "paper"}], ids=repr
)
def test_taken_up_again_from_a_file_it_goes_on_bit_for_bit(swarm, tmp_path):
    whole, model = network(), network()
    uninterrupted, first = (AdaSwarm(m.parameters(), bce, **CONSTANTS, **swarm) for m in (whole, model))
    losses = train(whole, uninterrupted, uninterrupted.loss, range(6))
    train(model, first, first.loss, range(3))
    torch.save({"model": model.state_dict(), "optimizer": first.state_dict()}, tmp_path / "saved")
    saved, again = torch.load(tmp_path / "saved"), network()
    second = AdaSwarm(again.parameters(), bce, **swarm)
    again.load_state_dict(saved["model"])
    second.load_state_dict(saved["optimizer"])
    assert train(again, second, second.loss, range(3, 6)) == losses[3:]
    assert torch.equal(weights(again), weights(whole))


@pytest.mark.parametrize("loss_fn", [bce, F1Loss()], ids=["element", "joint"])
def test_copies_and_pickles_continue_as_it_does(loss_fn):
    model, targets = network(), TARGETS.argmax(1) if isinstance(loss_fn, F1Loss) else TARGETS
    optimizer = AdaSwarm(model.parameters(), loss_fn, lr=0.05, iterations=3)
    train(model, optimizer, optimizer.loss, range(2), targets)
    both = model, optimizer
    twins = [copy.deepcopy(both), pickle.loads(pickle.dumps(both))]
    train(model, optimizer, optimizer.loss, range(2, 4), targets)
    for twin, its_optimizer in twins:
        train(twin, its_optimizer, its_optimizer.loss, range(2, 4), targets)
        assert torch.equal(weights(twin), weights(model))


def test_what_is_loaded_is_left_as_it_was():
    model, again = network(), network()
    first = AdaSwarm(model.parameters(), bce, lr=0.05)
    train(model, first, first.loss, range(2))
    saved = copy.deepcopy(first.state_dict())
    second = AdaSwarm(again.parameters(), bce, lr=0.05)
    second.load_state_dict(saved)
    train(again, second, second.loss, range(2))
    assert torch.equal(saved["swarm"]["generator"], first.state_dict()["swarm"]["generator"])


def test_it_takes_up_a_run_of_plain_adam():
    """Whose state says nothing of a swarm."""
    model = network()
    adam = Adam(model.parameters(), lr=0.05)
    train(model, adam, lambda y, t: bce(y, t).mean(), range(2))
    again = AdaSwarm(model.parameters(), bce)
    again.load_state_dict(adam.state_dict())
    assert again.param_groups[0]["lr"] == 0.05
    assert all(int(state["step"]) == 2 for state in again.state.values())


def test_it_is_an_optimizer_as_schedulers_and_closures_know_them():
    model = network()
    optimizer = AdaSwarm(model.parameters(), mae, lr=0.1)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.5)

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = optimizer.loss(model(INPUTS), TARGETS)
        value.backward()
        return value

    first = optimizer.step(closure)
    scheduler.step()
    assert first.item() == pytest.approx(mae(network()(INPUTS), TARGETS).mean().item())
    assert optimizer.param_groups[0]["lr"] == 0.05


def test_arguments_are_adams_or_the_swarms():
    with pytest.raises(ValueError, match="lr must be"):
        AdaSwarm(network().parameters(), bce, lr=-1.0)
    with pytest.raises(TypeError, match="SwarmGradient takes no 'amsgrad'"):
        AdaSwarm(network().parameters(), bce, amsgrad=True)
    assert AdaSwarm(network().parameters(), bce, particles=3, eta=0.5).loss.eta == 0.5
