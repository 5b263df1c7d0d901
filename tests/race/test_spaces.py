"""Dimensions and search spaces: scales, edges, files, and what each method of the gallery searches."""

import json
import math
import pickle
from importlib import resources

import pytest

from thalweg.race.spaces import (
    Choice,
    Float,
    Integer,
    LogUniform,
    check_space,
    dimension_from_dict,
    load_space,
    space_of,
)
from thalweg.rules.gallery import GALLERY

# The hyperparameters that every method has beside those of its rule.
RECIPE = {
    "schedule": "constant", "warmup": 0.0, "l1": 0.0, "dropout": 0.0, "label_smoothing": 0.0, "batch_size": 32,
    "patience": 0,
}  # fmt: skip
RACED = [name for name, entry in GALLERY.items() if not entry.reference]
DIMENSIONS = [
    Float("lr", 1e-5, 1),
    Float("dropout", 0, 0.5, log=False),
    Float("betas", 1e-3, 1, index=1, complement=True),
    Integer("patience", 2, 9),
    Integer("batch_size", 1, 512, log=True),
    Choice("batch_size", (1, 32, "full")),
    Choice("betas", ((0.9, 0.99), (0.9, 0.999))),
]
each_dimension = pytest.mark.parametrize("dimension", DIMENSIONS, ids=str)


def hyperparameters_of(name):
    return {**GALLERY[name].rule.hyperparameters, **RECIPE}


def written(tmp_path, text):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return path


# Scales


@pytest.mark.parametrize(
    ("low", "high", "log", "middle"), [(1e-4, 1, True, 1e-2), (0.0, 0.5, False, 0.25), (-1, 1, False, 0)]
)
def test_positions_are_even_in_the_scale_searched(low, high, log, middle):
    dimension = Float("x", low, high, log)
    assert dimension.at(0) == low
    assert dimension.at(1) == high
    assert dimension.at(0.5) == pytest.approx(middle)


@pytest.mark.parametrize(("low", "high"), [(1e-5, 1), (1e-4, 10), (0.3, 0.7), (1e-12, 1e12)])
def test_rounding_never_carries_a_value_over_an_edge(low, high):
    values = [Float("x", low, high).at(k / 1000) for k in range(1001)]
    assert values[0] == low
    assert values[-1] == high
    assert values == sorted(values)


@each_dimension
def test_a_value_is_found_again_at_its_position(dimension):
    for k in range(50):
        value = dimension.at(k / 49)
        again = dimension.at(dimension.position(value))
        assert again == (pytest.approx(value) if isinstance(dimension, Float) else value)


def test_whole_numbers_share_the_range_equally():
    values = [Integer("patience", 2, 5).at((k + 0.5) / 400) for k in range(400)]
    assert {value: values.count(value) for value in values} == {2: 100, 3: 100, 4: 100, 5: 100}


def test_choices_share_the_range_equally():
    values = [Choice("schedule", ("a", "b", "c")).at((k + 0.5) / 300) for k in range(300)]
    assert {value: values.count(value) for value in values} == {"a": 100, "b": 100, "c": 100}


def test_a_value_beyond_the_range_has_the_position_of_the_nearer_edge():
    assert Float("weight_decay", 1e-6, 0.1).position(0.0) == 0
    assert Float("lr", 1e-5, 1).position(30.0) == 1
    assert Integer("patience", 2, 5).position(70) == Integer("patience", 2, 5).position(5)


def test_a_value_of_another_kind_has_no_position():
    assert Integer("batch_size", 1, 512).position("full") is None
    assert Choice("batch_size", (32, 64)).position(50) is None
    assert Integer("batch_size", 1, 512).edge_warning({"batch_size": "full"}) is None


@each_dimension
def test_levels_are_spread_over_the_range_with_its_edges(dimension):
    for count in (2, 3):
        levels = dimension.levels(count)
        assert levels[0] == dimension.at(0)
        assert levels[-1] == dimension.at(1)
        assert (
            len(levels) == len(set(levels)) == min(count, 2 if dimension.name == "betas" == str(dimension) else count)
        )


def test_there_are_no_more_levels_than_values():
    assert Integer("patience", 2, 4).levels(9) == [2, 3, 4]
    assert Choice("schedule", ("a", "b", "c")).levels(9) == ["a", "b", "c"]


