"""A user's own task: a function in a Python file, named as path/to/file.py:function."""

import hashlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import cloudpickle

from thalweg.tasks.folder import DataMissing
from thalweg.tasks.task import Task

SEPARATOR = ".py:"


def is_user_task(name: str) -> bool:
    """Whether a name is that of a function in a file, rather than of a task that is known here."""
    return SEPARATOR in name


def user_task(name: str) -> Task:
    """The task that a user's function returns, which is called without arguments.

    Raises ValueError, which names the file, the function and the trouble, where the file cannot be run or has no such
    function, where this fails, or returns anything but a Task. DataMissing passes.
    """
    path_text, _, function_name = name.rpartition(":")
    path = Path(path_text).expanduser()
    module = module_from(path, f"task {name}")
    function = getattr(module, function_name, None)
    if function is None:
        known = [key for key, value in vars(module).items() if getattr(value, "__module__", None) == module.__name__]
        told = f"; it has {', '.join(known)}" if known else ""
        raise ValueError(f"task {name}: {path} has no function {function_name!r}{told}")
    if isinstance(function, Task):
        raise ValueError(f"task {name}: {function_name} is a Task already; name a function that returns one")
    if not callable(function):
        raise ValueError(f"task {name}: {function_name} is no function but a {type(function).__name__}")
    try:
        task = function()
    except DataMissing:
        raise
    except (Exception, SystemExit) as error:  # whatever a user's own code raises
        raise ValueError(f"task {name}: {function_name}() in {path} failed: {_told(error, path)}") from error
    if not isinstance(task, Task):
        raise ValueError(
            f"task {name}: {function_name}() in {path} must return a thalweg.Task, got {type(task).__name__}"
        )
    return task


def module_from(path: Path, whose: str) -> ModuleType:
    """A user's file as a module. Other processes may not have it, so what it defines is pickled by value.

    Raises ValueError, which begins with `whose`, where there is no such file or it cannot be run.
    """
    path = path.expanduser().resolve()
    if not path.is_file():
        raise ValueError(f"{whose}: there is no file {path}")
    content = path.read_bytes()
    module_name = f"thalweg_user_{path.stem}_{hashlib.sha256(bytes(path) + content).hexdigest()[:12]}"
    if module_name in sys.modules:
        return sys.modules[module_name]
    spec = importlib.util.spec_from_file_location(module_name, path)
    if spec is None or spec.loader is None:
        raise ValueError(f"{whose}: {path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module  # where dataclasses and pickle look it up
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # whatever a user's own file raises
        del sys.modules[module_name]
        raise ValueError(f"{whose}: {path} could not be run: {_told(error, path)}") from error
    cloudpickle.register_pickle_by_value(module)
    return module


def _told(error: BaseException, path: Path) -> str:
    """The error, and the line of the user's file that it came from."""
    lines = []
    traceback = error.__traceback__
    while traceback:
        if Path(traceback.tb_frame.f_code.co_filename) == path.resolve():
            lines.append(traceback.tb_lineno)
        traceback = traceback.tb_next
    where = f" (line {lines[-1]})" if lines else ""
    return f"{type(error).__name__}: {error}{where}"
