"""Records and the folder that keeps them."""

import dataclasses
import json
import os

import pytest

from thalweg.race import Record, Store, StoreError


def record(**changes):
    values = {
        "key": "abc", "task": "iris", "method": "adam", "hyperparameters": {"lr": 0.1 + 0.2, "betas": (0.9, 0.999)},
        "master": 0, "rep": 3, "role": "final", "train_loss": (1.5, 1e-300), "validation_loss": (2.0, 1 / 3),
        "validation_accuracy": (0.3, 1.0), "test_accuracy": 0.95, "constant_accuracy": 0.35, "diverged": False,
        "seconds": 0.125, "forward_passes": 12, "backward_passes": 12, "examples": 180,
        "data_hash": "d", "init_hash": "i", "order_hash": "o",
    }  # fmt: skip
    return Record(**values | changes)


def test_a_record_is_read_back_to_the_bit(tmp_path):
    store = Store(tmp_path / "new" / "folder")
    store.put(record())
    assert store.get("abc") == record()


def test_a_record_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        record().test_accuracy = 1.0


def test_what_was_not_run_is_none(tmp_path):
    assert Store(tmp_path).get("abc") is None
    assert Store(tmp_path / "absent").get("abc") is None


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"schema": 1}', '{"schema": 0}', "\x00"])
def test_an_unreadable_record_is_an_error_that_names_the_file(tmp_path, text):
    store = Store(tmp_path)
    store.path("abc").write_text(text)
    with pytest.raises(StoreError, match=r"abc\.json is not a readable record .* delete it"):
        store.get("abc")


def test_a_record_under_the_name_of_another_trial_is_an_error(tmp_path):
    Store(tmp_path).put(record())
    os.rename(tmp_path / "abc.json", tmp_path / "def.json")
    with pytest.raises(StoreError, match=r"def\.json holds the record of another trial \(abc\)"):
        Store(tmp_path).get("def")


def test_a_failed_write_leaves_no_file(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(StoreError, match="No space left"):
        Store(tmp_path).put(record())
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_plain_json_that_anyone_can_read(tmp_path):
    Store(tmp_path).put(record())
    fields = json.loads((tmp_path / "abc.json").read_text())
    assert fields["hyperparameters"] == {"lr": 0.1 + 0.2, "betas": [0.9, 0.999]}
