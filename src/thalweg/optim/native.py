"""The native step over a bucket: tables of addresses, slices of large tensors, and our own threads.

The addresses are only as good as the checks made before: `steps.unfit_for_native` is the gate.
"""

from __future__ import annotations

import itertools
import os
import threading
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache, lru_cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from thalweg.optim.bucket import Bucket, Settings

if TYPE_CHECKING:
    from thalweg.rules.native import Kernel

SLICE = 1 << 18  # elements of a slice. It is fixed, so that no result depends on the number of threads.
WORTH_THREADS = 1 << 17  # elements in all, below which one thread is faster than several


@cache
def unavailable() -> str:
    """Why there is no native step on this machine, said once as a warning; "" where there is one."""
    try:
        from thalweg.rules import native  # noqa: F401
    except Exception as error:  # numba and llvmlite fail in many ways of their own where they do not fit the machine
        reason = f"numba cannot be used ({type(error).__name__}: {error})"
        warnings.warn(f"{reason}: steps go through torch operations, in blocks where they can", stacklevel=2)
        return reason
    return ""


class Memory:
    """Where the weights, gradients and states of parameters are, for a kernel to step.

    `columns`: for each of the kernel's columns (weights, gradients, states) the tensors of all parameters. With
    `members`, each has so many networks' one behind another, of `sizes` elements each. `whole`: the sizes of the
    parameters with all their parts.
    """

    def __init__(
        self, columns: Sequence[list[torch.Tensor]], sizes: Sequence[int], whole: Sequence[int], members: int = 1
    ) -> None:
        from thalweg.rules.native import Work

        itemsize = columns[0][0].element_size()
        slices, total = _slices(tuple(sizes), itemsize)
        self.work = Work(
            addresses=np.array([list(map(torch.Tensor.data_ptr, column)) for column in columns]).T.copy(),
            strides=np.array(sizes, dtype=np.int64) * itemsize,
            slices=slices,
            sizes=np.array(whole),
            scalars=np.empty((members, 0)),
            active=np.ones(members, dtype=np.bool_),
        )
        self._run = partial(_run, slices, total, members)
        self._written = [*columns[0], *itertools.chain(*columns[2:])]

    def step(self, kernel: Kernel, scalars: np.ndarray, across: Callable[..., None] | None = None) -> None:
        """Steps all parameters of all active members in one pass. `scalars`: float64 (members, scalars)."""
        self.work.scalars = scalars
        kernel.step(self.work, self._run, across)
        # Without this autograd would not see that tensors it saved for backward have changed.
        torch.autograd.graph.increment_version(self._written)


class Native(Bucket):
    """Steps all slots in one pass over memory."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        rows = [(slot.w, slot.g, *slot.states) for slot in self.slots]
        columns = [list(column) for column in zip(*rows, strict=True)]
        self._memory = Memory(columns, [slot.w.numel() for slot in self.slots], [slot.size for slot in self.slots])
        self._dtype = str(self.slots[0].w.dtype).removeprefix("torch.")

    def run(self, settings: Settings) -> tuple[float, ...]:
        from thalweg.rules import native

        kernel = native.kernel(self.rule, settings.flags(), self._dtype)
        values, after = settings.worked_out(self.rule)
        self._memory.work.addresses[:, 1] = [slot.g.data_ptr() for slot in self.slots]
        scalars = np.array(values, dtype=np.float64).reshape(1, -1)
        self._memory.step(kernel, scalars, None if self.parts is None else self._across)
        return after

    def _across(self, totals: np.ndarray, combined: int) -> None:
        assert self.parts is not None
        self.parts.combine(torch.from_numpy(totals), combined)


@lru_cache(maxsize=64)
def _slices(sizes: tuple[int, ...], itemsize: int) -> tuple[np.ndarray, int]:
    """The slices (parameter, first byte, length) of tensors of these sizes, and how many elements there are."""
    rows = [
        (i, start * itemsize, min(SLICE, size - start))
        for i, size in enumerate(sizes)
        for start in range(0, size, SLICE)
    ]
    return np.array(rows, dtype=np.int64).reshape(-1, 3), sum(sizes)


def _run(slices: np.ndarray, total: int, members: int, loop: Callable[[int, int], None]) -> None:
    """Calls `loop(first, last)` over all slices of all members, spread by length over as many threads as torch uses."""
    count = members * len(slices)
    threads = torch.get_num_threads() if members * total >= WORTH_THREADS else 1
    if threads == 1 or count < 2:
        loop(0, count)
        return
    done = np.cumsum(slices[:, 2])
    cuts = [0]
    for share in range(1, threads):
        member, rest = divmod(members * total * share // threads, total)
        cuts.append(member * len(slices) + int(np.searchsorted(done, rest)))
    ranges = [(a, b) for a, b in zip(cuts, [*cuts[1:], count], strict=True) if a < b]
    others = [_pool.submit(loop, *part) for part in ranges[1:]]
    loop(*ranges[0])
    for other in others:
        other.result()


class _Pool:
    """A thread pool made at first use, and made again in a forked child, which has none of its parent's threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._executor: ThreadPoolExecutor | None = None

    def submit(self, function: Callable[..., None], *arguments: int) -> Future[None]:
        with self._lock:
            if self._executor is None:
                self._executor = ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="thalweg")
            return self._executor.submit(function, *arguments)


_pool = _Pool()


def _renew_pool() -> None:
    global _pool
    _pool = _Pool()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_pool)
