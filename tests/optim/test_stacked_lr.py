"""The short way by which schedules set learning rates at every step: it does what the long way does, and no more."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from optim.trajectories import RULES, assert_same

from thalweg import Rule
from thalweg.optim import StackedOptimizer

MEMBERS = 3
RATES = np.array([[0.1, 0.02, 0.0], [0.05, 0.3, 1e-9], [0.0, 0.0, 0.7]])


def params() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {"w": torch.randn(MEMBERS, 4, generator=generator), "b": torch.randn(MEMBERS, generator=generator)}


def made(rule: Rule, **hyper: object) -> StackedOptimizer:
    return StackedOptimizer(params(), rule, backend="torch", **hyper)


def everything(optimizer: StackedOptimizer) -> list[torch.Tensor]:
    return [*optimizer.params.values(), *optimizer.hyper.values(), optimizer.steps]


@pytest.mark.parametrize("name", ["adam", "gravity", "ades", "nadam"])
@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_rates_set_the_short_way_step_to_the_bit_as_rates_set_the_long_way(name, decay):
    """An array of float64 goes the short way, a list the long one."""
    short, long = (made(RULES[name], weight_decay=decay) for _ in range(2))
    for rates in RATES:
        short.set(lr=rates)
        long.set(lr=rates.tolist())
        for optimizer in (short, long):
            optimizer.step({key: torch.ones_like(w) for key, w in optimizer.params.items()})
        assert_same(everything(short), everything(long))


def test_the_short_way_looks_at_nothing_else(monkeypatch):
    optimizer = made(RULES["adam"])
    monkeypatch.setattr("thalweg.optim.stacked.member_settings", lambda *_: pytest.fail("the long way"))
    optimizer.set(lr=RATES[0])
    assert optimizer.hyper["lr"].tolist() == RATES[0].tolist()


@pytest.mark.parametrize(
    "bad", [np.array([0.1, -0.1, 0.1]), np.array([0.1, math.nan, 0.1]), np.array([0.1, math.inf, 0.1]), np.ones(2)]
)
def test_rates_that_are_not_allowed_are_refused_and_nothing_is_changed(bad):
    optimizer = made(RULES["adam"], lr=0.5)
    with pytest.raises(ValueError, match="lr must be"):
        optimizer.set(lr=bad)
    assert optimizer.hyper["lr"].tolist() == [0.5] * MEMBERS


def test_a_rule_without_lr_takes_none_but_1():
    optimizer = made(Rule("still", "w = w - 0.1*g"))
    optimizer.set(lr=np.ones(MEMBERS))
    with pytest.raises(ValueError, match="lr must be 1 for still"):
        optimizer.set(lr=np.full(MEMBERS, 0.5))


def test_an_array_that_changes_afterwards_changes_nothing():
    optimizer, rates = made(RULES["adam"]), RATES[0].copy()
    optimizer.set(lr=rates)
    rates[:] = 9.0
    optimizer.set(weight_decay=0.1)
    assert optimizer.hyper["lr"].tolist() == RATES[0].tolist()


def test_what_was_set_before_stays_and_is_saved():
    optimizer = made(RULES["adam"], betas=([0.5, 0.6, 0.7], 0.9))
    optimizer.set(lr=RATES[0])
    optimizer.set(weight_decay=0.1)
    assert optimizer.hyper["beta1"].tolist() == [0.5, 0.6, 0.7]
    assert optimizer.hyper["lr"].tolist() == RATES[0].tolist()
    other = made(RULES["adam"])
    other.load_state_dict(optimizer.state_dict())
    assert_same(list(other.hyper.values()), list(optimizer.hyper.values()))
