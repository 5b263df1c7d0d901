"""Swarm gradients: what they equal, what they point at, and what they leave alone."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from thalweg.swarm import EMPSO, DistanceToLabel, SwarmGradient, gradient, native, unreduced
from thalweg.swarm.losses import F1Loss, QuantileLoss, ZeroOneLoss
from thalweg.swarm.native import Loop
from thalweg.swarm.outputs import pieces
from thalweg.swarm.reference import LOGITS, ElementwiseRotation, around_targets

LEVELS = ["element", "sample", "joint"]
COEFFS = ["expected", "paper", "fitted"]
KAPPA = 8.5  # (0.8 + 0.9) / 2 / 0.1
Loss = Callable[[Tensor, Tensor], Tensor]

mse = partial(F.mse_loss, reduction="none")
mae = partial(F.l1_loss, reduction="none")
bce = partial(F.binary_cross_entropy, reduction="none")
cross_entropy = partial(F.cross_entropy, reduction="none")
ELEMENTWISE = {"mse": mse, "mae": mae, "bce": bce}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def rand(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.rand(shape, generator=generator(seed), dtype=torch.float64).to(dtype)


def leaf(values: Tensor) -> Tensor:
    return values.clone().requires_grad_()


def slope(loss: Any, outputs: Tensor, targets: Tensor, **more: Any) -> Tensor:
    """The gradient with respect to outputs."""
    y = leaf(outputs)
    loss(y, targets, **more).backward()
    assert y.grad is not None
    return y.grad


def found(loss: SwarmGradient, outputs: Tensor, targets: Tensor, seed: int = 0) -> tuple[Any, Tensor]:
    """kappa and g of one network."""
    kappa, best = loss.pull(outputs.unsqueeze(0), targets.unsqueeze(0), [generator(seed)])
    return (kappa[0] if isinstance(kappa, Tensor) else kappa), best[0]


class Seen:
    """A loss, and what it was asked for."""

    def __init__(self, loss: Loss) -> None:
        self.loss = loss
        self.outputs: list[Tensor] = []

    def __call__(self, outputs: Tensor, targets: Tensor) -> Tensor:
        assert not torch.is_grad_enabled()
        self.outputs.append(outputs.clone())
        return self.loss(outputs, targets)


# The value


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("level", ["element", "sample"])
def test_the_value_is_bit_for_bit_that_of_the_loss(level, reduction, dtype):
    y = leaf(rand(7, 3, dtype=dtype))
    loss_fn, targets = (
        (mse, rand(7, 3, seed=1, dtype=dtype)) if level == "element" else (cross_entropy, torch.arange(7) % 3)
    )
    value = SwarmGradient(loss_fn, reduction=reduction, iterations=2)(y, targets)
    assert value.dtype == dtype
    assert value.shape == ()
    assert torch.equal(value, getattr(loss_fn(y, targets), reduction)())


def test_the_value_of_a_joint_loss_is_its_own():
    y, targets = rand(7, 3), torch.arange(7) % 3
    assert torch.equal(SwarmGradient(F1Loss(), iterations=2)(leaf(y), targets).detach(), F1Loss()(y, targets))
    fraction = SwarmGradient(lambda outputs, targets: 0.25, level="joint", iterations=2)(leaf(y), targets)
    assert fraction.item() == 0.25


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_several_numbers_for_one_problem_are_averaged(reduction):
    """Of a sequence one number a place, of a batch whatever there is: in the value as in what is searched."""
    y, classes, targets = rand(4, 3, 5, dtype=torch.float64), torch.arange(20).reshape(4, 5) % 3, rand(4, 3, 5, seed=1)
    places = cross_entropy(y, classes)
    sequence = SwarmGradient(cross_entropy, reduction=reduction, iterations=2)(leaf(y), classes)
    torch.testing.assert_close(sequence.detach(), getattr(places.mean(1), reduction)())
    joint = SwarmGradient(mse, level="joint", reduction=reduction, iterations=2)(leaf(y), targets)
    torch.testing.assert_close(joint.detach(), mse(y, targets).mean())


@pytest.mark.parametrize("level", LEVELS)
def test_truths_and_counts_are_losses_too(level):
    """A loss without a derivative need not be a floating-point tensor."""
    wrong: dict[str, Loss] = {
        "element": lambda y, t: y.round() != t,
        "sample": lambda y, t: y.argmax(1) != t,
        "joint": lambda y, t: (y.argmax(1) != t).sum(),
    }
    targets = torch.zeros(6, 3) if level == "element" else torch.zeros(6, dtype=torch.long)
    y = rand(6, 3)
    loss = SwarmGradient(wrong[level], level=level)
    assert loss(leaf(y), targets).item() == pytest.approx(wrong[level](y, targets).float().mean().item())
    assert slope(loss, y, targets).abs().sum() > 0


# The gradient


@pytest.mark.parametrize("coeff", COEFFS)
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("level", LEVELS)
def test_the_gradient_is_kappa_times_the_way_from_the_best_over_n(level, reduction, coeff):
    y, targets = rand(6, 3, dtype=torch.float64), rand(6, 3, seed=1, dtype=torch.float64)
    settings = {"level": level, "reduction": reduction, "coeff": coeff}
    kappa, best = found(SwarmGradient(mae, **settings), y, targets)
    n = {"element": 18, "sample": 6, "joint": 1}[level] if reduction == "mean" else 1
    expected = kappa * (y - best) / n
    assert expected.abs().max() > 0
    for upstream in (1.0, -0.25, 1024.0):
        loss = SwarmGradient(mae, **settings, generator=generator())
        torch.testing.assert_close(
            slope(lambda y, t, s=upstream, own=loss: s * own(y, t), y, targets), upstream * expected
        )


@pytest.mark.parametrize(("variant", "constants", "kappa"), [
    ("empso", {}, 8.5), ("empso", {"beta": 0.5}, 1.7), ("empso", {"c1": 0.2, "c2": 1.0}, 6.0), ("rempso", {}, 8.5),
    ("pso", {"inertia": 0.5}, 1.7), ("pso", {"inertia": 0.0}, 8.5), ("mpso", {}, 8.5),
    ("empso", {"eta": 0.2}, 4.25), ("empso_algorithm_1", {}, 8.5), (EMPSO(beta=0.8), {}, 4.25),
])  # fmt: skip
def test_kappa_is_the_expected_factor_over_eta(variant, constants, kappa):
    """Eta is 1 - beta, the inertia of PSO, or the paper's 0.1."""
    loss = SwarmGradient(mse, variant=variant, **constants)
    assert found(loss, rand(2, 2), rand(2, 2))[0] == pytest.approx(kappa)


