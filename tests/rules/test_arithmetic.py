"""The arithmetic of a rule: operators on floats and on 0-d tensors, the kinds of states, and the order of a step."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from optim.trajectories import NATIVE

from thalweg import Rule
from thalweg.optim import RuleOptimizer
from thalweg.rules import plain
from thalweg.rules.operators import EDGE_VALUES, OPERATORS, Form


def sign(a: np.ndarray) -> np.ndarray:
    return np.where(np.isnan(a), 0.0, np.sign(a))


def safe_div(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.where(b == 0, 0.0, a / b)


# What IEEE arithmetic, as NumPy has it, says of each operator; sign and safe_div are the language's own conventions.
MEANINGS: dict[str, Callable[..., np.ndarray]] = {
    "+": np.add, "-": np.subtract, "*": np.multiply, "/": np.divide, "**": np.power, "negative": np.negative,
    "abs": np.abs, "sign": sign, "sqrt": np.sqrt, "square": np.square, "exp": np.exp, "log": np.log, "tanh": np.tanh,
    "minimum": np.minimum, "maximum": np.maximum, "safe_div": safe_div, "where": np.where,
    "<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal, "==": np.equal, "!=": np.not_equal,
}  # fmt: skip
REDUCTIONS = {"max_abs": lambda x: np.max(np.abs(x)), "norm": np.linalg.norm, "mean": np.mean}


def combinations(name: str) -> list[tuple[float, ...]]:
    """All combinations of edge values as arguments; the first argument of `where` is a truth value."""
    pools: list[tuple[float, ...]] = [EDGE_VALUES] * OPERATORS[name].arity
    if name == "where":
        pools[0] = (True, False)
    return list(itertools.product(*pools))


def evaluated(form: Form, arguments: tuple[object, ...]) -> object:
    """A printed form of an operator, computed on arguments."""
    names = [f"a{i}" for i in range(len(arguments))]
    source = f"def value({', '.join(names)}):\n    return {form.template.format(*names)}\n"
    return plain.compiled(source, "value", plain.namespace())(*arguments)


def expected(name: str) -> np.ndarray:
    columns = [np.array(column) for column in zip(*combinations(name), strict=True)]
    with np.errstate(all="ignore"):
        return np.asarray(MEANINGS[name](*columns), dtype=np.float64)


def test_meanings_cover_the_operator_table():
    assert MEANINGS.keys() | REDUCTIONS.keys() == {name for name, row in OPERATORS.items() if not row.draws}


def test_edge_values_hold_what_breaks_arithmetic():
    values = [value for value in EDGE_VALUES if not math.isnan(value)]
    assert {0.0, math.inf, -math.inf, 5e-324, 1e38, -1e38} <= set(values)
    assert any(math.copysign(1, value) < 0 for value in values if value == 0)
    assert any(math.isnan(value) for value in EDGE_VALUES)


# 2 ulp: NumPy, Python and torch each have exp, log, tanh and powers of their own.
ULPS = {"rtol": 5e-16, "atol": 0}


@pytest.mark.parametrize("name", MEANINGS)
def test_operator_on_floats_is_ieee_arithmetic_on_every_combination_of_edge_values(name):
    found = [evaluated(OPERATORS[name].scalar, arguments) for arguments in combinations(name)]
    kind = bool if OPERATORS[name].compares else float
    assert {type(value) for value in found} == {kind}  # nothing raises, nothing turns complex
    np.testing.assert_allclose(np.array(found, dtype=np.float64), expected(name), **ULPS)


@pytest.mark.parametrize("name", MEANINGS)
def test_operator_on_0d_tensors_is_ieee_arithmetic_on_every_combination_of_edge_values(name):
    found = []
    for arguments in combinations(name):
        dtypes = [torch.bool if isinstance(a, bool) else torch.float64 for a in arguments]
        tensors = tuple(torch.tensor(a, dtype=dtype) for a, dtype in zip(arguments, dtypes, strict=True))
        value = evaluated(OPERATORS[name].torch, tensors)
        assert isinstance(value, torch.Tensor)
        assert value.shape == ()
        assert value.dtype == (torch.bool if OPERATORS[name].compares else torch.float64)
        found.append(float(value))
    np.testing.assert_allclose(np.array(found), expected(name), **ULPS)


@pytest.mark.parametrize("name", REDUCTIONS)
@pytest.mark.parametrize("values", [[3.0, -4.0], [-2.5], [0.0, -0.0], [1e38, 1.0], [1.0, math.inf], [math.nan, 5.0]])
def test_reduction_is_numpys_of_the_whole_tensor(name, values):
    found = evaluated(OPERATORS[name].torch, (torch.tensor(values, dtype=torch.float64).reshape(1, -1),))
    assert found.shape == ()
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(float(found), REDUCTIONS[name](np.array(values)), rtol=1e-15)


@pytest.mark.parametrize("name", REDUCTIONS)
def test_reduction_of_an_empty_tensor_is_0(name):
    assert float(evaluated(OPERATORS[name].torch, (torch.zeros(0, 3),))) == 0.0


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0/0", math.nan), ("1/0", math.inf), ("-1/0", -math.inf), ("1/(-0.0)", -math.inf), ("sqrt(-1)", math.nan),
        ("(-8)**(1/3)", math.nan), ("0**-1", math.inf), ("(-0.0)**-1", -math.inf), ("(-0.0)**-2", math.inf),
        ("log(0)", -math.inf), ("log(-1)", math.nan), ("exp(1e6)", math.inf), ("9**9**9", math.inf),
        ("(-9)**999", -math.inf), ("(-9)**998", math.inf), ("1e308*10", math.inf), ("1e308/1e-308", math.inf),
        ("1e999 - 1e999", math.nan), ("0*1e999", math.nan), ("sign(0/0)", 0.0), ("sign(-0.0)", 0.0),
        ("safe_div(1, 0)", 0.0), ("safe_div(0/0, 0)", 0.0), ("safe_div(1, 0/0)", math.nan), ("tanh(1e999)", 1.0),
        ("minimum(0/0, 1)", math.nan), ("minimum(1, 0/0)", math.nan), ("maximum(0/0, 1)", math.nan),
        ("maximum(1, 0/0)", math.nan), ("where(0/0 < 1, 2, 3)", 3.0), ("where(0/0 != 0/0, 2, 3)", 2.0),
        ("where(1 < 2, 5, 1/0)", 5.0), ("where(1 < 2, 5, 0/0)", 5.0), ("-2**2", -4.0),
        ("2**-1", 0.5), ("2**3**2", 512.0),
        ("(0/0)**0", 1.0), ("1**(0/0)", 1.0), ("square(1e200)", math.inf), ("1 - 2 - 3", -4.0), ("8/4/2", 1.0),
    ],
)  # fmt: skip
def test_scalar_expression_has_its_ieee_value(text, value):
    rule = Rule("scalars", f"s = s*0 + ({text})\nw = w + s")
    scalars = rule.scalars(rule.hyperparameters)
    w = torch.zeros(1, dtype=torch.float64)
    _, found = plain.step(rule)(w, w, 0.0, t=1.0, **scalars, maximize=False, decay="coupled")
    assert type(found) is float
    assert found == value or (math.isnan(found) and math.isnan(value))


def test_where_selects_so_that_nan_in_the_other_branch_is_harmless():
    rule = Rule("selected", "w = where(g == 0, w, w - sqrt(g)/g)")
    g = torch.tensor([0.0, 4.0, -1.0], dtype=torch.float64)
    scalars = rule.scalars(rule.hyperparameters)
    (w,) = plain.step(rule)(torch.ones(3, dtype=torch.float64), g, t=1.0, **scalars, maximize=False, decay="coupled")
    assert w[:2].tolist() == [1.0, 0.5]
    assert w[2].isnan()


# Kinds

KINDS = {
    "counter": ("n = n + 1\nw = w - g/n", {}, {"n": "scalar"}),
    "clock-in-a-temporary": ("z = t*t\nn = n + z\nw = w - g/n", {}, {"n": "scalar"}),
    "norm": ("n = n + norm(g)\nw = w - g/n", {}, {"n": "per-tensor"}),
    "norm-in-a-temporary": ("z = norm(g)\nn = 0.9*n + z\nw = w - g/n", {}, {"n": "per-tensor"}),
    "scalar-times-norm": ("n = n + t*norm(g)\nk = k + 1\nw = w - g/n/k", {}, {"n": "per-tensor", "k": "scalar"}),
    "momentum": ("m = 0.9*m + g\nw = w - m", {}, {"m": "per-weight"}),
    "momentum-of-the-weight": ("m = 0.9*m + w\nw = w - g*m", {}, {"m": "per-weight"}),
    "mean-of-momentum": (
        "m = 0.9*m + g\nn = n + mean(m)\nw = w - m/n", {}, {"m": "per-weight", "n": "per-tensor"},
    ),
    "through-another-state": ("a = b\nb = 0.9*b + g\nw = w - a", {}, {"b": "per-weight"}),
    "through-a-later-state": ("w = w - a\na = a + b\nb = b + g", {}, {"a": "per-weight", "b": "per-weight"}),
    "through-a-chain-backwards": (
        "w = w - a\na = a + b\nb = b + c\nc = c + d\nd = d + norm(g)", {},
        dict.fromkeys("abcd", "per-tensor"),
    ),
    "only-the-later-half-of-a-chain": (
        "w = w - g*a\na = a + 1\nb = b + a\nc = c + b*norm(g)\nd = d + c*g", {},
        {"a": "scalar", "c": "per-tensor", "d": "per-weight", "b": "scalar"},
    ),
    "reduced-again": ("m = m + g\nn = n + norm(m - n)\nw = w - g*n", {}, {"m": "per-weight", "n": "per-tensor"}),
    "begun-at-random": ("p = 0.5*p\nw = w - g*p", {"p": "normal(0, 1)"}, {"p": "per-weight"}),
    "begun-as-the-weight": ("p = 0.5*p\nw = w - g*p", {"p": "w"}, {"p": "per-weight"}),
    "begun-as-a-norm": ("p = 0.5*p\nw = w - g*p", {"p": "norm(w)"}, {"p": "per-tensor"}),
    "begun-as-a-number": ("p = 0.5*p\nw = w - g*p", {"p": "2"}, {"p": "scalar"}),
    "scalar-assigned-to-per-weight": ("p = where(t <= 1, 0, g + p)\nw = w - p", {}, {"p": "per-weight"}),
    "clock-assigned-to-per-weight": ("w = w - g*p\np = p*0 + t", {"p": "normal(0, 1)"}, {"p": "per-weight"}),
    "number-assigned-to-per-weight": ("w = w - g*p\np = 3", {"p": "normal(0, 1)"}, {"p": "per-weight"}),
    "number-assigned-to-per-tensor": ("w = w - g*p\np = 3", {"p": "mean(w)"}, {"p": "per-tensor"}),
    "norm-assigned-to-per-weight": ("w = w - g*p\np = norm(g)", {"p": "w"}, {"p": "per-weight"}),
    "overwritten-before-it-is-read-again": ("z = p\np = t\nw = w - g*z", {}, {"p": "scalar"}),
}  # fmt: skip


def kinds_of(text: str, init: dict[str, str]) -> tuple[Rule, dict[str, str]]:
    rule = Rule("kinds", text, init=init)
    return rule, {state: str(rule.program.kinds[state]) for state in rule.states}


@pytest.mark.parametrize(("text", "init", "kinds"), KINDS.values(), ids=KINDS)
def test_states_have_the_least_kind_that_holds_from_step_to_step(text, init, kinds):
    _, found = kinds_of(text, init)
    assert found == kinds


@pytest.mark.parametrize(("text", "init", "kinds"), KINDS.values(), ids=KINDS)
def test_states_are_floats_or_tensors_as_their_kinds_say_in_every_step(text, init, kinds):
    rule, _ = kinds_of(text, init)
    p = torch.nn.Parameter(torch.tensor([[1.0, -2.0, 0.5]], dtype=torch.float64))
    optimizer = RuleOptimizer([p], rule, backend="plain")
    for k in range(4):
        for name, kind in kinds.items():
            value = optimizer.state[p][name]
            if kind == "scalar":
                assert type(value) is float
            else:
                assert value.shape == ((1, 3) if kind == "per-weight" else ())
                assert value.dtype == torch.float64
        p.grad = torch.tensor([[0.5, 1.0 - k, 3.0]], dtype=torch.float64)
        optimizer.step()


# Outputs are written after every read


def run(rule: Rule, backend: str, steps: int = 1) -> tuple[torch.nn.Parameter, RuleOptimizer]:
    p = torch.nn.Parameter(torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64))
    optimizer = RuleOptimizer([p], rule, backend=backend)
    for k in range(steps):
        p.grad = torch.tensor([0.5, 1.0, -3.0 + k], dtype=torch.float64)
        optimizer.step()
    return p, optimizer


backends = pytest.mark.parametrize("backend", ["plain", "blocks", NATIVE])


@backends
def test_two_states_can_be_swapped(backend):
    text = "c = a\na = b\nb = c\nw = w - 0*a*b*g"
    rule = Rule("swap", text, state="a b", init={"a": "normal(0, 1)", "b": "normal(0, 1)"})
    p, optimizer = run(rule, backend, steps=0)
    before = {name: optimizer.state[p][name].clone() for name in "ab"}
    assert not torch.equal(before["a"], before["b"])
    p.grad = torch.ones_like(p)
    for _ in range(3):
        optimizer.step()
    assert torch.equal(optimizer.state[p]["a"], before["b"])
    assert torch.equal(optimizer.state[p]["b"], before["a"])


@backends
def test_state_that_is_the_gradient_or_the_weight_keeps_its_own_memory(backend):
    rule = Rule("kept", "d = g - h\nh = g\nv = u\nu = w\nw = w - 0.5*d - 0*v", state="h u")
    p, optimizer = run(rule, backend, steps=1)
    start, gradient = torch.tensor([1.0, -2.0, 0.5]), torch.tensor([0.5, 1.0, -3.0])
    assert p.detach().tolist() == (start - 0.5 * gradient).tolist()
    p.grad.fill_(7.0)
    with torch.no_grad():
        p.fill_(9.0)
    assert optimizer.state[p]["h"].tolist() == gradient.tolist()
    assert optimizer.state[p]["u"].tolist() == start.tolist()


@backends
def test_two_states_assigned_one_value_keep_memory_of_their_own(backend):
    rule = Rule("twins", "z = a + b + g\na = z\nb = z\nw = w - z", state="a b")
    p, optimizer = run(rule, backend, steps=2)
    a, b = optimizer.state[p]["a"], optimizer.state[p]["b"]
    assert a.data_ptr() != b.data_ptr()
    assert torch.equal(a, b)
    assert a.tolist() == [1.5, 3.0, -8.0]


@backends
def test_line_reads_what_was_assigned_last_and_before_that_the_step_before(backend):
    late = Rule("late", "w = w - m\nm = m + g", state="m")  # w moves by what m was before the step
    early = Rule("early", "m = m + g\nw = w - m", state="m")
    assert run(late, backend)[0].tolist() == [1.0, -2.0, 0.5]
    assert run(early, backend)[0].tolist() == [0.5, -3.0, 3.5]
    assert run(late, backend, steps=2)[0].tolist() == [0.5, -3.0, 3.5]


@backends
def test_line_after_the_weight_is_assigned_reads_the_new_weight(backend):
    rule = Rule("after", "old = w + 0*u\nw = w - g\nu = old - w", state="u")
    p, optimizer = run(rule, backend)
    assert optimizer.state[p]["u"].tolist() == [0.5, 1.0, -3.0]


def test_misordered_line_is_a_silently_delayed_rule_unless_states_are_declared():
    text = "w = w - u\nm = 0.9*m + g\nu = m"
    assert Rule("misordered", text).states == ("u", "m")
    with pytest.raises(ValueError, match=r"line 1, column 9: 'u' is read before it is assigned, and is not declared"):
        Rule("misordered", text, state="m")
