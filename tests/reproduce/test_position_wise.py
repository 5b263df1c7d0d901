"""Position-wise optimizer: the published epochs, its loss and its sweeps by closed forms, chance, and what is said."""

from __future__ import annotations

import math
import os
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, one_hot

from thalweg.race.jobs import one_thread
from thalweg.reproduce import Options, Records, paper_named
from thalweg.reproduce.fair import compared
from thalweg.reproduce.position_wise import PAPER, fair_race, images
from thalweg.reproduce.position_wise.cat import GOAL
from thalweg.reproduce.position_wise.catvnoncat import FILE, cats
from thalweg.reproduce.position_wise.chance import chance_levels
from thalweg.reproduce.position_wise.made_images import made_images
from thalweg.reproduce.position_wise.pictures import loss_pictures
from thalweg.reproduce.position_wise.protocol import (
    EPS,
    METHODS,
    Descent,
    Goal,
    descend,
    drawn,
    published_loss,
)
from thalweg.reproduce.position_wise.span import in_span
from thalweg.reproduce.position_wise.tables import control_tables
from thalweg.reproduce.verdicts import REPRODUCED
from thalweg.tasks import DataMissing, Examples
from thalweg.tasks.images import ImageData
from thalweg.tasks.vision import MNIST

BESIDE = Path(__file__).parents[3] / "shared" / "data"
SEEDS = 6


def quiet(line: str) -> None:
    """Takes no note of how far it is."""


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture(autouse=True, scope="module")
def small_tensors():
    with one_thread():
        yield


@pytest.fixture(scope="module")
def data_dir():
    folder = Path(os.environ.get("THALWEG_DATA", BESIDE))
    if not (folder / FILE).is_file():
        pytest.skip(f"the images of cats are not here: {folder} has no {FILE}; THALWEG_DATA may name another folder")
    return folder


@pytest.fixture(scope="module")
def committed():
    records = PAPER.committed()
    assert records is not None
    return records


# The published runs


@pytest.mark.parametrize(
    ("method", "epochs"),
    [pytest.param("gradient_descent", 2243, marks=pytest.mark.slow), ("position_wise", 881), ("layerwise_lr", 856)],
)
def test_the_published_epochs_on_cats(method, epochs, data_dir):
    """In the span of the images; summed in another order the loss may pass the target a few epochs sooner or later."""
    x, targets = cats(data_dir)
    inputs, weights = in_span(x, drawn(x.shape[1], 1, seed=1))
    found, _ = descend(weights, inputs, targets, GOAL, method)
    assert found.epochs == pytest.approx(epochs, abs=3)
    assert found.losses[int(found.epochs)] < 0.1


