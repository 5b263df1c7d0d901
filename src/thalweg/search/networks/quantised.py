"""`quantised`: a network whose weights are rounded to a few bits whenever it is called."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from thalweg.search.checks import check_positive, is_whole
from thalweg.search.networks.weights import Chosen, check_chosen

# The distance of levels, in standard deviations, at which 2**bits of them change normal weights least (Max, Quantizing
# for minimum distortion, IRE Transactions on Information Theory 6, 1960, table II).
STEPS = {1: 1.596, 2: 0.9957, 3: 0.5860, 4: 0.3352, 5: 0.1881, 6: 0.1041, 7: 0.0569, 8: 0.0308}


def quantised(
    module: nn.Module, bits: int = 2, *, step: float | None = None, params: Chosen | None = None
) -> nn.Module:
    """A copy of a module whose weights are rounded to 2**bits levels in every forward pass.

    Arguments:
        bits: from 1 to 8; the levels are (i + 1/2) step, as many below 0 as above.
        step: > 0; None: for each tensor what changes normal numbers of its standard deviation least.
        params: `params(name, parameter)` says what is rounded; None: all with two dimensions or more, not biases.

    The parameters are still real numbers, which any strategy searches; but their gradient is 0 everywhere, so that
    nothing else can train them without pretending that there is no rounding. `torch.nn.utils.parametrize`, by which it
    is done, also makes the rounded weights the module's own: `remove_parametrizations(layer, "weight")`.

    Raises ValueError, naming the argument and quoting the value.

    >>> layer = quantised(nn.Linear(100, 100), bits=2)
    >>> layer.weight.unique().numel(), layer.parametrizations.weight.original.unique().numel() > 9000
    (4, True)
    """
    if not is_whole(bits) or bits not in STEPS:
        raise ValueError(f"bits must be a whole number from 1 to 8, got {bits!r}")
    check_positive(step=step)
    check_chosen(params)
    module = copy.deepcopy(module)
    found = [
        (name, w)
        for name, w in module.named_parameters(remove_duplicate=False)  # tied weights are rounded in all their places
        if (w.dim() > 1 if params is None else params(name, w))
    ]
    if not found:
        raise ValueError("params must choose parameters to round, and it chose none")
    for name, w in found:
        owner, _, own = name.rpartition(".")
        parametrize.register_parametrization(module.get_submodule(owner), own, Rounded(w, int(bits), step), unsafe=True)
    return module


class Rounded(nn.Module):
    """Rounds weights to the nearest of 2**bits levels, (i + 1/2) step."""

    step: Tensor

    def __init__(self, weight: Tensor, bits: int, step: float | None = None) -> None:
        super().__init__()
        self.bits = bits
        if step is None:
            deviation = float(weight.detach().double().std(correction=0))
            step = STEPS[bits] * (deviation if deviation > 0 else 1.0)
        self.register_buffer("step", torch.tensor(step, dtype=weight.dtype, device=weight.device))

    def forward(self, weight: Tensor) -> Tensor:
        last = 2 ** (self.bits - 1) - 0.5
        return ((weight / self.step).floor() + 0.5).clamp(-last, last) * self.step

    def extra_repr(self) -> str:
        return f"bits={self.bits}, step={float(self.step):.4g}"
