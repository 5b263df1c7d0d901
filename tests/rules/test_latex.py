"""Printing: a rule's LaTeX, exactly and read back, and the brackets of the Python that its plain step is made of."""

from __future__ import annotations

import ast
import re

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rules.random_rules import GENOMES, Genome

from thalweg import Rule
from thalweg.rules import plain
from thalweg.rules.gallery import GALLERY

OWN = Rule(
    "own",
    """
    # the user's own
    v_hat = beta*v_hat + (1 - beta)*square(g)
    r = where(t <= 2, 1, safe_div(norm(g), max_abs(v_hat) + eps))
    w = w - lr*r*tanh(-g)**2/(2*sqrt(v_hat))
    """,
    state="v_hat", lr=0.1, beta=0.9, eps=1e-8,
)  # fmt: skip

EXACT = {
    "gravity": r"""
        z_{t} &= \frac{g_{t}}{1 + (g_{t} \, \max\left|g_{t}\right|)^{2}} \\
        k_{t} &= \frac{\beta \, t + 1}{t + 2} \\
        v_{t} &= k_{t} \, v_{t-1} + (1 - k_{t}) \, z_{t} \\
        w_{t} &= w_{t-1} - \eta \, v_{t}""",
    "adam": r"""
        m_{t} &= \beta_{1} \, m_{t-1} + (1 - \beta_{1}) \, g_{t} \\
        v_{t} &= \beta_{2} \, v_{t-1} + (1 - \beta_{2}) \, g_{t}^{2} \\
        \hat{m}_{t} &= \frac{m_{t}}{1 - \beta_{1}^{t}} \\
        \hat{v}_{t} &= \frac{v_{t}}{1 - \beta_{2}^{t}} \\
        w_{t} &= w_{t-1} - \frac{\eta \, \hat{m}_{t}}{\sqrt{\hat{v}_{t}} + \varepsilon}""",
    "lion": r"""
        c_{t} &= \beta_{1} \, m_{t-1} + (1 - \beta_{1}) \, g_{t} \\
        w_{t} &= w_{t-1} - \eta \, \operatorname{sign}\left(c_{t}\right) \\
        m_{t} &= \beta_{2} \, m_{t-1} + (1 - \beta_{2}) \, g_{t}""",
    "own": r"""
        \hat{v}_{t} &= \beta \, \hat{v}_{t-1} + (1 - \beta) \, g_{t}^{2} \\
        r_{t} &= \begin{cases} 1 & \text{if } t \leq 2 \\ \operatorname{safe\_div}\left(\left\lVert g_{t} \right\rVert,
            \max\left|\hat{v}_{t}\right| + \varepsilon\right) & \text{otherwise} \end{cases} \\
        w_{t} &= w_{t-1} - \frac{\eta \, r_{t} \, (\tanh\left(-g_{t}\right))^{2}}{2 \, \sqrt{\hat{v}_{t}}}""",
}
RULES = {**{name: entry.rule for name, entry in GALLERY.items()}, "own": OWN}
every_rule = pytest.mark.parametrize("rule", RULES.values(), ids=RULES)


@pytest.mark.parametrize("name", EXACT)
def test_rule_prints_as_its_paper_writes_it(name):
    lines = re.sub(r"\n {12}", " ", EXACT[name]).strip().splitlines()
    expected = "\n".join(["\\begin{aligned}", *map(str.strip, lines), "\\end{aligned}"])
    assert RULES[name].latex() == expected
    assert RULES[name]._repr_latex_() == f"$$\n{expected}\n$$"


@every_rule
def test_latex_is_well_formed(rule):
    text = rule.latex()
    opened: list[str] = []
    for match in re.finditer(r"\\(begin|end)\{(\w+)\}|\\(left|right)(?:\\\w+|.)|(?<!\\)([{}()])", text):
        kind, environment, side, bracket = match.groups()
        if kind == "begin" or side == "left" or bracket in ("{", "("):
            opened.append(environment or side or bracket)
        else:
            wanted = environment or {"right": "left", "}": "{", ")": "("}[side or bracket]
            assert opened.pop() == wanted
    assert opened == []
    assert not re.search(r"(?<!\\)_(?!\{)", text)  # an underscore begins an index or is escaped
    assert not re.search(r"\^(?!\{)", text)
    assert not re.search(r"[\^_]\{[^{}]*\}\^", re.sub(r"_\{[^{}]*\}", "", text))  # no double superscript
    assert len(text.splitlines()) == len([line for line in rule.text.splitlines() if "=" in line]) + 2


