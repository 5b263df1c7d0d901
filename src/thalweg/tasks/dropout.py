"""Dropout that draws from a generator of its own, alone and in a cohort alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn


class Dropout(nn.Module):
    """Sets each element to 0 with chance `p` while training, and divides the others by 1 - p (Srivastava et al. 2014).

    Whoever trains gives it a `generator`, or for many networks under `torch.vmap` the masks themselves, as the buffer
    `mask`: those of all its passes one behind another, flat (`Masks`). Raises ValueError unless 0 <= p < 1;
    RuntimeError where it trains with neither.
    """

    mask: Tensor | None

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.set_rate(p)
        self.generator: torch.Generator | None = None
        self.register_buffer("mask", None, persistent=False)
        self.passed = 0  # how much of the mask this pass through the network has used

    def set_rate(self, p: float) -> None:
        """Changes the chance of an element to be dropped."""
        if not 0 <= p < 1:
            raise ValueError(f"dropout must be at least 0 and below 1, got {p}")
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        if self.mask is not None:
            begin, self.passed = self.passed, self.passed + x.numel()
            return x * self.mask[begin : self.passed].reshape(x.shape)
        if self.generator is None:
            raise RuntimeError("this dropout has no generator to draw from: give it one, or call .eval() first")
        kept = torch.empty(x.shape, dtype=x.dtype, device=x.device)
        return x * kept.bernoulli_(1 - self.p, generator=self.generator).div_(1 - self.p)

    def extra_repr(self) -> str:
        return f"p={self.p}"


class Pass(NamedTuple):
    """What a dropout layer, by name, is given in a pass through the network. A layer may be passed more than once."""

    layer: str
    shape: torch.Size
    dtype: torch.dtype


class Masks:
    """The masks of many networks for one pass through them, drawn into the same memory again and again.

    Arguments:
        passes: in the order of the network.
        rates: of each layer those of all members.
        generators: of each member. Its masks are those that its network would draw by itself with that generator.

    `flat` has for each layer a tensor (members, elements of all its passes).
    """

    def __init__(
        self, passes: Sequence[Pass], rates: Mapping[str, Sequence[float]], generators: Sequence[torch.Generator]
    ) -> None:
        sizes: dict[str, int] = {}
        dtypes = {each.layer: each.dtype for each in passes}
        stretches = []
        for each in passes:
            begin = sizes.get(each.layer, 0)
            sizes[each.layer] = begin + each.shape.numel()
            stretches.append((each.layer, begin, sizes[each.layer]))
        device = generators[0].device
        self.flat = {
            layer: torch.ones((len(generators), size), dtype=dtypes[layer], device=device)
            for layer, size in sizes.items()
        }
        self._kept = {
            layer: torch.tensor([1 - rate for rate in rates[layer]], dtype=dtypes[layer], device=device)[:, None]
            for layer in sizes
        }
        self._draws = [
            (self.flat[layer][i, begin:end], 1 - rates[layer][i], generator)
            for i, generator in enumerate(generators)
            for layer, begin, end in stretches
            if rates[layer][i]  # else all 1, and nothing is drawn
        ]

    def draw(self) -> None:
        """Draws all of them anew."""
        for mask, share, generator in self._draws:
            mask.bernoulli_(share, generator=generator)
        for layer, kept in self._kept.items():
            self.flat[layer].div_(kept)


def layers(network: nn.Module) -> dict[str, Dropout]:
    """The dropout layers of a network, by name."""
    return {name: module for name, module in network.named_modules() if isinstance(module, Dropout)}


def with_own_dropout(network: nn.Module) -> nn.Module:
    """The same network, each `nn.Dropout` in it replaced by one of these."""
    return _replaced(network, {})


def _replaced(network: nn.Module, made: dict[nn.Module, Dropout]) -> nn.Module:
    """A layer that stands in several places is one layer afterwards too."""
    if type(network) is nn.Dropout:
        return made.setdefault(network, Dropout(network.p))
    for name, child in network._modules.items():
        if child is not None:
            network._modules[name] = _replaced(child, made)
    return network


@contextmanager
def passes_seen(network: nn.Module) -> Iterator[list[Pass]]:
    """Collects what each dropout layer is given, in the order of the forward pass."""
    seen: list[Pass] = []
    hooks = [
        layer.register_forward_pre_hook(
            lambda _, given, name=name: seen.append(Pass(name, given[0].shape, given[0].dtype))
        )
        for name, layer in layers(network).items()
    ]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()
