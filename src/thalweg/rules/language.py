"""The rule language: from text to a `Program`, refusing with line and column whatever is not arithmetic.

A text is never executed. A scan over its tokens bounds it and lets only names, numbers and arithmetic signs through;
`ast.parse` then sees one equation at a time, and a whitelist turns its tree into ours.
"""

from __future__ import annotations

import ast
import keyword
import math
import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import NoReturn

from thalweg.rules.operators import COMPARISONS, FUNCTIONS, NEGATIVE, OPERATORS
from thalweg.rules.program import Apply, Equation, Kind, Kinds, Node, Number, Read, kind_of, walk

MAX_LINES, MAX_LINE, MAX_DEPTH, MAX_NAME = 200, 500, 50, 40

# Names that mean something else in the texts that are generated from a rule, or to an optimizer.
RESERVED = frozenset({"torch", "math", "np", "generator", "maximize", "decay", "weight_decay", "step", "params"})

_TOKEN = re.compile(
    r"(?P<space>[ \t]+)|(?P<comment>\#[\t -~]*)|(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_]*)|(?P<sign>\*\*|<=|>=|==|!=|[-+*/(),=<>])"
)
_ALLOWED = "allowed: equations `name = expression` of names, numbers, + - * / **, and " + ", ".join(FUNCTIONS)
_BINARY: dict[type, str] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Pow: "**"}
_COMPARE: dict[type, str] = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!="}


@dataclass(frozen=True)
class Token:
    kind: str
    text: str
    column: int  # from 1


@dataclass(frozen=True)
class Line:
    """One line that holds an equation: its number and its text from `column` (both from 1), comments gone."""

    number: int
    column: int
    text: str


class Source:
    """A text being read, which knows how to refuse a place in itself."""

    def __init__(self, title: str, text: str) -> None:
        self.title, self.text = title, text

    def refuse(self, line: int, column: int, found: str, allowed: str = _ALLOWED) -> NoReturn:
        raise ValueError(f"{self.title}, line {line}, column {column}: {found}; {allowed}")

    def lines(self) -> Iterator[Line]:
        """The lines that hold something, scanned."""
        count = self.text.count("\n") + 1
        if count > MAX_LINES:
            self.refuse(MAX_LINES + 1, 1, f"{count} lines", f"allowed: {MAX_LINES} lines")
        for number, text in enumerate(self.text.split("\n"), start=1):
            text = text.removesuffix("\r")
            if len(text) > MAX_LINE:
                self.refuse(
                    number, MAX_LINE + 1, f"a line of {len(text)} characters", f"allowed: {MAX_LINE} characters a line"
                )
            tokens = list(self._tokens(number, text))
            self._bound(number, tokens)
            if tokens:
                first, last = tokens[0], tokens[-1]
                yield Line(number, first.column, text[first.column - 1 : last.column - 1 + len(last.text)])

    def _tokens(self, line: int, text: str) -> Iterator[Token]:
        position = 0
        while position < len(text):
            match = _TOKEN.match(text, position)
            if match is None:
                self.refuse(line, position + 1, f"found {text[position]!a}")
            kind, column = str(match.lastgroup), position + 1
            self._check_word(line, column, kind, match[0], text[match.end() : match.end() + 1])
            if kind in ("number", "name", "sign"):
                yield Token(kind, match[0], column)
            position = match.end()

    def _check_word(self, line: int, column: int, kind: str, text: str, following: str) -> None:
        if kind == "number" and following and (following.isalnum() or following in "_."):
            self.refuse(line, column, f"found {text + following!r}", "allowed: decimal numbers such as 0.5 or 1e-8")
        if kind == "name":
            self.check_name(line, column, text)

    def check_name(self, line: int, column: int, name: str) -> None:
        if keyword.iskeyword(name) or name.startswith("_") or len(name) > MAX_NAME:
            self.refuse(
                line, column, f"found {name[: MAX_NAME + 1]!r}",
                f"allowed: names of up to {MAX_NAME} letters, digits and _, begun by a letter, no Python keyword",
            )  # fmt: skip

    def _bound(self, line: int, tokens: list[Token]) -> None:
        """Bounds nesting before `ast.parse`, whose own recursion ends in an error without a place."""
        waiting = [0]  # for each open bracket, and before the first: the signs and powers that wait for their operand
        for previous, token in zip([None, *tokens], tokens, strict=False):
            unary = token.text == "-" and (previous is None or (previous.kind == "sign" and previous.text != ")"))
            if token.text == "(":
                waiting.append(0)
            elif token.text == ")":
                waiting = waiting[:-1] or [0]
            elif unary or token.text == "**":
                waiting[-1] += 1
            elif token.kind == "sign":
                waiting[-1] = 0
            if len(waiting) - 1 + sum(waiting) > MAX_DEPTH:
                self.refuse(
                    line, token.column, f"more than {MAX_DEPTH} nested brackets, signs or powers",
                    f"allowed: {MAX_DEPTH} deep",
                )  # fmt: skip

    def parse(self, line: Line, mode: str) -> ast.AST:
        try:
            return ast.parse(line.text, mode=mode)
        except SyntaxError as error:
            self.refuse(line.number, line.column + (error.offset or 1) - 1, f"{error.msg} in {line.text!r}")