def test_a_decay_rate_is_searched_by_its_distance_from_1():
    dimension = Float("betas", 1e-3, 1, index=0, complement=True)
    moved = dimension.with_value_at({"betas": (0.5, 0.7), "lr": 0.1}, 1 / 3)
    assert moved == {"betas": (pytest.approx(0.99), 0.7), "lr": 0.1}
    assert dimension.searched_value(moved) == pytest.approx(0.01)
    assert str(dimension) == "1 - betas[0]"


@each_dimension
def test_setting_a_value_changes_nothing_else_and_leaves_the_original_alone(dimension):
    before = {"lr": 0.1, "dropout": 0.1, "betas": (0.9, 0.999), "patience": 3, "batch_size": 1}
    after = dimension.with_value_at(before, 0.4)
    assert before == {"lr": 0.1, "dropout": 0.1, "betas": (0.9, 0.999), "patience": 3, "batch_size": 1}
    assert dimension.value_in(after) == dimension.at(0.4)
    assert {name: after[name] for name in after if name != dimension.name} == {
        name: before[name] for name in before if name != dimension.name
    }


# Edges


@pytest.mark.parametrize(
    ("lr", "edge"), [(1e-5, True), (1.7e-5, True), (2e-5, False), (1e-2, False), (0.7, True), (5.0, True), (0.0, True)]
)
def test_a_value_within_5_percent_of_an_edge_is_reported(lr, edge):
    assert (LogUniform("lr", 1e-5, 1).edge_warning({"lr": lr}) is not None) == edge


@pytest.mark.parametrize(("dropout", "edge"), [(0.0, True), (0.02, True), (0.03, False), (0.47, False), (0.48, True)])
def test_edges_are_measured_in_the_scale_searched(dropout, edge):
    assert (Float("dropout", 0, 0.5, log=False).edge_warning({"dropout": dropout}) is not None) == edge


@pytest.mark.parametrize(("patience", "edge"), [(2, True), (3, False), (4, True)])
def test_the_first_and_last_whole_numbers_are_edges(patience, edge):
    assert (Integer("patience", 2, 4).edge_warning({"patience": patience}) is not None) == edge


def test_the_warning_says_what_lies_where():
    dimension = Float("betas", 1e-3, 1, index=0, complement=True)
    assert dimension.edge_warning({"betas": (0.999, 0.5)}) == "1 - betas[0] = 0.001 is at the edge of 0.001 to 1"


def test_choices_have_no_edge():
    assert Choice("schedule", ("constant", "cosine")).edge_warning({"schedule": "cosine"}) is None


# As data


@each_dimension
def test_a_dimension_survives_json_and_pickle(dimension):
    assert dimension_from_dict(json.loads(json.dumps(dimension.as_dict()))) == dimension
    assert pickle.loads(pickle.dumps(dimension)) == dimension
    assert hash(dimension) == hash(pickle.loads(pickle.dumps(dimension)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Float("lr", 1, 0.1), "low must be below high, got low = 1 and high = 0.1"),
        (lambda: Float("lr", 0.1, 0.1), "low must be below high"),
        (lambda: Float("lr", 0, 1), "low must be > 0 for a range searched by its logarithm, got 0"),
        (lambda: Float("lr", math.nan, 1), "low must be a finite number, got nan"),
        (lambda: Float("lr", 0.1, math.inf), "high must be a finite number, got inf"),
        (lambda: Float("lr", "0.1", 1), "low must be a finite number, got '0.1'"),
        (lambda: Float("lr", 0.1, 1, log=1), "log must be true or false, got 1"),
        (lambda: Float("betas", 0.1, 1, index=-1), "index must be a place in a tuple, from 0, got -1"),
        (lambda: Float("beta", 0.1, 1, complement="yes"), "complement must be true or false, got 'yes'"),
        (lambda: Float("", 0.1, 1), "name must be the name of a hyperparameter, got ''"),
        (lambda: Integer("patience", 1.5, 3), "low must be a whole number, got 1.5"),
        (lambda: Integer("patience", 0, 3, log=True), "low must be > 0 for a range searched by its logarithm"),
        (lambda: Choice("schedule", ("constant",)), "values must hold at least two, each once, got ['constant']"),
        (lambda: Choice("schedule", ("a", "b", "a")), "values must hold at least two, each once"),
        (lambda: Choice("schedule", "constant"), "values must be a list of choices, got 'constant'"),
        (lambda: Choice("schedule", ("a", None)), "values must hold numbers, texts or lists of numbers, got None"),
        (lambda: Float("lr", 0.1, 1).at(1.5), "position must be from 0 to 1, got 1.5"),
    ],
)
def test_what_cannot_be_searched_is_refused(make, message):
    with pytest.raises(ValueError, match=r".") as error:
        make()
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("dimension", "message"),
    [
        (Float("l", 0.1, 1), "cannot search l: name must be a hyperparameter of the method (lr, betas), got 'l'"),
        (Float("betas", 0.1, 1), "index must be 0 to 1, as betas = (0.9, 0.999), got None"),
        (Float("betas", 0.1, 1, index=2), "index must be 0 to 1, as betas = (0.9, 0.999), got 2"),
        (Float("lr", 0.1, 1, index=0), "index must be left out, as lr = 0.1 is no tuple, got 0"),
        (Integer("betas", 1, 2), "an integer cannot stand for betas = (0.9, 0.999)"),
    ],
)
def test_a_space_must_fit_the_hyperparameters(dimension, message):
    with pytest.raises(ValueError, match=r"cannot search") as error:
        check_space((dimension,), {"lr": 0.1, "betas": (0.9, 0.999)})
    assert message in str(error.value)


