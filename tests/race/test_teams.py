"""Stacked equals one after another: every rule of the gallery, every part of the recipe, and whatever a member does."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from race.teams import (
    CPU,
    RULES,
    difference,
    member,
    network,
    order_for,
    redrawn,
    stacked,
    trained,
    weights_of,
    workload,
)
from torch import nn
from torch.nn.functional import cross_entropy

from thalweg.race.alone import Alone
from thalweg.race.method import Method, method_named
from thalweg.race.stack import Stack
from thalweg.race.teams import Member
from thalweg.race.training import Curves
from thalweg.tasks.dropout import Dropout

pytestmark = pytest.mark.usefixtures("one_thread")


def own(name: str, i: int) -> dict[str, Any]:
    """Hyperparameters of the member's own: of a tuple each part."""
    found = {}
    for key, value in method_named(name).hyperparameters.items():
        if key == "lr":
            found[key] = value * (1 + i) / 2
        elif key == "betas":
            found[key] = tuple(part ** (1 + i / 4) for part in value)
        elif key in ("beta", "momentum", "rho"):
            found[key] = value ** (1 + i / 4)
    return found


def assert_equal_curves(some: Curves, i: int, others: Curves, j: int, tolerance: float) -> None:
    for name in ("train_loss", "validation_loss", "validation_metric"):
        assert some.of(name, i) == pytest.approx(others.of(name, j), rel=tolerance, abs=tolerance)
    assert some.lengths[i] == others.lengths[j]
    assert some.diverged[i] == others.diverged[j]


def assert_stack_equals_alone(members: list[Member], tolerance: float = 1e-10) -> None:
    stack, ordered = stacked(members)
    curves = trained(stack, ordered)
    for i, one in enumerate(ordered):
        alone = Alone(one, CPU)
        own_curves = trained(alone, [one])
        assert difference(weights_of(stack, i), weights_of(alone)) < tolerance, one.method.name
        assert_equal_curves(curves, i, own_curves, 0, 10 * tolerance)
        for count in ("steps", "forward", "backward", "examples", "state_bytes"):
            assert getattr(stack.counts, count)[i] == getattr(alone.counts, count)[0], (one.method.name, count)
        assert stack.init_hashes[i] == alone.init_hashes[0]


# Fifty steps in float64


def test_fifty_steps_of_every_rule_in_one_cohort_are_those_of_its_trials_alone():
    """Two members of each, on different splits and seeds, with hyperparameters of their own."""
    assert_stack_equals_alone([member(name, i, **own(name, i)) for name in RULES for i in range(2)])


RECIPES: list[dict[str, Any]] = [
    {"weight_decay": 0.1, "decay": "coupled"},
    {"weight_decay": 0.1, "decay": "decoupled", "schedule": "cosine", "warmup": 0.2},
    {"weight_decay": 0.0, "schedule": "step"},
    {"weight_decay": 0.3, "schedule": "one-cycle"},
    {"lr": 0.3, "schedule": "plateau"},
    {"l1": 1e-2},
    {"dropout": 0.5},
    {"dropout": 0.2, "l1": 1e-3, "label_smoothing": 0.2},
    {"label_smoothing": 0.1},
    {"lr": 0.2, "patience": 1},
    {"lr": 0.2, "patience": 2, "dropout": 0.3, "label_smoothing": 0.05, "weight_decay": 0.01},
    {},
]


@pytest.mark.parametrize("batch", [1, 7, "full", None])
def test_the_recipe_does_in_a_cohort_what_it_does_alone(batch):
    """A batch size of 7 leaves a last batch of 5."""
    recipes = RECIPES[::3] if batch == 1 else RECIPES
    members = [member("adamw", i, **{"lr": 0.02, "batch_size": batch, **recipe}) for i, recipe in enumerate(recipes)]
    assert_stack_equals_alone(members)


def test_early_stopping_and_plateaus_happen_in_these_trials_at_different_times():
    """Or the test above would say nothing of them."""
    members = [member("adamw", i, lr=0.3, patience=1 + i % 2) for i in range(6)]
    stack, ordered = stacked(members)
    lengths = trained(stack, ordered).lengths
    assert len(set(lengths)) > 2
    assert lengths.min() < 11


class Fixed(nn.Module):
    """With everything that may be odd: batch norm, frozen and tied weights, one dropout layer in two places."""

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.first, self.norm, self.drop = nn.Linear(4, 4), nn.BatchNorm1d(4), Dropout(0.2)
        self.same = nn.Linear(4, 4)
        self.same.weight = self.first.weight
        self.last, self.frozen = nn.Linear(4, 3), nn.Linear(3, 3)
        self.frozen.weight.requires_grad_(False)
        self.to(dtype)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.drop(torch.tanh(self.norm(self.first(x))))
        return self.frozen(self.last(self.drop(torch.tanh(self.same(x)))))


