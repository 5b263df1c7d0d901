"""The compiled step: the foreach step given to `torch.compile`, one program for a bucket.

Scalars go in as one small tensor, so a new learning rate, beta or step count is no new program. Another set of
gradients is: a bucket with other slots is compiled anew.
"""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable
from typing import Any

import torch

from thalweg.optim.bucket import Settings, Slot
from thalweg.optim.foreach import Foreach, gradients
from thalweg.rules import Rule
from thalweg.rules.foreach import printed

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
        fixed = [key for key in ("fullgraph", "dynamic") if key in options]
        if fixed:
            raise ValueError(f"{fixed[0]} is not compile()'s to choose, got {options[fixed[0]]!r}; leave it out")
        self.options = options
        self.programs: dict[Any, Callable[..., None]] = {}
        self.warned = False

    def program(self, rule: Rule, flags: frozenset[str], key: Any) -> Callable[..., None] | None:
        """The program for these parameters, compiled at its first call; None, and a warning, if there are too many."""
        found = self.programs.get((flags, key))
        if found is None and len(self.programs) < PROGRAMS:
            step = printed(rule, flags, for_compiler=True).step
            found = self.programs[flags, key] = torch.compile(step, fullgraph=True, dynamic=False, **self.options)
        if found is None and not self.warned:
            self.warned = True
            warnings.warn(
                f"compile() has made {PROGRAMS} programs, one for each set of parameters that had gradients; further "
                "sets take the foreach step, as all would do without compile()",
                stacklevel=2,
            )
        return found

    def unfit(self, rule: Rule, slot: Slot) -> str:
        """Why a parameter cannot be stepped by a compiled program; "" if it can."""
        if slot.low_precision:
            return f"the parameter is {slot.w.dtype}, which compiled steps do not round"
        if slot.parts is not None and not rule.program.elementwise:
            return f"{rule.name} reduces over a parameter that is split over processes"
        return ""

    def cost(self, tensors: int) -> str:
        """What compiling takes, in words."""
        return (
            f"torch.compile makes one program of {tensors} tensors at the first step, and one more for every other set "
            f"of them that has gradients: for a CPU in the order of {15 + tensors} seconds each, less where torch's "
            "cache on disk has it"
        )


class Compiled(Foreach):
    """Steps all slots by one compiled program."""

    def __init__(self, *arguments: Any, compiler: Compiler) -> None:
        super().__init__(*arguments)
        self.compiler = compiler
        self._programs: dict[frozenset[str], Callable[..., None] | None] = {}

    def run(self, settings: Settings) -> tuple[float, ...]:
        flags = settings.flags()
        if flags not in self._programs:
            self._programs[flags] = self._program(flags)
        program = self._programs[flags]
        if program is None:
            return super().run(settings)
        values, after = settings.worked_out(self.rule)
        first = self.slots[0].w
        # One tensor, copied without waiting for the device.
        scalars = torch.tensor(values, dtype=first.dtype).to(first.device, non_blocking=True)
        w, *states = self.columns
        program(w, gradients(self.slots), *states, scalars, None)
        return after

    def _program(self, flags: frozenset[str]) -> Callable[..., None] | None:
        lists = [*self.columns, gradients(self.slots)]
        key = tuple((x.dtype, x.device, x.shape, x.stride()) for each in lists for x in each)
        return self.compiler.program(self.rule, flags, key)
