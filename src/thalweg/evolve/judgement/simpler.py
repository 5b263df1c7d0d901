"""Identities that hold wherever values are finite: what evolution writes in a roundabout way, written straight."""

from __future__ import annotations

import math

from thalweg.evolve.judgement.expressions import ONE, split, term, terms, total
from thalweg.rules.program import Apply, Node, Number, apply


def simpler(node: Node) -> Node:
    """The expression with identities applied from the leaves up.

    The root of a square is an absolute value, x over its absolute value is its sign (in `safe_div`, which is 0 at 0),
    0*x is gone, and numbers are drawn out of products, quotients, signs and absolute values. Where values are infinite
    or NaN some of these change what comes out: who uses them compares behaviours.

    >>> from thalweg.evolve.judgement.expressions import text_of
    >>> from thalweg.rules import Rule
    >>> text_of(simpler(Rule("r", "w = w - safe_div(3*g, sqrt(4*square(g)))").program.equations[-1].value))
    'w - 1.5*sign(g)'
    """
    if not isinstance(node, Apply):
        return node
    inner = Apply(node.operator, tuple(map(simpler, node.arguments)))
    if inner.operator.name in ("+", "-", "negative"):
        return total(part for part in terms(inner) if part[0] != 0)
    if inner.operator.name in ("*", "/"):
        return _divided(*split(inner))
    return _function(inner)


def _divided(factor: float, part: Node) -> Node:
    """A product or quotient, its number in front."""
    return Number(0.0) if factor == 0 else term(factor, part)


def _function(node: Apply) -> Node:
    name = node.operator.name
    if name == "**":
        return _power(*node.arguments)
    if name == "safe_div":
        return _safe_quotient(*node.arguments)
    if name not in ("abs", "sign", "sqrt", "square") or isinstance(node.arguments[0], Number):
        return node
    factor, part = split(node.arguments[0])
    inner = part.operator.name if isinstance(part, Apply) else ""
    if name == "abs":
        return term(abs(factor), part if inner in ("abs", "sqrt", "square") else apply("abs", part))
    if name == "square":
        return term(factor * factor, apply("square", _argument(part) if inner == "abs" else part))
    if name == "sign":
        drawn = math.copysign(1.0, factor) if factor != 0 else 0.0
        return term(drawn, part if inner == "sign" else apply("sign", part))
    if inner == "square" and factor > 0:
        return term(math.sqrt(factor), simpler(apply("abs", _argument(part))))
    return node


def _power(base: Node, exponent: Node) -> Node:
    if exponent == Number(2.0):
        return _function(apply("square", base)) if not isinstance(base, Number) else Number(base.value**2)
    if exponent == Number(0.5):
        return _function(apply("sqrt", base))
    return base if exponent == ONE else apply("**", base, exponent)


def _safe_quotient(above: Node, below: Node) -> Node:
    factor, quotient = split(apply("safe_div", above, below))
    if not isinstance(quotient, Apply) or quotient.operator.name != "safe_div":
        return _divided(factor, quotient)
    above, below = quotient.arguments
    if isinstance(below, Apply) and below.operator.name == "abs" and below.arguments[0] == above:
        return term(factor, apply("sign", above))
    if isinstance(above, Apply) and above.operator.name == "abs" and above.arguments[0] == below:
        return term(factor, apply("sign", below))
    if isinstance(below, Apply) and below.operator.name == "sign":  # one over a sign is the sign
        return _divided(*split(apply("*", term(factor, above), below)))
    return term(factor, quotient)


def _argument(node: Node) -> Node:
    assert isinstance(node, Apply)
    return node.arguments[0]
