"""A race as a whole."""

from dataclasses import replace

import pytest
from race.small import comparable, small_tasks

from thalweg.race import Store, Summary, method_named, race, with_ablations


def test_naming_a_method_adds_its_plain_forms():
    assert with_ablations(["gravity", "adam", "gravity"]) == ["gravity", "adam", "gravity_ema_noise", "gravity_ema"]
    assert with_ablations(["ades_heavy_ball", "ades"]) == ["ades_heavy_ball", "ades"]


def test_a_second_race_runs_nothing_and_says_the_same(small_result, tmp_path):
    tasks, methods = small_tasks("iris"), [method_named("sgd")]
    first, second = (race(tasks, methods, seeds=2, draws=2, store=tmp_path, workers=1) for _ in range(2))
    assert (first.found, second.found) == (0, second.trials)
    assert first.records == second.records
    assert first.trials == len(list(tmp_path.iterdir())) == 2 * 2 + 2


def test_results_do_not_depend_on_what_else_is_raced(small_result, tmp_path):
    alone = race(small_tasks("wine"), [method_named("adam")], seeds=8, draws=3, store=tmp_path, workers=1)
    (records,), (together,) = comparable(alone)[1].values(), [comparable(small_result)[1]["wine", "adam"]]
    assert records == together


def test_more_seeds_keep_the_trials_that_are_there(tmp_path):
    arguments = small_tasks("iris"), [method_named("sgd")]
    few = race(*arguments, seeds=2, draws=2, store=tmp_path, workers=1)
    many = race(*arguments, seeds=4, draws=2, store=tmp_path, workers=1)
    assert many.found == few.trials
    assert many.records["iris", "sgd"][:2] == few.records["iris", "sgd"]


def test_all_methods_are_paired_and_tuned_alike(small_result):
    summary = Summary(small_result)
    assert summary.paired
    assert summary.equal_budget


def test_unpaired_records_are_found(small_result):
    records = dict(small_result.records)
    first, *others = records["iris", "adam"]
    records["iris", "adam"] = (replace(first, init_hash="other"), *others)
    assert not Summary(replace(small_result, records=records)).paired


def test_a_summary_holds_every_method_and_the_constant_answer(small_result):
    summary = Summary(small_result)
    assert {row.method for row in summary.rows} == {method.name for method in small_result.methods}
    assert sum(row.rank for row in summary.rows) == pytest.approx(1 + 2 + 3 + 4 + 5)
    assert summary.constant["iris"].mean == pytest.approx(1 / 3)
    assert {(a.method, a.plain) for a in summary.ablations} == {
        ("gravity", "gravity_ema_noise"),
        ("gravity", "gravity_ema"),
    }


@pytest.mark.parametrize("bad", [{"seeds": 0}, {"draws": 0}, {"seed": -1}, {"workers": 0}])
def test_settings_out_of_range_are_refused(bad, tmp_path):
    with pytest.raises(ValueError, match=f"must be >= .*, got {next(iter(bad.values()))}"):
        race(small_tasks("iris"), [method_named("sgd")], store=tmp_path, **bad)


def test_a_method_twice_is_refused(tmp_path):
    with pytest.raises(ValueError, match="methods must hold at least one, each once"):
        race(small_tasks("iris"), [method_named("sgd")] * 2, store=tmp_path)


def test_every_record_is_in_the_store(small_result, tmp_path):
    result = race(small_tasks("iris"), [method_named("sgd")], seeds=1, draws=1, store=tmp_path, workers=1)
    (record,) = result.records["iris", "sgd"]
    assert Store(tmp_path).get(record.key) == record
