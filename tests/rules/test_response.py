"""The response curve: how far a weight moves against its gradient, by the closed forms of known rules."""

from __future__ import annotations

import os
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
import torch

from thalweg import Rule
from thalweg.rules.gallery import GALLERY

G = torch.arange(-300, 301, dtype=torch.float64) / 100
RULES = {name: entry.rule for name, entry in GALLERY.items()}


def assert_equal(found: torch.Tensor, expected: torch.Tensor, rtol: float = 1e-15) -> None:
    torch.testing.assert_close(found, expected, rtol=rtol, atol=1e-300)


# Gravity, as its figures 3 to 5 draw it; the figures leave momentum out, and half of it is left in the first step.


@pytest.mark.parametrize("lr", [0.1, 0.25], ids=["figure-3", "figure-4"])
@pytest.mark.parametrize("m", [1.0, 1.25, 2.0], ids=["m-1", "figure-5-m-1.25", "figure-5-m-2"])
@pytest.mark.parametrize("first_step", [0, 1])
def test_gravity_moves_by_the_curve_of_its_paper(m, lr, first_step):
    rule = RULES["gravity"].replace(lr=lr, first_step=first_step)
    k0 = (0.9 * first_step + 1) / (first_step + 2)
    assert_equal(rule.response(G, reduction=1 / m), lr * (1 - k0) * G / (1 + (G / m) ** 2), rtol=1e-14)


@pytest.mark.parametrize("m", [1.0, 1.25, 2.0])
def test_gravity_moves_furthest_at_the_gradient_m_whatever_the_learning_rate(m):
    for lr in (0.1, 0.25):
        curve = RULES["gravity"].replace(lr=lr).response(G, reduction=1 / m)
        assert float(G[curve.argmax()]) == pytest.approx(m, abs=1e-9)
        assert float(curve.max()) == pytest.approx(lr * 0.5 * m / 2)


def test_gravity_is_half_of_gradient_descent_for_small_gradients():
    g = torch.tensor([1e-9, -1e-12], dtype=torch.float64)
    assert_equal(RULES["gravity"].response(g), 0.1 * 0.5 * g)


@pytest.mark.parametrize("reduction", [0.0, 0.5, 3.0])
def test_gravity_alone_of_these_depends_on_the_reduction(reduction):
    assert_equal(RULES["gravity"].response(G, reduction=0.0), 0.05 * G)
    for name in ("sgd", "adam", "gravity_ema"):
        assert torch.equal(RULES[name].response(G, reduction=reduction), RULES[name].response(G))
    damped = RULES["gravity"].response(G, reduction=reduction)
    assert torch.equal(damped, RULES["gravity"].response(G)) == (reduction == 1.0)


@pytest.mark.parametrize("name", ["max_abs", "norm", "mean"])
def test_every_reduction_is_held(name):
    rule = Rule("held", f"r = {name}(g)\nw = w - lr*g*r", lr=2.0)
    assert_equal(rule.response([1.0, -3.0], reduction=5.0), torch.tensor([10.0, -30.0], dtype=torch.float64))


# Other closed forms


@pytest.mark.parametrize("steps", [1, 7])
def test_sgd_moves_by_lr_times_the_gradient(steps):
    assert_equal(RULES["sgd"].replace(lr=0.25).response(G, steps=steps), 0.25 * G, rtol=1e-12)


@pytest.mark.parametrize("steps", [1, 7])
def test_sign_moves_by_lr_whatever_the_gradient_and_not_at_all_at_0(steps):
    found = RULES["sign"].response(G, steps=steps)
    assert_equal(found, 9e-4 * G.sign(), rtol=1e-11)
    assert found[300] == 0.0


@pytest.mark.parametrize("mu", [0.5, 0.9])
def test_heavy_ball_held_long_moves_by_lr_times_the_gradient_over_one_minus_mu(mu):
    rule = RULES["heavy_ball"].replace(lr=0.01, momentum=mu)
    assert_equal(rule.response(G), 0.01 * G)
    for steps in (2, 5):
        assert_equal(rule.response(G, steps=steps), 0.01 * G * (1 - mu**steps) / (1 - mu), rtol=1e-12)
    assert_equal(rule.response(G, steps=1000), 0.01 * G / (1 - mu), rtol=1e-10)


def test_ema_momentum_held_long_moves_as_gradient_descent_does():
    rule = RULES["ema_momentum"].replace(lr=0.25, beta=0.9)
    assert_equal(rule.response(G), 0.25 * 0.1 * G, rtol=1e-14)
    assert_equal(rule.response(G, steps=1000), 0.25 * G, rtol=1e-9)


def test_adams_first_step_is_lr_times_the_sign_to_eps():
    found = RULES["adam"].response(G)
    assert_equal(found, 1e-3 * G / (G.abs() + 1e-8), rtol=1e-12)
    assert_equal(found, 1e-3 * G.sign(), rtol=1e-6)
    assert_equal(RULES["adam"].response(G, steps=50), 1e-3 * G / (G.abs() + 1e-8), rtol=1e-9)


