"""How much of all papers holds: what one page says of them together, from the records of each alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from matplotlib.figure import Figure

from thalweg.names import shown
from thalweg.race.notation import listed, plural, seconds
from thalweg.race.report.table import Cell, Table
from thalweg.reproduce import facts
from thalweg.reproduce.bars import COLOURS, stacked
from thalweg.reproduce.paper import Paper
from thalweg.reproduce.records import Records
from thalweg.reproduce.statements import FAILS, HOLDS, NOT_MEASURED, PARTLY, VERDICTS, Judged, verdict_cell
from thalweg.reproduce.summary import ALL, counts, own_comparisons
from thalweg.reproduce.verdicts import ABSENT, DIRECTION, REPRODUCED, WORDS

NUMBERS, STATEMENTS = "published numbers", "statements"
# What is said of a printed number and of a statement, side by side: both go from yes to unknown.
OUTCOMES = {pair: f"{pair[0]} / {pair[1]}" for pair in zip(WORDS, VERDICTS, strict=True)}
BARS = "Published numbers and statements of each paper by verdict, in per cent"
EACH = 3  # statements that hold, and that do not, which are told of a paper
IN_WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


@dataclass(frozen=True)
class Found:
    """A paper, and what was measured for it."""

    paper: Paper
    records: Records

    @property
    def claims_something(self) -> bool:
        """Whether it is a paper that can hold or not; else it is an experiment of our own."""
        return bool(self.paper.claims or self.judged)

    @property
    def page(self) -> str:
        """The name of its own page, without an ending."""
        return f"reproduce-{shown(self.paper.name)}"

    @cached_property
    def judged(self) -> list[Judged]:
        """What is to be said of its statements."""
        return self.paper.judged(self.records)

    @cached_property
    def outcomes(self) -> dict[str, Counter[str]]:
        """How many of its printed numbers and of its statements have which of the OUTCOMES; of what it has alone."""
        words = counts(self.paper, self.records)[ALL]
        verdicts = Counter(one.judgement.verdict for one in self.judged)
        numbers = Counter({outcome: words[word] for (word, _), outcome in OUTCOMES.items()})
        statements = Counter({outcome: verdicts[verdict] for (_, verdict), outcome in OUTCOMES.items()})
        return {kind: of for kind, of in ((NUMBERS, numbers), (STATEMENTS, statements)) if of.total()}


@dataclass(frozen=True)
class Section:
    """What the page says of a paper; `page` is the name of its own page, without an ending."""

    title: str
    source: str
    page: str
    run: str
    note: str
    told: Table | None


def heading(found: Sequence[Found]) -> str:
    """What the first line says."""
    amount = len(_papers(found))
    number = IN_WORDS[amount] if amount < len(IN_WORDS) else str(amount)
    return f"How much of {number} {'paper' if amount == 1 else 'papers'} holds"


def in_short(found: Sequence[Found]) -> str:
    """The whole page in a few sentences."""
    words = sum((counts(one.paper, one.records)[ALL] for one in found), Counter[str]())
    verdicts = Counter(judged.judgement.verdict for one in found for judged in one.judged)
    said = []
    if words:
        said.append(
            f"Of {plural(words.total(), 'published number')} {words.total() - words[ABSENT]:,} were measured again as "
            f"they were published: {words[REPRODUCED]:,} are reproduced, {words[DIRECTION]:,} in their direction only."
        )
    if verdicts:
        said.append(
            f"Of {plural(verdicts.total(), 'statement')} in words {verdicts.total() - verdicts[NOT_MEASURED]:,} were "
            f"judged: {verdicts[HOLDS]:,} hold, {verdicts[PARTLY]:,} in part, {verdicts[FAILS]:,} do not."
        )
    return " ".join(said)


def verdict_table(found: Sequence[Found]) -> Table:
    """Two lines a paper at most: its printed numbers and its statements by verdict. Below, those of all papers."""
    papers = _papers(found)
    rows = [
        [Cell(one.paper.title), Cell(kind), *_counted(outcomes)]
        for one in papers
        for kind, outcomes in one.outcomes.items()
    ]
    fixed = []
    for kind in (NUMBERS, STATEMENTS):
        together = sum((one.outcomes.get(kind, Counter()) for one in papers), Counter[str]())
        if together:
            fixed.append([Cell("All"), Cell(kind), *_counted(together)])
    heads = ["Paper", "Of its", "All", *map(str.capitalize, OUTCOMES.values())]
    return Table("papers", "Published numbers and statements of each paper by verdict", heads, rows, fixed)


def bars(found: Sequence[Found]) -> Figure:
    """The same as a picture: under each paper's name a bar of its numbers, and one of its statements."""
    headings, labels, shares = [], [], []
    for one in _papers(found):
        for place, (kind, outcomes) in enumerate(one.outcomes.items()):
            headings.append("" if place else one.paper.title)
            labels.append(kind)
            shares.append(outcomes)
    colours = {outcome: COLOURS[word] for (word, _), outcome in OUTCOMES.items()}
    return stacked(BARS, labels, shares, colours, headings)


