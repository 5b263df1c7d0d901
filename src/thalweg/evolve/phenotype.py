"""From the text that a grammar made, the phenotype, to a rule. A phenotype is never executed.

It is read in one of two dialects, told apart by their form:

- equations of the rule language, one a line or with `;` between them: `x = 0.9*x + g; w = w - 0.1*x`;
- AutoLR's functions: `alpha_func, beta_func, sigma_func, grad_func = lambda shape, alpha, grad: tf.math.add(...), ...`
  or without the lambdas. What a function makes is taken from its state, one after another and each seeing the states
  before it as they are by then; what the last one makes is taken from the weight (Carvalho, Lourenço and Machado 2022,
  section 3.1).

What the weight never follows from is left out of the rule, though it is held to the dialect all the same.
"""

from __future__ import annotations

import ast
import keyword
import re
from collections.abc import Sequence
from dataclasses import dataclass

from thalweg.evolve.representation import Refused
from thalweg.evolve.spelling import SPELLED, Part, Writer, refuse
from thalweg.rules import Rule
from thalweg.rules.language import MAX_NAME, RESERVED
from thalweg.rules.operators import OPERATORS

MOST_LETTERS = 20_000
MOST_NESTED = 80  # brackets, signs, powers and lambdas in one another: Python's parser recurses over them

_LETTERS = re.compile(r"[ \t\r\nA-Za-z0-9_.,:;()+\-*/=<>!]*")
_WORD = re.compile(r"[A-Za-z_]\w*")
_NESTING = re.compile(r"[(+-]|\*\*|lambda")
_TOKEN = re.compile(r"\*\*|[\w.]+|[^\s\w]")
_FUNCTIONS_FORM = re.compile(r"\s*\w+_func\s*(?:,|=(?!=))")
_KEYWORDS = frozenset(keyword.kwlist) - {"lambda"}

_PAPER_NAMES = {"alpha": "x", "beta": "y", "sigma": "z"}  # the code's, and the paper's
_OTHER_NAMES = {"grad": "g", "gradient": "g", "weight": "w", "weights": "w"}
_GIVEN = frozenset({"w", "g", "t", "lr"})


def rule_from_phenotype(text: str, name: str = "evolved") -> Rule:
    """The rule that a phenotype says. Raises Refused, with the reason, where it says none.

    Two things differ from AutoLR's TensorFlow: constants are scalars, so that what is made of them alone is worked out
    in double precision; and a function that adds to its own state, or takes from it, sets the state, for x - (x + u) is
    -u but for rounding, for infinities and for the sign of a zero.
    """
    lines = [line for group in _live(_groups(text)) for line in group.lines]
    try:
        return Rule(name, "\n".join(lines))
    except ValueError as error:
        place, _, found = str(error).partition(": ")
        raise Refused((found or place)[:200]) from None


def equations_of(text: str, holes: Sequence[str] = ()) -> str:
    """The equations that a phenotype says, dead ones too, in which some names stand for any expression."""
    return "\n".join(line for group in _groups(text, holes) for line in group.lines)


def expression_of(text: str, states: Sequence[str], holes: Sequence[str]) -> str:
    """The same of an expression in such a phenotype, of whichever dialect. Raises Refused where it is none."""
    statements = _parsed(text)
    if len(statements) != 1 or not isinstance(statements[0], ast.Expr):
        refuse("no single expression")
    writer = Writer({**_names(states), "t": "t"}, holes)
    part = writer.part(statements[0].value)
    return part.text if not writer.lines else refuse("an expression that is too long")


@dataclass(frozen=True)
class _Group:
    """An equation of the phenotype: what it assigns, what it reads, and the lines of the rule that say it."""

    target: str
    reads: frozenset[str]
    lines: tuple[str, ...]


def _groups(text: str, holes: Sequence[str] = ()) -> list[_Group]:
    return (_functions if _FUNCTIONS_FORM.match(text) else _equations)(_parsed(text), holes)


def _parsed(text: str) -> list[ast.stmt]:
    """The statements of a text that was bounded first."""
    if len(text) > MOST_LETTERS:
        refuse(f"{len(text)} letters, more than {MOST_LETTERS}")
    if not _LETTERS.fullmatch(text):
        refuse("letters that no equation has")
    words = _KEYWORDS.intersection(_WORD.findall(text))
    if words:
        refuse(f"the word {min(words)!r}")
    if len(_NESTING.findall(text)) > MOST_NESTED and _nesting(text) > MOST_NESTED:
        refuse(f"more than {MOST_NESTED} nested brackets, signs or powers")
    try:
        return ast.parse("\n".join(line.strip() for line in text.strip("; \t\r\n").splitlines())).body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        refuse(f"no equations: {getattr(error, 'msg', None) or 'too long or too deep'}")


