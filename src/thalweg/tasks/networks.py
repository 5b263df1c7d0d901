"""Networks whose initial weights come from a generator of their own."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn


def mlp(sizes: Sequence[int], generator: torch.Generator) -> nn.Sequential:
    """A multi-layer perceptron with ReLU between its layers, in float32 on the CPU.

    `sizes` runs from the number of inputs to the number of outputs, so `mlp((4, 16, 3), generator)` maps (n, 4) to
    (n, 3). Weights are He-uniform (He et al. 2015, equation 10), biases zero; the global generator is not touched.

    >>> mlp((4, 16, 3), torch.Generator().manual_seed(0))(torch.zeros(2, 4)).shape
    torch.Size([2, 3])
    """
    if len(sizes) < 2:
        raise ValueError(f"sizes must name at least the inputs and the outputs, got {tuple(sizes)}")
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes):
        layer = _Linear(inputs, outputs, dtype=torch.float32)
        nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu", generator=generator)
        layers += [layer, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


class _Linear(nn.Linear):
    """A linear layer that does not draw its weights, which torch's own does from the global generator."""

    def reset_parameters(self) -> None:
        nn.init.zeros_(self.bias)
