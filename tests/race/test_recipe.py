"""Schedules, smoothing, penalties and batch sizes: their formulas, and what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy, mse_loss

from thalweg.race.recipe import FULL, RECIPE, Recipe, sign_penalty, smoothed, split


def whole(**recipe) -> np.ndarray:
    """The factors of a training of 100 steps."""
    return Recipe(**recipe).factors(0, 100, 100)


# Schedules


def test_a_constant_rate_is_the_methods_own():
    assert (whole() == 1).all()


def test_the_cosine_is_torchs():
    weight = nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=1.0)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=100)
    expected = []
    for _ in range(100):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    assert whole(schedule="cosine") == pytest.approx(expected, abs=1e-12)


def test_the_steps_are_at_a_half_and_at_three_quarters():
    factors = whole(schedule="step")
    assert factors[[0, 49]].tolist() == [1.0, 1.0]
    assert factors[[50, 74]].tolist() == [0.1, 0.1]
    assert factors[[75, 99]].tolist() == [0.01, 0.01]


def test_one_cycle_is_torchs_but_for_its_end_at_0_and_half_a_step():
    weight = nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=1.0)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1.0, total_steps=10_000, cycle_momentum=False)
    expected = []
    for _ in range(10_000):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    assert Recipe(schedule="one_cycle").factors(0, 10_000, 10_000) == pytest.approx(expected, abs=1e-3)


def test_warm_up_rises_in_a_line_and_the_schedule_begins_after_it():
    factors = whole(schedule="cosine", warmup=0.2)
    assert factors[:20] == pytest.approx(np.arange(1, 21) / 20)
    assert factors[20:] == pytest.approx([(1 + math.cos(math.pi * k / 80)) / 2 for k in range(80)])


@pytest.mark.parametrize("schedule", ["constant", "cosine", "step", "one-cycle", "one_cycle", "plateau"])
@pytest.mark.parametrize("warmup", [0.0, 0.05, 0.013])
def test_the_factors_of_parts_are_those_of_the_whole_and_lie_between_0_and_1(schedule, warmup):
    recipe = Recipe(schedule=schedule, warmup=warmup)
    parts = np.concatenate([recipe.factors(first, 10, 100) for first in range(0, 100, 10)])
    assert (parts == recipe.factors(0, 100, 100)).all()
    assert ((parts > 0) & (parts <= 1)).all()


# Smoothing and penalties


@pytest.mark.parametrize(
    ("outputs", "targets"),
    [((6, 4), (6,)), ((6, 4, 5), (6, 5))],
    ids=["classes", "sequences"],
)
@pytest.mark.parametrize("loss", [cross_entropy, nn.CrossEntropyLoss()], ids=["function", "module"])
def test_smoothing_is_torchs_with_one_value_a_network(outputs, targets, loss):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(outputs, generator=generator, dtype=torch.float64)
    y = torch.randint(0, 4, targets, generator=generator)
    y.view(-1)[0] = -100  # passed over
    for amount in (0.0, 0.1, 0.7):
        found = smoothed(loss)(x, y, torch.tensor(amount, dtype=torch.float64))
        assert float(found) == pytest.approx(float(cross_entropy(x, y, label_smoothing=amount)), rel=1e-12)


def test_smoothing_of_given_probabilities_is_torchs():
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(6, 4, generator=generator).double(), torch.rand(6, 4, generator=generator).double()
    y = y / y.sum(1, keepdim=True)
    found = smoothed(cross_entropy)(x, y, torch.tensor(0.3, dtype=torch.float64))
    assert float(found) == pytest.approx(float(cross_entropy(x, y, label_smoothing=0.3)), rel=1e-12)


def test_smoothing_keeps_the_dtype_of_the_loss():
    x, y = torch.randn(6, 4), torch.zeros(6, dtype=torch.int64)
    assert smoothed(cross_entropy)(x, y, torch.tensor(0.3, dtype=torch.float64)).dtype == torch.float32


@pytest.mark.parametrize(
    "loss",
    [mse_loss, nn.CrossEntropyLoss(weight=torch.ones(3)), nn.CrossEntropyLoss(reduction="sum"),
     nn.CrossEntropyLoss(label_smoothing=0.1), nn.CrossEntropyLoss(ignore_index=0)],
)  # fmt: skip
def test_smoothing_of_another_loss_is_refused(loss):
    with pytest.raises(ValueError, match="label_smoothing needs torch's cross entropy"):
        smoothed(loss)


def test_the_penalty_is_the_gradient_of_the_absolute_values_with_one_rate_a_member():
    weight = torch.tensor([[1.0, -2.0], [0.0, 3.0]], dtype=torch.float64, requires_grad=True)
    rates = torch.tensor([0.1, 0.5], dtype=torch.float64)
    (rates[:, None] * weight.abs()).sum().backward()
    assert torch.equal(sign_penalty(weight.detach(), rates), weight.grad)
    assert torch.equal(sign_penalty(weight.detach()[1], 0.5), weight.grad[1])


# Batch sizes, and what belongs to the recipe


def test_the_batch_size_is_the_tasks_own_or_a_number_or_all():
    assert Recipe().batch_of(32, 90) == 32
    assert Recipe(batch_size=1).batch_of(32, 90) == 1
    assert Recipe(batch_size=8.0).batch_of(32, 90) == 8
    assert Recipe(batch_size=FULL).batch_of(32, 90) == 90
    assert Recipe(batch_size=500).batch_of(32, 90) == Recipe().batch_of(500, 90) == 90


def test_a_recipe_is_told_from_the_optimizers_own_hyperparameters():
    recipe, own = split({"lr": 0.1, "betas": (0.9, 0.99), "schedule": "cosine", "patience": 3, "weight_decay": 0.1})
    assert recipe == Recipe(schedule="cosine", patience=3)
    assert own == {"lr": 0.1, "betas": (0.9, 0.99), "weight_decay": 0.1}
    assert set(RECIPE) == {
        "schedule", "warmup", "decay", "l1", "dropout", "label_smoothing", "batch_size", "patience", "length"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("schedule", "linear"), ("schedule", 1), ("decay", "half"), ("warmup", 1.0), ("warmup", -0.1),
        ("warmup", math.nan), ("l1", -1.0), ("l1", math.inf), ("l1", "much"), ("dropout", 1.0), ("dropout", -0.5),
        ("label_smoothing", 1.0), ("batch_size", 0), ("batch_size", 2.5), ("batch_size", math.inf),
        ("batch_size", "half"), ("patience", -1), ("patience", 1.5), ("patience", math.nan),
    ],
)  # fmt: skip
def test_what_is_out_of_range_is_refused_by_its_name(name, value):
    with pytest.raises(ValueError, match=rf"{name} must be .*{value!r}|{name} must be .*'{value}'"):
        Recipe(**{name: value})
