"""Every task by its name."""

import difflib
from collections.abc import Callable
from pathlib import Path

from thalweg.names import shown
from thalweg.tasks.bundled import breast_cancer, diabetes, digits, iris, wine
from thalweg.tasks.sequences import Kind, characters, modular_addition, modular_addition_gru
from thalweg.tasks.task import Task
from thalweg.tasks.uci import UCI, UCI_TASKS
from thalweg.tasks.user import is_user_task, user_task
from thalweg.tasks.vision import VISION_TASKS

_TABULAR = (iris, wine, breast_cancer, digits, diabetes)
_SEQUENCES = (modular_addition, modular_addition_gru)

TASKS: dict[str, Callable[[], Task]] = {task.__name__: task for task in (*_TABULAR, *_SEQUENCES)}
"""The tasks whose data come with the package or are made by it."""

DATA_TASKS: dict[str, Callable[[str | Path | None], Task]] = {**UCI_TASKS, **VISION_TASKS}
"""The tasks whose data must be there: functions of the data folder, or of None for that of THALWEG_DATA."""

PRESETS: dict[str, tuple[str, ...]] = {
    "bundled": tuple(task.__name__ for task in _TABULAR),
    "sequences": tuple(task.__name__ for task in _SEQUENCES),
    "uci": tuple(f"uci_{name}" for name in UCI),
    "vision": ("mnist", "fashion_mnist", "cifar10"),
}
"""Tasks that are raced together."""

CHARACTER_MODELS: dict[str, Kind] = {"chars:": "transformer", "chars-gru:": "gru", "chars_gru:": "gru"}


def find(name: str, data_dir: str | Path | None = None) -> Task:
    """The task of that name, in either spelling; its data are not read yet.

    Besides those of `TASKS` and `DATA_TASKS` there are `chars:PATH` and `chars-gru:PATH`, a character model of any
    text file, and `path/to/file.py:function`, a user's own. Raises ValueError for another name, with those near it.

    >>> find("breast-cancer").name
    'breast_cancer'
    """
    if is_user_task(name):
        return user_task(name)
    for prefix, network in CHARACTER_MODELS.items():
        if name.startswith(prefix):
            return characters(name.removeprefix(prefix), network)
    key = name.replace("-", "_")
    if key in TASKS:
        return TASKS[key]()
    if key in DATA_TASKS:
        return DATA_TASKS[key](data_dir)
    near = difflib.get_close_matches(key, [*TASKS, *DATA_TASKS], n=3)
    hint = f"did you mean {' or '.join(map(shown, near))}?" if near else "`thalweg tasks` lists them all"
    raise ValueError(f"there is no task {name!r}: {hint}")
