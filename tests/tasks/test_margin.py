"""Additive-margin softmax against its formula, and what it is without a margin."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn.functional import cross_entropy

from thalweg.swarm import SwarmGradient
from thalweg.sweep import PositionWise
from thalweg.tasks import AdditiveMarginSoftmax, Cosines


def cosines_and_targets() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(6, 4, generator=generator, dtype=torch.float64) * 2 - 1, torch.tensor([0, 3, 1, 1, 2, 0])


def test_it_is_the_formula():
    """-log(e^{s(cos_y - m)} / (e^{s(cos_y - m)} + sum over the others of e^{s cos_j})), in floats one by one."""
    cosines, targets = cosines_and_targets()
    s, m = 7.0, 0.2
    expected = []
    for row, y in zip(cosines.tolist(), targets.tolist(), strict=True):
        right = math.exp(s * (row[y] - m))
        others = sum(math.exp(s * c) for j, c in enumerate(row) if j != y)
        expected.append(-math.log(right / (right + others)))
    losses = AdditiveMarginSoftmax(s, m, reduction="none")(cosines, targets)
    assert losses.tolist() == pytest.approx(expected, rel=1e-12)
    assert float(AdditiveMarginSoftmax(s, m)(cosines, targets)) == pytest.approx(sum(expected) / 6, rel=1e-12)
    assert float(AdditiveMarginSoftmax(s, m, "sum")(cosines, targets)) == pytest.approx(sum(expected), rel=1e-12)


def test_without_a_margin_it_is_cross_entropy_of_scaled_cosines():
    cosines, targets = cosines_and_targets()
    torch.testing.assert_close(AdditiveMarginSoftmax(30, 0.0)(cosines, targets), cross_entropy(30 * cosines, targets))


def test_a_margin_costs_at_most_scale_times_margin():
    cosines, targets = cosines_and_targets()
    plain = AdditiveMarginSoftmax(30, 0.0, "none")(cosines, targets)
    added = AdditiveMarginSoftmax(30, 0.35, "none")(cosines, targets) - plain
    assert ((added > 0) & (added <= 30 * 0.35)).all()


def test_its_derivative_is_that_of_differences():
    cosines, targets = cosines_and_targets()
    assert torch.autograd.gradcheck(lambda c: AdditiveMarginSoftmax(3, 0.35)(c, targets), cosines.requires_grad_())


def test_cosines_do_not_depend_on_lengths():
    layer = Cosines(3, 5, torch.Generator().manual_seed(0))
    x = torch.randn(7, 3, generator=torch.Generator().manual_seed(1))
    before = layer(x)
    assert before.abs().max() <= 1 + 1e-6
    layer.weight.data *= 4
    torch.testing.assert_close(layer(x * 9), before)
    assert (layer(torch.zeros(1, 3)) == 0).all()


def test_it_trains_position_wise_and_comes_apart_for_swarms():
    generator = torch.Generator().manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), Cosines(4, 2, generator))
    sweep = PositionWise(net, AdditiveMarginSoftmax(), torch.optim.SGD(net.parameters(), lr=0.1))
    sweep.step(torch.randn(8, 3, generator=generator), torch.randint(2, (8,), generator=generator))
    assert sweep.updates == [1, 2]
    # Of each sample: a swarm that searches them one by one finds a better answer for each.
    swarm = SwarmGradient(AdditiveMarginSoftmax(), generator=generator, bounds=(-1.0, 1.0), init="bounds")
    answers = torch.zeros(5, 2, requires_grad=True)
    swarm(answers, torch.tensor([0, 1, 0, 1, 1])).backward()
    assert (answers.grad.argmin(1) == torch.tensor([0, 1, 0, 1, 1])).all()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"scale": 0}, "scale must be a number above 0, got 0"),
        ({"scale": math.inf}, "scale must be a number above 0, got inf"),
        ({"margin": -0.1}, "margin must be at least 0 and below 2, got -0.1"),
        ({"margin": 2}, "margin must be at least 0 and below 2, got 2"),
        ({"reduction": "all"}, "reduction must be one of mean, sum, none, got 'all'"),
    ],
)
def test_what_is_no_margin_loss_is_refused(given, message):
    with pytest.raises(ValueError, match=message):
        AdditiveMarginSoftmax(**given)


def test_shapes_that_do_not_fit_are_named():
    with pytest.raises(ValueError, match=r"cosines must be \(n, classes\) and targets \(n,\), got \(2, 3\) and \(3,\)"):
        AdditiveMarginSoftmax()(torch.zeros(2, 3), torch.zeros(3, dtype=torch.long))
