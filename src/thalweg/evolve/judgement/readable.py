"""The simplest equal rule: what evolution found, as a person would have written it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from thalweg.evolve.judgement.expressions import number_text, rounded
from thalweg.evolve.judgement.layout import laid_out
from thalweg.evolve.judgement.simpler import simpler
from thalweg.evolve.judgement.values import Values
from thalweg.rules import Rule

SEEDS = (0, 1)  # of the probes on which it must behave as the rule does
ROUNDS = 4  # of simplification: one may make room for another
_DIGITS = 15  # of a constant: what needs more stays as it is
_NEAR = 1e-3  # how far a constant may be rounded: eight steps of a probe do not tell all that 0.99 and 1 do
_NUMBER = re.compile(r"(?<![\w.])\d+\.?\d*(?:e[-+]?\d+)?")


def readable(rule: Rule, name: str = "evolved") -> Rule:
    """A rule of that name that behaves as `rule` does, written as simply as can be.

    Dead code is gone and constants are folded, as in the canonical form; what is used once stands in place; states are
    x, y, z; signs and absolute values are written as such. Numbers have the fewest digits that keep the behaviour; they
    stand in the text, but for the factor of the whole step, which is the hyperparameter `lr`. Weight decay that the
    rule has by default becomes part of its equations.

    Equal behaviour means equal hashes at two seeds (`Rule.behaviour`). Where nothing simpler has them, or a text would
    be longer than one may be, it is the rule itself under the name.
    """
    wanted = [rule.behaviour(seed) for seed in SEEDS]
    for start in (_simplified(rule, wanted), rule):
        try:
            written = laid_out(Values.of(start), name)
        except ValueError:  # too long, or deeper than a text may be
            continue
        if _behaves(written, wanted):
            return _shortened(written, wanted)
    return rule.replace(name=name)


def _behaves(rule: Rule, wanted: list[str]) -> bool:
    return all(rule.behaviour(seed) == one for seed, one in zip(SEEDS, wanted, strict=True))


def _simplified(rule: Rule, wanted: list[str]) -> Rule:
    """The rule after as many rounds of identities as keep its behaviour."""
    for _ in range(ROUNDS):
        try:
            values = Values.of(rule)
            whole = values.written_out()
            if whole is None:
                return rule
            found = values.rule(rule.name, {key: simpler(node) for key, node in whole.items()})
        except ValueError:
            return rule
        if not _behaves(found, wanted):
            return rule
        if found.canonical() == rule.canonical():
            return found
        rule = found
    return rule


def _shortened(rule: Rule, wanted: list[str]) -> Rule:
    """The rule with each number, one after another, to the fewest digits that keep the behaviour."""
    lr = float(rule.scalars(rule.hyperparameters)["lr"])
    shorter = (rule.replace(lr=value) for value in _shorter(lr)) if rule.reads_lr else ()
    rule = next((one for one in shorter if _behaves(one, wanted)), rule)
    for place in range(len(_NUMBER.findall(rule.text))):
        match = list(_NUMBER.finditer(rule.text))[place]
        before, after = rule.text[: match.start()], rule.text[match.end() :]
        texts = [f"{before}{number_text(value)}{after}" for value in _shorter(float(match[0]))]
        rule = next((one for text in texts if _behaves(one := rule.replace(text=text), wanted)), rule)
    return rule


def _shorter(value: float) -> Iterator[float]:
    """The number to 1, 2, ... digits, as long as that changes it and neither it nor its distance from one by much."""
    room = _NEAR * (min(value, abs(1 - value)) if 0.5 < value < 2 else value)
    for digits in range(1, _DIGITS + 1):
        if (short := rounded(value, digits)) == value:
            return
        if abs(short - value) <= room:
            yield short