def _nesting(text: str) -> int:
    """How many brackets are open at most, and signs, powers and lambdas that wait for their operands."""
    waiting, deepest, operand = [0], 0, False
    for token in _TOKEN.findall(text):
        if token == "(":
            waiting.append(0)
        elif token == ")":
            waiting = waiting[:-1] or [0]
        elif token in ("**", "lambda") or (token in "+-" and not operand):
            waiting[-1] += 1
        elif token in "+-*/,;=<>!":
            waiting[-1] = 0
        operand = token == ")" or (token[0] not in "(+-*/,;=<>!:" and token != "lambda")
        deepest = max(deepest, len(waiting) - 1 + sum(waiting))
    return deepest


def _live(groups: Sequence[_Group]) -> list[_Group]:
    """Those that the weight follows from, in this step or a later one."""
    reads = {group.target: group.reads for group in groups}
    live, waiting = {"w"}, ["w"]
    while waiting:
        new = sorted(reads.get(waiting.pop(), frozenset()) - live)
        live.update(new)
        waiting += new
    return [group for group in groups if group.target in live]


# The two dialects.


def _equations(statements: Sequence[ast.stmt], holes: Sequence[str]) -> list[_Group]:
    pairs = [_target_and_value(statement) for statement in statements]
    targets = [target for target, _ in pairs]
    if "w" not in targets:
        refuse("no equation assigns w")
    for target in targets:
        _check_target(target, targets)
    writer = Writer({name: name for name in (*_GIVEN, *targets)}, holes)
    return [_group(target, writer, writer.part(value)) for target, value in pairs]


def _target_and_value(statement: ast.stmt) -> tuple[str, ast.expr]:
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1 and isinstance(statement.targets[0], ast.Name):
        return statement.targets[0].id, statement.value
    refuse("a statement that is no equation `name = expression`")


def _check_target(target: str, targets: Sequence[str]) -> None:
    taken = target in OPERATORS or target in SPELLED or target in RESERVED or target in _GIVEN - {"w"}
    if taken or target.startswith("_") or len(target) > MAX_NAME:
        refuse(f"the name {target[:MAX_NAME]!r} is taken, or no name of a state")
    if targets.count(target) > 1:
        refuse(f"{target!r} is assigned twice")


def _functions(statements: Sequence[ast.stmt], holes: Sequence[str]) -> list[_Group]:
    statement = statements[0]
    if len(statements) != 1 or not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
        refuse("more than one assignment of functions")
    names = _elements(statement.targets[0])
    values = _elements(statement.value)
    stems = [name.id.removesuffix("_func") if isinstance(name, ast.Name) else "" for name in names]
    if not all(isinstance(name, ast.Name) and name.id.endswith("_func") for name in names):
        refuse("an assignment to something else than functions `..._func`")
    if len(names) != len(values):
        refuse(f"{len(names)} functions are assigned {len(values)} values")
    states = [_PAPER_NAMES.get(stem, stem) for stem in stems[:-1]]
    for state in states:
        _check_target(state, [*states, "w", *_OTHER_NAMES])
    known = _names(states)
    writer = Writer(known, holes)
    groups = []
    for target, value in zip([*states, "w"], values, strict=True):
        writer.known = known
        if isinstance(value, ast.Lambda):
            arguments = _arguments(value)
            writer.known = {name: own for name, own in known.items() if name in arguments}
            value = value.body
        groups.append(_group(target, writer, _taken(writer, target, value)))
    return groups


def _names(states: Sequence[str]) -> dict[str, str]:
    """All names that functions may read, and what each is in the rule."""
    other = {name: state for name, state in _PAPER_NAMES.items() if state in states}
    return {name: name for name in ("w", "g", *states)} | _OTHER_NAMES | other


def _arguments(function: ast.Lambda) -> set[str]:
    """The names that a lambda takes; those of nothing that a rule has may stand there, but not be read."""
    names = function.args
    if names.posonlyargs or names.kwonlyargs or names.vararg or names.kwarg or names.defaults:
        refuse("a lambda that takes more than names")
    return {argument.arg for argument in names.args}


def _taken(writer: Writer, target: str, tree: ast.expr) -> Part:
    """`target - tree`, without what cancels."""
    operator, arguments = writer.applied(tree)
    own = [isinstance(argument, ast.Name) and writer.known.get(argument.id) == target for argument in arguments]
    if operator == "negative":
        return writer.combined("+", [writer.state(target), writer.part(arguments[0])])
    if operator == "+" and any(own):
        other = arguments[own.index(True) - 1]
        inner, negated = writer.applied(other)
        return writer.part(negated[0]) if inner == "negative" else writer.combined("negative", [writer.part(other)])
    if operator == "-" and own[0]:
        return writer.part(arguments[1])
    return writer.combined("-", [writer.state(target), writer.part(tree)])


def _group(target: str, writer: Writer, part: Part) -> _Group:
    lines, reads = writer.finished()
    return _Group(target, reads, (*lines, f"{target} = {part.text}"))


def _elements(tree: ast.expr) -> list[ast.expr]:
    return tree.elts if isinstance(tree, ast.Tuple) else [tree]
