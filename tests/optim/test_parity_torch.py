"""Every rule of the gallery that torch.optim has too gives its numbers: weights and states, in float64, to 1e-12."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import pytest
import torch
from optim.trajectories import NATIVE, Gradients, gradients, parameters, step, with_gaps
from torch.optim.lr_scheduler import OneCycleLR

from thalweg.optim import RuleOptimizer
from thalweg.rules.gallery import GALLERY

STEPS = 100


@dataclass(frozen=True, eq=False)
class Pair:
    """A rule and the optimizer of torch that it must equal: `flags` are torch's alone, `states` our names and its."""

    rule: str
    theirs: type[torch.optim.Optimizer]
    hyperparameters: dict[str, Any]
    states: dict[str, str] = field(default_factory=dict)
    flags: dict[str, Any] = field(default_factory=dict)
    decoupled: tuple[type[torch.optim.Optimizer], dict[str, Any]] | None = None  # where torch has decoupled decay
    coupled: bool = True


_ADAM = {"lr": 0.02, "betas": (0.8, 0.95), "eps": 1e-8}
_RMSPROP = {"lr": 0.02, "alpha": 0.9, "eps": 1e-8}
_MOMENTS = {"m": "exp_avg", "v": "exp_avg_sq"}
_MOMENTUM = {"v": "momentum_buffer"}
o = torch.optim

PAIRS = [
    Pair("sgd", o.SGD, {"lr": 0.05}),
    Pair("heavy_ball", o.SGD, {"lr": 0.05, "momentum": 0.8}, _MOMENTUM),
    Pair("dampened_momentum", o.SGD, {"lr": 0.05, "momentum": 0.8, "dampening": 0.3}, _MOMENTUM),
    Pair("nesterov", o.SGD, {"lr": 0.05, "momentum": 0.8}, _MOMENTUM, {"nesterov": True}),
    Pair(
        "adagrad", o.Adagrad, {"lr": 0.1, "lr_decay": 0.05, "initial_accumulator_value": 0.2, "eps": 1e-10},
        {"s": "sum"},
    ),
    Pair("adadelta", o.Adadelta, {"lr": 1.0, "rho": 0.8, "eps": 1e-6}, {"v": "square_avg", "u": "acc_delta"}),
    Pair("rmsprop", o.RMSprop, _RMSPROP, {"v": "square_avg"}),
    Pair("rmsprop_centered", o.RMSprop, _RMSPROP, {"v": "square_avg", "a": "grad_avg"}, {"centered": True}),
    Pair(
        "rmsprop_momentum", o.RMSprop, {**_RMSPROP, "momentum": 0.8}, {"v": "square_avg", "b": "momentum_buffer"},
    ),
    Pair(
        "rmsprop_centered_momentum", o.RMSprop, {**_RMSPROP, "momentum": 0.8},
        {"v": "square_avg", "a": "grad_avg", "b": "momentum_buffer"}, {"centered": True},
    ),
    Pair("adam", o.Adam, _ADAM, _MOMENTS, decoupled=(o.AdamW, {})),
    Pair("adamw", o.AdamW, {**_ADAM, "weight_decay": 0.05}, _MOMENTS, decoupled=(o.AdamW, {}), coupled=False),
    Pair(
        "amsgrad", o.Adam, _ADAM, {**_MOMENTS, "x": "max_exp_avg_sq"}, {"amsgrad": True},
        decoupled=(o.AdamW, {"amsgrad": True}),
    ),
    Pair("adamax", o.Adamax, _ADAM, {"m": "exp_avg", "u": "exp_inf"}),
    Pair(
        "nadam", o.NAdam, {**_ADAM, "momentum_decay": 0.01}, {**_MOMENTS, "p": "mu_product"},
        decoupled=(o.NAdam, {"decoupled_weight_decay": True}),
    ),
    Pair("radam", o.RAdam, _ADAM, _MOMENTS, decoupled=(o.RAdam, {"decoupled_weight_decay": True})),
    Pair(
        "rprop", o.Rprop, {"lr": 0.02, "etas": (0.4, 1.3), "step_sizes": (1e-3, 0.1)},
        {"g_old": "prev", "d": "step_size"}, coupled=False,
    ),
]  # fmt: skip

# What the second of two groups has instead; the others take the first's.
OTHERWISE = {
    "lr": 0.007, "momentum": 0.5, "betas": (0.6, 0.9), "eps": 1e-3, "rho": 0.5, "alpha": 0.7, "lr_decay": 0.2,
    "dampening": 0.1, "momentum_decay": 0.1, "etas": (0.7, 1.1), "step_sizes": (5e-3, 0.05),
}  # fmt: skip


def scheduled_lr(lr: float, step: int) -> float:
    return lr * (0.6 + 0.4 * math.cos(step / 9))


