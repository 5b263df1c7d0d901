"""What the verdicts on a paper come to: how many of each word, and whether its comparisons hold."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

from thalweg.reproduce.claims import Claim
from thalweg.reproduce.paper import Paper
from thalweg.reproduce.records import Records
from thalweg.reproduce.verdicts import direction, partner_of

ALL = "all"


@dataclass(frozen=True)
class Comparisons:
    """Of claims that set a column beside another one: `claimed` of them say that the two differ. `protocol` and `fair`
    count how our differences are to those claimed: SAME, OPPOSITE, UNCLEAR, or "" where there is none."""

    table: str
    quantity: str
    column: str
    partner: str
    claimed: int
    protocol: Mapping[str, int]
    fair: Mapping[str, int]


def tables_of(paper: Paper, records: Records) -> list[str]:
    """Its tables, and those measured without a claim: the paper's own, the supplement's, then what stands in its
    text."""
    names = [claim.table for claim in paper.claims] + [one.table for one in records.measured]
    return sorted(dict.fromkeys(names), key=lambda name: 2 if name == "text" else int(name.startswith("S")))


def title_of(table: str) -> str:
    """A table's name in full."""
    if table == "text":
        return "In the text"
    if re.fullmatch(r"S\d+", table):
        return f"Supplementary table {table[1:]}"
    return f"Table {table}" if re.fullmatch(r"[IVXLC]+|\d+[a-z]?", table) else table


def figure_title(figure: str) -> str:
    """A figure's name in full."""
    return f"Figure {figure}" if figure[:1].isdigit() else figure


def counts(paper: Paper, records: Records) -> dict[str, Counter[str]]:
    """How many claims of each table have each word, and of `ALL`; what claims no result is not counted."""
    found: dict[str, Counter[str]] = {}
    words = paper.verdicts(records)
    for table in tables_of(paper, records):
        claims = [claim for claim in paper.claims if claim.table == table and claim.is_result]
        if claims:
            found[table] = Counter(words[claim.cell].word for claim in claims)
    return {**found, ALL: sum(found.values(), Counter())}


def comparisons(paper: Paper, records: Records) -> list[Comparisons]:
    """Each comparison that the paper's tables make between a column and its partner, once."""
    by_cell = {claim.cell: claim for claim in paper.claims}
    groups: dict[tuple[str, str, str, str], list[tuple[Claim, Claim]]] = {}
    for table in tables_of(paper, records):
        for claim in paper.claims:
            other = by_cell.get(partner_of(claim.cell, paper.partners))
            differ = other is not None and claim.is_result and other.is_result and claim.value != other.value
            if claim.table != table or other is None or not differ:
                continue
            if (table, claim.quantity, other.column, claim.column) not in groups:
                groups.setdefault((table, claim.quantity, claim.column, other.column), []).append((claim, other))
    return [
        Comparisons(*key, len(pairs), _held(pairs, records, "protocol"), _held(pairs, records, "fair"))
        for key, pairs in groups.items()
    ]


def own_comparisons(paper: Paper, records: Records) -> list[Comparisons]:
    """Those of the pair that its `partners` name first, its own method's: each quantity once, over all tables."""
    own = set(next(iter(paper.partners.items()), ()))
    found: dict[str, Comparisons] = {}
    for one in comparisons(paper, records):
        if {one.column, one.partner} == own:
            first = found.get(one.quantity, replace(one, table=ALL, claimed=0, protocol={}, fair={}))
            found[one.quantity] = replace(
                first,
                claimed=first.claimed + one.claimed,
                protocol=Counter(first.protocol) + Counter(one.protocol),
                fair=Counter(first.fair) + Counter(one.fair),
            )
    return list(found.values())


def _held(pairs: list[tuple[Claim, Claim]], records: Records, protocol: str) -> Counter[str]:
    found: Counter[str] = Counter()
    for claim, other in pairs:
        ours, theirs = records.of(claim.cell), records.of(other.cell)
        numbers = [getattr(one, protocol) if one else () for one in (ours, theirs)]
        found[direction(claim, numbers[0], other, numbers[1])] += 1
    return found
