"""The picture of a summary: for each table, which share of its claims has which verdict."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from matplotlib.figure import Figure

from thalweg.race.charts.rows import row_panel
from thalweg.race.charts.sheet import TICK, WIDTH, Sheet, text_width
from thalweg.reproduce.summary import ALL, title_of
from thalweg.reproduce.verdicts import ABSENT, DIRECTION, NOT_REPRODUCED, REPRODUCED, UNDER_SPECIFIED, WORDS

COLOURS = {
    REPRODUCED: "good", DIRECTION: "series-5", UNDER_SPECIFIED: "series-4", NOT_REPRODUCED: "bad", ABSENT: "line",
}  # fmt: skip
_HIGH = 5.5  # points: half a bar
_GAP = 0.8  # points between pieces
_KEY = 12.0  # points above the panel for a line of the key
TITLE = "Verdicts on the claims of each table, in per cent"


def bars(counts: Mapping[str, Mapping[str, int]]) -> Figure:
    """A stacked bar a table, as long for few claims as for many; at its right is how many there are."""
    labels = ["All" if table == ALL else title_of(table).replace("Supplementary table", "Suppl.") for table in counts]
    return stacked(TITLE, labels, list(counts.values()), {word: COLOURS[word] for word in WORDS})


def stacked(
    title: str,
    labels: Sequence[str],
    counts: Sequence[Mapping[str, int]],
    colours: Mapping[str, str],
    headings: Sequence[str] | None = None,
) -> Figure:
    """A bar a label, of pieces in the order and the colours of `colours`. A heading stands above the bar that has
    one."""
    totals = [sum(words.values()) for words in counts]
    texts = [f"{total:,}" for total in totals]
    key = _key_lines(colours)
    above = _KEY * len(key)
    panel, heights = row_panel(title, labels, texts, (0.0, 100.0), "", headings=headings, above=above + 4)
    _key(panel.sheet, panel.y.stop + above, key, colours)
    for height, words, total in zip(heights, counts, totals, strict=True):
        start = 0.0
        for word, colour in colours.items():
            if words.get(word):
                stop = start + 100 * words[word] / total
                _piece(panel.sheet, panel.x.at(start), panel.x.at(stop), height, colour, f"{words[word]:,}")
                start = stop
    return panel.sheet.figure


def _piece(sheet: Sheet, left: float, right: float, height: float, colour: str, text: str) -> None:
    sheet.boxes([(left, height - _HIGH, max(left, right - _GAP), height + _HIGH)], colour)
    if text_width(text, TICK) + 2 < right - left:
        sheet.text((left + right) / 2, height, text, "fg" if colour == COLOURS[ABSENT] else "bg", TICK, ha="center")


def _key_lines(words: Iterable[str]) -> list[list[tuple[float, str]]]:
    """The words of the key and where they begin, broken into lines."""
    lines: list[list[tuple[float, str]]] = [[]]
    across = 2.0
    for word in words:
        width = text_width(word, TICK) + 22
        if across + width > WIDTH:
            lines.append([])
            across = 2.0
        lines[-1].append((across, word))
        across += width
    return lines


def _key(sheet: Sheet, top: float, lines: list[list[tuple[float, str]]], colours: Mapping[str, str]) -> None:
    for place, line in enumerate(lines):
        height = top - place * _KEY
        for across, word in line:
            sheet.boxes([(across, height - 4, across + 8, height + 4)], colours[word])
            sheet.text(across + 11, height, word, "soft", TICK)
