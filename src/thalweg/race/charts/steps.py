"""Shares that rise in steps: trials that reached a target, and performance profiles."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from thalweg.race.charts.panel import MUTED, line_panel, stairs
from thalweg.race.charts.scale import extent, padded
from thalweg.race.charts.sheet import label
from thalweg.race.charts.style import Style


@dataclass(frozen=True)
class Steps:
    """A share in 0 to 1 that is 0 at first and `y[i]` from `x[i]` on, x ascending; both empty: it never rises.

    `censored` are the x of trials that ended without, drawn as ticks on the line. Infinite x are not drawn.
    """

    x: Sequence[float]
    y: Sequence[float]
    censored: Sequence[float] = ()


def reached(
    steps: Mapping[str, Steps],
    drawn: Mapping[str, Style],
    title: str,
    x_label: str = "epoch",
    *,
    end: float | None = None,
    log: bool = False,
    highlight: Collection[str] | None = None,
) -> Figure:
    """Share of seeds that reached the target by x (Kaplan-Meier or ECDF), with ticks where trials were censored.

    `end` is where the lines end (the budget); None: the largest finite x.
    """
    return _shares(steps, drawn, title, x_label, "share of seeds, %", None if log else 0.0, end, {}, highlight)


def performance_profile(
    steps: Mapping[str, Steps],
    drawn: Mapping[str, Style],
    title: str,
    x_label: str = "times the cost of the cheapest method",
    *,
    end: float | None = None,
    notes: Mapping[str, str] | None = None,
    highlight: Collection[str] | None = None,
) -> Figure:
    """Share of tasks that a method solves within x times the best method's cost, x from 1, logarithmic (Dolan and
    Moré 2002). `notes` follow the names, its integral for one."""
    return _shares(steps, drawn, title, x_label, "share of tasks, %", None, end, notes or {}, highlight, begin=1.0)


def _shares(
    steps: Mapping[str, Steps],
    drawn: Mapping[str, Style],
    title: str,
    x_label: str,
    y_label: str,
    zero: float | None,
    end: float | None,
    notes: Mapping[str, str],
    highlight: Collection[str] | None,
    begin: float | None = None,
) -> Figure:
    """Step lines of shares in %. A linear axis begins at `zero`; where that is None it is logarithmic."""
    log = zero is None
    low, high = extent([x for one in steps.values() for x in (*one.x, *one.censored)], log=log)
    high = high if end is None else end
    start = zero if zero is not None else begin if begin is not None else low / 1.2 if math.isfinite(low) else 1.0
    high = high if high > start else start + 1.0  # also where there is no x at all
    pale = frozenset(name for name in steps if highlight is not None and name not in highlight)
    texts = {name: label(name) + (f" {notes[name]}" if name in notes else "") for name in steps}
    panel = line_panel(
        title, (start, high), padded(0, 100), list(texts.values()), log_x=log, x_label=x_label, y_label=y_label
    )
    lines = {name: _corners(one, start, high) for name, one in steps.items()}
    panel.ends({name: (panel.x.stop, panel.y.at(y[-1])) for name, (_, y) in lines.items()}, texts, drawn, pale)
    for name in sorted(lines, key=lambda name: name not in pale):
        x, y = lines[name]
        style, muted = drawn[name], name in pale
        panel.curve(*stairs(x, y), style.variable, 0.9 if muted else 1.6, style.dashes, MUTED if muted else 1.0)
        ticks = [value for value in steps[name].censored if start <= value <= high]
        across, up = panel.x(ticks), panel.y(y[np.searchsorted(x, ticks, side="right") - 1])
        if not muted:
            panel.sheet.segments([(a, b - 3, a, b + 3) for a, b in zip(across, up, strict=True)], style.variable, 1.0)
    return panel.sheet.figure


def _corners(one: Steps, start: float, end: float) -> tuple[np.ndarray, np.ndarray]:
    """x and share in % from `start` to `end`, the value at each x from there on."""
    x, y = np.asarray(one.x, float), np.asarray(one.y, float)
    if x.shape != y.shape:
        raise ValueError(f"x and y must be as long as each other, got {x.size} and {y.size}")
    before = y[x <= start]
    kept = (x > start) & (x <= end) & ~np.isnan(y)
    shares = np.concatenate([[before[-1] if before.size else 0.0], y[kept]])
    return np.concatenate([[start], x[kept], [end]]), 100 * np.append(shares, shares[-1])
