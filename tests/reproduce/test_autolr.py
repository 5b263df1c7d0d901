"""AutoLR's reproduction: the mathematics of ADES and Sign, trials by the paper's protocol, and claims as printed."""

import csv
import itertools
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import thalweg
from thalweg.race.seeds import final_seed
from thalweg.reproduce import Options, Records, paper_named, pixels
from thalweg.reproduce.autolr import exact, images, published, trials
from thalweg.reproduce.autolr.phenotypes import ADES, SIGN, A, B, apart, coefficients, streams, trajectory
from thalweg.reproduce.autolr.toy import train
from thalweg.reproduce.keras import keras_cnn
from thalweg.reproduce.pixels import Amount, parts_of
from thalweg.reproduce.recall import recall
from thalweg.rules.gallery import find
from thalweg.tasks import Examples
from thalweg.tasks.models import keras_cifar_cnn, keras_mnist_cnn

FOLDER = Path(thalweg.__file__).parent / "reproduce" / "autolr" / "claims"
PAPER = paper_named("autolr")


# Rules


@pytest.mark.parametrize("name", ["ades", "sign"])
def test_an_evolved_rule_does_what_the_gallerys_does(name):
    evolved, ours = exact.gallery()[name]
    assert all(evolved.behaviour(seed) == ours.behaviour(seed) for seed in range(3))
    gradients = streams(100, 16, seed=1)
    assert apart(trajectory(evolved, gradients), trajectory(ours, gradients)) < 1e-12


def test_the_trajectory_of_ades_is_its_equation_written_out():
    gradients = streams(30, 8, seed=2)
    w = y = torch.zeros(8, dtype=torch.float64)
    for step, g in enumerate(gradients, start=1):
        y = (1 - A * (1 + B)) * y - A * B * g - A * y * y - A * y * g
        w = w + y
        assert torch.allclose(trajectory(ADES, gradients)[step], w, rtol=1e-12, atol=1e-15)


def test_the_trajectory_of_sign_moves_by_its_rate_and_rests_where_the_gradient_is_zero():
    gradients = torch.tensor([[3.0, -1e-8, 0.0]], dtype=torch.float64)
    moved = trajectory(SIGN, gradients)[1]
    assert moved.tolist() == pytest.approx([-8.381e-4, 8.381e-4, 0.0], rel=1e-3)


def test_the_coefficients_of_the_evolved_rule_are_those_of_its_expansion():
    found = coefficients(ADES)
    assert found == pytest.approx({"y": 1 - A * (1 + B), "y_squared": -A, "y_times_g": -A, "g": -A * B})


def test_the_coefficients_of_equation_8_are_those_printed_and_it_has_no_damping():
    found = coefficients(find("ades_eq8").rule)
    assert found == pytest.approx({"y": 1.0, "y_squared": -0.08922, "y_times_g": -0.0891, "g": -0.0891})


@pytest.mark.parametrize("scale", [1e-2, 1e-4])
def test_ades_comes_to_heavy_ball_in_proportion_as_gradients_become_small(scale):
    gradients = streams(100, 16, seed=0)
    ades, ball = (find(name).rule for name in ("ades", "ades_heavy_ball"))

    def distance(factor):
        return apart(trajectory(ades, factor * gradients), trajectory(ball, factor * gradients))

    assert distance(scale / 10) == pytest.approx(distance(scale) / 10, rel=0.1)


def test_two_trajectories_are_as_far_apart_as_they_are_along_the_way():
    straight = torch.tensor([[0.0], [1.0], [2.0]])
    bent = torch.tensor([[0.0], [1.0], [2.5]])
    assert apart(bent, straight) == pytest.approx(0.25)
    assert apart(straight, straight) == 0


def test_equation_8_diverges_where_what_was_benchmarked_learns():
    lost = train(find("ades_eq8").rule, 60, 0, betas=exact.TUNED)
    kept = train(find("ades").rule, 60, 0, betas=exact.TUNED)
    assert lost.diverged is not None
    assert math.isnan(lost.loss)
    assert kept.diverged is None
    assert kept.loss < kept.losses[0] / 4


