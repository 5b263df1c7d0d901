"""The draws of a study: their number, their places, and that a resumed study equals an uninterrupted one."""

import json
import logging
import math
import os
import random
import subprocess
import sys
from pathlib import Path
from statistics import median

import numpy as np
import pytest
import torch

from thalweg.race.record import values_from_json
from thalweg.race.sampling import SAMPLERS, next_draws
from thalweg.race.spaces import Choice, Float, Integer, space_of
from thalweg.rules.gallery import GALLERY

ROOT = Path(__file__).parents[2]
SPACE = (Float("lr", 1e-5, 1), Float("weight_decay", 1e-6, 0.1))
DEFAULT = {"lr": 1e-3, "weight_decay": 0.01}
MIXED = (
    Float("lr", 1e-4, 10),
    Choice("schedule", ("constant", "cosine", "step")),
    Float("betas", 1e-3, 1, index=0, complement=True),
    Float("dropout", 0, 0.5, log=False),
    Integer("patience", 1, 8, log=True),
)
MIXED_DEFAULT = {"lr": 30.0, "schedule": "plateau", "betas": (0.9, 0.999), "dropout": 0.0, "patience": 0, "eps": 1e-8}
# A suggestion of the Gaussian process costs a fifth of a second, so it is asked for few.
SOME = {sampler: 8 if sampler == "gp" else 25 for sampler in SAMPLERS}
each_sampler = pytest.mark.parametrize("sampler", SAMPLERS)


def height(setting):
    """A hill with its top at lr = 10**-2.3 and weight_decay = 10**-3.7."""
    return -((math.log10(setting["lr"]) + 2.3) ** 2) - (math.log10(setting["weight_decay"]) + 3.7) ** 2


def study(sampler, draws, seed=0, space=SPACE, default=DEFAULT, score=height, history=()):
    """A whole study, from its history on: (setting, score) pairs."""
    history = list(history)
    while batch := next_draws(space, default, sampler=sampler, seed=seed, draws=draws, history=history):
        history += [(setting, score(setting)) for setting in batch]
    return history


def settings(history):
    return [setting for setting, _ in history]


def read_back(history):
    return [(values_from_json(setting), score) for setting, score in json.loads(json.dumps(history))]


# The budget


@pytest.mark.parametrize("draws", [1, 2, 5, 6, 12])
@each_sampler
def test_every_method_gets_as_many_draws_the_first_its_published_default(sampler, draws):
    for space, default in ((SPACE, DEFAULT), (MIXED, MIXED_DEFAULT), (SPACE[:1], DEFAULT), ((), DEFAULT)):
        if sampler == "gp" and draws > 6:
            continue  # it takes its time, and is asked elsewhere
        drawn = settings(study(sampler, draws, space=space, default=default, score=lambda setting: setting["lr"]))
        assert len(drawn) == draws
        assert drawn[0] == default


@each_sampler
def test_there_are_none_after_the_last(sampler):
    assert next_draws(SPACE, DEFAULT, sampler=sampler, draws=3, history=[(DEFAULT, 1.0)] * 3) == []
    assert next_draws(SPACE, DEFAULT, sampler=sampler, draws=3, history=[(DEFAULT, 1.0)] * 4) == []


@each_sampler
def test_a_method_with_nothing_to_tune_repeats_its_default(sampler):
    assert settings(study(sampler, 25, space=())) == [DEFAULT] * 25


@each_sampler
def test_draws_stay_in_the_space_and_leave_all_else_as_published(sampler):
    history = study(
        sampler, SOME[sampler], seed=1, space=MIXED, default=MIXED_DEFAULT, score=lambda setting: -setting["lr"]
    )
    for setting in settings(history)[1:]:
        assert 1e-4 <= setting["lr"] <= 10
        assert setting["schedule"] in ("constant", "cosine", "step")
        assert 1e-3 - 1e-15 <= 1 - setting["betas"][0] <= 1
        assert 0 <= setting["dropout"] <= 0.5
        # A grid too coarse to vary a dimension leaves it as published, even if that lies outside.
        assert setting["patience"] in range(1, 9) or (sampler == "grid" and setting["patience"] == 0)
        assert type(setting["patience"]) is int
        assert setting["betas"][1] == 0.999
        assert setting["eps"] == 1e-8


# Resuming


