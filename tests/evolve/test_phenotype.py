"""Phenotypes: what their two dialects mean, what is left out, and the texts that are refused."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
import torch
from hostile_texts import HOSTILE
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from thalweg import Rule
from thalweg.evolve.genotype import Limits, mapped
from thalweg.evolve.grammar import grammar_named
from thalweg.evolve.phenotype import MOST_LETTERS, rule_from_phenotype
from thalweg.evolve.representation import Refused
from thalweg.rules import plain
from thalweg.rules.gallery import GALLERY
from thalweg.rules.language import MAX_LINE

A, B = 0.0892170603, 0.999060945  # ADES, as it was evolved
C1, C2 = 0.0613374, 0.0136636  # Sign

HEAD = "alpha_func, beta_func, sigma_func, grad_func = "
ALPHA, BETA = "lambda shape,  alpha, grad: ", "lambda shape,  alpha, beta, grad: "
SIGMA, GRAD = "lambda shape,  alpha, beta, sigma, grad: ", "lambda shape,  alpha, beta, sigma: "


def constant(value: float) -> str:
    return f"tf.constant({value:.8e}, shape=shape, dtype=tf.float32)"


def autolr(alpha: str, beta: str, sigma: str, grad: str) -> str:
    """A phenotype as AutoLR's grammars write it."""
    return f"{HEAD}{ALPHA}{alpha}, {BETA}{beta}, {SIGMA}{sigma}, {GRAD}{grad}"


ADES = autolr(
    "tf.math.add(alpha, tf.math.pow(grad, alpha))",
    f"tf.math.multiply({constant(A)}, tf.math.add(tf.math.multiply(tf.math.add(beta, {constant(B)}), "
    "tf.math.add(beta, grad)), beta))",
    "grad",
    "tf.math.negative(beta)",
)
SIGN = autolr(
    "grad",
    "tf.math.add(beta, grad)",
    "sigma",
    f"tf.math.multiply({constant(C1)}, tf.math.divide_no_nan({constant(C2)}, "
    "tf.math.divide_no_nan(tf.math.negative(beta), tf.math.sqrt(tf.math.square(beta)))))",
)


def trajectory(rule: Rule, gradients: np.ndarray) -> np.ndarray:
    """The weights after each plain step, from 1, in float64."""
    w = torch.ones(gradients.shape[1], dtype=torch.float64)
    scalars = rule.scalars(rule.hyperparameters)
    states: list = [torch.zeros_like(w) if s in rule.program.tensor_states else 0.0 for s in rule.states]
    weights = []
    for t, g in enumerate(torch.from_numpy(gradients), start=1):
        w, *states = plain.step(rule)(w, g, *states, t=float(t), **scalars, maximize=False, decay=rule.decay)
        weights.append(w.numpy())
    return np.stack(weights)


def divide_no_nan(a, b):
    return np.where(b == 0, 0.0, a / np.where(b == 0, 1.0, b))


NUMPY = {
    "negative": np.negative, "subtract": np.subtract, "add": np.add, "multiply": np.multiply, "pow": np.power,
    "square": np.square, "divide_no_nan": divide_no_nan, "sqrt": np.sqrt,
}  # fmt: skip


def as_autolr_means_it(text: str, gradients: np.ndarray, dtype: type, zero: float) -> dict[str, np.ndarray]:
    """Weights and states after each step: x -= f_x, then y -= f_y, z -= f_z and w -= f_w, by NumPy, from the text.

    A state that is zero has the sign of `zero`.
    """
    code = compile(text.partition("=")[2].strip(), "phenotype", "eval")
    values = {name: np.zeros(gradients.shape[1], dtype) for name in "xyz"} | {"w": np.ones(gradients.shape[1], dtype)}
    steps = []
    with np.errstate(all="ignore"):
        for g in gradients.astype(dtype):
            for k, name in enumerate("xyzw"):
                new = values[name] - eval(code, NUMPY | {"constant": dtype, "g": g} | values)[k]
                values[name] = np.where(new == 0, dtype(zero), new)
            steps.append({name: value.astype(float) for name, value in values.items()})
    return {name: np.stack([step[name] for step in steps]) for name in "xyzw"}


