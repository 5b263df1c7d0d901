"""Table 4 and section 3.3: the parameters of VGG16 and VGG19 by layer, and their initial weights."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import nn

from thalweg.tasks.models import vgg

DEPTHS = (16, 19)


def network(depth: int) -> nn.Sequential:
    """VGG16 or VGG19 for 3 channels and 10 classes, drawn from seed 0."""
    return vgg(depth, torch.Generator().manual_seed(0))


def layers(of: nn.Sequential) -> Iterator[tuple[str, nn.Module]]:
    """The layers that Table 4 lists, as Keras names them."""
    block, convolution, dense = 1, 0, 0
    for layer in of:
        if isinstance(layer, nn.Conv2d):
            convolution += 1
            yield f"block{block}_conv{convolution}", layer
        elif isinstance(layer, nn.MaxPool2d):
            yield f"block{block}_pool", layer
            block, convolution = block + 1, 0
        elif isinstance(layer, nn.Flatten):
            yield "flatten", layer
        elif isinstance(layer, nn.Linear):
            dense += 1
            yield f"dense_{dense}", layer


def parameters(of: nn.Sequential) -> dict[str, int]:
    """By layer how many there are, beginning with the input, which has none, and "total"."""
    counts = {name: sum(weight.numel() for weight in layer.parameters()) for name, layer in layers(of)}
    return {"input": 0, **counts, "total": sum(weight.numel() for weight in of.parameters())}


def initial_weights(of: nn.Sequential) -> list[dict[str, str | int | float]]:
    """By layer with weights: how many, their deviation, that of Glorot and Bengio (2010, equation 16), and the largest
    bias."""
    found: list[dict[str, str | int | float]] = []
    for name, layer in layers(of):
        if not isinstance(layer, nn.Conv2d | nn.Linear) or layer.bias is None:
            continue
        weight = layer.weight.detach()
        outputs, inputs = weight.shape[:2]
        window = weight[0, 0].numel()
        glorot = math.sqrt(2 / (window * (inputs + outputs)))
        found.append({
            "layer": name, "weights": weight.numel(), "sd": float(weight.std()), "glorot": glorot,
            "largest_bias": float(layer.bias.detach().abs().max()),
        })  # fmt: skip
    return found


def below(rows: list[dict[str, str | int | float]], noise: float) -> dict[str, float]:
    """How many layers begin with weights of a smaller deviation than the start noise moves them by, and which share of
    all weights that is."""
    small = [row for row in rows if float(row["glorot"]) < noise]
    weights = [sum(int(row["weights"]) for row in group) for group in (small, rows)]
    return {"layers": len(small), "of": len(rows), "share": weights[0] / weights[1]}


def signal(of: nn.Module, size: int, moved: float) -> dict[str, float]:
    """What tells random images of `size` by `size` pixels apart at the logits, the deviation between images: with the
    initial weights, and once the start noise has moved all weights and biases by normal numbers of deviation `moved`.
    Leaves the network moved."""
    random = torch.Generator().manual_seed(1)
    images = torch.rand(8, 3, size, size, generator=random)
    with torch.no_grad():
        initial = float(of(images).std(dim=0).mean())
        for weight in of.parameters():
            weight.add_(torch.randn(weight.shape, generator=random), alpha=moved)
        return {"initial": initial, "moved": float(of(images).std(dim=0).mean())}
