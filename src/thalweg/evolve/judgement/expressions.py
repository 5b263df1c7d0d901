"""Expressions as people write them: sums of terms with their factors in front, equations as text, numbers rounded."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from thalweg.rules.operators import ATOM, COMPARISON, SIGN, Form
from thalweg.rules.program import Apply, Node, Number, Read, apply, leaf_binding, write

ONE = Number(1.0)
Term = tuple[float, Node]  # a coefficient and what it stands before; a number alone stands before ONE

_INFIX = {"+", "-", "*", "/", "**", "negative"}


def text_of(node: Node) -> str:
    """The expression in the rule language.

    >>> text_of(apply("*", Number(-0.5), apply("sign", Read("g"))))
    '-0.5*sign(g)'
    """
    return write(node, _form, _leaf, _binding)


def _form(node: Apply) -> Form:
    operator = node.operator
    if operator.name in _INFIX or operator.compares:
        return operator.numba
    places = ", ".join(f"{{{i}}}" for i in range(operator.arity))
    return Form(f"{operator.name}({places})", ATOM, (COMPARISON,) * operator.arity)


def _leaf(node: Number | Read) -> str:
    return node.name if isinstance(node, Read) else number_text(node.value)


def _binding(node: Number | Read) -> int:
    if isinstance(node, Number):
        return SIGN if number_text(node.value).startswith("-") else ATOM
    return leaf_binding(node)


def number_text(value: float) -> str:
    """A number in the rule language, as short as it can be without loss: 1 for 1.0, 1e-8 for 1e-08."""
    if value != value:
        return "(0/0)"
    if math.isinf(value):
        return "1e999" if value > 0 else "-1e999"
    if value.is_integer() and abs(value) < 1e9:
        return "-0.0" if value == 0 and math.copysign(1.0, value) < 0 else str(int(value))
    mantissa, _, exponent = repr(value).partition("e")
    return f"{mantissa.removesuffix('.0')}e{int(exponent)}" if exponent else mantissa


def rounded(value: float, digits: int) -> float:
    """A number to so many significant digits."""
    return float(f"{value:.{digits - 1}e}") if math.isfinite(value) else value


def split(node: Node) -> Term:
    """The number before an expression, and what it stands before."""
    if isinstance(node, Number):
        return node.value, ONE
    if isinstance(node, Read):
        return 1.0, node
    name, arguments = node.operator.name, node.arguments
    if name == "negative":
        factor, inner = split(arguments[0])
        return -factor, inner
    if name == "*":
        (a, left), (b, right) = split(arguments[0]), split(arguments[1])
        return a * b, _product(left, right)
    if name in ("/", "safe_div"):
        (a, above), (b, below) = split(arguments[0]), split(arguments[1])
        if b != 0 and math.isfinite(a / b):
            return a / b, above if below == ONE else apply(name, above, below)
    return 1.0, node


def _product(left: Node, right: Node) -> Node:
    if left == ONE:
        return right
    if right == ONE:
        return left
    if isinstance(right, Apply) and right.operator.name == "*":  # a product leans to the left
        return apply("*", _product(left, right.arguments[0]), right.arguments[1])
    return apply("*", left, right)


def terms(node: Node) -> list[Term]:
    """The terms of a sum, in order; of anything else itself alone."""
    if isinstance(node, Apply) and node.operator.name in ("+", "-"):
        sign = 1.0 if node.operator.name == "+" else -1.0
        return [*terms(node.arguments[0]), *((sign * factor, part) for factor, part in terms(node.arguments[1]))]
    if isinstance(node, Apply) and node.operator.name == "negative":
        return [(-factor, part) for factor, part in terms(node.arguments[0])]
    factor, part = split(node)
    if factor in (1.0, -1.0) and isinstance(part, Apply) and part.operator.name in ("+", "-"):
        return [(factor * inner, below) for inner, below in terms(part)]
    return [(factor, part)]


def term(factor: float, part: Node) -> Node:
    """A term as one expression: no 1 and no sign that need not be."""
    if part == ONE:
        return Number(factor)
    if factor == 1:
        return part
    return apply("negative", part) if factor == -1 else apply("*", Number(factor), part)


def total(parts: Iterable[Term]) -> Node:
    """A sum as people write it: what is added first, differences as such, a number alone last."""
    parts = list(parts)
    alone = [part for part in parts if part[1] == ONE]
    others = [part for part in parts if part[1] != ONE]
    ordered = [*(part for part in others if part[0] > 0), *(part for part in others if not part[0] > 0), *alone]
    if not ordered:
        return Number(0.0)
    if ordered[0][0] < 0 and ordered[-1][1] == ONE and ordered[-1][0] > 0:  # 1 - x rather than -x + 1
        ordered = [ordered[-1], *ordered[:-1]]
    node = term(*ordered[0])
    for factor, part in ordered[1:]:
        if factor < 0 or (factor == 0 and math.copysign(1.0, factor) < 0):
            node = apply("-", node, term(-factor, part))
        else:
            node = apply("+", node, term(factor, part))
    return node


def tidied(node: Node) -> Node:
    """The expression with numbers in front of products and sums in the order of `total`; nothing is left out."""
    if not isinstance(node, Apply):
        return node
    inner = Apply(node.operator, tuple(map(tidied, node.arguments)))
    if inner.operator.name in ("+", "-", "negative"):
        return total(terms(inner))
    if inner.operator.name in ("*", "/", "safe_div"):
        return term(*split(inner))
    if inner.operator.name in ("minimum", "maximum") and isinstance(inner.arguments[0], Number):
        return apply(inner.operator.name, inner.arguments[1], inner.arguments[0])
    if inner.operator.name == "**" and inner.arguments[1] == Number(2.0):
        return apply("square", inner.arguments[0])
    return inner


def reads_replaced(node: Node, by: Mapping[str, Node]) -> Node:
    """The expression with names replaced by what the table has for them."""
    if isinstance(node, Read):
        return by.get(node.name, node)
    if isinstance(node, Apply):
        return Apply(node.operator, tuple(reads_replaced(argument, by) for argument in node.arguments))
    return node


def led(node: Node) -> Node:
    """The expression with a number or `lr` before a product or quotient moved to its very left: no brackets there."""
    if not isinstance(node, Apply):
        return node
    inner = Apply(node.operator, tuple(map(led, node.arguments)))
    first = inner.arguments[0]
    if inner.operator.name == "*" and (isinstance(first, Number) or first == Read("lr")):
        return _led(first, inner.arguments[1])
    return inner


def _led(factor: Node, node: Node) -> Node:
    if isinstance(node, Apply) and node.operator.name in ("*", "/"):
        return apply(node.operator.name, _led(factor, node.arguments[0]), node.arguments[1])
    return factor if node == ONE else apply("*", factor, node)
