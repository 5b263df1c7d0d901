"""What each part of a rule is good for: the rule without it, to be trained beside it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from thalweg.evolve.candidate import candidate_of
from thalweg.evolve.judgement.expressions import reads_replaced, term, terms, text_of, total
from thalweg.evolve.representation import Refused
from thalweg.rules import Rule
from thalweg.rules.program import Apply, Node, Number, names_read

OUTER = ("sign", "sqrt", "abs", "square", "exp", "log", "tanh")  # operators that can be taken away from around a value


@dataclass(frozen=True)
class Ablation:
    """A rule with one part less; `title` says which."""

    title: str
    rule: Rule


def ablations(rule: Rule) -> list[Ablation]:
    """The rule without each term of each sum, without each state and with each state's memory gone, and without each
    operator around a value (sign(x) becomes x), in the order of the text.

    Left out are those that are no candidates, that do what the rule itself does, or what an earlier one does: each has
    a canonical form of its own. Give it what `readable` made of a rule, and the titles can be read.
    """
    scalars = rule.scalars(rule.hyperparameters)
    numbers: dict[str, Node] = {n: Number(value) for n, value in scalars.items() if n not in ("lr", "weight_decay")}
    own = [(e.name, reads_replaced(e.value, numbers)) for e in rule.program.equations if not e.when]
    found: list[Ablation] = []
    seen = {rule.canonical()}
    for title, equations in (*_without_parts(own), *_without_states(rule, own)):
        try:
            candidate = candidate_of(_rule(rule, equations, numbers))
        except (Refused, ValueError):  # nothing that could be trained is left
            continue
        if candidate.canonical not in seen:
            seen.add(candidate.canonical)
            found.append(Ablation(title, candidate.rule))
    return found


Equations = list[tuple[str, Node]]


def _without_parts(own: Equations) -> Iterator[tuple[str, Equations]]:
    for place, (name, value) in enumerate(own):
        for what, less in _less(value):
            if not (name == "w" and what == "without w"):
                yield f"{name}: {what}", [*own[:place], (name, less), *own[place + 1 :]]


def _without_states(rule: Rule, own: Equations) -> Iterator[tuple[str, Equations]]:
    """States begin at 0, or they are left alone: what a state was before its first step is no part of it."""
    for state in (state for state in rule.states if state not in rule.initial):
        last = next(place for place, (name, _) in enumerate(own) if name == state)
        nothing: dict[str, Node] = {state: Number(0.0)}
        zeroed = [(name, reads_replaced(value, nothing)) for name, value in own]
        yield f"{state} forgets what it held", [*zeroed[: last + 1], *own[last + 1 :]]
        yield f"without the state {state}", [*zeroed[:last], *zeroed[last + 1 :]]


def _less(node: Node, inside: bool = False) -> Iterator[tuple[str, Node]]:
    """The expression with one part less, in every way, and what is gone."""
    if not isinstance(node, Apply):
        return
    parts = terms(node)
    if len(parts) > 1:
        for i, (factor, part) in enumerate(parts):
            rest = [*parts[:i], *parts[i + 1 :]]
            within = f" in {text_of(node)}" if inside else ""
            yield f"without {text_of(term(factor, part))}{within}", total(rest)
            for what, less in _less(part, inside=True):
                yield what, total([*parts[:i], (factor, less), *parts[i + 1 :]])
        return
    if node.operator.name in OUTER:
        yield f"{text_of(node)} becomes {text_of(node.arguments[0])}", node.arguments[0]
    for i, argument in enumerate(node.arguments):
        for what, less in _less(argument, inside=True):
            yield what, Apply(node.operator, (*node.arguments[:i], less, *node.arguments[i + 1 :]))


def _rule(rule: Rule, equations: Equations, numbers: dict[str, Node]) -> Rule:
    """The equations as a rule that is otherwise as this one. Raises ValueError where they are none."""
    text = "\n".join(f"{name} = {text_of(value)}" for name, value in equations)
    read = {name for _, value in equations for name in names_read(value)}
    left = {name for name, _ in equations}
    init = {name: text_of(reads_replaced(node, numbers)) for name, node in rule.initial.items() if name in left & read}
    kept: dict[str, Any] = {"lr": rule.hyperparameters["lr"]} if "lr" in read else {}
    return Rule(
        rule.name, text, init=init, first_step=rule.first_step, decay=rule.decay,
        weight_decay=rule.hyperparameters["weight_decay"], **kept,
    )  # fmt: skip
