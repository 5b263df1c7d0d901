"""What needs no training in Gravity's paper: parameters, initial weights, beta-hat, response curves, the start noise,
the damping; and the numbers that are held against it."""

import math
import re
from collections import Counter
from fractions import Fraction
from pathlib import Path

import pytest
import torch

from thalweg.reproduce.claims import claims_of
from thalweg.reproduce.gravity import architecture, equations, exact, trials, undamped
from thalweg.reproduce.gravity.curves import exact_pictures, exact_tables
from thalweg.reproduce.paper import Options
from thalweg.reproduce.records import Records
from thalweg.reproduce.verdicts import REPRODUCED, verdict

CLAIMS = claims_of("gravity")
SETS = ("mnist", "fashion_mnist", "cifar10", "cifar100_coarse", "cifar100_fine")
FIGURES = {
    f"Figure {10 + 2 * place + deep}": f"{data} {network}"
    for place, data in enumerate(SETS)
    for deep, network in enumerate(("vgg16", "vgg19"))
}


@pytest.fixture(scope="module")
def records() -> Records:
    scale = exact.Scale(curve=20, steps=40, seeds=1)
    return Records.read(exact.run(Options(True, Path()), lambda line: None, scale).to_json())


@pytest.fixture(scope="module")
def vgg16():
    return architecture.network(16)


# Architecture


def test_vgg16_has_the_parameters_of_table_4_and_its_layers_add_up(vgg16):
    counts = architecture.parameters(vgg16)
    assert counts["total"] == 33_638_218 == sum(count for name, count in counts.items() if name != "total")
    assert counts["block5_conv3"] == 512 * 512 * 9 + 512
    assert counts["dense_2"] == 4096 * 4096 + 4096


def test_initial_weights_are_glorots_and_biases_zero(vgg16):
    rows = {row["layer"]: row for row in architecture.initial_weights(vgg16)}
    assert len(rows) == 16
    assert rows["block4_conv2"]["glorot"] == pytest.approx(0.0147, abs=5e-5)
    assert rows["dense_2"]["glorot"] == 1 / 64
    for row in rows.values():
        assert row["largest_bias"] == 0.0
        # Of a uniform variable the variance of the square is 4/5 of the squared variance.
        assert row["sd"] == pytest.approx(row["glorot"], rel=4 * math.sqrt(0.2 / row["weights"]))


def test_the_start_noise_is_above_the_weights_of_the_layers_that_hold_most_of_them(vgg16):
    found = architecture.below(architecture.initial_weights(vgg16), 0.01915)
    assert (found["layers"], found["of"]) == (7, 16)
    assert found["share"] == pytest.approx(0.885, abs=1e-3)


# Equations


@pytest.mark.parametrize("beta", ["1", "0.9", "0"])
@pytest.mark.parametrize("first_step", [0, 1])
def test_beta_hat_is_equation_26(beta, first_step):
    expected = [float((Fraction(beta) * t + 1) / (t + 2)) for t in range(first_step, first_step + 20)]
    assert equations.beta_hats(float(beta), 20, first_step) == pytest.approx(expected, rel=1e-15)


@pytest.mark.parametrize("t", [0, 1, 7])
def test_with_beta_1_all_data_have_the_same_share_and_with_less_the_last_has_most(t):
    assert equations.shares(1.0, t) == pytest.approx([1 / (t + 2)] * (t + 2), rel=1e-12)
    found = equations.shares(0.5, t)
    assert sum(found) == pytest.approx(1)
    assert found[-1] == max(found)


@pytest.mark.parametrize(("lr", "m"), [(0.1, 1.0), (0.25, 1.0), (0.1, 1.25), (0.1, 2.0)])
def test_a_step_is_largest_at_m_where_it_is_half_of_lr_times_m(lr, m):
    found = equations.extremum(lr, m)
    assert found["at"] == pytest.approx(m)
    assert found["largest"] == pytest.approx(lr * m / 2, rel=1e-12) == found["equation_19"]
    assert abs(found["slope_at_m"]) < 1e-6
    assert found["of_descent"] == pytest.approx(1 / (1 + 1e-6), rel=1e-12)


def test_the_curves_of_figures_2_to_5_are_equations_14_and_18():
    found = equations.response(9)
    assert found["g"][0] == -found["g"][-1] == -4
    for name, curve in found["curves"].items():
        lr = 0.25 if "lr 0.25" in name else 0.1
        m = float((re.search(r"m ([\d.]+)$", name) or [0, 1])[1]) if name.startswith("gravity") else math.inf
        assert curve == pytest.approx([-lr * g / (1 + (g / m) ** 2) for g in found["g"]], rel=1e-12), name


@pytest.mark.parametrize(("beta", "first_step"), [(0.0, 0), (0.5, 0), (0.9, 0), (0.9, 1), (0.99, 1)])
def test_the_noise_carries_weights_by_the_sum_of_products_of_beta_hats(beta, first_step):
    found = equations.displacement(beta, first_step)
    assert found == pytest.approx(equations.closed_displacement(beta, first_step), rel=1e-12)
    known = {(0.0, 0): math.e - 2, (0.5, 0): 1.0, (0.9, 0): 1.9155, (0.9, 1): 2.8310}
    if (beta, first_step) in known:
        assert found == pytest.approx(known[beta, first_step], abs=5e-5)


def test_the_start_noise_moves_weights_by_alpha_times_s():
    for found in equations.noise().values():
        assert found["displaced"] == pytest.approx(0.01 * found["closed"], rel=1e-12)
        assert found["measured"] == pytest.approx(found["displaced"], rel=4 / math.sqrt(2 * equations.NOISY_WEIGHTS))


