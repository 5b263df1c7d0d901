"""`Entry`: what the archive knows of a candidate, with every score that it was ever given."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from thalweg.rules import Rule

Keys = tuple[str, str]  # behaviours on two independent probes: two rules are alike where both are equal


@dataclass(frozen=True)
class Score:
    """What a candidate reached once: `value` is higher for better and -inf where it failed, `examples` what it took."""

    stage: str
    task: str
    seed: int
    value: float
    examples: int


@dataclass(frozen=True)
class Entry:
    """A candidate in the archive, as it was when it was read: it does not follow later changes.

    `born` is the number of its batch, `parents` the ids of those that it was made of by `operation`, and `fate` says
    how far it came: a stage, or why it was refused. `scores` are in the order in which they were given.
    """

    id: int
    canonical: str
    definition: str  # the rule's, as JSON
    size: int
    keys: Keys | None
    born: int
    parents: tuple[int, ...]
    operation: str
    fate: str
    scores: tuple[Score, ...] = ()
    source: str = field(default="archive", repr=False, compare=False)  # for errors: where it was read

    @cached_property
    def rule(self) -> Rule:
        """The rule, made again from its definition. Raises ValueError where that is none."""
        try:
            return rule_from(self.definition)
        except ValueError as error:
            raise ValueError(f"{self.source}: candidate {self.id} holds no rule: {error}") from error

    @property
    def examples(self) -> int:
        """What has been spent on it so far."""
        return sum(score.examples for score in self.scores)

    def values(self, stage: str, task: str | None = None) -> tuple[float, ...]:
        """Its scores in a stage, on one task or on all, in the order in which they were given."""
        return tuple(s.value for s in self.scores if s.stage == stage and task in (None, s.task))

    def seeds(self, stage: str, task: str | None = None) -> tuple[int, ...]:
        """The seeds that those scores are of."""
        return tuple(s.seed for s in self.scores if s.stage == stage and task in (None, s.task))

    def mean(self, stage: str, task: str | None = None) -> float:
        """The mean of its scores in a stage: -inf where one of them is, NaN where there are none."""
        values = self.values(stage, task)
        return math.fsum(values) / len(values) if values else math.nan


def definition_of(rule: Rule) -> str:
    """A rule as JSON, from which `rule_from` makes it again."""
    return json.dumps(rule.definition(), sort_keys=True)


def rule_from(definition: str) -> Rule:
    """The rule that a definition in JSON describes. Raises ValueError where it describes none."""
    try:
        arguments = json.loads(definition)
        if not isinstance(arguments, dict):
            raise ValueError(f"a definition must be an object, got {definition:.80}")
        return Rule(**arguments)
    except (TypeError, AttributeError, RecursionError) as error:  # arguments of other names or types than a rule's
        raise ValueError(f"{type(error).__name__}: {error}") from error


def entry_from(row: Sequence[Any], scores: Iterable[Sequence[Any]], source: str) -> Entry:
    """An entry from the columns of the table of candidates and the rows of its scores.

    Raises ValueError where a value is not of the kind that it should be: a file may have been changed by others.
    """
    number, canonical, definition, size, key, other, born, parents, operation, fate = row
    kinds = [(number, int), (canonical, str), (definition, str), (size, int), (born, int), (parents, str)]
    kinds += [(operation, str), (fate, str)]
    if not all(isinstance(value, kind) for value, kind in kinds) or isinstance(key, str) != isinstance(other, str):
        raise ValueError(f"{source}: candidate {number!r:.20} has a value of a wrong kind")
    return Entry(
        id=number,
        canonical=canonical,
        definition=definition,
        size=size,
        keys=(key, other) if isinstance(key, str) else None,
        born=born,
        parents=_numbers(parents, f"{source}: candidate {number}: parents"),
        operation=operation,
        fate=fate,
        scores=tuple(_score(each, f"{source}: candidate {number}") for each in scores),
        source=source,
    )


def _score(row: Sequence[Any], where: str) -> Score:
    stage, task, seed, value, examples = row
    texts, whole = isinstance(stage, str) and isinstance(task, str), isinstance(seed, int) and isinstance(examples, int)
    if not texts or not whole or not isinstance(value, float) or value == math.inf:  # NaN is kept as NULL
        raise ValueError(f"{where} has a score of a wrong kind: {tuple(row)!r:.80}")
    return Score(stage, task, seed, value, examples)


def _numbers(text: str, where: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split())
    except ValueError as error:
        raise ValueError(f"{where} must be whole numbers, got {text!r:.80}") from error
