"""Which data a part of a paper lacks."""

from __future__ import annotations

from pathlib import Path

from thalweg.reproduce.paper import Part
from thalweg.tasks import DATA_TASKS, DataMissing, find
from thalweg.tasks.folder import data_folder
from thalweg.tasks.images import UNPACK
from thalweg.tasks.uci_tables import TABLES

_TASK_OF_FILE = {table.file: f"uci_{table.name}" for table in TABLES}


def lacking(part: Part, data_dir: Path | None = None) -> list[str]:
    """What a part needs and is not there, in a folder or that of THALWEG_DATA; nothing is read or downloaded."""
    return [need for need in part.needs if not _is_there(need, data_dir)]


def _is_there(need: str, data_dir: Path | None) -> bool:
    task = _TASK_OF_FILE.get(need, need.replace("-", "_"))
    if task in DATA_TASKS:
        try:
            find(task, data_dir).look_for_data()
        except DataMissing:
            return False
        return True
    folder = data_folder(data_dir)
    return folder is not None and any((folder / f"{need}{ending}").exists() for ending in UNPACK)