@every_rule
def test_latex_of_every_line_names_what_it_assigns_at_t(rule):
    assert all(re.match(r"[^&]*_\{([^{}]|\{[^{}]*\})*t\} &= \S", line) for line in rule.latex().splitlines()[1:-1])
    assert rule.latex().count("w_{t} &= ") == 1


def printed(expression: str, **hyperparameters: float) -> str:
    """The LaTeX of an expression of hyperparameters."""
    names = sorted(set(re.findall(r"\b[a-z]\w*\b(?!\()", expression)) - {"w", "g", "t"})
    given = dict.fromkeys(names, 2.0) | hyperparameters
    rule = Rule("print", f"w = w - g\nz = {expression}", **given)
    return rule.latex().splitlines()[2].removeprefix("z_{t} &= ")


@pytest.mark.parametrize(
    ("expression", "latex"),
    [
        ("(a + b)*c", r"(a + b) \, c"),
        ("a + b*c", r"a + b \, c"),
        ("-(a**b)", "-a^{b}"),
        ("-a**b", "-a^{b}"),
        ("(-a)**b", "(-a)^{b}"),
        ("a**-b", "a^{-b}"),
        ("a/(b/c)", r"\frac{a}{\frac{b}{c}}"),
        ("a/b/c", r"\frac{\frac{a}{b}}{c}"),
        ("a/(b*c)", r"\frac{a}{b \, c}"),
        ("(a + b)/c", r"\frac{a + b}{c}"),
        ("a*(b/c)", r"a \, \frac{b}{c}"),
        ("(a/b)**2", r"(\frac{a}{b})^{2}"),
        ("a - (b - c)", "a - (b - c)"),
        ("a - b - c", "a - b - c"),
        ("a - (b + c)", "a - (b + c)"),
        ("a**(b**c)", "a^{b^{c}}"),
        ("a**b**c", "a^{b^{c}}"),
        ("(a**b)**c", "(a^{b})^{c}"),
        ("(a*b)**c", r"(a \, b)^{c}"),
        ("a**(b + c)", "a^{b + c}"),
        ("sqrt(a + b)", r"\sqrt{a + b}"),
        ("abs(a - b)*c", r"\left|a - b\right| \, c"),
        ("exp(a)**2", r"(\exp\left(a\right))^{2}"),
        ("square(a + b)", "(a + b)^{2}"),
        ("square(square(a))", "(a^{2})^{2}"),
        ("norm(g)**2", r"\left\lVert g_{t} \right\rVert^{2}"),
        ("max_abs(g)*a", r"\max\left|g_{t}\right| \, a"),
        ("mean(abs(g))", r"\operatorname{mean}\left(\left|g_{t}\right|\right)"),
        ("minimum(a, b)/c", r"\frac{\min\left(a, b\right)}{c}"),
        ("where(a != b, a, b)", r"\begin{cases} a & \text{if } a \neq b \\ b & \text{otherwise} \end{cases}"),
        # an invisible sign of multiplication before a minus would read as a difference
        ("a*(-b)", r"a \, (-b)"),
        ("a*-b*c", r"a \, (-b) \, c"),
        ("3*(-2)", r"3 \, (-2)"),
        # and between two numbers as one
        ("2*3", r"2 \cdot 3"),
        ("2*3*4*5*a", r"2 \cdot 3 \cdot 4 \cdot 5 \, a"),
        ("0.5*10**a", r"0.5 \cdot 10^{a}"),
        # a number that is printed as a power is none to take a power of
        ("1e-8**a", r"(10^{-8})^{a}"),
        ("square(1.5e-8)", r"(1.5 \cdot 10^{-8})^{2}"),
    ],
)
def test_brackets_stand_where_they_are_needed_and_nowhere_else(expression, latex):
    assert printed(expression) == latex


@pytest.mark.parametrize(
    ("number", "latex"),
    [
        ("1", "1"), ("1.0", "1"), ("0", "0"), ("0.5", "0.5"), ("1e-8", "10^{-8}"), ("1e20", "10^{20}"), ("1e3", "1000"),
        ("2.5e-9", r"2.5 \cdot 10^{-9}"), ("1e999", r"\infty"), ("123456", "123456"), ("0.0001", "0.0001"),
        ("3e-05", r"3 \cdot 10^{-5}"), ("5e-324", r"5 \cdot 10^{-324}"), ("1.5e300", r"1.5 \cdot 10^{300}"),
    ],
)  # fmt: skip
def test_number_prints_as_it_is_written_in_mathematics(number, latex):
    assert printed(number) == latex


