"""The native step over a bucket: tables of addresses, slices of large tensors, and our own threads.

The addresses are only as good as the checks made before: `steps.unfit_for_native` is the gate.
"""

from __future__ import annotations

import itertools
import operator
import os
import threading
import warnings
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache, lru_cache
from typing import Any

import numpy as np
import torch

from thalweg.optim.steps import Member, Settings
from thalweg.rules import Rule

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


_DTYPE, _LAYOUT, _SHAPE = map(operator.attrgetter, ("dtype", "layout", "shape"))
_STEP = operator.itemgetter("step")


class Table:
    """A bucket of parameters fit for the native step: where their weights, gradients and states are in memory.

    Making one costs the checks of `steps.unfit_for_native`, one parameter after another; `follows` sees by a few
    comparisons of lists whether they still hold in the next step, when as a rule only the gradients have moved.
    """

    def __init__(self, parameters: list[torch.Tensor], states: list[dict[str, Any]], members: list[Member]) -> None:
        self.parameters, self.states = parameters, states
        first = members[0]
        self.dtype = str(first.w.dtype).removeprefix("torch.")
        self.sizes = tuple(member.w.numel() for member in members)
        self._lengths = np.array(self.sizes)
        self.slices, self.total = _slices(self.sizes, first.w.element_size())
        tensors = [(member.w, member.g, *member.states) for member in members]
        self.addresses = np.array([[t.data_ptr() for t in row] for row in tensors], dtype=np.int64)
        self.written = [t for row in tensors for t in (row[0], *row[2:])]
        self._dtypes = set(map(_DTYPE, parameters))
        self._shapes = [p.shape for p in parameters]
        self._strides = [p.stride() for p in parameters]
        self._tensors = [t for member in members for t in member.states]

    def follows(
        self, rule: Rule, state: Mapping[Any, Any], parameters: list[torch.Tensor], grads: list[torch.Tensor]
    ) -> bool:
        """Whether the table holds for these parameters and gradients; if so it points at the gradients from now on."""
        names, scalars = rule.program.tensor_states, rule.program.scalar_states
        same = (
            len(parameters) == len(self.parameters)
            and all(map(operator.is_, parameters, self.parameters))
            and set(map(type, grads)) == {torch.Tensor}
            and set(map(_DTYPE, grads)) == self._dtypes
            and set(map(_LAYOUT, grads)) == {torch.strided}
            and not any(map(torch.Tensor.is_neg, grads))
            and list(map(torch.Tensor.stride, grads)) == self._strides
            and list(map(torch.Tensor.stride, parameters)) == self._strides
            and tuple(map(torch.Tensor.numel, grads)) == self.sizes
            and list(map(_SHAPE, parameters)) == self._shapes
            and all(map(operator.is_, map(state.get, parameters), self.states))
            and all(map(operator.is_, (own[name] for own in self.states for name in names), self._tensors))
            and list(map(torch.Tensor.data_ptr, parameters)) == self.addresses[:, 0].tolist()
            and list(map(torch.Tensor.data_ptr, self._tensors)) == self.addresses[:, 2:].ravel().tolist()
            and len(set(map(_STEP, self.states))) == 1
            and all(len({repr(own[name]) for own in self.states}) == 1 for name in scalars)
        )
        if same:
            self.addresses[:, 1] = list(map(torch.Tensor.data_ptr, grads))
        return same

    def step(self, rule: Rule, settings: Settings) -> tuple[float, ...]:
        """Steps all members in one pass; returns the new scalar states."""
        from thalweg.rules import native

        kernel = native.kernel(rule, settings.flags(), self.dtype)
        before = dict(zip(rule.program.scalar_states, settings.scalar_states, strict=True))
        scalars, after = kernel.scalars(settings.t, **settings.scalars, **before)
        kernel.step(
            self.addresses, self.slices, np.array(scalars, dtype=np.float64), self._lengths,
            lambda loop: _run(loop, self.slices, self.total),
        )  # fmt: skip
        # Without this autograd would not see that tensors it saved for backward have changed.
        torch.autograd.graph.increment_version(self.written)
        return after


@lru_cache(maxsize=64)
def _slices(sizes: tuple[int, ...], itemsize: int) -> tuple[np.ndarray, int]:
    """The slices (parameter, first byte, length) of tensors of these sizes, and how many elements there are."""
    rows = [
        (i, start * itemsize, min(SLICE, size - start))
        for i, size in enumerate(sizes)
        for start in range(0, size, SLICE)
    ]
    return np.array(rows, dtype=np.int64).reshape(-1, 3), sum(sizes)


def _run(loop: Callable[[int, int], None], slices: np.ndarray, total: int) -> None:
    """Calls `loop(first, last)` over all slices, spread evenly by length over as many threads as torch uses."""
    threads = torch.get_num_threads() if total >= WORTH_THREADS else 1
    if threads == 1 or len(slices) < 2:
        loop(0, len(slices))
        return
    done = np.cumsum(slices[:, 2])
    cuts = [0, *np.searchsorted(done, total * np.arange(1, threads) / threads), len(slices)]
    ranges = [(int(a), int(b)) for a, b in itertools.pairwise(cuts) if a < b]
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
