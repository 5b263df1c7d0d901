"""Networks and batches for the tests of sweeps, and a sweep by the book: everything worked out anew at every stage."""

from __future__ import annotations

import copy
import io
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from thalweg.sweep import propose_blocks

WIDTHS = (3, 5, 4, 6, 5, 4, 6, 5, 2)  # of eight layers
Network = Callable[[Any], Any]
Loss = Callable[[Any, Any], Tensor]


def stream(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def drawn(network: nn.Module, seed: int = 0, dtype: torch.dtype = torch.float64) -> Any:
    """With every matrix and bias drawn anew."""
    generator = stream(seed)
    network.to(dtype)
    with torch.no_grad():
        for p in network.parameters():
            scale = p[0].numel() ** -0.5 if p.dim() > 1 else 0.1
            p.copy_(scale * torch.randn(p.shape, generator=generator, dtype=torch.float64))
    return network


def chain(widths: Sequence[int], seed: int = 0, dtype: torch.dtype = torch.float64) -> nn.Sequential:
    """Linear layers, each followed by tanh."""
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(widths):
        layers += [nn.Linear(inputs, outputs), nn.Tanh()]
    return drawn(nn.Sequential(*layers), seed, dtype)


def of_depth(depth: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> nn.Sequential:
    """From 3 numbers to 2, through layers of several widths."""
    return chain((*WIDTHS[:depth], 2), seed, dtype)


def batches(
    count: int, inputs: int | tuple[int, ...], outputs: int, size: int = 5, seed: int = 1
) -> Iterator[tuple[Tensor, Tensor]]:
    generator = stream(seed)
    shape = (inputs,) if isinstance(inputs, int) else inputs
    for _ in range(count):
        yield (
            torch.randn(size, *shape, generator=generator, dtype=torch.float64),
            torch.randn(size, outputs, generator=generator, dtype=torch.float64),
        )


def batch(inputs: int | tuple[int, ...] = 3, outputs: int = 2, size: int = 5) -> tuple[Tensor, Tensor]:
    return next(batches(1, inputs, outputs, size))


def twins(network: Any) -> tuple[Any, Any]:
    return network, copy.deepcopy(network)


def sgd(network: nn.Module, lr: float = 0.1, **more: Any) -> torch.optim.SGD:
    return torch.optim.SGD(network.parameters(), lr=lr, **more)


def by_the_book(
    network: Network,
    loss_fn: Loss,
    optimizer: torch.optim.Optimizer,
    x: Any,
    y: Any,
    blocks: Sequence[nn.Module] | None = None,
    before_step: Callable[[list[nn.Parameter]], object] | None = None,
) -> list[Tensor]:
    """A nested sweep: a whole forward and backward pass a stage, of whose gradients those of the last blocks are used.

    The losses of the stages. `blocks` may be those of a network that is no module, or have several blocks in one.
    """
    if blocks is None:
        assert isinstance(network, nn.Module)
        blocks = propose_blocks(network)
    losses = []
    for stage in range(1, len(blocks) + 1):
        optimizer.zero_grad()
        loss = loss_fn(network(x), y)
        loss.backward()
        for block in blocks[: len(blocks) - stage]:
            for p in block.parameters():
                p.grad = None
        if before_step is not None:
            before_step([p for block in blocks for p in block.parameters() if p.grad is not None])
        optimizer.step()
        losses.append(loss.detach())
    return losses


def plainly(network: Network, loss_fn: Loss, optimizer: torch.optim.Optimizer, x: Any, y: Any) -> Tensor:
    """A plain step; the loss before it."""
    optimizer.zero_grad()
    loss = loss_fn(network(x), y)
    loss.backward()
    optimizer.step()
    return loss.detach()


def same_weights(a: nn.Module, b: nn.Module) -> bool:
    """And buffers, bit for bit."""
    return all(torch.equal(p, q) for p, q in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def same_parameters(a: nn.Module, b: nn.Module) -> bool:
    return all(torch.equal(p, q) for p, q in zip(a.parameters(), b.parameters(), strict=True))


def close_parameters(a: nn.Module, b: nn.Module, rtol: float = 1e-11, atol: float = 1e-13) -> None:
    for p, q in zip(a.parameters(), b.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=rtol, atol=atol)


def copies(network: nn.Module) -> list[Tensor]:
    return [p.detach().clone() for p in network.parameters()]


def through_a_file(saved: Any) -> Any:
    file = io.BytesIO()
    torch.save(saved, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


class Unit(nn.Module):
    """A residual unit."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner, self.outer = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.outer(torch.relu(self.inner(x))))


class Residual(nn.Module):
    """A network with skip connections, which is no nn.Sequential."""

    def __init__(self, width: int = 6, units: int = 3) -> None:
        super().__init__()
        self.stem = nn.Linear(4, width)
        self.units = nn.Sequential(*[Unit(width) for _ in range(units)])
        self.head = nn.Linear(width, 2)
        drawn(self)

    def forward(self, x: Tensor) -> Tensor:
        x = self.units(torch.relu(self.stem(x)))
        return self.head(torch.flatten(x, 1))

    @property
    def blocks(self) -> list[nn.Module]:
        return [self.stem, *self.units, self.head]


def convolutional() -> nn.Sequential:
    """For images (1, 8, 8); an activation works in place."""
    first = [nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(inplace=True), nn.MaxPool2d(2)]
    return drawn(nn.Sequential(*first, nn.Conv2d(3, 4, 2, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(4, 2)))
