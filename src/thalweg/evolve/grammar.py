"""Context-free grammars in Backus-Naur form, as AutoLR and SGE write them: what a genotype chooses from.

A rule a line, `<name> ::= one | other | ...`; a line without `::=` continues the rule before it; `#` begins a line of
comment. The first rule is the axiom. Spaces inside a production are kept, those around it are not. `\\eb`, an escape of
SGE's, stands for a bar that separates nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from pathlib import Path

MOST_LETTERS, MOST_IN_A_LINE = 1_000_000, 100_000
MOST_RULES = MOST_PRODUCTIONS = 2000

SHIPPED = ("paper", "rich")

Symbol = str | int  # the text of a terminal, or the index of a non-terminal
Production = tuple[Symbol, ...]

_NON_TERMINAL = re.compile(r"<([A-Za-z_][\w.-]*(?: [\w.-]+)*)>")
_RULE = re.compile(rf"\s*{_NON_TERMINAL.pattern}\s*::=(.*)", re.DOTALL)
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")


@dataclass(frozen=True)
class Grammar:
    """The non-terminals in the order of the file, the axiom first, and the productions of each.

    The height of a symbol is that of the lowest derivation it has: 0 for a terminal. `shortest` has the productions
    that attain it, which is what a derivation takes beyond its limit of depth: they always lead out, directly recursive
    or not.
    """

    non_terminals: tuple[str, ...]
    productions: tuple[tuple[Production, ...], ...]

    @cached_property
    def production_heights(self) -> tuple[tuple[int, ...], ...]:
        """The height of a derivation that begins with each production and goes on as low as can be."""
        return tuple(
            tuple(1 + max((self.heights[s] for s in production if isinstance(s, int)), default=0) for production in own)
            for own in self.productions
        )

    @cached_property
    def heights(self) -> tuple[int, ...]:
        """The height of each non-terminal: the least fixed point, for `read_grammar` lets no endless ones through."""
        return tuple(_heights(self.productions))

    @cached_property
    def shortest(self) -> tuple[tuple[int, ...], ...]:
        """The productions of each non-terminal that attain its height."""
        return tuple(
            tuple(k for k, height in enumerate(own) if height == least)
            for own, least in zip(self.production_heights, self.heights, strict=True)
        )

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """The expansions in the smallest derivation of each non-terminal among those of least height."""
        sizes = [0] * len(self.productions)
        for n in sorted(range(len(sizes)), key=self.heights.__getitem__):
            sizes[n] = min(_size(self.productions[n][k], sizes) for k in self.shortest[n])
        return tuple(sizes)

    @cached_property
    def production_sizes(self) -> tuple[tuple[int, ...], ...]:
        """The same of a derivation that begins with each production."""
        return tuple(tuple(_size(production, self.sizes) for production in own) for own in self.productions)

    @cached_property
    def numbers(self) -> tuple[tuple[int, ...] | None, ...]:
        """Of each non-terminal all of whose productions are numbers, these from the smallest; None of any other."""
        return tuple(_in_order(own) for own in self.productions)

    def index(self, name: str) -> int:
        """The index of a non-terminal, with or without its angle brackets. Raises ValueError where there is none."""
        bare = name.removeprefix("<").removesuffix(">")
        if bare not in self.non_terminals:
            raise ValueError(f"the grammar has no non-terminal {name!r}; it has {', '.join(self.non_terminals)}")
        return self.non_terminals.index(bare)


def read_grammar(text: str, title: str = "grammar") -> Grammar:
    """The grammar that a text in Backus-Naur form says.

    Raises ValueError, with `title` and line, where the text is none: too large, a non-terminal that is used but not
    defined, defined twice or without end, an empty alternative.
    """
    if len(text) > MOST_LETTERS:
        raise ValueError(f"{title}: {len(text)} letters; a grammar has at most {MOST_LETTERS}: shorten it")
    if "\0" in text:
        raise ValueError(f"{title}: it holds a zero byte; a grammar is plain text, `<name> ::= one | other`")
    rules = _rules(text, title)
    names = {name: n for n, name in enumerate(rules)}
    productions = tuple(_productions(right, names, f"{title}, line {line}") for line, right in rules.values())
    count = sum(map(len, productions))
    if count > MOST_PRODUCTIONS:
        raise ValueError(f"{title}: {count} productions; a grammar has at most {MOST_PRODUCTIONS}: leave some out")
    for height, (name, (line, _)) in zip(_heights(productions), rules.items(), strict=True):
        if not height:
            raise ValueError(
                f"{title}, line {line}: <{name}> never ends: each of its alternatives leads back to a non-terminal "
                "that never ends; give one an alternative that does"
            )
    return Grammar(tuple(rules), productions)


def grammar_named(name_or_path: str | Path) -> Grammar:
    """A grammar that is shipped ("paper", "rich"), or one of a file.

    Raises ValueError where there is no such file, where it is no text in UTF-8, or no grammar.
    """
    if name_or_path in SHIPPED:
        text = files("thalweg.evolve").joinpath("grammars", f"{name_or_path}.bnf").read_text(encoding="utf-8")
        return read_grammar(text, f"grammar {name_or_path!r}")
    path = Path(name_or_path)
    title = f"grammar {str(path)!r}"
    allowed = f"give {' or '.join(map(repr, SHIPPED))}, or the path of a file in Backus-Naur form"
    try:
        if not path.is_file():
            raise ValueError(f"{title}: {'that is a folder' if path.is_dir() else 'there is no such file'}; {allowed}")
        size = path.stat().st_size
        if size > MOST_LETTERS:
            raise ValueError(f"{title}: {size} bytes; a grammar has at most {MOST_LETTERS}: shorten it")
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{title}: byte {error.start} is not UTF-8; save it as plain text in UTF-8") from None
    except OSError as error:
        raise ValueError(f"{title}: it cannot be read ({error.strerror}); {allowed}") from None
    return read_grammar(text, title)


def _rules(text: str, title: str) -> dict[str, tuple[int, str]]:
    """By name, the line on which each rule begins and its right side, lines that continue it joined."""
    rules: dict[str, tuple[int, list[str]]] = {}
    right: list[str] | None = None
    for number, line in enumerate(text.split("\n"), start=1):
        where = f"{title}, line {number}"
        if len(line) > MOST_IN_A_LINE:
            raise ValueError(f"{where}: {len(line)} letters; a line has at most {MOST_IN_A_LINE}: break it up")
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        match = _RULE.fullmatch(line)
        if match is None and "::=" in line:
            raise ValueError(f"{where}: {line[:40]!r} is no rule; a rule is `<name> ::= one | other`")
        if match is None:
            if right is None:
                raise ValueError(f"{where}: {line[:40]!r} before the first rule; a rule is `<name> ::= one | other`")
            right.append(line)
            continue
        name = match[1]
        if name in rules:
            raise ValueError(
                f"{where}: <{name}> was defined on line {rules[name][0]} already; put all alternatives in one rule"
            )
        right = [match[2]]
        rules[name] = (number, right)
    if not rules:
        raise ValueError(f"{title}: it has no rules; a rule is `<name> ::= one | other`")
    if len(rules) > MOST_RULES:
        raise ValueError(f"{title}: {len(rules)} non-terminals; a grammar has at most {MOST_RULES}: leave some out")
    return {name: (line, " ".join(parts)) for name, (line, parts) in rules.items()}


def _productions(right: str, names: dict[str, int], where: str) -> tuple[Production, ...]:
    productions = []
    for alternative in right.split("|"):
        alternative = alternative.strip()
        if not alternative:
            raise ValueError(f"{where}: an empty alternative; write something between the bars, or take one away")
        symbols: list[Symbol] = []
        for place, part in enumerate(_NON_TERMINAL.split(alternative)):  # terminals and non-terminals take turns
            if place % 2 == 0 and part:
                symbols.append(part.replace("\\eb", "|"))
            elif place % 2 == 1:
                if part not in names:
                    raise ValueError(f"{where}: <{part}> is not defined; give it a rule `<{part}> ::= ...`")
                symbols.append(names[part])
        productions.append(tuple(symbols))
    return tuple(productions)


def _heights(productions: Sequence[Sequence[Production]]) -> list[int]:
    """The height of each non-terminal, 0 where it has no derivation that ends.

    Found level by level: a production is ready once its last non-terminal has its height, and the first production
    of a non-terminal to be ready is a lowest one.
    """
    heights = [0] * len(productions)
    used_by: list[list[tuple[int, int]]] = [[] for _ in productions]
    missing: dict[tuple[int, int], int] = {}
    ready: list[int] = []
    for n, own in enumerate(productions):
        for k, production in enumerate(own):
            parts = {symbol for symbol in production if isinstance(symbol, int)}
            missing[n, k] = len(parts)
            for part in sorted(parts):
                used_by[part].append((n, k))
            if not parts:
                ready.append(n)
    level = 1
    while ready:
        new = [n for n in dict.fromkeys(ready) if not heights[n]]
        ready = []
        for n in new:
            heights[n] = level
            for owner in used_by[n]:
                missing[owner] -= 1
                if not missing[owner]:
                    ready.append(owner[0])
        level += 1
    return heights


def _size(production: Production, sizes: Sequence[int]) -> int:
    return 1 + sum(sizes[symbol] for symbol in production if isinstance(symbol, int))


def _in_order(own: Sequence[Production]) -> tuple[int, ...] | None:
    texts = [production[0] if len(production) == 1 else "" for production in own]
    if len(own) < 2 or not all(isinstance(text, str) and _NUMBER.fullmatch(text) for text in texts):
        return None
    return tuple(sorted(range(len(own)), key=lambda k: float(texts[k])))