@pytest.mark.parametrize("cached", [False, True])
def test_kappa_of_the_paper_has_the_mean_and_the_spread_of_an_average_of_uniform_factors(cached):
    """(c1 + c2) / 2 and sqrt((c1^2 + c2^2) / 12 / particles), both over eta."""
    settings = {"init": "bounds", "bounds": (0.0, 1.0), "cache": True} if cached else {}
    kappa, _ = found(SwarmGradient(mse, coeff="paper", iterations=1, **settings), torch.zeros(5000), torch.zeros(5000))
    spread = math.sqrt((0.8**2 + 0.9**2) / 12 / 10) / 0.1
    assert spread / KAPPA == pytest.approx(0.13, abs=0.002)
    assert kappa.mean().item() == pytest.approx(KAPPA, abs=5 * spread / math.sqrt(5000))
    assert kappa.std().item() == pytest.approx(spread, rel=0.05)


@pytest.mark.parametrize("level", ["element", "sample"])
def test_with_one_factor_a_particle_kappa_of_the_paper_is_one_number_a_problem(level):
    loss = SwarmGradient(mse, level=level, coeff="paper", per_dimension=False)
    kappa, _ = found(loss, rand(6, 4), rand(6, 4))
    assert kappa.shape == ((6, 4) if level == "element" else (6, 1))
    assert len(kappa.unique()) == kappa.numel()