@pytest.mark.parametrize(
    ("name", "latex"),
    [
        ("beta", r"\beta"), ("beta1", r"\beta_{1}"), ("beta12", r"\beta_{12}"), ("m_hat", r"\hat{m}"),
        ("xi_bar", r"\bar{\xi}"), ("u_tilde2", r"\tilde{u}_{2}"), ("g_old", r"g_{\mathrm{old}}"), ("x1", "x_{1}"),
        ("rho_inf", r"\rho_{\mathrm{inf}}"), ("step_size1", r"\mathrm{step\_size}_{1}"), ("lr", r"\eta"),
        ("momentum", r"\mathrm{momentum}"), ("eps", r"\varepsilon"), ("a_b_c", r"a_{\mathrm{b\_c}}"), ("t", "t"),
    ],
)  # fmt: skip
def test_name_prints_as_the_symbol_that_papers_have_for_it(name, latex):
    assert printed(f"{name}*a").removesuffix(r" \, a") == latex


def test_learning_rate_is_eta_unless_the_rule_has_an_eta_of_its_own():
    assert printed("lr*eta") == r"\mathrm{lr} \, \eta"
    assert printed("lr*theta") == r"\eta \, \theta"
    assert r"\mathrm{lr} & \text{if } t \leq 1" in RULES["rprop"].latex()
    rule = Rule("own eta", "eta = 2*lr\nw = w - eta*g", lr=0.1)
    assert r"\eta_{t} &= 2 \, \mathrm{lr}" in rule.latex()


def test_state_bears_the_index_of_the_step_before_until_it_is_assigned():
    rule = Rule("indices", "a = m + g_old\nm = 0.5*m + a\ng_old = g + m\nw = w - a + w", state="m g_old")
    assert rule.latex().splitlines()[1:-1] == [
        r"a_{t} &= m_{t-1} + g_{\mathrm{old}, t-1} \\",
        r"m_{t} &= 0.5 \, m_{t-1} + a_{t} \\",
        r"g_{\mathrm{old}, t} &= g_{t} + m_{t} \\",
        r"w_{t} &= w_{t-1} - a_{t} + w_{t-1}",
    ]


def test_weight_decay_and_maximization_are_left_out():
    assert RULES["adamw"].latex() == RULES["adam"].latex()


# Read back: what is printed means what was written.

VALUES = {name: np.float64(value) for name, value in {"a": 1.25, "b": 0.75, "c": 3.0}.items()}


class Reader:
    """Evaluates LaTeX as a person reads it: a thin space multiplies, except before a sign, which it cannot hide."""

    TOKEN = re.compile(r"\\frac|\\sqrt|\\left\||\\right\||\\cdot|\\,|\d+(?:\.\d+)?|[a-c]|[-+(){}^]| +")

    def __init__(self, text: str) -> None:
        self.tokens = [token for token in self.TOKEN.findall(text) if token.strip()]
        assert "".join(self.tokens) == text.replace(" ", "")
        self.at = 0

    @property
    def next(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self, *wanted: str) -> str:
        token = self.next
        assert not wanted or token in wanted, (token, wanted)
        self.at += 1
        return token

    def sum(self) -> float:
        value = self.signed()
        while self.next in ("+", "-"):
            value = value + self.signed() if self.take() == "+" else value - self.signed()
        return value

    def signed(self) -> float:
        if self.next != "-":
            return self.product()
        self.take("-")
        return -self.signed()

    def product(self) -> float:
        value = self.power()
        while self.next in ("\\,", "\\cdot"):
            left, dot = self.tokens[self.at - 1], self.take() == "\\cdot"
            if not dot and self.next == "-":
                break
            assert dot or not (left[-1].isdigit() and self.next[:1].isdigit())
            value = value * self.power()
        return value

    def power(self) -> float:
        base = self.atom()
        if self.next != "^":
            return base
        self.take("^")
        exponent = self.group()
        assert self.next != "^"
        return np.power(base, exponent)

    def group(self) -> float:
        self.take("{")
        value = self.sum()
        self.take("}")
        return value

    def atom(self) -> float:
        token = self.take()
        if token == "\\frac":
            return self.group() / self.group()
        if token == "\\sqrt":
            return np.sqrt(self.group())
        if token == "(" or token == "\\left|":
            value = self.sum()
            self.take(")" if token == "(" else "\\right|")
            return value if token == "(" else np.abs(value)
        return np.float64(VALUES.get(token) or float(token))