@pytest.mark.slow
def test_on_all_pixels_the_published_run_is_that_in_their_span(data_dir):
    x, targets = cats(data_dir)
    weights = drawn(x.shape[1], 1, seed=1)
    whole, _ = descend(weights, x, targets, GOAL, "position_wise")
    inputs, reduced = in_span(x, weights)
    spanned, _ = descend(reduced, inputs, targets, GOAL, "position_wise")
    assert whole.epochs == spanned.epochs
    assert whole.seconds < 60
    np.testing.assert_allclose(whole.losses, spanned.losses, rtol=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_training_in_the_span_is_training(method):
    """On images of fewer pixels, with the learning rate that makes up for that."""
    x, targets = made_images(inputs=400)
    goal = Goal(lr=0.1, target=0.45, printed=100)
    weights = drawn(400, 1, seed=3)
    whole, _ = descend(weights, x, targets, goal, method)
    inputs, reduced = in_span(x, weights)
    assert inputs.shape == (209, 209)
    spanned, _ = descend(reduced, inputs, targets, goal, method)
    assert 10 < whole.epochs == spanned.epochs < 1000
    np.testing.assert_allclose(whole.losses, spanned.losses, rtol=1e-9)


def test_on_made_images_layerwise_rates_are_as_fast_as_position_wise_training():
    x, targets = made_images()
    inputs, weights = in_span(x, drawn(x.shape[1], 1, seed=2))
    found = {method: descend(weights, inputs, targets, GOAL, method, further=True)[0] for method in METHODS}
    epochs = [found[method].epochs for method in METHODS]
    assert epochs == pytest.approx([218, 146, 153], abs=3)
    assert found["position_wise"].epochs_before == pytest.approx(150, abs=3)
    assert targets.mean() == pytest.approx(72 / 209)
    assert x.mean() == pytest.approx(0.40, abs=0.01)  # the originals' mean


def test_a_run_stops_at_the_target_but_not_where_the_loss_is_printed():
    goal = Goal(lr=1.0, target=0.5, printed=20)
    losses = [0.4, *[0.6] * 19, 0.4, 0.4, 0.4]
    run = Descent(goal, losses, [*losses[:-1], 0.3], list(map(float, range(1, 24))))
    assert (run.epochs, run.epochs_before, run.seconds) == (21, 21, 22)
    never = Descent(goal, [0.4, 0.5], [0.4, 0.5], [1.0, 2.0])
    assert (never.epochs, never.seconds, never.seconds_an_epoch) == (math.inf, math.inf, 1)


# Sweeps, transcribed to NumPy


def forward(weights, biases, x):
    """Inputs of all layers, and the answers."""
    inputs = [x]
    for place, (w, b) in enumerate(zip(weights, biases, strict=True), 1):
        z = inputs[-1] @ w.T + b
        inputs.append(np.maximum(z, 0) if place < len(weights) else np.exp(z) / np.exp(z).sum(1, keepdims=True))
    return inputs[:-1], inputs[-1]


def gradients(weights, inputs, answer, y):
    found, pull = [], (answer - y) / len(y)
    for w, a in zip(reversed(weights), reversed(inputs), strict=True):
        found.append((pull.T @ a, pull.sum(0)))
        pull = (pull @ w) * (a > 0)
    return found[::-1]


def value(answer, y):
    return -(y * np.log(answer + EPS) + (1 - y) * np.log(1 - answer + EPS)).sum() / len(y)


@pytest.mark.parametrize(("method", "stages"), [("gradient_descent", [0]), ("position_wise", [3, 2, 1, 0])])
def test_an_epoch_is_that_of_algorithm_2(method, stages):
    """Everything is worked out anew at every stage, and the loss that is noted is that of the last one."""
    x, y = normal(12, 9), one_hot(torch.arange(12) % 10, 10).double()
    weights = drawn(9, 10, seed=5)
    goal = Goal(lr=0.3, target=2.5, printed=50)
    run, _ = descend(weights, x, y, goal, method)
    w, b = [each.numpy().copy() for each in weights], [np.zeros(len(each)) for each in weights]
    for epoch in range(5):
        losses = []
        for first in stages:
            inputs, answer = forward(w, b, x.numpy())
            losses.append(value(answer, y.numpy()))
            steps = gradients(w, inputs, answer, y.numpy())
            for place in range(first, 4):
                w[place] -= goal.lr * steps[place][0]
                b[place] -= goal.lr * steps[place][1]
        assert run.before[epoch] == pytest.approx(losses[0], rel=1e-12)
        assert run.losses[epoch] == pytest.approx(losses[-1], rel=1e-12)


def test_weights_are_those_of_numpys_old_generator_which_nobody_else_notices():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    weights = drawn(100, 10, seed=1)
    assert [tuple(w.shape) for w in weights] == [(20, 100), (7, 20), (5, 7), (10, 5)]
    assert weights[0][0, 0] == pytest.approx(1.6243453636632417 / 10)
    by_equation_6 = drawn(100, 10, seed=1, xavier=True)
    for code, paper in zip(weights, by_equation_6, strict=True):
        outputs, inputs = code.shape
        assert torch.allclose(paper, code * math.sqrt(2 * inputs / (inputs + outputs)))
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002


# The loss and chance


def test_the_loss_of_ten_classes_has_the_value_of_one_loss_and_the_gradient_of_another():
    outputs, labels = normal(7, 10).requires_grad_(), torch.arange(7)
    y = one_hot(labels, 10).double()
    loss, answer = published_loss(outputs, y), torch.softmax(outputs, 1).detach()
    assert float(loss.detach()) == pytest.approx(value(answer.numpy(), y.numpy()), rel=1e-12)
    (ours,) = torch.autograd.grad(loss, outputs)
    (categorical,) = torch.autograd.grad(cross_entropy(outputs, labels), outputs)
    assert torch.allclose(ours, categorical)
    assert torch.allclose(ours, (answer - y) / 7)


def test_the_loss_of_one_output_is_the_binary_cross_entropy_but_for_eps():
    outputs, y = normal(9, 1).requires_grad_(), (torch.arange(9) % 2).double().unsqueeze(1)
    loss, plain = published_loss(outputs, y), binary_cross_entropy_with_logits(outputs, y)
    assert float(loss.detach()) == pytest.approx(float(plain.detach()), abs=1e-4)
    gradients = [torch.autograd.grad(each, outputs)[0] for each in (loss, plain)]
    assert torch.allclose(*gradients)


def test_chance_by_closed_form():
    ten = one_hot(torch.arange(100) % 10, 10).double()
    found = chance_levels(ten, eps=0)
    assert found["uniform"] == found["shares"] == pytest.approx(-math.log(0.1) - 9 * math.log(0.9), rel=1e-12)
    assert found["uniform"] == pytest.approx(3.25083, abs=5e-6)
    assert found["accuracy"] == pytest.approx(10)
    with_eps = -math.log(0.1 + EPS) - 9 * math.log(0.9 + EPS)
    assert chance_levels(ten)["uniform"] == pytest.approx(with_eps, rel=1e-12)
    quarter = (torch.arange(8) % 4 == 0).double().unsqueeze(1)
    found = chance_levels(quarter, eps=0)
    assert found["uniform"] == pytest.approx(math.log(2))
    assert found["shares"] == pytest.approx(-0.25 * math.log(0.25) - 0.75 * math.log(0.75))
    assert found["accuracy"] == 75


def test_the_shares_of_mnists_classes_score_better_than_the_published_target(data_dir):
    targets = one_hot(ImageData(MNIST, "train", data_dir)().targets, 10)
    assert chance_levels(targets, eps=0)["shares"] == pytest.approx(3.24924, abs=5e-6)
    assert chance_levels(targets)["shares"] < images.MNIST_RUN.goal.target == 3.2494


# Data


def test_the_images_of_cats_are_what_is_documented(data_dir):
    x, y = cats(data_dir)
    assert (x.shape, y.shape, x.dtype) == ((209, 12288), (209, 1), torch.float64)
    assert int(y.sum()) == 72
    assert (float(x.min()), float(x.max())) == (0, 1)


def test_without_the_file_or_h5py_it_says_what_to_do(tmp_path, monkeypatch):
    with pytest.raises(DataMissing, match=r"looked for .*train_catvnoncat\.h5.*--data-dir"):
        cats(tmp_path)
    (tmp_path / FILE).parent.mkdir()
    (tmp_path / FILE).write_bytes(b"another file")
    with pytest.raises(ValueError, match="is not the original file"):
        cats(tmp_path)
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(DataMissing, match=r"pip install 'thalweg\[data\]'"):
        cats(tmp_path)


def test_pixels_are_taken_plane_after_plane_raw_or_divided():
    pixels = torch.arange(24).reshape(1, 3, 2, 4)
    part = Examples(pixels.float() / 255, torch.tensor([3]))
    x, targets = images.inputs_of(part, 1, torch.float64)
    assert torch.equal(x, pixels.reshape(1, -1).double())
    assert torch.equal(targets, one_hot(torch.tensor([3]), 10).double())
    assert torch.equal(images.inputs_of(part, 255, torch.float64)[0], x / 255)


# Records and what is made of them


@pytest.fixture(scope="module")
def small() -> Records:
    """Experiment 2 on a few made images, read back from its file."""
    pixels = (255 * torch.rand(60, 3, 4, 4, generator=torch.Generator().manual_seed(0))).floor()
    part = Examples(pixels / 255, torch.arange(60) % 10)
    experiment = replace(images.CIFAR10_RUN, goal=Goal(lr=0.05, target=3.249, printed=20))
    scale = images.Scale(50, torch.float32, repeats=2, seeds=(1, 2))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(images, "ImageData", lambda *_: lambda: part)
        records = images.run(experiment, Options(True, Path()), quiet, scale)
    return Records.read(records.to_json())


def test_a_run_fills_the_cells_of_its_experiment(small):
    for method in METHODS:
        epochs, seconds, accuracy = (
            small.of(("Experiment 2", "cifar10", method, quantity))
            for quantity in ("epochs", "seconds", "train_accuracy")
        )
        assert [len(epochs.protocol), len(epochs.fair), len(seconds.protocol)] == [1, 2, 2]
        assert accuracy.constant == 10
        assert epochs.scale == "50 of 60 images, in float32"
        curve = small.figures["cifar10"]["curves"][method]
        assert curve["epoch"][-1] == epochs.protocol[0]
        assert curve["loss"][-1] < 3.249
    assert small.of(("text", "faster_on_cifar10", "position_wise", "at_most")).protocol
    assert small.figures["cifar10"]["cost"]["formula"] == pytest.approx(
        sum((3 * place - 1) * f for place, f in enumerate((48 * 20, 140, 35, 50), 1)) / (3 * (48 * 20 + 225) - 48 * 20),
        rel=1e-5,
    )


def test_tables_and_pictures_are_made_of_records_alone(small):
    names = {table.name: table for table in control_tables(small)}
    assert names.keys() == {"chance", "seeds-cifar10", "cost"}
    assert [len(names[name].rows) for name in names] == [1, 2, 1]
    for table in names.values():
        assert {len(row) for row in (*table.rows, *table.fixed)} == {len(table.columns)}
    (picture,) = loss_pictures(small)
    ElementTree.fromstring(picture.svg)
    assert loss_pictures(Records("position_wise", ())) == control_tables(Records("position_wise", ())) == []


def test_what_was_not_reached_is_said(small):
    figures = {**small.figures["cifar10"], "seeds": [{"seed": 1, **dict.fromkeys(METHODS, math.inf),
                                                       "position_wise_before": math.inf}]}  # fmt: skip
    tables = control_tables(replace(small, figures={"cifar10": figures}))
    seeds = next(table for table in tables if table.name == "seeds-cifar10")
    assert seeds.rows[0][1].text == "not within 5,000"


def test_every_claimed_table_has_a_part_and_every_number_is_there():
    printed = {claim.cell[1:]: claim.value for claim in PAPER.claims if claim.table != "text"}
    assert printed == {
        ("cat", "gradient_descent", "epochs"): 2243, ("cat", "gradient_descent", "seconds"): 50,
        ("cat", "position_wise", "epochs"): 881, ("cat", "position_wise", "seconds"): 23,
        ("cifar10", "gradient_descent", "epochs"): 121, ("cifar10", "gradient_descent", "seconds"): 462,
        ("cifar10", "position_wise", "epochs"): 97, ("cifar10", "position_wise", "seconds"): 359,
        ("mnist", "gradient_descent", "epochs"): 195, ("mnist", "gradient_descent", "seconds"): 282,
        ("mnist", "position_wise", "epochs"): 139, ("mnist", "position_wise", "seconds"): 227,
    }  # fmt: skip
    assert all(PAPER.part_of(claim.table) for claim in PAPER.claims)
    assert paper_named("position-wise") is PAPER


def test_all_published_epochs_are_reproduced_to_the_last_one(committed):
    words = PAPER.verdicts(committed)
    for claim in PAPER.claims:
        if claim.quantity == "epochs":
            assert words[claim.cell].word == REPRODUCED
            assert committed.of(claim.cell).protocol == (claim.value,)


def test_what_the_notes_say_is_what_the_records_have(committed):
    cat, cifar10, mnist = (committed.figures[name] for name in ("cat", "cifar10", "mnist"))
    seeds = cat["seeds"]
    ratios = [of["gradient_descent"] / of["position_wise"] for of in seeds]
    assert len(seeds) == SEEDS
    assert ratios[0] == pytest.approx(2.55, abs=0.01)
    assert all(1.35 < ratio < 2.25 for ratio in ratios[1:])
    sooner = [of["position_wise_before"] - of["position_wise"] for of in seeds]
    assert (min(sooner), max(sooner)) == (0, 52)
    for of, faster in ((seeds, 4), (cat["xavier"], 2)):
        assert sum(each["layerwise_lr"] < each["position_wise_before"] for each in of) == faster
    layerwise = [of["curves"]["layerwise_lr"]["epoch"][-1] for of in (cat, cifar10, mnist)]
    assert layerwise == [856, 97, 139]
    assert mnist["chance"]["shares"] < mnist["target"] < mnist["chance"]["uniform"]
    assert 1 - cifar10["target"] / cifar10["chance"]["shares"] == pytest.approx(0.006, abs=5e-4)
    assert [of["cost"]["formula"] for of in (cat, cifar10, mnist)] == pytest.approx([1.001, 1.007, 1.027], abs=5e-4)


@pytest.mark.parametrize(("row", "right"), [("mnist", 16), ("cifar10", 13)])
def test_accuracies_at_the_targets_of_ten_classes_are_near_those_of_one_answer(committed, row, right):
    for method in METHODS:
        found = [one for one in committed.measured if one.cell[1:] == (row, method, "train_accuracy")]
        assert found[0].protocol[0] == pytest.approx(right, abs=1)
        assert found[0].constant == pytest.approx(11 if row == "mnist" else 10, abs=0.3)


def test_without_other_seeds_there_is_no_table_of_them(small):
    figures = {"cifar10": {**small.figures["cifar10"], "seeds": []}}
    assert [table.name for table in control_tables(replace(small, figures=figures))] == ["chance", "cost"]


def test_what_is_said_of_the_races_at_equal_compute_is_what_the_records_say(committed):
    def counts(method: str, baseline: str) -> list[int]:
        """How many of the 16 races it is better, worse and equivalent in."""
        found = Counter(
            compared(committed, f"{depth} blocks", name, "accuracy", baseline)[method].verdict
            for depth in fair_race.Scale().depths
            for name in fair_race.Scale().sets
        )
        assert found.total() == 16
        return [found[verdict] for verdict in ("better", "worse", "equivalent")]

    assert counts("position_wise", "sgd") == [0, 7, 7]
    assert counts("position_wise_stochastic", "sgd") == [0, 7, 6]
    assert counts("layerwise_sgd", "sgd") == [0, 3, 7]
    assert counts("position_wise", "layerwise_sgd")[:2] == [0, 5]
    assert counts("position_wise_stochastic", "layerwise_sgd")[:2] == [0, 3]
