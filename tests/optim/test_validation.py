"""Bad arguments raise at once, in the constructor and in every group, name the argument and quote the value."""

from __future__ import annotations

import math
import re

import pytest
import torch
from optim.trajectories import RULES, every_rule

from thalweg import Rule
from thalweg.optim import RuleOptimizer

BAD_NUMBERS = [-0.1, math.nan, math.inf, "fast", None, True, 1j, [], torch.tensor([0.1, 0.2]), torch.tensor(-0.5)]
BAD = {
    "lr": BAD_NUMBERS,
    "weight_decay": BAD_NUMBERS,
    "eps": BAD_NUMBERS,
    "momentum": BAD_NUMBERS,
    "lr_decay": BAD_NUMBERS,
    "beta": [-0.1, 1.1, math.nan, "0.9"],
    "rho": [-0.1, 1.1, math.nan, None],
    "betas": [(1.0, 0.9), (0.9, 1.0), (-0.1, 0.9), (0.9, math.nan), (0.9, "x"), 0.9, (0.9,), (0.9, 0.9, 0.9), "ab"],
    "etas": [(math.nan, 1.2), 0.5, (0.5,)],
    "step_sizes": [(math.nan, 1.2), 0.5, (0.5, 1.0, 2.0)],
}  # fmt: skip
OTHERS = [math.nan, "much", None]


def quoted(value: object) -> str:
    """What an error must show of a value: a tuple may be quoted whole or by the number in it that is bad."""
    if isinstance(value, torch.Tensor):
        return re.escape(repr(value.item()) if value.numel() == 1 else str(tuple(value.shape)))
    parts = [value, *(value if isinstance(value, tuple) else ())]
    return "|".join(re.escape(repr(part)) for part in parts)


def one_parameter() -> list[torch.nn.Parameter]:
    return [torch.nn.Parameter(torch.ones(3))]


@every_rule
def test_a_bad_hyperparameter_raises_and_is_quoted_in_the_constructor_and_in_a_group(rule):
    for key in rule.hyperparameters:
        for value in BAD.get(key, OTHERS):
            expected = rf"(?s)^{key} .*({quoted(value)})"
            with pytest.raises(ValueError, match=expected):
                RuleOptimizer(one_parameter(), rule, **{key: value})
            with pytest.raises(ValueError, match=expected):
                RuleOptimizer([{"params": one_parameter()}, {"params": one_parameter(), key: value}], rule)
            optimizer = RuleOptimizer(one_parameter(), rule)
            with pytest.raises(ValueError, match=expected):
                optimizer.add_param_group({"params": one_parameter(), key: value})
            assert len(optimizer.param_groups) == 1
            assert len(optimizer.state) == 1


@every_rule
def test_an_unknown_keyword_is_a_type_error_that_names_it(rule):
    with pytest.raises(TypeError, match=f"{rule.name} has no hyperparameter 'learning_rate'; it has lr"):
        RuleOptimizer(one_parameter(), rule, learning_rate=0.1)


@every_rule
def test_the_edges_of_the_bounds_are_allowed(rule):
    edges = {"lr": 0.0, "weight_decay": 0.0, "eps": 0.0, "momentum": 0.0, "beta": 1.0, "betas": (0.0, 0.0), "rho": 1.0}
    params = one_parameter()
    given = {key: value for key, value in edges.items() if key in rule.hyperparameters}
    optimizer = RuleOptimizer(params, rule, **given)
    assert {key: optimizer.param_groups[0][key] for key in given} == given


@pytest.mark.parametrize(
    ("name", "theirs", "key", "value"),
    [
        ("rmsprop", torch.optim.RMSprop, "alpha", -0.5),
        ("nadam", torch.optim.NAdam, "momentum_decay", -0.5),
        ("adagrad", torch.optim.Adagrad, "initial_accumulator_value", -0.5),
        ("rprop", torch.optim.Rprop, "etas", (1.5, 1.2)),
        ("rprop", torch.optim.Rprop, "etas", (0.5, 0.9)),
        ("rprop", torch.optim.Rprop, "etas", (-0.5, 1.2)),
        ("adadelta", torch.optim.Adadelta, "rho", 1.5),
        ("adam", torch.optim.Adam, "betas", (0.9, 1.0)),
        ("heavy_ball", torch.optim.SGD, "momentum", -0.1),
    ],
)
def test_what_torch_refuses_is_refused(name, theirs, key, value):
    with pytest.raises(ValueError, match=r"Invalid"):
        theirs(one_parameter(), **{key: value})
    with pytest.raises(ValueError, match=rf"^{key} .*({quoted(value)})"):
        RuleOptimizer(one_parameter(), RULES[name], **{key: value})


