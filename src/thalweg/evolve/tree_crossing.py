"""Crossing of trees: a subtree of one is put into the other, and brings the states that it reads."""

from __future__ import annotations

from random import Random

from thalweg.evolve.tree_edits import free_places, one_of
from thalweg.evolve.tree_form import GIVEN, Place, Tree, renamed
from thalweg.evolve.tree_words import fresh
from thalweg.rules.program import Apply, Equation, Node, Number, Read, names_read


def crossed(one: Tree, other: Tree, random: Random) -> Tree | None:
    """`one` with a subtree of `other`, of the same kind as what stood there. None where they have no kind in common.

    The equations that the subtree follows from come along, under other names where theirs are taken; a state that
    `one` has as well, updated alike from the gradient, is not brought again.
    """
    place = one_of(random, free_places(one))
    if place is None:
        return None
    taken = one_of(random, (there for there in free_places(other) if there.kind == place.kind))
    if taken is None:
        return None
    names = _names(one, other, taken)
    reading: dict[str, Node] = {old: Read(new) for old, new in names.items()}

    def brought(equations: tuple[Equation, ...]) -> list[Equation]:
        return [Equation(names[e.name], renamed(e.value, reading)) for e in equations if e.name in names]

    changed, at = one.with_node(place, renamed(taken.node, reading)).equations, place.equation
    equations = (
        *changed[:at],
        *brought(other.equations[: taken.equation]),  # what the subtree reads as it is after its equation
        changed[at],
        *brought(other.equations[taken.equation :]),  # and as it was before
        *changed[at + 1 :],
    )
    init = tuple((names[name], node) for name, node in other.init if name in names)
    return Tree(equations, (*one.init, *init), one.first_step)


def _names(one: Tree, other: Tree, taken: Place) -> dict[str, str]:
    """The equations of `other` that the subtree brings along, each with its name in `one`."""
    theirs = {equation.name: equation for equation in other.equations if equation.name != "w"}
    needed, waiting = set[str](), [taken.node]
    while waiting:
        new = (names_read(waiting.pop()) & theirs.keys()) - needed
        needed |= new
        waiting += [theirs[name].value for name in sorted(new)]

    mine = {equation.name: equation for equation in one.equations}
    begun, my_begun = dict(other.init), dict(one.init)
    names: dict[str, str] = {}
    used = {*GIVEN, *mine}
    for equation in other.equations:
        name = equation.name
        alike = mine.get(name) == equation and my_begun.get(name) == begun.get(name)
        if name in needed and not (alike and names_read(equation.value) <= {name, "g", "t"}):
            names[name] = fresh(used) if name in used else name
            used.add(names[name])
    return names


def mixed_constants(one: Tree, other: Tree, random: Random) -> Tree | None:
    """`one` with some of the constants of `other`. None where they differ in more than constants."""
    if _skeleton(one) != _skeleton(other):
        return None
    mixed = one
    for mine, theirs in zip(one.places, other.places, strict=True):
        if isinstance(theirs.node, Number) and random.random() < 0.5:
            mixed = mixed.with_node(mine, theirs.node)
    return mixed


def _skeleton(tree: Tree) -> list[tuple[str, str]]:
    """A tree but for its numbers: for each place its equation, and the operator or the name there."""
    said = []
    for place in tree.places:
        node = place.node
        word = node.operator.name if isinstance(node, Apply) else node.name if isinstance(node, Read) else ""
        said.append((tree.equations[place.equation].name, word))
    return said
