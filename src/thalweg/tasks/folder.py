"""The folder that data sets are read from, and what is said where one is missing."""

import os
from pathlib import Path

VARIABLE = "THALWEG_DATA"
OPENML = "openml"  # stands for the folder where data are to be downloaded instead


class DataMissing(Exception):
    """Data that a task needs are not there. The message says where they were looked for, and the ways to get them."""


def data_folder(data_dir: str | Path | None) -> Path | None:
    """The folder given, else that of the environment variable THALWEG_DATA, else None.

    It is absolute, for processes that start elsewhere. "openml", and "openml:FOLDER" with the folder to keep downloads
    in, stay as they are.
    """
    chosen = data_dir or os.environ.get(VARIABLE)
    if not chosen:
        return None
    return Path(chosen) if is_openml(chosen) else Path(chosen).expanduser().absolute()


def is_openml(folder: str | Path | None) -> bool:
    """Whether data are to be downloaded from OpenML rather than read from a folder."""
    return str(folder).partition(":")[0] == OPENML


def data_missing(title: str, folder: Path | None, files: str, *ways: str) -> DataMissing:
    """The error for a data set whose `files` are not in the folder; `ways` are those of getting it."""
    looked = f"looked for {folder / files}" if folder else f"no folder was named, and {VARIABLE} is not set"
    if is_openml(folder):
        looked = "they are not read from OpenML"
    told = " or ".join(f"({number}) {way}" for number, way in enumerate(ways, start=1))
    return DataMissing(f"the data of {title} are missing: {looked}. Either {told}. See docs/data.md.")
