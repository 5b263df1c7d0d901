"""A computation as a flat list of torch operations, found once by running it, and some of them made faster."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx
from torch.fx.graph import CodeGen, Graph

from thalweg.cohort.likeness import Unstackable

FEW = 64  # classes up to which the softmax over the last axis is worth turning round

Program = Callable[..., Sequence[Tensor]]


def traced(call: Program, given: Sequence[Tensor], faster: Mapping[Any, Callable[..., Any]] | None = None) -> Program:
    """The call as a list of operations for tensors like these: vmap and autograd then cost nothing when it is called.

    They take up to two thirds of a step where networks are small. What is given is left as it was. `faster`: operations
    to take in place of torch's, beside those that are always taken. Raises Unstackable where the call cannot be traced.
    """
    # A trace computes: running statistics would move, and a network may change its inputs in place.
    copies = [x.clone() if x.is_contiguous() else x for x in given]
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.filterwarnings("ignore", message="There is a performance drop")  # it will show in the timing
            module = make_fx(call, decomposition_table=_FASTER | dict(faster or {}))(*copies)
    except Exception as error:  # whatever vmap, autograd or a user's network raise
        raise Unstackable(f"torch.func cannot vectorise this network: {error}") from error
    _drop_views_that_change_nothing(module.graph)
    module.graph.set_codegen(CodeGen())  # takes and returns tensors as they are, not as trees
    module.recompile()
    return module.forward


_VIEWS = (torch.ops.aten.expand.default, torch.ops.aten.view.default, torch.ops.aten._unsafe_view.default)


def _drop_views_that_change_nothing(graph: Graph) -> None:
    """vmap leaves many of them: a third of the operations of a small network, each of which takes its time."""
    for node in list(graph.nodes):
        if node.op == "call_function" and node.target in _VIEWS:
            seen, of = node.meta.get("val"), node.args[0].meta.get("val")
            if seen is None or of is None:
                continue
            if (seen.shape, seen.stride(), seen.dtype) == (of.shape, of.stride(), of.dtype):
                node.replace_all_uses_with(node.args[0])
                graph.erase_node(node)


def _log_softmax(x: Tensor, dim: int, half_to_float: bool) -> Any:
    """Over a short last axis torch's loop is 7 times slower than over another one, the copy included."""
    if not _short_last_axis(x, dim) or half_to_float:
        return NotImplemented
    return torch.ops.aten._log_softmax(_turned(x), x.dim() - 2, False).transpose(-1, -2)


def _log_softmax_backward(g: Tensor, output: Tensor, dim: int, dtype: torch.dtype) -> Any:
    if not _short_last_axis(output, dim) or dtype != output.dtype:
        return NotImplemented
    turned = torch.ops.aten._log_softmax_backward_data(_turned(g), _turned(output), g.dim() - 2, dtype)
    return turned.transpose(-1, -2)


def _short_last_axis(x: Tensor, dim: int) -> bool:
    return x.device.type == "cpu" and x.dim() >= 3 and dim % x.dim() == x.dim() - 1 and x.shape[-1] <= FEW


def _turned(x: Tensor) -> Tensor:
    return x.transpose(-1, -2).contiguous()


_FASTER: dict[Any, Callable[..., Any]] = {
    torch.ops.aten._log_softmax.default: _log_softmax,
    torch.ops.aten._log_softmax_backward_data.default: _log_softmax_backward,
}
