"""Every strategy finds the optima that it is known to find, in not many more evaluations than it is known to take."""

import pytest
from search.functions import Function, evaluations_to, strategy_for
from search.known import CELLS

LONG = 30_000  # evaluations, from which on a cell is left to the slow tests


def _parameter(cell):
    settings = "".join(f",{name}={value}" for name, value in cell.hyperparameters.items())
    marks = [pytest.mark.slow] if cell.slow or (cell.reference or 0) >= LONG else []
    return pytest.param(cell, marks=marks, id=f"{cell.strategy}{settings}-{cell.function}")


@pytest.mark.parametrize("cell", [_parameter(cell) for cell in CELLS])
def test_five_runs_reach_the_optimum_as_known(cell):
    function = Function(cell.function)
    strategy = strategy_for(function, cell.strategy, cell.budget, **cell.hyperparameters)
    most = cell.budget if cell.reference is None else min(cell.budget, 3 * cell.reference)
    hits, best = evaluations_to(cell.target, function, strategy, most)
    solved = hits[hits.isfinite()]
    if cell.reference is None:
        assert len(solved) < 4, f"solved now, in {sorted(solved.tolist())}: give this cell a reference"
    else:
        assert len(solved) >= 4, f"best {best.tolist()}"
        assert solved.median() <= 1.3 * cell.reference
