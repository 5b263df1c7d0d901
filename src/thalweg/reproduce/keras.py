"""The two Keras networks for images of any size: shrunk ones leave fewer inputs to the first dense layer."""

from __future__ import annotations

import torch
from torch import nn

from thalweg.tasks.models import keras_cifar_cnn, keras_mnist_cnn
from thalweg.tasks.models.layers import Linear

BUILDERS = {1: keras_mnist_cnn, 3: keras_cifar_cnn}  # by the channels of an image


def keras_cnn(channels: int, size: int, generator: torch.Generator, *, classes: int = 10) -> nn.Sequential:
    """From (n, channels, size, size) to (n, classes): the network that Keras' examples have for images of so many
    channels. Where `size` is not that of its images, its first dense layer is drawn anew, Glorot-uniform as the others.
    """
    network = BUILDERS[channels](generator, classes=classes)
    place = next(i for i, layer in enumerate(network) if isinstance(layer, nn.Linear))
    with torch.no_grad():
        inputs = network[:place].eval()(torch.zeros(1, channels, size, size)).shape[1]
    network.train()
    dense = network[place]
    assert isinstance(dense, nn.Linear)
    if inputs != dense.in_features:
        network[place] = drawn = Linear(inputs, dense.out_features)
        nn.init.xavier_uniform_(drawn.weight, generator=generator)
    return network
