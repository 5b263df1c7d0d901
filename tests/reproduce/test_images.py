"""Supplementary tables 10 and 11, measured at a minute scale on made images in place of MNIST and CIFAR-10."""

from __future__ import annotations

import warnings
from dataclasses import replace

import pytest
import torch
from torch.nn.functional import cross_entropy, one_hot

from thalweg.race import arrangement
from thalweg.reproduce import pixels
from thalweg.reproduce.adaswarm import images
from thalweg.reproduce.adaswarm.labels import LabelLoss
from thalweg.reproduce.claims import claims_of
from thalweg.reproduce.paper import Options
from thalweg.swarm import PSO, SwarmGradient
from thalweg.tasks import DataMissing, Examples
from thalweg.tasks.images import ImageSet
from thalweg.tasks.models import resnet18
from thalweg.tasks.vision import CIFAR10, MNIST

ONCE = {"S10": 1, "S11": 1}
BATCHES = {"S10": (20, 24), "S11": (20, 24)}
TINY = replace(images.QUICK, batches=BATCHES, epochs=ONCE, fair_epochs=ONCE, runs=1, seeds=2, draws=1)
CPU = torch.device("cpu")


def made(count: int, channels: int, seed: int) -> Examples:
    """Images of 10 by 10 pixels in ten classes: a bright row each, and noise."""
    random = torch.Generator().manual_seed(seed)
    targets = torch.arange(count) % 10
    inputs = 0.3 * torch.rand(count, channels, 10, 10, generator=random)
    inputs[torch.arange(count), :, targets] += 0.7
    return Examples(inputs, targets)


def pictures(channels: int) -> images.Pictures:
    return images.Pictures("Made", *(made(count, channels, seed) for seed, count in enumerate((60, 20, 30))))


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arrangement, "MEMORY", 0)  # nothing is stacked: to find out whether it should be takes long
        options = Options(True, tmp_path_factory.mktemp("store"), workers=1)
        return images.run(options, lambda line: None, TINY, {"mnist": pictures(1), "cifar10": pictures(3)})


def test_the_networks_have_the_weights_that_the_paper_gives():
    random = torch.Generator().manual_seed(0)
    assert weights(images.two_convolutions(random)) == 1_199_882
    assert images.two_convolutions(random, channels=3, size=16, sigmoid=True)(torch.zeros(2, 3, 16, 16)).shape == (
        2,
        10,
    )


def weights(network: torch.nn.Module) -> int:
    return sum(weight.numel() for weight in network.parameters())


