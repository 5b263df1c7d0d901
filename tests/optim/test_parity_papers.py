"""The rules of papers that torch lacks equal NumPy transcriptions of their listings (tests/oracle.py), states too."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import oracle
import pytest
import torch
from optim.trajectories import NATIVE, gradients, parameters, run

from thalweg.optim import RuleOptimizer
from thalweg.rules.gallery import GALLERY

STEPS = 50


@dataclass(frozen=True)
class Transcription:
    """An oracle of a rule. `ours` are hyperparameters under our names; `renamed` the oracle's names where they differ.

    `first_step` is given to the rule and to the oracle; `start` is our state that the oracle is told the start of.
    """

    rule: str
    oracle: Callable[..., oracle.Trajectory]
    ours: dict[str, Any] = field(default_factory=dict)
    first_step: int | None = None
    start: tuple[str, str] | None = None


_NOISE = ("v", "v0")
_DECAYED = {"lr": 0.01, "weight_decay": 0.1}

TRANSCRIPTIONS = {
    "gravity": Transcription("gravity", oracle.gravity, {}, 0, _NOISE),
    "gravity_algorithm_1": Transcription("gravity", oracle.gravity, {}, 1, _NOISE),
    "gravity_quiet": Transcription("gravity", oracle.gravity, {"alpha": 0.0, "lr": 0.3, "beta": 0.7}, 0, _NOISE),
    "gravity_ema_noise": Transcription("gravity_ema_noise", oracle.gravity_ema, {}, 0, _NOISE),
    "gravity_ema_noise_algorithm_1": Transcription("gravity_ema_noise", oracle.gravity_ema, {}, 1, _NOISE),
    "gravity_ema": Transcription("gravity_ema", oracle.gravity_ema, {"lr": 0.2, "beta": 0.8}, 0, _NOISE),
    "ades": Transcription("ades", oracle.ades),
    "ades_tuned_fmnist": Transcription("ades", oracle.ades, {"betas": (0.87621, 0.76132), "lr": 0.5}),
    "ades_heavy_ball": Transcription("ades_heavy_ball", oracle.ades_heavy_ball),
    "ades_heavy_ball_tuned": Transcription("ades_heavy_ball", oracle.ades_heavy_ball, {"betas": (0.9, 0.7), "lr": 0.5}),
    "ades_eq8": Transcription("ades_eq8", oracle.ades_eq8, {"betas": (0.02, 0.03), "lr": 0.5}),
    "sign": Transcription("sign", oracle.sign),
    "signum": Transcription("signum", oracle.signum, {"lr": 0.01, "beta": 0.7}),
    "lion": Transcription("lion", oracle.lion),
    "lion_decayed": Transcription("lion", oracle.lion, {**_DECAYED, "betas": (0.8, 0.95)}),
    "yogi": Transcription("yogi", oracle.yogi),
    "yogi_tuned": Transcription(
        "yogi", oracle.yogi, {"lr": 0.1, "betas": (0.8, 0.9), "eps": 1e-2, "initial_accumulator": 0.5}
    ),
    "adabelief": Transcription("adabelief", oracle.adabelief),
    "adabelief_tuned": Transcription("adabelief", oracle.adabelief, {"lr": 0.1, "betas": (0.8, 0.9), "eps": 1e-3}),
    "ema_momentum": Transcription("ema_momentum", oracle.ema_momentum, {"lr": 0.1, "beta": 0.8}),
}


def as_oracle_names(hyperparameters: dict[str, Any]) -> dict[str, Any]:
    named = dict(hyperparameters)
    if "betas" in named:
        named["beta1"], named["beta2"] = named.pop("betas")
    named.pop("alpha", None)  # Gravity's alpha acts through v0 alone, which the oracle is told
    return named


@pytest.mark.parametrize("backend", [NATIVE, "plain"])
@pytest.mark.parametrize("case", TRANSCRIPTIONS.values(), ids=TRANSCRIPTIONS)
def test_rule_equals_the_listing_of_its_paper(case, backend):
    rule = GALLERY[case.rule].rule
    keywords = as_oracle_names(case.ours)
    if case.first_step is not None:
        rule = rule.replace(first_step=case.first_step)
        keywords["first_step"] = case.first_step
    params = parameters()
    start = [p.detach().clone() for p in params]
    optimizer = RuleOptimizer(params, rule, backend=backend, **case.ours)
    starts = [dict(keywords) for _ in params]
    if case.start is not None:
        ours, name = case.start
        for p, given in zip(params, starts, strict=True):
            given[name] = optimizer.state[p][ours].numpy().copy()
    grads = gradients(params, STEPS)

    trajectory = run(optimizer, params, grads)

    for i, p in enumerate(params):
        expected, states = case.oracle(start[i].numpy(), [row[i].numpy() for row in grads], **starts[i])
        for k, weights in enumerate(expected):
            found = trajectory[k][i].numpy()
            np.testing.assert_allclose(found, weights, rtol=1e-12, atol=1e-12, err_msg=f"step {k}, parameter {i}")
        for name, value in states.items():
            found = optimizer.state[p][name].numpy()
            np.testing.assert_allclose(found, value, rtol=1e-12, atol=1e-12, err_msg=f"state {name}, parameter {i}")


@pytest.mark.parametrize(
    ("rule", "published"),
    [
        ("gravity", {"lr": 0.1, "alpha": 0.01, "beta": 0.9}),
        ("ades", {"lr": 1.0, "betas": (0.9107829, 0.999061)}),
        ("ades_eq8", {"betas": (0.08922, 0.0891)}),
        ("sign", {"lr": 9e-4}),
        ("lion", {"betas": (0.9, 0.99), "lr": 1e-4}),
        ("yogi", {"lr": 0.01, "betas": (0.9, 0.999), "eps": 1e-3, "initial_accumulator": 1e-6}),
        ("adabelief", {"lr": 1e-3, "betas": (0.9, 0.999)}),
        ("signum", {"beta": 0.9}),
    ],
)
def test_defaults_are_the_published_ones(rule, published):
    found = GALLERY[rule].rule.hyperparameters
    assert {key: found[key] for key in published} == published


def test_heavy_ball_of_ades_is_torch_sgd_with_the_same_mu_and_eta():
    """mu = 1 - a (1 + b2) and eta = a b2 with a = 1 - b1 (spec/evolve.md 4): 0.8216 and 0.0891 as evolved.

    torch keeps the gradients' sum u where ADES keeps the step y = -eta u.
    """
    a, b2 = 1 - 0.9107829, 0.999061
    mu, eta = 1 - a * (1 + b2), a * b2
    assert (round(mu, 4), round(eta, 4)) == (0.8216, 0.0891)
    ours, theirs = parameters(), parameters()
    grads = gradients(ours, STEPS)
    found = run(RuleOptimizer(ours, GALLERY["ades_heavy_ball"].rule), ours, grads)
    expected = run(torch.optim.SGD(theirs, lr=eta, momentum=mu), theirs, grads)
    for row, other in zip(found, expected, strict=True):
        torch.testing.assert_close(row, other, rtol=1e-12, atol=1e-12)
