"""Trees: rules as genomes that are typed expressions over the operator table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from thalweg.evolve.representation import Refused
from thalweg.evolve.tree_crossing import crossed, mixed_constants
from thalweg.evolve.tree_edits import EDITS, jitter
from thalweg.evolve.tree_form import Tree, gradient_reaches, sound, tidy
from thalweg.evolve.tree_reading import tree_of
from thalweg.evolve.tree_words import MEANINGFUL, Words, chosen
from thalweg.rules import Rule

DRAWN = 9  # nodes of a drawn step at most, its factor aside
TRIES = 40  # at an edit before the genome stays as it is, at a drawn tree before it has a state less
SECOND = 0.25  # of the mutated genomes have two edits
MOST_EQUATIONS, MOST_LETTERS = 60, 500  # of a genome in a file, and of one of its texts


@dataclass(frozen=True)
class Trees:
    """Genomes are `Tree`s: small when drawn, changed by one edit or two, crossed by subtrees of one kind.

    `max_size`: operators, numbers and names of a genome; `max_depth`: how deep an expression nests. A genome that is
    larger, as a known rule may be, may shrink or stay as large as it is, and so may what comes of it; nothing else
    outgrows the limits. `max_states` likewise. `operators`: those of new parts, `+ - *` among them; a known rule keeps
    what it has. `constants_only`: nothing but constants is varied, which makes a search for hyperparameters of it.
    Raises ValueError on limits that no rule fits in and on operators that are none.
    """

    max_size: int = 40
    max_depth: int = 10
    max_states: int = 3
    operators: tuple[str, ...] = MEANINGFUL
    constants_only: bool = False
    words: Words = field(init=False, repr=False, compare=False)

    name = "tree"

    def __post_init__(self) -> None:
        for name, least in (("max_size", 5), ("max_depth", 3), ("max_states", 0)):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise ValueError(f"{name} must be a whole number >= {least}, got {value!r}")
        object.__setattr__(self, "words", Words(tuple(self.operators)))

    def random(self, random: Random) -> Tree:
        """A rule of up to two states, `w = w - c*E` with E a random expression that the gradient is in."""
        states = min(random.choices((0, 1, 2), (0.35, 0.4, 0.25))[0], self.max_states)
        attempt = 0
        while True:
            attempt += 1
            tree = self.words.tree(
                random, states, min(random.randint(max(2 * states - 1, 1), DRAWN), self.max_size - 4)
            )
            if len(tree.states) == states and self._admits(tree):  # none of them dead
                return tree
            if attempt % TRIES == 0:  # they do not fit in
                states = max(states - 1, 0)

    def mutate(self, genome: Tree, random: Random) -> Tree:
        """The genome with an edit or two, and another text; the genome itself where no edit was found."""
        edits = 1 if random.random() >= SECOND else 2
        for _ in range(TRIES):
            child: Tree | None = genome
            for _ in range(edits):
                edit = jitter if self.constants_only else chosen(random, EDITS)
                child = child and edit(child, self.words, random)
            if child := child and self._kept(child, genome):
                return child
        return genome

    def cross(self, one: Tree, other: Tree, random: Random) -> Tree:
        """`one` with a subtree of `other`, which brings its states; a mutated `one` where they do not fit together."""
        for _ in range(TRIES):
            child = mixed_constants(one, other, random) if self.constants_only else crossed(one, other, random)
            if child := child and self._kept(child, one):
                return child
        return self.mutate(one, random)

    def _kept(self, child: Tree, parent: Tree) -> Tree | None:
        """The child, tidied, where it is a rule within the limits and not its parent again."""
        child = child if self.constants_only else tidy(child)
        return child if child.whole != parent.whole and self._admits(child, parent) else None

    def _admits(self, tree: Tree, parent: Tree | None = None) -> bool:
        """Whether a tree is a rule that learns from the gradient, within the limits or its parent's own size."""
        return (
            tree.size <= max(self.max_size, parent.size if parent else 0)
            and tree.depth <= max(self.max_depth, parent.depth if parent else 0)
            and len(tree.states) <= max(self.max_states, len(parent.states) if parent else 0)
            and gradient_reaches(tree)
            and sound(tree)
        )

    def rule(self, genome: Tree) -> Rule:
        """The genome's equations as a rule, `evolved`. Raises Refused where they are too long to be one."""
        try:
            return genome.rule()
        except ValueError as error:
            raise Refused(str(error)) from error

    def genome_of(self, rule: Rule) -> Tree:
        """The rule with its hyperparameters, decay included, put in as constants at their defaults.

        It does what the rule does to rounding; constants that follow from constants are worked out, so that 1 - beta2
        is one number. Initial values are kept, random ones too. Raises Refused where the text would become too long.
        """
        tree = tree_of(rule)
        self.rule(tree)
        return tree

    def learn(self, best: Sequence[Tree]) -> None:
        """Trees have nothing to learn."""

    def state(self) -> None:
        """Nothing is learnt."""
        return

    def restore(self, state: Any) -> None:
        if state is not None:
            raise ValueError(f"trees learn nothing, so their state must be None, got {state!r:.80}")

    def to_json(self, genome: Tree) -> dict[str, Any]:
        """The text of each equation, and of each initial value that is not 0."""
        rule_text, init, first_step = genome.whole
        return {"equations": rule_text.split("\n"), "init": dict(init), "first_step": first_step}

    def from_json(self, data: Any) -> Tree:
        """Raises ValueError on anything that `to_json` does not return."""
        if not isinstance(data, Mapping) or data.keys() != {"equations", "init", "first_step"}:
            raise ValueError(f"a tree must be an object of equations, init and first_step, got {data!r:.80}")
        equations, init = data["equations"], data["init"]
        if not isinstance(equations, list) or not isinstance(init, Mapping):
            raise ValueError(f"equations must be a list and init an object, got {data!r:.80}")
        texts = [*equations, *init, *init.values()]
        if len(texts) > MOST_EQUATIONS or not all(isinstance(t, str) and len(t) <= MOST_LETTERS for t in texts):
            raise ValueError(f"a tree must be up to {MOST_EQUATIONS} texts of up to {MOST_LETTERS} letters each")
        if type(data["first_step"]) is not int:
            raise ValueError(f"first_step must be 0 or 1, got {data['first_step']!r:.80}")
        return tree_of(Rule("evolved", "\n".join(equations), init=dict(init), first_step=data["first_step"]))