@pytest.mark.parametrize("value", [0, 1, None, "yes"])
def test_maximize_must_be_a_truth_value(value):
    with pytest.raises(ValueError, match=f"^maximize must be True or False, got {value!r}"):
        RuleOptimizer(one_parameter(), RULES["sgd"], maximize=value)
    with pytest.raises(ValueError, match=f"^maximize must be True or False, got {value!r}"):
        RuleOptimizer([{"params": one_parameter(), "maximize": value}], RULES["sgd"])


@pytest.mark.parametrize("value", ["cosine", "", True])
def test_decay_must_be_coupled_or_decoupled(value):
    with pytest.raises(ValueError, match=f"^decay must be 'coupled' or 'decoupled', got {value!r}"):
        RuleOptimizer(one_parameter(), RULES["sgd"], decay=value)
    with pytest.raises(ValueError, match=f"^decay must be 'coupled' or 'decoupled', got {value!r}"):
        RuleOptimizer([{"params": one_parameter(), "decay": value}], RULES["sgd"])


def test_an_unknown_backend_is_refused():
    expected = "^backend must be None, 'native', 'foreach', 'blocks' or 'plain', got 'cuda'$"
    with pytest.raises(ValueError, match=expected):
        RuleOptimizer(one_parameter(), RULES["sgd"], backend="cuda")


@pytest.mark.parametrize("value", ["down", "", None, True])
def test_rounding_must_be_nearest_stochastic_or_kahan(value):
    expected = f"^rounding must be one of 'nearest', 'stochastic', 'kahan', got {value!r}"
    with pytest.raises(ValueError, match=expected):
        RuleOptimizer(one_parameter(), RULES["sgd"], rounding=value)
    with pytest.raises(ValueError, match=expected):
        RuleOptimizer([{"params": one_parameter(), "rounding": value}], RULES["sgd"])
    optimizer = RuleOptimizer(one_parameter(), RULES["sgd"])
    with pytest.raises(ValueError, match=expected):
        optimizer.add_param_group({"params": one_parameter(), "rounding": value})
    assert len(optimizer.param_groups) == 1


@pytest.mark.parametrize("keyword", ["capturable", "differentiable"])
def test_what_is_not_supported_says_so(keyword):
    with pytest.raises(ValueError, match=f"{keyword}.* not supported, got True"):
        RuleOptimizer(one_parameter(), RULES["sgd"], **{keyword: True})


def test_a_rule_must_be_a_rule():
    with pytest.raises(TypeError, match=r"rule must be a thalweg.Rule, got 'adam'"):
        RuleOptimizer(one_parameter(), "adam")


def test_a_rule_without_lr_in_its_text_takes_only_an_lr_of_1():
    rule = Rule("fixed", "w = w - 0.1*g")
    assert RuleOptimizer(one_parameter(), rule).param_groups[0]["lr"] == 1.0
    with pytest.raises(ValueError, match=r"lr must be 1.* got 0\.5"):
        RuleOptimizer(one_parameter(), rule, lr=0.5)


# Parameters: errors are torch's own, word for word


def duplicated() -> list[dict]:
    (p,) = one_parameter()
    return [{"params": [p]}, {"params": [p]}]


@pytest.mark.parametrize(
    "params",
    [
        pytest.param(list, id="nothing"),
        pytest.param(lambda: torch.ones(3), id="a bare tensor"),
        pytest.param(lambda: [{"params": set(one_parameter())}], id="a set in a group"),
        pytest.param(duplicated, id="a parameter in two groups"),
        pytest.param(lambda: [torch.ones(3, requires_grad=True) * 2], id="not a leaf"),
        pytest.param(lambda: ["weight"], id="a string"),
        pytest.param(lambda: [{"weights": one_parameter()}], id="a group without params"),
        pytest.param(lambda: [("w", one_parameter()[0]), one_parameter()[0]], id="some named"),
    ],
)
def test_bad_parameters_raise_what_torch_raises(params):
    with pytest.raises(Exception) as theirs:  # noqa: PT011 the error is compared below
        torch.optim.SGD(params())
    with pytest.raises(type(theirs.value), match=re.escape(str(theirs.value))):
        RuleOptimizer(params(), RULES["sgd"])


