"""The known rules that an evolved one is compared with, simplest first, and what is fitted of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import torch

from thalweg.rules import Rule
from thalweg.rules.gallery import GALLERY

# Where a fit begins: the odds of a decay, from 0.05 to 0.9997, and the logarithm of an eps.
_DECAYS, _SMALL = (-3.0, 8.0), (math.log(1e-9), math.log(1e-2))
_FINE = {0: 1, 1: 16, 2: 8, 3: 6}  # points a hyperparameter, by how many there are beside lr

_FEW = 3  # points of an eps


@dataclass(frozen=True)
class Family:
    """A rule of the gallery with the names of the scalars that are fitted beside lr: `decays` between 0 and 1, and
    `small`, positive ones. lr multiplies the step in each of them. `called` is what people call it, `letters` its
    hyperparameters' other names."""

    name: str
    called: str
    decays: tuple[str, ...] = ()
    small: tuple[str, ...] = ()
    fixed: Mapping[str, float] = field(default_factory=dict)
    letters: Mapping[str, str] = field(default_factory=dict)
    signs: bool = False  # whether its steps are signs: errors have no slopes then, and only finer grids help

    @property
    def fitted(self) -> tuple[str, ...]:
        return (*self.decays, *self.small)

    @property
    def fine(self) -> int:
        """Points of the first grid, along each decay."""
        return (2 if self.signs else 1) * _FINE[len(self.fitted)]

    @property
    def zooms(self) -> int:
        """How many grids follow it, each narrower than the one before."""
        return 8 if self.signs else 2

    @cached_property
    def rule(self) -> Rule:
        """The rule at lr = 1, without weight decay."""
        return GALLERY[self.name].rule.replace(lr=1.0, weight_decay=0.0, **self.fixed)

    def settings(self, places: torch.Tensor) -> dict[str, torch.Tensor]:
        """The scalars at places of shape (settings, fitted) on the scales of the fit: log-odds, or logarithms."""
        columns = dict(zip(self.fitted, places.unbind(1), strict=True))
        return {
            name: torch.sigmoid(column) if name in self.decays else column.exp() for name, column in columns.items()
        }

    def grid(self) -> torch.Tensor:
        """Where the fit begins, of shape (points, fitted)."""
        if not self.fitted:
            return torch.zeros(1, 0, dtype=torch.float64)
        axes = [torch.linspace(*_DECAYS, self.fine, dtype=torch.float64) for _ in self.decays]
        axes += [torch.linspace(*_SMALL, _FEW, dtype=torch.float64) for _ in self.small]
        return torch.cartesian_prod(*axes).reshape(-1, len(self.fitted))

    def spacing(self) -> torch.Tensor:
        """From one point of the grid to the next, a hyperparameter each."""
        points = self.fine - 1
        decay, small = ((high - low) / count for (low, high), count in ((_DECAYS, points), (_SMALL, _FEW - 1)))
        return torch.tensor([decay] * len(self.decays) + [small] * len(self.small), dtype=torch.float64)


# In order of simplicity: a later one has to be clearly nearer. Not in the list are rules that another one covers:
# EMA momentum is the heavy ball with another lr.
FAMILIES = (
    Family("sgd", "gradient descent"),
    Family("sign", "sign descent"),
    Family("heavy_ball", "momentum", ("momentum",), letters={"momentum": "mu"}),
    Family("nesterov", "Nesterov's momentum", ("momentum",), letters={"momentum": "mu"}),
    Family("signum", "the sign of momentum (signum)", ("beta",), signs=True),
    Family("dampened_momentum", "dampened momentum", ("momentum", "dampening"), letters={"momentum": "mu"}),
    Family("adagrad", "Adagrad", (), ("eps",)),
    Family("rmsprop", "RMSprop", ("alpha",), ("eps",)),
    Family("lion", "Lion", ("beta1", "beta2"), signs=True),
    Family("gravity_ema", "Gravity without damping", ("beta",)),
    Family("gravity", "Gravity", ("beta",), fixed={"alpha": 0.0}),
    Family("ades", "ADES", ("beta1", "beta2")),
    Family("adam", "Adam", ("beta1", "beta2"), ("eps",)),
    Family("adamax", "Adamax", ("beta1", "beta2"), ("eps",)),
    Family("adadelta", "Adadelta", ("rho",), ("eps",)),
    Family("rmsprop_momentum", "momentum over RMSprop", ("alpha", "momentum"), ("eps",)),
    Family("rmsprop_centered", "centered RMSprop", ("alpha",), ("eps",)),
    Family("amsgrad", "AMSGrad", ("beta1", "beta2"), ("eps",)),
    Family("nadam", "NAdam", ("beta1", "beta2"), ("eps",)),
    Family("radam", "RAdam", ("beta1", "beta2"), ("eps",)),
    Family("adabelief", "AdaBelief", ("beta1", "beta2"), ("eps",)),
    Family("yogi", "Yogi", ("beta1", "beta2"), ("eps",)),
)