def test_ades_as_autolr_writes_it_is_the_rule_of_the_gallery():
    rule = rule_from_phenotype(ADES)
    written = Rule("ades", f"y = y - {A}*(y + (y + {B})*(y + g))\n w = w + y")
    assert rule.canonical() == written.canonical()
    ades = GALLERY["ades"].rule
    same = ades.replace(betas=(1 - A, B))
    assert [rule.behaviour(seed) for seed in range(3)] == [same.behaviour(seed) for seed in range(3)]
    gradients = np.random.default_rng(0).normal(size=(20, 5))
    np.testing.assert_allclose(
        trajectory(rule, gradients), trajectory(ades, gradients), rtol=1e-4
    )  # six digits of a, b


def test_sign_as_autolr_writes_it_does_what_the_rule_of_the_gallery_does():
    rule, sign = rule_from_phenotype(SIGN), GALLERY["sign"].rule.replace(lr=C1 * C2)
    assert [rule.behaviour(seed) for seed in range(3)] == [sign.behaviour(seed) for seed in range(3)]


def test_functions_see_the_states_before_them_as_they_are_by_then():
    """By hand: x = 0 - g; y = 0 - 2x = 2g; z = 0 - y*y = -4g^2; w = 1 - z = 1 + 4g^2."""
    rule = rule_from_phenotype("x_func, y_func, z_func, weight_func = g, multiply(constant(2.0), x), square(y), z")
    assert trajectory(rule, np.array([[0.5, -3.0]])).tolist() == [[2.0, 37.0]]


def test_programs_that_differ_only_in_a_state_inside_a_state_are_two():
    """AutoLR's archive puts functions into one another by text and in order, so that both had one key there."""
    texts = [f"alpha_func, beta_func, sigma_func, grad_func = {alpha}, alpha, g, beta" for alpha in ("g", "square(g)")]
    one, other = map(rule_from_phenotype, texts)
    assert one.canonical() != other.canonical()
    assert one.behaviour() != other.behaviour()


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32))
def test_a_phenotype_of_the_papers_grammar_does_what_autolr_means_by_it(seed):
    grammar, random = grammar_named("paper"), Random(seed)
    text = mapped(grammar, [()] * 20, random, Limits(17, 250), free_depth=9).text
    gradients = np.array([[random.gauss(0, 1), random.gauss(0, 0.01), 0.0] for _ in range(4)])
    expected = as_autolr_means_it(text, gradients, np.float64, 0.0)
    assume(all(np.isfinite(expected[state]).all() for state in "xyz"))  # one that is set forgets an infinity
    for dtype, zero in ((np.longdouble, 0.0), (np.float64, -0.0)):  # where rounding or such a sign decides, it may
        other = as_autolr_means_it(text, gradients, dtype, zero)
        assume(np.allclose(other["w"], expected["w"], rtol=1e-9, equal_nan=True))
    np.testing.assert_allclose(trajectory(rule_from_phenotype(text), gradients), expected["w"], rtol=1e-6)


def test_all_spellings_of_names_and_functions_are_one():
    ours = rule_from_phenotype("x_func, y_func, weight_func = add(x, g), multiply(y, constant(0.5)), subtract(x, y)")
    for text in (
        "alpha_func, beta_func, grad_func = tf.math.add(alpha, grad), beta*tf.constant(0.5), alpha - beta",
        "x_func, y_func, w_func = lambda size, x, g: torch.add(x, g), lambda size, y, g: torch.mul(y, torch.full("
        "size=size, fill_value=0.5, dtype=torch.float32)), lambda size, x, y: K.subtract(x, y)",
        "alpha_func, beta_func, weight_func = (x + gradient, y*0.5, x - y)",
    ):
        assert rule_from_phenotype(text) == ours


def test_a_function_that_adds_to_its_own_state_sets_it():
    rule = rule_from_phenotype("x_func, y_func, weight_func = add(x, g), subtract(y, square(g)), add(x, y)")
    assert rule.states == ()
    assert rule == Rule("evolved", "x = -g\ny = square(g)\nw = w - (x + y)")


