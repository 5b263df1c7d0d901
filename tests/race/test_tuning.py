"""Equal budgets, search spaces, and the choice between draws."""

import math

import pytest

from thalweg.race import LogUniform, method_named
from thalweg.race.spaces import space_of
from thalweg.race.tuning import Draw, Study, settings
from thalweg.rules.gallery import GALLERY

BASE = dict.fromkeys(
    ("key", "task", "method", "role", "data_hash", "init_hash", "order_hash"), ""
) | dict.fromkeys(("master", "rep", "forward_passes", "backward_passes", "examples", "seconds"), 0)  # fmt: skip


def draw(accuracy, loss, diverged=False, lr=0.1):
    from thalweg.race import Record

    record = Record(
        **BASE, hyperparameters={"lr": lr}, train_loss=(loss,), validation_loss=(loss,),
        validation_accuracy=(accuracy,), test_accuracy=None, constant_accuracy=None, diverged=diverged,
    )  # fmt: skip
    return Draw({"lr": lr}, (record,))


def test_the_highest_validation_accuracy_is_chosen():
    draws = draw(0.8, 0.1), draw(0.9, 0.5), draw(0.7, 0.01)
    assert Study(draws).chosen is draws[1]


def test_ties_go_to_the_lower_loss_and_then_to_the_earlier_draw():
    draws = draw(0.9, 0.5), draw(0.9, 0.3), draw(0.9, 0.3, lr=0.2)
    assert Study(draws).chosen is draws[1]


def test_a_diverged_draw_is_worst_whatever_its_last_finite_values():
    draws = draw(1.0, 0.01, diverged=True), draw(0.1, 9.0)
    assert Study(draws).chosen is draws[1]


@pytest.mark.parametrize("name", ["sgd", "adam", "gravity", "ades", "ades_heavy_ball"])
@pytest.mark.parametrize("count", [1, 2, 10])
def test_every_method_gets_as_many_draws_the_first_its_published_default(name, count):
    drawn = settings(method_named(name), count, master=0)
    assert len(drawn) == count
    assert drawn[0] == GALLERY[name].rule.hyperparameters


def test_draws_stay_in_the_space_and_leave_all_else_as_published():
    method = method_named("ades")
    for drawn in settings(method, 30, master=1)[1:]:
        assert 1e-4 <= drawn["lr"] <= 10
        assert 1e-3 <= 1 - drawn["betas"][0] <= 1
        assert 1e-4 <= 1 - drawn["betas"][1] <= 1
        assert drawn["weight_decay"] == 0.0


def test_draws_cover_the_range_evenly_in_its_logarithm():
    drawn = settings(method_named("adam"), 9, master=0)[1:]
    positions = sorted((math.log10(setting["lr"]) + 5) / 5 for setting in drawn)
    assert all(i / 8 <= position <= (i + 1) / 8 for i, position in enumerate(positions))


def test_methods_are_tried_at_the_same_places_of_their_spaces():
    adam, sgd = (settings(method_named(name), 5, master=0) for name in ("adam", "sgd"))
    assert [s["lr"] for s in sgd[1:]] == pytest.approx([10 * s["lr"] for s in adam[1:]])


def test_the_master_seed_moves_the_draws():
    assert settings(method_named("adam"), 4, master=0)[1:] != settings(method_named("adam"), 4, master=1)[1:]


@pytest.mark.parametrize(
    ("lr", "edge"), [(1e-5, True), (1.7e-5, True), (2e-5, False), (1e-2, False), (0.7, True), (5.0, True)]
)
def test_a_value_within_5_percent_of_an_edge_is_reported(lr, edge):
    assert (LogUniform("lr", 1e-5, 1).edge_warning({"lr": lr}) is not None) == edge


def test_a_decay_rate_is_searched_by_its_distance_from_1():
    dimension = LogUniform("betas", 1e-3, 1, index=0, complement=True)
    moved = dimension.with_value_at({"betas": (0.5, 0.7)}, 1 / 3)
    assert moved["betas"] == (pytest.approx(0.99), 0.7)
    assert dimension.searched_value(moved) == pytest.approx(0.01)
    assert str(dimension) == "1 - betas[0]"


@pytest.mark.parametrize("name", GALLERY)
def test_every_rule_of_the_gallery_has_a_space_for_hyperparameters_that_it_has(name):
    hyperparameters = GALLERY[name].rule.hyperparameters
    for dimension in space_of(name):
        moved = dimension.with_value_at(hyperparameters, 0.5)
        assert dimension.searched_value(moved) == pytest.approx(math.sqrt(dimension.low * dimension.high))


def test_tuning_sees_workloads_without_a_test_part(small_result):
    for study in small_result.studies.values():
        records = [record for draw in study.draws for record in draw.records]
        assert {record.role for record in records} == {"tuning"}
        assert all(record.test_accuracy is None for record in records)


def test_tuning_has_splits_of_its_own(small_result):
    for place, study in small_result.studies.items():
        final = {record.data_hash for record in small_result.records[place]}
        assert not final & {record.data_hash for draw in study.draws for record in draw.records}
