"""Edits of a tree: each returns one with a single thing changed, or None where the tree has no place for it.

An edit puts a value only where one of the same kind, or of a smaller one, stood. What comes out need not be tidy, nor
within limits: whoever asked looks. The sum in which the weight's equation carries the weight itself is left standing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from random import Random

from thalweg.evolve.tree_constants import complement, constant, rate, varied, varied_odds
from thalweg.evolve.tree_form import Place, Tree, renamed, scaled, size
from thalweg.evolve.tree_words import ROOTS, Words, chosen, fresh
from thalweg.rules.operators import COMPARISONS, OPERATORS
from thalweg.rules.program import Apply, Equation, Kind, Node, Number, Read, apply, names_read, walk

Edit = Callable[[Tree, Words, Random], Tree | None]

ROOM = 8  # nodes of a new subtree at most
ALONE = 0.1  # how often a constant is varied without those that equal it
TURNED = 0.1  # how often the sign of the step itself may be changed, against any other operator


def carriers(tree: Tree) -> list[Place]:
    """The places of w's equation from its top, along the first terms of sums, to the weight itself."""
    spine = {place.path: place for place in tree.places if place.equation == tree.of_w and not any(place.path)}
    found = []
    for path in sorted(spine, key=len):
        node = spine[path].node
        if path and isinstance(node, Apply) and node.operator.name not in ("+", "-"):
            break  # such as a factor of the weight, which may become any other
        found.append(spine[path])
        if not (isinstance(node, Apply) and node.operator.name in ("+", "-")):
            break
    return found


def free_places(tree: Tree) -> list[Place]:
    """The places of values that may become any other of their kind."""
    kept = carriers(tree)
    return [place for place in tree.places if not place.condition and place not in kept]


def one_of(random: Random, places: Iterable[Place]) -> Place | None:
    places = list(places)
    return random.choice(places) if places else None


# Constants.


def jitter(tree: Tree, words: Words, random: Random) -> Tree | None:
    """Varies a constant, and nearly always all that equal it or complement it to 1: they mean one thing.

    The whole numbers of bias corrections and the like are no constants.
    """
    numbers = [(place, place.node.value) for place in tree.places if isinstance(place.node, Number)]
    varying = [(place, value) for place, value in numbers if not value.is_integer()]
    if not varying:
        return None
    place, old = random.choice(varying)
    shared = 0 < old < 1 and complement(old) in [value for _, value in varying]
    new = varied_odds(old, random) if shared else varied(old, random)
    if new.is_integer():
        return None
    if random.random() < ALONE:
        return tree.with_node(place, Number(new))
    changes = {old: new}
    if shared:
        changes.setdefault(complement(old), complement(new))
    for place, value in varying:
        if value in changes:
            tree = tree.with_node(place, Number(changes[value]))
    return tree


def rescale(tree: Tree, words: Words, random: Random) -> Tree | None:
    """Takes a constant factor away, or puts one in; the weight itself gets one near 1, which is weight decay."""
    if random.random() < 0.4:
        factors = [(place, scale[1]) for place in free_places(tree) if (scale := _scale(place.node))]
        return tree.with_node(*random.choice(factors)) if factors else None
    weight = [place for place in carriers(tree) if place.node == Read("w")]
    if weight and random.random() < 0.15:
        kept = Number(complement(0.1 * rate(random).value))
        return tree.with_node(weight[0], apply("*", kept, Read("w")))
    place = one_of(random, (place for place in free_places(tree) if place.kind > Kind.SCALAR))
    return tree.with_node(place, apply("*", constant(random), place.node)) if place else None


def _scale(node: Node) -> tuple[Number, Node] | None:
    """The constant factor of a product, and what it is a factor of."""
    return scaled(*node.arguments) if isinstance(node, Apply) and node.operator.name == "*" else None


# Subtrees.


def regrow(tree: Tree, words: Words, random: Random) -> Tree | None:
    """Puts a random expression of the same kind in the place of a subtree; seldom one for each weight on a scalar."""
    place = one_of(random, free_places(tree))
    if place is None:
        return None
    kind = Kind.WEIGHT if place.kind == Kind.SCALAR and random.random() < 0.15 else place.kind
    names = tree.kinds[place.equation]
    return tree.with_node(place, words.expression(random, kind, names, random.randint(1, ROOM)))


