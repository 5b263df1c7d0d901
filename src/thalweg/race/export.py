"""The records of a race as one table for other programs: CSV, Parquet, pandas."""

import csv
import dataclasses
import importlib
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thalweg.files import write_atomically
from thalweg.race.record import Record
from thalweg.race.result import RaceResult

if TYPE_CHECKING:
    import pandas

EXTRA = "thalweg[export]"
PREFIX = "hyperparameters."


class ExtraMissing(ImportError):
    """A package that only an export needs is not installed; the message says how to get it."""


def rows(result: RaceResult) -> list[dict[str, Any]]:
    """One row a record, all with the same columns: its place, its fields, and a column a hyperparameter.

    `study`, `draw` and `repeat` are the place of a tuning trial (repeat 0 ran on the study's own seed), None in a final
    one, whose `study` is the one that chose its setting. A hyperparameter that is a tuple has a column for each of its
    values. A method that lacks a hyperparameter has None there.
    """
    placed = list(_placed(result))
    names = sorted({name for _, record in placed for name in _flat(record)})
    return [{**place, **_fields(record), **dict.fromkeys(names), **_flat(record)} for place, record in placed]


def write_csv(result: RaceResult, path: Path) -> None:
    """Writes the rows as CSV, whole or not at all; a curve is a JSON list in its cell. Raises OSError."""
    table = rows(result)
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, fieldnames=list(table[0]) if table else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows({n: json.dumps(v) if isinstance(v, tuple) else v for n, v in row.items()} for row in table)
    write_atomically(path, buffer.getvalue())


def write_parquet(result: RaceResult, path: Path) -> None:
    """Writes the rows as Parquet, whole or not at all; a curve is a list. Raises ExtraMissing or OSError."""
    _needed("pyarrow", "Parquet")
    buffer = io.BytesIO()
    to_pandas(result).to_parquet(buffer, engine="pyarrow", index=False)
    write_atomically(path, buffer.getvalue())


def to_pandas(result: RaceResult) -> "pandas.DataFrame":
    """The rows as a DataFrame. Raises ExtraMissing where pandas is not installed."""
    pandas = _needed("pandas", "to_pandas()")
    frame = pandas.DataFrame(rows(result))
    for name in [column for column in frame if column.startswith(PREFIX)]:
        found = frame[name].dropna()
        if found.map(lambda value: isinstance(value, str)).nunique() > 1:  # a column has one type
            frame[name] = frame[name].map(str, na_action="ignore")
    return frame


def _placed(result: RaceResult) -> Iterator[tuple[dict[str, Any], Record]]:
    for place, studies in result.studies.items():
        for study in studies:
            for number, draw in enumerate(study.draws):
                for repeat, record in enumerate(draw.records):
                    yield {"study": study.index, "draw": number, "repeat": repeat}, record
        for record in result.records[place]:
            yield {"study": record.rep % max(1, len(studies)), "draw": None, "repeat": None}, record


def _fields(record: Record) -> dict[str, Any]:
    fields = {field.name: getattr(record, field.name) for field in dataclasses.fields(record)}
    del fields["hyperparameters"]
    return fields | {"result_hash": record.result_hash}


def _flat(record: Record) -> dict[str, float | int | str]:
    flat: dict[str, float | int | str] = {}
    for name, value in record.hyperparameters.items():
        if isinstance(value, tuple):
            flat |= {f"{PREFIX}{name}.{index}": one for index, one in enumerate(value)}
        else:
            flat[PREFIX + name] = value
    return flat


def _needed(package: str, what: str) -> Any:
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise ExtraMissing(f"{what} needs {package}, which is not installed: pip install '{EXTRA}'") from error
