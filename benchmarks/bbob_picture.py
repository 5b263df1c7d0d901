"""The empirical distributions of running times of the BBOB comparison."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
import numpy as np
from bbob_runs import TARGETS, Cell

matplotlib.use("Agg")
from matplotlib import pyplot as plt

POINTS = np.linspace(0, 4, 401)  # log10 of evaluations by dimensions
INK = "#222222"


def draw(cells: Mapping[str, Cell], dimensions: Sequence[int], path: Path) -> None:
    """A column for each number of dimensions: above ours, below the peers, with our CMA-ES in both."""
    names = list(dict.fromkeys(cell.solver for cell in cells.values()))
    ours = [name for name in names if name.startswith("thalweg")]
    rows = (ours, ["thalweg cma", *(name for name in names if name not in ours)])
    figure, axes = plt.subplots(2, len(dimensions), figsize=(13, 8.5), sharex=True, sharey=True, layout="constrained")
    for row, shown in zip(axes, rows, strict=True):
        for panel, dim in zip(row, dimensions, strict=True):
            lines = {name: share(cells, name, dim) for name in shown}
            for at, (name, line) in enumerate(lines.items()):
                first = name == "thalweg cma"
                style = {"color": INK, "linewidth": 2.2} if first else {"color": f"C{(at - 1) % 10}", "linewidth": 1.2}
                panel.plot(POINTS, line, label=name, linestyle="--" if at > 10 else "-", **style)
            panel.set(xlim=(0, 4), ylim=(0, 1), title=f"{dim}-D")
            panel.grid(color="#dddddd", linewidth=0.6)
        row[-1].legend(loc="center left", bbox_to_anchor=(1.02, 0.5), frameon=False, fontsize=9)
        row[0].set_ylabel("functions, instances and targets reached")
    for panel in axes[-1]:
        panel.set_xlabel("log10 of evaluations / D")
    figure.savefig(path, dpi=110)
    plt.close(figure)


def share(cells: Mapping[str, Cell], solver: str, dim: int) -> np.ndarray:
    """Of all pairs of a run and a target of a solver, the share that was reached by so many evaluations; nan from where
    its budget ends."""
    own = [cell for cell in cells.values() if cell.solver == solver and cell.dim == dim]
    if not own:
        return np.full(len(POINTS), np.nan)
    functions = [
        np.searchsorted(np.sort([hit for run in cell.hits for hit in run]), dim * 10**POINTS, side="right")
        / (len(cell.hits) * len(TARGETS))
        for cell in own
    ]
    within = dim * 10**POINTS <= own[0].budget * 1.0001
    return np.where(within, np.mean(functions, axis=0), np.nan)
