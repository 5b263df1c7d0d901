"""The genotype of structured grammatical evolution, and its mapping to a text (Lourenço et al., 2016 and 2018).

A genotype has a list of codons for each non-terminal: codon j of it says by which production the non-terminal is
expanded the j-th time that it is met, from the left, depth first. A codon is the number of a production, or, in the
probabilistic variant (Mégane, Lourenço and Machado 2022), a real in [0, 1) that chooses one through the grammar's
probabilities. Nothing is taken modulo and nothing wraps around: where codons run out, new ones are drawn and written
into the genotype.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from thalweg.evolve.grammar import Grammar

Codon = int | float
Cumulative = Sequence[Sequence[float]]  # for each non-terminal, the running sums of its productions' probabilities


@dataclass(frozen=True)
class Limits:
    """What no derivation exceeds: its depth (the axiom is at 0, terminals count) and its size (expansions).

    Raises ValueError where the grammar cannot say anything within them.
    """

    depth: int
    size: int

    def check(self, grammar: Grammar) -> None:
        if self.depth < grammar.heights[0] or self.size < grammar.sizes[0]:
            raise ValueError(
                f"max_depth must be >= {grammar.heights[0]} and max_size >= {grammar.sizes[0]}, or the grammar cannot "
                f"say anything; got {self.depth} and {self.size}"
            )


@dataclass(frozen=True)
class Genotype:
    """Codons for each non-terminal, and what they were mapped to: for each the productions taken, the text, the depth.

    Only the first `used` codons of a non-terminal are expressed; those behind them wait for a longer derivation.
    """

    codons: tuple[tuple[Codon, ...], ...]
    choices: tuple[tuple[int, ...], ...]
    text: str
    depth: int

    @property
    def used(self) -> tuple[int, ...]:
        """How many codons of each non-terminal are expressed."""
        return tuple(map(len, self.choices))

    @property
    def size(self) -> int:
        """How many expansions the derivation has, which is how many codons are expressed."""
        return sum(map(len, self.choices))


def mapped(
    grammar: Grammar,
    codons: Sequence[Sequence[Codon]],
    random: Random,
    limits: Limits,
    *,
    free_depth: int | None = None,
    cumulative: Cumulative | None = None,
) -> Genotype:
    """Maps codons to a derivation within the limits, writing into the genotype what it lacked or could not say.

    A missing codon is drawn from all productions, and beyond `free_depth` (from 0; None: never) from the shortest ones.
    A production that would lead beyond a limit is replaced by one of the shortest that does not: there always is
    one. So the limits hold exactly, where SGE's hold for new codons alone and for direct recursion alone.
    `cumulative` makes the codons reals.
    """
    drawn = random.random
    productions, own_heights, own_sizes = grammar.productions, grammar.production_heights, grammar.production_sizes
    least_sizes, shortest = grammar.sizes, grammar.shortest
    free_depth = limits.depth if free_depth is None else free_depth
    rows = [list(row) for row in codons]
    choices: list[list[int]] = [[] for _ in rows]
    text: list[str] = []
    room = limits.size - least_sizes[0]  # expansions left, once all that waits has been expanded as short as can be
    deepest = 0
    waiting: list[str | tuple[int, int]] = [(0, 0)]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            text.append(item)
            continue
        n, depth = item
        row, taken = rows[n], choices[n]
        heights, sizes = own_heights[n], own_sizes[n]
        most, allowance = limits.depth - depth, room + least_sizes[n]
        known = len(taken) < len(row)
        if known:
            codon = row[len(taken)]
            choice = _chosen(cumulative[n], codon) if cumulative is not None else int(codon)
        elif depth > free_depth:
            choice = -1
        elif cumulative is not None:
            codon = drawn()
            choice = _chosen(cumulative[n], codon)
        else:
            codon = choice = int(drawn() * len(heights))
        if choice < 0 or heights[choice] > most or sizes[choice] > allowance:
            possible = [k for k in shortest[n] if sizes[k] <= allowance]
            codon = choice = possible[int(drawn() * len(possible))]
            if cumulative is not None:
                codon = inside(cumulative[n], choice, drawn())
            if known:
                row[len(taken)] = codon
        if not known:
            row.append(codon)
        taken.append(choice)
        room = allowance - sizes[choice]
        depth += 1
        deepest = max(deepest, depth)
        for symbol in reversed(productions[n][choice]):
            waiting.append(symbol if isinstance(symbol, str) else (symbol, depth))
    return Genotype(tuple(map(tuple, rows)), tuple(map(tuple, choices)), "".join(text), deepest)


def replayed(
    grammar: Grammar, codons: Sequence[Sequence[Codon]], choices: Sequence[Sequence[int]], limits: Limits
) -> Genotype:
    """The genotype of codons that were mapped before, to these choices: nothing is drawn.

    Raises ValueError where the choices are no derivation within the limits, or are not as many as it needs.
    """
    next_choice = [iter(row) for row in choices]
    text, size, deepest = [], 0, 0
    waiting: list[str | tuple[int, int]] = [(0, 0)]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            text.append(item)
            continue
        n, depth = item
        choice = next(next_choice[n], None)
        name = grammar.non_terminals[n]
        if choice is None:
            raise ValueError(f"too few codons for <{name}>")
        if not 0 <= choice < len(grammar.productions[n]):
            raise ValueError(f"<{name}> has {len(grammar.productions[n])} productions, numbered from 0, got {choice}")
        size, depth = size + 1, depth + 1
        deepest = max(deepest, depth)
        if deepest > limits.depth or size > limits.size:
            raise ValueError(f"deeper than {limits.depth} or more than {limits.size} expansions")
        for symbol in reversed(grammar.productions[n][choice]):
            waiting.append(symbol if isinstance(symbol, str) else (symbol, depth))
    for name, left in zip(grammar.non_terminals, next_choice, strict=True):
        if next(left, None) is not None:
            raise ValueError(f"more codons of <{name}> are said to be used than the derivation has")
    return Genotype(tuple(map(tuple, codons)), tuple(map(tuple, choices)), "".join(text), deepest)


def _chosen(sums: Sequence[float], codon: Codon) -> int:
    """The production in whose share of [0, 1) the codon lies."""
    return min(bisect_right(sums, codon), len(sums) - 1)


def inside(sums: Sequence[float], choice: int, place: float) -> float:
    """A codon that chooses this production, at a place in [0, 1) of its share."""
    start = sums[choice - 1] if choice else 0.0
    return min(start + place * (sums[choice] - start), 1 - 2**-53)
