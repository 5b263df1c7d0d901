"""Expressions of a phenotype, spelled in the rule language.

They come as Python's syntax trees, of which a whitelist lets arithmetic through and nothing else.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Mapping
from typing import NamedTuple, NoReturn

from thalweg.evolve.representation import Refused
from thalweg.rules.language import MAX_DEPTH, MAX_LINE, MAX_NAME
from thalweg.rules.operators import ATOM, COMPARISON, COMPARISONS, FUNCTIONS, OPERATORS, SIGN, Form

# Beyond these a part of an equation is worked out beforehand, under a name of its own.
_LONG, _DEEP = MAX_LINE - 2 * MAX_NAME - 20, MAX_DEPTH // 2

_MODULES = frozenset({"tf", "tf.math", "tf.keras.backend", "K", "torch", "np"})
_CONSTANTS = frozenset({"constant", "full"})
_CONSTANT_KEYWORDS = frozenset({"shape", "size", "dtype"})
SPELLED = {
    "negative": "negative", "neg": "negative", "add": "+", "subtract": "-", "sub": "-", "multiply": "*", "mul": "*",
    "divide": "/", "div": "/", "pow": "**", "power": "**", "divide_no_nan": "safe_div",
} | {name: name for name in FUNCTIONS}  # fmt: skip
_BINARY: dict[type, str] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Pow: "**"}
_COMPARE: dict[type, str] = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!="}
# How the language itself is printed: as Python is, but for the names of functions.
_FORMS: dict[str, Form] = {name: OPERATORS[name].torch for name in ("+", "-", "*", "/", "negative", *COMPARISONS)}
_FORMS["**"] = OPERATORS["**"].numba


class Part(NamedTuple):
    """An expression in the rule language: its text, how tightly it binds, how deep it nests at most."""

    text: str
    binds: int = ATOM
    depth: int = 0


def refuse(found: str) -> NoReturn:
    raise Refused(found)


class Writer:
    """Writes expressions in the rule language, reading names as `known` has them.

    What would be beyond the language's limits is cut into `lines`, equations of their own for parts. `holes` are names
    that stand for any expression, and for constants. Every writing raises Refused on what is no arithmetic of names,
    numbers, and the functions that the language knows.
    """

    def __init__(self, known: Mapping[str, str], holes: Collection[str] = ()) -> None:
        self.known, self.holes = known, holes
        self.lines: list[str] = []
        self.reads: set[str] = set()
        self._taken = {*known, *known.values()}
        self._parts = 0

    def finished(self) -> tuple[list[str], frozenset[str]]:
        """The lines to come before what was written, and the names that both read; the next writing starts anew."""
        lines, reads = self.lines, frozenset(self.reads)
        self.lines, self.reads = [], set()
        return lines, reads

    def state(self, name: str) -> Part:
        self.reads.add(name)
        return Part(name)

    def part(self, tree: ast.expr) -> Part:
        """A sum or product of many terms leans to the left, and is walked along: its length costs no recursion."""
        spine: list[ast.BinOp] = []
        while isinstance(tree, ast.BinOp) and type(tree.op) in _BINARY:
            spine.append(tree)
            tree = tree.left
        part = self.operand(tree)
        for outer in reversed(spine):
            part = self.combined(_BINARY[type(outer.op)], [part, self.part(outer.right)])
        return part

    def operand(self, tree: ast.expr) -> Part:
        if isinstance(tree, ast.Name):
            own = tree.id if tree.id in self.holes else self.known.get(tree.id)
            if own is None:
                refuse(f"{tree.id[:MAX_NAME]!r} is read, which nothing here assigns")
            return self.state(own)
        if isinstance(tree, ast.Constant):
            return _number(tree)
        operator, arguments = self.applied(tree)
        if not operator:
            refuse(f"found {type(tree).__name__.lower()!r}, which is no arithmetic")
        if operator == "constant":
            hole = isinstance(arguments[0], ast.Name) and arguments[0].id in self.holes
            return self.operand(arguments[0]) if hole else _number(arguments[0])
        if operator == "where":
            return self.combined("where", [self.condition(arguments[0]), *map(self.part, arguments[1:])])
        return self.combined(operator, [self.part(argument) for argument in arguments])

    def condition(self, tree: ast.expr) -> Part:
        if not isinstance(tree, ast.Compare) or len(tree.ops) != 1 or type(tree.ops[0]) not in _COMPARE:
            refuse("a condition that is not one comparison")
        return self.combined(_COMPARE[type(tree.ops[0])], [self.part(tree.left), self.part(tree.comparators[0])])

    def applied(self, tree: ast.expr) -> tuple[str, list[ast.expr]]:
        """The operator that a tree applies, and its arguments; "" of a leaf."""
        if isinstance(tree, ast.BinOp) and type(tree.op) in _BINARY:
            return _BINARY[type(tree.op)], [tree.left, tree.right]
        if isinstance(tree, ast.UnaryOp) and isinstance(tree.op, ast.USub):
            return "negative", [tree.operand]
        if not isinstance(tree, ast.Call):
            return "", []
        name = _called(tree.func)
        if name in _CONSTANTS:
            return "constant", [_constant(tree)]
        operator = SPELLED.get(name)
        if operator is None:
            refuse(f"a call of {name[:MAX_NAME]!r}")
        if tree.keywords or len(tree.args) != OPERATORS[operator].arity:
            refuse(f"{name} with other than {OPERATORS[operator].arity} arguments")
        return operator, tree.args

    def combined(self, operator: str, parts: list[Part]) -> Part:
        most = _LONG // 2 if operator in COMPARISONS else _LONG  # a comparison can have no name, and goes into a where
        while sum(len(part.text) for part in parts) > most:
            longest = max((part for part in parts if part.binds > COMPARISON), key=lambda part: len(part.text))
            parts = [self.named(part) if part is longest else part for part in parts]
        parts = [self.named(part) if part.depth >= _DEEP and part.binds > COMPARISON else part for part in parts]
        form = _FORMS.get(operator)
        if form is None:
            text = f"{operator}({', '.join([part.text for part in parts])})"
            return Part(text, ATOM, 1 + max([part.depth for part in parts]))
        bracketed = [part.binds < need for part, need in zip(parts, form.needs, strict=True)]
        texts = [f"({part.text})" if inside else part.text for part, inside in zip(parts, bracketed, strict=True)]
        leaning = operator in ("+", "-", "*", "/") and not bracketed[0]  # a long sum is no deeper than its terms
        depths = [part.depth + (i > 0 or not leaning) for i, part in enumerate(parts)]
        return Part(form.template.format(*texts), form.binds, max(depths))

    def named(self, part: Part) -> Part:
        """The part under a name of its own."""
        while f"c{self._parts}" in self._taken:
            self._parts += 1
        name = f"c{self._parts}"
        self._parts += 1
        self.lines.append(f"{name} = {part.text}")
        return Part(name)


def _called(tree: ast.expr) -> str:
    """The name of a function, of a known module or of none."""
    if isinstance(tree, ast.Name):
        return tree.id
    dotted = []
    while isinstance(tree, ast.Attribute):
        dotted.append(tree.attr)
        tree = tree.value
    module = ".".join([tree.id if isinstance(tree, ast.Name) else "", *reversed(dotted[1:])])
    if not dotted or module not in _MODULES:
        refuse("a call of something else than a function")
    return dotted[0]


def _constant(tree: ast.Call) -> ast.expr:
    """The number in `tf.constant(0.1, shape=shape, dtype=tf.float32)` or `torch.full(size=size, fill_value=0.1)`."""
    words = {word.arg: word.value for word in tree.keywords}
    given = [*tree.args, *(words.pop(name) for name in ("value", "fill_value") if name in words)]
    if len(given) == 2 and isinstance(given[0], ast.Name):  # torch.full(size, 0.1)
        given = given[1:]
    plain = all(isinstance(value, ast.Name | ast.Attribute) for value in words.values())
    if len(given) != 1 or not plain or not _CONSTANT_KEYWORDS.issuperset(words):
        refuse("a constant that is not one number")
    return given[0]


def _number(tree: ast.expr) -> Part:
    negative = isinstance(tree, ast.UnaryOp) and isinstance(tree.op, ast.USub)
    if isinstance(tree, ast.UnaryOp) and negative:
        tree = tree.operand
    if not isinstance(tree, ast.Constant) or not isinstance(tree.value, int | float) or isinstance(tree.value, bool):
        refuse("a constant that is no number")
    try:
        text = repr(float(tree.value))
    except OverflowError:
        text = "inf"
    text = text.replace("inf", "1e999").removesuffix(".0")
    return Part(f"-{text}", SIGN) if negative else Part(text)
