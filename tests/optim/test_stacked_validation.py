"""What a stacked optimizer cannot do it says at once, with the argument, its value and the member; nothing changes."""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from optim.trajectories import NATIVE, RULES, assert_same, needs_native

from thalweg import Rule
from thalweg.optim import RuleOptimizer, StackedOptimizer, functional

MEMBERS = 3
SHAPES = {"weight": (4, 2), "bias": (2,)}
every_backend = pytest.mark.parametrize("backend", [NATIVE, "torch"])

Tensors = dict[str, torch.Tensor]


def params_of(members: int = MEMBERS, **shapes: tuple[int, ...]) -> Tensors:
    return {name: torch.ones(members, *shape) for name, shape in (SHAPES | shapes).items()}


def grads_of(params: Tensors) -> Tensors:
    return {name: torch.full_like(w, 0.5) for name, w in params.items()}


def everything(optimizer: StackedOptimizer) -> list[torch.Tensor]:
    tensors = [*optimizer.params.values(), optimizer.steps, *optimizer.hyper.values()]
    for state in optimizer.state.values():
        tensors += [state] if isinstance(state, torch.Tensor) else state.values()
    return [tensor.clone() for tensor in tensors]


@contextmanager
def unchanged(optimizer: StackedOptimizer) -> Iterator[None]:
    """Neither weights, states, clocks nor hyperparameters change, and what follows is what it would have been."""
    other = StackedOptimizer(
        {name: w.clone() for name, w in optimizer.params.items()}, optimizer.rule, backend=optimizer.backend
    )
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    before = everything(optimizer)
    yield
    assert_same(everything(optimizer), before)
    for each in (optimizer, other):
        each.set(weight_decay=0.1)
        each.step(grads_of(each.params))
    assert_same(everything(optimizer), everything(other))


def stepped(rule: str = "own", backend: str = "torch", members: int = MEMBERS) -> StackedOptimizer:
    """A stacked optimizer in the middle of its training."""
    optimizer = StackedOptimizer(
        params_of(members), RULES[rule], lr=[0.1 * (1 + i) for i in range(members)], backend=backend
    )
    for active in (True, False):
        optimizer.step(grads_of(optimizer.params), [True] * (members - 1) + [active])
    return optimizer


# Hyperparameters, in the constructor and later

BAD = {
    "a_negative_lr_of_a_member": (
        "adam", {"lr": [0.1, -0.25, 0.1]}, ValueError, r"^lr must be .*got -0\.25 .*member 1",
    ),
    "a_nan_lr_of_a_member": ("adam", {"lr": [0.1, 0.1, math.nan]}, ValueError, r"^lr must be .*got nan .*member 2"),
    "an_infinite_lr": ("adam", {"lr": math.inf}, ValueError, r"^lr must be .*got inf"),
    "a_nan_lr_in_a_tensor": ("adam", {"lr": torch.tensor([math.nan, 1.0, 1.0])}, ValueError, "^lr .*nan .*member 0"),
    "an_lr_of_another_length": ("adam", {"lr": [0.1, 0.1]}, ValueError, r"^lr must be .*3 members, got .*\(2,\)"),
    "an_lr_of_more_dimensions": ("adam", {"lr": torch.ones(3, 3)}, ValueError, r"^lr must be .*3 members, .*\(3, 3\)"),
    "an_lr_that_is_no_number": ("adam", {"lr": "fast"}, ValueError, "^lr must be a number .*got 'fast'"),
    "an_lr_that_is_none": ("adam", {"lr": None}, ValueError, "^lr must be a number .*None|^lr .*nan"),
    "an_unknown_name": ("adam", {"rate": 0.1}, TypeError, "^adam has no hyperparameter 'rate'; it has lr, .*betas"),
    "betas_that_are_one_number": ("adam", {"betas": 0.9}, ValueError, r"^betas must be a tuple of 2, .*got 0\.9"),
    "betas_as_a_list_of_members": ("adam", {"betas": [0.9] * 3}, ValueError, "^betas must be a tuple of 2, .*got"),
    "betas_of_three_parts": ("adam", {"betas": (0.9, 0.9, 0.9)}, ValueError, "^betas must be a tuple of 2, .*got"),
    "a_beta_of_a_member_above_1": (
        "adam", {"betas": ([0.9, 0.9, 1.5], 0.9)}, ValueError, r"^betas must be in \[0, 1\), got 1\.5 .*member 2",
    ),
    "a_beta_of_another_length": (
        "adam", {"betas": ([0.9] * 4, 0.9)}, ValueError, r"^betas must be .*3 members, .*\(4,\)",
    ),
    "a_negative_decay_of_a_member": (
        "adam", {"weight_decay": [0.0, 0.0, -1.0]}, ValueError, r"^weight_decay must be .*got -1\.0 .*member 2",
    ),
    "etas_of_a_member_the_wrong_way": (
        "rprop", {"etas": ([0.5, 1.5, 0.5], 1.2)}, ValueError, r"^etas must be .*1\.5.*member 1",
    ),
}  # fmt: skip
every_bad_value = pytest.mark.parametrize(("name", "given", "error", "message"), BAD.values(), ids=BAD)


