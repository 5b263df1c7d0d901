"""`Through`: what makes the gradient of a method with respect to a network's outputs, where autograd does not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from thalweg import swarm
from thalweg.race.record import Value
from thalweg.swarm import OutputGradient

DISTINCT = 64  # numbers among the targets, up to which the answers of swarms are kept for each


@dataclass(frozen=True)
class Through:
    """Makes an `OutputGradient` for a task's loss.

    `name` is its class in `thalweg.swarm`. `defaults` are the hyperparameters that a method has of it; those in
    `scales` may differ among the members of a cohort, the others may not. `fixed` are the other arguments.
    """

    name: str
    defaults: Mapping[str, Value] = field(default_factory=dict)
    scales: tuple[str, ...] = ()
    fixed: Mapping[str, Any] = field(default_factory=dict)

    def make(
        self, loss: Callable[..., Any], targets: Tensor, settings: Sequence[Mapping[str, Value]], device: torch.device
    ) -> OutputGradient:
        """The gradient for members with these settings, whose training targets are `targets`."""
        shared: dict[str, Any] = {name: value for name, value in settings[0].items() if name not in self.scales}
        scales = {
            name: torch.tensor([float(setting[name]) for setting in settings], dtype=torch.float64, device=device)  # type: ignore[arg-type]
            for name in self.scales
        }
        if len(settings) == 1:
            scales = {name: scale[0] for name, scale in scales.items()}
        if "bounds" in shared:
            shared |= {"init": "bounds", "cache": _few_numbers(targets)} | dict(self.fixed)
        bare, level = swarm.unreduced(loss)
        return getattr(swarm, self.name)(bare, **{"level": level, **self.fixed, **shared}, **scales)

    def own(self, hyperparameters: Mapping[str, Value]) -> dict[str, Value]:
        """Those of a method's hyperparameters that are its."""
        names = {*self.defaults, "bounds"} if self.name == "SwarmGradient" else {*self.defaults}
        return {name: value for name, value in hyperparameters.items() if name in names}

    def kind(self, hyperparameters: Mapping[str, Value]) -> str:
        """What members of a cohort must share."""
        own = {name: value for name, value in self.own(hyperparameters).items() if name not in self.scales}
        return f"{self.definition()} {own}"

    def definition(self) -> str:
        """What decides how it works, beside its hyperparameters."""
        return f"{self.name} {sorted(self.fixed.items())}"

    @property
    def code(self) -> str:
        """The expression that makes it, with {} where the hyperparameters go."""
        fixed = "".join(f"{name}={value!r}, " for name, value in self.fixed.items())
        return f"thalweg.swarm.{self.name}(loss_fn, {fixed}{{}})"


def _few_numbers(targets: Tensor) -> bool | list[float]:
    """The distinct numbers among targets, for a cache; classes need none, and of many numbers none is kept."""
    if not targets.is_floating_point():
        return True
    distinct = targets.unique()
    return distinct.tolist() if len(distinct) <= DISTINCT else False
