"""Rules whose reductions need many passes, with states of every kind, equal NumPy transcriptions of themselves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch
from optim.trajectories import (
    NATIVE,
    SETTINGS,
    assert_steps_agree,
    copies,
    gradients,
    needs_native,
    parameters,
    run,
    step,
)

from thalweg import Rule
from thalweg.optim import RuleOptimizer

STEPS = 9


@dataclass(frozen=True)
class Passes:
    """A rule and the same in NumPy: `step(w, g, t, state) -> new w`, which changes `state` in place."""

    rule: Rule
    step: Callable[..., np.ndarray]
    start: dict[str, float] = field(default_factory=dict)


def norm(x):
    return np.sqrt(np.sum(x * x))


def mean(x):
    return np.sum(x) / max(x.size, 1)


def max_abs(x):
    return np.max(np.abs(x), initial=0.0)


def lamb(w, g, t, s, lr=0.1, beta1=0.9, beta2=0.99, eps=1e-3):
    s["m"] = beta1 * s["m"] + (1 - beta1) * g
    s["v"] = beta2 * s["v"] + (1 - beta2) * g * g
    u = s["m"] / (np.sqrt(s["v"]) + eps)
    ratio = norm(w) / norm(u) if norm(u) != 0 else 0.0
    return w - lr * (ratio if ratio > 0 else 1.0) * u


def nested(w, g, t, s, lr=0.1):
    c = g - mean(g)
    return w - lr * c / (1 + norm(c / (1 + max_abs(c))))


def tensor_state(w, g, t, s, lr=0.1, beta=0.9, eps=1e-3):
    s["s"] = beta * s["s"] + (1 - beta) * norm(g) ** 2
    return w - lr * g / (np.sqrt(s["s"]) + eps)


def scalar_state(w, g, t, s, lr=0.1, beta=0.9):
    s["c"] = s["c"] * beta
    s["v"] = beta * s["v"] + (1 - beta) * g
    return w - lr * s["v"] / (1 - s["c"])


def trust(w, g, t, s, lr=0.1):
    s["r"] = 0.5 * s["r"] if norm(g) > s["n"] else min(1.0, 1.1 * s["r"])
    s["n"] = norm(g)
    return w - lr * s["r"] * g


def swapped(w, g, t, s, lr=0.1):
    s["x"], s["y"] = s["y"], s["x"] + g
    return w - lr * s["x"] * mean(s["y"])


def difference(w, g, t, s, lr=0.1, beta=0.5):
    d = g - s["before"]
    s["before"] = g
    s["anchor"] = w
    return w - lr * (g + beta * d)


def of_new_weight(w, g, t, s, lr=0.1):
    u = w - lr * g
    return u - 0.1 * u * max_abs(u)


def reduced_state(w, g, t, s, lr=0.1, beta=0.9):
    before = norm(s["v"])
    s["v"] = beta * s["v"] + g
    s["drift"] = norm(s["v"]) - before
    return w - lr * s["v"] / (1 + np.abs(s["drift"]))


def centralized(w, g, t, s, lr=0.1, beta=0.9):
    s["v"] = beta * s["v"] + g - mean(g)
    return w - lr * s["v"] / (1e-3 + norm(s["v"]))


PASSES = {
    "lamb": Passes(
        Rule(
            "lamb",
            """
            m = beta1*m + (1 - beta1)*g
            v = beta2*v + (1 - beta2)*square(g)
            u = m/(sqrt(v) + eps)
            r = safe_div(norm(w), norm(u))
            w = w - lr*where(r > 0, r, 1)*u
            """,
            state="m v", lr=0.1, betas=(0.9, 0.99), eps=1e-3,
        ),
        lamb,
    ),
    "reduction_of_a_reduction": Passes(
        Rule("nested", "c = g - mean(g)\nz = c/(1 + norm(c/(1 + max_abs(c))))\nw = w - lr*z", lr=0.1), nested
    ),
    "per_tensor_state": Passes(
        Rule(
            "tensor_state", "s = beta*s + (1 - beta)*square(norm(g))\nw = w - lr*g/(sqrt(s) + eps)",
            lr=0.1, beta=0.9, eps=1e-3,
        ),
        tensor_state,
    ),
    "scalar_state": Passes(
        Rule(
            "scalar_state", "c = c*beta\nv = beta*v + (1 - beta)*g\nw = w - lr*v/(1 - c)",
            state="c v", init={"c": "1"}, lr=0.1, beta=0.9,
        ),
        scalar_state,
        {"c": 1.0},
    ),
    "per_tensor_condition": Passes(
        Rule(
            "trust", "r = where(norm(g) > n, 0.5*r, minimum(1, 1.1*r))\nn = norm(g)\nw = w - lr*r*g",
            state="r n", init={"r": "1"}, lr=0.1,
        ),
        trust,
        {"r": 1.0},
    ),
    "states_that_swap": Passes(
        Rule("swapped", "old = x\nx = y\ny = old + g\nw = w - lr*x*mean(y)", state="x y", lr=0.1), swapped
    ),
    "states_that_are_g_and_w": Passes(
        Rule(
            "difference", "d = g - before\nbefore = g\na = anchor\nanchor = w\nw = w - lr*(g + beta*d)",
            state="before anchor", lr=0.1, beta=0.5,
        ),
        difference,
    ),
    "reduction_of_the_new_weight": Passes(
        Rule("of_new_weight", "u = w - lr*g\nw = u - 0.1*u*max_abs(u)", lr=0.1), of_new_weight
    ),
    "reduction_of_old_and_new_state": Passes(
        Rule(
            "reduced_state",
            """
            before = norm(v)
            v = beta*v + g
            o = drift
            drift = norm(v) - before
            w = w - lr*v/(1 + abs(drift))
            """,
            state="v drift", lr=0.1, beta=0.9,
        ),
        reduced_state,
    ),
    "centralized": Passes(
        Rule("centralized", "v = beta*v + g - mean(g)\nw = w - lr*v/(1e-3 + norm(v))", lr=0.1, beta=0.9), centralized
    ),
}  # fmt: skip


def transcribed(case: Passes, w: np.ndarray, grads: list[np.ndarray], settings: dict[str, Any]) -> list[np.ndarray]:
    """The weights after each step, with the driver's maximize and decays around the transcription."""
    state = {name: case.start.get(name, 0.0) for name in case.rule.states}
    decay, weights = settings.get("weight_decay", 0.0), []
    for t, g in enumerate(grads, start=1):
        g = -g if settings.get("maximize") else g
        if settings.get("decay") == "coupled":
            g = g + decay * w
        elif settings.get("decay") == "decoupled":
            w = w * (1 - 0.1 * decay)
        w = case.step(w, g, t, state)
        weights.append(w)
    return weights


