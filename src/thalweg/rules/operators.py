"""The operator table: all that is known about an operator of the rule language, one row each.

A column says how the operator is printed for one reader: torch (the plain step), Python floats (scalars), numba (the
native step), lists of tensors (the foreach step), LaTeX. A new backend is a new column and a loop header; nothing about
an operator stands anywhere else.
A name with an underscore is a function of `arithmetic.py` (torch and float) or of `native_runtime.py` (numba).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

# How tightly a printed form binds, loosest first. Python and LaTeX agree on this order.
COMPARISON, SUM, PRODUCT, SIGN, POWER, ATOM = range(6)

# The tests give every operator every combination of these, in every backend.
EDGE_VALUES = (0.0, -0.0, 5e-324, 1e-38, 1e-3, 0.5, 1.0, -1.0, 2.0, -3.0, 1e38, -1e38, math.inf, -math.inf, math.nan)


@dataclass(frozen=True)
class Form:
    """A printed form: a template, how tightly it binds, and the least binding that each argument must have."""

    template: str
    binds: int
    needs: tuple[int, ...]


# How the partial results of a tensor's slices are combined.
MAXIMUM, ROOT_OF_SUM, MEAN = range(3)


@dataclass(frozen=True)
class Fold:
    """A reduction as a loop: what its total starts as, a step of {0} the total by {1} a value, and what ends it.

    Totals of sums are float64 whatever the weights are.
    """

    start: str
    step: str
    end: str
    combined: int


@dataclass(frozen=True)
class Operator:
    """One row of the table.

    `foreach`: what torch's operation on lists of tensors is called behind `_foreach_`, where it has one with the same
    edge values on every device; any other operator the foreach step does one parameter after another.
    `lifts`: the arguments that torch must be given as tensors: scalars there are made 0-d tensors before the call.
    `fold`: of an operator that takes one parameter tensor to one value, its loop in a native step.
    `compares`: may stand only in the condition of `where`.
    `draws`: makes random numbers in the shape of the weight, and may stand only in an initial value.
    """

    name: str
    arity: int
    torch: Form
    scalar: Form
    numba: Form
    latex: Form
    foreach: str = ""
    lifts: tuple[int, ...] = ()
    commutes: bool = False
    fold: Fold | None = None
    compares: bool = False
    draws: bool = False

    @property
    def reduces(self) -> bool:
        return self.fold is not None


def _infix(symbol: str, binds: int) -> Form:
    return Form(f"{{0}}{symbol}{{1}}", binds, (binds, binds + 1))


def _call(name: str, arity: int) -> Form:
    return Form(f"{name}({', '.join(f'{{{i}}}' for i in range(arity))})", ATOM, (COMPARISON,) * arity)


def _arithmetic(
    name: str, symbol: str, binds: int, foreach: str, latex: Form | None = None, *, commutes: bool = False
) -> Operator:
    form = _infix(symbol, binds)
    return Operator(name, 2, form, form, form, latex or form, foreach, commutes=commutes)


def _function(
    name: str,
    latex: Form,
    *,
    torch: str = "",
    scalar: str = "",
    numba: str = "",
    foreach: str = "",
    lifts: tuple[int, ...] = (),
    commutes: bool = False,
) -> Operator:
    """A named function: `torch.name`, and where floats or numba lack it, our own `_name`."""
    arity = len(latex.needs)
    return Operator(
        name,
        arity,
        torch=_call(torch or f"torch.{name}", arity),
        scalar=_call(scalar or f"_{name}", arity),
        numba=_call(numba or f"_{name}", arity),
        latex=latex,
        foreach=foreach,
        lifts=lifts,
        commutes=commutes,
    )


def _reduction(name: str, latex: Form, fold: Fold) -> Operator:
    """A reduction: only torch calls it by name, the native step writes its loop out."""
    form = _call(f"_{name}", 1)
    return Operator(name, 1, form, form, form, latex, fold=fold)


def _comparison(name: str, latex: str) -> Operator:
    form = Form(f"{{0}} {name} {{1}}", COMPARISON, (SUM, SUM))
    return Operator(name, 2, form, form, form, Form(f"{{0}} {latex} {{1}}", COMPARISON, (SUM, SUM)), compares=True)


def _latex_call(name: str) -> Form:
    """A LaTeX function; it binds like a sign, so that a power of it gets brackets."""
    return Form(rf"{name}\left({{0}}\right)", SIGN, (COMPARISON,))


def _latex_pair(name: str) -> Form:
    return Form(rf"{name}\left({{0}}, {{1}}\right)", SIGN, (COMPARISON, COMPARISON))


_NEGATIVE = Form("-{0}", SIGN, (SIGN,))
# A product is written without a sign, so that a negation as a factor would read as a difference.
_LATEX_NEGATIVE = Form("-{0}", SUM, (PRODUCT,))
# Python reads -a**b as -(a**b): an exponent may be a bare negation, a base may not.
_PYTHON_POWER = Form("{0}**{1}", POWER, (ATOM, SIGN))
_CASES = Form(
    r"\begin{{cases}} {1} & \text{{if }} {0} \\ {2} & \text{{otherwise}} \end{{cases}}", SIGN, (COMPARISON,) * 3
)

_ROWS = (
    _arithmetic("+", " + ", SUM, "add", commutes=True),
    _arithmetic("-", " - ", SUM, "sub"),
    _arithmetic("*", "*", PRODUCT, "mul", _infix(r" \, ", PRODUCT), commutes=True),
    Operator(
        "/",
        2,
        torch=_infix("/", PRODUCT),
        lifts=(0,),  # of a float over a tensor torch makes the float times a reciprocal, which overflows sooner
        scalar=_call("_div", 2),
        numba=_infix("/", PRODUCT),
        latex=Form(r"\frac{{{0}}}{{{1}}}", SIGN, (COMPARISON, COMPARISON)),
        foreach="div",
    ),
    Operator(
        "**",
        2,
        torch=_call("_power", 2),
        scalar=_call("_pow", 2),
        numba=_PYTHON_POWER,
        latex=Form("{0}^{{{1}}}", POWER, (ATOM, COMPARISON)),
    ),
    Operator("negative", 1, _NEGATIVE, _NEGATIVE, _NEGATIVE, _LATEX_NEGATIVE, "neg"),
    _function("abs", Form(r"\left|{0}\right|", ATOM, (COMPARISON,)), scalar="abs", numba="abs", foreach="abs"),
    _function("sign", _latex_call(r"\operatorname{{sign}}"), foreach="sign"),
    _function("sqrt", Form(r"\sqrt{{{0}}}", ATOM, (COMPARISON,)), numba="np.sqrt", foreach="sqrt"),
    _function("square", Form("{0}^{{2}}", POWER, (ATOM,)), foreach="mul"),  # by itself
    _function("exp", _latex_call(r"\exp"), numba="np.exp", foreach="exp"),
    _function("log", _latex_call(r"\log"), numba="np.log", foreach="log"),
    _function("tanh", _latex_call(r"\tanh"), scalar="math.tanh", numba="np.tanh", foreach="tanh"),
    _function("minimum", _latex_pair(r"\min"), lifts=(0, 1), commutes=True),
    _function("maximum", _latex_pair(r"\max"), lifts=(0, 1), commutes=True),
    _function("safe_div", _latex_pair(r"\operatorname{{safe\_div}}"), torch="_safe_div", lifts=(0, 1)),
    _function("where", _CASES, lifts=(0, 1, 2)),
    _reduction(
        "max_abs",
        Form(r"\max\left|{0}\right|", SIGN, (COMPARISON,)),
        Fold("_I(0)", "max({0}, _magnitude({1}))", "_from_magnitude({0})", MAXIMUM),
    ),
    _reduction(
        "norm",
        Form(r"\left\lVert {0} \right\rVert", ATOM, (COMPARISON,)),
        Fold("0.0", "{0} + {1}*{1}", "{0}", ROOT_OF_SUM),
    ),
    _reduction("mean", _latex_call(r"\operatorname{{mean}}"), Fold("0.0", "{0} + {1}", "{0}", MEAN)),
    Operator(
        "normal",
        2,
        torch=Form("_normal({0}, {1}, w, generator)", ATOM, (COMPARISON, COMPARISON)),
        scalar=_call("_normal", 2),
        numba=_call("_normal", 2),
        latex=_latex_pair(r"\mathcal{{N}}"),
        draws=True,
    ),
    _comparison("<", "<"),
    _comparison("<=", r"\leq"),
    _comparison(">", ">"),
    _comparison(">=", r"\geq"),
    _comparison("==", "="),
    _comparison("!=", r"\neq"),
)

OPERATORS: dict[str, Operator] = {row.name: row for row in _ROWS}
NEGATIVE = OPERATORS["negative"]
# What a text may call, in the order that errors list it.
FUNCTIONS: tuple[str, ...] = tuple(r.name for r in _ROWS if r.name.isidentifier() and r is not NEGATIVE and not r.draws)
COMPARISONS: tuple[str, ...] = tuple(row.name for row in _ROWS if row.compares)
