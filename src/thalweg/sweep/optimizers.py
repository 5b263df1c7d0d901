"""What sweeps ask of an optimizer, and the one that position-wise training reduces to: layer-wise learning rates."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from thalweg.sweep.blocks import Blocks, cut, parameters_of


def layerwise_lr(blocks: Blocks, lr: float, *, normalize: bool = False) -> list[dict[str, Any]]:
    """Parameter groups for any optimizer: block l of L, counted from the input, has the learning rate l * lr.

    That is what a nested sweep comes to as lr goes to 0, at the cost of a plain step. `normalize` divides all by L.
    Raises ValueError where lr is not a number >= 0, or the blocks are none.

    >>> net = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))
    >>> optimizer = torch.optim.SGD(layerwise_lr(net, 0.1))
    >>> [group["lr"] for group in optimizer.param_groups]
    [0.1, 0.2]
    """
    if isinstance(lr, bool) or not isinstance(lr, (int, float)) or not 0 <= lr < float("inf"):
        raise ValueError(f"lr must be a number >= 0, got {lr!r}")
    pieces = cut(blocks)
    unit = lr / len(pieces) if normalize else lr
    return [{"params": parameters_of(own), "lr": place * unit} for place, own in enumerate(pieces, 1)]


def check_optimizer(optimizer: Any, blocks: Sequence[Sequence[Callable[[Any], Any]]]) -> None:
    """Raises ValueError where it cannot train these blocks stage by stage."""
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise ValueError(f"optimizer must be a torch.optim.Optimizer, got {optimizer!r:.80}")
    closure = inspect.signature(optimizer.step).parameters.get("closure")
    if closure is not None and closure.default is inspect.Parameter.empty:
        raise ValueError(
            f"optimizer must step without a closure, and {type(optimizer).__name__} needs one, which would run the "
            "whole network within a stage"
        )
    held = {p for group in optimizer.param_groups for p in group["params"]}
    for place, pieces in enumerate(blocks, 1):
        modules = [piece for piece in pieces if isinstance(piece, nn.Module)]
        missing = [name for m in modules for name, p in m.named_parameters() if p.requires_grad and p not in held]
        if missing:
            raise ValueError(
                f"optimizer must have all parameters of the blocks, and lacks {missing[0]!r} of block {place}"
            )
    own = {p for pieces in blocks for p in parameters_of(pieces)}
    others = [p for p in held if p not in own and p.requires_grad]
    if others:
        raise ValueError(
            f"optimizer must have parameters of the blocks alone, and one of shape {tuple(others[0].shape)} is in "
            "none: give it an optimizer of its own, or make its module a block"
        )
