"""A paper that was never published, with claims of every kind, and records of it that were never measured."""

from dataclasses import dataclass, replace
from pathlib import Path

from thalweg.race.report.table import Cell, Table
from thalweg.reproduce import Measured, Options, Paper, Part, Picture, Records
from thalweg.tasks import DataMissing

CLAIMS = {
    "supplement_02.csv": """table,row,column,quantity,value,note
S2,ackley,mpso,value,2e-8,
S2,ackley,mpso,iterations,40,"fixed beforehand, one number for both"
S2,ackley,empso,value,0.50,
S2,ackley,empso,iterations,40,"fixed beforehand, one number for both"
""",
    "table_1.csv": """table,row,column,quantity,value,note
I,iris,sgd,accuracy,92,
I,iris,adam,accuracy,90.0,
I,iris,fancy_adam,accuracy,98.22,
I,wide_set,sgd,accuracy,,NA
I,wide_set,adam,accuracy,55.56,
I,wide_set,fancy_adam,accuracy,75,"printed ""7<5"", taken for 75"
""",
    "table_2.csv": """table,row,column,quantity,value,note
II,root,true,gradient,inf,
II,root,emulated,gradient,78556.23,
""",
}
SEEDS = 5
LOST = "the data of MNIST are missing: get them"


@dataclass(frozen=True)
class MadePaper(Paper):
    """Its files are in a folder of a test."""

    place: Path = Path()

    @property
    def folder(self):
        return self.place


def made_paper(place: Path, **changes) -> MadePaper:
    """Of three parts; that of Table II never finds its data."""
    (place / "claims").mkdir(parents=True, exist_ok=True)
    for name, text in CLAIMS.items():
        (place / "claims" / name).write_text(text)
    parts = (
        Part("sets", "Data sets & more", ("I",), "a moment", (), measure("I")),
        Part("searches", "Searches", ("S2",), "a moment", (), measure("S2")),
        Part("roots", "Roots", ("II",), "a day", ("mnist", "own/file.csv"), lose),
    )
    paper = MadePaper(
        "made", "Made <up>", "Nobody (2026). Nothing.", parts, {"fancy_adam": "adam", "empso": "mpso"}, drawn,
        ("One | note.", "Another."), {"I": "Three optimizers."}, further, place=place,
    )  # fmt: skip
    return replace(paper, **changes)


def numbers(middle: float, spread: float) -> tuple[float, ...]:
    """Five numbers of this mean; those of two calls with one spread differ by the same in all places."""
    return tuple(round(middle + spread * step, 4) for step in (-1.0, 1.0, 0.0, -0.5, 0.5))


MEASURED = (
    Measured("I", "iris", "sgd", "accuracy", numbers(92.4, 0.3), numbers(88, 1), 33.33),
    Measured("I", "iris", "adam", "accuracy", numbers(80, 1), numbers(95, 1), 33.33, missing="batch size"),
    Measured("I", "iris", "fancy_adam", "accuracy", numbers(85, 1.1), numbers(94, 1), 33.33, missing="batch size"),
    Measured("I", "iris", "fancy_adam_plain", "accuracy", numbers(85, 1), numbers(94, 1)),
    Measured("I", "wide_set", "adam", "accuracy", numbers(55.5, 0.1), constant=55.56),
    Measured("I", "wide_set", "fancy_adam", "accuracy", numbers(60, 0.1), constant=55.56, scale="a tenth"),
    Measured("S2", "ackley", "mpso", "value", (1e-9,) * SEEDS),
    Measured("S2", "ackley", "mpso", "iterations", (40.0,) * SEEDS),
    Measured("S2", "ackley", "empso", "value", (float("inf"), *numbers(0.5, 0.1)[1:]), missing="not said: bounds"),
    Measured("S2", "ackley", "empso", "iterations", (40.0,) * SEEDS),
)
RUN = {
    "scale": "full", "seconds": 61.0, "workers": 2, "device": "cpu", "started": "2026-01-01T00:00:00+00:00",
    "versions": {"thalweg": "0.1.0", "torch": "2.13.0"}, "machine": {"cpu": "some"}, "git": {"commit": "b57af56"},
}  # fmt: skip
SETTINGS = {
    "parts": {"sets": RUN, "searches": RUN}, "not_run": {"roots": LOST}, "sizes": {"seeds": SEEDS, "of": {"a": [1, 2]}},
}  # fmt: skip
RECORDS = Records("made", MEASURED, {"line": [1, 2]}, SETTINGS)
# What the verdicts on these records must be.
WORDS = {
    ("I", "iris", "sgd"): "reproduced", ("I", "iris", "adam"): "under-specified",
    ("I", "iris", "fancy_adam"): "direction only", ("I", "wide_set", "adam"): "reproduced",
    ("I", "wide_set", "fancy_adam"): "direction only", ("S2", "ackley", "mpso"): "reproduced",
    ("S2", "ackley", "empso"): "under-specified", ("II", "root", "true"): "not run",
    ("II", "root", "emulated"): "not run",
}  # fmt: skip


def measure(table: str):
    """A run of a part that measures nothing."""

    def run(options: Options, tell) -> Records:
        tell(f"measuring {table}")
        return Records("made", tuple(one for one in MEASURED if one.table == table), {f"line_{table}": [1, 2]})

    return run


def lose(options: Options, tell) -> Records:
    raise DataMissing(LOST)


def further(records: Records) -> list[Table]:
    return [Table("further", "A <further> table", ["", "of"], [[Cell("a | b"), Cell("better", 1.0, mark="good")]])]


def drawn(records: Records) -> list[Picture]:
    if "line" not in records.figures:
        return []
    svg = '<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><path d="M0 0h9"/></svg>'
    return [Picture("A line & more", svg, "It is 9 long.")]
