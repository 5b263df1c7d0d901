"""Gravity's trials by the paper's protocol: published rates, what curves mean, pairing, and what a scaled run fills."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.nn.functional import cross_entropy

from thalweg.race.seeds import Stream, final_seed
from thalweg.reproduce import Options, Records, paper_named, pixels
from thalweg.reproduce.claims import claims_of
from thalweg.reproduce.gravity import images, trials
from thalweg.reproduce.gravity.evidence import Evidence, oscillation
from thalweg.reproduce.gravity.images import Run, ends
from thalweg.reproduce.gravity.networks import NARROWER, build
from thalweg.reproduce.gravity.pictures import pictures
from thalweg.reproduce.gravity.trials import METHODS, Trial, hyperparameters
from thalweg.reproduce.pixels import Amount
from thalweg.tasks import Examples
from thalweg.tasks.models import vgg

PAPER = paper_named("gravity")
AMOUNT = Amount(96, 0, 60, 2)
SMALL = Run("keras_cnn", AMOUNT, 24, 3, seeds=2)


@pytest.fixture(autouse=True)
def made(monkeypatch):
    """Two classes of images, bright above or below, in place of all data sets."""

    def read(count, seed):
        generator = torch.Generator().manual_seed(seed)
        classes = torch.arange(count) % 2
        made_ = 0.1 * torch.rand(count, 1, 28, 28, generator=generator)
        made_[classes == 0, :, :14] += 0.8
        made_[classes == 1, :, 14:] += 0.8
        return Examples(made_, classes)

    parts = {"train": read(120, 0), "test": read(80, 1)}
    monkeypatch.setattr(pixels, "ImageData", lambda images, part, folder: lambda: parts[part])
    pixels.read_images.cache_clear()
    yield parts
    pixels.read_images.cache_clear()


def trial(method="gravity", network="keras_cnn", **changed):
    return replace(Trial("mnist", network, method, 0, AMOUNT, 24, 3), **changed)


# Rates and networks


def test_rates_are_those_of_table_5_and_gravitys_its_defaults_everywhere():
    printed = {(c.row, c.column): c.value for c in claims_of("gravity") if c.table == "5" and c.quantity == "lr"}
    assert len(printed) == 20
    for (row, method), lr in printed.items():
        assert hyperparameters(*row.split(), method)["lr"] == lr
        gravity = hyperparameters(*row.split(), "gravity")
        assert (gravity["lr"], gravity["alpha"], gravity["beta"]) == (0.1, 0.01, 0.9)


@pytest.mark.parametrize("data", trials.SETS)
def test_smaller_networks_have_the_rates_of_vgg16_and_no_network_has_dropout(data):
    for method in METHODS:
        own = hyperparameters(data, "keras_cnn", method)
        assert own == hyperparameters(data, "vgg16", method) == hyperparameters(data, "vgg16_narrow", method)
        assert own["dropout"] == 0


@pytest.mark.parametrize(("channels", "size"), [(1, 14), (3, 16)])
def test_the_narrow_vgg16_has_sixteen_layers_an_eighth_as_wide_and_ends_at_one_pixel(channels, size):
    network = build("vgg16_narrow", channels, size, 10, False, torch.Generator().manual_seed(0))
    whole = vgg(16, torch.Generator().manual_seed(0), channels=channels)
    ours, theirs = ([layer for layer in one if hasattr(layer, "weight")] for one in (network, whole))
    assert len(ours) == len(theirs) == 16
    for own, their in zip(ours[:-1], theirs[:-1], strict=True):
        assert NARROWER * own.weight.shape[0] == their.weight.shape[0]
    assert sum(isinstance(layer, torch.nn.MaxPool2d) for layer in network) == 4
    assert network(torch.zeros(2, channels, size, size)).shape == (2, 10)


def test_mixed_precision_has_the_same_weights_and_logits_in_float32_that_differ_little():
    exact, mixed = (build("keras_cnn", 1, 14, 10, on, torch.Generator().manual_seed(0)) for on in (False, True))
    for own, their in zip(mixed.parameters(), exact.parameters(), strict=True):
        assert torch.equal(own, their)
        assert own.dtype == torch.float32
    seen = torch.rand(8, 1, 14, 14, generator=torch.Generator().manual_seed(1))
    ours, theirs = (network.eval()(seen) for network in (mixed, exact))
    assert ours.dtype == torch.float32
    assert not torch.equal(ours, theirs)
    assert torch.allclose(ours, theirs, atol=0.02)


# Trials


def test_a_trial_is_the_same_each_time_and_has_a_number_an_epoch():
    found = trials.run(trial())
    assert found == trials.run(trial())
    assert {len(found[name]) for name in ("train_loss", "train_accuracy", "loss", "accuracy")} == {3}
    assert trials.run(trial(rep=1)) != found


@pytest.mark.parametrize("method", ["adam", "rmsprop"])
def test_methods_begin_at_the_same_weights(method):
    """In an epoch of one batch the training loss is that of the untouched weights."""
    whole = {"batch": AMOUNT.train, "epochs": 1}
    assert trials.run(trial(method, **whole))["train_loss"] == trials.run(trial(**whole))["train_loss"]


def test_gravity_and_its_undamped_form_begin_at_the_same_noise():
    """After one step of nearly no gradient they are where V0 has moved them, the plain form is not."""
    losses = {m: trials.run(trial(m, batch=96, epochs=1))["loss"][0] for m in METHODS[:3]}
    assert losses["gravity"] == pytest.approx(losses["gravity_ema_noise"], abs=0.1)
    assert losses["gravity"] != losses["gravity_ema"]


def test_the_training_loss_is_the_mean_over_the_examples_of_an_epochs_batches_before_each_step(made):
    """By hand: RMSprop's first epoch in two unequal batches, 60 images and 36."""
    seed = final_seed(0, "mnist", 0)
    found = trials.run(trial("rmsprop", batch=60, epochs=1))
    network = build("keras_cnn", 1, 14, 10, False, seed.generator(Stream.INIT))
    network.eval()  # the trial's has no dropout
    train = pixels.read_images("mnist", None, AMOUNT)[0]
    order = torch.randperm(96, generator=seed.generator(Stream.ORDER))
    optimizer = torch.optim.RMSprop(network.parameters(), lr=1e-4, alpha=0.9, eps=1e-7)
    loss = right = 0.0
    for rows in order.split(60):
        optimizer.zero_grad()
        outputs, targets = network(train.inputs[rows]), train.targets[rows]
        own = cross_entropy(outputs, targets)
        own.backward()
        optimizer.step()
        loss += len(rows) * own.item() / 96
        right += 100 * (outputs.argmax(1) == targets).sum().item() / 96
    assert found["train_loss"] == pytest.approx([loss], rel=1e-4)
    assert found["train_accuracy"] == pytest.approx([right], abs=1.1)
    test = pixels.read_images("mnist", None, AMOUNT)[1]
    with torch.no_grad():
        assert found["loss"] == pytest.approx([cross_entropy(network(test.inputs), test.targets).item()], rel=1e-3)


