"""How many evaluations searches without gradients need on BBOB functions, beside pycma, scipy, EvoX and EvoTorch.

    python benchmarks/bbob.py --out benchmarks/bbob.txt
    python benchmarks/bbob.py --show --out benchmarks/bbob.txt
    python benchmarks/bbob.py --only cma f8 10-D

Functions 1, 2, 3, 8, 10, 15, 20 and 21 of the black-box optimization benchmark (Hansen et al. 2009), as package cma has
them, in 5, 10 and 20 dimensions, 15 instances each. All solvers are given f less its optimum, in float64; a run ends
when it is 1e-8 or when its budget is spent. CMA-ES, ours and pycma's, begins at the same point of [-4, 4]^D with a
standard deviation of 2 and no bounds; on functions 3, 15, 20 and 21, of many optima, both begin anew with twice the
population whenever they come to rest; on 15 and 21 in 5-D, where times scatter, each instance is run three times.
The others search [-5, 5]^D.

The expected running time is what all runs spent until they reached the target, or in vain, by how many reached it. The
picture shows which share of all functions, instances and targets was reached by so many evaluations.

What is found is kept cell by cell beside this script, in bbob.json: a run that was interrupted goes on, and `--show`
makes the table and the picture from it without running anything.
"""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import torch
from bbob_picture import draw
from bbob_runs import TARGETS, Cell, Run, key_of
from bbob_solvers import SOLVERS, Solver
from threadpoolctl import threadpool_limits
from timing import arguments_of, processor, publish, verdict

FUNCTIONS = {
    1: "sphere", 2: "separable ellipsoid", 3: "separable Rastrigin", 8: "Rosenbrock", 10: "ellipsoid",
    15: "Rastrigin", 20: "Schwefel", 21: "101 Gaussian peaks",
}  # fmt: skip
DIMENSIONS = (5, 10, 20)
SCATTERED = ((15, 5), (21, 5))  # where pycma solves most runs, but at times that differ tenfold
SHOWN = (0, 1, 2, 4, 6, 9)  # of TARGETS: 10, 1, 0.1, 1e-3, 1e-5, 1e-8
OURS, PEER, MOST = "thalweg cma", "pycma", 1.2
RECORDS, PICTURE = Path(__file__).with_suffix(".json"), Path(__file__).with_suffix(".png")

Cells = dict[str, Cell]


# Running


def run_all(records: Path, only: Sequence[str]) -> Cells:
    cells = load(records)
    for dim in DIMENSIONS:
        for function in FUNCTIONS:
            for name, solver in SOLVERS.items():
                key = key_of(name, function, dim)
                if key not in cells and all(part in key.replace(",", "").split() or part == name for part in only):
                    cells[key] = run_cell(name, solver, function, dim)
                    print(f"{key:44}{cells[key].seconds:8.1f} s", flush=True)
                    save(records, cells)
    return cells


def run_cell(name: str, solver: Solver, function: int, dim: int) -> Cell:
    repeats = range(solver.repeats if (function, dim) in SCATTERED else 1)
    instances = [(instance, repeat) for instance in range(1, solver.instances + 1) for repeat in repeats]
    runs = [Run(function, instance, repeat, dim, solver.budget * dim) for instance, repeat in instances]
    start = time.process_time()
    solver.solve(runs)
    seconds = time.process_time() - start
    hits, evals = tuple(tuple(run.hits) for run in runs), tuple(run.evals for run in runs)
    return Cell(name, function, dim, solver.budget * dim, hits, evals, round(seconds, 1))


def load(records: Path) -> Cells:
    if not records.exists():
        return {}
    cells = [Cell(**json.loads(line)) for line in records.read_text().splitlines()]
    return {cell.key: cell for cell in cells}


def save(records: Path, cells: Cells) -> None:
    """A line a cell, in one order."""
    order = {key_of(name, f, dim): None for dim in DIMENSIONS for f in FUNCTIONS for name in SOLVERS}
    lines = [json.dumps(asdict(cells[key]), separators=(",", ":")) for key in order if key in cells]
    unfinished = records.with_suffix(".part")
    unfinished.write_text("\n".join(lines) + "\n")
    unfinished.replace(records)


