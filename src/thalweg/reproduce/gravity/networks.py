"""The networks: VGG16 and VGG19 whole, and what a processor can train instead: a narrow VGG16, and Keras' CNNs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import Tensor, nn

from thalweg.reproduce.keras import keras_cnn
from thalweg.tasks.models import vgg

NARROWER = 8  # by which the widths of the narrow VGG16 are divided
TITLES = {"vgg16": "VGG16", "vgg19": "VGG19", "vgg16_narrow": "narrow VGG16", "keras_cnn": "Keras CNN"}


def _vgg(depth: int, narrower: int, channels: int, size: int, generator: torch.Generator, *, classes: int) -> nn.Module:
    across = 1 << (size - 1).bit_length()  # images of one channel are enlarged, from 28 to 32 pixels or from 14 to 16
    return vgg(depth, generator, channels=channels, classes=classes, narrower=narrower, size=across)


NETWORKS: Mapping[str, Callable[..., nn.Module]] = {
    "vgg16": partial(_vgg, 16, 1),
    "vgg19": partial(_vgg, 19, 1),
    "vgg16_narrow": partial(_vgg, 16, NARROWER),
    "keras_cnn": keras_cnn,
}
"""By name, functions (channels, size, generator, *, classes) of square images."""


class MixedPrecision(nn.Module):
    """A network whose products are taken in bfloat16, as torch's autocast does; weights and logits stay float32."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        with torch.autocast(images.device.type, torch.bfloat16):
            logits: Tensor = self.network(images)
        return logits.float()


def build(name: str, channels: int, size: int, classes: int, mixed: bool, generator: torch.Generator) -> nn.Module:
    """One of `NETWORKS`, in mixed precision or not: the same weights."""
    network = NETWORKS[name](channels, size, generator, classes=classes)
    return MixedPrecision(network) if mixed else network
