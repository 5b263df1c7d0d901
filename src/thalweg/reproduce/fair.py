"""What a fair race says of the methods of a reproduction: verdicts made from the scores in the records alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from thalweg.names import shown
from thalweg.race import notation
from thalweg.race.report.table import BAD, GOOD, SOFT, Cell, Table
from thalweg.race.statistics import Comparison, against, default_margin
from thalweg.race.summary import VERDICTS
from thalweg.reproduce.records import Records

MARKS = {"better": GOOD, "worse": BAD, "undecided": SOFT}


def compared(
    records: Records, table: str, row: str, quantity: str, baseline: str, *, percent: bool = True
) -> dict[str, Comparison]:
    """Each method of a row against the baseline, by the fair protocol: one family for Holm; nothing where it has no
    scores. The margin is the race's: half a point or half the baseline's standard deviation, the larger."""
    scores = {
        one.column: one.fair
        for one in records.measured
        if (one.table, one.row, one.quantity) == (table, row, quantity) and one.fair
    }
    if baseline not in scores or len(scores) < 2:
        return {}
    return against(scores, baseline, default_margin(scores[baseline], 0.5 if percent else 0.0))


def verdict_table(
    records: Records,
    table: str,
    quantity: str,
    baseline: str,
    columns: Sequence[str],
    caption: str,
    *,
    percent: bool = True,
) -> Table:
    """A line a data set, a column a method: its verdict against the baseline, with the mean difference and its 95 %
    interval."""
    rows = list(dict.fromkeys(one.row for one in records.measured if one.table == table and one.quantity == quantity))
    lines = []
    for row in rows:
        found = compared(records, table, row, quantity, baseline, percent=percent)
        lines.append([Cell(shown(row)), *(_cell(found.get(column)) for column in columns)])
    heads = ["", *map(shown, columns)]
    return Table(f"{table}-against-{shown(baseline)}", caption, heads, lines, [_counts(lines, columns)])


def method_table(
    records: Records, table: str, quantity: str, method: str, baselines: Sequence[str], caption: str
) -> Table:
    """A line a data set, a column a baseline: the method's verdict against it, percentages."""
    rows = list(dict.fromkeys(one.row for one in records.measured if one.table == table and one.quantity == quantity))
    lines = []
    for row in rows:
        found = [compared(records, table, row, quantity, baseline).get(method) for baseline in baselines]
        lines.append([Cell(shown(row)), *map(_cell, found)])
    heads = ["", *(f"against {shown(name)}" for name in baselines)]
    return Table(f"{table}-{shown(method)}", caption, heads, lines, [_counts(lines, baselines)])


def _cell(comparison: Comparison | None) -> Cell:
    if comparison is None:
        return Cell(notation.NONE, float("nan"))
    low, high = (notation.difference(value, percent=False) for value in (comparison.low, comparison.high))
    difference = notation.difference(comparison.difference, percent=False)
    text = f"{comparison.verdict}, {difference} [{low}, {high}]"
    return Cell(text, comparison.difference, mark=MARKS.get(comparison.verdict, ""))


def _counts(lines: Sequence[Sequence[Cell]], columns: Sequence[str]) -> list[Cell]:
    """How often each verdict was reached, by column."""
    cells = [Cell("all")]
    for place in range(1, len(columns) + 1):
        words = [line[place].text.partition(",")[0] for line in lines]
        counted = Counter(word for word in words if word in VERDICTS)
        cells.append(Cell(", ".join(f"{counted[word]} {word}" for word in VERDICTS if counted[word])))
    return cells
