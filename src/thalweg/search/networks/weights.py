"""`FlatWeights`: the parameters of a module that are searched, as one vector."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

Chosen = Callable[[str, nn.Parameter], bool]

ALONE = 0.1  # how far a tensor is searched that has no spread and no fan-in of its own, such as the gains of a norm


class FlatWeights:
    """The parameters of a module that are searched, one behind another: D numbers.

    Arguments:
        module: it may go on living: what is said of its weights is said of those that it has at that moment.
        params: `params(name, parameter)` says which are searched; None: all that require a gradient. The others stay as
            they are. A parameter that stands in several places is one.

    `names` and `shapes` are in the module's order, `dim` is D, `dtype` that of vectors (float64 where the parameters
    are that, else float32), `device` the module's. `start` (D,) are the weights that the module had at first, and
    `spread` (D,) how far around them to begin: for each tensor the standard deviation of its numbers, and for one whose
    numbers are all the same what torch would draw it with, 1 / sqrt(3 fan_in), by its own fan-in or that of the weight
    beside it (He et al. 2015, with torch's a = sqrt(5)); 0.1 where neither has one.

    Raises ValueError where no parameter is searched, or they are not of one real dtype and on one device.

    >>> weights = FlatWeights(nn.Linear(2, 3))
    >>> weights.dim, {name: tuple(w.shape) for name, w in weights.unflatten(torch.zeros(5, 9)).items()}
    (9, {'weight': (5, 3, 2), 'bias': (5, 3)})
    """

    def __init__(self, module: nn.Module, params: Chosen | None = None) -> None:
        if not isinstance(module, nn.Module):
            raise ValueError(f"module must be a torch.nn.Module, got {module!r:.80}")
        check_chosen(params)
        every = dict(module.named_parameters())
        self._own = {name: w for name, w in every.items() if (w.requires_grad if params is None else params(name, w))}
        kinds = {(w.dtype, w.device) for w in self._own.values()}
        if len(kinds) != 1 or not next(iter(kinds))[0].is_floating_point:
            found = ", ".join(sorted(f"{dtype} on {device}" for dtype, device in kinds)) or "none"
            raise ValueError(f"params must choose parameters of one real dtype on one device, got {found}")
        self.stored, self.device = kinds.pop()
        self.dtype = torch.float64 if self.stored == torch.float64 else torch.float32
        self.names = tuple(self._own)
        self.shapes = tuple(w.shape for w in self._own.values())
        self.sizes = [shape.numel() for shape in self.shapes]
        self.dim = sum(self.sizes)
        self.start = self.weights()
        deviations = [_deviation(name, w, every) for name, w in self._own.items()]
        self.spread = torch.tensor(deviations, dtype=self.dtype, device=self.device).repeat_interleave(
            torch.tensor(self.sizes, device=self.device)
        )

    def weights(self) -> Tensor:
        """Those of the module now, (D,)."""
        return self.flatten({name: w.detach() for name, w in self._own.items()})

    def load(self, x: Tensor) -> None:
        """Gives the module weights (D,)."""
        with torch.no_grad():
            for name, part in self.unflatten(x).items():
                self._own[name].copy_(part)

    def gradient(self) -> Tensor:
        """The gradient that the module's parameters hold, (D,); 0 for those that have none."""
        return self.flatten({n: torch.zeros_like(w) if w.grad is None else w.grad for n, w in self._own.items()})

    def set_gradient(self, gradient: Tensor) -> None:
        """Makes a vector (D,) the gradient that the parameters hold."""
        for name, part in self.unflatten(gradient).items():
            self._own[name].grad = part.clone()

    def unflatten(self, x: Tensor) -> dict[str, Tensor]:
        """Vectors (..., D) as the parameters by their names, (..., *shape): views of x, unless the module's dtype is
        another one."""
        parts = zip(self.names, self.shapes, x.split(self.sizes, dim=-1), strict=True)
        return {name: part.reshape(*x.shape[:-1], *shape).to(self.stored) for name, shape, part in parts}

    def flatten(self, named: Mapping[str, Tensor]) -> Tensor:
        """Parameters (..., *shape) by their names as vectors (..., D), which share nothing with them."""
        parts = [
            named[name].reshape(*named[name].shape[: named[name].dim() - len(shape)], -1)
            for name, shape in zip(self.names, self.shapes, strict=True)
        ]
        return torch.cat(parts, dim=-1).to(self.dtype)


def check_chosen(params: Any) -> None:
    """Raises ValueError unless it is None, or can be called to choose parameters."""
    if params is not None and not callable(params):
        raise ValueError(f"params must be a function (name, parameter) that says which, or None, got {params!r:.80}")


def _deviation(name: str, w: Tensor, every: Mapping[str, Tensor]) -> float:
    """How far around a tensor to begin."""
    drawn = float(w.detach().double().std(correction=0)) if w.numel() > 1 else 0.0
    if drawn > 0 and math.isfinite(drawn):
        return drawn
    if w.dim() > 1:
        return 1 / math.sqrt(3 * math.prod(w.shape[1:]))
    layer = name.rpartition(".")[0]
    for path, other in every.items():
        if other.dim() > 1 and len(other) == w.numel() and path.startswith(f"{layer}." if layer else ""):
            return 1 / math.sqrt(3 * math.prod(other.shape[1:]))
    return ALONE
