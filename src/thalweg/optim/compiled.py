"""The compiled step: the foreach step given to `torch.compile`, one program for a bucket.

Scalars go in as 0-d tensors that are filled before every call, so a new learning rate, beta or step count is no new
program. Another set of gradients is: a bucket with other members is compiled anew.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from typing import Any

import torch

from thalweg.optim.bucket import Bucket, Member, Settings
from thalweg.optim.shards import Parts
from thalweg.optim.steps import compute_dtype
from thalweg.rules import Rule, scalars
from thalweg.rules.foreach import printed
from thalweg.rules.program import Apply

PROGRAMS = 8  # of one optimizer: who has more sets of gradients than this is better off without a compiler


def unavailable(devices: set[str]) -> str:
    """Why torch.compile cannot compile for these devices; "" if it can."""
    if "cpu" not in devices:
        return ""
    from torch._inductor import config

    candidates = config.cpp.cxx if isinstance(config.cpp.cxx, tuple) else (config.cpp.cxx,)
    if any(name and shutil.which(name) for name in candidates):
        return ""
    return f"no C++ compiler is at hand (looked for {', '.join(filter(None, candidates))}; set CXX to yours)"


class Compiler:
    """The programs of one optimizer, kept by what they were compiled for. `options` are those of `torch.compile`."""

    def __init__(self, options: dict[str, Any]) -> None:
        self.options = options
        self.programs: dict[Any, Callable[..., None]] = {}

    def program(self, rule: Rule, flags: frozenset[str], key: Any) -> Callable[..., None]:
        found = self.programs.get((flags, key))
        if found is None:
            if len(self.programs) >= PROGRAMS:
                raise RuntimeError(
                    f"compile() has made {PROGRAMS} programs, one for each set of parameters that had gradients, and "
                    "this step has another; leave compile() out where the set keeps changing"
                )
            step = printed(rule, flags, for_compiler=True).step
            found = self.programs[flags, key] = torch.compile(step, fullgraph=True, dynamic=False, **self.options)
        return found

    def unfit(self, rule: Rule, member: Member, parts: Parts | None) -> str:
        """Why a parameter cannot be stepped by a compiled program; "" if it can."""
        if member.low_precision:
            return f"the parameter is {member.w.dtype}, which compiled steps do not round"
        if parts is not None and not rule.program.elementwise:
            return f"{rule.name} reduces over a parameter that is split over processes"
        return ""

    def cost(self, tensors: int) -> str:
        """What compiling takes, in words."""
        return f"the first step compiles {tensors} tensors"


class Compiled(Bucket):
    """Steps all members by one compiled program."""

    compiler: Compiler | None = None

    def run(self, settings: Settings) -> tuple[float, ...]:
        dtype = compute_dtype(self.members[0].w.dtype)
        values, after = settings.worked_out(self.rule)
        lists = [[member.w for member in self.members], [member.g for member in self.members]]
        lists += [list(column) for column in zip(*(member.states for member in self.members), strict=True)]
        key = tuple((x.dtype, x.device, x.shape, x.stride()) for each in lists for x in each)
        truths = _truth_values(self.rule, settings.flags())
        assert self.compiler is not None
        program = self.compiler.program(self.rule, settings.flags(), key)
        program(*lists, _as_tensors(values, truths, dtype), None)
        return after


def _as_tensors(values: Sequence[float], truths: Sequence[bool], dtype: torch.dtype) -> tuple[torch.Tensor, ...]:
    """The scalars as 0-d tensors on the CPU, from where a kernel of any device takes them without waiting."""
    return tuple(
        torch.tensor(value, dtype=torch.bool if truth else dtype) for value, truth in zip(values, truths, strict=True)
    )


def _truth_values(rule: Rule, flags: frozenset[str]) -> list[bool]:
    """Which of the scalars are conditions."""
    lowered = scalars.lowered(rule, flags)
    conditions = {e.name for e in lowered.equations if isinstance(e.value, Apply) and e.value.operator.compares}
    return [name in conditions for name in lowered.scalars]