@every_bad_value
def test_a_bad_hyperparameter_is_refused_by_the_constructor(name, given, error, message):
    params = params_of()
    with pytest.raises(error, match=rf"(?s){message}"):
        StackedOptimizer(params, RULES[name], **given)
    assert_same([*params.values()], [*params_of().values()])


@every_bad_value
def test_a_bad_hyperparameter_is_refused_by_set_and_the_old_one_stays(name, given, error, message):
    optimizer = stepped(name)
    with unchanged(optimizer), pytest.raises(error, match=rf"(?s){message}"):
        optimizer.set(**given)


def test_a_good_hyperparameter_beside_a_bad_one_is_not_taken_either():
    optimizer = stepped("adam")
    with unchanged(optimizer), pytest.raises(ValueError, match=r"^eps must be .*got -1\.0 .*member 1"):
        optimizer.set(lr=0.5, eps=[1e-8, -1.0, 1e-8])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        pytest.param(
            {"lr": [math.nan, -0.25, 0.1]},
            r"^lr must be (.*got nan .*member 0|.*got -0\.25 .*member 1)",
            id="nan_first",
        ),
        pytest.param(
            {"lr": [0.1, -0.25, 0.1], "eps": [math.nan, 1e-8, 1e-8]},
            r"^(lr .*got -0\.25 .*member 1|eps .*nan .*member 0)",
            id="nan_of_another_hyperparameter",
        ),
        pytest.param(
            {"lr": [0.1, 0.1, -0.25], "eps": [1e-8, -1.0, 1e-8]},
            r"^(lr .*got -0\.25 .*member 2|eps .*got -1\.0 .*member 1)",
            id="both_negative",
        ),
    ],
)
def test_of_several_bad_members_the_one_that_is_named_has_the_value_that_is_quoted(given, message):
    with pytest.raises(ValueError, match=message):
        StackedOptimizer(params_of(), RULES["adam"], **given)


@pytest.mark.parametrize("value", [True, [True, True, True]])
def test_a_truth_value_is_no_number(value):
    """As for RuleOptimizer."""
    with pytest.raises(ValueError, match=r"^lr must be a number.*True"):
        StackedOptimizer(params_of(), RULES["adam"], lr=value)


@pytest.mark.parametrize("value", ["cosine", True, 0])
def test_decay_and_maximize_must_be_what_they_are_elsewhere(value):
    with pytest.raises(ValueError, match=f"^decay must be 'coupled' or 'decoupled', got {value!r}"):
        StackedOptimizer(params_of(), RULES["adam"], decay=value)
    if value is not True:
        with pytest.raises(ValueError, match=f"^maximize must be True or False, got {value!r}"):
            StackedOptimizer(params_of(), RULES["adam"], maximize=value)


def test_lr_of_a_rule_whose_text_has_none_must_be_1():
    with pytest.raises(ValueError, match=r"^lr must be 1 for fixed, whose text has no lr, got 0\.5 .*member 1"):
        StackedOptimizer(params_of(), Rule("fixed", "w = w - 0.1*g"), lr=[1.0, 0.5, 1.0])


def test_a_rule_must_be_a_rule():
    with pytest.raises(TypeError, match=r"rule must be a thalweg.Rule, got 'adam'"):
        StackedOptimizer(params_of(), "adam")


@pytest.mark.parametrize("backend", ["cuda", "plain", "foreach", True])
def test_an_unknown_backend_is_refused(backend):
    with pytest.raises(ValueError, match=f"^backend must be None, 'native' or 'torch', got {backend!r}"):
        StackedOptimizer(params_of(), RULES["adam"], backend=backend)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_the_native_step_is_refused_where_the_dtype_is_not_for_it(dtype):
    params = {name: w.to(dtype) for name, w in params_of().items()}
    with pytest.raises(RuntimeError, match=rf"^backend='native' was asked for, but the parameters are {dtype}"):
        StackedOptimizer(params, RULES["adam"], backend="native")


