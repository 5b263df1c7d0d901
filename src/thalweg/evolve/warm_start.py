"""The derivation by which a grammar says a known rule, as nearly as its constants allow.

Productions are read as patterns: expressions with holes where they have non-terminals. An expression is sought among
them from the top down, in the other ways to write it too, and of all derivations the smallest is taken.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations, product
from typing import NamedTuple

from thalweg.evolve.grammar import Grammar, Production
from thalweg.evolve.phenotype import equations_of, expression_of
from thalweg.evolve.representation import Refused
from thalweg.evolve.rewriting import negated, without, written_as
from thalweg.evolve.tree_form import Tree, renamed
from thalweg.rules.language import parse_rule
from thalweg.rules.program import Apply, Node, Number, Read, apply

TOLERANCE = 0.15  # relative, of a constant and of what it lacks to 1, which is what counts of a decay
MOST_STEPS = 200_000  # of a search, before it is given up
MOST_OPEN = 60  # non-terminals in one another, beyond which a derivation is not followed
MOST_NODES = 200  # of an equation with its temporaries put in

NEW = "'"  # after a state's name: as it is once assigned, not as it was before


class Derivation(NamedTuple):
    """A non-terminal expanded by a production, and what its non-terminals are expanded to; smaller and nearer first."""

    size: int
    error: float
    n: int
    k: int
    parts: tuple[Derivation, ...]


@dataclass(frozen=True)
class _Start:
    """A production of the axiom: the states in order and last the weight, with the pattern of each new value."""

    k: int
    targets: tuple[str, ...]
    patterns: tuple[Node, ...]


def choices_for(grammar: Grammar, tree: Tree) -> list[list[int]]:
    """The productions, by non-terminal and in the order of mapping, that say a rule.

    Raises Refused where the grammar has no such derivation, or none whose constants are near.
    """
    if tree.init or (tree.first_step != 1 and any("t" in _names(e.value) for e in tree.equations)):
        raise Refused("the grammar cannot say where its states or its clock begin; trees, the default, can")
    targets = _new_values(tree)
    search = _Search(grammar)
    for start in search.starts:
        found = search.whole(start, targets)
        if found:
            choices: list[list[int]] = [[] for _ in grammar.productions]
            _spell(found, choices)
            return choices
    raise Refused("the grammar cannot say it; trees, the default, can")


def _spell(derivation: Derivation, choices: list[list[int]]) -> None:
    choices[derivation.n].append(derivation.k)
    for part in derivation.parts:
        _spell(part, choices)


def _names(node: Node) -> set[str]:
    if isinstance(node, Read):
        return {node.name}
    return set().union(*map(_names, node.arguments)) if isinstance(node, Apply) else set()


def _nodes(node: Node) -> int:
    return 1 + sum(map(_nodes, node.arguments)) if isinstance(node, Apply) else 1


def _new_values(tree: Tree) -> list[tuple[str, Node]]:
    """The states and the weight in the order of assignment, each with its new value, temporaries put in."""
    values: dict[str, Node] = {}
    targets = []
    for equation in tree.equations:
        value = renamed(equation.value, values)
        if _nodes(value) > MOST_NODES:
            raise Refused("the rule is too long for the search of a derivation; trees, the default, can say it")
        if equation.name in tree.states or equation.name == "w":
            targets.append((equation.name, value))
            value = Read(equation.name + NEW)
        values[equation.name] = value
    return targets


class _Search:
    """The search in one grammar for one rule; what a non-terminal cannot say is found out once."""

    def __init__(self, grammar: Grammar) -> None:
        self.grammar = grammar
        self.starts, self.patterns = _patterns(grammar)
        self.known: dict[tuple[int, Node], Derivation | None] = {}
        self.open: set[tuple[int, Node]] = set()
        self.steps = 0

    def whole(self, start: _Start, targets: list[tuple[str, Node]]) -> Derivation | None:
        """The derivation of a rule, by the states of the rule in the grammar's own, in order; a state that is left over
        may hold the gradient for a weight that cannot read it."""
        *states, (last, weight) = targets
        if last != "w":
            return None
        copy = ("", Read("g"))
        carried = renamed(weight, {"g": Read(NEW)})
        for own, step in ((states, weight), ([copy, *states], carried)):
            for places in combinations(range(len(start.targets) - 1), len(own)):
                found = self._placed(start, own, step, places)
                if found:
                    return found
        return None

    def _placed(
        self, start: _Start, states: Sequence[tuple[str, Node]], weight: Node, places: Sequence[int]
    ) -> Derivation | None:
        """The derivation with the rule's states in these places of the grammar's, the others as low as can be."""
        slots = [start.targets[place] for place in places]
        values: dict[str, Node] = {"w": weight}
        for i, (own, value) in enumerate([*states, ("w", weight)]):
            names = {name: Read(slots[j]) for j, (name, _) in enumerate(states) if j >= i}
            names |= {name + NEW: Read(slots[j]) for j, (name, _) in enumerate(states) if j < i}
            if not _names(value) <= names.keys() | {"w", "g", "t"}:
                return None  # a state as it was, which is gone by then
            values["w" if own == "w" else slots[i]] = renamed(value, names)
        production, parts = self.grammar.productions[0][start.k], list[Derivation]()
        for target, pattern in zip(start.targets, start.patterns, strict=True):
            if target in values:
                found = self.filled(pattern, values[target], production, Read(target))
                if found is None:
                    return None
                parts += found
            else:
                symbols = [production[place] for place in _holes(pattern)]
                parts += [self.lowest(symbol) for symbol in symbols if isinstance(symbol, int)]
        return Derivation(1 + sum(p.size for p in parts), sum(p.error for p in parts), 0, start.k, tuple(parts))

    def filled(
        self, pattern: Node, node: Node, production: Production, state: Read | None = None
    ) -> tuple[Derivation, ...] | None:
        """The best derivations for the holes of a pattern, in their order, with which it says the node."""
        best: tuple[Derivation, ...] | None = None
        for holes in self.matches(pattern, node, state):
            parts = []
            for place in sorted(holes):
                n = production[place]
                assert isinstance(n, int)
                part = self.derived(n, holes[place])
                if part is None:
                    break
                parts.append(part)
            else:
                if best is None or _cost(parts) < _cost(best):
                    best = tuple(parts)
        return best

    def derived(self, n: int, node: Node) -> Derivation | None:
        """The smallest derivation of a node from a non-terminal."""
        key = (n, node)
        if key in self.open or len(self.open) > MOST_OPEN:
            return None
        if key not in self.known:
            self.open.add(key)
            options = []
            for k, pattern in enumerate(self.patterns[n]):
                if pattern is None:
                    continue
                error = _error(pattern, node)
                parts = () if error is not None else self.filled(pattern, node, self.grammar.productions[n][k])
                if parts is not None:
                    size, inner = _cost(parts)
                    options.append(Derivation(1 + size, (error or 0.0) + inner, n, k, parts))
            self.open.discard(key)
            self.known[key] = min(options, key=lambda option: option[:2], default=None)
        return self.known[key]

    def matches(self, pattern: Node, node: Node, state: Read | None = None) -> Iterator[dict[int, Node]]:
        """What to put into the holes of a pattern, by their place in the production, so that it says the node."""
        self.steps += 1
        if self.steps > MOST_STEPS:
            raise Refused("the search of a derivation was given up; trees, the default, can say the rule")
        if isinstance(pattern, Read) and pattern.name.startswith(_HOLE):
            yield {_place(pattern.name): node}
        elif not isinstance(pattern, Apply):
            if pattern == node:
                yield {}
        elif state is not None and pattern.operator.name in "+-" and pattern.arguments[0] == state:
            rest = without(node, state)  # what is taken from the state, or from the weight
            rest = apply("-", state, node) if rest is None else rest
            yield from self.matches(pattern.arguments[1], rest if pattern.operator.name == "-" else negated(rest))
        elif isinstance(node, Number) and pattern.operator.name == "-" and isinstance(pattern.arguments[0], Number):
            yield from self.matches(pattern.arguments[1], Number(pattern.arguments[0].value - node.value))
        else:
            for arguments in written_as(pattern.operator.name, node):
                ways = [list(self.matches(p, a)) for p, a in zip(pattern.arguments, arguments, strict=True)]
                for way in product(*ways):
                    yield {place: part for holes in way for place, part in holes.items()}

    def lowest(self, n: int) -> Derivation:
        """The derivation of a state that is not used."""
        k = min(self.grammar.shortest[n], key=lambda k: self.grammar.production_sizes[n][k])
        parts = tuple(self.lowest(symbol) for symbol in self.grammar.productions[n][k] if isinstance(symbol, int))
        return Derivation(1 + sum(part.size for part in parts), 0.0, n, k, parts)


def _cost(parts: Sequence[Derivation]) -> tuple[int, float]:
    return sum(part.size for part in parts), sum(part.error for part in parts)


def _error(pattern: Node, node: Node) -> float | None:
    """How far one constant is from another; None where they are not near, or no constants."""
    if not isinstance(pattern, Number) or not isinstance(node, Number):
        return None
    one, other = pattern.value, node.value
    if one == other:
        return 0.0
    error = max(abs(a - b) / max(abs(a), abs(b)) for a, b in ((one, other), (1 - one, 1 - other)) if a or b)
    if not 0.5 < other < 1:  # what it lacks to 1 is then no number of its own
        error = abs(one - other) / max(abs(one), abs(other))
    return error if error <= TOLERANCE else None


# Productions as patterns.

_HOLE = "hole_"


def _place(name: str) -> int:
    return int(name.removeprefix(_HOLE))


def _holes(pattern: Node) -> list[int]:
    return sorted(_place(name) for name in _names(pattern) if name.startswith(_HOLE))


def _with_holes(production: Production) -> tuple[str, list[str]]:
    holes = [f"{_HOLE}{place}" for place, symbol in enumerate(production) if isinstance(symbol, int)]
    return "".join(s if isinstance(s, str) else f"{_HOLE}{place}" for place, s in enumerate(production)), holes


@lru_cache(maxsize=8)
def _patterns(grammar: Grammar) -> tuple[list[_Start], list[list[Node | None]]]:
    """The axiom's productions that are equations, and of the other non-terminals those that are expressions."""
    starts = []
    for k, production in enumerate(grammar.productions[0]):
        text, holes = _with_holes(production)
        try:
            read = parse_rule("axiom", equations_of(text, holes), {"g", "t", "lr", *holes, "w"}, None).equations
        except ValueError:
            continue
        if read[-1].name == "w":
            starts.append(_Start(k, tuple(e.name for e in read), tuple(e.value for e in read)))
    states = sorted({target for start in starts for target in start.targets} - {"w"})
    patterns: list[list[Node | None]] = [[], *([_pattern(p, states) for p in own] for own in grammar.productions[1:])]
    return starts, patterns


def _pattern(production: Production, states: Sequence[str]) -> Node | None:
    text, holes = _with_holes(production)
    given = {"w", "g", "t", *states, *holes}
    try:
        return parse_rule("production", f"w = {expression_of(text, states, holes)}", given, ()).equations[0].value
    except ValueError:
        return None
