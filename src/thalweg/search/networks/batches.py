"""`Batches`: mini-batches that a whole generation shares."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from thalweg.tasks import Examples


class Batches:
    """Batches of examples, epoch by epoch in an order that the generator draws; all of the examples where they fit into
    one. Rows that are left over at the end of an epoch come again in others: all batches are of one size."""

    def __init__(self, examples: Examples, size: int | None, generator: torch.Generator) -> None:
        self.examples, self.generator = examples, generator
        self.size = len(examples) if size is None else min(size, len(examples))
        self.whole = self.size == len(examples)
        self._order, self._begin = torch.empty(0, dtype=torch.int64), 0
        self.advance()

    @property
    def per_epoch(self) -> int:
        """How many an epoch has."""
        return len(self.examples) // self.size

    def current(self) -> tuple[Tensor, Tensor]:
        """The inputs and targets of this batch, until `advance` is called."""
        if self.whole:
            return self.examples.inputs, self.examples.targets
        rows = self._order[self._begin : self._begin + self.size].to(self.examples.inputs.device)
        return self.examples.inputs[rows], self.examples.targets[rows]

    def advance(self) -> None:
        """Goes on to the next batch."""
        self._begin += self.size
        if not self.whole and self._begin + self.size > len(self._order):
            self._order, self._begin = torch.randperm(len(self.examples), generator=self.generator), 0

    def inputs(self) -> tuple[Tensor, ...]:
        """The inputs of all batches of an epoch, in the order of the examples."""
        return self.examples.inputs[: self.per_epoch * self.size].split(self.size)

    def state(self) -> dict[str, Any]:
        """Which batch this is, and which will come."""
        return {"order": self._order.clone(), "begin": self._begin, "generator": self.generator.get_state()}

    def load(self, state: dict[str, Any]) -> None:
        """Goes on where `state` was taken."""
        self._order, self._begin = state["order"].cpu().clone(), state["begin"]
        self.generator.set_state(state["generator"].cpu())
