"""The tables that the machine's loop goes through, and the loop, bound to a dtype of weights.

It is compiled at first use for that dtype, in about 8 seconds, and then kept on disk by numba.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import FunctionType
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from thalweg.evolve.machine import dispatch, loops, opcodes
from thalweg.rules import native_runtime
from thalweg.rules.native_runtime import OPTIONS, runtime
from thalweg.rules.plain import compiled

BLOCK = 352  # weights: what a few registers of them and the memory they are loaded from take stays in the first cache
PITCH = BLOCK + 16  # from one register to the next, so that they do not all fall on the same lines of the cache

Loop = Callable[..., None]


class Programs(NamedTuple):
    """What all members run.

    `code`: int32 (instructions, 5). `passes`: int64 (passes, 2), where in it end the block's and the tensor's
    instructions of each pass. The others are int64 (members,). Of each member: where in `code` it begins, and where end
    its scalars, its new scalar states, and its per-tensor values known before the first pass; its passes; its groups
    of blocks; where its scalar slots, per-tensor and per-weight states begin in `Kept`; how many it has of the first
    two.
    """

    code: np.ndarray
    passes: np.ndarray
    begin: np.ndarray
    scalars: np.ndarray
    keeping: np.ndarray
    early: np.ndarray
    first_pass: np.ndarray
    last_pass: np.ndarray
    first_group: np.ndarray
    last_group: np.ndarray
    slots: np.ndarray
    tensor_states: np.ndarray
    weight_states: np.ndarray
    slot_count: np.ndarray
    tensor_state_count: np.ndarray


class Weights(NamedTuple):
    """Where weights and gradients are, and how a member's are cut into blocks. All are int64.

    `addresses`: (tensors, 2), of the first member's weights and gradients. `sizes`: (tensors,), of one member's.
    `groups`: (groups, 3), from which block to which, and how many weights. `blocks`: (blocks, 4), from which weight on
    if a member's tensors lie one behind another, as its states do, how many, and from which piece to which. `pieces`:
    (pieces, 3), of which tensor, from which weight on, how many.
    """

    addresses: np.ndarray
    sizes: np.ndarray
    groups: np.ndarray
    blocks: np.ndarray
    pieces: np.ndarray


class Kept(NamedTuple):
    """What members carry from step to step, one member behind another: scalar slots (float64), per-tensor states
    (tensors, states) and per-weight states (states, weights)."""

    slots: np.ndarray
    tensor_states: np.ndarray
    weight_states: np.ndarray


class Scratch(NamedTuple):
    """A thread's own memory: registers (registers, PITCH) and slots in the weights' dtype, reductions' totals, and the
    pieces of a block: int64 (pieces, 3), the addresses of weights and gradients, and how many."""

    registers: np.ndarray
    slots: np.ndarray
    totals: np.ndarray
    pieces: np.ndarray


@cache
def interpreter(dtype: str) -> Loop:
    """`run(programs, weights, kept, scratch, clocks, active, first, last)` for "float32" or "float64"."""
    names = {**vars(loops), **runtime(dtype)}
    for function in (loops.place, loops.copy, loops.load, loops.store):
        names[function.__name__] = njit(**OPTIONS)(FunctionType(function.__code__, names))
    names["values"] = njit(**OPTIONS)(compiled(dispatch.values_source(), "values", dict(names)))
    names["block"] = njit(**OPTIONS)(compiled(dispatch.block_source(), "block", names))
    names["scalar_values"] = names["values"] if dtype == "float64" else _scalar_values()
    run = FunctionType(loops.run.__code__, names)
    run.__qualname__ = f"run_{dtype}_{_fingerprint()}"  # what numba calls the file: it does not see what `run` calls
    try:
        return njit(cache=True, **OPTIONS)(run)
    except RuntimeError:  # there is no folder that numba may write to: it compiles in every process
        return njit(**OPTIONS)(run)


@cache
def _scalar_values() -> Any:
    return njit(**OPTIONS)(compiled(dispatch.values_source(), "values", dict(runtime("float64"))))


def _fingerprint() -> str:
    """Another for other code."""
    files = [Path(str(module.__file__)).read_text() for module in (loops, opcodes, native_runtime)]
    return hashlib.sha256("".join([dispatch.values_source(), dispatch.block_source(), *files]).encode()).hexdigest()[
        :12
    ]
