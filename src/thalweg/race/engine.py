"""Runs the cells of a race on the cores of this machine."""

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import active_children, connection, get_context, parent_process

import torch

from thalweg.race.cell import Cell, CellResult

OnDone = Callable[[CellResult], None]


class WorkerDied(Exception):
    """A worker process ended without a result: killed, or out of memory."""


def available_cpus() -> int:
    """The number of CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_cells(cells: Sequence[Cell], workers: int, on_done: OnDone) -> list[CellResult]:
    """The results of the cells, in the order of the cells whatever the order in which they end.

    Each process uses one torch thread. `workers=1` runs in this process; more are spawned, so a script that calls this
    needs the usual `if __name__ == "__main__":`. `on_done` is called here as each cell ends. When a cell raises, or on
    Ctrl-C, the workers are ended (the store keeps what is done) and the error goes on to the caller. Raises WorkerDied
    if one is killed.
    """
    if workers == 1 or len(cells) <= 1:
        return _run_here(cells, on_done)
    others = set(active_children())
    with ProcessPoolExecutor(min(workers, len(cells)), get_context("spawn"), _start_worker) as pool:
        try:
            with _workers_spared_from_ctrl_c():
                futures = [pool.submit(Cell.run, cell) for cell in cells]
            return _collect(futures, on_done)
        except BaseException:
            for worker in set(active_children()) - others:
                worker.terminate()
            pool.shutdown(cancel_futures=True)
            raise


def _run_here(cells: Sequence[Cell], on_done: OnDone) -> list[CellResult]:
    results = []
    with _one_thread():
        for cell in cells:
            results.append(cell.run())
            on_done(results[-1])
    return results


def _collect(futures: list[Future[CellResult]], on_done: OnDone) -> list[CellResult]:
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


def _start_worker() -> None:
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A worker would wait for work for ever after its parent was killed."""
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