def test_nothing_is_searched_twice():
    betas = {"betas": (0.9, 0.999)}
    first, second = (Float("betas", 1e-3, 1, index=index, complement=True) for index in (0, 1))
    check_space((first, second), betas)
    for twice in ((first, first), (first, Choice("betas", ((0.9, 0.99), (0.5, 0.9)))), (DIMENSIONS[-1], second)):
        with pytest.raises(ValueError, match="each hyperparameter once"):
            check_space(twice, betas)


# Files


@pytest.mark.parametrize("name", RACED)
def test_every_rule_has_a_file_that_searches_its_learning_rate_first(name):
    assert resources.files("thalweg.race.spaces").joinpath(f"{name}.toml").is_file()
    space = space_of(name, hyperparameters_of(name))
    assert space[0].name == "lr"
    assert space[1] == Choice("schedule", ("constant", "cosine"))
    assert math.log10(space[0].high / space[0].low) == pytest.approx(5)  # as many decades for everyone


@pytest.mark.parametrize("name", GALLERY)
def test_every_space_searches_hyperparameters_that_the_rule_has(name):
    hyperparameters = hyperparameters_of(name)
    space = space_of(name, hyperparameters)
    check_space(space, hyperparameters)
    for dimension in space:
        assert dimension.value_in(dimension.with_value_at(hyperparameters, 0.5)) == dimension.at(0.5)


def test_no_file_is_left_over():
    files = {entry.name for entry in resources.files("thalweg.race.spaces").iterdir() if entry.name.endswith(".toml")}
    assert files == {f"{name}.toml" for name in (*GALLERY, "common", "default", "scales")}


@pytest.mark.parametrize("name", [name for name, entry in GALLERY.items() if entry.ablations])
def test_a_method_and_its_ablations_search_the_same(name):
    for ablation in GALLERY[name].ablations:
        assert space_of(ablation, hyperparameters_of(ablation)) == space_of(name, hyperparameters_of(name))


def test_what_else_the_methods_search():
    own = {name: [str(d) for d in space_of(name, hyperparameters_of(name))[2:]] for name in RACED}
    assert {name: searched for name, searched in own.items() if searched} == {
        "adamw": ["weight_decay"],
        "ades": ["1 - betas[0]", "1 - betas[1]"],
        "ades_heavy_ball": ["1 - betas[0]", "1 - betas[1]"],
    }


def test_names_may_have_hyphens():
    hyperparameters = hyperparameters_of("heavy_ball")
    assert space_of("heavy-ball", hyperparameters) == space_of("heavy_ball", hyperparameters)


@pytest.mark.parametrize("name", ["my_pkg:MyOpt", "common", "default", "../spaces/ades", ""])
def test_an_unknown_optimizer_searches_its_learning_rate(name):
    assert space_of(name, {"lr": 1e-3, **RECIPE}) == (
        Float("lr", 1e-5, 1.0), Choice("schedule", ("constant", "cosine"))
    )  # fmt: skip