def test_what_curves_come_to_counts_epochs_from_one_and_has_no_lowest_loss_that_is_not_finite():
    found = ends({
        "train_loss": [3.0, 2.0, 1.0], "train_accuracy": [10.0, 20.0, 30.0],
        "loss": [math.nan, 1.5, 1.7], "accuracy": [11.0, 40.0, 40.0],
    })  # fmt: skip
    assert (found["lowest_loss"], found["lowest_loss_epoch"]) == (1.5, 2)
    assert (found["best_accuracy"], found["best_epoch"], found["first_accuracy"]) == (40, 2, 11)
    assert (found["final_train_loss"], found["final_accuracy"]) == (1.0, 40.0)


def test_a_straight_way_down_does_not_oscillate_and_up_and_down_does():
    assert oscillation({"loss": [9, 9, 9, 9, 4, 3, 2, 1]}) == 0
    assert oscillation({"loss": [9, 9, 9, 9, 1, 2, 1, 2]}) == pytest.approx(2 / 1.5)
    assert oscillation({"loss": [1.0, math.inf]}) == math.inf


# Parts


def test_a_scaled_run_fills_no_published_cell_and_one_at_the_papers_scale_does():
    records = Records.read(
        images.run(["mnist"], Options(True, Path()), lambda line: None, {"mnist": [SMALL]}).to_json()
    )
    published = [claim for claim in PAPER.claims if claim.table in ("Figure 10", "Figure 11")]
    words = PAPER.verdicts(records)
    assert len(published) == 54
    for claim in published:
        assert words[claim.cell].word == "not run"
        assert records.of(claim.cell).missing == images.AT_SCALE
    scaled = records.of(("Figure 10", "mnist keras_cnn", "gravity", "scaled_final_accuracy"))
    assert len(scaled.protocol) == 2
    assert "96 images to train on" in scaled.scale
    whole = Run("vgg16", Amount(60_000, 0, None, 1), 128, 100)
    own = images.cells("mnist", whole, "gravity", records.figures["mnist keras_cnn"]["gravity"], mixed=True)
    assert {one.cell for one in own} == {claim.cell for claim in published[:9]}
    assert {one.scale for one in own} == {"products in bfloat16"}
    assert [picture.title for picture in pictures(records)] == ["MNIST, Keras CNN"]
    assert Evidence(records).places == [("mnist", "keras_cnn")]


@pytest.mark.parametrize("run", [replace(SMALL, network="vgg16"), Run("vgg16", Amount(60_000, 0, None, 1), 128, 30)])
def test_what_is_smaller_in_anything_is_not_the_papers_scale_and_says_what(run):
    assert not run.whole
    assert f"{run.epochs} epochs" in run.words()


def test_on_a_gpu_the_papers_networks_are_trained_whole_and_elsewhere_none_is():
    on_gpu = images.plan_of(Options(False, Path(), device="cuda"))
    assert all(run.whole and not run.words() for runs in on_gpu.values() for run in runs)
    assert {run.network for runs in on_gpu.values() for run in runs} == {"vgg16", "vgg19"}
    for options in (Options(True, Path(), device="cuda"), Options(False, Path())):
        assert not any(run.whole for runs in images.plan_of(options).values() for run in runs)


def test_every_claim_has_a_part():
    assert {claim.table for claim in PAPER.claims if PAPER.part_of(claim.table) is None} == set()
