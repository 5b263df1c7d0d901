"""The functions of the paper: Tables I to III, its Figures 1 and 2, and supplementary tables 4, 12 to 15 and 17."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from thalweg.race.jobs import one_thread
from thalweg.reproduce.adaswarm import descents, minima
from thalweg.reproduce.adaswarm.descents import measured_descents
from thalweg.reproduce.adaswarm.error_gradients import error_curves
from thalweg.reproduce.adaswarm.gradients import SPAN, curves, measured_gradients, orders
from thalweg.reproduce.adaswarm.minima import measured_engineering, measured_minima
from thalweg.reproduce.adaswarm.one_dimensional import DIFFERENTIABLE, NOT_DIFFERENTIABLE, OF_SUPPLEMENT_4
from thalweg.reproduce.adaswarm.two_dimensional import CONSTRAINED, FREE
from thalweg.reproduce.paper import Options, Part, Tell
from thalweg.reproduce.records import Records

SEEDS = 10
NETWORKS, QUICK_NETWORKS, EPOCHS = 5, 2, 30
RUNS, QUICK_RUNS = 100, 20


def run_functions(options: Options, tell: Tell) -> Records:
    """Descents and gradients on functions of one number, and the stand-in for Figure 2."""
    with one_thread():
        return function_records(SEEDS, QUICK_NETWORKS if options.quick else NETWORKS, EPOCHS, tell)


def run_minima(options: Options, tell: Tell) -> Records:
    """EMPSO and MPSO as minimizers."""
    with one_thread():
        return minima_records(QUICK_RUNS if options.quick else RUNS, tell)


def function_records(seeds: int, networks: int, epochs: int, tell: Tell) -> Records:
    """What `run_functions` runs, with as many seeds, networks and epochs."""
    tell("descents on functions of one number")
    cells = [*measured_descents(seeds)]
    tell("gradients on functions of one number")
    cells += measured_gradients(seeds)
    figures: dict[str, Any] = {"gradients": curves(), "order": orders(seeds)}
    tell(f"{networks} networks with true error gradients and with a swarm's")
    figures["error_gradients"] = error_curves(networks, epochs)
    functions = (*DIFFERENTIABLE, *NOT_DIFFERENTIABLE, *OF_SUPPLEMENT_4)
    chosen = {
        "seeds": seeds, "start": descents.START, "eta": descents.ETA, "tolerance": descents.TOLERANCE,
        "most_steps": descents.STEPS, "particles": descents.PARTICLES, "span_of_fitted": SPAN,
        "domains": {one.name: list(one.domain) for one in functions},
        "fair_starts": {one.name: list(one.starts or one.domain) for one in functions},
    }  # fmt: skip
    return Records("adaswarm", tuple(cells), figures, {"functions": chosen})


def minima_records(runs: int, tell: Tell) -> Records:
    """What `run_minima` runs, with as many runs a cell."""
    tell(f"MPSO and EMPSO on {len(FREE) + len(CONSTRAINED)} functions of the plane, {runs} runs")
    cells, figures = measured_minima(runs)
    tell("EMPSO on five engineering problems")
    cells += measured_engineering(runs)
    if runs < RUNS:
        cells = [replace(cell, scale=f"{runs} runs instead of {RUNS}") for cell in cells]
    chosen = {
        "runs": runs, "seed": 0, "particles": minima.PARTICLES, "most_iterations": minima.MOST,
        "variants": {name: repr(variant) for name, variant in minima.VARIANTS.items()},
        "bounds": {one.name: list(one.bounds) for one in (*FREE, *CONSTRAINED, *minima.ENGINEERING)},
    }  # fmt: skip
    return Records("adaswarm", tuple(cells), figures, {"minima": chosen})


FUNCTIONS = Part(
    "functions",
    "Gradients and descents on functions",
    ("I", "II", "III", "S4"),
    "20 seconds",
    (),
    run_functions,
    figures=("1", "2 (a stand-in)"),
    quick_minutes=0.3,
)
MINIMA = Part(
    "minima",
    "EMPSO and MPSO on test functions",
    ("S12", "S13", "S14", "S15", "S17"),
    "a minute; half as long with --quick",
    (),
    run_minima,
    quick_minutes=0.5,
)
PARTS = (FUNCTIONS, MINIMA)
