"""The records for other programs: CSV, Parquet and pandas have one row a record and lose nothing."""

import csv
import json
import sys
from dataclasses import replace

import pytest
from race.made import made_result

from thalweg.race.export import ExtraMissing, rows, write_csv, write_parquet


@pytest.fixture(scope="module")
def result():
    return made_result(2, 5, 4)


def test_there_is_one_row_a_record_with_its_place(result):
    table = rows(result)
    assert len(table) == result.trials
    assert len(
        {(r["task"], r["method"], r["role"], r["study"], r["draw"], r["repeat"], r["rep"]) for r in table}
    ) == len(table)
    assert {row["draw"] is None for row in table if row["role"] == "final"} == {True}
    assert {row["test_metric"] is None for row in table if row["role"] == "tuning"} == {True}


def test_hyperparameters_are_columns_and_tuples_one_for_each_value(result):
    table = rows(result)
    names = {name for name in table[0] if name.startswith("hyperparameters.")}
    assert {"hyperparameters.lr", "hyperparameters.schedule", "hyperparameters.betas.0"} <= names
    assert all(set(row) == set(table[0]) for row in table)
    assert next(row for row in table if row["method"] == "sgd")["hyperparameters.betas.0"] is None


def test_csv_is_read_back_to_the_bit(result, tmp_path):
    write_csv(result, tmp_path / "race.csv")
    with open(tmp_path / "race.csv", newline="") as file:
        read = list(csv.DictReader(file))
    for text, row in zip(read, rows(result), strict=True):
        assert float(text["seconds"]) == row["seconds"]
        assert tuple(json.loads(text["validation_loss"])) == row["validation_loss"]
        assert text["result_hash"] == row["result_hash"]


def test_parquet_holds_what_pandas_does(result, tmp_path):
    pandas = pytest.importorskip("pandas", reason="thalweg[export] is not installed")
    pytest.importorskip("pyarrow", reason="thalweg[export] is not installed")
    write_parquet(result, tmp_path / "race.parquet")
    read, frame = pandas.read_parquet(tmp_path / "race.parquet"), result.to_pandas()
    assert list(read) == list(frame)
    assert read["test_metric"].equals(frame["test_metric"])
    assert read["validation_loss"].map(list).tolist() == frame["validation_loss"].map(list).tolist()


def test_a_hyperparameter_of_two_types_becomes_text(result, tmp_path):
    pytest.importorskip("pyarrow", reason="thalweg[export] is not installed")
    records = {
        place: tuple(replace(r, hyperparameters={"batch_size": "full" if place[1] == "sgd" else 32}) for r in of_place)
        for place, of_place in result.records.items()
    }
    mixed = replace(result, records=records)
    write_parquet(mixed, tmp_path / "race.parquet")
    assert set(mixed.to_pandas()["hyperparameters.batch_size"].dropna()) == {"full", "32"}


def test_a_missing_package_is_named_with_the_extra_that_brings_it(result, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ExtraMissing, match=r"to_pandas\(\) needs pandas.*thalweg\[export\]"):
        result.to_pandas()
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ExtraMissing, match=r"Parquet needs pyarrow.*thalweg\[export\]"):
        write_parquet(result, tmp_path / "race.parquet")
    assert list(tmp_path.iterdir()) == []
