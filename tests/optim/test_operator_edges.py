"""Every operator on every combination of edge values: every step gives what IEEE arithmetic (NumPy) says.

In all kinds: per-weight, per-tensor and scalar arguments. NaN stand in the same places, infinities have the same sign.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from optim.trajectories import NATIVE, needs_native, step

from thalweg import Rule
from thalweg.optim import RuleOptimizer, StackedOptimizer
from thalweg.optim.native import SLICE
from thalweg.rules.operators import EDGE_VALUES, OPERATORS

STACKED_NATIVE = pytest.param("stacked native", marks=needs_native)
EDGES = np.array(EDGE_VALUES)
PAIRS = np.array(list(itertools.product(EDGE_VALUES, EDGE_VALUES)))


def sign(a: np.ndarray) -> np.ndarray:
    return np.where(np.isnan(a), a.dtype.type(0), np.sign(a))  # the language's own choice: the sign of NaN is 0


# What an operator of (a, b) must give. The unary ones read a alone.
MEANINGS: dict[str, Callable[..., np.ndarray]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "**": np.power,
    "negative": lambda a, b: np.negative(a),
    "abs": lambda a, b: np.abs(a),
    "sign": lambda a, b: sign(a),
    "sqrt": lambda a, b: np.sqrt(a),
    "square": lambda a, b: np.square(a),
    "exp": lambda a, b: np.exp(a),
    "log": lambda a, b: np.log(a),
    "tanh": lambda a, b: np.tanh(a),
    "minimum": np.minimum,
    "maximum": np.maximum,
    "safe_div": lambda a, b: np.where(b == 0, a.dtype.type(0), np.divide(a, b)),
    "where": lambda a, b: np.where(a < b, a, b),
    "<": lambda a, b: np.where(a < b, a, -b),
    "<=": lambda a, b: np.where(a <= b, a, -b),
    ">": lambda a, b: np.where(a > b, a, -b),
    ">=": lambda a, b: np.where(a >= b, a, -b),
    "==": lambda a, b: np.where(a == b, a, -b),
    "!=": lambda a, b: np.where(a != b, a, -b),
}  # fmt: skip

# Kinds of the two arguments, as the rule reads them. g and w are per-weight; the mean of one element is itself,
# per-tensor; h and k are scalar states that keep their values.
KINDS = {
    "weight_weight": ("g", "w"),
    "weight_scalar": ("g", "h"),
    "scalar_weight": ("h", "w"),
    "scalar_scalar": ("h", "k"),
    "weight_tensor": ("g", "mean(w)"),
    "tensor_tensor": ("mean(g)", "mean(w)"),
}
SETTINGS = [("float64", kinds) for kinds in KINDS] + [("float32", kinds) for kinds in list(KINDS)[:2]]


def written(name: str, a: str, b: str) -> str:
    operator = OPERATORS[name]
    if operator.compares:
        return f"where({a} {name} {b}, {a}, -({b}))"
    if name == "where":
        return f"where({a} < {b}, {a}, {b})"
    if name == "negative":
        return f"-({a})"
    if not name.isidentifier():
        return f"{a}{name}{b}"
    return f"{name}({', '.join((a, b)[: operator.arity])})"


def names_for(kinds: str) -> list[str]:
    """The operators that give a weight's kind of result there: what reads a scalar alone is a scalar's business."""
    unary_of_scalar = kinds == "scalar_weight"
    return [name for name in MEANINGS if not (unary_of_scalar and OPERATORS[name].arity == 1)]


@cache
def rule_of_all(kinds: str) -> Rule:
    """A rule with one state for each operator, which a step sets to that operator of the two arguments."""
    arguments, names = KINDS[kinds], names_for(kinds)
    scalars = [h for h in "hk" if h in arguments]
    lines = [f"{h} = {h}" for h in scalars]
    for i, name in enumerate(names):
        lines += [f"old{i} = x{i}", f"x{i} = {written(name, *arguments)}"]
    return Rule("all", "\n".join([*lines, "w = w"]), state=[*scalars, *(f"x{i}" for i in range(len(names)))])


def cases(kinds: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """The arguments (a, b), each pair to be stepped alone: an array where it is per-weight, else one number."""
    one, every = np.float64, np.tile(EDGES, 3)  # long enough for vector instructions, with a tail that they leave
    if kinds == "weight_weight":
        return [tuple(np.tile(PAIRS, (2, 1)).T)]
    if kinds == "weight_scalar":
        return [(every, one(h)) for h in EDGE_VALUES]
    if kinds == "scalar_weight":
        return [(one(h), every) for h in EDGE_VALUES]
    return [(one(a), one(b)) for a, b in PAIRS]


def single(rule: Rule, backend: str, w: torch.Tensor, g: torch.Tensor, scalars: dict[str, float]) -> dict[str, Any]:
    """The states after one step of a parameter."""
    p = torch.nn.Parameter(w)
    optimizer = RuleOptimizer([p], rule, backend=backend)
    optimizer.state[p].update(scalars)
    step(optimizer, [p], [g])
    return optimizer.state[p]


def stacked(rule: Rule, backend: str, w: torch.Tensor, g: torch.Tensor, scalars: dict[str, float]) -> dict[str, Any]:
    """The same of the second of two members, whose neighbour is NaN throughout."""
    params, grads = ({"w": torch.stack([torch.full_like(x, math.nan), x])} for x in (w, g))
    optimizer = StackedOptimizer(params, rule, backend=backend.removeprefix("stacked "))
    for name, value in scalars.items():
        optimizer.state[name].copy_(torch.tensor([math.nan, value], dtype=torch.float64))
    optimizer.step(grads)
    return {name: own["w"][1] if isinstance(own, dict) else own[1] for name, own in optimizer.state.items()}


@cache
def results(kinds: str, dtype: str, backend: str) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """The pairs (a, b) as they were in that dtype, and what each operator made of them."""
    read = KINDS[kinds]
    pairs, made = [], []
    for case in cases(kinds):
        # Scalars are float64 whatever the weights are. What meets a weight is tried on values of the weight's dtype.
        in_dtype = [x if kinds == "scalar_scalar" else x.astype(dtype) for x in case]
        given = dict(zip((name[-2] if "mean" in name else name for name in read), in_dtype, strict=True))
        value, g = (torch.from_numpy(np.atleast_1d(given.get(x, np.zeros(case[0].size or 1)))) for x in "wg")
        size = max(value.numel(), g.numel())
        kind = getattr(torch, dtype)
        value, g = (tensor.to(kind).expand(size).clone() for tensor in (value, g))
        scalars = {h: float(given[h]) for h in "hk" if h in given}
        state = (stacked if "stacked" in backend else single)(rule_of_all(kinds), backend, value, g, scalars)
        # Whoever sums from 0 turns -0 into 0.
        in_dtype = [x + 0.0 if "mean" in name else x for x, name in zip(in_dtype, read, strict=True)]
        pairs.append(np.stack(np.broadcast_arrays(*map(np.atleast_1d, in_dtype)), axis=1))
        made.append([np.atleast_1d(np.asarray(state[f"x{i}"])) for i in range(len(names_for(kinds)))])
    a, b = np.concatenate(pairs).T
    columns = (np.concatenate(column) for column in zip(*made, strict=True))
    return a, b, dict(zip(names_for(kinds), columns, strict=True))


def assert_ieee(found: np.ndarray, expected: np.ndarray, arguments: list[tuple[float, ...]]) -> None:
    single = expected.dtype == np.float32
    wrong = np.isnan(found) != np.isnan(expected)
    wrong |= np.isinf(expected) & (found != expected)
    finite = np.isfinite(expected)
    with np.errstate(all="ignore"):
        # Vectorized exp, tanh and pow are good to a few units in the last place; among subnormals one unit is much.
        tolerance = np.abs(expected) * (1e-6 if single else 1e-12) + (1e-43 if single else 1e-322)
        wrong |= finite & ~(np.abs(found - expected) <= tolerance)
    shown = {(*arguments[i], f"gives {found[i]!r}, not {expected[i]!r}") for i in np.flatnonzero(wrong)}
    assert not shown, sorted(map(str, shown))


@pytest.mark.parametrize("backend", ["plain", "foreach", NATIVE, "stacked torch", STACKED_NATIVE])
@pytest.mark.parametrize(
    ("name", "dtype", "kinds"), [(name, dtype, kinds) for dtype, kinds in SETTINGS for name in names_for(kinds)]
)
def test_operator_on_edge_values_is_ieee_arithmetic(name, dtype, kinds, backend):
    a, b, made = results(kinds, dtype, backend)
    with np.errstate(all="ignore"):
        expected = MEANINGS[name](a, b)
    assert_ieee(made[name], expected, list(zip(a.tolist(), b.tolist(), strict=True)))


def test_every_operator_of_the_table_is_tried():
    tried = {name for name, row in OPERATORS.items() if not row.reduces and not row.draws}
    assert set(MEANINGS) == tried


# Reductions

REDUCTIONS: dict[str, Callable[[np.ndarray], np.floating]] = {
    "max_abs": lambda x: np.max(np.abs(x), initial=0.0),
    "norm": lambda x: np.sqrt(np.sum(np.square(x))),
    "mean": lambda x: np.sum(x) / x.dtype.type(max(x.size, 1)),
}
assert set(REDUCTIONS) == {name for name, row in OPERATORS.items() if row.reduces}

VECTORS: dict[str, list[float]] = {
    **{f"{value}_alone": [value] for value in EDGE_VALUES},
    **{f"{value}_last_of_three": [1.0, -2.0, value] for value in EDGE_VALUES},
    **{f"{value}_first_of_forty": [value] + [0.25, -0.5, 3.0] * 13 for value in EDGE_VALUES},
    "empty": [],
    "both_infinities": [math.inf, -math.inf],
    "nan_and_infinity": [math.nan, math.inf, 1.0],
    "infinity_and_nan": [1.0, -math.inf, math.nan],
    "zeros_of_both_signs": [-0.0, 0.0, -0.0],
    "large": [1e38] * 4,
    "subnormal": [5e-324] * 5,
}  # fmt: skip
_REDUCING = "".join(f"o{i} = r{i}\nr{i} = {name}(g)\n" for i, name in enumerate(REDUCTIONS)) + "w = w"


@cache
def reduced(dtype: str, backend: str) -> dict[str, list[float]]:
    """The reductions of every vector, all in one bucket."""
    params = [torch.nn.Parameter(torch.zeros(len(v), dtype=getattr(torch, dtype))) for v in VECTORS.values()]
    rule = Rule("reducing", _REDUCING, state=[f"r{i}" for i in range(len(REDUCTIONS))])
    optimizer = RuleOptimizer(params, rule, backend=backend)
    step(optimizer, params, [torch.tensor(v, dtype=getattr(torch, dtype)) for v in VECTORS.values()])
    rows = zip(VECTORS, params, strict=True)
    return {name: [optimizer.state[p][f"r{i}"].numpy() for i in range(len(REDUCTIONS))] for name, p in rows}


@pytest.mark.parametrize("backend", ["plain", "foreach", NATIVE])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", REDUCTIONS)
def test_reduction_of_vectors_with_edge_values_is_ieee_arithmetic(name, dtype, backend):
    with np.errstate(all="ignore"):
        expected = [REDUCTIONS[name](np.array(vector, dtype=dtype)) for vector in VECTORS.values()]
    found = [row[list(REDUCTIONS).index(name)] for row in reduced(dtype, backend).values()]
    assert_ieee(np.array(found), np.array(expected, dtype=dtype), [(vector,) for vector in VECTORS])


@needs_native
@pytest.mark.parametrize("place", [0, SLICE - 1, SLICE, 2 * SLICE + 4])
@pytest.mark.parametrize("value", [math.nan, -math.inf])
def test_one_bad_gradient_in_any_slice_reaches_the_reductions(value, place):
    g = torch.ones(2 * SLICE + 5, dtype=torch.float64)
    g[place] = value
    p = torch.nn.Parameter(torch.zeros_like(g))
    optimizer = RuleOptimizer([p], Rule("reducing", _REDUCING, state="r0 r1 r2"), backend="native")
    step(optimizer, [p], [g])
    max_abs, norm, mean = (float(optimizer.state[p][f"r{i}"]) for i in range(3))
    if math.isnan(value):
        assert math.isnan(max_abs)
        assert math.isnan(norm)
        assert math.isnan(mean)
    else:
        assert (max_abs, norm, mean) == (math.inf, math.inf, -math.inf)


# Scalars

HUGE = {
    "h*g": math.inf,
    "g/h": 0.0,
    "maximum(g, h)": math.inf,
    "minimum(w, h + g)": 0.0,
    "where(g > 0, h, 0)": math.inf,
    "where(h > 1, g, 0)": 1.0,
    "exp(h)*g": math.inf,
    "g - h": -math.inf,
}


@cache
def beside_float32(backend: str) -> dict[str, torch.Tensor]:
    lines = [f"o{i} = x{i}\nx{i} = {text}" for i, text in enumerate(HUGE)]
    rule = Rule("huge", "\n".join([*lines, "w = w"]), state=[f"x{i}" for i in range(len(HUGE))], h=1e300)
    p = torch.nn.Parameter(torch.zeros(3))
    optimizer = RuleOptimizer([p], rule, backend=backend)
    step(optimizer, [p], [torch.ones(3)])
    return {text: optimizer.state[p][f"x{i}"] for i, text in enumerate(HUGE)}


@pytest.mark.parametrize("backend", ["plain", "blocks", "foreach", NATIVE])
@pytest.mark.parametrize("text", HUGE)
def test_a_scalar_too_large_for_float32_is_infinite_beside_float32_weights(text, backend):
    """A scalar is a float64; where it meets a float32 weight it is rounded to float32, and nothing raises."""
    assert beside_float32(backend)[text].tolist() == [HUGE[text]] * 3


SCALARS = {
    "c/0": (1.0, math.inf),
    "c/(0*c)": (0.0, math.nan),
    "sqrt(c)": (-1.0, math.nan),
    "log(c)": (0.0, -math.inf),
    "exp(c)": (1000.0, math.inf),
    "c**999": (-10.0, -math.inf),
    "(0 - c)**0.5": (2.0, math.nan),
    "c**(0 - 1)": (0.0, math.inf),
    "c*c": (1e200, math.inf),
    "square(c)": (1e200, math.inf),
    "sign(c - c)": (math.inf, 0.0),
    "tanh(c)": (math.inf, 1.0),
}


@pytest.mark.parametrize("text", SCALARS)
def test_scalar_arithmetic_never_raises_and_never_turns_complex(text):
    start, expected = SCALARS[text]
    p = torch.nn.Parameter(torch.zeros(3, dtype=torch.float64))
    optimizer = RuleOptimizer([p], Rule("scalar", f"c = {text}\nw = w + 0*g", state="c"), backend="plain")
    optimizer.state[p]["c"] = start
    step(optimizer, [p], [torch.ones(3, dtype=torch.float64)])
    found = optimizer.state[p]["c"]
    assert type(found) is float
    assert found == expected or (math.isnan(found) and math.isnan(expected))


def test_parameters_whose_scalar_states_differ_in_the_sign_of_zero_are_stepped_by_their_own():
    params = [torch.nn.Parameter(torch.zeros(1)) for _ in range(2)]
    optimizer = RuleOptimizer(params, Rule("reciprocal", "c = c\nw = w + g/c", state="c"), backend="plain")
    optimizer.state[params[0]]["c"], optimizer.state[params[1]]["c"] = 0.0, -0.0
    step(optimizer, params, [torch.ones(1), torch.ones(1)])
    assert [p.item() for p in params] == [math.inf, -math.inf]