@pytest.mark.parametrize("rule", ["adamw", "gravity"])
def test_odd_networks_train_in_a_cohort_as_alone(rule):
    """Members that stop early keep their running statistics too; frozen weights are not decayed."""

    def odd(generator: torch.Generator, dtype: torch.dtype) -> nn.Module:
        return redrawn(Fixed(dtype), generator)

    given = [workload(i, make=odd) for i in range(4)]
    recipes: list[dict[str, Any]] = [{"patience": 1}, {"dropout": 0.4}, {"weight_decay": 0.2}, {"schedule": "cosine"}]
    assert_stack_equals_alone(
        [member(rule, i, given[i], **{"lr": 0.05, **recipe}) for i, recipe in enumerate(recipes)], 1e-9
    )


# A step at a time in float32


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(["adamw", "gravity", "ades", "nadam", "rprop", "sign"], id="some"),
        pytest.param(RULES, id="every rule", marks=pytest.mark.slow),  # 0.4 s each to compile
    ],
)
def test_a_step_in_float32_is_that_of_the_trial_alone(names):
    """Resynchronised, because half a unit of rounding in a gradient grows to 8e-5 in fifty steps of Adam."""
    given = workload(dtype=torch.float32)
    stack, members = stacked([member(name, 0, given, **own(name, 1)) for name in names])
    alones = [Alone(one, CPU) for one in members]
    rows = order_for(members[0]).reshape(-1, 8)[:50]
    ones, active = np.ones(len(members)), np.ones(len(members), dtype=np.bool_)
    for batch in rows:
        stack.step(batch.expand(len(members), -1), ones, active)
        for i, alone in enumerate(alones):
            alone.step(batch[None], ones[:1], active[:1])
            assert difference(weights_of(alone), weights_of(stack, i)) < 1e-5, members[i].method.name
            resynchronise(alone, stack, i)


def resynchronise(alone: Alone, stack: Stack, i: int) -> None:
    """Gives a network and its optimizer the weights and states of a member."""
    (stepper,) = [each for each in stack._steppers if each.members.start <= i < each.members.stop]
    at = i - stepper.members.start
    for name, weight in alone.network.named_parameters():
        weight.data.copy_(stack.cohort.params[name][i])
        for state, held in stepper.optimizer.state.items():
            if isinstance(held, torch.Tensor):
                alone.optimizer.state[weight][state] = held[at].item()
            else:
                alone.optimizer.state[weight][state].copy_(held[name][at])


# Independence


@pytest.mark.parametrize("how", ["diverges", "begins as NaN", "stops"])
def test_what_becomes_of_a_member_changes_no_bit_of_the_others(how):
    def odd(generator: torch.Generator, dtype: torch.dtype) -> nn.Module:
        return redrawn(Fixed(dtype), generator)

    def broken(generator: torch.Generator, dtype: torch.dtype) -> nn.Module:
        made = odd(generator, dtype)
        made.last.weight.data[0, 0] = math.nan
        return made

    def run(ill: bool) -> tuple[Stack, Curves]:
        special = {"diverges": {"lr": 1e308}, "stops": {"patience": 1}, "begins as NaN": {}}[how] if ill else {}
        make = broken if ill and how == "begins as NaN" else odd
        members = [
            member(
                "heavy_ball", i, workload(i, make=make if i == 1 else odd), **{"lr": 0.3, **(special if i == 1 else {})}
            )
            for i in range(3)
        ]
        stack = Stack(members, CPU)
        return stack, trained(stack, members)

    (ill, curves), (well, expected) = run(True), run(False)
    assert curves.diverged.tolist() == [False, how != "stops", False]
    assert curves.lengths[1] < expected.lengths[1]
    for i in (0, 2):
        assert curves.of("validation_loss", i) == expected.of("validation_loss", i)
        pairs = zip(weights_of(ill, i).values(), weights_of(well, i).values(), strict=True)
        assert all(torch.equal(a, b) for a, b in pairs)


def test_a_members_bits_do_not_depend_on_who_else_is_in_the_cohort():
    """Others decay their weights, penalise them, smooth labels, drop, and step by other rules."""
    given = workload()
    one = member("adam", 0, given, lr=0.03)
    others = [member("adam", i, **{"lr": 0.02, **recipe}) for i, recipe in enumerate(RECIPES)] + [member("sgd", 3)]
    alone, together = stacked([one]), stacked([*others, one])
    for stack, members in (alone, together):
        trained(stack, members)
    place = together[1].index(one)
    assert len(alone[0].counts.steps) == 1
    for name, x in weights_of(alone[0]).items():
        assert torch.equal(x, weights_of(together[0], place)[name])


