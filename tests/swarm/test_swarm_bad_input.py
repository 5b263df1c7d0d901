"""What is no swarm gradient is refused with the argument's name and value; what is odd does what is said of it."""

from __future__ import annotations

import math
import re
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from thalweg.swarm import (
    EMPSO,
    SPSA,
    AdaSwarm,
    CentralDifferences,
    DistanceToLabel,
    EvolutionStrategy,
    SmoothSurrogate,
    SwarmGradient,
)
from thalweg.swarm.losses import BlackBox, F1Loss, QuantileLoss

LEVELS = ["element", "sample", "joint"]
mse = partial(F.mse_loss, reduction="none")
cross_entropy = partial(F.cross_entropy, reduction="none")
Y, T, CLASSES = torch.rand(4, 3, generator=torch.Generator().manual_seed(0)), torch.zeros(4, 3), torch.arange(4) % 3
UNIT = {"init": "bounds", "bounds": (0.0, 1.0)}


def called(loss: Any, outputs: Any = Y, targets: Any = T, **more: Any) -> Tensor:
    """The value, and the gradient with it."""
    y = outputs.clone().requires_grad_() if isinstance(outputs, Tensor) and outputs.is_floating_point() else outputs
    value = loss(y, targets, **more)
    value.backward()
    return y.grad


# What is given to make one

REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"particles": 0}, "particles must be a whole number >= 1, got 0"),
    ({"particles": 2.5}, "particles must be a whole number >= 1, got 2.5"),
    ({"particles": True}, "particles must be a whole number >= 1, got True"),
    ({"iterations": -3}, "iterations must be a whole number >= 1, got -3"),
    ({"iterations": "20"}, "iterations must be a whole number >= 1, got '20'"),
    ({"span": 0.0}, "span must be > 0 and finite, got 0.0"),
    ({"span": -1.0}, "span must be > 0 and finite, got -1.0"),
    ({"span": math.nan}, "span must be > 0 and finite, got nan"),
    ({"span": math.inf}, "span must be > 0 and finite, got inf"),
    ({"span": "wide"}, "span must be > 0 and finite, got 'wide'"),
    ({"span": torch.tensor([1.0, 0.0])}, "span must be > 0 and finite, got tensor([1., 0.])"),
    ({"bounds": (1.0, 0.0)}, "bounds must be (low, high) with low < high, got (1.0, 0.0)"),
    ({"bounds": (0.0, 0.0)}, "bounds must be (low, high) with low < high, got (0.0, 0.0)"),
    ({"bounds": (0.0, math.nan)}, "bounds must be (low, high) with low < high, got (0.0, nan)"),
    ({"bounds": 3.0}, "bounds must be (low, high), numbers or tensors, got 3.0"),
    ({"bounds": (0.0, 1.0, 2.0)}, "bounds must be (low, high), numbers or tensors, got (0.0, 1.0, 2.0)"),
    ({"bounds": (torch.zeros(2), torch.ones(3))}, "bounds must be (low, high), numbers or tensors, got (tensor"),
    ({"init": "bounds"}, "bounds must be given with init='bounds', as finite (low, high), got None"),
    (
        {"init": "bounds", "bounds": (0.0, math.inf)},
        "bounds must be given with init='bounds', as finite (low, high), got (",
    ),
    ({"init": "labels"}, "init must be one of output, bounds, target, got 'labels'"),
    ({"init": "target"}, "init='target' shows the labels to the swarm: only for reproduction, with reference=True"),
    ({"coeff": "exact"}, "coeff must be one of expected, paper, fitted, got 'exact'"),
    ({"level": "batch"}, "level must be one of element, sample, joint, got 'batch'"),
    ({"reduction": "none"}, "reduction must be one of mean, sum, got 'none'"),
    (
        {"variant": "bees"},
        "variant must be one of pso, mpso, empso, empso_algorithm_1, rempso or Particles, got 'bees'",
    ),
    ({"variant": None}, "or Particles, got None"),
    ({"beta": 1.5}, "beta must be in [0, 1], got 1.5"),
    ({"c1": -0.1}, "c1 must be >= 0 and finite, got -0.1"),
    ({"eta": 0.0}, "eta must be > 0 and finite, got 0.0"),
    ({"eta": math.nan}, "eta must be > 0 and finite, got nan"),
    ({"generator": 3}, "generator must be a torch.Generator or None, got 3"),
    ({"warm_start": -1}, "warm_start must be a whole number >= 0, got -1"),
    ({"warm_start": 4, "level": "joint"}, "warm_start is for what can be told apart by sample, but level is 'joint'"),
    ({"cache": True}, "cache needs answers that depend on the target alone: init='bounds'"),
    ({"cache": True, "level": "joint", **UNIT}, "level='joint'"),
    ({"cache": True, "warm_start": 4, **UNIT}, "no warm_start"),
    ({"cache": 1.0, **UNIT}, "cache must be True, False or the targets to expect, got 1.0"),
    (
        {"cache": True, "init": "bounds", "bounds": (torch.zeros(3), torch.ones(3))},
        "bounds must be two numbers where a cache",
    ),
]


