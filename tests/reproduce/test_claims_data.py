"""The numbers that the AdaSwarm paper and its supplement print, as the data files have them."""

import csv
import re
from pathlib import Path

import pytest

import thalweg
from thalweg.tasks.uci import UCI

FOLDER = Path(thalweg.__file__).parent / "reproduce" / "adaswarm" / "claims"
HEADER = ["table", "row", "column", "quantity", "value", "note"]
OPTIMIZERS = ["sgd", "swarm_sgd", "adagrad", "adadelta", "rmsprop", "amsgrad", "adam", "adaswarm"]

LOSSES = 15 * (8 * 2 + 1)  # 15 data sets, loss and accuracy of 8 optimizers, a deviation for the eighth
EPOCHS = 15 * 2  # Adam's and AdaSwarm's
DESCENT = 4 * (1 + 2 * 2)  # 4 functions, the known minimum, a value and its iterations for 2 methods
CELLS = {
    "I": DESCENT,
    "II": DESCENT,
    "III": DESCENT,
    "IV": LOSSES,
    "V": LOSSES,
    "S4": 22 * 2,  # 22 points, the analytic gradient and the approximate one
    "S5": LOSSES,
    "S6": EPOCHS,
    "S7": EPOCHS,
    "S8": EPOCHS,
    "S9": 15 * 3,  # 3 losses
    "S10": 5 * 2 * 4,  # 5 image sets, 2 optimizers, a loss, two accuracies and a time
    "S11": 4 * 6,  # 4 image sets, 6 optimizers
    "S12": 12 * 2 * 2,  # functions, MPSO and EMPSO, a value and its iterations
    "S13": 3 * 2 * 2,
    "S14": 12 * 2 * 2,
    "S15": 3 * 2 * 2,
    "S17": 5 * 2,
}
NOT_A_NUMBER = {"III": 2, "S11": 9}  # cells that print none
OF_DATA_SETS = ["IV", "V", "S5", "S6", "S7", "S8", "S9"]
ROMAN = {"I": 1, "II": 2, "III": 3, "IV": 4, "V": 5}

PRINTED = [
    ("I", "3x5_x10", "gradient_descent", "value", "2.6"),
    ("II", "3x5_x10", "sgd_momentum", "iterations", "667"),
    ("III", "abs", "sgd_momentum", "iterations", "1001"),
    ("III", "sqrt", "emulated", "value", "0.01"),
    ("IV", "iris", "rmsprop", "accuracy", "98.22"),
    ("IV", "iris", "adaswarm", "accuracy", "98.22"),
    ("IV", "ionosphere", "swarm_sgd", "loss", "0.5"),
    ("IV", "haberman", "adaswarm", "accuracy_sd", "1.27"),
    ("IV", "wine", "adaswarm", "accuracy", "93.07"),
    ("IV", "pima", "adam", "loss", "0.1908"),
    ("V", "breast_cancer_wisconsin", "swarm_sgd", "loss", "0.411"),
    ("V", "ilpd", "swarm_sgd", "accuracy", "57"),
    ("V", "wine", "adaswarm", "accuracy_sd", "1.23"),
    ("V", "pima", "adaswarm", "accuracy", "73.43"),
    ("V", "mushroom", "adaswarm", "accuracy", "99.85"),
    ("S4", "sqrt@0", "analytic", "gradient", "inf"),
    ("S4", "sqrt@0", "approximate", "gradient", "78556.23"),
    ("S4", "abs@1", "approximate", "gradient", "-0.75"),
    ("S5", "sonar", "amsgrad", "loss", "0.3530"),
    ("S5", "wine", "adaswarm", "accuracy", "83.075"),
    ("S6", "iris", "adaswarm", "epochs", "10"),
    ("S7", "mushroom", "adaswarm", "epochs", "15"),
    ("S8", "banknote", "adam", "epochs", "34"),
    ("S9", "wine", "adaswarm", "wins_mae", "3"),
    ("S10", "cifar100", "adaswarm", "seconds", "3312"),
    ("S11", "cifar100", "adaswarm", "accuracy", "70.79"),
    ("S12", "rosenbrock", "empso", "value", "67.14"),
    ("S13", "mishra_bird", "empso", "iterations", "55"),
    ("S14", "easom", "mpso", "value", "-2.004"),
    ("S15", "rosenbrock_cubic_line", "mpso", "value", "1.03"),
    ("S17", "himmelblau_nonlinear", "empso", "value", "-30469.60"),
]