@each_sampler
def test_a_resumed_study_equals_the_uninterrupted_one(sampler):
    draws, cuts = (8, (6, 7)) if sampler == "gp" else (25, (1, 5, 11, 13, 16, 21, 24))
    whole = study(sampler, draws, seed=3)
    for cut in cuts:
        assert study(sampler, draws, seed=3, history=read_back(whole[:cut])) == whole


@pytest.mark.parametrize("sampler", ["qmc", "random", "tpe"])
def test_more_draws_only_add_to_a_study(sampler):
    longer = study(sampler, 24, seed=3)
    for draws in (3, 11, 18):
        assert study(sampler, draws, seed=3) == longer[:draws]


def test_what_a_batch_holds_is_settled_when_it_begins():
    whole = study("tpe", 25, seed=3)
    others = whole[:11] + [(setting, -score) for setting, score in whole[11:14]]
    assert next_draws(SPACE, DEFAULT, sampler="tpe", seed=3, draws=25, history=others) == settings(whole[14:16])


@pytest.mark.slow
def test_another_process_comes_to_the_same_draws():
    code = (
        "import sys; from race.test_sampling import settings, study; import thalweg; "
        "assert 'optuna' not in sys.modules, 'optuna is imported before it is needed'; "
        "print(settings(study('tpe', 16, seed=3)))"
    )
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'tests'}{os.pathsep}{ROOT / 'src'}", "PYTHONHASHSEED": "77"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == str(settings(study("tpe", 16, seed=3))), done.stderr


@pytest.mark.parametrize("sampler", ["tpe", "gp"])
def test_samplers_that_learn_do_not_repeat_themselves(sampler):
    drawn = settings(study(sampler, SOME[sampler], seed=5))
    assert len({json.dumps(setting) for setting in drawn}) == len(drawn)


@pytest.mark.parametrize("sampler", ["qmc", "random", "tpe"])
def test_the_seed_moves_the_draws(sampler):
    assert not any(a == b for a, b in zip(study(sampler, 12)[1:], study(sampler, 12, seed=1)[1:], strict=True))


# Places


def test_halton_draws_cover_the_range_evenly_in_its_logarithm():
    drawn = settings(study("qmc", 9))[1:]
    positions = sorted((math.log10(setting["lr"]) + 5) / 5 for setting in drawn)
    assert all(i / 8 <= position <= (i + 1) / 8 for i, position in enumerate(positions))


def test_methods_are_tried_at_the_same_places_of_the_dimensions_that_they_share():
    drawn = {}
    for name in ("adam", "sgd", "adamw", "ades"):
        default = {**GALLERY[name].rule.hyperparameters, "schedule": "constant"}
        drawn[name] = next_draws(space_of(name, default), default, draws=25)[1:]
    rates = [setting["lr"] for setting in drawn["adam"]]
    for name, scale in (("adamw", 1), ("sgd", 10), ("ades", 10)):  # ranges from 1e-5 to 1, and from 1e-4 to 10
        assert [setting["lr"] for setting in drawn[name]] == pytest.approx([scale * rate for rate in rates])
        assert [setting["schedule"] for setting in drawn[name]] == [setting["schedule"] for setting in drawn["adam"]]
    assert 10 <= sum(setting["schedule"] == "cosine" for setting in drawn["adam"]) <= 14


@pytest.mark.parametrize("sampler", ["tpe", "gp"])
def test_samplers_that_learn_begin_as_halton_does(sampler):
    start = next_draws(SPACE, DEFAULT, sampler=sampler, draws=25)
    assert start == next_draws(SPACE, DEFAULT, sampler="qmc", draws=25)[: len(start)]
    assert len(start) == {"tpe": 11, "gp": 6}[sampler]


def test_a_grid_of_one_dimension_is_evenly_spaced_from_edge_to_edge():
    drawn = settings(study("grid", 12, space=SPACE[:1]))[1:]
    assert [math.log10(setting["lr"]) for setting in drawn] == pytest.approx(np.linspace(-5, 0, 11), abs=1e-12)


def test_a_grid_of_several_is_a_full_factorial_with_the_edges():
    default = {**GALLERY["adam"].rule.hyperparameters, "schedule": "constant"}
    drawn = next_draws(space_of("adam", default), default, sampler="grid", draws=25)[1:]
    rates = np.geomspace(1e-5, 1, 12)
    assert [setting["lr"] for setting in drawn] == pytest.approx(np.repeat(rates, 2))
    assert [setting["schedule"] for setting in drawn] == ["constant", "cosine"] * 12


