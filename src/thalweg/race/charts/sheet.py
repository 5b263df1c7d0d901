"""A sheet to draw on, in points from its lower left corner: lines, fills, marks and text of the palette's colours.

Figures have no matplotlib axes: the charts place everything themselves, which is ten times as fast, clips without
references between elements, and lets marks and labels be where they are wanted.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from functools import cache
from typing import Literal

import matplotlib
import numpy as np
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.text import Text
from matplotlib.transforms import Affine2D
from numpy.typing import ArrayLike, NDArray

from thalweg.names import shown
from thalweg.race.charts.style import DASHES, LIGHT

WIDTH = 360.0  # points: on a phone of 390 pixels about one pixel a point
TITLE, LABEL, TICK = 11.0, 9.5, 9.0  # font sizes
TITLE_GID = "title"  # finds the title again where it is to be left out
_TITLE_LINE = 14.0
_NARROW, _WIDE = frozenset(" iljtfrI.,:;|!'()[]/\\-"), frozenset("mwMW@%−+×≥≤…")

_MOVE, _LINE, _CLOSE = int(Path.MOVETO), int(Path.LINETO), int(Path.CLOSEPOLY)

Floats = NDArray[np.float64]
Side = Literal["left", "center", "right"]


class Sheet:
    """A figure of a width and a height in points; the title is above, on top of the height."""

    def __init__(self, height: float, title: str, width: float = WIDTH) -> None:
        self.width, self.height = width, height
        lines = title_lines(title, width)
        total = height + title_height(len(lines))
        self.figure = Figure(figsize=(width / 72, total / 72))
        self._points = Affine2D().scale(1 / 72) + self.figure.dpi_scale_trans
        for place, text in enumerate(lines):
            self.text(2, total - 11 - place * _TITLE_LINE, text, size=TITLE, gid=TITLE_GID, va="baseline")

    def _add(self, artist: Artist) -> None:
        artist.set_transform(self._points)
        artist.set_zorder(1)  # all alike: what is added later lies above
        artist.set_clip_on(False)
        artist.set_sketch_params(None)  # these two would come from the reader's own matplotlibrc
        artist.set_path_effects([])
        self.figure.add_artist(artist)

    def line(
        self, x: ArrayLike, y: ArrayLike, colour: str, width: float = 1.6, dashes: int = 0, alpha: float = 1.0
    ) -> None:
        """A polyline, broken where a coordinate is NaN."""
        scale = 1.0 if matplotlib.rcParams["lines.scale_dashes"] else width
        pattern = tuple(scale * length for length in DASHES[dashes])
        self._add(
            Line2D(
                np.asarray(x, float),
                np.asarray(y, float),
                color=LIGHT[colour],
                linewidth=width,
                linestyle=(0, pattern) if pattern else "-",
                alpha=None if alpha == 1 else alpha,
                solid_capstyle="butt",
                dash_capstyle="butt",
                solid_joinstyle="round",
                dash_joinstyle="round",
                marker="",
            )
        )

    def segments(self, segments: Sequence[tuple[float, float, float, float]], colour: str, width: float = 0.8) -> None:
        """Straight lines from (x0, y0) to (x1, y1), as one path."""
        points = [point for x0, y0, x1, y1 in segments for point in ((x0, y0), (x1, y1))]
        self._path(points, [_MOVE, _LINE] * len(segments), stroke=colour, width=width)

    def area(self, x: ArrayLike, low: ArrayLike, high: ArrayLike, colour: str, alpha: float) -> None:
        """What lies between two lines."""
        x, low, high = np.asarray(x, float), np.asarray(low, float), np.asarray(high, float)
        points = np.column_stack([np.concatenate([x, x[::-1]]), np.concatenate([low, high[::-1]])])
        codes = [_MOVE, *[_LINE] * (len(points) - 1), _CLOSE]
        self._path([*map(tuple, points), (0.0, 0.0)], codes, fill=colour, alpha=alpha)

    def boxes(self, boxes: Sequence[tuple[float, float, float, float]], colour: str, alpha: float = 1.0) -> None:
        """Filled rectangles from (x0, y0) to (x1, y1), as one path."""
        points, codes = [], []
        for x0, y0, x1, y1 in boxes:
            points += [(x0, y0), (x1, y0), (x1, y1), (x0, y1), (x0, y0)]
            codes += [_MOVE, _LINE, _LINE, _LINE, _CLOSE]
        self._path(points, codes, fill=colour, alpha=alpha)

    def dots(self, x: ArrayLike, y: ArrayLike, colour: str, size: float = 4.0, alpha: float = 1.0) -> None:
        """Discs of a diameter, as one path: strokes of almost no length with round ends."""
        points = [(a + shift, b) for a, b in _finite(x, y) for shift in (0.0, 0.01)]
        codes = [_MOVE, _LINE] * (len(points) // 2)
        self._path(points, codes, stroke=colour, width=size, alpha=alpha, cap="round")

    def hollow(self, x: ArrayLike, y: ArrayLike, colour: str, size: float = 5.0, width: float = 1.2) -> None:
        """Discs of the background's colour with a rim."""
        self.dots(x, y, colour, size + width)
        self.dots(x, y, "bg", size - width)

    def crosses(self, x: ArrayLike, y: ArrayLike, colour: str, size: float = 5.0, width: float = 1.2) -> None:
        """Crosses (×), as one path: what diverged."""
        half = size / 2
        self.segments(
            [(a - half, b + sign * half, a + half, b - sign * half) for a, b in _finite(x, y) for sign in (1, -1)],
            colour,
            width,
        )

    def diamonds(self, x: ArrayLike, y: ArrayLike, colour: str, size: float = 7.0) -> None:
        """Diamonds with a rim of the background's colour: published defaults."""
        self.polygons([[(0, -1), (1, 0), (0, 1), (-1, 0)]] * len(points := _finite(x, y)), points, colour, size / 2)

    def rings(self, x: ArrayLike, y: ArrayLike, colour: str, size: float = 8.0) -> None:
        """Circles that hide nothing: what was chosen."""
        for a, b in _finite(x, y):
            circle = Path.circle((a, b), size / 2)
            self._add(PathPatch(circle, fill=False, edgecolor=LIGHT[colour], linewidth=1.2))

    def arrow(self, x: float, y: float, direction: int, colour: str, size: float = 4.0) -> None:
        """A small triangle that points left (-1) or right (+1): what lies beyond the edge."""
        self.polygons([[(0, -1), (direction, 0), (0, 1)]], [(x, y)], colour, size)

    def polygons(
        self,
        shapes: Sequence[Sequence[tuple[float, float]]],
        at: Sequence[tuple[float, float]],
        colour: str,
        scale: float,
    ) -> None:
        """Filled shapes around places, with a rim of the background's colour."""
        points, codes = [], []
        for shape, (x, y) in zip(shapes, at, strict=True):
            points += [(x + scale * a, y + scale * b) for a, b in shape] + [(x, y)]
            codes += [_MOVE, *[_LINE] * (len(shape) - 1), _CLOSE]
        self._path(points, codes, fill=colour, stroke="bg", width=0.8)

    def text(
        self,
        x: float,
        y: float,
        text: str,
        colour: str = "fg",
        size: float = LABEL,
        ha: Side = "left",
        va: Literal["center_baseline", "baseline"] = "center_baseline",
        rotation: float = 0.0,
        gid: str | None = None,
    ) -> None:
        """Text as it is, in the font of the page."""
        artist = Text(
            x,
            y,
            text,
            color=LIGHT[colour],
            fontproperties=_font(size),
            horizontalalignment=ha,
            verticalalignment=va,
            rotation=rotation,
            rotation_mode="anchor",
            parse_math=False,
            usetex=False,
        )
        artist.set_gid(gid)
        self._add(artist)

    def _path(
        self,
        points: Sequence[tuple[float, float]],
        codes: Sequence[int],
        *,
        fill: str | None = None,
        stroke: str | None = None,
        width: float = 0.0,
        alpha: float = 1.0,
        cap: Literal["butt", "round"] = "butt",
    ) -> None:
        if not points:
            return
        path = Path(np.asarray(points, float), codes)
        path.should_simplify = False
        patch = PathPatch(
            path,
            facecolor=LIGHT[fill] if fill else "none",
            edgecolor=LIGHT[stroke] if stroke else "none",
            linewidth=width,
            alpha=None if alpha == 1 else alpha,
            capstyle=cap,
            joinstyle="round",
        )
        self._add(patch)


