"""The nearest known rule: known ones are found again, and what is none is not called one."""

import math
import random

import numpy as np
import pytest
import torch

from thalweg.evolve.judgement.families import FAMILIES
from thalweg.evolve.judgement.nearest import IS, SAME, nearest_known
from thalweg.evolve.judgement.streams import steps_on, streams_of
from thalweg.rules import Rule, gallery

# What steps can't tell from a simpler rule at these scales of gradients: Gravity's damping is of (g*max|g|)^2 and its
# growing beta hardly grows where beta is 0.5; ADES's own terms are of y^2; AMSGrad is Adam until the second moment
# shrinks, and RAdam is at small beta2. Yogi's second moment moves by signs, so that a fit may end beside the best one.
COVERED = {"gravity", "gravity_ema", "ades", "amsgrad", "radam", "yogi"}


def at_random(family, seed):
    """The gallery's rule of a family at hyperparameters drawn from a seed, and these by the names in its text."""
    draw = random.Random(seed)
    rule = gallery.find(family.name).rule
    scalars = rule.scalars(rule.hyperparameters) | dict(family.fixed) | {"weight_decay": 0.0}
    scalars["lr"] = math.exp(draw.uniform(math.log(1e-4), 0))
    scalars |= {name: draw.uniform(0.5, 0.97) for name in family.decays}
    changed = {
        key: scalars[key] if names == (key,) else tuple(scalars[name] for name in names)
        for key, names in rule.read_as.items()
    }
    return rule.replace(**changed), scalars


@pytest.mark.parametrize("family", [f for f in FAMILIES if f.name not in COVERED], ids=lambda family: family.name)
@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 12))])
def test_a_known_rule_is_found_again_with_its_hyperparameters(family, seed):
    rule, scalars = at_random(family, seed)
    found = nearest_known(rule)
    assert found.name == family.name
    assert found.error < SAME
    values = (
        gallery.find(found.name)
        .rule.replace(**found.hyperparameters)
        .scalars({**gallery.find(found.name).rule.hyperparameters, **found.hyperparameters})
    )
    for name in ("lr", *family.decays):
        assert values[name] == pytest.approx(scalars[name], rel=0.03), name


@pytest.mark.parametrize("name", ["gravity_ema", "radam", "yogi"])
def test_the_others_are_found_at_their_published_settings(name):
    assert nearest_known(gallery.find(name).rule).name == name


def test_ades_as_it_was_evolved_is_the_heavy_ball():
    # spec: a = 0.0892171, b = 0.999061; mu = 1 - a(1 + b), eta = a b.
    rule = Rule("ades", "y = y - 0.0892171*((y + 0.999061)*(y + g) + y)\n w = w + y")
    found = nearest_known(rule)
    assert found.name == "heavy_ball"
    assert found.error < 0.01
    assert found.hyperparameters["momentum"] == pytest.approx(0.8216, abs=1e-3)
    assert found.hyperparameters["lr"] == pytest.approx(0.0891, abs=1e-4)
    assert found.sentence.startswith("this is momentum with mu = 0.822, lr = 0.0891, to within 0.")


def test_the_heavy_ball_of_its_constants_is_one_to_rounding():
    found = nearest_known(gallery.find("ades_heavy_ball").rule)
    assert found.name == "heavy_ball"
    assert found.sentence.endswith("to rounding")


def test_autolr_s_sign_is_sign_descent():
    rule = Rule("sign", "q = safe_div(0.0136636, safe_div(g, sqrt(g*g)))\n w = w - 0.0613374*q")
    found = nearest_known(rule)
    assert (found.name, found.error) == ("sign", pytest.approx(0, abs=1e-9))
    assert found.hyperparameters["lr"] == pytest.approx(0.0613374 * 0.0136636)


def test_momentum_as_a_moving_average_is_the_heavy_ball_of_another_lr():
    found = nearest_known(gallery.find("ema_momentum").rule.replace(lr=0.5, beta=0.9))
    assert found.name == "heavy_ball"
    assert found.hyperparameters["lr"] == pytest.approx(0.05)


def test_what_is_no_known_rule_is_said_to_be_none():
    found = nearest_known(Rule("odd", "x = 0.9*x + g\n w = w - 0.001*sign(x)*sqrt(abs(x))"))
    assert found.error > IS
    assert found.sentence.startswith("no known rule comes nearer than")


def test_climbing_is_no_nearer_than_standing_still():
    found = nearest_known(Rule("up", "w = w + 0.1*g"))
    assert found.error == pytest.approx(1)
    assert "standing still" in found.sentence


@pytest.mark.parametrize("text", ["w = w - 0*g", "w = w - 1e200*g*1e200"])
def test_a_rule_without_finite_steps_is_compared_with_none(text):
    found = nearest_known(Rule("r", text))
    assert (found.name, found.error) == ("", math.inf)


def test_the_error_is_that_of_the_steps():
    # Of a gradient that is 1 and 3 by turns, the best lr of steps g^2 is <g, g^2>/<g, g>, on the recorded weight alone.
    found = nearest_known(Rule("r", "w = w - 0.1*g"), [np.tile([[1.0], [3.0]], (10, 1))])
    assert found.name == "sgd"
    assert found.error < 1e-6


def test_recorded_gradients_count():
    # At gradients of 1e-4 to 0.05 this is descent; at ten it is not.
    rule = Rule("bent", "w = w - 0.1*g/(1 + square(0.5*g))")
    assert nearest_known(rule).name == "sgd"
    recorded = 10 * np.random.default_rng(0).standard_normal((30, 12))
    assert nearest_known(rule, [recorded, recorded[:, :3]]).error > 0.1


@pytest.mark.parametrize("bad", [np.zeros(5), np.full((3, 2), np.nan), np.zeros((0, 3))])
def test_recorded_gradients_of_another_form_are_refused(bad):
    with pytest.raises(ValueError, match="gradients must be finite arrays"):
        nearest_known(Rule("r", "w = w - g"), [bad])


@pytest.mark.parametrize("name", ["adam", "radam", "gravity", "nadam", "rprop"])
def test_steps_with_many_settings_at_once_are_those_of_one_after_another(name):
    rule = gallery.find(name).rule
    streams = streams_of()
    lrs = torch.tensor([0.1, 0.3], dtype=torch.float64)
    together = steps_on(rule, streams, {"lr": lrs})
    for place, lr in enumerate(lrs.tolist()):
        torch.testing.assert_close(together[place], steps_on(rule.replace(lr=lr), streams)[0])


def test_the_same_rule_gives_the_same_answer():
    rule = Rule("r", "x = 0.7*x + g\n w = w - 0.01*x/(abs(x) + 0.001)")
    assert nearest_known(rule) == nearest_known(rule)