def test_what_comes_through_one_wide_layer_grows_by_the_noise_beside_its_weights():
    """Independent normal numbers: variances add up."""
    layer = torch.nn.utils.skip_init(torch.nn.Linear, 3 * 16 * 16, 4000)
    torch.nn.init.zeros_(layer.bias)
    torch.nn.init.normal_(layer.weight, std=0.01, generator=torch.Generator().manual_seed(0))
    found = architecture.signal(torch.nn.Sequential(torch.nn.Flatten(), layer), 16, 0.02)
    assert found["moved"] / found["initial"] == pytest.approx(math.sqrt(1 + 2**2), rel=0.05)


def test_the_damping_keeps_its_bound_and_reaches_it():
    found = equations.damping()
    for row in found["off"]:
        assert row["off"] == pytest.approx(row["bound"], rel=1e-9)
    assert found["largest"] == pytest.approx(found["bound"], abs=1e-6)
    assert found["at"] == pytest.approx(found["bound_at"], abs=2.5e-4)


def test_a_loss_in_other_units_turns_the_step_around_only_where_gradients_are_large():
    cosines = [row["cosine"] for row in equations.scaling()]
    assert cosines[0] == pytest.approx(1, abs=1e-9)
    assert cosines == sorted(cosines, reverse=True)
    assert cosines[-1] < 0.1


def test_momentum_with_gravitys_beta_hats_and_start_is_nearly_gravity():
    found = undamped.beside_momentum(60, 1)
    assert found["apart"] < 0.01
    assert found["taken"] < 1e-3
    most = found["all"]["max"] ** 4
    assert found["taken"] <= most / (1 + most)
    assert len(found["largest"]) == 4
    assert undamped.Tensors.of_digits().sizes == (64 * 64, 64, 640, 10)


# Claims


def test_every_claim_is_once_and_its_number_finite():
    assert Counter(Counter(claim.cell for claim in CLAIMS).values()) == {1: len(CLAIMS)}
    assert all(claim.value is not None and math.isfinite(claim.value) for claim in CLAIMS)
    counted = Counter(claim.table for claim in CLAIMS)
    expected = {"2": 48, "3": 20, "4": 51, "5": 20, "Figure 9": 3, "Repository, beta": 4, "Repository, m": 10}
    assert counted == expected | dict.fromkeys(FIGURES, 27)


def test_a_figure_has_nine_numbers_of_each_of_three_methods():
    cells = {(c.table, c.row, c.column, c.quantity): c.value for c in CLAIMS if c.table in FIGURES}
    quantities = {quantity for *_, quantity in cells}
    assert len(quantities) == 9
    methods = ("gravity", "adam", "rmsprop")
    assert cells.keys() == {(f, row, m, q) for f, row in FIGURES.items() for m in methods for q in quantities}
    for (table, row, method, quantity), value in cells.items():
        if quantity.endswith("accuracy"):
            assert 0 < value <= 100
            assert value <= cells[table, row, method, "best_accuracy"] or "train" in quantity
        elif quantity.endswith("epoch"):
            assert value in range(1, 101)
        else:
            assert value > 0
    assert all(cells[f, r, m, "lowest_loss"] <= cells[f, r, m, "final_loss"] for f, r, m, _ in cells)


def test_published_histories_as_they_are_printed():
    printed = {(c.row, c.column, c.quantity): c.printed for c in CLAIMS if c.table in FIGURES}
    assert printed["cifar10 vgg16", "gravity", "final_accuracy"] == "79.57"
    assert printed["cifar100_fine vgg19", "gravity", "best_accuracy"] == "49.58"
    assert printed["mnist vgg16", "adam", "final_train_loss"] == "3.18e-11"
    assert printed["cifar100_coarse vgg16", "rmsprop", "best_epoch"] == "77"


def test_table_4_adds_up_as_printed():
    for network in ("vgg16", "vgg19"):
        of = {claim.row: claim.value for claim in CLAIMS if (claim.table, claim.column) == ("4", network)}
        assert sum(of.values()) == 2 * of["total"]


def test_trials_are_run_at_the_rates_of_table_5():
    for claim in CLAIMS:
        if claim.table == "5":
            data, network = claim.row.split()
            assert trials.hyperparameters(data, network, claim.column)["lr"] == claim.value
            assert not claim.is_result


# The part


def test_every_number_of_the_exact_tables_is_measured_and_reproduced(records):
    results = [claim for claim in CLAIMS if claim.table in exact.PART.tables and claim.is_result]
    assert len(results) == 48 + 51 + 3
    for claim in results:
        assert verdict(claim, records.of(claim.cell), None).word == REPRODUCED, claim.cell


def test_totals_survive_the_records_to_their_last_digit(records):
    again = Records.read(records.to_json())
    totals = [again.of(("4", "total", name, "parameters")).protocol for name in ("vgg16", "vgg19")]
    assert totals == [(33_638_218.0,), (38_947_914.0,)]


def test_five_entries_of_table_2_are_cut_off_where_they_should_be_rounded():
    assert exact.cut_off() == [9, 10, 11, 12, 15]


def test_pictures_and_tables_are_made_of_the_records_alone(records):
    assert len(exact_pictures(records)) == 4
    assert all(picture.svg.startswith("<svg") or "<svg" in picture.svg for picture in exact_pictures(records))
    assert [table.name for table in exact_tables(records)] == [
        "response", "start-noise", "signal", "damping", "scaling", "momentum",
    ]  # fmt: skip
    empty = Records("gravity", ())
    assert exact_pictures(empty) == exact_tables(empty) == []


def test_nothing_draws_from_the_global_generator():
    before = torch.random.get_rng_state()
    equations.noise()
    equations.damping()
    assert torch.equal(torch.random.get_rng_state(), before)
