"""Records: what is written is read again, what is damaged is refused, and nobody sees half of a file."""

import math

import numpy as np
import pytest

from thalweg.reproduce import Measured, Records

ONE = Measured("IV", "iris", "adam", "accuracy", (95.5, math.inf), (93.0,), 55.56, "batch size", "a tenth")
TWO = Measured("text", "", "adam", "loss", (0.0,), constant=0.0)
RECORDS = Records("made", (ONE, TWO), {"curve": [1.0, math.nan]}, {"parts": {"a": {"seconds": 1.5}}, "seeds": 2})


def test_a_file_gives_back_what_was_written(tmp_path):
    RECORDS.write(tmp_path / "records.json")
    found = Records.read((tmp_path / "records.json").read_text())
    assert found.measured == RECORDS.measured
    assert found.settings == RECORDS.settings
    assert found.figures["curve"][0] == 1.0
    assert math.isnan(found.figures["curve"][1])
    assert found.to_json() == RECORDS.to_json()
    assert Records.read(Records("made", ()).to_json()) == Records("made", ())


def test_numbers_are_kept_to_six_digits_also_those_of_numpy():
    numbers = (np.float64(1 / 3), np.float32(0.5), np.int64(7))
    found = Records.read(Records("made", (Measured("I", "a", "b", "c", numbers),), {"x": np.float32(2)}).to_json())
    assert found.measured[0].protocol == (0.333333, 0.5, 7.0)
    assert found.figures == {"x": 2.0}


def test_what_is_joined_later_replaces_what_is_there():
    newer = Measured("IV", "iris", "adam", "accuracy", (96.0,))
    other = Measured("V", "iris", "adam", "accuracy", (97.0,))
    more = Records("made", (newer, other), {"bars": 1}, {"parts": {"b": {"seconds": 2.0}}, "seeds": 3})
    joined = RECORDS.joined([more])
    assert joined.measured == (newer, TWO, other)
    assert joined.of(ONE.cell) == newer
    assert joined.of(("IV", "iris", "sgd", "accuracy")) is None
    assert joined.figures.keys() == {"curve", "bars"}
    assert joined.settings == {"parts": {"a": {"seconds": 1.5}, "b": {"seconds": 2.0}}, "seeds": 3}
    assert RECORDS.settings["parts"] == {"a": {"seconds": 1.5}}


GOOD = RECORDS.to_json()
DAMAGED = {
    "nothing": "",
    "half": GOOD[: len(GOOD) // 2],
    "a list": "[]",
    "another schema": GOOD.replace('"schema": 1', '"schema": 9'),
    "no cells": GOOD.replace('"measured"', '"measures"'),
    "a cell that is a number": GOOD.replace('"measured": [', '"measured": [1,'),
    "a cell without a row": GOOD.replace('"row": "iris", ', ""),
    "a cell with more": GOOD.replace('"row"', '"colour": "red", "row"', 1),
    "words for numbers": GOOD.replace("[95.5, Infinity]", '["many"]'),
    "settings that are none": GOOD.replace('"settings": {', '"settings": 3, "other": {'),
}


@pytest.mark.parametrize("what", DAMAGED)
def test_what_is_damaged_is_refused(what):
    assert DAMAGED[what] != GOOD
    with pytest.raises(ValueError, match="the records of a reproduction are damaged"):
        Records.read(DAMAGED[what])


def test_a_file_that_cannot_be_written_whole_is_not_touched(tmp_path):
    path = tmp_path / "records.json"
    RECORDS.write(path)
    with pytest.raises(TypeError):
        Records("made", (ONE,), {"x": object()}).write(path)
    assert path.read_text() == GOOD
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(OSError, match="absent"):
        RECORDS.write(tmp_path / "absent" / "records.json")