@pytest.mark.parametrize("count", [0, 2, 4])
def test_generators_must_be_one_for_each_member(count):
    generators = [torch.Generator() for _ in range(count)]
    with pytest.raises(ValueError, match=f"^generators must be one for each of 3 members, got {count}"):
        StackedOptimizer(params_of(), RULES["gravity"], generators=generators)


# Parameters

BAD_PARAMS: dict[str, tuple[Callable[[], Tensors], str]] = {
    "none": (dict, "^params must hold at least one tensor and nothing else, got none"),
    "one_without_dimensions": (
        lambda: {**params_of(), "scale": torch.ones(())}, r"^params must .*members, got 'scale' of shape \(\)",
    ),
    "another_number_of_members": (
        lambda: {**params_of(), "scale": torch.ones(4, 2)}, r"^params must .*members, got 'scale' of shape \(4, 2\)",
    ),
    "no_members": (lambda: params_of(0), r"^params must .*members, got 'weight' of shape \(0, 4, 2\)"),
    "transposed": (
        lambda: {**params_of(), "scale": torch.ones(2, 3).t()}, "^params must be contiguous, got 'scale' with strides",
    ),
    "expanded": (
        lambda: {"scale": torch.ones(1, 2).expand(3, 2)}, "^params must be contiguous, got 'scale' with strides",
    ),
    "of_two_dtypes": (
        lambda: {**params_of(), "scale": torch.ones(3).double()}, "^params must .*one dtype.*'scale' of torch.float64",
    ),
    "on_two_devices": (
        lambda: {**params_of(), "scale": torch.ones(3, device="meta")}, "^params must .*one device.*'scale' .*on meta",
    ),
    "float8": (
        lambda: {"scale": torch.ones(3).to(torch.float8_e4m3fn)},
        "^params must .*float32.*'scale' of torch.float8_e4m3fn",
    ),
    "integers": (
        lambda: {"scale": torch.ones(3, dtype=torch.int64)}, "^params must .*float32.*'scale' of torch.int64",
    ),
    "complex": (
        lambda: {"scale": torch.ones(3, dtype=torch.complex64)}, "^params must .*float32.*'scale' of torch.complex64",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("made", "message"), BAD_PARAMS.values(), ids=BAD_PARAMS)
def test_parameters_that_cannot_be_stepped_are_refused(made, message):
    with pytest.raises(ValueError, match=message):
        StackedOptimizer(made(), RULES["adam"])


# Gradients and who is active

BAD_GRADS: dict[str, tuple[Callable[[Tensors], Tensors], str]] = {
    "none_at_all": (lambda grads: {}, "^grads must have a tensor for 'weight', got nothing"),
    "one_missing": (lambda grads: {"weight": grads["weight"]}, "^grads must have a tensor for 'bias', got weight"),
    "of_another_shape": (
        lambda grads: {**grads, "bias": torch.ones(3, 5)},
        r"^the gradient of 'bias' is \(3, 5\).*parameter is \(3, 2\)",
    ),
    "of_one_member": (
        lambda grads: {**grads, "bias": torch.ones(2)}, r"^the gradient of 'bias' is \(2,\).*parameter is \(3, 2\)",
    ),
    "of_another_dtype": (
        lambda grads: {**grads, "bias": grads["bias"].double()}, "^the gradient of 'bias' .*float64.*float32",
    ),
    "on_another_device": (
        lambda grads: {**grads, "bias": grads["bias"].to("meta")}, "^the gradient of 'bias' .*on meta.*on cpu",
    ),
    "sparse": (
        lambda grads: {**grads, "bias": grads["bias"].to_sparse()},
        "^the gradient of 'bias' .*sparse.*make it dense first",
    ),
}  # fmt: skip


@every_backend
@pytest.mark.parametrize(("made", "message"), BAD_GRADS.values(), ids=BAD_GRADS)
def test_gradients_that_are_not_the_parameters_own_are_refused_and_change_nothing(made, message, backend):
    optimizer = stepped(backend=backend)
    with unchanged(optimizer), pytest.raises(ValueError, match=message):
        optimizer.step(made(grads_of(optimizer.params)))


@every_backend
@pytest.mark.parametrize(
    "active",
    [
        [True] * 2,
        [True] * 4,
        [1, 1, 0],
        [1.0, 0.0, 1.0],
        True,
        torch.ones(3),
        torch.ones(3, 1, dtype=torch.bool),
        "yes",
    ],
)
def test_active_must_be_a_bool_for_each_member(active, backend):
    optimizer = stepped(backend=backend)
    with (
        unchanged(optimizer),
        pytest.raises(
            ValueError, match=rf"^active must be a bool for each of 3 members, got {re.escape(repr(active)[:20])}"
        ),
    ):
        optimizer.step(grads_of(optimizer.params), active)


# State dicts


def of_another_rule() -> dict[str, Any]:
    return stepped("adam").state_dict()


def of_a_rule_with_states_of_the_same_names() -> dict[str, Any]:
    text = "v = v + g\nn = n + norm(v)\nw = w - lr*v/(scale + n)"
    return StackedOptimizer(params_of(), Rule("other", text, scale=1.0), backend="torch").state_dict()


def of_other_members() -> dict[str, Any]:
    return stepped(members=4).state_dict()


def of_other_shapes() -> dict[str, Any]:
    return StackedOptimizer(params_of(bias=(5,)), RULES["own"], backend="torch").state_dict()


def of_other_parameters() -> dict[str, Any]:
    params = {("offset" if name == "bias" else name): w for name, w in params_of().items()}
    return StackedOptimizer(params, RULES["own"], backend="torch").state_dict()


def of_more_parameters() -> dict[str, Any]:
    return StackedOptimizer(params_of(scale=(1,)), RULES["own"], backend="torch").state_dict()


def with_a_negative_lr() -> dict[str, Any]:
    state_dict = copy.deepcopy(stepped().state_dict())
    state_dict["hyper"]["lr"][1] = -0.5
    return state_dict


def with_an_lr_of_one_member_too_many() -> dict[str, Any]:
    state_dict = copy.deepcopy(stepped().state_dict())
    state_dict["hyper"]["lr"] = torch.ones(4)
    return state_dict


def without_steps() -> dict[str, Any]:
    return {key: value for key, value in stepped().state_dict().items() if key != "step"}


def of_rule_optimizer() -> dict[str, Any]:
    return RuleOptimizer([torch.nn.Parameter(torch.ones(2))], RULES["own"]).state_dict()


BAD_STATES = {
    of_another_rule: r"^the state dict holds .*m.*; own needs",
    of_a_rule_with_states_of_the_same_names: r"^the state dict holds .*scale.*; own needs",
    of_other_members: r"^the state dict has step of shape \(4,\), needed: \(3,\)",
    of_other_shapes: r"^the state dict has v of bias of shape \(3, 5\), needed: \(3, 2\)",
    of_other_parameters: r"^the state dict holds .*v of offset.*; own needs .*v of bias",
    of_more_parameters: r"^the state dict .*scale",
    with_a_negative_lr: r"^lr must be .*got -0\.5 .*member 1",
    with_an_lr_of_one_member_too_many: r"^lr must be .*3 members, got .*\(4,\)",
    without_steps: r"^the state dict .*step",
    of_rule_optimizer: r"^the state dict",
}


@every_backend
@pytest.mark.parametrize(("made", "message"), BAD_STATES.items(), ids=[made.__name__ for made in BAD_STATES])
def test_a_state_dict_of_something_else_is_refused_and_changes_nothing(made, message, backend):
    optimizer = stepped(backend=backend)
    saved = made()
    with unchanged(optimizer), pytest.raises(ValueError, match=message):
        optimizer.load_state_dict(saved)


# Pure functions


def test_the_pure_functions_check_their_numbers_once_in_init():
    params = {name: w[0] for name, w in params_of().items()}
    with pytest.raises(ValueError, match=r"^lr must be .*got -0\.1"):
        functional(RULES["adam"]).init(params, {"lr": -0.1})
    with pytest.raises(ValueError, match=r"^decay must be 'coupled' or 'decoupled', got 'cosine'"):
        functional(RULES["adam"], decay="cosine").init(params)


@needs_native
def test_the_checks_pass_what_is_right():
    """So that none of the errors above is of the frame around the bad value."""
    optimizer = stepped(backend="native")
    with unchanged(optimizer):
        optimizer.load_state_dict(copy.deepcopy(stepped(backend="torch").state_dict() | optimizer.state_dict()))
