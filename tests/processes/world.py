"""Two processes that talk through gloo, as on a machine with two workers."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import distributed

SIZE = 2


def _process(rank: int, meeting: str, function: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=SIZE)
    function(*arguments)
    # Both leave together, and at once: a process that takes its group down while the other still talks, or while the
    # interpreter goes, aborts now and then, after all has been shown.
    distributed.barrier()
    distributed.destroy_process_group()
    os._exit(0)


def run(function: Callable[..., None], *arguments: Any) -> None:
    """Calls a function of a module in each process; an assertion that fails in one fails here."""
    with tempfile.TemporaryDirectory() as folder:
        meeting = str(Path(folder) / "meeting")
        torch.multiprocessing.spawn(_process, (meeting, function, arguments), nprocs=SIZE)
