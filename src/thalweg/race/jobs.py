"""Jobs: trials of one task on their way to a worker, and what the worker does with them."""

from __future__ import annotations

import platform
import socket
import threading
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import cloudpickle
import torch

import thalweg
from thalweg.race.arrangement import Arrangement, measure
from thalweg.race.record import Record
from thalweg.race.trial import ALONE, Job, Trial
from thalweg.tasks import Task

OURS = tuple(str(Path(str(module.__file__)).parent) for module in (thalweg, torch))

# In an executor of threads jobs take turns: torch's number of threads and its global generator are the process's.
turn = threading.RLock()


class EngineError(Exception):
    """A cluster cannot be reached or used, or the package that talks to it is not there."""


class TrialFailed(ValueError):
    """A trial raised: network, loss or metric of its task, or the optimizer of its method, cannot be trained with."""


def measure_task(made_with: Mapping[str, str], task: Task | bytes, device: str) -> Arrangement:
    """What a worker does first: measures how the trials of a task are best trained."""
    check_versions(made_with)
    with turn:
        task = _unpacked_task(task)
        with one_thread(), _blame(named(task)):
            return measure(task, device)


def run_job(
    made_with: Mapping[str, str], task: Task | bytes, trials: Sequence[Trial] | bytes, arrangement: str, device: str
) -> list[Record]:
    """What a worker does: runs the trials of a task, with one torch thread, and no two jobs of a process at once.

    Raises TrialFailed, naming task and method, where a trial raises or its metric is not a finite number.
    """
    check_versions(made_with)
    with turn:
        task = _unpacked_task(task)
        given: Sequence[Trial] = unpacked(trials) if isinstance(trials, bytes) else trials
        # Trials that train alone are nothing to each other, and it is well to know which one failed.
        together = [[trial] for trial in given] if arrangement == ALONE else [given]
        records = []
        for few in together:
            with one_thread(), _blame(named(task, few)):
                records += Job(task, tuple(few), arrangement, device).run()
        for record in records:
            _check_finite(record)
        return records


def packed(thing: Any, what: str) -> bytes:
    """As it is sent to another process, with what that cannot import, such as functions of a notebook.

    Raises ValueError, naming it by `what`, where it cannot be sent.
    """
    try:
        return cloudpickle.dumps(thing)
    except Exception as error:  # whatever the parts of a user's task raise
        raise ValueError(
            f"{what} cannot be sent to another process ({type(error).__name__}: {error}); with workers=1 it need not be"
        ) from error


def named(task: Task, trials: Sequence[Trial] = ()) -> str:
    """Whose trials they are, for errors: `task iris, method adam`."""
    methods = list(dict.fromkeys(trial.method.name for trial in trials))
    return ", ".join([f"task {task.name}", *([f"method {' or '.join(methods)}"] if methods else [])])


def versions() -> dict[str, str]:
    """Those that results depend on, and that must be the same where a trial is made and where it is run."""
    python = ".".join(platform.python_version_tuple()[:2])
    return {"python": python, "torch": torch.__version__, "thalweg": thalweg.__version__}


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch uses one thread: two of them that compete for cores make a small step 10 to 80 times slower."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@lru_cache(maxsize=16)
def kept(packed: bytes) -> Any:
    """What was packed, unpacked once however often it is asked for. Raises EngineError as `unpacked` does."""
    return unpacked(packed)


def unpacked(packed: bytes) -> Any:
    """What was packed. Raises EngineError where this machine lacks what it needs."""
    try:
        return cloudpickle.loads(packed)
    except Exception as error:  # whatever the modules of a user raise when they are imported
        raise EngineError(
            f"a worker on {socket.gethostname()} cannot unpack what it is sent ({type(error).__name__}: {error}); what "
            "task and methods import must be installed there too"
        ) from error


def _unpacked_task(task: Task | bytes) -> Task:
    return kept(task) if isinstance(task, bytes) else task


def check_versions(made_with: Mapping[str, str]) -> None:
    """Raises EngineError where what a job was made with is another version than is here."""
    own = versions()
    for name, version in made_with.items():
        if own[name] != version:
            raise EngineError(
                f"a worker on {socket.gethostname()} has {name} {own[name]}, but the race is run with {version}: all "
                "must have the same"
            )


@contextmanager
def _blame(whom: str) -> Iterator[None]:
    """Says whose trial it was that raised, in an exception that another process can read."""
    try:
        yield
    except Exception as error:
        frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith(OURS)]
        where = f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
        said = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
        raise TrialFailed(f"{whom}: {said}{where}") from error


def _check_finite(record: Record) -> None:
    """A metric that is not a number where the loss is one is no divergence, and could not be ranked."""
    try:
        record.to_json()
    except ValueError as error:
        raise TrialFailed(
            f"task {record.task}, method {record.method}: the metric is not a finite number, though the loss is: on "
            f"the validation part {record.validation_metric}, on the test part {record.test_metric}"
        ) from error