def test_a_member_that_is_not_finite_before_training_has_no_curve_and_makes_no_step():
    def broken(generator: torch.Generator, dtype: torch.dtype) -> nn.Module:
        made = network(generator, dtype)
        made[0].weight.data.fill_(math.nan)
        return made

    members = [member("sgd", 0, workload(make=broken)), member("sgd", 1)]
    stack = Stack(members, CPU)
    curves = trained(stack, members)
    assert curves.diverged.tolist() == [True, False]
    assert curves.lengths.tolist() == [0, 11]
    assert stack.counts.steps.tolist() == [0, 50]


def test_the_kept_weights_are_those_of_the_lowest_validation_loss():
    members = [member("adam", i, lr=3.0) for i in range(3)]
    stack, ordered = stacked(members)
    curves = trained(stack, ordered)
    stack.swap_kept()
    best = stack.losses(stack.outputs("validation"), "validation")
    stack.swap_kept()
    last = stack.losses(stack.outputs("validation"), "validation")
    assert (best < last).any()
    for i in range(3):
        assert best[i] == min(curves.of("validation_loss", i))
        assert last[i] == curves.of("validation_loss", i)[-1]


def test_members_are_evaluated_in_chunks_of_one_size():
    members = [member("sgd", i, workload(i, examples=1100)) for i in range(2)]
    stack = Stack(members, CPU)
    outputs = stack.outputs("train")
    assert outputs.shape == (2, 1100, 3)
    for i, one in enumerate(members):
        alone = Alone(one, CPU)
        torch.testing.assert_close(outputs[i], alone.outputs("train")[0], rtol=1e-12, atol=1e-12)


def test_a_metric_that_is_plain_python_is_taken_member_by_member():
    from thalweg.tasks.metrics import named_metric

    def hits(outputs: torch.Tensor, targets: torch.Tensor) -> float:
        return sum(int(a == b) for a, b in zip(outputs.argmax(1).tolist(), targets.tolist(), strict=True))

    given = workload(metric=named_metric(hits))
    stack = Stack([member("sgd", i, given) for i in range(2)], CPU)
    outputs = stack.outputs("validation")
    expected = [float((outputs[i].argmax(1) == given.validation.targets).sum()) for i in range(2)]
    assert stack.metrics(outputs, "validation").tolist() == expected


# What draws, and what fails


class Drawing(nn.Linear):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(nn.functional.dropout(x, 0.5, self.training))


def test_what_a_network_draws_by_itself_follows_from_the_seed_and_leaves_the_global_generator_alone():
    def make(generator: torch.Generator, dtype: torch.dtype) -> nn.Module:
        return redrawn(nn.utils.skip_init(Drawing, 4, 3, dtype=dtype), generator)

    before = torch.random.get_rng_state()
    runs = [trained(Alone(one, CPU), [one]) for one in [member("sgd", i, workload(make=make)) for i in (0, 0, 1)]]
    assert torch.equal(torch.random.get_rng_state(), before)
    assert runs[0].of("train_loss", 0) == runs[1].of("train_loss", 0) != runs[2].of("train_loss", 0)


def test_training_a_cohort_leaves_the_global_generator_alone():
    before = torch.random.get_rng_state()
    stack, ordered = stacked([member("gravity", i, dropout=0.3) for i in range(2)])
    trained(stack, ordered)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_dropout_of_a_network_that_has_none_is_an_error():
    def plain(generator: torch.Generator, dtype: torch.dtype) -> nn.Module:
        return redrawn(nn.Linear(4, 3, dtype=dtype), generator)

    with pytest.raises(ValueError, match=r"dropout of adam is 0.1, but the network of small has no dropout layer"):
        Alone(member("adam", 0, workload(make=plain), dropout=0.1), CPU)


def test_a_loss_of_several_numbers_is_an_error():
    given = workload(loss=lambda outputs, targets: cross_entropy(outputs, targets, reduction="none"))
    one = member("sgd", 0, given)
    with pytest.raises(ValueError, match="one number"):
        Alone(one, CPU).step(torch.arange(8)[None], np.ones(1), np.ones(1, dtype=np.bool_))


def test_parts_of_unequal_size_are_no_cohort():
    with pytest.raises(ValueError, match=r"train parts of a cohort must be of one size, got \[30, 40\]"):
        Stack([member("sgd", 0), member("sgd", 1, workload(examples=30))], CPU)


def test_a_rule_without_lr_trains_at_a_constant_rate_alone():
    from thalweg import Rule

    rule = Method("still", Rule("still", "w = w - 0.1*g"), {"schedule": "constant"})
    assert_stack_equals_alone([member(rule, i) for i in range(2)])
    with pytest.raises(ValueError, match="lr must be 1 for still"):
        trained(Stack([scheduled := member(rule, 0, schedule="cosine")], CPU), [scheduled])