class Expressions:
    """Turns Python's tree of one line into ours; `names` says whether a name may be read."""

    def __init__(self, source: Source, line: Line, check_read: Callable[[str, int, int], None], draws: bool) -> None:
        self.source, self.line, self.check_read, self.draws = source, line, check_read, draws

    def column(self, tree: ast.expr | ast.stmt) -> int:
        return self.line.column + tree.col_offset

    def refuse(self, tree: ast.expr | ast.stmt, found: str, allowed: str = _ALLOWED) -> NoReturn:
        self.source.refuse(self.line.number, self.column(tree), found, allowed)

    def node(self, tree: ast.expr) -> Node:
        """A sum or product of many terms leans to the left, and is walked along: its length costs no recursion."""
        spine: list[ast.BinOp] = []
        while isinstance(tree, ast.BinOp) and type(tree.op) in _BINARY:
            spine.append(tree)
            tree = tree.left
        node = self.operand(tree)
        for outer in reversed(spine):
            node = self.applied(outer, _BINARY[type(outer.op)], (node, self.node(outer.right)))
        return node

    def operand(self, tree: ast.expr) -> Node:
        if isinstance(tree, ast.Constant):
            return self.number(tree)
        if isinstance(tree, ast.Name):
            if tree.id in OPERATORS:
                self.refuse(tree, f"the operator {tree.id!r} without arguments")
            self.check_read(tree.id, self.line.number, self.column(tree))
            return Read(tree.id)
        if isinstance(tree, ast.UnaryOp) and isinstance(tree.op, ast.USub):
            return self.apply(tree, NEGATIVE.name, [tree.operand])
        if isinstance(tree, ast.Call):
            return self.call(tree)
        if isinstance(tree, ast.Compare):
            self.refuse(tree, "a comparison", "allowed: comparisons only as the condition of where(condition, a, b)")
        self.refuse(tree, f"found {ast.unparse(tree)!r}")

    def number(self, tree: ast.Constant) -> Number:
        if type(tree.value) not in (int, float):
            self.refuse(tree, f"found {tree.value!r}")
        try:
            value = float(tree.value)  # type: ignore[arg-type]
        except OverflowError:
            value = math.inf
        return Number(value)

    def call(self, tree: ast.Call) -> Node:
        if not isinstance(tree.func, ast.Name):
            self.refuse(tree, f"a call of {ast.unparse(tree.func)!r}")
        name, arguments = tree.func.id, list(tree.args)
        callable_here = name in FUNCTIONS or (self.draws and name == "normal")
        if not callable_here:
            self.refuse(tree, f"a call of {name!r}")
        arity = OPERATORS[name].arity
        if tree.keywords or any(isinstance(a, ast.Starred) for a in arguments) or len(arguments) != arity:
            count = len(arguments) + len(tree.keywords)
            self.refuse(tree, f"{name} with {count} arguments", f"allowed: {arity}, in order and without names")
        if name == "where":
            return self.apply(tree, name, arguments[1:], first=self.condition(arguments[0]))
        return self.apply(tree, name, arguments)

    def condition(self, tree: ast.expr) -> Node:
        if not isinstance(tree, ast.Compare) or len(tree.ops) != 1 or type(tree.ops[0]) not in _COMPARE:
            self.refuse(tree, f"the condition {ast.unparse(tree)!r}", f"allowed: one of {' '.join(COMPARISONS)}")
        return self.apply(tree, _COMPARE[type(tree.ops[0])], [tree.left, tree.comparators[0]])

    def apply(self, tree: ast.expr, name: str, arguments: list[ast.expr], first: Node | None = None) -> Apply:
        nodes = [self.node(argument) for argument in arguments]
        return self.applied(tree, name, tuple(nodes if first is None else [first, *nodes]))

    def applied(self, tree: ast.expr, name: str, nodes: tuple[Node, ...]) -> Apply:
        node = Apply(OPERATORS[name], nodes, self.line.number, self.column(tree))
        if node.depth > MAX_DEPTH:  # generated Python nests as deep: its brackets are bounded too
            self.refuse(tree, f"more than {MAX_DEPTH} nested operators", f"allowed: {MAX_DEPTH} deep, sums aside")
        return node


