"""The picture of a summary: for each table, which share of its claims has which verdict."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.figure import Figure

from thalweg.race.charts.rows import row_panel
from thalweg.race.charts.sheet import TICK, Sheet, text_width
from thalweg.reproduce.summary import ALL, title_of
from thalweg.reproduce.verdicts import ABSENT, DIRECTION, NOT_REPRODUCED, REPRODUCED, UNDER_SPECIFIED, WORDS

COLOURS = {
    REPRODUCED: "good", DIRECTION: "series-5", UNDER_SPECIFIED: "series-4", NOT_REPRODUCED: "bad", ABSENT: "line",
}  # fmt: skip
_HIGH = 5.5  # points: half a bar
_GAP = 0.8  # points between pieces
_KEY = 24.0  # points above the panel for the key, which is broken into two lines
TITLE = "Verdicts on the claims of each table, in per cent"


def bars(counts: Mapping[str, Mapping[str, int]]) -> Figure:
    """A stacked bar a table, as long for few claims as for many; at its right is how many there are."""
    totals = {table: sum(words.values()) for table, words in counts.items()}
    labels = ["All" if table == ALL else title_of(table).replace("Supplementary table", "Suppl.") for table in counts]
    texts = [f"{total:,}" for total in totals.values()]
    panel, heights = row_panel(TITLE, labels, texts, (0.0, 100.0), "", above=_KEY + 4)
    _key(panel.sheet, panel.y.stop + 6)
    for height, (table, words) in zip(heights, counts.items(), strict=True):
        start = 0.0
        for word in WORDS:
            if words.get(word):
                stop = start + 100 * words[word] / totals[table]
                _piece(panel.sheet, panel.x.at(start), panel.x.at(stop), height, word, f"{words[word]:,}")
                start = stop
    return panel.sheet.figure


def _piece(sheet: Sheet, left: float, right: float, height: float, word: str, text: str) -> None:
    sheet.boxes([(left, height - _HIGH, max(left, right - _GAP), height + _HIGH)], COLOURS[word])
    if text_width(text, TICK) + 2 < right - left:
        sheet.text((left + right) / 2, height, text, "fg" if word == ABSENT else "bg", TICK, ha="center")


def _key(sheet: Sheet, bottom: float) -> None:
    across, down = 2.0, bottom + _KEY - 6
    for word in WORDS:
        width = text_width(word, TICK) + 22
        if across + width > sheet.width:
            across, down = 2.0, down - 12
        sheet.boxes([(across, down - 4, across + 8, down + 4)], COLOURS[word])
        sheet.text(across + 11, down, word, "soft", TICK)
        across += width
