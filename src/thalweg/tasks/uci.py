"""Reading the UCI data sets, from files in the data folder or from OpenML, and the tasks made of them."""

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from thalweg.tasks.examples import Examples
from thalweg.tasks.folder import OPENML, VARIABLE, DataMissing, data_folder, data_missing, is_openml
from thalweg.tasks.hashes import digest_of, file_hash
from thalweg.tasks.metrics import ACCURACY
from thalweg.tasks.models import mlp
from thalweg.tasks.task import Task
from thalweg.tasks.uci_tables import TABLES, Table

HIDDEN_UNITS = 10  # these three are the paper's
BATCH_SIZE = 50
EPOCHS = 40

UNKNOWN = ""  # how a value that OpenML does not have is written here
PARSER = "liac-arff"  # slower than pandas, but that one fails on nominal columns of whole numbers (pandas 3)


def uci_task(table: Table, data_dir: str | Path | None = None) -> Task:
    """Classification by a network of 10 hidden units; `data_dir` is the data folder, or "openml" to download."""
    data = TableData(table, data_folder(data_dir))
    return Task(
        partial(_network, data),
        cross_entropy,
        data,
        metric=ACCURACY,
        name=f"uci_{table.name}",
        title=table.title,
        batch_size=BATCH_SIZE,
        epochs=EPOCHS,
        source=f"OpenML {table.openml.id}" if data.downloads else table.file,
    )


@dataclass(frozen=True)
class TableData:
    """The examples of a table, read when they are first called for and once in a process."""

    table: Table
    folder: Path | None

    @property
    def downloads(self) -> bool:
        """Whether the data come from OpenML rather than from a file."""
        return is_openml(self.folder)

    def __call__(self) -> Examples:
        return _read(self)

    def checksums(self) -> dict[str, str]:
        if self.downloads:
            examples = self()
            return {f"openml/{self.table.openml.id}": _arrays_hash(examples)}
        return {self.table.file: file_hash(_path(self.table, self.folder))}

    def look(self) -> None:
        """Raises DataMissing where the file is not there; reads and downloads nothing."""
        if not self.downloads:
            _path(self.table, self.folder)


UCI = tuple(table.name for table in TABLES)
UCI_TASKS: dict[str, Callable[[str | Path | None], Task]] = {
    f"uci_{table.name}": partial(uci_task, table) for table in TABLES
}


def read_table(table: Table, path: Path) -> Examples:
    """The examples of a file. Raises ValueError where it is not the file that the table describes."""
    found = file_hash(path)
    if found != table.sha256:
        raise ValueError(
            f"{path} is not the file that {table.title} was raced on: its SHA-256 is {found}, expected {table.sha256}. "
            f"docs/data.md says where that comes from; for a file of your own, write a task of your own"
        )
    with path.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.reader(file) if row][table.header :]
    columns = [[cell.strip() for cell in column] for column in zip(*rows, strict=True)]
    target = table.target % len(columns)
    features = [
        (column, number in table.categorical)
        for number, column in enumerate(columns)
        if number != target and number not in table.drop
    ]
    examples = _encoded(features, columns[target], missing=table.missing, above=table.above, title=table.title)
    _check_shape(table, examples)
    return examples