@cache
def _font(size: float) -> FontProperties:
    return FontProperties(
        family="DejaVu Sans", size=size, style="normal", variant="normal", weight="normal", stretch="normal"
    )


def title_lines(title: str, width: float = WIDTH) -> list[str]:
    """The title broken to the width of a sheet."""
    return textwrap.wrap(title, int(width / (0.56 * TITLE)))


def title_height(lines: int) -> float:
    """Points that a title of so many lines takes."""
    return _TITLE_LINE * lines + 4 if lines else 0.0


def text_width(text: str, size: float = LABEL) -> float:
    """Points that a text takes in a common sans-serif font, rather more than less: the page's font is not known."""
    return size * sum(0.36 if c in _NARROW else 0.88 if c in _WIDE else 0.62 for c in text)


def label(name: str) -> str:
    """The name of a method or a task as charts write it."""
    return shortened(shown(name), 22)


def shortened(text: str, most: int) -> str:
    """Text of at most so many letters; of longer one the middle is left out, as its ends tell it from others."""
    if len(text) <= most:
        return text
    return f"{text[: most // 2]}…{text[len(text) - (most - most // 2 - 1) :]}"


def _finite(x: ArrayLike, y: ArrayLike) -> list[tuple[float, float]]:
    points = np.column_stack([np.ravel(np.asarray(x, float)), np.ravel(np.asarray(y, float))])
    return [(float(a), float(b)) for a, b in points[np.isfinite(points).all(axis=1)]]
