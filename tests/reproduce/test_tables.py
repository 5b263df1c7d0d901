"""Tables IV, V and S5 to S9, measured at a small scale on the bundled iris in place of the paper's files."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from thalweg.reproduce.adaswarm import tables
from thalweg.reproduce.adaswarm.labels import LabelLoss, elementwise
from thalweg.reproduce.claims import claims_of
from thalweg.reproduce.paper import Options
from thalweg.swarm import SwarmGradient
from thalweg.tasks.bundled import iris

TINY = tables.Scale(("iris",), runs=3, seeds=3, draws=1, studies=1, repeats=0, epochs=0.05)


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tables, "find", lambda name, folder: replace(iris(), name=name))
        folder = tmp_path_factory.mktemp("store")
        yield tables.run(Options(True, folder, workers=1), lambda line: None, TINY)


def test_every_claimed_cell_of_a_data_set_is_measured(records):
    own = tables.TABLES_PART.tables
    wanted = {claim.cell for claim in claims_of("adaswarm") if claim.table in own and claim.row == "iris"}
    ours = {one.cell for one in records.measured if one.table != "text" and one.column not in tables.PLAIN}
    assert wanted == ours
    assert all(records.of(cell).protocol and records.of(cell).fair for cell in wanted)


def test_the_claims_in_words_are_measured(records):
    words = {claim.row for claim in claims_of("adaswarm") if claim.table == "text"}
    assert {one.row for one in records.measured if one.table == "text"} < words


def test_without_a_look_at_the_labels_adaswarm_is_adam_on_the_distance_to_the_label(records):
    """The honest swarm finds the label to rounding: the race cannot tell the two apart, seed by seed."""
    for table in tables.TABLE_OF.values():
        swarm, plain = (
            records.of((table, "iris", name, "accuracy")).fair for name in ("adaswarm", "adam_label_distance")
        )
        assert swarm == pytest.approx(plain, abs=3.4)  # one flower of thirty


@pytest.mark.parametrize(("kind", "torchs"), [("bce", F.binary_cross_entropy), ("mse", F.mse_loss), ("mae", F.l1_loss)])
def test_losses_of_labels_are_torchs_on_one_hot_targets(kind, torchs):
    y = torch.rand(5, 3, generator=torch.Generator().manual_seed(0))
    t = torch.tensor([0, 2, 1, 1, 0])
    assert torch.equal(LabelLoss(kind)(y, t), torchs(y, F.one_hot(t, 3).float()))
    assert torch.equal(LabelLoss(kind).unreduced(y, t).mean(), LabelLoss(kind)(y, t))


def test_the_published_accuracy_of_a_constant_answer_is_far_above_chance():
    """All zeros are right in two of three outputs: what many published cells are."""
    assert elementwise(torch.zeros(6, 3), torch.tensor([0, 1, 2, 0, 1, 2])) == pytest.approx(2 / 3)


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