def fetch_table(table: Table, cache_folder: str | None = None) -> Examples:
    """The examples of the table's data set at OpenML, kept in the cache folder (by default scikit-learn's).

    Raises DataMissing where it cannot be fetched, ValueError where it is not of the shape that is known of it.
    """
    from sklearn.datasets import fetch_openml  # a second, which files in a folder need not wait for

    known = table.openml
    try:
        bunch = fetch_openml(data_id=known.id, data_home=cache_folder, as_frame=True, parser=PARSER)
    except ImportError as error:
        raise DataMissing(f"reading {table.title} from OpenML needs pandas: pip install pandas") from error
    except Exception as error:  # urllib's, http's and scikit-learn's own, whatever the network does
        raise DataMissing(
            f"{table.title} could not be fetched from OpenML ({known.id}): {type(error).__name__}: {error}. Or name a "
            f"folder that holds {table.file} by --data-dir or {VARIABLE}. See docs/data.md."
        ) from error
    if bunch.data.shape != (known.rows, known.columns):
        raise ValueError(
            f"OpenML {known.id} should be {table.title} with {known.rows} rows and {known.columns} columns, but it has "
            f"{bunch.data.shape[0]} and {bunch.data.shape[1]}"
        )
    features = [_column(bunch.data[name]) for name in bunch.data.columns if name not in known.drop]
    target, _ = _column(bunch.target)
    examples = _encoded(features, target, missing=UNKNOWN, above=known.above, title=table.title)
    if known.sha256 not in (None, _arrays_hash(examples)):
        raise ValueError(
            f"OpenML {known.id} ({table.title}) has changed: the SHA-256 of its arrays is {_arrays_hash(examples)}, "
            f"expected {known.sha256}"
        )
    return examples


def _network(data: TableData, generator: torch.Generator) -> nn.Module:
    examples = data()
    return mlp((examples.inputs.shape[1], HIDDEN_UNITS, data.table.classes), generator)


@cache
def _read(data: TableData) -> Examples:
    if data.downloads:
        return fetch_table(data.table, str(data.folder).partition(":")[2] or None)
    return read_table(data.table, _path(data.table, data.folder))


def _path(table: Table, folder: Path | None) -> Path:
    if folder is None or not (folder / table.file).is_file():
        raise data_missing(
            table.title,
            folder,
            table.file,
            f"name a folder that holds {table.file} by --data-dir or {VARIABLE}",
            f"have it downloaded from OpenML (number {table.openml.id}) by --data-dir {OPENML} or {VARIABLE}={OPENML}",
        )
    return folder / table.file


def _column(series: Any) -> tuple[list[str], bool]:
    """A column of a data frame as text, and whether it is categorical: so declared, and not of numbers alone."""
    values = [UNKNOWN if unknown else str(value) for value, unknown in zip(series, series.isna(), strict=True)]
    return values, str(series.dtype) == "category" and not all(
        value == UNKNOWN or _is_number(value) for value in values
    )


def _encoded(
    features: Sequence[tuple[Sequence[str], bool]],
    target: Sequence[str],
    *,
    missing: str | None,
    above: float | None,
    title: str,
) -> Examples:
    """Examples from columns of text, each with whether it is categorical; rows that miss a value are left out."""
    kept = np.array([missing not in row for row in zip(*(column for column, _ in features), strict=True)])
    blocks = [
        _one_hot(np.array(column)[kept]) if categorical else _numbers(np.array(column)[kept], title)[:, None]
        for column, categorical in features
    ]
    labels = np.array(target)[kept]
    classes = np.unique(labels, return_inverse=True)[1] if above is None else _numbers(labels, title) > above
    inputs = np.concatenate(blocks, axis=1).astype(np.float32)
    return Examples(torch.from_numpy(inputs), torch.from_numpy(classes.astype(np.int64)))


def _one_hot(values: np.ndarray) -> np.ndarray:
    return (values[:, None] == np.unique(values)).astype(np.float64)


def _numbers(values: np.ndarray, title: str) -> np.ndarray:
    try:
        return values.astype(np.float64)
    except ValueError as error:
        raise ValueError(f"{title}: a column of numbers holds something else: {error}") from error


def _is_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True


def _check_shape(table: Table, examples: Examples) -> None:
    found = (*examples.inputs.shape, len(examples.targets.unique()))
    if found != (table.rows, table.features, table.classes):
        raise ValueError(
            f"{table.title} should become {table.rows} rows, {table.features} features and {table.classes} classes, "
            f"but it became {found[0]}, {found[1]} and {found[2]}"
        )


def _arrays_hash(examples: Examples) -> str:
    return digest_of(examples.inputs, examples.targets).hexdigest()
