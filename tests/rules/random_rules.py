"""Random programs in the rule language, right in form, each decoded from the bytes that hypothesis draws."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

UNARY = ("abs", "sign", "sqrt", "square", "exp", "log", "tanh")
BINARY = ("minimum", "maximum", "safe_div")
REDUCTIONS = ("max_abs", "norm", "mean")
COMPARISONS = ("<", "<=", ">", ">=", "==", "!=")
NUMBERS = ("0", "1", "2", "0.5", "3.0", "0.9", "1e-8", "1e38", "1e999")

Lines = list[tuple[str, str]]


class Genome:
    """Bytes read one after another as choices; when they run out, every choice is the first."""

    def __init__(self, codons: bytes) -> None:
        self.codons = list(reversed(codons))

    def below(self, count: int) -> int:
        return self.codons.pop() % count if self.codons else 0

    def pick(self, options: Sequence[str]) -> str:
        return options[self.below(len(options))]

    def expression(self, names: Sequence[str], numbers: Sequence[str] = NUMBERS, depth: int = 3) -> str:
        """An expression of the names and numbers, bracketed throughout."""

        def inner() -> str:
            return self.expression(names, numbers, depth - 1)

        choice = self.below(12) if depth > 0 else self.below(3)
        if choice < 2:
            return self.pick(names)
        if choice == 2:
            return self.pick(numbers)
        if choice < 7:
            return f"({inner()} {self.pick('+*-/')} {inner()})"
        if choice == 7:
            return f"({inner()})**{self.pick(('2', '3', '0.5', '(-1)'))}"
        if choice == 8:
            return f"(-{inner()})"
        if choice == 9:
            return f"{self.pick(UNARY)}({inner()})"
        if choice == 10:
            return f"{self.pick(BINARY)}({inner()}, {inner()})"
        return f"where({inner()} {self.pick(COMPARISONS)} {inner()}, {inner()}, {inner()})"

    def program(self, numbers: Sequence[str] = NUMBERS, reductions: bool = True) -> Lines:
        """The equations (name, expression) of a rule with up to two states, which reads no hyperparameters."""
        states = ("m", "v")[: self.below(3)]
        names = ["w", "g", "t", *states]
        lines = []
        if self.below(2):
            lines.append(("z", self.expression(names, numbers)))
            names.append("z")
        if reductions and self.below(3) == 2:
            lines.append(("r", f"{self.pick(REDUCTIONS)}(g + {self.expression(names, numbers)})"))
            names.append("r")
        for state in states:
            lines.append((state, f"0.9*{state} + {self.expression(names, numbers)}"))
        return [*lines, ("w", f"w - 0.1*{self.expression(names, numbers)}")]


GENOMES = st.binary(min_size=64, max_size=64).map(Genome)
PROGRAMS = GENOMES.map(Genome.program)


def as_text(lines: Lines) -> str:
    return "\n".join(f"{name} = {value}" for name, value in lines)
