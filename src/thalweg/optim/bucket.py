"""A bucket: parameters that one call steps, because they share backend, dtype, device and clock."""

from __future__ import annotations

import operator
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from thalweg.optim import shards
from thalweg.optim.hyperparameters import flags_of
from thalweg.optim.rounding import COMPENSATION, LOW_PRECISION, SEED, Rounding
from thalweg.optim.shards import Parts
from thalweg.rules import Rule
from thalweg.rules.scalars import scalars


@dataclass(slots=True)
class Slot:
    """A parameter that takes part in a step, or a flat piece of one: weight and gradient as real tensors held by this
    process, the states that are tensors, and how the weight is rounded.

    `size`: the elements of the whole parameter, parts that other processes hold included. `parts`: who holds those.
    """

    w: torch.Tensor
    g: torch.Tensor
    states: tuple[torch.Tensor, ...]
    size: int
    rounding: Rounding = field(default_factory=Rounding)
    parts: Parts | None = None

    @property
    def low_precision(self) -> bool:
        return self.w.dtype in LOW_PRECISION

    def weight(self) -> torch.Tensor:
        """The weight in the dtype that steps compute in."""
        return self.rounding.widened(self.w) if self.low_precision else self.w

    def write(self, new: torch.Tensor) -> None:
        """Makes a value in that dtype the weight."""
        if self.low_precision:
            self.rounding.write(self.w, new)
        else:
            self.w.copy_(new)

    def pieces(self, length: int) -> Iterator[Slot]:
        """Flat pieces of at most so many elements, of a slot that is dense with equal strides throughout."""
        size = self.w.numel()
        flat = [tensor.as_strided((size,), (1,)) for tensor in (self.w, self.g, *self.states)]
        roundings = self.rounding.split(length)
        for i, (w, g, *states) in enumerate(zip(*(tensor.split(length) for tensor in flat), strict=True)):
            yield Slot(w, g, tuple(states), w.numel(), roundings[i] if roundings else self.rounding)


@dataclass(frozen=True)
class Settings:
    """What the slots of a bucket have in common: hyperparameters, the driver's options, and the clock."""

    scalars: dict[str, float]
    maximize: bool
    decay: str
    step: int
    t: float
    scalar_states: dict[str, float]

    def flags(self) -> frozenset[str]:
        """The driver's equations that are in force."""
        return flags_of(self.maximize, self.decay, self.scalars["weight_decay"])

    def worked_out(self, rule: Rule) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """The scalars that a lowered step reads, and the new scalar states."""
        return scalars(rule, self.flags())(self.t, **self.scalars, **self.scalar_states)


_DTYPE, _LAYOUT, _SHAPE = map(operator.attrgetter, ("dtype", "layout", "shape"))
_STEP = operator.itemgetter("step")
_NO_GRADIENT = torch.empty(0)  # between steps, so that a bucket keeps no gradient's memory
_POINTER, _STRIDE = torch.Tensor.data_ptr, torch.Tensor.stride


class Bucket(ABC):
    """Parameters fit for one backend, which may step them again and again.

    Making one costs the checks of every parameter, one after another; `follows` sees by a few comparisons of lists
    whether they still hold in the next step, when as a rule only the gradients are others.
    """

    def __init__(
        self,
        rule: Rule,
        parameters: list[torch.Tensor],
        states: list[dict[str, Any]],
        slots: list[Slot],
    ) -> None:
        self.rule, self.parameters, self.states, self.slots = rule, parameters, states, slots
        self.parts = slots[0].parts  # the same for all: who holds the other parts is what puts them into one bucket
        self._names = (*rule.program.tensor_states, *(name for name in (SEED, COMPENSATION) if name in states[0]))
        self._kept = [own[name] for own in states for name in self._names]
        self._kept_tensors = [kept for kept in self._kept if isinstance(kept, torch.Tensor)]
        self._split = any(map(shards.is_split, parameters))
        self._seen = self._looks([slot.w for slot in slots], [slot.g for slot in slots])
        # A complex parameter and an unusual tensor type are looked at anew in every step.
        kinds = {type(tensor) for slot in slots for tensor in (slot.w, slot.g)}
        self.lasting = kinds <= {torch.Tensor, torch.nn.Parameter} and not any(p.is_complex() for p in parameters)

    def _looks(self, weights: list[torch.Tensor], grads: list[torch.Tensor]) -> tuple[Any, ...]:
        """All that a step depends on and that may change behind the optimizer's back, the gradients' addresses aside.

        Of gradients also whether they are sparse, or have their sign put off.
        """
        return (
            set(map(_DTYPE, grads)),
            set(map(_LAYOUT, grads)),
            any(map(torch.Tensor.is_neg, grads)),
            list(map(_SHAPE, grads)),
            list(map(_STRIDE, grads)),
            list(map(_SHAPE, weights)),
            list(map(_STRIDE, weights)),
            list(map(_POINTER, weights)),
            list(map(_POINTER, map(shards.local, self._kept_tensors) if self._split else self._kept_tensors)),
        )

    def follows(self, state: Mapping[Any, Any], parameters: list[torch.Tensor], grads: list[torch.Tensor]) -> bool:
        """Whether the bucket holds for these parameters and gradients; if so it has the gradients from now on."""
        program = self.rule.program
        if not (
            len(parameters) == len(self.parameters)
            and all(map(operator.is_, parameters, self.parameters))
            and all(map(operator.is_, map(state.get, parameters), self.states))
            and all(map(operator.is_, (own.get(name) for own in self.states for name in self._names), self._kept))
            and len(set(map(_STEP, self.states))) == 1
            and all(len({repr(own[name]) for own in self.states}) == 1 for name in program.scalar_states)
        ):
            return False
        if self._split:
            parameters = list(map(shards.local, parameters))
            grads = [shards.local_gradient(p, g) for p, g in zip(self.parameters, grads, strict=True)]
        if not set(map(type, grads)) <= {torch.Tensor} or self._looks(parameters, grads) != self._seen:
            return False
        for slot, g in zip(self.slots, grads, strict=True):
            slot.g = g
        return True

    def step(self, settings: Settings) -> tuple[float, ...]:
        """Steps all slots; returns the new scalar states."""
        for slot in self.slots:
            if slot.rounding.noise is not None:
                slot.rounding.noise.begin(settings.step)
        after = self.run(settings)
        for slot in self.slots:
            slot.g = _NO_GRADIENT
        return after

    @abstractmethod
    def run(self, settings: Settings) -> tuple[float, ...]: ...
