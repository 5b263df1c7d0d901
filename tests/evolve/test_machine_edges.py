"""Every operator of the machine on every combination of edge values gives what IEEE arithmetic (NumPy) says.

For blocks of weights, per-tensor values and scalars in every order: each of these is code of its own in the machine.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from optim.test_operator_edges import MEANINGS, REDUCTIONS, VECTORS, assert_ieee, written
from optim.trajectories import needs_native

from thalweg import Rule
from thalweg.evolve.machine import Machine
from thalweg.rules.operators import EDGE_VALUES, OPERATORS

pytestmark = needs_native

PAIRS = np.array(list(itertools.product(EDGE_VALUES, EDGE_VALUES)))
BINARY = [name for name in MEANINGS if OPERATORS[name].arity > 1]
DTYPES = {"float32": torch.float32, "float64": torch.float64}


def number(value: float) -> str:
    """An edge value as a text has it: the language has no names for what is no number."""
    if np.isnan(value):
        return "(1e999 - 1e999)"
    return repr(float(value)).replace("inf", "1e999")


def of_weights(value: str) -> str:
    """The weights become a value that is one for all of them, to the bit."""
    return f"w = where(w == w, {value}, {value})"


def assert_is_arithmetic(name: str, made: torch.Tensor, a: np.ndarray, b: np.ndarray) -> None:
    with np.errstate(all="ignore"):
        expected = np.broadcast_to(MEANINGS[name](a, b), made.shape)
    pairs = np.stack(np.broadcast_arrays(a, b), axis=-1).tolist()
    assert_ieee(made.numpy(), expected, [tuple(pair) for pair in pairs])


@pytest.mark.parametrize("dtype", DTYPES)
def test_operators_of_two_blocks(dtype):
    """Long enough for vector instructions, with a tail that they leave."""
    a, b = np.tile(PAIRS, (2, 1)).T.astype(dtype)
    rules = [Rule("of g and w", f"w = {written(name, 'g', 'w')}") for name in MEANINGS]
    params = {"w": torch.from_numpy(b).repeat(len(rules), 1)}
    Machine(rules, params).step({"w": torch.from_numpy(a).repeat(len(rules), 1)})
    for name, made in zip(MEANINGS, params["w"], strict=True):
        assert_is_arithmetic(name, made, a, b)


@pytest.mark.parametrize("scalar_first", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
def test_operators_of_a_block_and_a_scalar(dtype, scalar_first):
    """The scalar is worked out in the step: an edge value times t, which is 1."""
    block = np.tile(np.array(EDGE_VALUES), 3).astype(dtype)
    cases = list(itertools.product(BINARY, EDGE_VALUES))
    rules = []
    for name, value in cases:
        operands = ("g", f"({number(value)}*t)")
        rules.append(Rule("of a scalar", f"w = {written(name, *(operands[::-1] if scalar_first else operands))}"))
    params = {"w": torch.zeros(len(rules), len(block), dtype=DTYPES[dtype])}
    Machine(rules, params).step({"w": torch.from_numpy(block).repeat(len(rules), 1)})
    for (name, value), made in zip(cases, params["w"], strict=True):
        with np.errstate(over="ignore"):
            operands = (block, np.full_like(block, value))
        assert_is_arithmetic(name, made, *(operands[::-1] if scalar_first else operands))


@pytest.mark.parametrize("dtype", DTYPES)
def test_operators_of_two_per_tensor_values(dtype):
    """Each pair is two tensors of one element: the mean of one is itself, but that -0 plus 0 is 0."""
    a, b = (x.astype(dtype) for x in PAIRS.T)
    rules = [Rule("of means", of_weights(written(name, "mean(g)", "mean(w)"))) for name in MEANINGS]
    params = {str(i): torch.full((len(rules),), float(x), dtype=DTYPES[dtype]) for i, x in enumerate(b)}
    Machine(rules, params).step(
        {str(i): torch.full((len(rules),), float(x), dtype=DTYPES[dtype]) for i, x in enumerate(a)}
    )
    for name, made in zip(MEANINGS, torch.stack(list(params.values()), dim=1), strict=True):
        assert_is_arithmetic(name, made, a + 0.0, b + 0.0)


def test_operators_of_two_scalars():
    """Scalar states that go through all pairs, one a step."""
    count = len(EDGE_VALUES)
    walk = [f"n = where(n == {count}, 1, n + 1)"]
    walk += ["b0 = n", "a0 = n"]
    walk += [f"b{i} = where(n == {i}, {number(value)}, b{i - 1})" for i, value in enumerate(EDGE_VALUES, 1)]
    walk += [
        f"a{i} = where(t > {count * (i - 1)}, {number(value)}, a{i - 1})" for i, value in enumerate(EDGE_VALUES, 1)
    ]
    texts = [of_weights(written(name, f"a{count}", f"b{count}")) for name in MEANINGS]
    rules = [Rule("of scalars", "\n".join([*walk, text]), state="n") for text in texts]
    params = {"w": torch.zeros(len(rules), 1, dtype=torch.float64)}
    machine = Machine(rules, params)
    seen = []
    for _ in PAIRS:
        machine.step({"w": torch.zeros(len(rules), 1, dtype=torch.float64)})
        seen.append(params["w"][:, 0].clone())
    for name, made in zip(MEANINGS, torch.stack(seen, dim=1), strict=True):
        assert_is_arithmetic(name, made, *PAIRS.T)


@pytest.mark.parametrize("exponent", ["2", "3", "(-1)", "0.5", "1", "0"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_powers_that_have_a_short_cut_are_powers(dtype, exponent):
    base = np.tile(np.array(EDGE_VALUES), 3).astype(dtype)
    params = {"w": torch.zeros(1, len(base), dtype=DTYPES[dtype])}
    Machine([Rule("power", f"w = g**{exponent}")], params).step({"w": torch.from_numpy(base).unsqueeze(0)})
    assert_is_arithmetic("**", params["w"][0], base, np.full_like(base, float(exponent.strip("()"))))


@pytest.mark.parametrize("dtype", DTYPES)
def test_reductions_of_tensors_of_edge_values(dtype):
    rules = [Rule("of a tensor", of_weights(f"{name}(g)")) for name in REDUCTIONS]
    vectors = {name: np.array(values, dtype=dtype) for name, values in VECTORS.items()}
    params = {name: torch.zeros(len(rules), x.size, dtype=DTYPES[dtype]) for name, x in vectors.items()}
    Machine(rules, params).step({name: torch.from_numpy(x).repeat(len(rules), 1) for name, x in vectors.items()})
    for member, (name, meaning) in enumerate(REDUCTIONS.items()):
        for vector, x in vectors.items():
            with np.errstate(all="ignore"):
                expected = np.full(x.size, meaning(x), dtype=dtype)
            assert_ieee(params[vector][member].numpy(), expected, [(name, vector)] * x.size)


def test_reductions_go_on_over_blocks_and_a_nan_in_any_stays():
    """A tensor of several blocks, the odd value in each place in turn."""
    shape = (3, 1500)
    rules = [Rule("of a tensor", f"w = w + {name}(g)") for name in REDUCTIONS]
    for place, value in itertools.product((0, 351, 352, 900, 1499), (np.nan, -7.0)):
        g = torch.randn(shape[1:], generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        g[place] = value
        params = {"w": torch.zeros(shape, dtype=torch.float64)}
        Machine(rules, params).step({"w": g.repeat(3, 1)})
        for made, meaning in zip(params["w"].numpy(), REDUCTIONS.values(), strict=True):
            np.testing.assert_allclose(made, meaning(g.numpy()), rtol=1e-13)


def test_every_operator_has_a_code_of_its_own():
    from thalweg.evolve.machine.opcodes import PLACE

    assert list(PLACE) == list(OPERATORS)
    assert list(PLACE.values()) == list(range(len(OPERATORS)))