def file_of(table: str) -> Path:
    return FOLDER / (f"table_{ROMAN[table]}.csv" if table in ROMAN else f"supplement_{int(table[1:]):02d}.csv")


def claims(table: str) -> list[dict[str, str]]:
    with file_of(table).open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        rows = list(reader)
    assert reader.fieldnames == HEADER
    return rows


def printed(table: str) -> dict[tuple[str, str, str], str]:
    return {(claim["row"], claim["column"], claim["quantity"]): claim["value"] for claim in claims(table)}


def test_there_is_a_file_for_each_table_and_no_other():
    assert sorted(FOLDER.glob("*")) == sorted([FOLDER / "text.csv", *(file_of(table) for table in CELLS)])


@pytest.mark.parametrize("table", CELLS)
def test_a_table_has_all_its_cells_each_once(table):
    rows = claims(table)
    assert {claim["table"] for claim in rows} == {table}
    assert len(rows) == CELLS[table]
    assert len(printed(table)) == len(rows)


@pytest.mark.parametrize("table", OF_DATA_SETS)
def test_the_data_sets_are_those_of_the_catalogue(table):
    assert tuple(dict.fromkeys(claim["row"] for claim in claims(table))) == UCI


@pytest.mark.parametrize("table", ["IV", "V", "S5"])
def test_each_data_set_has_a_loss_and_an_accuracy_of_each_optimizer(table):
    expected = {(name, column, q) for name in UCI for column in OPTIMIZERS for q in ("loss", "accuracy")}
    expected |= {(name, "adaswarm", "accuracy_sd") for name in UCI}
    assert printed(table).keys() == expected


@pytest.mark.parametrize("table", CELLS)
def test_a_value_is_a_number_or_is_missing_with_a_note(table):
    missing = [claim for claim in claims(table) if not claim["value"]]
    assert len(missing) == NOT_A_NUMBER.get(table, 0)
    assert all(claim["note"].startswith("NA") for claim in missing)
    for claim in claims(table):
        assert claim in missing or re.fullmatch(r"-?\d+(\.\d+)?(e-\d+)?|inf", claim["value"]), claim


@pytest.mark.parametrize("table", CELLS)
def test_a_quantity_lies_where_it_can(table):
    for claim in claims(table):
        if not claim["value"]:
            continue
        value, quantity = float(claim["value"]), claim["quantity"]
        if "accuracy" in quantity:
            assert 0 <= value <= 100, claim
        elif quantity.endswith("loss"):
            assert 0 <= value < 1, claim
        elif quantity.startswith("wins"):
            assert value in range(11), claim
        elif quantity in ("iterations", "epochs", "seconds"):
            assert value > 0, claim
            assert value == int(value), claim
        else:
            assert quantity in ("value", "gradient"), claim


@pytest.mark.parametrize(("table", "row", "column", "quantity", "value"), PRINTED)
def test_the_printed_number(table, row, column, quantity, value):
    assert printed(table)[row, column, quantity] == value


def test_on_haberman_with_mae_all_eight_optimizers_are_the_constant_predictor():
    found = printed("V")
    assert {found["haberman", column, "accuracy"] for column in OPTIMIZERS} == {"73.52"}
    assert {found["haberman", column, "loss"] for column in OPTIMIZERS} == {"0.264"}


def test_on_wheat_seeds_with_mse_three_optimizers_get_two_thirds():
    found = printed("IV")
    assert [column for column in OPTIMIZERS if found["seeds", column, "accuracy"] == "66.67"] == [
        "sgd",
        "swarm_sgd",
        "adadelta",
    ]


def test_what_is_corrected_quotes_what_is_printed():
    quoted = {
        (claim["table"], claim["row"], claim["column"]): (claim["value"], claim["note"])
        for table in CELLS
        for claim in claims(table)
        if claim["note"].startswith("printed")
    }
    assert quoted == {
        ("V", "ionosphere", "rmsprop"): ("79.42", 'printed "79.4%2"'),
        ("V", "wine", "adagrad"): ("0.274", 'printed "274", taken for 0.274'),
    }
