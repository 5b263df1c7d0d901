"""Other gradients that need a loss's values alone: what they are on average, and what they cost."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from thalweg.swarm import (
    SPSA,
    CentralDifferences,
    DistanceToLabel,
    EvolutionStrategy,
    SmoothSurrogate,
    SwarmGradient,
    estimators,
)
from thalweg.swarm.losses import AUCLoss, DeadZoneCost, F1Loss, QuantileLoss, StepCost, ZeroOneLoss

LEVELS = ["element", "sample", "joint"]
BY_CHANCE = [SPSA, EvolutionStrategy]
ALL = [*BY_CHANCE, CentralDifferences]
Loss = Callable[[Tensor, Tensor], Tensor]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def rand(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.rand(shape, generator=generator(seed), dtype=torch.float64).to(dtype)


def slope(loss: Any, outputs: Tensor, targets: Tensor) -> Tensor:
    """The gradient with respect to outputs."""
    y = outputs.clone().requires_grad_()
    loss(y, targets).backward()
    assert y.grad is not None
    return y.grad


def terms(loss: Loss, level: str) -> Loss:
    """An elementwise loss, as one number a problem."""
    return {
        "element": loss,
        "sample": lambda y, t: loss(y, t).sum(1),
        "joint": lambda y, t: (loss(y, t).sum(1) * (1 + torch.arange(len(y)))).sum(),
    }[level]


def linear(y: Tensor, t: Tensor) -> Tensor:
    return 3 * t * y


def quadratic(y: Tensor, t: Tensor) -> Tensor:
    return (y - t).square() / 2 + t * y


def cubic(y: Tensor, t: Tensor) -> Tensor:
    return (y - t) ** 3 + torch.sin(2 * y)


def autograds(loss_fn: Loss, outputs: Tensor, targets: Tensor, reduction: str = "mean") -> Tensor:
    return slope(lambda y, t: getattr(loss_fn(y, t), reduction)(), outputs, targets)


# On average


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("level", LEVELS)
def test_central_differences_along_all_axes_tend_to_autograd_with_the_square_of_sigma(level, reduction):
    loss_fn, y, targets = terms(cubic, level), rand(5, 3), rand(5, 3, seed=1)
    exact = autograds(loss_fn, y, targets, reduction)
    for sigma in (1e-1, 1e-2, 1e-3):
        loss = CentralDifferences(loss_fn, level=level, reduction=reduction, sigma=sigma)
        error = (slope(loss, y, targets) - exact).abs() / exact.abs().max()
        assert error.max() < 2 * sigma**2


@pytest.mark.parametrize("level", ["sample", "joint"])
def test_along_some_of_the_axes_they_are_right_on_average(level):
    """Each time as many axes as can be paid for are exact, times how many times fewer they are than all."""
    loss_fn, y, targets = terms(quadratic, level), rand(4, 5), rand(4, 5, seed=1)
    exact, axes, drawn = autograds(loss_fn, y, targets), (5 if level == "sample" else 20), 3
    loss = CentralDifferences(loss_fn, level=level, evaluations=2 * drawn)
    found = torch.stack([slope(loss, y, targets) for _ in range(600)])
    assert ((found != 0).sum((1, 2)) == drawn * (4 if level == "sample" else 1)).all()
    torch.testing.assert_close(found, torch.where(found != 0, exact * axes / drawn, 0.0))
    error = (found.mean(0) - exact) / (found.std(0) / 600**0.5)
    assert error.abs().max() < 4.5


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("loss_fn", [linear, quadratic])
@pytest.mark.parametrize("estimator", BY_CHANCE)
def test_estimates_by_chance_are_right_on_average(estimator, loss_fn, level):
    """Of a quadratic too, whose two sides differ by its slope alone."""
    loss_fn, y, targets = terms(loss_fn, level), rand(4, 3), rand(4, 3, seed=1)
    members = 400
    loss = estimator(loss_fn, level=level, evaluations=20, sigma=0.3)
    generators = [generator(i) for i in range(members)]
    found = loss.gradients(y.expand(members, 4, 3), targets.expand(members, 4, 3), generators)
    exact = autograds(loss_fn, y, targets)
    spread = found.std(0) / members**0.5
    assert ((found.mean(0) - exact).abs() < 4.5 * spread + 1e-9).all()
    assert (spread < 0.1 * exact.abs().max()).all()


def test_spsa_of_a_single_output_is_the_central_difference():
    y, targets = rand(6, 3), rand(6, 3, seed=1)
    torch.testing.assert_close(
        slope(SPSA(cubic), y, targets), slope(CentralDifferences(cubic, evaluations=2), y, targets)
    )


def test_an_evolution_strategy_has_the_slope_of_the_loss_smoothed_by_a_gaussian():
    """Of a step it is the density of a normal distribution, where autograd has 0."""
    y, sigma = torch.linspace(-1, 1, 9, dtype=torch.float64).unsqueeze(1), 0.4
    loss = EvolutionStrategy(lambda y, t: (y > t).to(y), evaluations=40000, sigma=sigma, reduction="sum")
    density = torch.distributions.Normal(0.0, sigma).log_prob(y).exp()
    torch.testing.assert_close(slope(loss, y, torch.zeros_like(y)), density, rtol=0, atol=0.05)


@pytest.mark.parametrize("estimator", ALL)
@pytest.mark.parametrize("level", LEVELS)
def test_of_a_constant_loss_the_gradient_is_0(level, estimator):
    loss_fn = terms(lambda y, t: torch.full_like(y, 0.3), level)
    assert not slope(estimator(loss_fn, level=level, evaluations=6), rand(5, 3), rand(5, 3)).any()


@pytest.mark.parametrize("estimator", ALL)
def test_where_a_side_has_no_finite_loss_it_counts_as_flat(estimator):
    def loss_fn(y: Tensor, t: Tensor) -> Tensor:
        return torch.where(t > 0, torch.nan, torch.where(t < 0, torch.inf * y.sign(), y))

    y, targets = torch.zeros(3), torch.tensor([1.0, -1.0, 0.0])
    value = estimator(loss_fn)
    found = value.gradients(y.unsqueeze(0), targets.unsqueeze(0), [generator()])[0]
    assert found[:2].tolist() == [0.0, 0.0]
    assert found[2] > 0


@pytest.mark.parametrize("estimator", ALL)
@pytest.mark.parametrize("target", [0.0, 1.0])
def test_beside_the_edge_of_where_a_loss_is_defined_it_still_descends(target, estimator):
    """Binary cross-entropy ends at 0 and 1, to which outputs that are wrong may be nearer than sigma."""
    bce = partial(F.binary_cross_entropy, reduction="none")
    wrong = torch.full((4, 2), abs(0.99 - target))
    away = slope(estimator(bce, sigma=0.1), wrong, torch.full((4, 2), target))
    assert (away * (wrong - target) > 0).all()


# Members and pieces


@pytest.mark.parametrize("most", [1, 500, 1 << 21])
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("estimator", ALL)
def test_members_with_a_sigma_of_their_own_are_as_alone_in_pieces_of_any_size(estimator, level, most, monkeypatch):
    monkeypatch.setattr(estimators, "MOST", most)
    y, targets, loss_fn = rand(3, 5, 4), rand(3, 5, 4, seed=1), terms(cubic, level)
    sigma = torch.tensor([0.1, 0.4, 0.7])
    settings = {"level": level, "evaluations": 6}
    together = estimator(loss_fn, sigma=sigma, **settings).gradients(y, targets, [generator(i) for i in range(3)])
    for i in range(3):
        alone = estimator(loss_fn, sigma=sigma[i].item(), **settings)
        found = alone.gradients(y[i : i + 1], targets[i : i + 1], [generator(i)])[0]
        torch.testing.assert_close(together[i], found, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("estimator", ALL)
def test_estimates_are_the_generators_alone_and_the_global_one_is_left_alone(estimator):
    y, targets, before = rand(5, 4), rand(5, 4, seed=1), torch.get_rng_state()
    settings = {"level": "sample", "evaluations": 2}
    first, second = (estimator(terms(cubic, "sample"), generator=generator(3), **settings) for _ in range(2))
    for _ in range(2):
        assert torch.equal(slope(first, y, targets), slope(second, y, targets))
    assert torch.equal(torch.get_rng_state(), before)


# What it costs


class Counted:
    """A loss that counts for how many outputs it is asked. What is counted is no joint loss that can be recorded."""

    def __init__(self, level: str) -> None:
        self.level_of_terms, self.outputs = level, 0

    def __call__(self, y: Tensor, t: Tensor) -> Any:
        self.outputs += y.numel()
        losses = (y - t).square()
        if self.level_of_terms == "joint":
            return losses.mean().item()
        return losses if self.level_of_terms == "element" else losses.mean(1)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(("make", "expected"), [
    (partial(SwarmGradient, particles=4, iterations=3), {"element": 12, "sample": 12, "joint": 12}),
    (partial(SwarmGradient, particles=4, iterations=3, coeff="fitted"), {"element": 13, "sample": 12, "joint": 12}),
    (partial(SPSA, evaluations=8), {"element": 8, "sample": 8, "joint": 8}),
    (partial(EvolutionStrategy, evaluations=8), {"element": 8, "sample": 8, "joint": 8}),
    (partial(CentralDifferences, evaluations=8), {"element": 8, "sample": 6, "joint": 8}),
    (partial(CentralDifferences, evaluations=200), {"element": 200, "sample": 198, "joint": 180}),
])  # fmt: skip
def test_evaluations_are_what_the_loss_is_asked_for_beside_the_value(make, expected, level):
    counted, y, targets = Counted(level), rand(5, 3), rand(5, 3, seed=1)
    loss = make(counted, level=level)
    slope(loss, y, targets)
    counted.outputs = 0  # the first call has also tried whether the loss can be recorded
    slope(loss, y, targets)
    assert loss.evaluations - 30 < expected[level] <= loss.evaluations  # what comes out even
    assert counted.outputs == y.numel() * (1 + expected[level])


@pytest.mark.parametrize("make", [DistanceToLabel, SmoothSurrogate])
def test_what_needs_no_values_counts_none(make):
    assert make(QuantileLoss(0.3)).evaluations == 0


# Smooth surrogates


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("hard", [
    QuantileLoss(0.3), DeadZoneCost(0.2), ZeroOneLoss(), StepCost([[0.0, 1.0, 2.0], [1.0, 0.0, 1.0], [3.0, 1.0, 0.0]]),
    F1Loss(), AUCLoss(),
], ids=lambda hard: type(hard).__name__)  # fmt: skip
def test_a_surrogate_has_the_value_of_the_hard_loss_and_the_gradient_of_the_smooth(hard, reduction):
    y = rand(7, 3)
    targets = rand(7, 3, seed=1) if hard.level == "element" else torch.arange(7) % 3
    n = {"element": 21, "sample": 7, "joint": 1}[hard.level] if reduction == "sum" else 1
    loss = SmoothSurrogate(hard, temperature=0.4, reduction=reduction)
    torch.testing.assert_close(loss(y, targets), n * hard(y, targets).to(y))
    expected = slope(lambda y, t: n * hard.smooth(y, t, 0.4), y, targets)
    assert expected.any()
    torch.testing.assert_close(slope(loss, y, targets), expected)


def test_members_have_temperatures_of_their_own():
    y, targets, temperatures = rand(2, 7, 3), torch.arange(14).reshape(2, 7) % 3, torch.tensor([0.2, 0.7])
    loss = SmoothSurrogate(F1Loss(), temperature=temperatures)
    together = loss.gradients(y, targets, [generator(), generator()])
    for i in range(2):
        alone = SmoothSurrogate(F1Loss(), temperature=temperatures[i].item())
        torch.testing.assert_close(together[i], slope(alone, y[i], targets[i]), rtol=1e-6, atol=1e-8)


# The distance to the label


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_the_distance_to_the_label_has_the_value_of_the_loss_and_half_the_slope_of_its_square(reduction):
    y, targets, n = rand(4, 3), rand(4, 3, seed=1), 12 if reduction == "mean" else 1
    loss = DistanceToLabel(cubic, kappa=2.0, reduction=reduction)
    assert torch.equal(loss(y, targets), getattr(cubic(y, targets), reduction)())
    torch.testing.assert_close(slope(loss, y, targets), 2 * (y - targets) / n)


def test_by_default_it_is_scaled_as_a_swarms_gradient_is():
    y, targets = rand(4, 3), rand(4, 3, seed=1)
    swarm = SwarmGradient(cubic)
    kappa, _ = swarm.pull(y.unsqueeze(0), targets.unsqueeze(0), [generator()])
    torch.testing.assert_close(slope(DistanceToLabel(cubic), y, targets), kappa * (y - targets) / 12)


@pytest.mark.parametrize("shape", [(6, 4), (6, 4, 2)], ids=str)
def test_the_label_of_a_class_is_a_one_among_zeros(shape):
    """Classes lie along the second axis, as torch's cross entropy has it."""
    y, targets = rand(*shape), (torch.arange(6 * (shape[2] if len(shape) > 2 else 1)) % 4).reshape(6, *shape[2:])
    labels = torch.zeros(shape, dtype=torch.float64).scatter(1, targets.unsqueeze(1), 1.0)
    loss = DistanceToLabel(partial(F.cross_entropy, reduction="none"))
    torch.testing.assert_close(slope(loss, y, targets), 8.5 * (y - labels) / 6)


@pytest.mark.parametrize("make", [*ALL, SwarmGradient, DistanceToLabel])
def test_half_precision_outputs_get_half_precision_gradients(make):
    y, targets = rand(4, 3, dtype=torch.bfloat16), rand(4, 3, seed=1, dtype=torch.bfloat16)
    found = slope(make(lambda y, t: (y - t).square()), y, targets)
    assert found.dtype == torch.bfloat16
    expected = slope(make(lambda y, t: (y - t).square()), y.float(), targets.float())
    torch.testing.assert_close(found.float(), expected, rtol=1e-2, atol=1e-3)
