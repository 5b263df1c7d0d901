"""Runs the cells of a race on the cores of this machine."""

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import connection, get_context, parent_process
from multiprocessing.synchronize import Event

import torch

from thalweg.race.cell import Cell, CellResult


class WorkerDied(Exception):
    """A worker process ended without a result: killed, or out of memory."""


def available_cpus() -> int:
    """The number of CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_cells(cells: Sequence[Cell], workers: int, on_done: Callable[[CellResult], None]) -> list[CellResult]:
    """The results of the cells, in the order of the cells whatever the order in which they end.

    Each process uses one torch thread. `workers=1` runs in this process; more are spawned, so a script that calls this
    needs the usual `if __name__ == "__main__":`. `on_done` is called here as each cell ends. When a cell raises, or on
    Ctrl-C, the others stop after the trial that they are in, and the error goes on to the caller. Raises WorkerDied
    if a process is killed.
    """
    if workers == 1 or len(cells) <= 1:
        return list(_run_here(cells, on_done))
    context = get_context("spawn")
    stop = context.Event()
    with ProcessPoolExecutor(min(workers, len(cells)), context, _start_worker, (stop,)) as pool:
        futures = [pool.submit(_run_cell, cell) for cell in cells]
        try:
            return _collect(futures, on_done)
        except BaseException:
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise


def _run_here(cells: Sequence[Cell], on_done: Callable[[CellResult], None]) -> Iterator[CellResult]:
    with _one_thread():
        for cell in cells:
            result = cell.run(lambda: False)
            on_done(result)
            yield result


def _collect(futures: list[Future[CellResult]], on_done: Callable[[CellResult], None]) -> list[CellResult]:
    try:
        for future in as_completed(futures):
            on_done(future.result())
    except BrokenProcessPool as error:
        raise WorkerDied("a worker process died (killed, or out of memory)") from error
    return [future.result() for future in futures]


@contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


_stop: Event  # of a worker process: set by the main one


def _start_worker(stop: Event) -> None:
    global _stop
    _stop = stop
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the main one answers it for all
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A worker would wait for work for ever after its parent was killed."""
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)


def _run_cell(cell: Cell) -> CellResult:
    return cell.run(_stop.is_set)
