"""The canonical form as values: what is worked out, and what the weight and the states become of it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from thalweg.evolve.judgement.expressions import Term, reads_replaced, terms, text_of, tidied, total
from thalweg.rules import Rule, language
from thalweg.rules.program import Node, Read, walk

MOST_NODES = 600  # of an expression with everything written in place


@dataclass(frozen=True)
class Values:
    """A rule's canonical form. Names of states, and w, mean what they hold before the step, everywhere.

    `shared` has the values that the form works out once, later ones made of earlier ones; `outputs` what the states and
    then w become; `begins` the states' initial values where these are not 0.
    """

    shared: dict[str, Node]
    outputs: dict[str, Node]
    begins: dict[str, str]
    first_step: int

    @classmethod
    def of(cls, rule: Rule) -> Values:
        """Raises ValueError where the canonical form is longer than a text may be."""
        lines = rule.canonical().splitlines()
        begun = [line[2:].split(" begins as ", 1) for line in lines if line.startswith("# s") and " begins as " in line]
        text = "\n".join(line for line in lines if not line.startswith("#"))
        equations = language.parse_rule("the canonical form", text, {"w", "g", "t"}, None).equations
        held = {e.name: e.value for e in equations if e.name.endswith("_next")}
        shared = {e.name: e.value for e in equations if e.name.startswith("c")}
        last = {e.name: e.value for e in equations if e.name not in held and e.name not in shared}
        outputs = {name: reads_replaced(value, held) for name, value in last.items()}
        begins = {state: text_of(tidied(language.parse_initial(state, value, {"w"}))) for state, value in begun}
        return cls(shared, outputs, begins, rule.first_step)

    def written_out(self) -> dict[str, Node] | None:
        """The outputs with every value written in place; None where that is too long."""
        whole: dict[str, Node] = {}
        for name, node in (*self.shared.items(), *self.outputs.items()):
            whole[name] = reads_replaced(node, whole) if name in self.shared else node
            if sum(1 for _ in walk(whole[name])) > MOST_NODES:
                return None
        return {name: reads_replaced(node, {c: whole[c] for c in self.shared}) for name, node in self.outputs.items()}

    def rule(self, name: str, outputs: dict[str, Node]) -> Rule:
        """The rule in which the outputs become these. Raises ValueError where that is none."""
        states = [state for state in outputs if state != "w"]
        read = {part.name for node in outputs.values() for part in walk(node) if isinstance(part, Read)}
        kept = [state for state in states if state in read]
        lines = [f"{state}_next = {text_of(outputs[state])}" for state in kept]
        lines += [f"w = {text_of(outputs['w'])}", *(f"{state} = {state}_next" for state in kept)]
        init = {state: text for state, text in self.begins.items() if state in kept}
        return Rule(name, "\n".join(lines), init=init, first_step=self.first_step)


def with_states(values: Values) -> Values:
    """The values with a state's new value named where a sum has its terms: w - 0.1*g - 0.09*v is w - 0.1*v again.

    The canonical form writes sums of sums as one.
    """
    shared, outputs = dict(values.shared), dict(values.outputs)
    sums = {
        n.name: terms(shared[n.name])
        for s, n in outputs.items()
        if s != "w" and isinstance(n, Read) and n.name in shared
    }
    for new, parts in sorted(sums.items(), key=lambda item: -len(item[1])):
        for key in [key for key in shared if key != new and len(parts) > 1]:
            within = _without(terms(shared[key]), parts)
            if within is not None and key not in _below(new, shared):
                rest, times = within
                shared[key] = total([*rest, (times, Read(new))])
    return replace(values, shared=_sorted(shared))


def _without(whole: list[Term], parts: list[Term]) -> tuple[list[Term], float] | None:
    """The terms of `whole` that are left when a multiple of `parts` is taken off, and which multiple; None if none."""
    table = {part: factor for factor, part in whole}
    if any(part not in table or factor == 0 for factor, part in parts):
        return None
    ratios = [table[part] / factor for factor, part in parts]
    if not all(math.isclose(ratio, ratios[0], rel_tol=1e-9) for ratio in ratios):
        return None
    taken = {part for _, part in parts}
    return [(factor, part) for factor, part in whole if part not in taken], ratios[0]


def _below(name: str, shared: dict[str, Node]) -> set[str]:
    """The shared values that one is made of, itself among them."""
    seen, waiting = {name}, [name]
    while waiting:
        read = {part.name for part in walk(shared[waiting.pop()]) if isinstance(part, Read)} & shared.keys() - seen
        seen |= read
        waiting += read
    return seen


def _sorted(shared: dict[str, Node]) -> dict[str, Node]:
    """The shared values, later ones made of earlier ones."""
    depths = {key: len(_below(key, shared)) for key in shared}  # what one is made of is made of less
    return {key: shared[key] for key in sorted(shared, key=lambda key: depths[key])}
