"""How many members of a population are evaluated at once, found by timing."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from thalweg.search.checks import is_whole

LOOP: Literal["loop"] = "loop"
AUTO: Literal["auto"] = "auto"
Chunk = int | Literal["loop"]

MEMORY = 1 << 30  # bytes that the members of a chunk may take in passing
SHARES = (1, 2, 8, 32)  # of a population, chunks that are tried: all of it, until caches hold what is in passing
FEWEST = 8  # members of a chunk that is worth trying: below, calls into torch take most of the time
PARTS = (1, 2, 4, 8)  # of a chunk, sizes in which what is left over is evaluated
SECONDS = 0.05  # that a turn takes, or one chunk where that takes longer
TURNS = 3  # of each, of which the shortest counts
SLOWER = 2.0  # a chunk that takes so many times as long as the best one: larger ones are not tried


def checked(chunk: Any) -> Chunk | Literal["auto"]:
    """The chunk, refused where it is none."""
    if is_whole(chunk) and chunk >= 1:
        return int(chunk)
    if not isinstance(chunk, str) or chunk not in (AUTO, LOOP):
        raise ValueError(f'chunk must be "auto", "loop" or a whole number >= 1, got {chunk!r}')
    return LOOP if chunk == LOOP else AUTO


def pieces(count: int, chunk: int) -> list[slice]:
    """So many members in chunks, and what is left over in halves, quarters and eighths of one, because each size costs
    a trace; the last piece may begin before the one ahead of it ends. None for fewer than an eighth."""
    sizes = [chunk // part for part in PARTS if chunk >= part]
    if count < sizes[-1]:
        return []
    found: list[slice] = []
    begin = 0
    while begin < count:
        size = next((size for size in sizes if size <= count - begin), sizes[-1])
        begin = min(begin, count - size)
        found.append(slice(begin, begin + size))
        begin += size
    return found


def candidates(count: int, bytes_of_member: int) -> list[int]:
    """The chunks that are worth trying for so many members."""
    most = max(1, min(count, MEMORY // max(1, bytes_of_member)))
    sizes = [-(-most // share) for share in SHARES]
    return [size for size in dict.fromkeys(sizes) if size == most or size >= FEWEST]


def fastest(evaluate: Callable[[Chunk, int], object], chunks: list[int], count: int, device: torch.device) -> Chunk:
    """The quickest of one after another and of these chunks, by `evaluate(chunk, members)`, of at most `count`.

    Larger chunks are tried until they are much slower than the smaller ones. Those that are left take their turns round
    by round, so that a machine that slows down slows all of them.
    """

    def seconds(chunk: Chunk, members: int) -> float:
        _wait(device)
        start = time.perf_counter()
        evaluate(chunk, members)
        _wait(device)
        return (time.perf_counter() - start) / members

    few = min(count, FEWEST)
    seconds(LOOP, few)  # the first time, in which caches are filled and programs traced, does not count
    affordable = max(few, min(count, int(SECONDS / seconds(LOOP, few))))
    members: dict[Chunk, int] = {LOOP: affordable}
    shortest: dict[Chunk, float] = {LOOP: seconds(LOOP, affordable)}
    for chunk in sorted(chunks):
        members[chunk] = max(chunk, affordable)
        seconds(chunk, members[chunk])
        shortest[chunk] = seconds(chunk, members[chunk])
        if shortest[chunk] > SLOWER * min(shortest.values()):
            break
    for _ in range(TURNS - 1):
        for way, many in members.items():
            shortest[way] = min(shortest[way], seconds(way, many))
    return min(shortest, key=shortest.__getitem__)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


class BytesMade(TorchDispatchMode):
    """Counts the bytes of all that torch's operations return, views included: more than is held at any moment."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for x in result if isinstance(result, (tuple, list)) else (result,):
            self.bytes += x.numel() * x.element_size() if isinstance(x, Tensor) else 0
        return result