def test_equations_may_stand_on_lines_or_behind_semicolons():
    lines = rule_from_phenotype("x = 0.9*x + g\n  w = w - 0.1*x\n")
    assert (
        rule_from_phenotype("x = 0.9*x + g; w = w - 0.1*x;") == lines == Rule("evolved", "x = 0.9*x + g\nw = w - 0.1*x")
    )


@pytest.mark.parametrize(
    "value", ["where(g < 0, -g, x/3)", "(-g)**2 - -g**-2", "g*(1 - 0.9**t)", "x - (g - w) - -1e-8", "lr*g"]
)
def test_an_equation_keeps_its_meaning_as_it_is_read_and_written_again(value):
    text = f"x = x + {value}\nw = w - x*norm(x)"
    assert rule_from_phenotype(f"x = x + {value}; w = w - x*norm(x)").canonical() == Rule("evolved", text).canonical()


def test_what_the_weight_never_follows_from_is_left_out():
    rule = rule_from_phenotype("x = 0.9*x + g; y = y + x*z; z = 0.5*z + g; w = w - 0.1*x")
    assert rule.states == ("x",)
    assert rule == Rule("evolved", "x = 0.9*x + g\nw = w - 0.1*x")


def test_a_state_is_kept_that_the_weight_follows_from_a_step_later():
    rule = rule_from_phenotype("x = y; y = z; z = g; w = w - 0.1*x")
    assert rule == Rule("evolved", "x = y\ny = z\nz = g\nw = w - 0.1*x")


OPERATIONS = st.sampled_from(["({} + {})", "({} - {})", "minimum({}, {})", "{}*{}", "tanh({})"])
NESTED = st.recursive(
    st.sampled_from(["g", "x", "0.5"]),
    lambda inner: st.builds(lambda operation, *parts: operation.format(*parts), OPERATIONS, inner, inner),
    max_leaves=120,
)


@settings(max_examples=60, deadline=None)
@given(NESTED, NESTED)
def test_what_is_too_long_for_the_rule_language_is_cut_and_does_the_same(one, other):
    """Against Python's own reading of the text, in NumPy."""
    names = {"minimum": np.minimum, "tanh": np.tanh}
    g, x = np.array([0.5, -2.0, 0.0]), np.zeros(3)
    with np.errstate(all="ignore"):
        x = eval(one, names | {"g": g, "x": x})
        w = np.ones(3) - eval(other, names | {"g": g, "x": x})
    try:
        rule = rule_from_phenotype(f"x = {one}; w = w - {other}")
    except Refused as refused:
        assert "lines" in str(refused) or "nested" in str(refused)  # noqa: PT017
        return
    assert all(len(line) <= MAX_LINE for line in rule.text.splitlines())
    np.testing.assert_allclose(trajectory(rule, g[None]), [w], rtol=1e-9)


def test_a_tree_of_seventeen_levels_fits_into_a_rule():
    deep = "g"
    for level in range(17):
        deep = (
            f"add(multiply({deep}, constant(0.99)), sqrt(square(subtract({deep}, y))))"
            if level < 6
            else f"square({deep})"
        )
    rule = rule_from_phenotype(f"x_func, y_func, weight_func = {deep}, g, x")
    assert max(map(len, rule.text.splitlines())) <= MAX_LINE < len(deep)


def test_cutting_takes_no_name_that_is_there():
    long = " + ".join(["c0*g"] * 150)
    rule = rule_from_phenotype(f"c0 = 0.9*c0 + g; c1 = square(sqrt(abs({long}))); w = w - c1")
    assert rule.states == ("c0",)
    g = np.array([[0.5, -2.0]])
    np.testing.assert_allclose(trajectory(rule, g), 1 - 150 * np.abs(g * g))


