"""The plot of convergence: the best value over evaluations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

_POINTS = 400  # of a line: as many as are seen apart
_LINE, _BAND = "#0072b2", 0.25  # a blue that is told from others by the colour-blind too (Okabe and Ito 2008)

Steps = tuple[NDArray[np.int64], NDArray[np.float64]]


def convergence(histories: Sequence[Steps], evals: int) -> Figure:
    """The best value over `evals` evaluations, from pairs (evaluation, best value from there on), one a run.

    One run is a line; of several it is the median, and the band is from quartile to quartile. A run that stopped goes
    on with its last value. The axis of values is logarithmic where all are positive.
    """
    grid = np.unique(np.linspace(1, max(1, int(evals)), _POINTS).round().astype(np.int64))
    if len(histories) == 1:  # every step where it is
        grid = np.unique(np.concatenate([grid, histories[0][0]]))
    low, median, high = quartiles(histories, grid)
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.add_subplot()
    axes.step(grid, median, where="post", color=_LINE, label="best value" if len(histories) == 1 else "median")
    if len(histories) > 1:
        axes.fill_between(grid, low, high, step="post", color=_LINE, alpha=_BAND, linewidth=0, label="quartiles")
        axes.legend(frameon=False)
    drawn = np.concatenate([low, median, high])
    if np.all(drawn[np.isfinite(drawn)] > 0):
        axes.set_yscale("log")
    axes.set_xlabel("evaluations")
    axes.set_ylabel("best value")
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def quartiles(histories: Sequence[Steps], grid: NDArray[np.int64]) -> NDArray[np.float64]:
    """The lower quartile, the median and the upper quartile of the best values after each number of evaluations, (3,
    grid). They are values that a run has: between two of them an infinite one would make all infinite or nan."""
    rows = [np.concatenate([[np.inf], f])[np.searchsorted(at, grid, side="right")] for at, f in histories]
    return np.quantile(np.array(rows), (0.25, 0.5, 0.75), axis=0, method="nearest")