@dataclass(frozen=True)
class Case:
    """One of the ways in which a pair is run. `decay` is given to the driver, with weight_decay 0.1."""

    decay: str | None = None
    maximize: bool = False
    two_groups: bool = False
    one_cycle: bool = False


CASES = {
    "one_cycle_lr": Case(one_cycle=True),
    "two_groups_changing_lr": Case(two_groups=True),
    "coupled_decay_maximize": Case(decay="coupled", maximize=True),
    "decoupled_decay_maximize": Case(decay="decoupled", maximize=True),
}


def fits(pair: Pair, case: Case) -> bool:
    if case.decay == "coupled":
        return pair.coupled
    return case.decay is None or pair.decoupled is not None


RUNS = [
    pytest.param(pair, case, id=f"{pair.rule}-{name}")
    for pair in PAIRS
    for name, case in CASES.items()
    if fits(pair, case)
]


@pytest.fixture(autouse=True)
def float64_by_default():
    torch.set_default_dtype(torch.float64)  # torch keeps NAdam's product and its steps in the default dtype
    yield
    torch.set_default_dtype(torch.float32)


def make_groups(pair: Pair, case: Case, params: list[torch.nn.Parameter]) -> list[dict[str, Any]]:
    if not case.two_groups:
        return [{"params": params}]
    second = {key: value for key, value in OTHERWISE.items() if key in pair.hyperparameters}
    return [{"params": params[:2]}, {"params": params[2:], **second}]


def three_parameters() -> list[torch.nn.Parameter]:
    return parameters()[:3]  # a matrix, a vector and one without dimensions; layouts are another test's


@cache
def all_gradients() -> Gradients:
    return with_gaps(gradients(three_parameters(), STEPS))


def trajectory(optimizer, params, case: Case, cycled: bool) -> tuple[list[torch.Tensor], list]:
    """The weights after every step, stacked for each parameter, and the states after the last."""
    base = [group["lr"] for group in optimizer.param_groups]
    cycle = OneCycleLR(optimizer, base, total_steps=STEPS + 1, cycle_momentum=cycled) if case.one_cycle else None
    weights = []
    for k, row in enumerate(all_gradients()):
        if cycle is None:
            for group, lr in zip(optimizer.param_groups, base, strict=True):
                group["lr"] = scheduled_lr(lr, k)
        step(optimizer, params, row)
        if cycle is not None:
            cycle.step()
        weights.append([p.detach().clone() for p in params])
    return [torch.stack(each) for each in zip(*weights, strict=True)], [optimizer.state[p] for p in params]


def cycles(pair: Pair) -> bool:
    """Whether OneCycleLR finds a momentum or betas to move too."""
    return bool({"momentum", "betas"} & set(pair.hyperparameters))


@cache
def theirs(pair: Pair, case: Case) -> tuple[list, list]:
    params = three_parameters()
    kind, flags = pair.theirs, dict(pair.flags)
    keywords = dict(pair.hyperparameters)
    if case.decay is not None:
        keywords["weight_decay"] = 0.1
    if case.decay == "decoupled":
        kind, flags = pair.decoupled
    optimizer = kind(make_groups(pair, case, params), **keywords, **flags, maximize=case.maximize)
    return trajectory(optimizer, params, case, cycles(pair))


@pytest.mark.parametrize("backend", [NATIVE, "plain"])
@pytest.mark.parametrize(("pair", "case"), RUNS)
def test_rule_equals_the_optimizer_of_torch(pair, case, backend):
    params = three_parameters()
    keywords = dict(pair.hyperparameters)
    if case.decay is not None:
        keywords |= {"weight_decay": 0.1, "decay": case.decay}
    rule = GALLERY[pair.rule].rule
    optimizer = RuleOptimizer(
        make_groups(pair, case, params), rule, **keywords, maximize=case.maximize, backend=backend
    )
    weights, states = trajectory(optimizer, params, case, cycles(pair))
    expected_weights, expected_states = theirs(pair, case)
    for found, expected in zip(weights, expected_weights, strict=True):  # the first index is the step
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    for found, expected in zip(states, expected_states, strict=True):
        for ours, name in pair.states.items():
            value = torch.as_tensor(found[ours])
            torch.testing.assert_close(value, expected[name], rtol=1e-12, atol=1e-12, msg=lambda m, n=ours: f"{n}: {m}")


def test_every_rule_that_torch_has_is_paired():
    """A rule added to the gallery under a name of torch.optim is held to it here."""
    torch_names = {name.lower() for name in dir(torch.optim) if isinstance(getattr(torch.optim, name), type)}
    ours = {name for name in GALLERY if name.replace("_", "") in torch_names}
    assert ours <= {pair.rule for pair in PAIRS}
    assert {"sgd", "adam", "adamw", "adamax", "nadam", "radam", "rprop", "adagrad", "adadelta", "rmsprop"} <= ours