REFUSED = {
    "nothing": ("", "no equation assigns w"),
    "no weight": ("x = g", "no equation assigns w"),
    "import": ("import os; w = g", "the word 'import'"),
    "dunder import": ("w = w - __import__(g)", "a call of '__import__'"),
    "a string": ("w = w - open('x')", "letters that no equation has"),
    "exec": ("w_func = exec(g)", "a call of 'exec'"),
    "attribute": ("w = g.data", "found 'attribute'"),
    "method": ("w_func = g.add(g)", "a call of something else than a function"),
    "another module": ("w_func = os.add(g, g)", "a call of something else than a function"),
    "attribute of a module": ("w_func = tf.io.add(g, g)", "a call of something else than a function"),
    "subscript": ("w = g[0]", "letters that no equation has"),
    "comprehension": ("w = (g for x in w)", "the word 'for'"),
    "a lambda called": ("w = (lambda x: x)(g)", "a call of something else than a function"),
    "a lambda in a lambda": ("w_func = lambda g: lambda g: g", "found 'lambda'"),
    "a default that calls": ("w_func = lambda g=exit(): g", "a lambda that takes more than names"),
    "arguments by name": ("w_func = add(x=g, y=g)", "add with other than 2 arguments"),
    "starred": ("w_func = square(*g)", "found 'starred'"),
    "a constant made of a name": ("w_func = constant(g)", "a constant that is no number"),
    "a constant made of a call": ("w_func = constant(0.1, shape=exit())", "a constant that is not one number"),
    "assignment inside": ("w = (g := g)", "found 'namedexpr'"),
    "a chain of assignments": ("x = w = g", "no equation `name = expression`"),
    "a comparison alone": ("w = g < w", "found 'compare'"),
    "complex": ("w = w - 1j*g", "a constant that is no number"),
    "unknown name": ("w = w - learning_rate*g", "'learning_rate' is read, which nothing here assigns"),
    "architecture": ("w_func = lambda layer_num, grad: multiply(layer_num, grad)", "'layer_num' is read"),
    "a name the lambda lacks": ("x_func, w_func = lambda g: x, lambda x: x", "'x' is read"),
    "too few values": ("x_func, y_func, w_func = g, x", "3 functions are assigned 2 values"),
    "constants as functions": ("x_func, lr_const = g, 0.1", "something else than functions"),
    "twice": ("x_func, alpha_func, w_func = g, g, x", "'x' is assigned twice"),
    "the gradient assigned": ("g = w; w = g", "the name 'g' is taken"),
    "a function's name": ("add = g; w = add", "the name 'add' is taken"),
    "dead but no arithmetic": ("x = print(g); w = w - g", "a call of 'print'"),
    "syntax": ("w = w - (g", "no equations"),
    "nested": ("w = " + "(" * 5000 + "g" + ")" * 5000, "nested brackets"),
    "signs": ("w = " + "-" * 9000 + "g", "nested brackets, signs or powers"),
    "powers": ("w = " + "9**" * 3000 + "g", "nested brackets, signs or powers"),
    "long": ("w = g" + " + g" * MOST_LETTERS, f"letters, more than {MOST_LETTERS}"),
    "a scalar's norm": ("w = w - g*norm(0.5)", "norm of a scalar value"),
    "no weight-wise value": ("w = 0.5", "w is assigned a scalar value"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_rule_is_refused_with_the_reason(text, reason):
    with pytest.raises(Refused) as refused:
        rule_from_phenotype(text)
    assert reason in str(refused.value)
    assert len(str(refused.value)) <= 200


def test_a_text_that_the_rule_language_refuses_is_refused_or_reads_a_state():
    """In a phenotype, states need no declaration. Nothing but Refused is raised."""
    refused = 0
    for _, text in HOSTILE:
        try:
            Rule("again", rule_from_phenotype(text).text)
        except Refused:
            refused += 1
    assert refused > 0.9 * len(HOSTILE)


WORDS = [*"wgxyt()()()=,;.:+-*/<", "**", "0.5", "9", "add", "tf.math.", "lambda", "_func", "where", "norm", "\n", " "]


@settings(max_examples=500, deadline=None)
@given(
    st.lists(st.sampled_from(WORDS), max_size=40).map("".join),
    st.sampled_from(["", "w = ", "x_func, w_func = ", "w_func = "]),
)
def test_whatever_the_text_it_is_a_rule_or_refused(text, head):
    try:
        rule = rule_from_phenotype(head + text)
    except Refused as refused:
        assert str(refused)  # noqa: PT017
    else:
        assert isinstance(rule, Rule)
