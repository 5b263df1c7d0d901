"""Where jobs run: in this process, in local ones, on a Dask cluster, or in any `concurrent.futures.Executor`."""

from __future__ import annotations

import ctypes
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Executor, Future, ProcessPoolExecutor
from concurrent.futures import wait as wait_for
from contextlib import contextmanager
from functools import cached_property
from multiprocessing import active_children, connection, get_context, parent_process
from typing import Any

import torch

from thalweg.race.arrangement import Arrangement
from thalweg.race.jobs import EngineError, measure_task, named, packed, run_job, versions
from thalweg.race.record import Record
from thalweg.race.trial import Trial
from thalweg.tasks import Task

CONNECT_SECONDS = 5
WORKER_SECONDS = 60  # in which a cluster must have its first worker
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of mallopt(3)


class WorkerDied(Exception):
    """A worker process ended without a result: killed, or out of memory."""


class Here(Executor):
    """Runs what is submitted in this process, one after another, each when it is waited for."""

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
        """A future that is run by `completed`, or when its result is asked for."""
        return _Postponed(lambda: function(*arguments, **named))


class Parcel:
    """A task on its way to an executor: packed once, with what others cannot import; to this process as it is."""

    def __init__(self, task: Task, device: str) -> None:
        self.task, self.device = task, device

    def measure(self, executor: Executor) -> Future[Arrangement]:
        """Has it measured how the task's trials are best trained."""
        return executor.submit(measure_task, versions(), self._for(executor), self.device)

    def run(self, executor: Executor, trials: Sequence[Trial], arrangement: str) -> Future[list[Record]]:
        """Has a job of trials run. Raises ValueError where task or methods cannot be sent to another process."""
        job = tuple(trials) if isinstance(executor, Here) else packed(tuple(trials), named(self.task, trials))
        return executor.submit(run_job, versions(), self._for(executor), job, arrangement, self.device)

    def _for(self, executor: Executor) -> Task | bytes:
        return self.task if isinstance(executor, Here) else self._bytes

    @cached_property
    def _bytes(self) -> bytes:
        return packed(self.task, named(self.task))


@contextmanager
def executor(engine: str | Executor | None, workers: int) -> Iterator[Executor]:
    """Where jobs are submitted, for as long as the block lasts.

    `engine`: None for `workers` processes of this machine (1: this very process), the address of a Dask scheduler
    (`tcp://host:port`), or an executor, which is left open. When the block raises, on Ctrl-C too, the processes are
    ended. Raises EngineError where a cluster cannot be reached or is lost, WorkerDied where a worker ends.
    """
    if isinstance(engine, str):
        with _cluster(engine) as connected:
            yield connected
    elif engine is None and workers == 1:
        yield Here()
    else:
        try:
            if engine is not None:
                yield engine
            else:
                with _processes(workers) as pool:
                    yield pool
        except BrokenExecutor as error:
            raise WorkerDied("a worker process died (killed, or out of memory)") from error


def check_engine(engine: str | Executor | None) -> None:
    """Raises EngineError or ValueError where it can be no engine, before anything is done for it."""
    if isinstance(engine, str):
        if not re.fullmatch(r"[a-z]+://\S+", engine):
            raise EngineError(f"engine must be the address of a Dask scheduler, like tcp://host:8786, got {engine!r}")
    elif engine is not None and not isinstance(engine, Executor):
        raise ValueError(
            f"engine must be None, the address of a Dask scheduler (tcp://host:port) or a concurrent.futures.Executor, "
            f"got {engine!r}"
        )


def completed(pending: Mapping[Future[Any], Any]) -> list[Future[Any]]:
    """Waits until one or more of the futures are done, in the order in which they were submitted, and returns those."""
    for future in pending:
        if isinstance(future, _Postponed):
            future.run()
            return [future]
    done = wait_for(pending, return_when=FIRST_COMPLETED).done
    return [future for future in pending if future in done]


def available_cpus() -> int:
    """The number of CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _Postponed(Future[Any]):
    """A call that is made when it is waited for."""

    def __init__(self, call: Callable[[], Any]) -> None:
        super().__init__()
        self._call = call

    def run(self) -> None:
        """Makes the call."""
        if self.set_running_or_notify_cancel():
            try:
                self.set_result(self._call())
            except Exception as error:
                self.set_exception(error)

    def result(self, timeout: float | None = None) -> Any:
        """What the call returned."""
        if not self.done():
            self.run()
        return super().result(timeout)


@contextmanager
def _processes(workers: int) -> Iterator[Executor]:
    others = set(active_children())
    with ProcessPoolExecutor(workers, get_context("spawn"), _start_worker) as pool:
        try:
            with _workers_spared_from_ctrl_c(), _main_module_left_out():
                for _ in range(workers):  # a process is started when something is submitted
                    pool.submit(os.getpid)
            yield pool
        except BaseException:
            for worker in set(active_children()) - others:
                worker.terminate()
            pool.shutdown(cancel_futures=True)
            raise


@contextmanager
def _cluster(address: str) -> Iterator[Executor]:
    try:
        from distributed import Client, KilledWorker
    except ImportError as error:
        raise EngineError("a cluster needs the package distributed: pip install 'thalweg[cluster]'") from error
    try:
        client = Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        raise EngineError(f"no Dask scheduler answers at {address}: {error}") from error
    try:
        try:
            client.wait_for_workers(1, timeout=WORKER_SECONDS)
        except TimeoutError as error:
            raise EngineError(f"the Dask scheduler at {address} has no workers") from error
        yield client.get_executor(pure=False)
    except KilledWorker as error:
        raise WorkerDied(f"workers of {address} died one after another over the same job: {error}") from error
    except CancelledError as error:
        raise EngineError(f"the Dask scheduler at {address} was lost") from error
    finally:
        client.close()


@contextmanager
def _workers_spared_from_ctrl_c() -> Iterator[None]:
    """Processes started meanwhile never see Ctrl-C, not even while they import: the main one answers it for all."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows: they ignore it once they have started
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _main_module_left_out() -> Iterator[None]:
    """Processes started meanwhile do not run the script that starts them once more.

    They need nothing of it, for tasks and methods bring their functions with them; and a script without the usual
    `if __name__ == "__main__":` would start a race in each of them.
    """
    main = sys.modules["__main__"]
    own = dict(main.__dict__)
    main.__spec__ = None
    main.__dict__.pop("__file__", None)
    try:
        yield
    finally:
        main.__dict__.update(own)


def _start_worker() -> None:
    torch.set_num_threads(1)
    _keep_freed_memory()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _keep_freed_memory() -> None:
    """Has glibc keep what is freed for what comes next; other C libraries have no such settings.

    By default it gives large blocks back to the system at once. A large cohort frees some at every step, and faulting
    their pages in anew took up to a third of its processor time.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, TypeError):  # another C library; Windows has none by that name
        return
    mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
    mallopt(M_MMAP_THRESHOLD, 2**30)


def _end_with_parent() -> None:
    """A worker would wait for work for ever after its parent was killed."""
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
