"""Multi-layer perceptrons."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn

from thalweg.tasks.dropout import Dropout
from thalweg.tasks.models.layers import Linear


def mlp(sizes: Sequence[int], generator: torch.Generator, dropout: float = 0.0) -> nn.Sequential:
    """A multi-layer perceptron with ReLU and dropout between its layers, in float32 on the CPU.

    `sizes` runs from the number of inputs to the number of outputs, so `mlp((4, 16, 3), generator)` maps (n, 4) to
    (n, 3). Weights are He-uniform (He et al. 2015, equation 10), biases zero; the global generator is not touched.

    >>> mlp((4, 16, 3), torch.Generator().manual_seed(0))(torch.zeros(2, 4)).shape
    torch.Size([2, 3])
    """
    if len(sizes) < 2:
        raise ValueError(f"sizes must name at least the inputs and the outputs, got {tuple(sizes)}")
    if min(sizes) < 1:
        raise ValueError(f"sizes must all be at least 1, got {tuple(sizes)}")
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes):
        layer = Linear(inputs, outputs, dtype=torch.float32)
        nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu", generator=generator)
        layers += [layer, nn.ReLU(), Dropout(dropout)]
    return nn.Sequential(*layers[:-2])
