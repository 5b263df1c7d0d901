"""Other ways to write an expression, so that a grammar finds the one that it has."""

from __future__ import annotations

from collections.abc import Iterator

from thalweg.evolve.tree_form import ONE, scaled, tidied
from thalweg.rules.program import Apply, Node, Number, apply

Arguments = tuple[Node, ...]


def written_as(name: str, node: Node) -> Iterator[Arguments]:
    """The arguments with which this operator says the node, the plainest first, to rounding.

    Two ways say less: `safe_div` is taken for a division, from which it differs where the divisor is 0, and `abs` for
    nothing under a root that would be NaN without.
    """
    own = node.operator.name if isinstance(node, Apply) else ""
    arguments = node.arguments if isinstance(node, Apply) else ()
    if own == name:
        yield arguments
        if name in ("+", "*", "minimum", "maximum"):
            yield arguments[::-1]
    match name:
        case "+":
            yield from _sums(own, arguments)
        case "-":
            yield from _differences(own, arguments)
        case "*":
            yield from _products(node, own, arguments)
        case "negative":
            opposite = negated(node)
            if not isinstance(opposite, Apply) or opposite.operator.name != "negative":
                yield (opposite,)
        case "square":
            if own == "*" and arguments[0] == arguments[1]:
                yield arguments[:1]
            if own == "**" and arguments[1] == Number(2.0):
                yield arguments[:1]
        case "sqrt":
            if own == "**" and arguments[1] == Number(0.5):
                yield arguments[:1]
            if own == "sqrt":
                yield (apply("abs", *arguments),)
        case "**":
            if own in ("square", "sqrt"):
                yield (*arguments, Number(2.0 if own == "square" else 0.5))
        case "safe_div":
            if own == "/":
                yield arguments


def negated(node: Node) -> Node:
    """What is minus the node, written as short as it may be."""
    if isinstance(node, Number):
        return Number(-node.value)
    if isinstance(node, Apply) and node.operator.name == "negative":
        return node.arguments[0]
    if isinstance(node, Apply) and node.operator.name == "-":
        return apply("-", *reversed(node.arguments))
    factors = scaled(*node.arguments) if isinstance(node, Apply) and node.operator.name == "*" else None
    if factors and factors[0].value < 0:
        return tidied(apply("*", Number(-factors[0].value), factors[1]))
    return apply("negative", node)


def without(node: Node, term: Node) -> Node | None:
    """`term - node` where the term is in the sum that the node is, without the term; None where it is not."""
    terms = list(_terms(node, positive=True))
    if (True, term) not in terms:
        return None
    terms.remove((True, term))
    if not terms:
        return Number(0.0)
    terms = [(not positive, part) for positive, part in terms]
    terms.sort(key=lambda pair: not pair[0])  # those that are added first
    positive, result = terms[0]
    result = result if positive else negated(result)
    for positive, part in terms[1:]:
        result = apply("+" if positive else "-", result, part)
    return result


def _terms(node: Node, positive: bool) -> Iterator[tuple[bool, Node]]:
    """The terms of a sum, each with its sign."""
    name = node.operator.name if isinstance(node, Apply) else ""
    if isinstance(node, Apply) and name in ("+", "-", "negative"):
        signs = {"+": (True, True), "-": (True, False), "negative": (False,)}[name]
        for part, sign in zip(node.arguments, signs, strict=True):
            yield from _terms(part, positive == sign)
    else:
        yield positive, node


def _sums(own: str, arguments: Arguments) -> Iterator[Arguments]:
    if own == "-":
        yield arguments[0], negated(arguments[1])
    factors = [_factor(part) for part in arguments] if own == "+" else []
    if factors and abs(factors[0][0] + factors[1][0] - 1) < 1e-9:  # c*s + (1 - c)*e is s + (1 - c)*(e - s)
        for (_, one), (share, other) in (factors, factors[::-1]):
            yield one, apply("*", Number(share), apply("-", other, one))


def _differences(own: str, arguments: Arguments) -> Iterator[Arguments]:
    if own == "+":
        yield arguments[0], negated(arguments[1])
        yield arguments[1], negated(arguments[0])


def _products(node: Node, own: str, arguments: Arguments) -> Iterator[Arguments]:
    factor, rest = _factor(node)
    if factor != 1 and rest != ONE:
        yield Number(factor), rest
        yield rest, Number(factor)
    if own == "square":
        yield arguments[0], arguments[0]
    if own == "**" and arguments[1] == Number(2.0):
        yield arguments[0], arguments[0]
    if own == "/" and isinstance(arguments[1], Number) and arguments[1].value:
        yield arguments[0], Number(1 / arguments[1].value)
    if not isinstance(node, Number):
        yield ONE, node


def _factor(node: Node) -> tuple[float, Node]:
    """The number before a product or a quotient, and what it is times."""
    if isinstance(node, Number):
        return node.value, ONE
    if isinstance(node, Apply) and node.operator.name == "negative":
        factor, rest = _factor(node.arguments[0])
        return -factor, rest
    if isinstance(node, Apply) and node.operator.name == "/" and not isinstance(node.arguments[1], Number):
        factor, rest = _factor(node.arguments[0])
        return factor, apply("/", rest, node.arguments[1])
    if isinstance(node, Apply) and node.operator.name == "*":
        (one, left), (other, right) = map(_factor, node.arguments)
        return one * other, left if right == ONE else right if left == ONE else apply("*", left, right)
    return 1.0, node
