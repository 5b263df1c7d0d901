"""Structured grammatical evolution: rules as genotypes over a grammar, drawn, mutated and crossed.

Dynamic SGE (Lourenço et al. 2018) with its limit of depth mended, or probabilistic SGE (Mégane, Lourenço and Machado
2022, arXiv 2205.10685).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import accumulate
from random import Random
from typing import Any

from thalweg.evolve.genotype import Codon, Genotype, Limits, inside, mapped, replayed
from thalweg.evolve.grammar import Grammar
from thalweg.evolve.phenotype import rule_from_phenotype
from thalweg.evolve.representation import Refused
from thalweg.evolve.tree_reading import tree_of
from thalweg.evolve.warm_start import choices_for
from thalweg.rules import Rule

FEW = "few"
TRIES = 20  # at a mutation that changes the text, before the child is its parent again

Row = list[Codon]


class GrammaticalEvolution:
    """Genomes are `Genotype`s, all of them mapped: telling their rule draws nothing.

    max_depth, max_size: of a derivation, and no genome exceeds them, wherever it comes from. `init_depth`: beyond it a
    drawn genome takes the shortest productions, so that it ends soon after.
    edits: "few" makes one edit a child or two, and another text; a number is the rate at which each expressed codon is
    drawn anew, 0.15 in the paper; a mapping has the rates of non-terminals by name (facilitated mutation), 0 for those
    that it leaves out.
    jitter: the probability that an edit of a constant, a non-terminal that has nothing but numbers to choose from,
    moves it to one nearby, `reach` places off on average. Only "few" edits do.
    probabilistic: codons are reals that choose through probabilities, which `learn` moves towards what the best genomes
    chose, by `learning_factor`. A genome keeps the productions that it was mapped to; a child is mapped by the
    probabilities of its own time.

    Raises ValueError on limits within which the grammar cannot say anything, and on rates that are none.
    """

    name = "grammar"

    def __init__(
        self,
        grammar: Grammar,
        *,
        max_depth: int = 17,
        init_depth: int = 6,
        max_size: int = 250,
        edits: str | float | Mapping[str, float] = FEW,
        jitter: float = 0.75,
        reach: float = 3.0,
        probabilistic: bool = False,
        learning_factor: float = 0.01,
    ) -> None:
        for name, rate in (("jitter", jitter), ("learning_factor", learning_factor)):
            if not 0 <= rate <= 1:
                raise ValueError(f"{name} must be from 0 to 1, got {rate!r}")
        if not reach >= 1:
            raise ValueError(f"reach must be >= 1, got {reach!r}")
        self.grammar, self.limits, self.init_depth = grammar, Limits(max_depth, max_size), init_depth
        self.limits.check(grammar)
        self.rates = _rates(grammar, edits)
        self.jitter, self.reach, self.learning_factor = jitter, reach, learning_factor
        self.probabilities: list[list[float]] | None = None
        self._cumulative: list[list[float]] | None = None
        if probabilistic:
            self._set([[1 / len(own)] * len(own) for own in grammar.productions])

    def random(self, random: Random) -> Genotype:
        """A genome that was grown: production by production, each as likely as its probability says."""
        return self._mapped([()] * len(self.grammar.productions), random, self.init_depth)

    def mutate(self, genome: Genotype, random: Random) -> Genotype:
        """The genome with a few edits, or with codons drawn anew at the rates that were given."""
        if self.rates is not None:
            return self._mapped(self._redrawn(genome, self.rates, random), random)
        child = genome
        for _ in range(TRIES):
            child = self._mapped(self._edited(genome, random), random)
            if child.text != genome.text:
                break
        return child

    def cross(self, one: Genotype, other: Genotype, random: Random) -> Genotype:
        """Of each non-terminal the codons of one parent or the other, by a fair coin."""
        rows = [a if random.random() < 0.5 else b for a, b in zip(one.codons, other.codons, strict=True)]
        return self._mapped(rows, random)

    def rule(self, genome: Genotype) -> Rule:
        """What the phenotype says. Raises Refused, with the reason, where it says no rule."""
        return rule_from_phenotype(genome.text)

    def genome_of(self, rule: Rule) -> Genotype:
        """The genome that says a known rule, its constants the nearest that the grammar has.

        Raises Refused where no derivation says it, and where it is beyond the limits.
        """
        choices = choices_for(self.grammar, tree_of(rule))
        codons: list[Row] = [list(row) for row in choices]
        if self._cumulative is not None:
            sums = self._cumulative
            codons = [[inside(sums[n], choice, 0.5) for choice in row] for n, row in enumerate(choices)]
        try:
            return replayed(self.grammar, codons, choices, self.limits)
        except ValueError as error:
            raise Refused(f"{error}; trees, the default, can say it") from None

    # Probabilities, and what is kept of them.

    def learn(self, best: Sequence[Genotype]) -> None:
        """Moves the probabilities towards the productions that these genomes took, in as far as they took any."""
        if self.probabilities is None:
            return
        factor = self.learning_factor
        moved = []
        for n, own in enumerate(self.probabilities):
            counts = [0] * len(own)
            for genome in best:
                for choice in genome.choices[n]:
                    counts[choice] += 1
            total = sum(counts)
            if total:
                pairs = zip(own, counts, strict=True)
                own = [min(p + factor * count / total, 1.0) if count else p * (1 - factor) for p, count in pairs]
                own = [p / math.fsum(own) for p in own]
            moved.append(own)
        self._set(moved)

    def state(self) -> dict[str, Any] | None:
        """The probabilities of the productions of each non-terminal; None where they do not count."""
        return None if self.probabilities is None else {"probabilities": [list(own) for own in self.probabilities]}

    def restore(self, state: Any) -> None:
        """Raises ValueError on what `state` does not return for this grammar."""
        if self.probabilities is None:
            if state is not None:
                raise ValueError(
                    f"this grammar's productions have no probabilities, so state must be None, got {state!r:.80}"
                )
            return
        rows = state.get("probabilities") if isinstance(state, Mapping) else None
        if not isinstance(rows, list) or len(rows) != len(self.probabilities):
            raise ValueError(
                f"state must have the probabilities of {len(self.probabilities)} non-terminals, got {state!r:.80}"
            )
        for name, own, row in zip(self.grammar.non_terminals, self.probabilities, rows, strict=True):
            right = isinstance(row, list) and len(row) == len(own) and all(map(_is_number, row))
            if not right or min(row) < 0 or not math.isclose(math.fsum(row), 1, abs_tol=1e-9):
                raise ValueError(f"<{name}> must have {len(own)} probabilities that add up to 1, got {row!r:.80}")
        self._set([[float(p) for p in row] for row in rows])

    def to_json(self, genome: Genotype) -> dict[str, Any]:
        """The codons, and the productions that the expressed ones chose."""
        return {"codons": [list(row) for row in genome.codons], "choices": [list(row) for row in genome.choices]}

    def from_json(self, data: Any) -> Genotype:
        """Raises ValueError on what `to_json` does not return, and on a genome beyond the limits."""
        count = len(self.grammar.productions)
        parts = data if isinstance(data, Mapping) else {}
        all_codons, all_choices = parts.get("codons", ()), parts.get("choices", ())
        if not all(isinstance(rows, list) and len(rows) == count for rows in (all_codons, all_choices)):
            raise ValueError(f"a genome must have codons and choices of {count} non-terminals, got {data!r:.80}")
        named = zip(self.grammar.non_terminals, self.grammar.productions, all_codons, all_choices, strict=True)
        for name, own, codons, choices in named:
            if not isinstance(codons, list) or not isinstance(choices, list):
                raise ValueError(f"<{name}> must have lists of codons and choices, got {codons!r:.40}, {choices!r:.40}")
            whole = all(type(choice) is int for choice in choices)
            if not whole or len(choices) > len(codons) or len(codons) > self.limits.size:
                raise ValueError(
                    f"<{name}> has up to {self.limits.size} codons, and whole choices for the first of them"
                )
            real = self.probabilities is not None
            if real and not all(type(codon) is float and 0 <= codon < 1 for codon in codons):
                raise ValueError(f"the codons of <{name}> must be from 0 to below 1, got {codons!r:.80}")
            if not real and not all(type(codon) is int and 0 <= codon < len(own) for codon in codons):
                raise ValueError(f"the codons of <{name}> must be from 0 to {len(own) - 1}, got {codons!r:.80}")
            if not real and choices != codons[: len(choices)]:
                raise ValueError(f"the choices of <{name}> must be its first codons, got {choices!r:.80}")
        return replayed(self.grammar, all_codons, all_choices, self.limits)

    # Codons.

    def _mapped(self, rows: Sequence[Sequence[Codon]], random: Random, free_depth: int | None = None) -> Genotype:
        return mapped(self.grammar, rows, random, self.limits, free_depth=free_depth, cumulative=self._cumulative)

    def _edited(self, genome: Genotype, random: Random) -> list[Row]:
        """The codons with an edit or two of expressed ones."""
        rows = [list(row) for row in genome.codons]
        places = [
            (n, j)
            for n, choices in enumerate(genome.choices)
            if len(self.grammar.productions[n]) > 1
            for j in range(len(choices))
        ]
        for n, j in random.sample(places, min(random.randint(1, 2), len(places))):
            order, choice = self.grammar.numbers[n], genome.choices[n][j]
            if order is not None and random.random() < self.jitter:
                rows[n][j] = self._codon(n, self._nearby(order, choice, random), random)
            else:
                rows[n][j] = self._other(n, choice, random)
        return rows

    def _redrawn(self, genome: Genotype, rates: Sequence[float], random: Random) -> list[Row]:
        """The codons, each expressed one drawn anew at the rate of its non-terminal."""
        rows = [list(row) for row in genome.codons]
        for n, (rate, choices) in enumerate(zip(rates, genome.choices, strict=True)):
            if rate and len(self.grammar.productions[n]) > 1:
                for j, choice in enumerate(choices):
                    if random.random() < rate:
                        rows[n][j] = self._other(n, choice, random)
        return rows

    def _nearby(self, order: Sequence[int], choice: int, random: Random) -> int:
        """Another number's production, near this one's in order of size; steps off the end come back."""
        place = order.index(choice)
        steps = 1
        while random.random() < 1 - 1 / self.reach and steps < len(order) - 1:
            steps += 1
        up = random.random() < 0.5
        if not 0 <= place + (steps if up else -steps) < len(order):
            up = not up
        return order[max(0, min(place + (steps if up else -steps), len(order) - 1))]

    def _other(self, n: int, choice: int, random: Random) -> Codon:
        """A codon that chooses another production; of a real one, as the probabilities have it."""
        count = len(self.grammar.productions[n])
        if self._cumulative is None:
            return (choice + random.randint(1, count - 1)) % count
        sums = self._cumulative[n]
        start, end = sums[choice - 1] if choice else 0.0, sums[choice]
        codon = random.random() * (1 - (end - start))
        codon = codon if codon < start else codon + (end - start)
        return min(codon, 1 - 2**-53)

    def _codon(self, n: int, choice: int, random: Random) -> Codon:
        return choice if self._cumulative is None else inside(self._cumulative[n], choice, random.random())

    def _set(self, probabilities: list[list[float]]) -> None:
        self.probabilities = probabilities
        self._cumulative = [list(accumulate(own)) for own in probabilities]


def _rates(grammar: Grammar, edits: str | float | Mapping[str, float]) -> list[float] | None:
    """The rate of each non-terminal; None for few edits."""
    if edits == FEW:
        return None
    if isinstance(edits, Mapping):
        rates = [0.0] * len(grammar.productions)
        for name, rate in edits.items():
            rates[grammar.index(name)] = rate
    else:
        rates = [edits] * len(grammar.productions)  # type: ignore[list-item]
    for rate in rates:
        if not _is_number(rate) or not 0 <= rate <= 1:
            raise ValueError(
                f"edits must be {FEW!r}, a rate from 0 to 1, or such rates by non-terminal, got {edits!r:.80}"
            )
    return rates


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
