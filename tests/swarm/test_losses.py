"""Hard losses against scikit-learn and their definitions, and their smooth forms against them."""

import itertools
import pickle
import re
from functools import partial

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, f1_score, roc_auc_score
from torch.nn import functional
from torch.nn.functional import cross_entropy, l1_loss, mse_loss

from thalweg.swarm.losses import (
    AUCLoss,
    BlackBox,
    DeadZoneCost,
    F1Loss,
    HardLoss,
    QuantileLoss,
    Quantised,
    SeparableLoss,
    StepCost,
    ZeroOneLoss,
)
from thalweg.tasks.hashes import described

COSTS = ((0.0, 1.0, 2.5), (4.0, 0.5, 1.0), (7.0, 3.0, 0.0))

CLASSIFYING = [
    F1Loss(),
    F1Loss("weighted"),
    AUCLoss(),
    ZeroOneLoss(),
    StepCost(COSTS),
    Quantised(cross_entropy, 0.25),
    Quantised(ZeroOneLoss(), 0.001),
    Quantised(F1Loss(), 0.001),
]
PREDICTING = [QuantileLoss(0.2), DeadZoneCost(0.4), Quantised(l1_loss, 0.25), Quantised(QuantileLoss(0.7), 0.1)]
TORCH = CLASSIFYING + PREDICTING
STEPS = [F1Loss(), AUCLoss(), ZeroOneLoss(), StepCost(COSTS), DeadZoneCost(0.4), Quantised(cross_entropy, 0.25)]


def shown(loss):
    """The loss as it prints, without the addresses of functions, which each process has its own of."""
    return re.sub(r"<function (\w+) at \w+>", r"\1", repr(loss))


def drawn(loss, *ahead, n=12, seed=0):
    """Outputs and targets that the loss takes, with axes ahead of the batch."""
    random = torch.Generator().manual_seed(seed)
    if loss in PREDICTING:
        return torch.randn(*ahead, n, 2, generator=random), torch.randn(*ahead, n, 2, generator=random)
    return torch.randn(*ahead, n, 3, generator=random), torch.randint(3, (*ahead, n), generator=random)


def classified(seed, n=20, classes=4, coarse=False, kept=None):
    """Outputs (n, classes), full of ties where coarse, and targets (n,) of the first `kept` classes."""
    random = torch.Generator().manual_seed(seed)
    outputs = torch.randn(n, classes, generator=random, dtype=torch.float64)
    targets = torch.randint(kept or classes, (n,), generator=random)
    return (outputs.round() if coarse else outputs), targets


@pytest.mark.parametrize("kept", [1, 2, 3, 6])
@pytest.mark.parametrize("average", ["macro", "weighted"])
def test_f1_is_that_of_scikit_learn_whatever_classes_are_absent(average, kept):
    for seed, n in itertools.product(range(5), (3, 20)):
        outputs, targets = classified(seed, n=n, classes=6, kept=kept)
        expected = 1 - f1_score(targets.numpy(), outputs.argmax(1).numpy(), average=average, zero_division=0)
        assert F1Loss(average)(outputs, targets).item() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("chance", [0.0, 0.1, 0.5])
@pytest.mark.parametrize("shift", [-9.0, 0.0, 9.0])  # both, or only one, of the classes are predicted
def test_binary_f1_is_that_of_scikit_learn(chance, shift):
    outputs, _ = classified(0, n=40, classes=2)
    outputs = outputs + torch.tensor([0.0, shift])
    targets = (torch.rand(40, generator=torch.Generator().manual_seed(1)) < chance).long()
    expected = 1 - f1_score(targets.numpy(), outputs.argmax(1).numpy(), average="binary", zero_division=0)
    assert F1Loss("binary")(outputs, targets).item() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("coarse", [False, True])
def test_auc_of_two_classes_is_that_of_scikit_learn_with_ties(coarse):
    for seed in range(5):
        outputs, targets = classified(seed, n=30, classes=2, coarse=coarse)
        expected = 1 - roc_auc_score(targets.numpy(), (outputs[:, 1] - outputs[:, 0]).numpy())
        assert AUCLoss()(outputs, targets).item() == pytest.approx(expected, abs=1e-12)
        assert AUCLoss()(outputs.flip(1), 1 - targets).item() == pytest.approx(expected, abs=1e-12)