def evaluated(expression: str, **values: object) -> object:
    """What Python makes of an expression of NumPy's floats."""
    wrapped = re.sub(r"(?<![\w.])(\d+(\.\d+)?(e-?\d+)?)", r"number(\1)", expression)
    names = {"sqrt": np.sqrt, "abs": np.abs, "square": np.square, "number": np.float64, **values}
    with np.errstate(all="ignore"):
        return eval(wrapped, names)


def arithmetic(genome: Genome, names: str, numbers: tuple[str, ...], functions: bool, depth: int = 4) -> str:
    """A random expression of + - * / ** and a sign, bracketed throughout."""

    def inner() -> str:
        return arithmetic(genome, names, numbers, functions, depth - 1)

    choice = genome.below(12 if functions else 10) if depth else 0
    if choice < 2:
        return genome.pick((*names, *numbers))
    if choice < 9:
        return f"({inner()}){genome.pick(('+', '-', '*', '/', '**', '*', '-'))}({inner()})"
    return f"-({inner()})" if choice == 9 else f"{genome.pick(('sqrt', 'abs', 'square'))}({inner()})"


fuzz = settings(
    max_examples=200, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)
SCALARS = ("2", "3", "10", "0.5", "1e-8", "1.5e-8")


@fuzz
@given(GENOMES)
def test_latex_read_back_has_the_value_of_what_was_written(genome):
    expression = arithmetic(genome, "abc", SCALARS, functions=True)
    names = {name: value for name, value in VALUES.items() if re.search(rf"\b{name}\b", expression)}
    reader = Reader(printed(expression, **names))
    with np.errstate(all="ignore"):
        found = reader.sum()
    assert reader.next == ""
    np.testing.assert_allclose(found, evaluated(expression, **VALUES), rtol=1e-6, atol=0)


class Powers(ast.NodeTransformer):
    """Takes the function that a power of tensors is printed as for the power that it is."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        if ast.unparse(node.func) == "_power":
            return ast.BinOp(node.args[0], ast.Pow(), node.args[1])
        return node


@fuzz
@given(GENOMES)
def test_source_of_tensors_parses_to_the_tree_that_was_written(genome):
    expression = arithmetic(genome, "wgm", (), functions=False)
    rule = Rule("tree", f"m = m + g\nw = w + 0*g*m + ({expression})", state="m")
    line = rule.source().splitlines()[-2].strip()
    written, read = ast.parse(f"w = w + 0.0*g*m + ({expression})"), ast.parse(line)
    assert ast.dump(Powers().visit(read)) == ast.dump(written)


@fuzz
@given(GENOMES)
def test_source_of_scalars_has_the_value_of_what_was_written(genome):
    expression = arithmetic(genome, "abc", SCALARS, functions=True)
    rule = Rule("value", f"s = ({expression}) + 0*s*a*b*c\nw = w + s", state="s", **VALUES)
    w = torch.zeros(1, dtype=torch.float64)
    scalars = rule.scalars(rule.hyperparameters)
    _, found = plain.step(rule)(w, w, 0.0, t=1.0, **scalars, maximize=False, decay="coupled")
    np.testing.assert_allclose(found, evaluated(expression, **VALUES), rtol=1e-12, atol=0)


@fuzz
@given(GENOMES, st.integers(0, 3))
def test_source_of_scalars_and_tensors_mixed_has_the_value_of_what_was_written(genome, seed):
    expression = arithmetic(genome, "wgab", SCALARS, functions=True)
    rule = Rule("value", f"w = ({expression}) + 0*w*a*b", a=1.25, b=0.75)
    random = torch.Generator().manual_seed(seed)
    w, g = (torch.rand(5, generator=random, dtype=torch.float64) + 0.5 for _ in range(2))
    scalars = rule.scalars(rule.hyperparameters)
    (found,) = plain.step(rule)(w, g, t=1.0, **scalars, maximize=False, decay="coupled")
    expected = evaluated(f"({expression}) + 0*w*a*b", w=w.numpy(), g=g.numpy(), **VALUES)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-9, atol=0)
