"""Methods that step the blocks of a network in turns or at rates of their own: in cohorts as alone, and their cost."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from race.teams import CPU, member, order_for, redrawn, stacked, trained, weights_of, workload
from race.test_teams import assert_stack_equals_alone
from torch import nn
from torch.nn.functional import cross_entropy

import thalweg
from thalweg.cohort import Unstackable
from thalweg.race.alone import Alone
from thalweg.race.composed import COMPOSED
from thalweg.race.method import Method, method_named, with_ablations
from thalweg.race.paste import optimizer_line, step_line
from thalweg.race.sweeping import Sweeping, passes
from thalweg.race.training import train
from thalweg.rules import Rule
from thalweg.swarm.losses import ZeroOneLoss
from thalweg.sweep import block_costs, nested_cost, propose_blocks, stochastic_cost
from thalweg.tasks.dropout import Dropout
from thalweg.tasks.models.layers import Linear

FAST = ("position_wise", "position_wise_stochastic", "layerwise_sgd")  # the others are run with the slow tests
SWEEPS = [
    pytest.param(name, marks=() if name in FAST else pytest.mark.slow)
    for name, parts in COMPOSED.items()
    if parts.sweep is not None
]


pytestmark = pytest.mark.usefixtures("one_thread")


def deep(generator: torch.Generator, dtype: torch.dtype) -> nn.Module:
    """Four blocks of unequal cost, with dropout."""
    layers = [Linear(4, 7), nn.Tanh(), Dropout(0.0), Linear(7, 5), nn.Tanh(), Linear(5, 6), nn.Tanh(), Linear(6, 3)]
    return redrawn(nn.Sequential(*layers).to(dtype), generator)


def settings(name: str) -> dict[str, float]:
    swarm = {"particles": 4, "iterations": 3} if COMPOSED[name].through is not None else {}
    return {"dropout": 0.2, "l1": 1e-3, **swarm}


@pytest.mark.parametrize("name", SWEEPS)
def test_members_of_a_cohort_train_as_alone(name):
    """On splits, seeds and learning rates of their own; each member of a stochastic sweep from blocks of its own."""
    members = [
        member(name, i, given=workload(i, make=deep, epochs=3), lr=0.02 * (1 + i), **settings(name)) for i in range(3)
    ]
    assert_stack_equals_alone(members)


@pytest.mark.parametrize("schedule", ["nested", "stochastic", "layerwise"])
def test_random_initial_states_are_those_of_the_whole_network_in_a_cohort_too(schedule):
    plain = method_named("gravity")
    swept = replace(plain, name="swept", sweep=Sweeping(schedule))
    members = [member(swept, i, given=workload(i, make=deep, epochs=2)) for i in range(2)]
    assert_stack_equals_alone(members)


def normalised(generator: torch.Generator, dtype: torch.dtype) -> nn.Module:
    layers = [Linear(4, 6), nn.BatchNorm1d(6), nn.Tanh(), Linear(6, 6), nn.BatchNorm1d(6, momentum=0.3), Linear(6, 3)]
    return redrawn(nn.Sequential(*layers).to(dtype), generator)


@pytest.mark.parametrize("name", ["position_wise", "position_wise_stochastic"])
def test_networks_with_running_statistics_train_in_a_cohort_as_alone(name):
    members = [member(name, i, given=workload(i, make=normalised, epochs=2)) for i in range(2)]
    assert_stack_equals_alone(members)


def test_a_dropout_layer_in_two_blocks_is_for_training_alone():
    def shared(generator: torch.Generator, dtype: torch.dtype) -> nn.Module:
        drop = Dropout(0.0)
        return redrawn(nn.Sequential(Linear(4, 6), drop, Linear(6, 6), drop, Linear(6, 3)).to(dtype), generator)

    members = [member("position_wise", i, given=workload(i, make=shared), dropout=0.5) for i in range(2)]
    with pytest.raises(Unstackable, match="a dropout layer stands in two blocks"):
        stacked(members)
    alone = Alone(members[0], CPU)
    trained(alone, members[:1])
    assert alone.counts.steps[0] > 0


def test_a_loss_made_of_steps_has_gradient_0():
    members = [member("position_wise", i, given=workload(i, make=deep, epochs=1, loss=ZeroOneLoss())) for i in range(2)]
    alone = Alone(members[0], CPU)
    before = {name: x.clone() for name, x in weights_of(alone).items()}
    trained(alone, [members[0]])
    assert all(torch.equal(x, before[name]) for name, x in weights_of(alone).items())
    assert_stack_equals_alone(members)


def test_a_nested_race_is_sweeps_of_position_wise():
    """The loop of the race, written out with the public class."""
    one = member("position_wise", 0, given=workload(0, make=deep, epochs=2), lr=0.05)
    alone = Alone(one, CPU)
    network = copy.deepcopy(alone.network)
    sweep = thalweg.sweep.PositionWise(network, cross_entropy, torch.optim.SGD(network.parameters(), lr=0.05))
    train(alone, [one.recipe], [order_for(one)], one.batch)
    for rows in order_for(one):
        for batch in rows.split(one.batch):
            sweep.step(one.workload.train.inputs[batch], one.workload.train.targets[batch])
    for mine, own in zip(network.parameters(), alone.network.parameters(), strict=True):
        torch.testing.assert_close(mine, own, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("team", ["alone", "stacked"])
@pytest.mark.parametrize("name", ["position_wise", "position_wise_stochastic", "layerwise_sgd"])
def test_what_a_step_costs_is_counted_in_passes_through_the_whole_network(name, team):
    members = [member(name, i, given=workload(i, make=deep, epochs=40)) for i in range(2)]
    made, members = stacked(members) if team == "stacked" else (Alone(members[0], CPU), members[:1])
    trained(made, members)
    costs = block_costs(propose_blocks(members[0].network()), torch.zeros(1, 4, dtype=torch.float64))
    whole, steps = sum(costs), made.counts.steps
    # Per step, in forward passes: a backward pass is two, without the gradient with respect to the first block's input.
    spent = (made.counts.forward + 2 * made.counts.backward) * whole / steps
    if name == "layerwise_sgd":
        assert spent == pytest.approx(3 * whole)
    elif name == "position_wise":
        lowest = sum(costs)  # a stage passes no gradient on from its lowest block
        assert spent == pytest.approx(nested_cost(costs) + lowest)
    else:
        lowest = sum(costs) / len(costs)
        assert spent == pytest.approx(stochastic_cost(costs) + lowest, rel=0.1)
    assert (made.counts.losses == steps * (len(costs) if name == "position_wise" else 1)).all()


def test_passes_by_hand():
    """Blocks of costs 1, 2 and 5; a member of a stochastic step that begins at the second, and a nested sweep."""
    assert passes([1, 2, 5], [np.array([1])]) == {"forward": [1.0], "backward": [7 / 8]}
    nested = passes([1, 2, 5], [np.array([2]), np.array([1]), np.array([0])])
    assert nested == {"forward": [1 + (5 + 7) / 8], "backward": [(5 + 7 + 8) / 8]}


@pytest.mark.parametrize(("length", "epochs"), [(0.5, 3), (1.0, 6), (1.5, 9), (0.01, 1)])
def test_length_gives_a_trial_more_or_fewer_epochs(length, epochs):
    one = member("sgd", 0, given=workload(0, epochs=6), length=length)
    assert one.epochs == epochs


@pytest.mark.parametrize("length", [0, -1.0, float("inf"), float("nan"), "long"])
def test_a_length_that_is_none_is_refused(length):
    with pytest.raises(ValueError, match=f"length must be a number above 0, got {length!r}"):
        member("sgd", 0, length=length)


def test_sweeps_are_for_rules_and_known_schedules():
    with pytest.raises(ValueError, match="schedule must be one of nested, stochastic, layerwise, got 'random'"):
        Sweeping("random")
    still = Method("still", Rule("still", "w = w - 0.1*g"), {"schedule": "constant"})
    with pytest.raises(ValueError, match="sweep of still must not be layerwise, because it has no lr"):
        replace(still, sweep=Sweeping("layerwise"))
    with pytest.raises(ValueError, match="sweep is for rules alone, but lbfgs is"):
        replace(method_named("lbfgs"), sweep=Sweeping("nested"))


def test_a_network_that_cannot_be_cut_is_refused_and_said_how_to_cut():
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.other = nn.Linear(4, 3, dtype=torch.float64), nn.Linear(4, 3, dtype=torch.float64)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.layer(x) if x.sum() > 0 else self.other(x)

    with pytest.raises(ValueError, match=r"Odd cannot be traced .* give a list of modules"):
        Alone(member("position_wise", 0, given=workload(0, make=lambda *_: Odd())), CPU)


def test_their_ablations_join_a_race():
    assert with_ablations(["position-wise"]) == ["position_wise", "sgd", "layerwise_sgd"]
    assert len({str(method_named(name).definition()) for name in COMPOSED}) == len(COMPOSED)


@pytest.mark.parametrize("name", ["position_wise", "layerwise_adam"])
def test_what_is_pasted_trains(name):
    method: Method = method_named(name)
    info = method.info()
    model, loss_fn = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 2)), nn.CrossEntropyLoss()
    known = {"thalweg": thalweg, "model": model, "loss_fn": loss_fn}
    known["optimizer"] = eval(optimizer_line(info, {**method.hyperparameters, "lr": 0.25}), known)
    rates = [group["lr"] for group in known["optimizer"].param_groups]
    assert rates == ([0.25, 0.5] if name == "layerwise_adam" else [0.25])
    line = step_line(info)
    if name == "position_wise":
        sweep = eval(line.removeprefix("sweep = "), known)
        sweep.step(torch.ones(3, 2), torch.tensor([0, 1, 1]))
        assert sweep.updates == [1, 2]
    else:
        assert line == ""