def test_a_group_that_is_no_dict_raises_what_torch_raises():
    def refusal(optimizer: torch.optim.Optimizer) -> tuple[type, str]:
        with pytest.raises(TypeError) as error:
            optimizer.add_param_group(one_parameter())
        return type(error.value), str(error.value)

    assert refusal(RuleOptimizer(one_parameter(), RULES["sgd"])) == refusal(torch.optim.SGD(one_parameter()))


def test_named_parameters_keep_their_names():
    model = torch.nn.Linear(2, 3)
    optimizer = RuleOptimizer(model.named_parameters(), RULES["adam"])
    assert optimizer.state_dict()["param_groups"][0]["param_names"] == ["weight", "bias"]


@pytest.mark.parametrize(
    "dtype", [torch.float8_e4m3fn, torch.float8_e5m2, torch.int64, torch.int8, torch.bool], ids=str
)
@pytest.mark.parametrize("name", ["adam", "gravity", "own"])
def test_a_parameter_of_a_dtype_that_cannot_be_stepped_is_refused_and_changes_nothing(name, dtype):
    unfit = torch.nn.Parameter(torch.ones(3).to(dtype), requires_grad=False)
    expected = f"^a parameter must be of float64, float32, bfloat16 or float16 .* got {dtype}; keep weights in one of"
    with pytest.raises(ValueError, match=expected):
        RuleOptimizer([*one_parameter(), unfit], RULES[name])
    optimizer = RuleOptimizer(one_parameter(), RULES[name])
    (p,) = optimizer.param_groups[0]["params"]
    p.grad = torch.ones_like(p)
    optimizer.step()
    before, states = p.detach().clone(), {key: repr(value) for key, value in optimizer.state[p].items()}
    with pytest.raises(ValueError, match=expected):
        optimizer.add_param_group({"params": [*one_parameter(), unfit]})
    assert [group["params"] for group in optimizer.param_groups] == [[p]]
    assert list(optimizer.state) == [p]
    assert {key: repr(value) for key, value in optimizer.state[p].items()} == states
    assert torch.equal(p, before)
    optimizer.step()
    assert optimizer.state[p]["step"] == 2


@pytest.mark.parametrize("steps", [0, 1])
@pytest.mark.parametrize("backend", [None, "foreach", "blocks", "plain"])
def test_a_state_on_another_device_than_its_parameter_is_refused_and_changes_nothing(backend, steps):
    """As after `model.to(device)` when the optimizer was there already."""
    p, q = *one_parameter(), *one_parameter()
    optimizer = RuleOptimizer([p, q], RULES["adam"], backend=backend)
    p.grad, q.grad = torch.ones_like(p), torch.ones_like(q)
    for _ in range(steps):
        optimizer.step()
    optimizer.state[q]["m"] = optimizer.state[q]["m"].to("meta")
    before = [p.detach().clone(), q.detach().clone(), optimizer.state[p]["m"].clone()]
    expected = (
        "^the parameter is on cpu, but its m is on meta; "
        "move the model before the optimizer is made, or load the optimizer's state dict again"
    )
    with pytest.raises(RuntimeError, match=expected):
        optimizer.step()
    assert all(map(torch.equal, [p, q, optimizer.state[p]["m"]], before))
    assert (optimizer.state[p]["step"], optimizer.state[q]["step"]) == (steps, steps)


@every_rule
def test_sparse_gradients_are_refused_and_change_nothing(rule):
    table = torch.nn.Embedding(5, 2, sparse=True)
    optimizer = RuleOptimizer(table.parameters(), rule)
    before = table.weight.detach().clone()
    table(torch.tensor([1, 3])).sum().backward()
    with pytest.raises(RuntimeError, match="does not support sparse gradients"):
        optimizer.step()
    assert torch.equal(table.weight, before)
    assert optimizer.state[table.weight]["step"] == 0