@dataclass(frozen=True)
class Text:
    """What a rule's text says: its equations, and the names that it reads before assigning them, in order."""

    equations: tuple[Equation, ...]
    read_early: tuple[str, ...]


def parse_rule(title: str, text: str, given: Collection[str], declared: Collection[str] | None) -> Text:
    """Reads the equations of a rule.

    `given` are w, g, t and the hyperparameters; `declared` the states, None where the text is to say them itself.
    Raises ValueError, with line and column, on anything outside the language.
    """
    source = Source(title, text)
    equations: dict[str, Equation] = {}
    early: dict[str, tuple[int, int]] = {}

    def check_read(name: str, line: int, column: int) -> None:
        if name in equations or name in given:
            return
        if declared is not None and name not in declared:
            known = ", ".join(sorted({*given, *equations, *declared}))
            source.refuse(
                line, column, f"{name!r} is read before it is assigned, and is not declared as a state",
                f"known here: {known}",
            )  # fmt: skip
        early.setdefault(name, (line, column))

    for line in source.lines():
        target, value = _assignment(source, line)
        _check_target(source, line, target.id, given, equations)
        node = Expressions(source, line, check_read, draws=False).node(value)
        equations[target.id] = Equation(target.id, node, line=line.number, column=line.column)

    for name, (at_line, column) in early.items():
        if name not in equations:
            known = ", ".join(sorted({*given, *equations}))
            source.refuse(at_line, column, f"{name!r} is unknown: a state must be assigned", f"known: {known}")
    if "w" not in equations:
        source.refuse(1, 1, "no equation assigns w", "needed: an equation `w = ...`")
    for name in declared or ():
        if name not in early:
            source.refuse(1, 1, f"the state {name!r} is never read before it is assigned", "needed: such a reading")
    return Text(tuple(equations.values()), tuple(early))


def _assignment(source: Source, line: Line) -> tuple[ast.Name, ast.expr]:
    tree = source.parse(line, "exec")
    assert isinstance(tree, ast.Module)
    statement = tree.body[0]
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1 and isinstance(statement.targets[0], ast.Name):
        return statement.targets[0], statement.value
    source.refuse(line.number, line.column, f"{line.text!r} is not an equation")


def _check_target(source: Source, line: Line, name: str, given: Collection[str], assigned: Collection[str]) -> None:
    allowed = "allowed: w, states and temporaries, each assigned once"
    if name in OPERATORS or name in RESERVED:
        source.refuse(line.number, line.column, f"the name {name!r} is taken", allowed)
    if name != "w" and name in given:
        source.refuse(line.number, line.column, f"{name!r} is assigned, but it is given", allowed)
    if name in assigned:
        source.refuse(line.number, line.column, f"{name!r} is assigned a second time", allowed)


def parse_initial(title: str, text: str, given: Collection[str]) -> Node:
    """Reads the initial value of a state: an expression of the hyperparameters, w, and normal(mean, std)."""
    if not isinstance(text, str):
        raise TypeError(f"{title} must be a string, got {text!r}")
    source = Source(title, text)
    lines = list(source.lines())
    if len(lines) != 1:
        source.refuse(1, 1, f"{len(lines)} lines", "needed: one expression")

    def check_read(name: str, line: int, column: int) -> None:
        if name not in given:
            source.refuse(line, column, f"{name!r} is unknown here", f"known: {', '.join(sorted(given))}")

    tree = source.parse(lines[0], "eval")
    assert isinstance(tree, ast.Expression)
    return Expressions(source, lines[0], check_read, draws=True).node(tree.body)


def check_equation(title: str, equation: Equation, kinds: Kinds) -> None:
    """Refuses a weight that is not per-weight, and values of a wrong kind as arguments."""
    check_kinds(title, equation.value, kinds)
    found = kind_of(equation.value, kinds)
    if equation.name == "w" and found != Kind.WEIGHT:
        Source(title, "").refuse(
            equation.line, equation.column, f"w is assigned a {found} value", "needed: a per-weight one"
        )


def check_kinds(title: str, node: Node, kinds: Kinds) -> None:
    """Refuses reductions of what is not per-weight, and random draws whose mean or deviation is a tensor."""
    source = Source(title, "")
    for part in walk(node):
        if not isinstance(part, Apply) or not (part.operator.reduces or part.operator.draws):
            continue
        wanted = Kind.WEIGHT if part.operator.reduces else Kind.SCALAR
        for argument in part.arguments:
            found = kind_of(argument, kinds)
            if found != wanted:
                source.refuse(
                    part.line, part.column, f"{part.operator.name} of a {found} value", f"allowed: a {wanted} value"
                )
