"""`Environment`: what a policy acts in, as functions of tensors of any batch shape."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor


class Transition(NamedTuple):
    """What a step leads to: `states` (..., S), `rewards` (...), and `terminated`, bool (...)."""

    states: Tensor
    rewards: Tensor
    terminated: Tensor


@dataclass(frozen=True)
class Environment(ABC):
    """Dynamics, rewards and ends of a control task; it keeps no state, so any number of episodes share it.

    States are (..., S) and everything else has their batch shape, dtype and device. `state_size` is S,
    `observation_size` and `output_size` say how many numbers a policy sees and answers. `discrete`: whether the answer
    scores actions, the highest of which is taken, or is the action itself. After `horizon` steps an episode is cut off.
    """

    state_size: ClassVar[int]
    observation_size: ClassVar[int]
    output_size: ClassVar[int]
    discrete: ClassVar[bool]

    horizon: int

    def __post_init__(self) -> None:
        if not isinstance(self.horizon, int) or isinstance(self.horizon, bool) or self.horizon < 1:
            raise ValueError(f"horizon must be a whole number >= 1, got {self.horizon!r}")

    @abstractmethod
    def start(
        self,
        shape: Sequence[int],
        generator: torch.Generator,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str | None = None,
    ) -> Tensor:
        """Drawn states to begin with, (*shape, S): the same numbers for every dtype and device."""

    @abstractmethod
    def observe(self, states: Tensor) -> Tensor:
        """What a policy sees of states, (..., observation_size)."""

    @abstractmethod
    def act(self, outputs: Tensor) -> Tensor:
        """The actions (...) that a policy means by its outputs (..., output_size)."""

    @abstractmethod
    def step(self, states: Tensor, actions: Tensor) -> Transition:
        """One step from states (..., S) by actions (...). Raises ValueError where shapes or dtypes do not fit."""

    def _uniform(
        self, limits: Sequence[float], shape: Sequence[int], generator: torch.Generator, dtype: torch.dtype
    ) -> Tensor:
        """Uniform between plus and minus each of the limits; drawn in float64 whatever the dtype."""
        drawn = torch.rand(*shape, len(limits), generator=generator, dtype=torch.float64, device=generator.device)
        high = torch.tensor(limits, dtype=torch.float64, device=generator.device)
        return (high * (2 * drawn - 1)).to(dtype)

    def _check_states(self, states: Tensor) -> None:
        if states.shape[-1:] != (self.state_size,) or not states.is_floating_point():
            raise ValueError(
                f"states must be floating tensors (..., {self.state_size}), got {tuple(states.shape)} {states.dtype}"
            )

    def _check_actions(self, states: Tensor, actions: Tensor) -> None:
        if actions.shape != states.shape[:-1]:
            raise ValueError(
                f"actions must be one for each state, {tuple(states.shape[:-1])}, got shape {tuple(actions.shape)}"
            )

    def _check_outputs(self, outputs: Tensor) -> None:
        if outputs.shape[-1:] != (self.output_size,):
            raise ValueError(
                f"outputs of a policy must be (..., {self.output_size}) for {type(self).__name__}, got shape "
                f"{tuple(outputs.shape)}"
            )
