"""Networks of every kind that a population may be made of, and what they are evaluated on, in float64."""

import copy

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from thalweg.tasks.models import gru, mlp, transformer

ROWS = 12


def stream(seed):
    return torch.Generator().manual_seed(seed)


class Tied(nn.Module):
    """The weights of the embedding are those of the output."""

    def __init__(self):
        super().__init__()
        self.token = nn.Embedding(7, 5)
        self.out = nn.Linear(5, 7, bias=False)
        self.out.weight = self.token.weight

    def forward(self, tokens):
        return self.out(torch.tanh(self.token(tokens).mean(1)))


def frozen():
    network = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))
    network[0].weight.requires_grad_(False)
    return network


def convolutional(*normalisation):
    return nn.Sequential(nn.Conv2d(1, 4, 3), *normalisation, nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 3))


def normalised(layer):
    return nn.Sequential(nn.Linear(4, 8), layer, nn.ReLU(), nn.Linear(8, 3))


# By name: the network, the shape of an input or how many tokens there are, and the number of classes.
NETWORKS = {
    "perceptron": (lambda: mlp((4, 8, 8, 3), stream(0)), (4,), 3),
    "convolution": (convolutional, (1, 8, 8), 3),
    "convolution with batch norm": (lambda: convolutional(nn.BatchNorm2d(4)), (1, 8, 8), 3),
    "convolution with instance norm": (
        lambda: convolutional(nn.InstanceNorm2d(4, affine=True, track_running_stats=True)),
        (1, 8, 8),
        3,
    ),
    "batch norm": (lambda: normalised(nn.BatchNorm1d(8)), (4,), 3),
    "layer norm": (lambda: normalised(nn.LayerNorm(8)), (4,), 3),
    "tied weights": (Tied, 7, 7),
    "frozen weights": (frozen, (4,), 3),
    "transformer": (lambda: transformer(7, 4, 7, stream(0), width=8, heads=2), 7, 7),
    "gru": (lambda: gru(7, 7, stream(0), width=6), 7, 7),
}


def network(name):
    """With every parameter drawn anew, so that none is where all are alike."""
    generator = stream(1)
    made = NETWORKS[name][0]().double()
    with torch.no_grad():
        for w in made.parameters():
            w.copy_(torch.rand(w.shape, generator=generator, dtype=w.dtype) - 0.5)
    return made


def data(name, rows=ROWS, seed=2):
    """Inputs and targets."""
    generator, (_, shape, classes) = stream(seed), NETWORKS[name]
    if isinstance(shape, int):
        inputs = torch.randint(shape, (rows, 4), generator=generator)
    else:
        inputs = torch.randn(rows, *shape, generator=generator, dtype=torch.float64)
    return inputs, torch.randint(classes, (rows,), generator=generator)


def weights(members, count=11, seed=3):
    """Vectors (count, D) around the start."""
    noise = torch.randn(count, members.dim, generator=stream(seed), dtype=torch.float64)
    return members.start + 0.3 * noise.to(members.start)


def by_itself(module, x, inputs, targets, loss=cross_entropy, training=True):
    """The loss of one vector of weights, those that require a gradient, by torch alone."""
    module = copy.deepcopy(module).train(training)
    nn.utils.vector_to_parameters(x, [w for w in module.parameters() if w.requires_grad])
    with torch.no_grad():
        return loss(module(inputs), targets)
