"""What a page says beside the tables of a paper: what was run, the summary, and how verdicts are reached."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from thalweg.names import shown
from thalweg.race.notation import NONE, seconds
from thalweg.race.report.table import Cell, Table
from thalweg.reproduce.layout import in_words
from thalweg.reproduce.paper import Paper, Part
from thalweg.reproduce.records import Records
from thalweg.reproduce.summary import ALL, Comparisons, counts, title_of
from thalweg.reproduce.verdicts import OPPOSITE, OTHERWISE, SAME, TOLERANCES, UNCLEAR, WORDS

OWN = ("parts", "not_run")  # settings that the parts' table shows
PACKAGES = ("thalweg", "torch", "numpy")


def heading(paper: Paper) -> str:
    """What the first line says."""
    return f"{paper.title}, measured again" if paper.claims else paper.title


def scale(paper: Paper, records: Records) -> str:
    """How much was run, in a sentence or two."""
    runs, quick = records.settings.get("parts", {}), _quick(records)
    left = [part.title for part in paper.parts if part.name not in runs]
    if not runs:
        return "Nothing was run."
    if len(quick) == len(runs):
        said = "A quick run, at a smaller scale."
    else:
        titles = [part.title for part in paper.parts if part.name in quick]
        said = "A full run" + (f", but for these, which were quick: {'; '.join(titles)}." if titles else ".")
    return said + (f" Not run: {'; '.join(left)}." if left else "")


def command(paper: Paper, records: Records) -> str:
    """What runs it again."""
    runs, quick = records.settings.get("parts", {}), _quick(records)
    return f"thalweg reproduce {shown(paper.name)}" + (" --quick" if runs and len(quick) == len(runs) else "")


def parts_table(paper: Paper, records: Records) -> Table:
    """A line a part: what it measures, how it was run, or why it was not."""
    columns = ["Part", "Tables", "Run", "Time", "On", "With", "Commit", "Begun"]
    return Table("parts", "What was run", columns, [_part(part, records.settings) for part in paper.parts])


def _part(part: Part, settings: Mapping[str, Any]) -> list[Cell]:
    run = settings.get("parts", {}).get(part.name)
    head = [Cell(part.title, wide=True), Cell(", ".join(part.tables) or NONE, wide=True)]
    if run is None:
        why = settings.get("not_run", {}).get(part.name, "there are no records of it")
        return [*head, Cell(f"not run: {why}", wide=True), *[Cell("")] * 5]
    versions, git = (run.get(name) or {} for name in ("versions", "git"))
    packages = ", ".join(f"{name} {versions[name]}" for name in PACKAGES if name in versions)
    commit = str(git.get("commit") or NONE)[:12] + (" and changes" if git.get("dirty") else "")
    return [
        *head,
        Cell(str(run.get("scale", NONE)) + (", mixed precision" if run.get("mixed_precision") else "")),
        Cell(seconds(float(run["seconds"])) if "seconds" in run else NONE, run.get("seconds")),
        Cell(f"{machine(run)}; workers: {run.get('workers', NONE)}", wide=True),
        Cell(packages or NONE, wide=True),
        Cell(commit, code=True),
        Cell(str(run.get("started", NONE))[:10]),
    ]


def machine(run: Mapping[str, Any]) -> str:
    """What a part was run on: the processor, or the GPUs."""
    parts = run.get("machine") or {}
    on = parts.get("gpus") if str(run.get("device")).startswith("cuda") else [parts.get("cpu")]
    return ", ".join(map(str, on or [NONE]))


def settings_table(records: Records) -> Table | None:
    """All other settings; None where there are none."""
    others = {name: value for name, value in records.settings.items() if name not in OWN}
    rows = [[Cell(name), Cell(value, wide=True)] for name, value in _flat(others)]
    return Table("settings", "Settings", ["What", "Value"], rows) if rows else None


def summary_table(paper: Paper, records: Records) -> Table:
    """A line a table: how many claims have which verdict."""
    found = counts(paper, records)
    rows = [[Cell(title_of(table)), *_counted(words)] for table, words in found.items() if table != ALL]
    total = [Cell("All"), *_counted(found[ALL])]
    return Table("verdicts", "Claims by verdict", ["Table", "Claims", *map(str.capitalize, WORDS)], rows, [total])


def comparisons_table(found: Sequence[Comparisons]) -> Table | None:
    """Whether what a paper sets beside each other differs as it says, without the tables of which no comparison was
    measured; None where there is none left."""
    measured = {one.table for one in found if _made(one.protocol) or _made(one.fair)}
    rows = [
        [
            Cell("All" if one.table == ALL else title_of(one.table)),
            Cell(in_words(one.quantity)),
            Cell(f"{shown(one.column)} against {shown(one.partner)}"),
            _number(one.claimed),
            *(_held(counted, word) for counted in (one.protocol, one.fair) for word in (SAME, OPPOSITE, UNCLEAR)),
        ]
        for one in found
        if one.table in measured
    ]
    ways = [f"{way}: {kind}" for way in ("Theirs", "Fair") for kind in ("as claimed", "opposite", "unclear")]
    caption = "Do the claimed differences hold, by the paper's protocol (theirs) and by the fair one?"
    return Table("comparisons", caption, ["Table", "Of", "Compared", "Claimed", *ways], rows) if rows else None


def allowances_table(paper: Paper) -> Table:
    """How far from the printed number a mean may be, a line a quantity that the paper has."""
    rows = []
    for quantity in dict.fromkeys(claim.quantity for claim in paper.claims):
        absolute, share = TOLERANCES.get(quantity, OTHERWISE)
        terms = [f"{absolute:g}"] if absolute else []
        terms += [f"{100 * share:g} % of the number"] if share else []
        terms = terms or ["nothing"]
        rows.append([Cell(in_words(quantity)), Cell(" or ".join(terms) + (", the larger" if len(terms) > 1 else ""))])
    return Table("allowances", "Allowances", ["Quantity", "A mean may be off by"], rows)


def _quick(records: Records) -> list[str]:
    """The parts that were run at the smaller scale."""
    return [name for name, run in records.settings.get("parts", {}).items() if run.get("scale") == "quick"]


def _counted(words: Mapping[str, int]) -> list[Cell]:
    return [_number(sum(words.values())), *(_number(words.get(word, 0)) for word in WORDS)]


def _number(value: int) -> Cell:
    return Cell(f"{value:,}" if value else "", value)


def _held(counted: Mapping[str, int], word: str) -> Cell:
    """How many comparisons came out so; a dash where none was made."""
    return Cell(str(counted.get(word, 0)), counted.get(word, 0)) if _made(counted) else Cell(NONE, math.nan)


def _made(counted: Mapping[str, int]) -> int:
    """How many comparisons were made at all."""
    return sum(number for way, number in counted.items() if way)


def _flat(value: Any, name: str = "", depth: int = 2) -> Iterator[tuple[str, str]]:
    """Names and values of what may be mappings in mappings, those further in on one line."""
    if isinstance(value, Mapping) and depth:
        for key, inner in value.items():
            yield from _flat(inner, f"{name}, {key}" if name else str(key), depth - 1)
    else:
        yield name, _on_a_line(value)


def _on_a_line(value: Any) -> str:
    if isinstance(value, Mapping):
        return "; ".join(f"{key}: {_on_a_line(inner)}" for key, inner in value.items())
    return ", ".join(map(_on_a_line, value)) if isinstance(value, list | tuple) else str(value)