@pytest.mark.parametrize(("arguments", "message"), REFUSED, ids=[str(arguments)[:60] for arguments, _ in REFUSED])
def test_an_argument_that_makes_no_sense_is_named_and_quoted(arguments, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        SwarmGradient(mse, **arguments)


def test_constants_are_the_variants():
    with pytest.raises(
        TypeError, match=r"takes no 'inertia' with variant 'empso'; allowed: c1, c2, per_dimension, beta"
    ):
        SwarmGradient(mse, inertia=0.7)
    with pytest.raises(TypeError, match="beta, c1 cannot be given beside particles that are made already"):
        SwarmGradient(mse, variant=EMPSO(), beta=0.5, c1=1.0)


@pytest.mark.parametrize("make", [SwarmGradient, SPSA, EvolutionStrategy, CentralDifferences, DistanceToLabel])
def test_a_loss_is_a_function(make):
    for loss_fn in ("mse", None, 3.0):
        with pytest.raises(
            ValueError, match=re.escape(f"loss_fn must be a function (outputs, targets), got {loss_fn!r}")
        ):
            make(loss_fn)


@pytest.mark.parametrize("make", [SPSA, EvolutionStrategy, CentralDifferences])
@pytest.mark.parametrize(("arguments", "message"), [
    ({"evaluations": 7}, "evaluations must be an even whole number >= 2, got 7"),
    ({"evaluations": 0}, "evaluations must be an even whole number >= 2, got 0"),
    ({"evaluations": 4.0}, "evaluations must be an even whole number >= 2, got 4.0"),
    ({"sigma": 0.0}, "sigma must be > 0 and finite, got 0.0"),
    ({"sigma": math.nan}, "sigma must be > 0 and finite, got nan"),
    ({"sigma": torch.tensor([0.1, -0.1])}, "sigma must be > 0 and finite, got tensor"),
])  # fmt: skip
def test_estimators_name_and_quote_too(make, arguments, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        make(mse, **arguments)


def test_a_surrogate_needs_a_loss_that_has_one():
    with pytest.raises(ValueError, match="loss_fn must have a `smooth"):
        SmoothSurrogate(mse)
    with pytest.raises(ValueError, match="temperature must be > 0 and finite, got 0"):
        SmoothSurrogate(F1Loss(), temperature=0)
    with pytest.raises(NotImplementedError, match="has no smooth form"):
        called(SmoothSurrogate(BlackBox(lambda y, t: 0.0)), Y, CLASSES)


@pytest.mark.parametrize("kappa", [0.0, -1.0, math.inf, math.nan])
def test_a_distance_is_scaled_by_a_positive_number(kappa):
    with pytest.raises(ValueError, match=f"kappa must be > 0 and finite, got {kappa}"):
        DistanceToLabel(mse, kappa=kappa)


def test_a_swarm_that_does_not_settle_warns_with_its_constants_and_their_bounds():
    for constants in ({"c1": 2.0, "c2": 2.0}, {"beta": 0.05}):
        with pytest.warns(
            UserWarning, match=r"EMPSO\(.*does not settle.*(c1 \+ c2 must be|settles for no c1 \+ c2)"
        ) as seen:
            loss = SwarmGradient(mse, **constants)
        assert seen[0].filename == __file__
        assert called(loss).isfinite().all()


def test_a_loss_that_couples_the_batch_has_no_other_level():
    with pytest.raises(ValueError, match=r"level must be 'joint' for F1Loss.*got 'sample'"):
        SwarmGradient(F1Loss(), level="sample")


# What it is called with

ALL = [SwarmGradient, SPSA, EvolutionStrategy, CentralDifferences, DistanceToLabel]


@pytest.mark.parametrize("make", ALL)
@pytest.mark.parametrize(("outputs", "targets", "error", "message"), [
    (Y[:0], T[:0], ValueError, "outputs must not be empty, got shape (0, 3)"),
    (Y[:, :0], T[:, :0], ValueError, "outputs must not be empty, got shape (4, 0)"),
    (Y, T[:3], ValueError, "outputs and targets must be of as many samples, got shapes (4, 3) and (3, 3)"),
    (Y[0, 0], T[0, 0], ValueError, "outputs and targets must be of as many samples, got shapes () and ()"),
    (T.long(), T, ValueError, "outputs must be floating point, got torch.int64"),
    (Y, T.to("meta"), ValueError, "targets must be on cpu as the outputs are, got meta"),
    (Y, T.tolist(), TypeError, "targets must be a tensor, got [[0.0, 0.0, 0.0]"),
    (Y.numpy(), T, TypeError, "outputs must be a tensor, got array"),
], ids=str)  # fmt: skip
def test_outputs_and_targets_that_do_not_fit_are_refused(make, outputs, targets, error, message):
    with pytest.raises(error, match=re.escape(message)):
        called(make(mse), outputs, targets)


def test_a_generator_is_on_the_device_of_the_outputs():
    loss = SwarmGradient(mse, generator=torch.Generator())
    with pytest.raises(ValueError, match="generator must be on meta as the outputs are, got cpu"):
        loss(Y.to("meta"), T.to("meta"))


def test_bounds_and_spans_of_a_wrong_length_are_refused():
    loss = SwarmGradient(mse, bounds=(torch.zeros(2), torch.ones(2)))
    with pytest.raises(ValueError, match=r"bounds must be numbers, or broadcast to one sample's outputs \(3,\), got"):
        called(loss)
    for make, name in ((SwarmGradient, "span"), (SPSA, "sigma")):
        with pytest.raises(
            ValueError, match=rf"{name} must be a number, or one for each of 1 members, got shape \(3,\)"
        ):
            called(make(mse, **{name: torch.ones(3)}))


def test_labels_are_of_the_outputs_shape_or_classes():
    for targets in (torch.zeros(4, 2), torch.zeros(4), torch.zeros(4, 1, dtype=torch.long)):
        loss = DistanceToLabel(lambda y, t: y)
        with pytest.raises(ValueError, match="targets must be of the outputs' shape, or classes, got"):
            called(loss, Y, targets)


def test_rows_go_with_a_warm_start():
    with pytest.raises(ValueError, match="rows must be given exactly with warm_start, got warm_start=0"):
        called(SwarmGradient(mse), rows=torch.arange(4))
    loss = SwarmGradient(mse, warm_start=6)
    with pytest.raises(ValueError, match="rows must be given exactly with warm_start, got warm_start=6"):
        called(loss)
    for rows in (torch.tensor([0, 1, 2, 6]), torch.tensor([0, 1, 2, -1])):
        with pytest.raises(ValueError, match=r"rows must be >= 0 and < warm_start=6, got tensor\(.*(6|-1)\]\)"):
            called(loss, rows=rows)
    for rows in ([0, 1, 2, 3], torch.arange(3), torch.arange(4).float(), torch.ones(4, dtype=torch.bool)):
        with pytest.raises(ValueError, match=r"rows must be int64 of shape \(4,\), for one network, got"):
            called(loss, rows=rows)
    with pytest.raises(ValueError, match="for one network"):
        loss.gradients(Y.expand(2, 4, 3), T.expand(2, 4, 3), [torch.Generator(), torch.Generator()])


def test_a_cache_is_for_numbers_or_for_classes():
    with pytest.raises(
        ValueError, match=r"cache at the element level needs targets of the outputs' shape, got \(4, 1\) and"
    ):
        called(SwarmGradient(lambda y, t: (y - t).square(), cache=True, **UNIT), Y, T[:, :1])
    with pytest.raises(
        ValueError, match=r"or classes \(n,\) for outputs \(n, classes\), got shapes \(4, 3\) and \(4, 3\)"
    ):
        called(SwarmGradient(cross_entropy, cache=True, **UNIT), Y, T)


def test_there_is_no_curvature_before_it_was_fitted():
    with pytest.raises(ValueError, match=r"curvature.* but this has not been called yet"):
        SwarmGradient(mse, coeff="fitted").curvature()
    loss = SwarmGradient(mse)
    called(loss)
    with pytest.raises(ValueError, match=r"curvature.* but this has coeff='expected'"):
        loss.curvature()


# What the loss does


@pytest.mark.parametrize("make", [SwarmGradient, SPSA, EvolutionStrategy, CentralDifferences])
@pytest.mark.parametrize(("loss_fn", "level", "message"), [
    (nn.MSELoss(), "element", "one number for each of outputs (4, 3), got shape (); give reduction='none'"),
    (lambda y, t: y.mean(1), "element", "one number for each of outputs (4, 3), got shape (4,)"),
    (nn.MSELoss(), "sample", "one number for each of 4 samples, got shape (); give reduction='none', or level='joint'"),
    (lambda y, t: y.sum(0), "sample", "one number for each of 4 samples, got shape (3,)"),
    (lambda y, t: y.tolist(), "element", "a tensor at the level 'element', got [["),
    (lambda y, t: 0.5, "sample", "a tensor at the level 'sample', got 0.5"),
    (lambda y, t: None, "joint", "a tensor or a number, got None"),
    (lambda y, t: "low", "joint", "a tensor or a number, got 'low'"),
])  # fmt: skip
def test_a_loss_that_returns_something_else_than_its_level_needs_is_told_so(make, loss_fn, level, message):
    with pytest.raises(ValueError, match=re.escape("loss_fn must return " + message)):
        called(make(loss_fn, level=level))


def test_a_loss_of_a_whole_batch_may_return_a_python_or_a_numpy_number():
    for number in (float, np.float64):
        assert called(SwarmGradient(lambda y, t, n=number: n((y - t).square().mean().item()), level="joint")).any()


@pytest.mark.parametrize("level", LEVELS)
def test_a_loss_that_is_nan_for_some_candidates_never_chooses_them(level):
    def half(y: Tensor, t: Tensor) -> Tensor:
        return torch.where(y > 0.5, torch.nan, (y - t).square())

    y, targets = 0.4 * Y, torch.full((4, 3), 2.0)
    for coeff in ("expected", "fitted"):
        loss = SwarmGradient(half, level=level, coeff=coeff)
        _, best = loss.pull(y.unsqueeze(0), targets.unsqueeze(0), [torch.Generator().manual_seed(0)])
        assert (best <= 0.5).all()
        assert called(loss, y, targets).isfinite().all()


@pytest.mark.parametrize("coeff", ["expected", "paper", "fitted"])
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("nowhere", [math.nan, math.inf])
def test_a_loss_that_has_no_finite_value_anywhere_has_a_gradient_of_0_and_says_so_by_its_value(nowhere, level, coeff):
    for begun in ({}, UNIT):
        loss = SwarmGradient(lambda y, t: torch.full_like(y, nowhere), level=level, coeff=coeff, **begun)
        assert not called(loss).any()
        assert not loss(Y, T).isfinite()


def test_outputs_that_are_nan_have_a_gradient_that_is():
    """A network that went astray is not put back on its feet."""
    assert called(SwarmGradient(mse), torch.full((4, 3), math.nan)).isnan().all()


def test_what_the_loss_raises_comes_with_a_note_of_the_bounds():
    def within(y: Tensor, t: Tensor) -> Tensor:
        if (y > 1).any():
            raise RuntimeError("above 1")
        return (y - t).square()

    with pytest.raises(RuntimeError, match="above 1") as raised:
        called(SwarmGradient(within, span=5.0))
    (note,) = raised.value.__notes__
    assert re.search(r"many candidates as one batch, between -4\.\d+ and 5\.\d+; `bounds` keeps them where", note)
    assert called(SwarmGradient(within, span=5.0, bounds=(0.0, 1.0))).isfinite().all()


def test_a_loss_made_for_one_batch_alone_is_told_that_candidates_are_one_large_batch():
    weights = torch.ones(4, 1)
    with pytest.raises(RuntimeError) as raised:
        called(SwarmGradient(lambda y, t: weights * (y - t).square()))
    assert "many candidates as one batch" in raised.value.__notes__[0]


def test_without_a_finite_minimum_there_is_none_to_be_found_without_bounds():
    with pytest.raises(ValueError, match="bounds must be given with init='bounds'"):
        SwarmGradient(cross_entropy, init="bounds")
    assert called(SwarmGradient(cross_entropy), 1e4 * Y, CLASSES).abs().max() <= 8.5 / 4
    assert called(SwarmGradient(lambda y, t: -y.exp()), 50 * Y).abs().max() <= 8.5 / 12 * (1 + 1e-5)


def test_a_target_that_a_loss_does_not_know_is_the_losss_own_error():
    with pytest.raises(IndexError, match="Target 7 is out of bounds"):
        called(SwarmGradient(cross_entropy), Y, torch.tensor([0, 1, 2, 7]))
    with pytest.raises(ValueError, match="outputs and targets must have the same shape"):
        called(SwarmGradient(QuantileLoss(0.5)), Y, T[:, :1])


def test_adaswarm_refuses_what_its_swarm_refuses():
    weight = nn.Parameter(Y.clone())
    with pytest.raises(ValueError, match="particles must be a whole number >= 1, got 0"):
        AdaSwarm([weight], mse, particles=0)
    with pytest.raises(ValueError, match="loss_fn must be a function"):
        AdaSwarm([weight], 0.1)
