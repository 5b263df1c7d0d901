"""How methods are told apart: the palette of the page and of print, and a style a method."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

# Figures are drawn in the light colours; an inline figure has the CSS variables `--fg`, `--series-0` and so on in
# their place, which the page's style sheet must define, once for light and once for dark. All light colours differ,
# so that each can be told.
LIGHT = {
    "bg": "#ffffff",
    "fg": "#1b1f24",
    "soft": "#5a6470",
    "line": "#e1e4e8",
    "panel": "#f6f8fa",
    "good": "#00674a",
    "bad": "#a83c00",
    "series-0": "#0072b2",
    "series-1": "#d55e00",
    "series-2": "#009e73",
    "series-3": "#b8528c",
    "series-4": "#b27700",
    "series-5": "#3a9bd9",
    "series-6": "#882255",
    "series-7": "#6b6b00",
    "series-8": "#1b1f25",
}
DARK = {
    "bg": "#14171a",
    "fg": "#e4e7ea",
    "soft": "#a0a8b1",
    "line": "#31363c",
    "panel": "#1d2125",
    "good": "#3fcf9f",
    "bad": "#ff9a66",
    "series-0": "#4ea3e8",
    "series-1": "#ff8a50",
    "series-2": "#2cc79b",
    "series-3": "#e99cca",
    "series-4": "#f0b93a",
    "series-5": "#9bd6ff",
    "series-6": "#dd6fa6",
    "series-7": "#c9c552",
    "series-8": "#e4e7ea",
}
SERIES = sum(name.startswith("series-") for name in LIGHT)
# Lengths of dashes and gaps in line widths; none: a full line.
DASHES: tuple[tuple[float, ...], ...] = ((), (4, 1.5), (1.3, 1.3), (6, 1.3, 1.3, 1.3))


class Named(Protocol):
    """What `styles` must know of a method: its name, and those of the plain methods that it reduces to."""

    @property
    def name(self) -> str: ...
    @property
    def ablations(self) -> Sequence[str]: ...


@dataclass(frozen=True)
class Style:
    """How a method is drawn in every chart: the index of its colour, and of a dash pattern."""

    colour: int
    dashes: int

    @property
    def variable(self) -> str:
        """Its colour's name in the palette."""
        return f"series-{self.colour}"


def styles(methods: Sequence[Named]) -> dict[str, Style]:
    """A colour a method, shared by its ablations, which are dashed. More methods than colours begin again, dashed.

    No two methods look the same while there are at most 36, and no colour has more than four of them.
    """
    owner = {plain: method.name for method in methods for plain in method.ablations}
    names = [method.name for method in methods]
    owners = [name for name in names if name not in owner or owner[name] not in names]
    chosen = {name: Style(place, 0) for place, name in enumerate(owners[:SERIES])}
    taken = Counter(style.colour for style in chosen.values())
    for name in names:
        if name not in chosen and owner.get(name) in chosen:
            colour = chosen[owner[name]].colour
            chosen[name] = Style(colour, taken[colour] % len(DASHES))
            taken[colour] += 1
    for name in names:
        if name not in chosen:
            fewest = min(range(SERIES), key=lambda colour: taken[colour])
            colour = chosen[owner[name]].colour if owner.get(name) in chosen else fewest
            chosen[name] = Style(colour, taken[colour] % len(DASHES))
            taken[colour] += 1
    return {name: chosen[name] for name in names}
