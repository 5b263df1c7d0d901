"""The convolutional networks: their initialisation, and how images are enlarged."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from thalweg.tasks.models import keras_cifar_cnn, keras_mnist_cnn, resnet18, vgg
from thalweg.tasks.models.convolutional import Enlarge


def fans(weight):
    """How many numbers a unit of the layer reads, and how many read one of its inputs."""
    field = math.prod(weight.shape[2:])
    return weight.shape[1] * field, weight.shape[0] * field


@pytest.mark.parametrize("make", [keras_mnist_cnn, keras_cifar_cnn, lambda generator: vgg(16, generator)])
def test_weights_are_glorot_uniform_and_biases_zero(make, generator):
    for name, weight in make(generator=generator()).named_parameters():
        if name.endswith("bias"):
            assert not weight.any()
            continue
        bound = math.sqrt(6 / sum(fans(weight)))
        assert weight.abs().max() <= bound
        assert weight.abs().max() > 0.97 * bound
        assert weight.var().item() == pytest.approx(bound**2 / 3, rel=5 / math.sqrt(weight.numel()))


def test_resnet_is_he_normal_by_its_outputs(generator):
    for module in resnet18(generator()).modules():
        if isinstance(module, nn.Conv2d):
            expected = 2 / fans(module.weight)[1]
            assert module.weight.var().item() == pytest.approx(expected, rel=10 / math.sqrt(module.weight.numel()))
            assert module.bias is None
        if isinstance(module, nn.Linear):
            assert module.weight.abs().max() <= 1 / math.sqrt(512)
            assert not module.bias.any()


def test_images_are_enlarged_bilinearly_between_the_middles_of_pixels(generator):
    image = torch.rand(1, 1, 28, 28, generator=generator())
    places = (np.arange(32) + 0.5) * 28 / 32 - 0.5  # of the new pixels' middles, in old pixels
    rows = np.stack([np.interp(places, np.arange(28), row) for row in image[0, 0].numpy()])
    expected = np.stack([np.interp(places, np.arange(28), column) for column in rows.T]).T
    np.testing.assert_allclose(Enlarge(32)(image)[0, 0].numpy(), expected, atol=1e-6)


def test_vgg_halves_the_image_five_times_and_has_as_many_layers_as_its_name_says(generator):
    for depth in (16, 19):
        layers = list(vgg(depth, generator()))
        assert sum(isinstance(layer, (nn.Conv2d, nn.Linear)) for layer in layers) == depth
        assert sum(isinstance(layer, nn.MaxPool2d) for layer in layers) == 5
    for wrong in ({"narrower": 0}, {"narrower": 3}, {"size": 28}):
        with pytest.raises(ValueError, match=f"{next(iter(wrong))} must be a power of two"):
            vgg(16, generator, **wrong)
    with pytest.raises(ValueError, match="depth must be one of 16, 19, got 11"):
        vgg(11, generator())
