"""Sweeps over the blocks of a cohort: of many networks at once, each with parameters and a start block of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from thalweg.cohort import Cohort, Unstackable
from thalweg.cohort.tracing import Program, traced
from thalweg.sweep.blocks import propose_blocks
from thalweg.sweep.passes import Pass
from thalweg.tasks import dropout


class StackedSweep:
    """What `PositionWise` does to a network, for all members of a cohort in lockstep.

    Arguments:
        cohort: networks that `propose_blocks` can cut.
        generators: where each member draws the first block that it trains from; None for nested sweeps.

    `names` has those of the parameters of each block, input side first. Dropout drops in a sweep's later passes what it
    dropped in the first, and running statistics move in the first alone.

    Raises ValueError where the networks cannot be cut, Unstackable where a dropout layer stands in two blocks.
    """

    def __init__(self, cohort: Cohort, generators: Sequence[torch.Generator] | None = None) -> None:
        self.cohort, self.generators = cohort, generators
        self.blocks = [_StackedBlock(cohort, block) for block in propose_blocks(cohort.template)]
        layers = [id(layer) for block in self.blocks for layer in dropout.layers(block.module).values()]
        if len(set(layers)) < len(layers):
            raise Unstackable("a dropout layer stands in two blocks")

    @property
    def names(self) -> list[list[str]]:
        """Those of the parameters of each block."""
        return [block.names for block in self.blocks]

    def stages(
        self, inputs: Tensor, of_outputs: Callable[[Tensor], Tensor]
    ) -> Iterator[tuple[dict[str, Tensor], np.ndarray]]:
        """A sweep over a batch of each member: for each stage the gradients by the names of the parameters, and the
        first block that each member trains, (members,). Whoever takes them steps those before the next.

        `of_outputs` says what the gradient with respect to the outputs (members, n, ...) is.
        """
        masks = self.cohort.masks_for(inputs)
        if masks is not None:
            masks.draw()
        for block in self.blocks:
            block.masks = {} if masks is None else masks.flat
        starts = self._starts()
        own = Pass(self.blocks, inputs, lowest=int(starts[-1].min()))
        for firsts in starts:
            first = int(firsts.min())
            own.refresh(first)
            output = own.output
            with torch.no_grad():
                gradient = of_outputs(output.detach())
            grads = own.gradients(first, output, gradient)
            names = [name for block in self.blocks[first:] for name in block.names]
            yield {name: g for name, (_, g) in zip(names, grads, strict=True) if g is not None}, firsts

    def _starts(self) -> list[np.ndarray]:
        """For each stage the first block that each member trains."""
        members, last = self.cohort.members, len(self.blocks) - 1
        if self.generators is None:
            return [np.full(members, place) for place in range(last, -1, -1)]
        drawn = [int(torch.randint(last + 1, (), generator=generator)) for generator in self.generators]
        return [np.array(drawn)]


class _StackedBlock:
    """A block of all members: a call of stacked tensors, traced once for each layout of its inputs."""

    def __init__(self, cohort: Cohort, module: nn.Module) -> None:
        self.cohort, self.module = cohort, module
        self.masks: dict[str, Tensor] = {}
        whole: dict[int, str] = {id(p): name for name, p in cohort.template.named_parameters()}
        whole |= {id(b): name for name, b in cohort.template.named_buffers()}
        own = {name: whole[id(x)] for name, x in (*module.named_parameters(), *module.named_buffers())}
        self._weights = {name: key for name, key in own.items() if key in cohort.params}
        self._others = {name: key for name, key in own.items() if key not in cohort.params}
        # Of the same memory, so that they are always the weights as they are.
        self._leaves = {name: cohort.params[key].detach().requires_grad_() for name, key in self._weights.items()}
        places = {id(layer): name for name, layer in dropout.layers(cohort.template).items()}
        self._layers = {name: places[id(layer)] for name, layer in dropout.layers(module).items()}
        self._programs: dict[Any, Program] = {}

    @property
    def names(self) -> list[str]:
        """Those of its parameters in the cohort."""
        return list(self._weights.values())

    def parameters(self) -> list[Tensor]:
        return list(self._leaves.values())

    def first(self, inputs: Tensor) -> tuple[Tensor, None]:
        return self._called(inputs, self.cohort.buffers), None

    def again(self, inputs: Tensor, kept: None) -> Tensor:
        return self._called(inputs, {name: b.clone() for name, b in self.cohort.buffers.items()})

    def _called(self, inputs: Tensor, buffers: dict[str, Tensor]) -> Tensor:
        held = self.cohort.frozen | buffers
        state = self._leaves | {name: held[key] for name, key in self._others.items()}
        state |= {f"{name}.mask": self.masks[key] for name, key in self._layers.items() if key in self.masks}
        key = (*state, inputs.shape, inputs.stride(), inputs.dtype)
        if key not in self._programs:
            self._programs[key] = self._program(state, inputs)
        return self._programs[key](*state.values(), inputs)[0]

    def _program(self, state: dict[str, Tensor], inputs: Tensor) -> Program:
        self.module.train()
        layers = dropout.layers(self.module).values()

        def of_one(own: dict[str, Tensor], x: Tensor) -> Tensor:
            for layer in layers:
                layer.passed = 0
            return functional_call(self.module, own, (x,))

        def of_all(*flat: Tensor) -> Sequence[Tensor]:
            return (torch.vmap(of_one)(dict(zip(state, flat, strict=False)), flat[-1]),)

        return traced(of_all, [*(x.detach() for x in state.values()), inputs.detach()])