def test_the_narrow_resnet_has_the_layers_of_resnet18_with_an_eighth_of_the_channels():
    def shapes(network: torch.nn.Module) -> list[tuple[int, ...]]:
        return [tuple(x.shape) for x in network.parameters() if x.dim() == 4]

    random = torch.Generator().manual_seed(0)
    narrow, wide = (shapes(make(random, channels=3)) for make in (images.narrow_resnet18, resnet18))
    assert narrow == [(o // 8, i if i == 3 else i // 8, *kernel) for o, i, *kernel in wide]


@pytest.mark.slow
def test_every_claimed_cell_is_there_and_says_why_where_nothing_was_run(records):
    for claim in claims_of("adaswarm"):
        if claim.table in images.TABLES:
            one = records.of(claim.cell)
            assert one.protocol or one.missing
            run = claim.row in ("mnist", "cifar10") and claim.column in ("adam", "adaswarm", "amsgrad")
            assert len(one.protocol) == (TINY.runs if run else 0)
            assert len(one.fair) == (
                TINY.seeds if run and claim.column != "amsgrad" and claim.quantity != "seconds" else 0
            )


@pytest.mark.slow
def test_what_was_run_can_be_read_again(records):
    assert records.read(records.to_json()).of(("S10", "mnist", "adam", "best_loss")).protocol
    assert set(records.figures["images_S10"]["mnist"]["at_published_lr"]) == {"adam", "adaswarm"}


@pytest.mark.slow
def test_on_labels_between_0_and_1_an_honest_swarm_is_the_distance_to_the_label(records):
    for row in ("mnist", "cifar10"):
        swarm, plain = (records.of(("S10", row, name, "test_accuracy")).fair for name in ("adaswarm", images.PLAIN))
        assert swarm == pytest.approx(plain, abs=3.4)  # one image of thirty


@pytest.mark.slow
def test_published_accuracies_on_the_absent_sets_are_what_zeros_score(records):
    """99.0 % on CIFAR-100 and Adam's 66.7 on iBeans, with the loss of outputs that know nothing."""
    printed = {claim.cell: claim.value for claim in claims_of("adaswarm")}
    for row, column, quantity, near in (
        ("cifar100", "adam", "test_accuracy", 0.05),
        ("cifar100", "adaswarm", "test_accuracy", 0.05),
        ("ibeans", "adam", "train_accuracy", 0.05),
        ("ibeans", "adam", "best_loss", 0.01),
    ):
        cell = "S10", row, column, quantity
        assert records.of(cell).constant == pytest.approx(printed[cell], abs=near)


@pytest.mark.parametrize(("table", "loss"), [("S10", LabelLoss("bce")), ("S11", cross_entropy)])
def test_the_published_swarm_is_that_of_the_scripts_and_does_not_see_the_outputs(table, loss):
    """It begins at the labels, from -4 and 1 where outputs are logits, and does not warn; elsewhere the like would."""
    targets = torch.arange(120) % 10
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        swarm = images.published_swarm(table).make(loss, targets, [{}], CPU)
    with pytest.warns(UserWarning, match="does not settle"):
        SwarmGradient(torch.nn.functional.mse_loss, variant=PSO(2.0, 2.0, inertia=0.9))
    assert (swarm.level, swarm.reduction, swarm.count, swarm.iterations, swarm.eta) == ("joint", "sum", 10, 5, 0.4)
    assert swarm.particles == PSO(2.0, 2.0, per_dimension=False, inertia=0.9)
    outputs = (torch.full((1, 120, 10), value) for value in (0.1, 0.8))
    first, second = (swarm.pull(y, targets[None], [torch.Generator().manual_seed(0)])[1][0] for y in outputs)
    assert torch.equal(first, second)
    label = one_hot(targets, 10).bool()
    means = first[label].mean().item(), first[~label].mean().item()
    begun = (1.0, 0.5 * 0.1**0.5) if table == "S10" else (1.5, -3.5)  # where particles begin, on average
    assert means == pytest.approx(begun, abs=0.2)


def test_only_as_many_files_are_read_as_the_images_take():
    def files(count: int) -> list[int]:
        return [len(form.train) for form in pixels._beginning(CIFAR10, count).forms]

    assert (files(900), files(10_001), files(50_000)) == ([1], [2], [5])
    assert pixels._beginning(MNIST, 900) == MNIST


def test_images_are_the_first_ones_shrunk(monkeypatch):
    monkeypatch.setattr(pixels, "ImageData", lambda given, part, folder: lambda: made(90, 3, int(part == "test")))
    given = ImageSet("Made", "made", (3, 10, 10), 10, (), "")
    scale = replace(TINY, train=50, validation=20, test=30)
    found = images.pictures(given, Options(True, None), scale)
    assert [len(part) for part in (found.train, found.validation, found.test)] == [50, 20, 30]
    assert found.validation.inputs.shape == (20, 3, 5, 5)
    assert torch.equal(found.validation.targets, made(90, 3, 0).targets[50:70])
    assert found.test.inputs[0, 0, 0, 0] == pytest.approx(made(90, 3, 1).inputs[0, 0, :2, :2].mean())
    whole = images.pictures(given, Options(True, None), images.WHOLE)
    assert (len(whole.train), whole.validation, len(whole.test)) == (90, None, 90)
    assert images.published_tasks("S11", {"mnist": whole}, images.WHOLE)[0].epochs == 200


def test_without_the_data_it_says_so(tmp_path):
    with pytest.raises(DataMissing, match="MNIST"):
        images.run(Options(True, tmp_path, data_dir=tmp_path), lambda line: None)