@pytest.mark.parametrize("backend", [NATIVE, "foreach", "plain"])
@pytest.mark.parametrize(
    ("name", "settings"),
    [
        *((name, "bare") for name in PASSES),
        ("lamb", "maximize_coupled"),
        ("reduction_of_the_new_weight", "maximize_decoupled"),
    ],
)
def test_rule_of_many_passes_equals_its_transcription(name, settings, backend):
    case, settings, params = PASSES[name], SETTINGS[settings], parameters()
    start, grads = copies(params), gradients(params, STEPS)
    optimizer = RuleOptimizer(params, case.rule, backend=backend, **settings)
    trajectory = run(optimizer, params, grads)
    for i, w in enumerate(start):
        expected = transcribed(case, w.detach().numpy(), [row[i].numpy() for row in grads], settings)
        for k, weights in enumerate(expected):
            found = trajectory[k][i].numpy()
            np.testing.assert_allclose(found, weights, rtol=1e-12, atol=1e-12, err_msg=f"step {k}, parameter {i}")


@needs_native
@pytest.mark.parametrize("name", ["lamb", "per_tensor_condition"])
def test_rule_of_many_passes_in_float32_equals_plain(name):
    assert_steps_agree(PASSES[name].rule, "native", parameters(torch.float32), 1e-6, resync=True)


@pytest.mark.parametrize("backend", [NATIVE, "foreach", "plain"])
def test_states_never_share_storage_with_weight_gradient_or_each_other(backend):
    p = torch.nn.Parameter(torch.ones(3, dtype=torch.float64))
    for name in ("states_that_swap", "states_that_are_g_and_w"):
        rule = PASSES[name].rule
        optimizer = RuleOptimizer([p], rule, backend=backend)
        for _ in range(3):
            step(optimizer, [p], [torch.randn(3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))])
            tensors = [p, p.grad, *(optimizer.state[p][state] for state in rule.states)]
            assert len({tensor.data_ptr() for tensor in tensors}) == len(tensors)


def test_a_per_tensor_state_has_no_dimensions_and_a_scalar_state_is_a_float():
    p = torch.nn.Parameter(torch.ones(3, 2, dtype=torch.float64))
    per_tensor = RuleOptimizer([p], PASSES["per_tensor_state"].rule)
    scalar = RuleOptimizer([p], PASSES["scalar_state"].rule)
    step(per_tensor, [p], [torch.full_like(p, 2.0).detach()])
    step(scalar, [p], [torch.full_like(p, 2.0).detach()])
    assert per_tensor.state[p]["s"].shape == ()
    assert float(per_tensor.state[p]["s"]) == pytest.approx(0.1 * 24.0)
    assert type(scalar.state[p]["c"]) is float
    assert scalar.state[p]["c"] == 0.9
    assert scalar.state[p]["v"].shape == (3, 2)