# Showing


def table(cells: Cells, dim: int) -> Iterable[str]:
    columns = "".join(f"{f'{TARGETS[target]:g}':>10}" for target in SHOWN)
    yield f"{f'{dim}-D: expected running time to':34}{columns}   solved   budget"
    for function, title in FUNCTIONS.items():
        yield f"f{function}, {title}"
        for name in SOLVERS:
            cell = cells.get(key_of(name, function, dim))
            if cell is not None:
                times = "".join(f"{shown(cell.expected_running_time(target)):>10}" for target in SHOWN)
                solved = f"{len(cell.reached(len(TARGETS) - 1))}/{len(cell.hits)}"
                yield f"  {name:32}{times}{solved:>9}{cell.budget:>9}"


def shown(evals: float) -> str:
    return "-" if np.isinf(evals) else f"{evals:.0f}"


def bars(cells: Cells) -> Iterable[str]:
    """Ours by pycma's expected running time to the last target, wherever that solved half of its runs; where runs are
    few and scattered, the ratio is too, so nine tenths of what drawing runs anew gives is printed beside it."""
    last = len(TARGETS) - 1
    for dim in DIMENSIONS:
        for function, title in FUNCTIONS.items():
            ours, peer = (cells.get(key_of(name, function, dim)) for name in (OURS, PEER))
            if ours is None or peer is None or 2 * len(peer.reached(last)) < len(peer.hits):
                continue
            ratio = ours.expected_running_time(last) / peer.expected_running_time(last)
            low, high = scatter(ours, peer, last)
            yield f"{verdict(f'f{function}, {title}, {dim}-D', ratio, MOST)}  {low:.2f} to {high:.2f}"


def scatter(ours: Cell, peer: Cell, target: int, draws: int = 2000) -> tuple[float, float]:
    generator = np.random.default_rng(0)
    ratios = []
    for _ in range(draws):
        mine, theirs = (generator.integers(len(cell.hits), size=len(cell.hits)) for cell in (ours, peer))
        ratios.append(ours.expected_running_time(target, mine) / peer.expected_running_time(target, theirs))
    return tuple(np.nanquantile(ratios, (0.05, 0.95)))


def versions(packages: Sequence[str] = ("cma", "scipy", "evox", "evotorch")) -> str:
    found = []
    for package in packages:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            found.append(f"no {package}")
    return ", ".join(found)


def report(cells: Mapping[str, Cell]) -> list[str]:
    hours = sum(cell.seconds for cell in cells.values()) / 3600
    return [
        "Evaluations that searches without gradients need on BBOB functions; expected running time to f - f* of ...",
        f"{platform.machine()}, {processor()}; torch {torch.__version__}, {versions()}, "
        f"Python {platform.python_version()};",
        f"{len(cells)} cells, {hours:.1f} hours of one core",
        "",
        *(line for dim in DIMENSIONS for line in (*table(dict(cells), dim), "")),
        f"{OURS} / {PEER}, expected running time to 1e-8 where {PEER} solves half of its runs or more;",
        "the bars they are held to, and 90 % of what drawing the runs anew gives:",
        *bars(dict(cells)),
    ]


def main() -> None:
    parser = arguments_of(__doc__, 0)
    parser.add_argument("--show", action="store_true", help="run nothing")
    parser.add_argument("--only", nargs="+", default=(), help="run cells of these alone, such as: pycma f8 10-D")
    parser.add_argument("--records", type=Path, default=RECORDS, help="where cells are kept")
    parser.add_argument("--picture", type=Path, default=PICTURE, help="where the picture goes")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)  # which EvoX searches in
    with threadpool_limits(1):
        cells = load(arguments.records) if arguments.show else run_all(arguments.records, arguments.only)
    publish(report(cells), arguments.out)
    draw(cells, DIMENSIONS, arguments.picture)


if __name__ == "__main__":
    main()
