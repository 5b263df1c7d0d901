"""A Dask cluster for tests."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TESTS = Path(__file__).parent.parent


def with_tests() -> dict[str, str]:
    """The environment of a process that can import what tests are made of."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])}


@contextmanager
def two_workers(folder: Path) -> Iterator[tuple[str, list[subprocess.Popen]]]:
    """The address of a scheduler, and its two workers, each a process of its own that nobody restarts.

    One of them dies over a network of `small.fragile` once the file `marker` is in the folder.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    address = f"tcp://127.0.0.1:{port}"
    everywhere = ["--host", "127.0.0.1", "--no-dashboard"]
    alone = ["--no-nanny", "--nthreads", "1", "--death-timeout", "60", "--local-directory", str(folder / "dask")]
    environment = {**with_tests(), "KILL_ONCE": str(folder / "marker")}

    def started(*command: str) -> subprocess.Popen:
        return subprocess.Popen(
            [sys.executable, "-m", *command, *everywhere], env=environment, cwd=folder, stderr=subprocess.DEVNULL
        )

    scheduler = started("distributed.cli.dask_scheduler", "--port", port)
    workers = [started("distributed.cli.dask_worker", address, *alone) for _ in range(2)]
    try:
        yield address, workers
    finally:
        for process in (*workers, scheduler):
            process.kill()
            process.wait()