def test_an_unknown_optimizer_without_a_learning_rate_needs_a_file(tmp_path):
    hyperparameters = {"growth": 1.0, **RECIPE}
    with pytest.raises(ValueError, match=r"'mine', and it has no hyperparameter named lr .* give a file"):
        space_of("mine", hyperparameters)
    path = written(tmp_path, '[growth]\nkind = "float"\nlow = 0.1\nhigh = 10\n')
    assert space_of("mine", hyperparameters, path)[0] == Float("growth", 0.1, 10)


def test_what_all_methods_search_follows_the_first_of_their_own(tmp_path):
    path = written(
        tmp_path,
        """
        [lr]
        kind = "float"
        low = 1e-3
        high = 0.1

        [beta2]
        kind = "float"
        name = "betas"
        index = 1
        low = 1e-3
        high = 1
        complement = true

        [batch_size]
        kind = "choice"
        values = [16, 64, "full"]

        [patience]
        kind = "integer"
        low = 1
        high = 9
        """,
    )
    own = (
        Float("lr", 1e-3, 0.1),
        Float("betas", 1e-3, 1, index=1, complement=True),
        Choice("batch_size", (16, 64, "full")),
        Integer("patience", 1, 9),
    )
    hyperparameters = hyperparameters_of("adam")
    assert load_space(path, hyperparameters) == own
    assert space_of("adam", hyperparameters, path) == (own[0], Choice("schedule", ("constant", "cosine")), *own[1:])


def test_a_file_may_search_otherwise_what_all_methods_search(tmp_path):
    path = written(tmp_path, '[schedule]\nkind = "choice"\nvalues = ["constant", "step"]\n')
    assert space_of("sgd", hyperparameters_of("sgd"), path) == (Choice("schedule", ("constant", "step")),)


def test_an_empty_file_leaves_what_all_methods_search(tmp_path):
    assert [str(d) for d in space_of("sgd", hyperparameters_of("sgd"), written(tmp_path, ""))] == ["schedule"]


LR = '[lr]\nkind = "float"\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[lr", "mine.toml is no TOML file: "),
        ("lr = 0.1", "[lr]: lr stands outside of any table"),
        ("[lr]\nlow = 0.1\nhigh = 1", "[lr]: kind must be one of float, integer, choice, got None"),
        ("[lr]\nkind = ['float']", "[lr]: kind must be one of float, integer, choice, got ['float']"),
        ("[lr]\nkind = 'int'", "[lr]: kind must be one of float, integer, choice, got 'int'"),
        (LR + "low = 0.1", "[lr]: high is missing; a float needs high"),
        (LR + "low = 0.1\nhi = 1", "[lr]: hi is no key of a float; its keys are kind, name, low, high, log"),
        (LR + "low = 1\nhigh = 0.1", "[lr]: low must be below high, got low = 1 and high = 0.1"),
        (LR + "low = 0\nhigh = 1", "[lr]: low must be > 0 for a range searched by its logarithm, got 0"),
        (LR + "low = 'a'\nhigh = 1", "[lr]: low must be a finite number, got 'a'"),
        ("[lr]\nkind = 'choice'\nvalues = [1]", "[lr]: values must hold at least two, each once, got [1]"),
        ("[rate]\nkind = 'float'\nlow = 1\nhigh = 2", "[rate]: cannot search rate: name must be a hyperparameter of"),
        ("[betas]\nkind = 'float'\nlow = 1\nhigh = 2", "[betas]: cannot search betas: index must be 0 to 1"),
        (
            f"{LR}low = 1\nhigh = 2\n[again]\nname = 'lr'\nkind = 'float'\nlow = 1\nhigh = 2",
            "[again]: space must hold each hyperparameter once, got lr twice",
        ),
    ],
)
def test_an_error_in_a_file_names_file_table_and_key(tmp_path, text, message):
    with pytest.raises(ValueError, match=r"mine\.toml") as error:
        load_space(written(tmp_path, text), {"lr": 0.1, "betas": (0.9, 0.999)})
    assert message in str(error.value)


def test_an_unreadable_file_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"cannot read the search space .*none\.toml: No such file"):
        load_space(tmp_path / "none.toml", {"lr": 0.1})
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match=r"bytes\.toml is no TOML file"):
        load_space(tmp_path / "bytes.toml", {"lr": 0.1})


def test_a_method_must_have_what_all_methods_search():
    with pytest.raises(ValueError, match=r"common\.toml, \[schedule\]: .* name must be a hyperparameter"):
        space_of("sgd", GALLERY["sgd"].rule.hyperparameters)
