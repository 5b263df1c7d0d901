"""A pass of one batch through the blocks: what it keeps, so that a stage of a sweep works out only what has changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from thalweg.sweep.blocks import parameters_of

Gradients = list[tuple[Tensor, Tensor | None]]


class Block(Protocol):
    """A block of one network, or the same block of many networks stacked.

    `first` is its forward pass, and also says what `again`, the later ones of the same sweep, has to know to drop the
    same elements.
    """

    def parameters(self) -> list[Tensor]: ...
    def first(self, inputs: Any) -> tuple[Any, Any]: ...
    def again(self, inputs: Any, kept: Any) -> Any: ...


class ModuleBlock:
    """Modules and functions that are called one after another.

    Arguments:
        pieces: the modules and functions.
        same_masks: whether dropout drops in a sweep's later passes what it dropped in the first.
        buffers_once: whether running statistics move in the first pass of a sweep alone.
    """

    def __init__(self, pieces: Sequence[Callable[[Any], Any]], same_masks: bool, buffers_once: bool) -> None:
        self.pieces, self.same_masks, self.buffers_once = list(pieces), same_masks, buffers_once
        self.every = parameters_of(self.pieces)
        self._modules = [m for piece in self.pieces if isinstance(piece, nn.Module) for m in piece.modules()]

    def parameters(self) -> list[Tensor]:
        """Those that are trained."""
        return [p for p in self.every if p.requires_grad]

    def first(self, inputs: Any) -> tuple[Any, Any]:
        kept = self._random_states(inputs) if self.same_masks else None
        return self._called(inputs), kept

    def again(self, inputs: Any, kept: Any) -> Any:
        with self._spared_buffers():
            if kept is None:
                return self._called(inputs)
            now = self._random_states(inputs)
            self._set_random_states(kept)
            try:
                return self._called(inputs)
            finally:
                self._set_random_states(now)

    def _called(self, inputs: Any) -> Any:
        for piece in self.pieces:
            inputs = piece(inputs)
        return inputs

    @contextmanager
    def _spared_buffers(self) -> Iterator[None]:
        """Has the modules change copies of their buffers. They are not put back in place, because autograd may have
        kept them and would notice."""
        held = [(m, name, b) for m in self._modules for name, b in m._buffers.items() if b is not None]
        try:
            for module, name, buffer in held if self.buffers_once else ():
                module._buffers[name] = buffer.clone()
            yield
        finally:
            for module, name, buffer in held if self.buffers_once else ():
                module._buffers[name] = buffer

    def _random_states(self, inputs: Any) -> list[tuple[torch.Generator, Tensor]]:
        """Of all generators that a layer may draw from: torch's own, and those that a module holds."""
        generators = [torch.default_generator]
        for device in {x.device for x in _tensors(inputs) if x.is_cuda}:
            index = torch.cuda.current_device() if device.index is None else device.index
            generators.append(torch.cuda.default_generators[index])
        generators += [held for m in self._modules for held in vars(m).values() if isinstance(held, torch.Generator)]
        return [(each, each.get_state()) for each in generators]

    def _set_random_states(self, states: list[tuple[torch.Generator, Tensor]]) -> None:
        for generator, state in states:
            generator.set_state(state)


class Pass:
    """One batch on its way through the blocks.

    The first pass makes one graph of all blocks. A stage differentiates with respect to the parameters of the last
    blocks alone, which uses up their part of the graph and leaves that of the others for later stages; then those
    blocks, whose parameters have changed, are run anew on the input that is kept, and join the graph again.

    Arguments:
        blocks: input side first.
        x: the batch.
        lowest: the place of the first block that will be trained; those before it get no graph.
        keep: whether the first pass makes graphs. Otherwise it notes the inputs of the blocks alone, and every stage
            runs all blocks that it trains.
    """

    def __init__(self, blocks: Sequence[Block], x: Any, lowest: int = 0, keep: bool = True) -> None:
        self.blocks, self._lowest, self._keep = blocks, lowest, keep
        self.output: Any = None
        self._inputs: list[Any] = [x]
        self._random: dict[int, Any] = {}
        self._changed = len(blocks) - 1  # the first block whose parameters are others than in the graph
        with torch.no_grad():
            self._run(0, lowest if keep else len(blocks) - 1)
        if keep:
            with torch.enable_grad():
                self._run(lowest, len(blocks))

    def refresh(self, first: int) -> None:
        """Makes `output` that of the parameters as they are, with the graph of the blocks from `first` on."""
        if self.output is None:
            with torch.enable_grad():
                self._run(self._changed if self._keep else first, len(self.blocks))

    def gradients(self, first: int, output: Tensor, of_output: Tensor | None = None) -> Gradients:
        """The gradients of a number, or where that with respect to `output` is given, with respect to the parameters of
        the blocks from `first` on; None of one that has no part. Their part of the graph is gone then."""
        params = self._used_up(first)
        with _without_autocast(output.device.type):
            grads = torch.autograd.grad(output, params, of_output, allow_unused=True)
        return list(zip(params, grads, strict=True))

    def backward(self, first: int, number: Tensor) -> None:
        """Adds the same gradients to the `grad` of the parameters. No two of them share memory, so that they can be
        changed in place."""
        params = self._used_up(first)
        with _without_autocast(number.device.type):
            torch.autograd.backward(number, inputs=params)

    def _used_up(self, first: int) -> list[Tensor]:
        """The parameters of the blocks from `first` on, whose part of the graph is about to go."""
        # Before the gradients, so that nothing but the graph holds what it gives back on the way.
        self.output, self._changed = None, first
        del self._inputs[first + 1 :]
        return [p for block in self.blocks[first:] for p in block.parameters()]

    def _run(self, begin: int, end: int) -> None:
        torch.clear_autocast_cache()  # which may have parameters as they were before a step
        x = self._inputs[begin]
        for place in range(begin, end):
            before = [each._version for each in _tensors(x)]
            if place in self._random:
                y = self.blocks[place].again(x, self._random[place])
            else:
                y, self._random[place] = self.blocks[place].first(x)
            if before != [each._version for each in _tensors(x)]:
                raise ValueError(
                    f"block {place + 1} changes its input in place, which is needed once more: let the operation that "
                    "does (an activation with inplace=True?) end the block before, or not work in place"
                )
            x = y
            if place < self._lowest:
                self._inputs[place] = None  # no stage begins there
            if place + 1 < len(self.blocks):
                self._inputs[place + 1 :] = [x]
        if end == len(self.blocks):
            self.output = x


def _tensors(x: Any) -> list[Tensor]:
    """Of what blocks pass on, those that can be looked at."""
    return [each for each in (x if isinstance(x, (tuple, list)) else [x]) if isinstance(each, Tensor)]


def _without_autocast(device: str) -> AbstractContextManager[Any]:
    """Gradients are worked out in the precision that the forward pass has chosen."""
    return torch.autocast(device, enabled=False) if torch.is_autocast_enabled(device) else nullcontext()
