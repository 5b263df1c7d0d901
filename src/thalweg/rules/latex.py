"""A rule's equations as LaTeX."""

from __future__ import annotations

import re

from sympy.core.alphabets import greeks

from thalweg.rules.operators import POWER, PRODUCT
from thalweg.rules.program import Number, Read, leaf_binding, write
from thalweg.rules.rule import Rule

_KNOWN = {"eps": r"\varepsilon", "weight_decay": r"\lambda"}
_ACCENTS = {"hat": r"\hat", "bar": r"\bar", "tilde": r"\tilde"}


def aligned(rule: Rule) -> str:
    """An `aligned` block, one line an equation; the value that a state has before the step bears the index t-1."""
    own = [equation for equation in rule.program.equations if not equation.when]
    changing = {"w", *rule.states, *(equation.name for equation in own)}
    known = dict(_KNOWN)
    if not any(name.startswith("eta") for name in (*changing, *rule.hyperparameters)):
        known["lr"] = r"\eta"
    assigned: set[str] = set()

    def leaf(node: Number | Read) -> str:
        if isinstance(node, Number):
            return number(node.value)
        if node.name == "g":
            return symbol("g", "t")
        if node.name not in changing:
            return known.get(node.name) or symbol(node.name)
        return symbol(node.name, "t" if node.name in assigned else "t-1")

    lines = []
    for equation in own:
        value = write(equation.value, lambda applied: applied.operator.latex, leaf, _binding)
        value = re.sub(r"(?<=\d) \\, (?=\d)", r" \\cdot ", value)  # two numbers side by side would read as one
        lines.append(f"{symbol(equation.name, 't')} &= {value}")
        assigned.add(equation.name)
    return "\\begin{aligned}\n" + " \\\\\n".join(lines) + "\n\\end{aligned}"


def _binding(node: Number | Read) -> int:
    """A number printed with a power of ten binds as what it is: a product, or a power."""
    if isinstance(node, Read) or "^" not in (text := number(node.value)):
        return leaf_binding(node)
    return PRODUCT if r"\cdot" in text else POWER


def symbol(name: str, index: str = "") -> str:
    r"""A name as LaTeX: `beta1` is \beta_{1}, `m_hat` is \hat{m}, `g_old` is g_{\mathrm{old}}."""
    stem = name.rstrip("0123456789")
    digits = name[len(stem) :]
    base, _, suffix = stem.partition("_")
    if base in greeks or len(base) == 1:
        shown = f"\\{base}" if base in greeks else base
    else:
        shown, suffix = rf"\mathrm{{{_escaped(stem)}}}", ""
    if suffix in _ACCENTS:
        shown, suffix = f"{_ACCENTS[suffix]}{{{shown}}}", ""
    if suffix:
        suffix = rf"\mathrm{{{_escaped(suffix)}}}"
    indices = ", ".join(filter(None, [suffix, digits, index]))
    return f"{shown}_{{{indices}}}" if indices else shown


def _escaped(name: str) -> str:
    return name.replace("_", r"\_")


def number(value: float) -> str:
    """A float as LaTeX: 1 for 1.0, 10^{-8} for 1e-08."""
    if value in (float("inf"), float("-inf")):
        return r"\infty" if value > 0 else r"-\infty"
    if value.is_integer() and abs(value) < 1e16:
        return str(int(value))
    mantissa, _, exponent = repr(value).partition("e")
    if not exponent:
        return mantissa
    power = f"10^{{{int(exponent)}}}"
    return power if mantissa == "1" else rf"{mantissa} \cdot {power}"
