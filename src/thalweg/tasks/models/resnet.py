"""ResNet-18 for images of 32 by 32 pixels."""

import math

import torch
from torch import Tensor, nn

from thalweg.tasks.models.layers import Conv2d, Linear

STAGES = ((64, 1), (128, 2), (256, 2), (512, 2))  # channels, and the stride of the first of two blocks


def resnet18(generator: torch.Generator, *, channels: int = 3, classes: int = 10) -> "ResNet":
    """ResNet-18 (He et al. 2016) from (n, channels, 32, 32) to (n, classes), with batch normalisation.

    Its first layer is a convolution of 3 by 3 without pooling, as is usual for images this small: 11,173,962 parameters
    for 3 channels and 10 classes. Convolutions are He-normal by their outputs (He et al. 2015), the last layer uniform
    within 1/sqrt(512), biases zero.
    """
    network = ResNet(channels, classes)
    for module in network.modules():
        if isinstance(module, Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu", generator=generator)
        elif isinstance(module, Linear):
            bound = 1 / math.sqrt(module.in_features)
            nn.init.uniform_(module.weight, -bound, bound, generator=generator)
    return network


class ResNet(nn.Module):
    """See `resnet18`."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        width = STAGES[0][0]
        self.stem = nn.Sequential(_convolution(channels, width), nn.BatchNorm2d(width), nn.ReLU())
        blocks: list[nn.Module] = []
        for outputs, stride in STAGES:
            blocks += [_Block(width, outputs, stride), _Block(outputs, outputs, 1)]
            width = outputs
        self.blocks = nn.Sequential(*blocks)
        self.head = Linear(width, classes)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.blocks(self.stem(images)).mean(dim=(2, 3)))


class _Block(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            _convolution(inputs, outputs, stride),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            _convolution(outputs, outputs),
            nn.BatchNorm2d(outputs),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            shrink = Conv2d(inputs, outputs, 1, stride=stride, bias=False)
            self.shortcut = nn.Sequential(shrink, nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.branch(x) + self.shortcut(x))


def _convolution(inputs: int, outputs: int, stride: int = 1) -> Conv2d:
    return Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
