"""Networks, each a function of its sizes and of a generator that draws its weights."""

from thalweg.tasks.models.convolutional import keras_cifar_cnn, keras_mnist_cnn, vgg
from thalweg.tasks.models.gru import gru
from thalweg.tasks.models.mlp import mlp
from thalweg.tasks.models.resnet import resnet18
from thalweg.tasks.models.transformer import transformer

__all__ = ["gru", "keras_cifar_cnn", "keras_mnist_cnn", "mlp", "resnet18", "transformer", "vgg"]
