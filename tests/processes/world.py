"""Two processes that talk through gloo, as on a machine with two workers."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import Any

import torch
from torch import distributed

SIZE = 2


def _process(rank: int, port: int, function: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), RANK=str(rank), WORLD_SIZE=str(SIZE))
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", rank=rank, world_size=SIZE)
    try:
        function(*arguments)
    finally:
        distributed.destroy_process_group()


def run(function: Callable[..., None], *arguments: Any) -> None:
    """Calls a function of a module in each process; an assertion that fails in one fails here."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torch.multiprocessing.spawn(_process, (port, function, arguments), nprocs=SIZE)