def test_adagrads_held_step_shrinks_with_the_root_of_the_step():
    found = RULES["adagrad"].response([2.0, -0.5], steps=9)
    assert_equal(found, torch.tensor([0.01 / 3, -0.01 / 3], dtype=torch.float64), rtol=1e-9)


def test_ades_first_step_from_rest_is_eta_times_the_gradient():
    """y = 0 leaves y' = -(1 - b1) b2 g (spec/evolve.md 4): eta = 0.0891."""
    assert_equal(RULES["ades"].response(G), (1 - 0.9107829) * 0.999061 * G, rtol=1e-12)
    assert_equal(RULES["ades_heavy_ball"].response(G), (1 - 0.9107829) * 0.999061 * G, rtol=1e-12)


# ADES has a quadratic term, and a z-score has the mean of the tensor, which is held at one above 0.
ODD = [name for name in RULES if name not in ("ades", "ades_eq8", "gravity_zscore")]


@pytest.mark.parametrize("name", ODD)
def test_response_is_odd_where_nothing_in_the_rule_tells_up_from_down(name):
    for steps in (1, 5):
        assert torch.equal(RULES[name].response(-G, steps=steps), -RULES[name].response(G, steps=steps))


@pytest.mark.parametrize("name", RULES)
def test_first_step_is_against_the_gradient(name):
    curve = RULES[name].response(G)
    assert curve.shape == G.shape
    assert curve.dtype == torch.float64
    assert (curve * G.sign() >= 0).all()
    assert (curve[G.abs() > 0.1] != 0).all()


def test_weight_decay_is_left_out():
    rule = Rule("still", "w = w + 1 - lr*g", lr=0.1)
    moved = rule.response(G, steps=3)
    assert torch.equal(rule.replace(weight_decay=0.5).response(G, steps=3), moved)
    assert torch.equal(rule.replace(weight_decay=0.5, decay="decoupled").response(G, steps=3), moved)


def test_random_start_is_taken_at_its_mean():
    rule = Rule("start", "m = 0.5*m + g\nw = w - m", init={"m": "normal(alpha, 3)"}, alpha=8.0)
    assert rule.response([0.0, 1.0]).tolist() == [4.0, 5.0]


def test_response_draws_nothing_from_the_global_generator():
    before = torch.random.get_rng_state()
    RULES["gravity"].response(G)
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize(
    "gradients", [[1, 2], (1.0, 2.0), np.array([1.0, 2.0]), torch.tensor([1.0, 2.0])],
    ids=["ints", "floats", "array", "float32"],
)  # fmt: skip
def test_gradients_of_any_kind_are_taken_as_float64(gradients):
    found = RULES["sgd"].replace(lr=0.25).response(gradients)
    assert_equal(found, torch.tensor([0.25, 0.5], dtype=torch.float64))


@pytest.mark.parametrize(
    "arguments", [([[1.0]],), (1.0,), ([1.0], 0), ([1.0], -3)], ids=["2-d", "0-d", "no-steps", "negative-steps"]
)
def test_gradients_must_be_1d_and_steps_at_least_1(arguments):
    gradients, *steps = arguments
    with pytest.raises(ValueError, match="gradients must be 1-d and steps >= 1"):
        RULES["sgd"].response(gradients, **({"steps": steps[0]} if steps else {}))


# Pictures


@pytest.mark.parametrize("name", ["gravity", "ades_eq8", "sign"])
def test_png_is_one(name, tmp_path):
    path = RULES[name].plot_response(tmp_path / f"{name}.png")
    assert path == tmp_path / f"{name}.png"
    assert path.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    assert path.read_bytes().endswith(b"IEND\xaeB`\x82")


def test_svg_is_xml_and_the_same_bytes_on_a_second_run(tmp_path):
    first, second = (RULES["gravity"].plot_response(tmp_path / f"{i}.svg") for i in (1, 2))
    root = ElementTree.parse(first).getroot()
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert first.read_bytes() == second.read_bytes()


def test_svg_depends_on_the_rule_and_on_the_reduction(tmp_path):
    drawn = [
        RULES["gravity"].plot_response(tmp_path / "1.svg").read_bytes(),
        RULES["gravity"].plot_response(tmp_path / "2.svg", reduction=0.5).read_bytes(),
        RULES["gravity"].replace(lr=0.3).plot_response(tmp_path / "3.svg").read_bytes(),
    ]
    assert len(set(drawn)) == 3


def test_pdf_and_a_path_that_is_text_are_taken(tmp_path):
    path = RULES["sgd"].plot_response(str(tmp_path / "curve.PDF"))
    assert path.read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize("name", ["curve.jpg", "curve", "curve.svg.txt", "png"])
def test_other_suffix_is_refused_and_leaves_no_file(name, tmp_path):
    with pytest.raises(ValueError, match=rf"path must end in \.png, \.svg or \.pdf, got .*{name}"):
        RULES["sgd"].plot_response(tmp_path / name)
    assert os.listdir(tmp_path) == []
