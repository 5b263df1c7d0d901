"""What sweeps cost: by formula, from the costs of the blocks, which are counted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from thalweg.sweep.blocks import Blocks, cut, parameters_of


def block_costs(blocks: Blocks, x: Any) -> list[int]:
    """The floating-point operations of a forward pass through each block, input side first, on inputs like `x`.

    Those of matrix products, convolutions and attention count; where there are none, blocks weigh as much as they have
    parameters. The blocks are run once, in evaluation mode, and are as before then.
    """
    return _counted(cut(blocks), x)


def _counted(blocks: Sequence[Sequence[Callable[[Any], Any]]], x: Any) -> list[int]:
    modules = [m for pieces in blocks for piece in pieces if isinstance(piece, nn.Module) for m in piece.modules()]
    modes = [m.training for m in modules]
    costs = []
    try:
        for module in modules:
            module.training = False
        with torch.no_grad():
            for pieces in blocks:
                with FlopCounterMode(display=False) as counter:
                    for piece in pieces:
                        x = piece(x)
                costs.append(counter.get_total_flops())
    finally:
        for module, mode in zip(modules, modes, strict=True):
            module.training = mode
    return costs if any(costs) else [sum(p.numel() for p in parameters_of(pieces)) for pieces in blocks]


def plain_cost(costs: Sequence[float]) -> float:
    """A plain step, 3F - f_1: forward, gradients of weights, gradients of inputs but for the first block's.

    `costs`: the forward cost f_l of each block, input side first.
    """
    return nested_cost(costs, [len(costs)])


def nested_cost(costs: Sequence[float], stages: Sequence[int] | None = None) -> float:
    """A nested sweep with cached activations: sum of (3 l - 1) f_l where every block is a stage.

    `stages`: how many blocks belong to each, input side first; those of stage l are forwarded and differentiated l
    times, and all but the lowest of them pass a gradient on each time.
    """
    own = _groups(costs, stages)
    return sum(3 * times * sum(group) - group[0] for times, group in enumerate(own, 1))


def stochastic_cost(costs: Sequence[float], stages: Sequence[int] | None = None) -> float:
    """The expected cost of a stochastic step: sum of (1 + (2 l - 1)/L) f_l where every block is a stage."""
    own = _groups(costs, stages)
    below = 0.0
    total = 0.0
    for first, group in enumerate(own):  # the start, with a chance of 1 in len(own)
        trained = sum(sum(each) for each in own[first:])
        total += below + 3 * trained - group[0]
        below += sum(group)
    return total / len(own)


def equal_stages(costs: Sequence[float], stages: int) -> list[int]:
    """How many blocks each of so many stages gets, input side first, such that the dearest costs as little as possible.

    Raises ValueError where there are more stages than blocks.
    """
    if not 1 <= stages <= len(costs):
        raise ValueError(f"stages must be between 1 and the number of blocks, {len(costs)}, got {stages}")
    # best[b]: for the first b blocks in k stages, the cost of the dearest and how many blocks each has.
    best: dict[int, tuple[float, list[int]]] = {0: (0.0, [])}
    for _ in range(stages):
        best = {
            end: min(
                (max(dearest, sum(costs[begin:end])), [*sizes, end - begin])
                for begin, (dearest, sizes) in best.items()
                if begin < end
            )
            for end in range(min(best) + 1, len(costs) + 1)
        }
    return best[len(costs)][1]


def _groups(costs: Sequence[float], stages: Sequence[int] | None) -> list[Sequence[float]]:
    if len(costs) == 0:
        raise ValueError("costs must be of one block or more, got none")
    sizes = [1] * len(costs) if stages is None else stages
    ends = [sum(sizes[: i + 1]) for i in range(len(sizes))]
    if ends[-1:] != [len(costs)] or min(sizes) < 1:
        raise ValueError(f"stages must be numbers of blocks that add up to {len(costs)}, got {list(sizes)}")
    return [costs[end - size : end] for end, size in zip(ends, sizes, strict=True)]
