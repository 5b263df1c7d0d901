"""The losses, the accuracy and the swarm of tables IV, V and S5 to S9."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from thalweg.reproduce.adaswarm import tables
from thalweg.reproduce.adaswarm.labels import LabelLoss, elementwise
from thalweg.swarm import SwarmGradient


@pytest.mark.parametrize(("kind", "torchs"), [("bce", F.binary_cross_entropy), ("mse", F.mse_loss), ("mae", F.l1_loss)])
def test_losses_of_labels_are_torchs_on_one_hot_targets(kind, torchs):
    y = torch.rand(5, 3, generator=torch.Generator().manual_seed(0))
    t = torch.tensor([0, 2, 1, 1, 0])
    assert torch.equal(LabelLoss(kind)(y, t), torchs(y, F.one_hot(t, 3).float()))
    assert torch.equal(LabelLoss(kind).unreduced(y, t).mean(), LabelLoss(kind)(y, t))


def test_the_published_accuracy_of_a_constant_answer_is_far_above_chance():
    """All zeros are right in two of three outputs: what many published cells are."""
    classes = torch.tensor([0, 1, 2, 0, 1, 2])
    for targets in (classes, F.one_hot(classes, 3).float()):
        assert elementwise(torch.zeros(6, 3), targets) == pytest.approx(2 / 3)


def test_the_published_swarm_begins_at_the_labels_and_does_not_see_the_outputs():
    through = tables.published_swarm(eta=0.1)
    loss = through.make(LabelLoss("bce"), torch.tensor([0, 1]), [{}], torch.device("cpu"))
    assert isinstance(loss, SwarmGradient)
    bests = []
    for outputs in (torch.full((4, 3), 0.1), torch.full((4, 3), 0.8)):
        generator = torch.Generator().manual_seed(0)
        bests.append(loss.pull(outputs[None], torch.tensor([[0, 1, 2, 0]]), [generator])[1][0])
    assert torch.equal(*bests)
    assert (bests[0] - F.one_hot(torch.tensor([0, 1, 2, 0]), 3)).abs().mean() < 0.12  # an honest one's would be 0.4
    assert bests[0][torch.arange(4), torch.tensor([0, 1, 2, 0])].min() == 1.0
