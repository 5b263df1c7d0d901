"""How the parameters of a group are stepped: what each is fit for, and the buckets that they fall into."""

from __future__ import annotations

import operator
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from thalweg.optim import native, shards, steps
from thalweg.optim.bucket import Bucket, Slot
from thalweg.optim.compiled import Compiled, Compiler
from thalweg.optim.foreach import Foreach
from thalweg.optim.native import Native
from thalweg.optim.rounding import COMPENSATION, SEED, Noise, Rounding
from thalweg.optim.states import as_real
from thalweg.rules import Rule
from thalweg.rules.program import Kind

ASKED_FOR = ("native", "foreach", "blocks", "plain")
BACKENDS: dict[str, type[Bucket]] = dict(zip(ASKED_FOR, (Native, Foreach, steps.Blocks, steps.Plain), strict=True))


@dataclass(frozen=True)
class Choice:
    """What a user asked for: a backend by name, or compiling; None for the fastest."""

    backend: str | None
    compiler: Compiler | None

    def of(self, rule: Rule, slot: Slot) -> tuple[str, str]:
        """The backend for a parameter, and why not a faster one.

        Raises RuntimeError where one was asked for by name that the parameter is not fit for.
        """
        no_lists = steps.unfit_for_lists(slot)
        unfit = {
            "native": steps.unfit_for_native(slot) or native.unavailable(),
            "foreach": no_lists,
            "blocks": steps.unfit_for_blocks(rule, slot),
            "plain": "",
        }
        if self.compiler is not None:
            no_compiled = no_lists or self.compiler.unfit(rule, slot)
            if not no_compiled:
                return "compiled", "asked for"
            return "foreach" if not no_lists else "plain", no_compiled
        if self.backend is not None:
            if unfit[self.backend]:
                raise RuntimeError(f"backend={self.backend!r} was asked for, but {unfit[self.backend]}")
            return self.backend, "asked for"
        if slot.w.device.type != "cpu":
            return ("foreach", "") if not no_lists else ("plain", no_lists)
        if not unfit["native"]:
            return "native", ""
        if not unfit["blocks"]:
            return "blocks", unfit["native"]
        return "plain", "; ".join(dict.fromkeys((unfit["native"], unfit["blocks"])))


@dataclass(frozen=True)
class Partition:
    """The parameters of a group that had gradients, in buckets: `places` says which of them each bucket has."""

    parameters: list[torch.Tensor]
    places: list[list[int]]
    buckets: list[Bucket]
    rounding: str

    def has(self, parameters: list[torch.Tensor]) -> bool:
        """Whether it is of these parameters."""
        return len(parameters) == len(self.parameters) and all(map(operator.is_, parameters, self.parameters))

    def follows(
        self, state: Mapping[Any, Any], parameters: list[torch.Tensor], grads: list[torch.Tensor], rounding: str
    ) -> bool:
        """Whether the same buckets serve the next step of these parameters; all are asked before any is stepped."""
        if rounding != self.rounding:
            return False
        if len(self.buckets) == 1:
            return self.buckets[0].follows(state, parameters, grads)
        return all(
            bucket.follows(state, [parameters[i] for i in own], [grads[i] for i in own])
            for own, bucket in zip(self.places, self.buckets, strict=True)
        )

    @property
    def lasting(self) -> bool:
        return all(bucket.lasting for bucket in self.buckets)


def partition(
    rule: Rule,
    choice: Choice,
    rounding: str,
    parameters: list[torch.Tensor],
    grads: list[torch.Tensor],
    states: list[dict[str, Any]],
) -> Partition:
    """The buckets of a group, in the order of their first parameters, which is the same on every process."""
    places: defaultdict[Any, list[int]] = defaultdict(list)
    slots = [slot_of(rule, *each) for each in zip(parameters, grads, states, strict=True)]
    for i, (slot, state) in enumerate(zip(slots, states, strict=True)):
        # As text, so that -0 is not 0 and NaN is NaN.
        clock = (state["step"], *(repr(state[name]) for name in rule.program.scalar_states))
        places[choice.of(rule, slot)[0], slot.w.dtype, slot.w.device, slot.parts, clock].append(i)
    buckets: list[Bucket] = []
    for (backend, *_), own in places.items():
        columns = ([parameters[i] for i in own], [states[i] for i in own], [slots[i] for i in own])
        if choice.compiler is not None and backend == "compiled":
            buckets.append(Compiled(rule, *columns, compiler=choice.compiler))
        else:
            buckets.append(BACKENDS[backend](rule, *columns))
    return Partition(parameters, list(places.values()), buckets, rounding)


def slot_of(rule: Rule, p: torch.Tensor, grad: torch.Tensor, state: dict[str, Any]) -> Slot:
    """The part of a parameter that this process holds, as steps see it.

    Raises RuntimeError where gradient or state has not the parameter's shape or is on another device.
    """
    program = rule.program
    states = {name: shards.local(state[name]) for name in program.tensor_states}
    w, g = shards.local(as_real(p)), as_real(shards.local_gradient(p, grad))
    for name, other in {"gradient": g, **states}.items():
        if other.shape != (torch.Size() if program.kinds.get(name) == Kind.TENSOR else w.shape):
            raise RuntimeError(
                f"the parameter is {tuple(w.shape)}, but its {name} is {tuple(other.shape)}; "
                "make the optimizer anew when a parameter changes its shape"
            )
        if other.device != w.device:
            raise RuntimeError(
                f"the parameter is on {w.device}, but its {name} is on {other.device}; "
                "move the model before the optimizer is made, or load the optimizer's state dict again"
            )
    parts = shards.parts(p)
    rounding = Rounding(compensation=shards.local(state[COMPENSATION]) if COMPENSATION in state else None)
    if SEED in state:
        rounding.noise = Noise(torch.Generator(w.device), state[SEED], parts.place if parts else "")
    return Slot(w, g, tuple(states.values()), as_real(p).numel(), rounding, parts)
