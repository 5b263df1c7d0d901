"""Networks and batches for the tests of sweeps, and a sweep by the book: everything worked out anew at every stage."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn

from thalweg.sweep import propose_blocks


def chain(widths: Sequence[int], seed: int = 0, dtype: torch.dtype = torch.float64) -> nn.Sequential:
    """Linear layers, each followed by tanh."""
    generator = torch.Generator().manual_seed(seed)
    layers: list[nn.Module] = []
    for inputs, outputs in zip(widths, widths[1:], strict=False):
        layer = nn.Linear(inputs, outputs, dtype=dtype)
        with torch.no_grad():
            layer.weight.copy_(torch.randn(outputs, inputs, generator=generator, dtype=dtype) / inputs**0.5)
            layer.bias.copy_(torch.randn(outputs, generator=generator, dtype=dtype) / 10)
        layers += [layer, nn.Tanh()]
    return nn.Sequential(*layers)


def batches(count: int, inputs: int, outputs: int, size: int = 5, seed: int = 1) -> Iterator[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(seed)
    for _ in range(count):
        yield (
            torch.randn(size, inputs, generator=generator, dtype=torch.float64),
            torch.randn(size, outputs, generator=generator, dtype=torch.float64),
        )


def twins(network: nn.Module) -> tuple[nn.Module, nn.Module]:
    return network, copy.deepcopy(network)


def by_the_book(
    network: nn.Module,
    loss_fn: Callable[[Tensor, Tensor], Tensor],
    optimizer: torch.optim.Optimizer,
    x: Tensor,
    y: Tensor,
    blocks: Sequence[nn.Module] | None = None,
) -> None:
    """A nested sweep: a whole forward and backward pass a stage, of whose gradients those of the last blocks are used."""
    blocks = propose_blocks(network) if blocks is None else blocks
    for stage in range(1, len(blocks) + 1):
        optimizer.zero_grad()
        loss_fn(network(x), y).backward()
        for block in blocks[: len(blocks) - stage]:
            for p in block.parameters():
                p.grad = None
        optimizer.step()


def same_weights(a: nn.Module, b: nn.Module) -> bool:
    return all(torch.equal(p, q) for p, q in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


class Unit(nn.Module):
    """A residual unit."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner = nn.Linear(width, width, dtype=torch.float64)
        self.outer = nn.Linear(width, width, dtype=torch.float64)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.outer(torch.relu(self.inner(x))))


class Residual(nn.Module):
    """A network with skip connections, which is no nn.Sequential."""

    def __init__(self, width: int = 6, units: int = 3, outputs: int = 2) -> None:
        super().__init__()
        self.stem = nn.Linear(4, width, dtype=torch.float64)
        self.units = nn.Sequential(*[Unit(width) for _ in range(units)])
        self.head = nn.Linear(width, outputs, dtype=torch.float64)

    def forward(self, x: Tensor) -> Tensor:
        x = self.units(torch.relu(self.stem(x)))
        return self.head(torch.flatten(x, 1))
