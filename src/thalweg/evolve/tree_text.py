"""Expressions written in the rule language."""

from __future__ import annotations

import math

from thalweg.rules.operators import ATOM, COMPARISON, NEGATIVE, OPERATORS, Form, Operator
from thalweg.rules.program import Node, Number, Read, write


def _form(operator: Operator) -> Form:
    if operator.name.isidentifier() and operator is not NEGATIVE:
        slots = ", ".join(f"{{{i}}}" for i in range(operator.arity))
        return Form(f"{operator.name}({slots})", ATOM, (COMPARISON,) * operator.arity)
    return operator.numba  # the signs and powers of the language are Python's, and so are those of that column


_FORMS = {name: _form(operator) for name, operator in OPERATORS.items()}


def text(node: Node) -> str:
    """An expression in the rule language; reading it gives the node again, if it is tidy."""
    return write(node, lambda apply: _FORMS[apply.operator.name], _leaf)


def _leaf(leaf: Number | Read) -> str:
    if isinstance(leaf, Read):
        return leaf.name
    if math.isinf(leaf.value):
        return "1e999" if leaf.value > 0 else "-1e999"
    return repr(leaf.value).removesuffix(".0")