def swap_operator(tree: Tree, words: Words, random: Random) -> Tree | None:
    """Puts another operator with as many arguments on the same ones."""
    kept = carriers(tree)
    places = [(place, place.node) for place in tree.places if isinstance(place.node, Apply)]
    places = [pair for pair in places if pair[0] not in kept or random.random() < TURNED]
    if not places:
        return None
    place, node = random.choice(places)
    if place in kept:
        others = {"+": {"-": 1.0}, "-": {"+": 1.0}}.get(node.operator.name, {})
    elif place.condition:
        others = {name: 1.0 for name in COMPARISONS if name != node.operator.name}
    else:
        others = {
            name: weight
            for name, weight in words.weighted((node.operator.arity,)).items()
            if name not in (node.operator.name, "**") and OPERATORS[name].reduces == node.operator.reduces
        }
    if not others:
        return None
    name = chosen(random, others)
    first, *rest = node.arguments
    return tree.with_node(place, apply(name, words.magnitude(first) if name in ROOTS else first, *rest))


def swap_leaf(tree: Tree, words: Words, random: Random) -> Tree | None:
    """Reads another name of the same kind, or draws a constant anew."""
    place = one_of(random, (place for place in free_places(tree) if not isinstance(place.node, Apply)))
    if place is None:
        return None
    if isinstance(place.node, Number):
        return tree.with_node(place, constant(random))
    kinds = tree.kinds[place.equation]
    names = [name for name, kind in kinds.items() if kind == place.kind and Read(name) != place.node]
    return tree.with_node(place, Read(random.choice(names))) if names else None


def wrap(tree: Tree, words: Words, random: Random) -> Tree | None:
    """Applies an operator to a value, with a random other argument where it has one."""
    place = one_of(random, (place for place in free_places(tree) if place.kind == Kind.WEIGHT))
    if place is None:
        return None
    name, names = chosen(random, words.weighted()), tree.kinds[place.equation]
    return tree.with_node(place, words.applied(name, random, names, random.randint(2, ROOM), place.node))


def hoist(tree: Tree, words: Words, random: Random) -> Tree | None:
    """Puts a part of a subtree in the place of the whole: a term, a factor or an operator goes."""
    place = one_of(random, (place for place in free_places(tree) if isinstance(place.node, Apply)))
    if place is None:
        return None
    below = [part for part in tree.places if part.within(place) and not part.condition and part.kind >= place.kind]
    near = [part for part in below if len(part.path) == len(place.path) + 1]
    part = one_of(random, near if near and random.random() < 0.7 else below)
    return tree.with_node(place, part.node) if part else None


# States.


def insert_state(tree: Tree, words: Words, random: Random) -> Tree | None:
    """Puts a new state that follows a value in its place; or, seldom, sets the value beside that of the step before."""
    names = [equation.name for equation in tree.equations]
    place = one_of(
        random,
        (
            place
            for place in free_places(tree)
            if place.kind > Kind.SCALAR and names[place.equation] not in names_read(place.node)
        ),  # within a running average of its own, one more would smooth what is smooth
    )
    if place is None:
        return None
    state = fresh({*names, *tree.kinds[place.equation]})
    old: Node = Read(state)
    if random.random() < 0.9:
        at, new, value = place.equation, words.average(state, place.node, random), old
    else:
        beside = apply(random.choice(("+", "-", "*")), place.node, old)
        at, new, value = place.equation + 1, Equation(state, place.node), beside
    changed = tree.with_node(place, value).equations
    return tree.with_equations((*changed[:at], new, *changed[at:]))


def remove_state(tree: Tree, words: Words, random: Random) -> Tree | None:
    """Drops an equation; what read its name reads what it followed."""
    places = [i for i, equation in enumerate(tree.equations) if equation.name != "w"]
    if not places:
        return None
    at = random.choice(places)
    gone = tree.equations[at]
    followed = {gone.name: _followed(gone)}
    kept = (*tree.equations[:at], *tree.equations[at + 1 :])
    changed = tuple(replace(equation, value=renamed(equation.value, followed)) for equation in kept)
    return Tree(changed, tuple(pair for pair in tree.init if pair[0] != gone.name), tree.first_step)


def _followed(equation: Equation) -> Node:
    """The largest part of an equation's value that reads something, but not its own name; a factor aside."""
    parts = [part for part in walk(equation.value) if not (isinstance(part, Apply) and part.operator.compares)]
    free = [part for part in parts if equation.name not in names_read(part) and names_read(part) - {"t"}]
    largest = max(free, key=size, default=Read("g"))
    scale = _scale(largest)
    return scale[1] if scale else largest


# How often each is tried. Constants decide most of what a good rule scores and structure what it can score at all;
# growing and shrinking balance, so that trees drift to no size.
EDITS: dict[Edit, float] = {
    jitter: 0.30,
    regrow: 0.14,
    wrap: 0.12,
    hoist: 0.12,
    swap_operator: 0.08,
    swap_leaf: 0.07,
    insert_state: 0.08,
    remove_state: 0.04,
    rescale: 0.05,
}
