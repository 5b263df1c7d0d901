"""The convolutional networks of published comparisons: two of Keras' examples, and the VGGs of keras.applications.

All end in logits, where Keras' own end in a softmax: the loss has it. Convolutions and linear layers are
Glorot-uniform with zero biases (Glorot and Bengio 2010, equation 16), as Keras draws them.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from thalweg.tasks.dropout import Dropout
from thalweg.tasks.models.layers import Conv2d, Linear

VGG_BLOCKS = {  # depth: the number of convolutions in each of the five blocks (Simonyan and Zisserman 2015, table 1)
    16: (2, 2, 3, 3, 3),
    19: (2, 2, 4, 4, 4),
}
VGG_CHANNELS = (64, 128, 256, 512, 512)
VGG_DENSE = 4096
VGG_SIZE = 32  # pixels; smaller images are enlarged to it


def keras_mnist_cnn(generator: torch.Generator, *, channels: int = 1, classes: int = 10) -> nn.Sequential:
    """The network of Keras' MNIST example, from (n, 1, 28, 28) to (n, 10): 1,199,882 parameters."""
    network = nn.Sequential(
        Conv2d(channels, 32, 3),
        nn.ReLU(),
        Conv2d(32, 64, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        Dropout(0.25),
        nn.Flatten(),
        Linear(12 * 12 * 64, 128),
        nn.ReLU(),
        Dropout(0.5),
        Linear(128, classes),
    )
    return _glorot(network, generator)


def keras_cifar_cnn(generator: torch.Generator, *, channels: int = 3, classes: int = 10) -> nn.Sequential:
    """The network of Keras' CIFAR-10 example, from (n, 3, 32, 32) to (n, 10): 1,250,858 parameters."""
    layers: list[nn.Module] = []
    for inputs, outputs in ((channels, 32), (32, 64)):
        layers += [Conv2d(inputs, outputs, 3, padding=1), nn.ReLU(), Conv2d(outputs, outputs, 3), nn.ReLU()]
        layers += [nn.MaxPool2d(2), Dropout(0.25)]
    layers += [nn.Flatten(), Linear(6 * 6 * 64, 512), nn.ReLU(), Dropout(0.5), Linear(512, classes)]
    return _glorot(nn.Sequential(*layers), generator)


def vgg(
    depth: int,
    generator: torch.Generator,
    *,
    channels: int = 3,
    classes: int = 10,
    narrower: int = 1,
    size: int = VGG_SIZE,
) -> nn.Sequential:
    """VGG16 or VGG19 for small images, from (n, channels, 32, 32), or (n, 1, 28, 28) with one channel, to (n, classes).

    As in the experiments of Gravity: keras.applications without weights, so neither batch normalisation nor dropout;
    images of one channel are enlarged from 28 to 32 pixels, bilinearly, by its first layer. 33,638,218 and 38,947,914
    parameters for 3 channels and 10 classes. `narrower` divides the widths of all layers but the last, and `size` is
    that of the images (one channel: to which they are enlarged), a power of two: where they have shrunk to one pixel,
    the pools that are left are left out. Raises ValueError for another depth, and for what
    is no power of two.
    """
    if depth not in VGG_BLOCKS:
        raise ValueError(f"depth must be one of {', '.join(map(str, VGG_BLOCKS))}, got {depth}")
    if narrower not in (1, 2, 4, 8, 16, 32, 64):
        raise ValueError(f"narrower must be a power of two from 1 to 64, got {narrower}")
    if size < 1 or size & (size - 1):
        raise ValueError(f"size must be a power of two, got {size}")
    layers: list[nn.Module] = [Enlarge(size)] if channels == 1 else []
    for convolutions, width in zip(VGG_BLOCKS[depth], VGG_CHANNELS, strict=True):
        outputs = width // narrower
        for _ in range(convolutions):
            layers += [Conv2d(channels, outputs, 3, padding=1), nn.ReLU()]
            channels = outputs
        if size > 1:
            layers.append(nn.MaxPool2d(2))
            size //= 2
    inputs, dense = channels * size**2, VGG_DENSE // narrower
    layers += [nn.Flatten(), Linear(inputs, dense), nn.ReLU(), Linear(dense, dense), nn.ReLU(), Linear(dense, classes)]
    return _glorot(nn.Sequential(*layers), generator)


class Enlarge(nn.Module):
    """Resizes images to `size` by `size` pixels bilinearly, between the middles of pixels, as Keras' Resizing does."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, images: Tensor) -> Tensor:
        return interpolate(images, (self.size, self.size), mode="bilinear", align_corners=False)

    def extra_repr(self) -> str:
        return f"{self.size}"


def _glorot(network: nn.Sequential, generator: torch.Generator) -> nn.Sequential:
    for layer in network:
        if isinstance(layer, (Conv2d, Linear)):
            nn.init.xavier_uniform_(layer.weight, generator=generator)
    return network
