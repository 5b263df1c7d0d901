"""Budgets and settings: what is understood, and what is refused."""

import json

import pytest

from thalweg.evolve.settings import PRESETS, Budget, Settings, parsed, preset_named


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("90s", Budget(seconds=90.0)),
        ("10m", Budget(seconds=600.0)),
        ("1.5h", Budget(seconds=5400.0)),
        ("2000c", Budget(candidates=2000)),
        (" 5m ", Budget(seconds=300.0)),
    ],
)
def test_a_budget_is_a_time_or_a_number_of_candidates(text, budget):
    assert Budget.parsed(text) == budget


@pytest.mark.parametrize("text", ["", "10", "m", "-3m", "0s", "0c", "1.5c", "10 minutes", "1e3s", "nan s", None])
def test_any_other_budget_is_refused_with_its_value(text):
    with pytest.raises(ValueError, match="budget must be a time") as refusal:
        Budget.parsed(text)
    assert repr(text) in str(refusal.value)


def test_a_budget_is_spent_by_what_it_counts_alone():
    assert Budget(candidates=10).share(9, 1e9, 10**9) == 0.9
    assert Budget(candidates=10).share(10, 0.0, 0) == 1.0
    assert Budget(seconds=5.0).share(10**9, 2.5, 10**9) == 0.5
    assert Budget(examples=100).share(10**9, 1e9, 200) == 1.0


@pytest.mark.parametrize(
    ("text", "setting"),
    [
        ("population=64", ("population", 64)),
        (" fresh = 0.1 ", ("fresh", 0.1)),
        ("proxy=no", ("proxy", False)),
        ("rungs=0.25,0.5", ("rungs", (0.25, 0.5))),
        ("rungs=none", ("rungs", ())),
        ("floor=none", ("floor", None)),
        ("floor=0.8", ("floor", 0.8)),
        ("edits=0.15", ("edits", 0.15)),
        ("edits=few", ("edits", "few")),
        ("search=random", ("search", "random")),
    ],
)
def test_a_setting_is_read_as_what_it_is(text, setting):
    assert parsed(text) == setting


@pytest.mark.parametrize(
    "text", ["population", "popluation=3", "population=many", "proxy=maybe", "rungs=early", "seed=1"]
)
def test_what_is_no_setting_is_refused_with_what_was_given(text):
    with pytest.raises(ValueError, match="must be") as refusal:
        parsed(text)
    assert repr(text.partition("=")[2]) in str(refusal.value) or repr(text) in str(refusal.value)


@pytest.mark.parametrize("name", PRESETS)
def test_presets_come_back_from_json_as_they_were(name):
    assert Settings.from_json(json.loads(json.dumps(preset_named(name).to_json()))) == PRESETS[name]


def test_the_paper_preset_has_the_numbers_of_table_1():
    paper = PRESETS["paper"]
    assert (paper.population, paper.tournament, paper.crossover, paper.edits) == (20, 5, 0.9, 0.15)
    assert (paper.trials, paper.floor, paper.trial, paper.elites) == (5, 0.8, "worst", 1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"population": 1}, "population must be a whole number of at least 2, got 1"),
        ({"batch": 0}, "batch must be a whole number of at least 1, got 0"),
        ({"batch": 2.5}, "batch must be a whole number"),
        ({"crossover": 1.5}, "crossover must be a share from 0 to 1, got 1.5"),
        ({"control": float("nan")}, "control must be a share"),
        ({"search": "lucky"}, "search must be one of ageing, generational, random, got 'lucky'"),
        ({"across": "best"}, "across must be one of mean, worst, rank"),
        ({"rungs": (0.5, 0.25)}, "rungs must be rising shares"),
        ({"rungs": (1.0,)}, "rungs must be shares of a training"),
        ({"rungs": 0.5}, "rungs must be shares of a training, between 0 and 1, got 0.5"),
        ({"floor": "high"}, "floor must be a score or None, got 'high'"),
        ({"edits": "lots"}, "edits must be 'few' or a rate"),
        ({"proxy": "no"}, "proxy must be true or false, got 'no'"),
        ({"grammar": 3}, "grammar must be a name or a path, got 3"),
        ({"tournament": 1000}, "tournament must be at most population"),
        ({"popluation": 10}, "there is no setting 'popluation'"),
    ],
)
def test_settings_out_of_bounds_are_refused_by_name(changes, message):
    with pytest.raises(ValueError, match=message):
        Settings().changed(**changes)


def test_an_unknown_preset_is_refused_with_those_that_there_are():
    with pytest.raises(ValueError, match="preset must be one of laptop, gpu, paper, got 'huge'"):
        preset_named("huge")