def test_a_toy_training_keeps_the_gradients_that_it_stepped_by():
    """Heavy ball over them, from 0, is what the weights have moved by; ADES' first step is -a b g."""
    walk = train(find("ades").rule, 3, 0, keep_gradients=True)
    assert walk.gradients.shape == (3, 64 * 64 + 64 + 64 * 10 + 10)
    first = trajectory(find("ades").rule, walk.gradients)[1]
    assert torch.allclose(first, -A * B * walk.gradients[0].double(), rtol=1e-5)


# Networks, images and trials


@pytest.mark.parametrize(("channels", "size", "builder"), [(1, 28, keras_mnist_cnn), (3, 32, keras_cifar_cnn)])
def test_for_images_of_the_papers_size_the_network_is_the_papers(channels, size, builder):
    ours = keras_cnn(channels, size, torch.Generator().manual_seed(3))
    theirs = builder(torch.Generator().manual_seed(3))
    for own, their in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(own, their)


@pytest.mark.parametrize(("channels", "size", "inputs"), [(1, 14, 64 * 5 * 5), (3, 16, 64 * 2 * 2)])
def test_for_smaller_images_the_first_dense_layer_alone_is_smaller(channels, size, inputs):
    network = keras_cnn(channels, size, torch.Generator().manual_seed(0))
    dense = [layer for layer in network if isinstance(layer, torch.nn.Linear)]
    assert dense[0].in_features == inputs
    bound = math.sqrt(6 / (dense[0].in_features + dense[0].out_features))
    assert 0.9 * bound < dense[0].weight.abs().max() <= bound
    assert network.training
    network.eval()
    assert network(torch.zeros(2, channels, size, size)).shape == (2, 10)


@pytest.fixture
def made(monkeypatch):
    """Two classes of images, bright above or below, in place of both data sets."""

    def read(count, seed):
        generator = torch.Generator().manual_seed(seed)
        classes = torch.arange(count) % 2
        pixels_ = 0.1 * torch.rand(count, 1, 28, 28, generator=generator)
        pixels_[classes == 0, :, :14] += 0.8
        pixels_[classes == 1, :, 14:] += 0.8
        return Examples(pixels_, classes)

    parts = {"train": read(300, 0), "test": read(100, 1)}
    monkeypatch.setattr(pixels, "ImageData", lambda images, part, folder: lambda: parts[part])
    pixels.read_images.cache_clear()
    yield parts
    pixels.read_images.cache_clear()


def test_a_seed_cuts_what_trains_from_what_validates_and_takes_off_the_mean_of_what_trains(made):
    amount = Amount(200, 50, 60, 2)
    seed = final_seed(0, "fashion_mnist", 0)
    parts = parts_of("fashion_mnist", None, amount, seed)
    assert [len(part) for part in (parts.train, parts.validation, parts.test)] == [200, 50, 60]
    assert parts.train.inputs.shape[1:] == (1, 14, 14)
    assert parts.train.inputs.mean(dim=0).abs().max() < 1e-6
    both = torch.cat([parts.train.inputs, parts.validation.inputs]).flatten(1)
    assert len(both.unique(dim=0)) == 250  # every image is in one part alone
    again = parts_of("fashion_mnist", None, amount, seed)
    assert torch.equal(again.validation.targets, parts.validation.targets)
    other = parts_of("fashion_mnist", None, amount, final_seed(0, "fashion_mnist", 1))
    assert not torch.equal(other.train.inputs, parts.train.inputs)


def test_a_trial_tests_the_weights_that_validated_best(made):
    amount = Amount(100, 50, 60, 2)
    trial = trials.Trial("fashion_mnist", "ades", 0, amount, batch=25, epochs=3)
    found = trials.run(trial)
    assert len(found["curve"]) == 4
    assert found["validation"] == max(found["curve"]) == found["curve"][found["epoch"]]
    assert 0 < found["largest_state"] < 10
    # What ends at the epoch of the best weights ends with these.
    short = trials.run(replace(trial, epochs=max(1, found["epoch"])))
    assert short["curve"] == found["curve"][: len(short["curve"])]
    if found["epoch"]:
        assert short["last_test"] == found["test"]
    assert trials.run(trial) == found


def test_trials_of_two_methods_begin_at_the_same_weights_and_images(made):
    amount = Amount(100, 50, 60, 2)
    first = [
        trials.run(trials.Trial("fashion_mnist", method, 1, amount, 50, 1))["curve"][0] for method in ("sign", "adam")
    ]
    assert first[0] == first[1]