def test_auc_of_more_classes_is_scikit_learns_mean_of_one_against_the_rest():
    for seed in range(5):
        outputs, targets = classified(seed, n=30)
        expected = 1 - roc_auc_score(targets.numpy(), outputs.softmax(1).numpy(), multi_class="ovr", average="macro")
        assert AUCLoss()(outputs, targets).item() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("kept", [2, 3])
def test_auc_leaves_out_classes_that_are_absent(kept):
    for seed in range(5):
        outputs, targets = classified(seed, classes=5, kept=kept)
        scores = outputs.softmax(1).numpy()
        each = [1 - roc_auc_score((targets == c).numpy(), scores[:, c]) for c in targets.unique()]
        assert AUCLoss()(outputs, targets).item() == pytest.approx(np.mean(each), abs=1e-12)


@pytest.mark.parametrize("classes", [2, 5])
def test_auc_of_a_single_class_is_that_of_chance_and_pulls_nowhere(classes):
    outputs, targets = classified(0, classes=classes, kept=1)
    assert AUCLoss()(outputs, targets) == 0.5
    outputs.requires_grad_()
    smooth = AUCLoss().smooth(outputs, targets, 0.5)
    smooth.backward()
    assert smooth == 0.5
    assert not outputs.grad.any()


def test_auc_is_the_share_of_pairs_in_the_wrong_order_exactly_for_many_examples():
    outputs = torch.stack([torch.zeros(3000), torch.arange(3000.0)], dim=1)
    targets = (torch.arange(3000) >= 1000).long()
    targets[0] = 1  # it is below all 999 of the other class
    assert AUCLoss()(outputs, targets).item() == pytest.approx(999 / (999 * 2001), rel=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_zero_one_is_one_minus_accuracy_and_the_cost_of_the_identitys_complement(seed):
    outputs, targets = classified(seed)
    expected = 1 - accuracy_score(targets.numpy(), outputs.argmax(1).numpy())
    loss, cost = ZeroOneLoss(), StepCost(1 - np.eye(4))
    assert loss(outputs, targets).item() == pytest.approx(expected)
    assert torch.equal(loss.unreduced(outputs, targets), cost.unreduced(outputs, targets))
    assert torch.allclose(loss.smooth(outputs, targets, 0.7), cost.smooth(outputs, targets, 0.7))


def test_a_step_cost_is_the_entry_of_its_matrix():
    true, predicted = torch.cartesian_prod(torch.arange(3), torch.arange(3)).T
    outputs = torch.eye(3)[predicted]
    assert StepCost(COSTS).unreduced(outputs, true).tolist() == [cost for row in COSTS for cost in row]


@pytest.mark.parametrize("q", [0.1, 0.5, 0.8])
def test_the_quantile_loss_is_least_at_the_quantile(q):
    targets = torch.randn(101, generator=torch.Generator().manual_seed(0))
    losses = torch.stack([QuantileLoss(q)(guess.expand(101), targets) for guess in targets])
    assert targets[losses.argmin()].item() == pytest.approx(torch.quantile(targets, q).item(), abs=1e-6)


def test_the_dead_zone_holds_its_edge():
    outputs = torch.tensor([1.0, 1.5, 1.75, 0.5, 0.25])
    assert DeadZoneCost(0.5).unreduced(outputs, torch.ones(5)).tolist() == [0, 0, 1, 0, 1]


@pytest.mark.parametrize("inner", [cross_entropy, partial(cross_entropy, label_smoothing=0.1), ZeroOneLoss(), F1Loss()])
def test_quantised_is_the_loss_of_rounded_outputs(inner):
    outputs, targets = classified(0)
    assert Quantised(inner, 0.5)(outputs, targets) == inner((outputs * 2).round() / 2, targets)


def test_the_straight_through_gradient_is_that_at_the_rounded_outputs():
    outputs, targets = classified(0)
    rounded = ((outputs * 2).round() / 2).requires_grad_()
    cross_entropy(rounded, targets).backward()
    outputs.requires_grad_()
    loss = Quantised(cross_entropy, 0.5)
    value = loss.smooth(outputs, targets, 1.0)
    value.backward()
    assert value == loss(outputs, targets)
    assert torch.equal(outputs.grad, rounded.grad)


@pytest.mark.parametrize(
    ("loss", "level"),
    [
        (F1Loss(), "joint"),
        (AUCLoss(), "joint"),
        (ZeroOneLoss(), "sample"),
        (StepCost(COSTS), "sample"),
        (QuantileLoss(0.5), "element"),
        (DeadZoneCost(0.1), "element"),
        (BlackBox(len), "joint"),
        (Quantised(F1Loss(), 1), "joint"),
        (Quantised(Quantised(ZeroOneLoss(), 1), 2), "sample"),
        (Quantised(cross_entropy, 1), "sample"),
        (Quantised(partial(cross_entropy, label_smoothing=0.1), 1), "sample"),
        (Quantised(partial(cross_entropy, weight=torch.ones(3)), 1), "joint"),  # a weighted mean
        (Quantised(partial(functional.huber_loss, delta=0.3), 1), "element"),
        (Quantised(partial(mse_loss, reduction="sum"), 1), "joint"),
    ],
)
def test_the_level_is_what_the_loss_can_tell_apart(loss, level):
    assert isinstance(loss, HardLoss)
    assert loss.level == level


@pytest.mark.parametrize("loss", [loss for loss in TORCH if loss.level != "joint"], ids=shown)
def test_a_separable_loss_is_the_mean_of_numbers_that_depend_on_one_sample_or_element_each(loss):
    outputs, targets = drawn(loss)
    values = loss.unreduced(outputs, targets)
    assert values.shape == (outputs.shape if loss.level == "element" else outputs.shape[:1])
    assert torch.allclose(loss(outputs, targets), values.mean())
    changed = outputs.clone()
    changed[3] = -10 * outputs[3].flip(0)
    differ = (loss.unreduced(changed, targets) != values).nonzero()[:, 0]
    assert set(differ.tolist()) <= {3}
    if isinstance(loss, SeparableLoss):
        assert torch.allclose(loss.smooth(outputs, targets, 0.3), loss.unreduced_smooth(outputs, targets, 0.3).mean())


@pytest.mark.parametrize("own_targets", [True, False])
@pytest.mark.parametrize("loss", TORCH, ids=shown)
def test_a_loss_under_two_vmaps_is_the_loop(loss, own_targets):
    outputs, targets = drawn(loss, 2, 3)
    targets = targets if own_targets else targets[0, 0]
    temperatures = torch.tensor([0.3, 0.5, 2.0])
    axis = 0 if own_targets else None
    pairs = [[(outputs[i, j], targets[i, j] if own_targets else targets) for j in range(3)] for i in range(2)]

    found = torch.vmap(torch.vmap(loss, (0, axis)), (0, axis))(outputs, targets)
    assert torch.allclose(found, torch.tensor([[loss(*pair) for pair in row] for row in pairs]))

    found = torch.vmap(torch.vmap(loss.smooth, (0, axis, 0)), (0, axis, None))(outputs, targets, temperatures)
    looped = [[loss.smooth(*pair, t.item()) for pair, t in zip(row, temperatures, strict=True)] for row in pairs]
    assert torch.allclose(found, torch.tensor(looped))

    if loss.level != "joint":
        found = torch.vmap(torch.vmap(loss.unreduced, (0, axis)), (0, axis))(outputs, targets)
        looped = torch.stack([torch.stack([loss.unreduced(*pair) for pair in row]) for row in pairs])
        assert torch.allclose(found, looped)


@pytest.mark.parametrize("loss", STEPS, ids=shown)
def test_only_the_smooth_loss_of_a_step_has_a_gradient(loss):
    if isinstance(loss, DeadZoneCost):
        outputs, targets = torch.linspace(-1, 2, 8), torch.zeros(8)
    else:
        outputs, targets = drawn(loss)
    outputs.requires_grad_()
    hard = loss(outputs, targets)
    if hard.requires_grad:
        hard.backward()
    assert outputs.grad is None or not outputs.grad.any()
    assert not torch.func.grad(loss)(outputs.detach(), targets).any()

    outputs.grad = None
    loss.smooth(outputs, targets, 0.5).backward()
    assert outputs.grad.isfinite().all()
    assert outputs.grad.any()


@pytest.mark.parametrize(
    "loss",
    [F1Loss(), F1Loss("weighted"), AUCLoss(), ZeroOneLoss(), StepCost(COSTS), QuantileLoss(0.2), DeadZoneCost(1)],
)
def test_the_smooth_gradient_is_that_of_finite_differences(loss):
    outputs, targets = drawn(loss if loss in TORCH else QuantileLoss(0.2))
    outputs = outputs.double().requires_grad_()
    assert torch.autograd.gradcheck(lambda outputs: loss.smooth(outputs, targets, 0.7), outputs)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("loss", TORCH, ids=shown)
def test_the_smooth_loss_tends_to_the_hard_one_as_the_temperature_falls(loss, seed):
    outputs, targets = drawn(loss, seed=seed)
    outputs = outputs.double()
    hard = loss(outputs, targets).item()
    gaps = [abs(loss.smooth(outputs, targets, 10.0**-power).item() - hard) for power in range(8)]
    assert gaps[-1] < 1e-6
    if not (isinstance(loss, Quantised) and not isinstance(loss.loss, HardLoss)):
        assert gaps[0] > 1e-3  # else it tells nothing


@pytest.mark.parametrize("kept", [1, 2])
def test_soft_f1_tends_to_f1_with_finite_gradients_where_classes_are_absent(kept):
    outputs, targets = classified(0, classes=6, kept=kept)
    outputs = outputs.float().requires_grad_()
    for temperature in (1.0, 0.1, 1e-2, 1e-6):
        smooth = F1Loss().smooth(outputs, targets, temperature)
        (gradient,) = torch.autograd.grad(smooth, outputs)
        assert gradient.isfinite().all()
    assert smooth.item() == pytest.approx(F1Loss()(outputs, targets).item(), abs=1e-5)


def test_the_smooth_auc_counts_a_tie_half_at_every_temperature():
    outputs = torch.zeros(6, 2)
    for temperature in (0.01, 1.0, torch.tensor(3.0)):
        assert AUCLoss().smooth(outputs, torch.tensor([0, 1, 0, 1, 1, 1]), temperature) == 0.5


@pytest.mark.parametrize("loss", TORCH, ids=shown)
def test_the_result_has_the_outputs_dtype_but_float32_at_least(loss):
    outputs, targets = drawn(loss)
    targets = targets.bfloat16() if targets.is_floating_point() else targets
    for dtype, expected in ((torch.float64, torch.float64), (torch.bfloat16, torch.float32)):
        for value in (loss(outputs.to(dtype), targets), loss.smooth(outputs.to(dtype), targets, 0.5)):
            assert (value.shape, value.dtype) == ((), expected)


@pytest.mark.parametrize("loss", TORCH, ids=shown)
def test_an_output_that_is_nan_makes_the_loss_nan(loss):
    outputs, targets = drawn(loss)
    outputs[2, 1] = torch.nan
    assert loss(outputs, targets).isnan()
    assert loss.smooth(outputs, targets, 0.5).isnan()
    if loss.level == "sample":
        assert loss.unreduced(outputs, targets).isnan().nonzero().tolist() == [[2]]


def sklearn_f1(outputs, targets):
    return 1 - f1_score(targets, outputs.argmax(1), average="macro", zero_division=0)


def test_a_black_box_of_scikit_learn_is_the_f1_loss():
    outputs, targets = classified(0)
    value = BlackBox(sklearn_f1)(outputs.float().requires_grad_(), targets)
    assert (value.shape, value.dtype, value.requires_grad) == ((), torch.float32, False)
    assert value.item() == pytest.approx(F1Loss()(outputs, targets).item())


@pytest.mark.parametrize(
    "value", [2, 2.0, True + 1, np.float32(2), np.int64(2), np.array(2.0), np.array([2]), torch.tensor([2.0])]
)
def test_a_black_box_may_return_any_one_number(value):
    assert BlackBox(lambda outputs, targets: value)(torch.zeros(3, 2), torch.zeros(3)).item() == 2


@pytest.mark.parametrize("value", [None, "2", np.zeros(2), [1.0], torch.zeros(2), 1j, np.array("2"), {}])
def test_a_black_box_that_returns_no_number_says_what_it_returned(value):
    loss = BlackBox(lambda outputs, targets: value)
    with pytest.raises(
        ValueError, match=r"BlackBox of <lambda>, on outputs of shape \(3, 2\) .* must return one number"
    ):
        loss(torch.zeros(3, 2), torch.zeros(3))


def test_a_black_box_that_fails_says_so_with_the_shapes():
    with pytest.raises(ValueError, match=r"BlackBox of sklearn_f1, .* targets of \(4,\), failed: ValueError: Found"):
        BlackBox(sklearn_f1)(torch.zeros(3, 2), torch.zeros(4, dtype=torch.long))


def test_a_black_box_may_change_its_arrays_without_changing_the_tensors():
    outputs, targets = classified(0)
    before = outputs.clone(), targets.clone()

    def spoil(outputs, targets):
        outputs[:], targets[:] = 0, 0
        return 0.0

    BlackBox(spoil)(outputs, targets)
    assert torch.equal(outputs, before[0])
    assert torch.equal(targets, before[1])


def test_a_black_box_has_no_smooth_form_and_no_vmap():
    outputs, targets = drawn(F1Loss(), 2)
    loss = BlackBox(sklearn_f1)
    with pytest.raises(NotImplementedError, match="BlackBox of sklearn_f1 has no smooth form"):
        loss.smooth(outputs[0], targets[0], 1.0)
    with pytest.raises(ValueError, match=r"one batch at a time"):
        torch.vmap(loss)(outputs, targets)


def one_scorer(outputs, targets):
    return 1.0


def other_scorer(outputs, targets):
    return 2.0


DIFFERENT = [
    F1Loss(),
    F1Loss("weighted"),
    AUCLoss(),
    ZeroOneLoss(),
    StepCost(((0, 1), (1, 0))),
    StepCost(((0, 1), (2, 0))),
    QuantileLoss(0.1),
    QuantileLoss(0.2),
    DeadZoneCost(0.1),
    DeadZoneCost(0.2),
    Quantised(cross_entropy, 0.1),
    Quantised(cross_entropy, 0.2),
    Quantised(partial(cross_entropy, label_smoothing=0.1), 0.1),
    Quantised(mse_loss, 0.1),
    Quantised(QuantileLoss(0.1), 0.1),
    Quantised(QuantileLoss(0.2), 0.1),
    BlackBox(one_scorer),
    BlackBox(other_scorer),
]


def test_losses_are_described_apart_and_a_copy_as_the_same():
    assert len({described(loss) for loss in DIFFERENT}) == len(DIFFERENT)
    for loss in DIFFERENT[:-2]:
        assert described(pickle.loads(pickle.dumps(loss))) == described(loss)


@pytest.mark.parametrize(
    ("loss", "same"),
    [
        (StepCost(((0, 1), (2, 0))), StepCost(np.array([[0.0, 1.0], [2.0, 0.0]]))),
        (StepCost(((0, 1), (2, 0))), StepCost(torch.tensor([[0, 1], [2, 0]]))),
        (QuantileLoss(0.5), QuantileLoss(np.float64(0.5))),
        (DeadZoneCost(2), DeadZoneCost(2.0)),
        (Quantised(mse_loss, 1), Quantised(mse_loss, np.float32(1))),
    ],
)
def test_equal_constants_of_other_types_make_the_same_loss(loss, same):
    assert loss == same
    assert hash(loss) == hash(same)
    assert described(loss) == described(same)


@pytest.mark.parametrize("loss", DIFFERENT, ids=shown)
def test_a_call_leaves_the_description_as_it_was(loss):
    before = described(loss)
    outputs, _ = classified(0, classes=2)
    targets = (outputs > 0).double() if loss.level == "element" else (outputs[:, 0] > 0).long()
    loss(outputs, targets)
    assert described(loss) == before


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: F1Loss("micro"), "average must be one of macro, weighted, binary, got 'micro'"),
        (lambda: QuantileLoss(0.0), "q must be above 0 and below 1, got 0.0"),
        (lambda: QuantileLoss(1), "q must be above 0 and below 1, got 1"),
        (lambda: QuantileLoss(float("nan")), "q must be .* got nan"),
        (lambda: DeadZoneCost(0), "tolerance must be > 0 and finite, got 0"),
        (lambda: DeadZoneCost(float("inf")), "tolerance must be > 0 and finite, got inf"),
        (lambda: Quantised(mse_loss, -0.5), "step must be > 0 and finite, got -0.5"),
        (lambda: Quantised("mse", 0.5), "loss must be .* got 'mse'"),
        (lambda: Quantised(torch.nn.HuberLoss(), 0.5), r"loss must be .* got the module HuberLoss\(\): use a function"),
        (lambda: BlackBox(0.5), "function must be callable .* got 0.5"),
        *(
            (partial(StepCost, costs), "costs must be a square matrix of finite numbers >= 0, .* got ")
            for costs in ((), 1, ((0,),), ((0, 1),), ((0, 1), (1,)), ((0, -1), (1, 0)), ((0, torch.inf), (1, 0)), "ab")
        ),
    ],
)
def test_a_constant_out_of_range_is_named_and_quoted(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("loss", [F1Loss(), AUCLoss(), ZeroOneLoss(), StepCost(((0, 1), (1, 0)))], ids=shown)
def test_outputs_and_targets_of_other_shapes_are_refused(loss):
    targets = torch.tensor([0, 1, 1])
    for call in (loss, partial(loss.smooth, temperature=0.5)):
        for shape in ((3,), (3, 1), (3, 2, 1)):
            with pytest.raises(ValueError, match=r"outputs must have shape \(n, classes\) with 2 classes or more, got"):
                call(torch.zeros(shape), targets)
        with pytest.raises(ValueError, match=r"targets must be integers of shape \(3,\), .* got \(3, 1\) int64"):
            call(torch.zeros(3, 2), targets[:, None])
        with pytest.raises(ValueError, match=r"targets must be integers .* got \(3,\) float32"):
            call(torch.zeros(3, 2), targets.float())
        for wrong in (-1, 2):  # whose error it is, and what it is called, is torch's affair
            with pytest.raises((IndexError, RuntimeError), match="out of"):
                call(torch.zeros(3, 2), targets.clone().fill_(wrong))


def test_numbers_of_classes_must_agree():
    targets = torch.tensor([0, 1, 2])
    with pytest.raises(ValueError, match="costs are of 2 classes, but outputs of 3"):
        StepCost(((0, 1), (1, 0)))(torch.eye(3), targets)
    with pytest.raises(ValueError, match=r"average='binary' needs outputs of shape \(n, 2\), got 3 classes"):
        F1Loss("binary")(torch.eye(3), targets)


@pytest.mark.parametrize("loss", [QuantileLoss(0.5), DeadZoneCost(0.5)], ids=shown)
def test_values_of_another_shape_are_not_broadcast(loss):
    with pytest.raises(ValueError, match=r"the same shape, got \(3, 1\) and \(3,\): reshape one"):
        loss(torch.zeros(3, 1), torch.zeros(3))


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan"), float("inf"), torch.ones(1)])
@pytest.mark.parametrize("loss", TORCH, ids=shown)
def test_a_temperature_must_be_one_positive_number(loss, temperature):
    with pytest.raises(ValueError, match="temperature must be a finite number > 0 or a tensor of shape"):
        loss.smooth(*drawn(loss), temperature)


def test_what_is_joint_has_nothing_unreduced():
    with pytest.raises(ValueError, match="one number for the whole batch"):
        Quantised(F1Loss(), 0.5).unreduced(*classified(0))