@pytest.mark.parametrize("scale", [0.5, 3.0])
@pytest.mark.parametrize("offset", [0.0, 5.0])
@pytest.mark.parametrize("init", ["output", "bounds"])
def test_the_fitted_gradient_of_a_quadratic_is_autograds(init, offset, scale):
    y, targets = rand(30, 3, dtype=torch.float64), rand(30, 3, seed=1, dtype=torch.float64)

    def loss_fn(y: Tensor, t: Tensor) -> Tensor:
        return scale * (y - t).square() + offset

    loss = SwarmGradient(loss_fn, init=init, bounds=(-0.5, 1.5), coeff="fitted")
    expected = slope(lambda y, t: loss_fn(y, t).mean(), y, targets)
    torch.testing.assert_close(slope(loss, y, targets), expected, rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(loss.curvature(), torch.full_like(y, 2 * scale), rtol=1e-6, atol=0)


def test_where_the_loss_is_nan_does_not_count_in_a_fit():
    y, targets = rand(30, 3, dtype=torch.float64), rand(30, 3, seed=1, dtype=torch.float64)

    def loss_fn(y: Tensor, t: Tensor) -> Tensor:
        return torch.where(y > 1.2, torch.nan, (y - t).square())

    loss = SwarmGradient(loss_fn, coeff="fitted", reduction="sum")
    torch.testing.assert_close(slope(loss, y, targets), 2 * (y - targets), rtol=1e-6, atol=1e-9)


def test_in_float32_too_to_what_that_can_say():
    y, targets = rand(30, 3), rand(30, 3, seed=1)
    loss = SwarmGradient(mse, coeff="fitted", reduction="sum")
    torch.testing.assert_close(slope(loss, y, targets), 2 * (y - targets), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("level", LEVELS)
def test_fitted_curvature_is_never_negative_whatever_the_loss(level):
    def waves(y: Tensor, t: Tensor) -> Tensor:
        return torch.cos(5 * (y - t)) - (y - t).square()

    loss = SwarmGradient(waves, level=level, coeff="fitted")
    slope(loss, 2 * rand(40, 3), rand(40, 3, seed=1))
    assert (loss.curvature() >= 0).all()
    assert loss.curvature().isfinite().all()
    assert loss.curvature().shape == {"element": (40, 3), "sample": (40, 1), "joint": (1, 1)}[level]


@pytest.mark.parametrize("coeff", COEFFS)
@pytest.mark.parametrize("name", ["square", *ELEMENTWISE])
def test_a_small_step_along_it_lowers_the_loss_and_the_papers_equation_15_raises_it(name, coeff):
    """Its minus is spurious: it is there because gradient descent is written with a plus in equation 11."""
    loss_fn: Loss = (lambda y, t: y.square()) if name == "square" else ELEMENTWISE[name]
    y, targets = 0.2 + 0.6 * rand(20, 2), rand(20, 2, seed=1)
    step = 0.1 * slope(SwarmGradient(loss_fn, coeff=coeff), y, targets)
    before = loss_fn(y, targets).mean()
    assert loss_fn(y - step, targets).mean() < before < loss_fn(y + step, targets).mean()


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("coeff", COEFFS)
def test_where_the_output_is_the_best_there_is_the_gradient_is_0(coeff, level):
    """As for MAE at the target, which has no derivative there."""
    y = rand(6, 3)
    assert not slope(SwarmGradient(mae, level=level, coeff=coeff), y, y.clone()).any()


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("coeff", COEFFS)
def test_where_the_loss_is_flat_the_gradient_is_0(coeff, level):
    """All around, or on a plateau with higher ground about."""
    y, targets = 0.8 * rand(20, 3) - 0.4, torch.zeros(20, 3)
    for loss_fn in (lambda y, t: torch.ones_like(y), lambda y, t: ((y - t).abs() > 0.5).float()):
        assert not slope(SwarmGradient(loss_fn, level=level, coeff=coeff), y, targets).any()


def test_the_second_derivative_is_kappa_over_n():
    y = leaf(rand(4, 3))
    (first,) = torch.autograd.grad(SwarmGradient(mse)(y, rand(4, 3, seed=1)), y, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), y)
    torch.testing.assert_close(second, torch.full((4, 3), KAPPA / 12))


@pytest.mark.parametrize("make", [SwarmGradient, DistanceToLabel])
def test_gradients_are_those_that_backpropagate(make):
    y, targets = rand(4, 3), rand(4, 3, seed=1)
    loss = make(mse)
    given = loss.gradients(y.unsqueeze(0), targets.unsqueeze(0), [generator()])[0]
    torch.testing.assert_close(given, slope(make(mse, generator=generator()), y, targets))


# What is found


@pytest.mark.parametrize("init", ["output", "bounds"])
@pytest.mark.parametrize("inside", [False, True], ids=["0 or 1", "inside"])
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_a_swarm_that_never_saw_a_label_finds_it_if_outputs_are_told_apart_and_not_if_they_are_joint(
    name, inside, init
):
    """10 particles, 20 iterations; the joint batches are of 50 times 3 outputs, as in the paper's smallest."""
    y, targets = rand(2000, 3), rand(2000, 3, seed=1)
    targets = targets if inside else targets.round()
    settings: dict[str, Any] = {"init": init, "particles": 10, "iterations": 20}
    settings |= {"bounds": (0.0, 1.0)} if init == "bounds" else {}
    _, best = found(SwarmGradient(ELEMENTWISE[name], **settings), y, targets)
    distance = (best - targets).abs().flatten()
    assert distance.median() < 1e-3
    assert distance.quantile(0.99) < 5e-2
    batches, joint_targets = y[:500].reshape(10, 50, 3), targets[:500].reshape(10, 50, 3)
    joint = SwarmGradient(ELEMENTWISE[name], level="joint", **settings)
    _, joint_best = joint.pull(batches, joint_targets, [generator(i) for i in range(10)])
    assert (joint_best - joint_targets).abs().median() > 0.05


@pytest.mark.parametrize("init", ["output", "bounds"])
def test_binary_cross_entropy_of_4_by_4_zeros_is_least_at_zeros(init):
    """Candidates stay between 0 and 1 unasked, as the loss is not defined elsewhere."""
    loss = SwarmGradient(bce, init=init, iterations=40)
    assert loss.bounds == (0.0, 1.0)
    _, best = found(loss, rand(4, 4), torch.zeros(4, 4))
    assert best.abs().max() < 1e-3


@pytest.mark.parametrize("level", LEVELS)
def test_candidates_and_the_best_stay_in_the_bounds_and_in_the_span(level):
    """Even where the output itself is outside of the bounds."""
    seen, low, high = Seen(mse), torch.tensor([0.0, -1.0, 0.2]), torch.tensor([1.0, 2.0, 0.5])
    y, span = 6 * rand(8, 3) - 2, 0.75
    loss = SwarmGradient(seen, level=level, bounds=(low, high), span=span)
    _, best = found(loss, y, 10 * rand(8, 3, seed=1) - 5)
    inside = torch.clamp(y, low, high)
    candidates = torch.stack([x.reshape(-1, 8, 3) for x in seen.outputs]) if level != "joint" else best
    for x in (candidates, best):
        assert ((x >= torch.maximum(low, inside - span)) & (x <= torch.minimum(high, inside + span))).all()
    assert (best != y).any()


@pytest.mark.parametrize("coeff", COEFFS)
def test_the_answer_is_the_generators_alone_and_the_global_one_is_left_alone(coeff):
    y, targets = rand(6, 3), rand(6, 3, seed=1)
    before = torch.get_rng_state()
    first, second = (SwarmGradient(mae, coeff=coeff, generator=generator(4)) for _ in range(2))
    for _ in range(2):
        assert torch.equal(slope(first, y, targets), slope(second, y, targets))
    assert not torch.equal(slope(first, y, targets), slope(SwarmGradient(mae, coeff=coeff), y, targets))
    assert torch.equal(torch.get_rng_state(), before)


def test_the_loss_is_asked_without_autograd_and_autocast_in_float32():
    modes = []

    def loss_fn(y: Tensor, t: Tensor) -> Tensor:
        modes.append((y.dtype, torch.is_autocast_enabled("cpu"), torch.is_grad_enabled(), y.requires_grad))
        return mse(y, t.to(y.dtype))

    with torch.autocast("cpu", torch.bfloat16):
        SwarmGradient(loss_fn, iterations=3)(leaf(rand(4, 3).bfloat16()), rand(4, 3))
    assert modes[1:] == [(torch.float32, False, False, False)] * 3


# Levels and shapes


def test_k_copies_of_an_element_are_k_runs_given_the_same_random_numbers():
    y, targets = torch.full((5, 1, 1), 0.7), torch.full((5, 1, 1), 0.2)
    loss = SwarmGradient(mae)
    together = loss.gradients(y, targets, [generator(8) for _ in range(5)])
    alone = loss.gradients(y[:1], targets[:1], [generator(8)])
    assert torch.equal(together, alone.expand(5, 1, 1))


@pytest.mark.parametrize("level", ["sample", "joint"])
def test_with_a_single_output_all_levels_are_one(level):
    for coeff in ("expected", "paper"):
        element, other = (SwarmGradient(mae, level=at, coeff=coeff) for at in ("element", level))
        assert torch.equal(slope(element, rand(1, 1), rand(1, 1, seed=1)), slope(other, rand(1, 1), rand(1, 1, seed=1)))


def test_a_joint_loss_is_the_same_recorded_or_called_for_each_candidate():
    """What torch cannot vectorise is called candidate by candidate."""
    y, targets = rand(6, 3), torch.arange(6) % 3
    plain = SwarmGradient(lambda y, t: F.cross_entropy(y, t), level="joint")
    number = SwarmGradient(lambda y, t: F.cross_entropy(y, t).item(), level="joint")
    torch.testing.assert_close(slope(number, y, targets), slope(plain, y, targets))


@pytest.mark.parametrize(("loss_fn", "level"), [(mse, "element"), (cross_entropy, "sample"), (F1Loss(), "joint")])
def test_the_last_partial_batch_and_any_other_size_will_do(loss_fn, level):
    loss = SwarmGradient(loss_fn, level=level, iterations=4)
    for n in (5, 3, 5, 1):
        targets = rand(n, 3, seed=1) if level == "element" else torch.arange(n) % 3
        assert slope(loss, rand(n, 3), targets).isfinite().all()


@pytest.mark.parametrize("shape", [(6,), (6, 1), (6, 4, 3), (2, 3, 2, 2)])
def test_outputs_may_have_any_number_of_dimensions(shape):
    """Elements are told apart wherever they are."""
    y, targets = rand(*shape), rand(*shape, seed=1)
    there = slope(SwarmGradient(mse, reduction="sum"), y, targets)
    assert torch.equal(there.flatten(), slope(SwarmGradient(mse, reduction="sum"), y.flatten(), targets.flatten()))
    for level in ("sample", "joint"):
        assert slope(SwarmGradient(mse, level=level), y, targets).shape == shape


def test_sequences_of_classes_are_searched_sample_by_sample():
    """Outputs are (n, classes, places), and a sample's loss is the mean over its places."""
    y, targets = rand(5, 3, 2), torch.arange(10).reshape(5, 2) % 3
    loss = SwarmGradient(cross_entropy, generator=generator())
    _, best = found(loss, y, targets)
    before, after = cross_entropy(y, targets).mean(1), cross_entropy(best, targets).mean(1)
    assert (after < before).all()
    torch.testing.assert_close(slope(loss, y, targets), KAPPA * (y - best) / 5)


@pytest.mark.parametrize("level", LEVELS)
def test_outputs_that_are_not_contiguous_are_searched_like_copies_that_are(level):
    y, targets = rand(3, 6).t(), rand(6, 3, seed=1)
    expected = slope(SwarmGradient(mse, level=level), y.contiguous(), targets)
    assert torch.equal(slope(SwarmGradient(mse, level=level), y, targets), expected)


def test_cross_entropy_on_logits_which_has_no_finite_minimum_is_safe_within_the_span():
    y, targets = 4 * rand(6, 4) - 2, torch.arange(6) % 4
    for span in (0.5, 2.0):
        away = slope(SwarmGradient(cross_entropy, span=span), y, targets)
        assert away.abs().max() <= KAPPA * span / 6 * (1 + 1e-5)
        assert (cross_entropy(y - away * 6 / KAPPA, targets) < cross_entropy(y, targets)).all()


def test_the_smallest_swarms_do_what_little_they_can():
    """One particle at the output goes nowhere; with two, one iteration can find the other."""
    y, targets = rand(50, 3), rand(50, 3, seed=1)
    assert not slope(SwarmGradient(mse, particles=1), y, targets).any()
    assert slope(SwarmGradient(mse, particles=2, iterations=1), y, targets).any()


# Pieces and members


@pytest.mark.parametrize(
    ("loss_fn", "level"), [(mae, "element"), (cross_entropy, "sample"), (QuantileLoss(0.3), "joint")]
)
@pytest.mark.parametrize("most", [1, 700, 6000, 1 << 21])
def test_a_member_gets_the_same_bits_alone_and_among_others_in_pieces_of_any_size(most, loss_fn, level, monkeypatch):
    """A kappa that is an average, of factors or of curvatures, may be rounded otherwise."""
    monkeypatch.setattr(gradient, "MOST", most)
    y, spans = rand(4, 6, 3), [0.5, 1.0, 1.5, 2.0]
    targets = torch.arange(24).reshape(4, 6) % 3 if level == "sample" else rand(4, 6, 3, seed=1)
    for coeff in COEFFS:
        together = SwarmGradient(loss_fn, level=level, iterations=5, coeff=coeff, span=torch.tensor(spans))
        gradients = together.gradients(y, targets, [generator(i) for i in range(4)])
        for i, span in enumerate(spans):
            loss = SwarmGradient(loss_fn, level=level, iterations=5, coeff=coeff, span=span)
            alone = loss.gradients(y[i : i + 1], targets[i : i + 1], [generator(i)])[0]
            if coeff == "expected":
                assert torch.equal(gradients[i], alone)
            torch.testing.assert_close(gradients[i], alone)


@pytest.mark.parametrize("most", [1, 5000, 1 << 21])
def test_pieces_of_any_size_find_as_much(most, monkeypatch):
    monkeypatch.setattr(gradient, "MOST", most)
    targets = rand(40, 3, seed=1)
    _, best = found(SwarmGradient(mae), rand(40, 3), targets)
    assert (best - targets).abs().median() < 1e-3


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("most", [1, 9, 40, 64, 1000])
def test_pieces_hold_every_problem_once_in_order_and_no_part_of_one_member_beside_another(level, most):
    objective = SwarmGradient(mse, level=level).objective
    y = torch.arange(60.0).reshape(4, 5, 3)
    cut = list(pieces(objective, y, y, 2, most))
    assert torch.equal(torch.cat([piece.outputs.flatten() for piece in cut]), y.flatten())
    problems = {"element": 60, "sample": 20, "joint": 4}[level]
    assert [i for piece in cut for i in range(piece.problems.start, piece.problems.stop)] == list(range(problems))
    assert sorted({i for piece in cut for i in piece.members}) == [0, 1, 2, 3]
    for piece in cut:
        if len(piece.members) > 1:
            assert piece.outputs.numel() == 15 * len(piece.members)


# Where it begins


def test_target_is_for_reproduction_alone():
    for init, variant in (("target", "empso"), ("output", ElementwiseRotation())):
        with pytest.raises(ValueError, match="reference=True"):
            SwarmGradient(bce, init=init, variant=variant)
        SwarmGradient(bce, init=init, variant=variant, reference=True)


def test_the_published_swarm_never_looks_at_the_outputs():
    targets = rand(6, 3, seed=1).round()
    loss = SwarmGradient(bce, init="target", level="joint", variant=ElementwiseRotation(), reference=True)
    answers = [found(loss, y, targets)[1] for y in (rand(6, 3), rand(6, 3, seed=5))]
    assert torch.equal(*answers)


def test_it_begins_at_the_labels_so_that_ones_stay_ones():
    targets, draws = rand(6, 3).round(), rand(10, 18, 1, seed=1)
    box = torch.zeros(18, 1), torch.ones(18, 1)
    begun = around_targets(rand(6, 3), targets, draws, box).reshape(10, 6, 3)
    assert (begun[:, targets == 1] == 1).all()
    assert begun[:, targets == 0].max() <= math.sqrt(0.1)


def test_of_classes_it_begins_at_logits_that_are_right_by_5():
    targets, draws = torch.arange(6) % 3, rand(10, 6, 3, seed=1)
    nowhere = torch.full((6, 3), -torch.inf), torch.full((6, 3), torch.inf)
    begun = around_targets(rand(6, 3), targets, draws, nowhere)
    true = F.one_hot(targets, 3).bool()
    torch.testing.assert_close((begun - draws)[:, true], torch.full((10, 6), LOGITS[1]))
    torch.testing.assert_close((begun - draws)[:, ~true], torch.full((10, 12), LOGITS[0]))


def test_the_published_rotation_only_scales_what_it_draws_by_the_squared_cosine():
    """Of 10 axes 8 are drawn."""
    particles = ElementwiseRotation(c1=0.9, c2=0.8)
    own_draws = generator(3)
    shape = (4, 5, 10)
    draw = particles.draw(lambda size: torch.rand(size, generator=own_draws), shape)
    x, own, best = rand(*shape), rand(*shape, seed=1), rand(5, 10, seed=2)
    plain = 0.9 * draw.r1 * (own - x) + 0.8 * draw.r2 * (best - x)
    scale = torch.ones(shape).scatter(-1, draw.axes, math.cos(math.pi / 5) ** 2)
    assert math.cos(math.pi / 5) ** 2 == pytest.approx(0.6545, abs=1e-4)
    assert (scale < 1).sum(-1).eq(8).all()
    torch.testing.assert_close(particles.pull(x, own, best, draw), plain * scale)


def test_from_the_bounds_the_answer_depends_on_the_target_alone():
    targets, settings = rand(6, 3, seed=1), {"init": "bounds", "bounds": (0.0, 1.0)}
    answers = [found(SwarmGradient(mse, **settings), y, targets)[1] for y in (rand(6, 3), rand(6, 3, seed=5))]
    assert torch.equal(*answers)


@pytest.mark.parametrize("level", ["element", "sample"])
def test_a_warm_start_begins_at_what_was_found_for_these_rows_and_never_does_worse(level):
    seen = Seen(mse)
    settings = {"level": level, "init": "bounds", "bounds": (-1.0, 2.0)}
    loss = SwarmGradient(seen, warm_start=10, iterations=3, particles=3, **settings)
    targets = rand(10, 3, seed=1)
    every = torch.randperm(10, generator=generator())
    found_before = torch.full((10, 3), torch.nan)
    worst = torch.full((10, 3) if level == "element" else (10,), torch.inf)
    first = worst.clone()
    for _ in range(4):
        for rows in (every[:6], every[6:]):
            y = rand(len(rows), 3)
            seen.outputs.clear()
            gradient_there = slope(loss, y, targets[rows], rows=rows)
            n = y.numel() if level == "element" else len(y)
            best = y - gradient_there * n / KAPPA
            if not found_before[rows].isnan().any():
                last = seen.outputs[1].reshape(3, len(rows), 3)[-1]
                torch.testing.assert_close(last, found_before[rows])
            losses = mse(best, targets[rows]) if level == "element" else mse(best, targets[rows]).mean(1)
            assert (losses <= worst[rows] + 1e-6).all()
            first[rows] = torch.where(first[rows].isinf(), losses, first[rows])
            worst[rows], found_before[rows] = losses, best
    assert (losses < first[rows]).any()


def test_a_warm_start_stays_in_the_span_of_the_output():
    loss = SwarmGradient(mse, warm_start=4, span=0.5)
    rows, targets = torch.arange(4), torch.zeros(4, 2)
    slope(loss, torch.zeros(4, 2), targets, rows=rows)
    away = slope(loss, torch.full((4, 2), 3.0), targets, rows=rows)
    torch.testing.assert_close(away, torch.full((4, 2), KAPPA * 0.5 / 8))


# The cache

CACHED = {"init": "bounds", "bounds": (-0.5, 1.5)}


def test_a_cache_answers_alike_for_each_target_and_as_well_as_a_swarm_for_each():
    loss, targets = SwarmGradient(mae, cache=True, **CACHED), rand(50, 3).mul(4).round() / 4
    _, best = found(loss, rand(50, 3, seed=1), targets)
    for target in targets.unique():
        assert len(best[targets == target].unique()) == 1
    assert (best - targets).abs().max() < 0.05
    assert torch.equal(found(loss, rand(50, 3, seed=2), targets, seed=9)[1], best)


def test_a_cache_asks_the_loss_once_for_each_target():
    seen = Seen(mse)
    loss = SwarmGradient(seen, cache=True, particles=4, iterations=5, **CACHED)
    for _ in range(3):
        slope(loss, rand(50, 3), rand(50, 3, seed=1).round())
    assert [len(x) for x in seen.outputs] == [50] + [4 * 2] * 5 + [50] * 2


def test_targets_that_are_met_later_are_added_and_the_others_stay():
    loss = SwarmGradient(mae, cache=True, **CACHED)
    _, first = found(loss, torch.zeros(3), torch.tensor([0.25, 0.75, 0.25]))
    _, second = found(loss, torch.zeros(3), torch.tensor([0.5, 0.75, 0.25]))
    assert torch.equal(second[1:], first[1:])
    assert (second[0] - 0.5).abs() < 0.05
    fresh = found(SwarmGradient(mae, cache=True, **CACHED), torch.zeros(1), torch.tensor([0.5]))[1]
    assert torch.equal(second[:1], fresh)


def test_of_declared_targets_others_are_nan():
    loss = SwarmGradient(bce, cache=(0.0, 1.0), init="bounds")
    away = slope(loss, rand(3), torch.tensor([0.0, 0.5, 1.0]))
    assert away.isnan().tolist() == [False, True, False]
    for declared in (torch.tensor([0.0, 1.0]), [1, 0, 1]):
        _, best = found(SwarmGradient(bce, cache=declared, init="bounds"), rand(4), torch.tensor([0.0, 1.0, 1.0, 0.0]))
        torch.testing.assert_close(best, torch.tensor([0.0, 1.0, 1.0, 0.0]), rtol=0, atol=1e-3)


def test_classes_are_cached_by_the_number_of_outputs():
    seen = Seen(cross_entropy)
    loss = SwarmGradient(seen, level="sample", cache=True, init="bounds", bounds=(-3.0, 3.0), iterations=20)
    targets = torch.arange(12) % 4
    _, best = found(loss, rand(12, 4), targets)
    assert {len(x) for x in seen.outputs} == {10 * 4}
    assert torch.equal(best[:4], best[4:8])
    assert torch.equal(best.argmax(1), targets)


def test_each_member_has_a_cache_of_its_own():
    loss, targets = SwarmGradient(mae, cache=True, coeff="paper", **CACHED), rand(2, 9, 3).round()
    together = loss.gradients(rand(2, 9, 3), targets, [generator(1), generator(2)])
    alone = SwarmGradient(mae, cache=True, coeff="paper", **CACHED)
    torch.testing.assert_close(alone.gradients(rand(2, 9, 3)[1:], targets[1:], [generator(2)])[0], together[1])
    assert not torch.equal(*(loss.pull(torch.zeros(2, 9, 3), torch.zeros(2, 9, 3), [generator(1), generator(2)])[1]))


@pytest.mark.parametrize("settings", [{"cache": True, **CACHED}, {"warm_start": 6}, {}], ids=["cache", "warm", "plain"])
def test_a_run_that_is_taken_up_again_goes_on_as_if_it_had_not_stopped(settings, tmp_path):
    rows = {"rows": torch.arange(6)} if "warm_start" in settings else {}
    y, targets = rand(6, 2), rand(6, 2, seed=1)
    whole, again = (SwarmGradient(mae, coeff="paper", **settings) for _ in range(2))
    slope(whole, y, targets, **rows)
    torch.save(whole.state_dict(), tmp_path / "state")
    again.load_state_dict(torch.load(tmp_path / "state"))
    for _ in range(2):
        assert torch.equal(slope(again, y, targets, **rows), slope(whole, y, targets, **rows))


def test_what_was_loaded_is_not_shared_with_the_run_it_comes_from():
    first, second = (SwarmGradient(mae, warm_start=6) for _ in range(2))
    slope(first, rand(6, 2), rand(6, 2, seed=1), rows=torch.arange(6))
    second.load_state_dict(first.state_dict())
    before = first.state_dict()["warm"].clone()
    slope(second, rand(6, 2), rand(6, 2, seed=2), rows=torch.arange(6))
    assert torch.equal(first.state_dict()["warm"], before)


# Around training


def test_a_loss_that_is_rounded_trains_a_network_to_which_autograd_gives_nothing():
    def rounded(y: Tensor, t: Tensor) -> Tensor:
        return ((4 * y).round() / 4 - t).square()

    torch.manual_seed(0)
    network, x = nn.Linear(2, 1), 2 * rand(40, 2) - 1
    targets = (4 * (x @ torch.tensor([[1.0], [-0.5]]) + 0.25)).round() / 4
    rounded(network(x), targets).mean().backward()
    assert not any(p.grad.any() for p in network.parameters())
    optimizer, loss = torch.optim.Adam(network.parameters(), lr=0.05), SwarmGradient(rounded)
    before = rounded(network(x), targets).mean().item()
    for _ in range(60):
        optimizer.zero_grad()
        value = loss(network(x), targets)
        value.backward()
        optimizer.step()
    assert value.item() < 0.1 * before


def test_under_autocast_and_for_half_precision_outputs_the_gradient_is_that_of_float32():
    network, x, targets = nn.Linear(3, 2), rand(5, 3), rand(5, 2, seed=1)
    with torch.autocast("cpu", torch.bfloat16):
        y = network(x)
        value = SwarmGradient(mse)(y, targets)
    assert y.dtype == torch.bfloat16
    value.backward()
    assert network.weight.grad.dtype == torch.float32
    assert network.weight.grad.any()
    for dtype in (torch.float16, torch.bfloat16):
        half = rand(5, 2, dtype=dtype)
        expected = slope(SwarmGradient(mse), half.float(), targets).to(dtype)
        torch.testing.assert_close(slope(SwarmGradient(mse), half, targets), expected, rtol=0, atol=0)


@pytest.mark.filterwarnings("ignore:The .grad attribute:UserWarning")  # torch's own, of what it compiles
def test_a_step_of_training_compiles():
    network, x, targets = nn.Linear(3, 2), rand(5, 3), rand(5, 2, seed=1)
    losses = [SwarmGradient(mse, generator=generator()) for _ in range(2)]
    slope(losses[0], rand(5, 2), targets)
    slope(losses[1], rand(5, 2), targets)

    def step(x: Tensor, loss: SwarmGradient) -> tuple[Tensor, ...]:
        value = loss(network(x), targets)
        return (value, *torch.autograd.grad(value, list(network.parameters())))

    compiled = torch.compile(step, backend="eager")
    for a, b in zip(compiled(x, losses[0]), step(x, losses[1]), strict=True):
        torch.testing.assert_close(a, b)
    torch._dynamo.reset()


class NothingWaits(TorchDispatchMode):
    """Refuses to read a number out of a tensor, for which a GPU would have to be waited for."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        assert func not in (torch.ops.aten._local_scalar_dense.default, torch.ops.aten.is_nonzero.default)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("settings", [
    {}, {"coeff": "fitted"}, {"coeff": "paper"}, {"variant": "rempso"}, {"level": "sample"}, {"level": "joint"},
    {"init": "bounds", "bounds": (0.0, 1.0)}, {"init": "bounds", "bounds": (0.0, 1.0), "cache": (0.0, 1.0)},
], ids=repr)  # fmt: skip
def test_no_number_is_read_out_of_a_tensor(settings, monkeypatch):
    monkeypatch.setattr(Loop, "fits", staticmethod(lambda swarm: False))
    monkeypatch.setattr(native, "compiled", lambda: None)
    loss = SwarmGradient(mse, iterations=3, generator=generator(), **settings)
    y, targets = leaf(rand(6, 5)), rand(6, 5, seed=1).round()
    with NothingWaits():
        loss(y, targets).backward()


# Losses as they come


def named(loss):
    """The same in every process."""
    return getattr(loss, "__name__", repr(loss))


@pytest.mark.parametrize("loss", [nn.MSELoss(), F.mse_loss, nn.BCELoss(), nn.SmoothL1Loss(beta=0.5), F.cross_entropy,
    nn.CrossEntropyLoss(label_smoothing=0.1), QuantileLoss(0.3), ZeroOneLoss(), F1Loss()], ids=named)  # fmt: skip
def test_a_loss_that_averages_is_told_apart_and_comes_to_the_same(loss):
    bare, level = unreduced(loss)
    y = rand(6, 3)
    targets = rand(6, 3, seed=1) if level == "element" else torch.arange(6) % 3
    value = SwarmGradient(bare, level=level, iterations=2)(leaf(y), targets)
    torch.testing.assert_close(value.detach(), loss(y, targets))


def test_a_loss_may_be_an_object_that_cannot_be_hashed():
    @dataclass
    class Power:
        p: int = 4

        def __call__(self, y: Tensor, t: Tensor) -> Tensor:
            return (y - t).abs() ** self.p

    y, targets = rand(6, 3), rand(6, 3, seed=1)
    expected = slope(SwarmGradient(lambda y, t: (y - t).abs() ** 4), y, targets)
    assert torch.equal(slope(SwarmGradient(Power()), y, targets), expected)


def test_a_loss_that_weighs_or_that_nobody_knows_couples_the_batch():
    assert unreduced(nn.CrossEntropyLoss(weight=torch.ones(3)))[1] == "joint"
    assert unreduced(nn.BCEWithLogitsLoss(pos_weight=torch.ones(3)))[1] == "joint"
    assert unreduced(nn.MSELoss(reduction="sum"))[1] == "joint"
    assert unreduced(lambda y, t: y.mean())[1] == "joint"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("make", [lambda t: t.round(), lambda t: t])
def test_binary_cross_entropy_is_searched_by_a_faster_one_that_is_torchs(make, dtype):
    """Up to where that is cut off: at an output of 0, or 1, and the other target."""
    y, targets = rand(200, 2, dtype=dtype), make(rand(200, 2, seed=1, dtype=dtype))
    objective = SwarmGradient(bce).objective
    losses = objective.evaluator(y.shape, targets)(y.reshape(1, -1, 1))
    torch.testing.assert_close(losses.reshape(200, 2), bce(y, targets), rtol=1e-5, atol=1e-6)