def test_a_scaled_run_fills_no_cell_of_the_papers_and_one_at_its_scale_does(made):
    amount = Amount(60, 20, 20, 2)
    small = images.Scale({"fashion_mnist": amount}, 30, {"fashion_mnist": 1}, seeds=2)
    records = Records.read(images.run("fashion_mnist", Options(True, Path()), lambda line: None, small).to_json())
    cell = ("2", "fashion_mnist", "ades", "test_accuracy")
    assert records.of(cell).protocol == ()
    assert PAPER.verdicts(records)[cell].word == "not run"
    scaled = records.of((*cell[:3], "scaled_test_accuracy"))
    assert len(scaled.protocol) == 2
    assert scaled.scale.startswith("60 images to train on")
    own = images.cells(
        "fashion_mnist", "ades", records.figures["fashion_mnist"]["trials"]["ades"], replace(small, whole=True)
    )
    assert [one.quantity for one in own] == ["validation_accuracy", "test_accuracy"]
    assert own[1].protocol == scaled.protocol


def test_what_is_to_be_recalled_is_the_first_token_and_tells_nothing_by_its_share():
    examples = recall().workload(torch.Generator().manual_seed(0)).train
    assert torch.equal(examples.targets, examples.inputs[:, 0])
    assert examples.targets.bincount(minlength=8).max() < 0.2 * len(examples)


# Claims


def claims(name):
    with (FOLDER / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(("name", "row"), [("table_2.csv", "fashion_mnist"), ("table_3.csv", "cifar10")])
def test_a_table_has_two_accuracies_with_deviations_of_each_optimizer(name, row):
    rows = [claim for claim in claims(name) if not claim["note"]]
    cells = {(claim["row"], claim["column"], claim["quantity"]) for claim in rows}
    kinds = [f"{part}_accuracy{sd}" for part in ("validation", "test") for sd in ("", "_sd")]
    assert cells == {(row, column, kind) for column in images.PUBLISHED for kind in kinds}
    assert len(rows) == len(cells)


@pytest.mark.parametrize("data", images.TABLES)
def test_trials_are_run_at_the_printed_hyperparameters(data):
    printed = {}
    for claim in claims(f"table_{images.TABLES[data]}.csv"):
        if claim["note"].startswith("fixed beforehand"):
            printed.setdefault(claim["column"], {})[claim["quantity"]] = float(claim["value"])
    assert printed.keys() == set(images.PUBLISHED)
    for method, given in printed.items():
        _, own = trials.METHODS[data][method]
        flat = {"beta_1": own["betas"][0], "beta_2": own["betas"][1]} if "betas" in own else {}
        flat |= {
            name: own[key] for name, key in (("lr", "lr"), ("rho", "alpha"), ("momentum", "momentum")) if key in own
        }
        assert flat == given, method


def test_the_result_files_have_what_the_tables_print_to_their_last_digit_but_one():
    for data, results in published.RESULTS.items():
        table = {(c["column"], c["quantity"]): float(c["value"]) for c in claims(f"table_{images.TABLES[data]}.csv")}
        for one in results:
            if one.method in images.PUBLISHED:
                assert one.validation[0] == pytest.approx(table[one.method, "validation_accuracy"], abs=0.0101)
                assert one.test[0] == pytest.approx(table[one.method, "test_accuracy"], abs=0.0101)


def test_every_row_of_table_1_is_held_against_the_logs():
    assert {claim["row"] for claim in claims("table_1.csv")} == published.TABLE_1.keys()


def test_every_claimed_table_has_a_part_and_every_cell_a_finite_number():
    assert all(PAPER.part_of(claim.table) for claim in PAPER.claims)
    assert all(claim.value is not None and math.isfinite(claim.value) for claim in PAPER.claims)
    assert len({claim.cell for claim in PAPER.claims}) == len(PAPER.claims)


def test_filters_leave_ever_fewer_individuals_and_epochs_of_the_published_runs():
    assert (
        published.FILTERS[0].candidates == published.READABLE < published.RUNS * published.ROUNDS * published.POPULATION
    )
    for before, after in itertools.pairwise(published.FILTERS):
        assert after.candidates < before.candidates
        assert after.epochs < before.epochs
    assert [round(one.factor, 1) for one in published.FILTERS] == [1.0, 6.5, 7.4, 14.5]
