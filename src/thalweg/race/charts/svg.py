"""A figure as an inline SVG element in the page's colours, or as PDF for a paper."""

from __future__ import annotations

import io
import itertools
import re
import warnings
from html import escape
from typing import Any
from xml.etree import ElementTree

import matplotlib
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from thalweg.race.charts.sheet import TITLE_GID, title_height
from thalweg.race.charts.style import LIGHT

_LARGEST = 1.6  # how many pixels a point may have: wider containers get no larger letters
# A reader's own matplotlibrc is not to change the bytes.
_SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "thalweg",
    "pdf.fonttype": 42,  # TrueType: journals refuse type 3
    "pdf.compression": 6,
    "pdf.use14corefonts": False,
    "path.simplify": False,
    "savefig.bbox": None,
    "savefig.dpi": "figure",
    "lines.scale_dashes": True,
}
_DEFAULTS = {"fill: #000000", "stroke-linecap: butt", "stroke-dashoffset: 0", "text-anchor: start", "opacity: 1"}
_VARIABLES = {colour: f"var(--{name})" for name, colour in LIGHT.items()}


def inline(figure: Figure, title: str) -> str:
    """The figure as one `<svg>` element: no ids, no fonts, no network, the same bytes for the same figure.

    It is as wide as its container up to 1.6 times its natural size, has the container's font, and draws in the CSS
    variables that `LIGHT` and `DARK` list. `title` is what a screen reader says (role="img", aria-label).
    """
    buffer = io.StringIO()
    with matplotlib.rc_context(_SETTINGS), warnings.catch_warnings():
        # Which glyphs matplotlib's own font has is no matter: the page's font draws the text.
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    root = ElementTree.fromstring(buffer.getvalue())
    parts = [part for element in root.iter() for part in _compact(element)]
    body = "".join(
        f'<g style="{style}">{"".join(text for _, text in run)}</g>'
        for style, run in itertools.groupby(parts, key=lambda part: part[0])
    )
    width, height = (float(length) for length in root.attrib["viewBox"].split()[2:])
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{escape(title)}" viewBox="0 0 {width:g} '
        f'{height:g}" style="display:block;width:100%;max-width:{_LARGEST * width:g}px;height:auto" '
        f'stroke-linejoin="round">{body}</svg>'
    )


def pdf(figure: Figure, *, titles: bool = True) -> bytes:
    """The figure as vector PDF in its natural size, 5 inches wide, in the colours of `LIGHT`, without dates.

    `titles=False` cuts the title off, for a paper that has a caption.
    """
    width, height = figure.get_size_inches()
    title = [artist for artist in figure.artists if artist.get_gid() == TITLE_GID]
    buffer = io.BytesIO()
    for line in title:
        line.set_visible(titles)
    try:
        with matplotlib.rc_context(_SETTINGS):
            figure.savefig(
                buffer,
                format="pdf",
                transparent=True,
                bbox_inches=Bbox([[0, 0], [width, height - (0 if titles else title_height(len(title)) / 72)]]),
                metadata={"CreationDate": None, "Creator": None, "Producer": None},
            )
    finally:
        for line in title:
            line.set_visible(True)
    return buffer.getvalue()


def _compact(element: ElementTree.Element) -> list[tuple[str, str]]:
    """The style of a path or a text, and the element without it; none for the groups around them, which are plain."""
    tag = element.tag.rpartition("}")[2]
    if tag == "path":
        style = _style(element.attrib["style"])
        d = _compact_path(element.attrib.get("d", ""))
        return [(style, f'<path d="{d}"/>')] if d and style != "fill:none" else []
    if tag == "text":
        x, y = (_decimals(float(element.attrib[name])) for name in "xy")
        angle = re.match(r"rotate\(([-\d.]+)", element.attrib.get("transform", "rotate(0"))
        turn = float(angle[1]) if angle else 0.0
        turned = f' transform="rotate({turn:g} {x} {y})"' if turn else ""
        # Before matplotlib 3.10 size and family stand in one property.
        style = re.sub(r"font: ([\d.]+px) [^;]*", r"font-size: \1", element.attrib["style"])
        style = _style(re.sub(r"font-family: [^;]*;? ?", "", style))
        return [(style, f'<text x="{x}" y="{y}"{turned}>{escape(element.text or "")}</text>')]
    return []


def _style(style: str) -> str:
    parts = [part for part in style.rstrip("; ").split("; ") if part not in _DEFAULTS]
    # Of a group, opacity would be of all together; of strokes and fills it is of each.
    text = ";".join(part.replace(": ", ":", 1) for part in parts)
    text = re.sub(r"\d+\.\d{3,}", lambda match: _decimals(float(match[0])), text)
    text = re.sub(r"(?<![-\w])opacity:([\d.]+)", r"fill-opacity:\1;stroke-opacity:\1", text)
    return re.sub(r"#[0-9a-f]{6}", lambda match: _variable(match[0]), text)


def _variable(colour: str) -> str:
    if colour not in _VARIABLES:
        raise ValueError(f"figure must be drawn in the colours of LIGHT, got {colour}; use the functions of Sheet")
    return _VARIABLES[colour]


def _compact_path(path: str) -> str:
    """The path with two decimals and coordinates relative to the last, which are rounded so that no error adds up."""
    out: list[str] = []
    here, start, last = (0, 0), (0, 0), ""
    for command, numbers in re.findall(r"([MLCQz])([^MLCQz]*)", path):
        values = [round(100 * float(number)) for number in numbers.split()]
        if command == "z":
            out.append("z")
            here, last = start, "z"
            continue
        points = [(values[i], values[i + 1]) for i in range(0, len(values), 2)]
        deltas = [(x - here[0], y - here[1]) for x, y in points]
        letter = command.lower()
        if command == "L" and (deltas[0][0] == 0 or deltas[0][1] == 0):
            letter, numbers_out = ("v", [deltas[0][1]]) if deltas[0][0] == 0 else ("h", [deltas[0][0]])
        else:
            numbers_out = [number for delta in deltas for number in delta]
        text = _joined(numbers_out)
        repeated = letter == last and letter != "m"  # after an m, what has no letter is a line
        out.append(text if repeated and text[0] == "-" else f"{' ' if repeated else letter}{text}")
        here, last = points[-1], letter
        if command == "M":
            start = here
    return "".join(out)


def _joined(hundredths: list[int]) -> str:
    texts = [_decimals(number / 100) for number in hundredths]
    return texts[0] + "".join(text if text[0] == "-" else " " + text for text in texts[1:])


def _decimals(value: float) -> str:
    text = f"{round(value, 2):.2f}".rstrip("0").rstrip(".")
    if text in ("-0", ""):
        return "0"
    return re.sub(r"^(-?)0\.", r"\1.", text)
