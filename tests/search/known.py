"""What each strategy is known to solve, and in how many evaluations: the table that `test_known_optimum.py` reads."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Cell:
    """A strategy on a function in ten dimensions, at most `budget` evaluations a run, to 1e-8 unless said otherwise.

    `reference`: the median evaluations of the runs that solve it, measured before; None where the strategy is known not
    to solve it. `source`: who measured: "spec" is the table of measured peers and prototypes, "own" is this code, once.
    """

    strategy: str
    function: str
    reference: int | None
    source: str
    target: float = 1e-8
    budget: int = 100_000
    hyperparameters: dict = field(default_factory=dict)
    slow: bool = False


CELLS: list[Cell] = []
