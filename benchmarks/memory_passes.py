"""Memory passes: how often one step reads and writes tensors of the parameters' size.

A list operation on a GPU does next to no arithmetic, so that a step takes as long as its bytes take to come and go.
They can be counted without a GPU, from the operations that a step calls.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from timing import Step
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

# These read nothing of their first argument: the former write it, the latter only look at its shape.
WRITE_ONLY = {"copy_", "_foreach_copy_", "fill_", "zero_", "_foreach_zero_"}
LIKE = {"empty_like", "zeros_like", "ones_like", "full_like", "new_empty", "new_zeros", "new_full"}
UNWRITTEN = {"empty", "empty_like", "new_empty"}


@dataclass(frozen=True)
class Passes:
    """Bytes read and written as multiples of the parameters' bytes, and the operations on more than single numbers."""

    reads: float
    writes: float
    operations: int

    @property
    def both(self) -> float:
        return self.reads + self.writes


def passes(step: Step, size: int) -> Passes:
    """The passes of the third step, when states exist and everything is set up; `size`: bytes of the parameters."""
    for _ in range(2):
        step()
    with _Counting() as counted:
        step()
    return Passes(counted.read / size, counted.written / size, counted.operations)


class _Counting(TorchDispatchMode):
    """Counts what every operation reads and writes, as its schema says; a view does neither."""

    def __init__(self) -> None:
        super().__init__()
        self.read = self.written = self.operations = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        schema = func._schema
        if any(returned.alias_info is not None and not returned.alias_info.is_write for returned in schema.returns):
            return result
        name = schema.name.removeprefix("aten::")
        given = {**dict(zip((argument.name for argument in schema.arguments), args, strict=False)), **kwargs}
        written = [given[a.name] for a in schema.arguments if a.alias_info is not None and a.alias_info.is_write]
        read = list(given.values())[name in WRITE_ONLY | LIKE :]
        self.read += _bytes(read)
        self.written += _bytes(written or result) * (name not in UNWRITTEN)
        # Of clocks and the like there are many, but no kernels.
        self.operations += any(x.dim() for x in tree_leaves((read, result)) if isinstance(x, torch.Tensor))
        return result


def _bytes(tensors: Any) -> int:
    """The bytes of the tensors in a structure, each counted once: what an operation reads twice is in the cache."""
    found = {(x.data_ptr(), x.numel()): x for x in tree_leaves(tensors) if isinstance(x, torch.Tensor)}
    return sum(x.numel() * x.element_size() for x in found.values())
