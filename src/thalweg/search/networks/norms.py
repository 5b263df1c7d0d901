"""Running statistics of normalisation layers: no member of a population moves them; they are taken from data at the
end."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase


def running(module: nn.Module) -> list[_NormBase]:
    """The layers that keep running statistics: batch and instance normalisation."""
    layers = (each for each in module.modules() if isinstance(each, _NormBase))
    return [layer for layer in layers if layer.track_running_stats]


def normalise_by_batch(module: nn.Module) -> None:
    """Makes those layers go by the statistics of what they are given, and keep none."""
    for layer in running(module):
        layer.track_running_stats = False
        layer.running_mean = layer.running_var = layer.num_batches_tracked = None


@torch.no_grad()
def take_statistics(module: nn.Module, batches: Iterable[Tensor], momentum: bool = False) -> None:
    """Makes the running statistics of a module the means of those of these batches of inputs; with `momentum` moves
    them as a training step does. Everything else is in evaluation mode meanwhile."""
    layers = running(module)
    if not layers:
        return
    modes = {part: part.training for part in module.modules()}
    rates = {layer: layer.momentum for layer in layers}
    module.eval()
    for layer in layers:
        layer.train()
        if not momentum:
            layer.reset_running_stats()
            layer.momentum = None  # the mean of all
    for inputs in batches:
        module(inputs)
    for layer, rate in rates.items():
        layer.momentum = rate
    for part, mode in modes.items():
        part.training = mode