@pytest.mark.parametrize("name", ["adam", "adamw", "ades"])
@pytest.mark.parametrize("draws", [5, 9, 25])
def test_every_grid_covers_the_edges_of_what_it_varies_and_repeats_nothing(name, draws):
    default = {**GALLERY[name].rule.hyperparameters, "schedule": "constant"}
    space = space_of(name, default)
    drawn = next_draws(space, default, sampler="grid", draws=draws)[1:]
    assert len({json.dumps(setting) for setting in drawn}) == len(drawn)
    for dimension in space:
        found = {dimension.value_in(setting) for setting in drawn}
        assert {dimension.at(0), dimension.at(1)} <= found or found == {dimension.value_in(default)}
    assert {space[0].at(0), space[0].at(1)} <= {setting["lr"] for setting in drawn}


def test_what_no_grid_holds_comes_from_halton():
    drawn = settings(study("grid", 8))[1:]  # seven settings of two dimensions: 3 x 2, and one more
    assert len({setting["lr"] for setting in drawn[:6]}) == 3
    assert len({setting["weight_decay"] for setting in drawn[:6]}) == 2
    assert drawn[6] == settings(study("qmc", 2))[1]


# Learning


@pytest.mark.parametrize("sampler", ["tpe", "gp"])
def test_learning_from_scores_finds_the_top_of_a_hill_better_than_chance(sampler):
    seeds, draws = range(3 if sampler == "gp" else 15), SOME[sampler]
    best = {
        s: median(max(score for _, score in study(s, draws, seed=seed)) for seed in seeds) for s in (sampler, "random")
    }
    assert best[sampler] > best["random"] / 2  # heights are below 0: less than half as far from the top


def test_diverged_draws_are_worst_and_teach():
    def cliff(worst):
        return lambda setting: worst if setting["lr"] > 1e-3 else -math.log10(setting["lr"])

    for worst in (None, math.nan, -math.inf):
        history = study("tpe", 41, seed=2, space=SPACE[:1], score=cliff(worst))
        diverged = [setting["lr"] > 1e-3 for setting in settings(history)]
        assert sum(diverged[1:11]) >= 5  # three of the five decades
        assert sum(diverged[11:]) <= 6


@pytest.mark.parametrize("sampler", ["tpe", "gp"])
@pytest.mark.parametrize("score", [None, 0.5], ids=["all diverged", "all equal"])
def test_a_history_that_teaches_nothing_stops_nobody(sampler, score):
    assert len(study(sampler, SOME[sampler], score=lambda setting: score)) == SOME[sampler]


def test_how_far_a_draw_lies_below_all_others_does_not_matter():
    history = [(setting, height(setting)) for setting in next_draws(SPACE, DEFAULT, sampler="gp", draws=8)]
    batches = [
        next_draws(SPACE, DEFAULT, sampler="gp", draws=8, history=[*history[:5], (history[5][0], score)])
        for score in (-1e3, -1e30)
    ]
    assert batches[0] == batches[1]


# Manners


@each_sampler
def test_the_global_generators_the_threads_and_the_logs_are_left_alone(sampler, capfd):
    import optuna  # the first import sets up its log

    def world():
        threads = torch.get_num_threads(), torch.is_grad_enabled(), torch.get_default_dtype()
        logs = logging.getLogger("optuna").level, optuna.logging.get_verbosity(), logging.getLogger().level
        legacy = np.random.get_state()[1].tolist()  # noqa: NPY002  # the one that must not be touched
        return random.getstate(), legacy, torch.get_rng_state().tolist(), threads, logs

    before = world()
    study(sampler, SOME[sampler])
    assert world() == before
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sampler": "tpf"}, "sampler must be one of qmc, grid, random, tpe, gp, got 'tpf'; did you mean tpe?"),
        ({"sampler": "bayes"}, "sampler must be one of qmc, grid, random, tpe, gp, got 'bayes'"),
        ({"draws": 0}, "draws must be >= 1, got 0"),
        ({"seed": -1}, "seed must be >= 0, got -1"),
        ({"space": (Float("beta", 0.1, 1),)}, "cannot search beta: name must be a hyperparameter of the method"),
    ],
)
def test_what_makes_no_study_is_refused(arguments, message):
    with pytest.raises(ValueError, match=r".") as error:
        next_draws(arguments.pop("space", SPACE), DEFAULT, **arguments)
    assert message in str(error.value)