def sections(found: Sequence[Found]) -> list[Section]:
    """Those of the papers."""
    return [_section(one) for one in _papers(found)]


def own_sections(found: Sequence[Found]) -> list[Section]:
    """Those of our own experiments, which claim nothing."""
    return [_section(one) for one in found if not one.claims_something]


def _section(one: Found) -> Section:
    paper, records = one.paper, one.records
    told = _statements(one.judged) or facts.comparisons_table(own_comparisons(paper, records))
    named = replace(told, name=f"{shown(paper.name)}-{told.name}") if told else None
    return Section(paper.title, paper.source, one.page, _run(one), "".join(paper.notes[:1]), named)


def _statements(judged: Sequence[Judged]) -> Table | None:
    """The first that hold and the first that do not, in the paper's order; where they are fewer than EACH together,
    those that hold in part too. None where nothing is decided."""
    chosen = [one for verdict in (HOLDS, FAILS) for one in _of(judged, verdict)[:EACH]]
    if len(chosen) < EACH:
        chosen += _of(judged, PARTLY)[:EACH]
    rows = [
        [
            Cell(f"“{one.statement.quote}”", note=f"section {one.statement.section}", wide=True),
            verdict_cell(one.judgement.verdict),
            Cell(one.judgement.because, wide=True),
        ]
        for one in judged
        if one in chosen
    ]
    caption = f"Of {plural(len(judged), 'statement')}: the first that hold, and the first that do not"
    return Table("statements", caption, ["The paper", "Verdict", "Measured"], rows) if rows else None


def _of(judged: Sequence[Judged], verdict: str) -> list[Judged]:
    return [one for one in judged if one.judgement.verdict == verdict]


def _run(one: Found) -> str:
    """How much was run, when, on what, and how long it took."""
    runs = list(one.records.settings.get("parts", {}).values())
    return " ".join([facts.scale(one.paper, one.records), *_took(runs)])


def _took(runs: Sequence[Mapping[str, object]]) -> Iterator[str]:
    if not runs:
        return
    spent: dict[str, float] = {}
    for run in runs:
        how = ", mixed precision" if run.get("mixed_precision") else ""
        where = f"{facts.machine(run)} ({run.get('device', 'cpu')}{how})"
        spent[where] = spent.get(where, 0.0) + float(str(run.get("seconds", 0.0)))
    days = sorted({str(run["started"])[:10] for run in runs if "started" in run})
    begun = f", begun {days[0]}" + (f" to {days[-1]}" if len(days) > 1 else "") if days else ""
    yield f"It took {listed([f'{seconds(time)} on {where}' for where, time in spent.items()])}{begun}."


def _papers(found: Sequence[Found]) -> list[Found]:
    return [one for one in found if one.claims_something]


def _counted(outcomes: Mapping[str, int]) -> list[Cell]:
    numbers = [sum(outcomes.values()), *(outcomes.get(outcome, 0) for outcome in OUTCOMES.values())]
    return [Cell(f"{number:,}" if number else "", number) for number in numbers]
