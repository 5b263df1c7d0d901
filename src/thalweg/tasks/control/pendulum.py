"""`Pendulum`: a pendulum to be swung up by a motor too weak to lift it at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from thalweg.tasks.control.environment import Environment, Transition

MASS, LENGTH = 1.0, 1.0
SECONDS = 0.05  # a step
FASTEST, STRONGEST = 8.0, 2.0  # the speeds and torques between which all are clipped


@dataclass(frozen=True)
class Pendulum(Environment):
    """The pendulum of Gymnasium's Pendulum-v1: a rod on a pivot, to be swung up and kept upright by a weak torque.

    States are the angle in radians, 0 where it is upright and not normalised, and the angular velocity, (..., 2). A
    policy sees (cos, sin, angular velocity). Actions are torques (...), clipped to [-2, 2]. Speeds are clipped to [-8,
    8]. The reward of a step is -(angle^2 + 0.1 speed^2 + 0.001 torque^2), of the state before it and with the angle
    normalised to [-pi, pi). No episode ends before it is cut off, after 200 steps of 0.05 s.

    The rod is homogeneous, so that its moment of inertia is m l^2 / 3: the acceleration is 3 g sin(angle) / (2 l) +
    3 torque / (m l^2). The new speed moves the angle (semi-implicit Euler).

    >>> pendulum = Pendulum()
    >>> states, rewards, terminated = pendulum.step(torch.tensor([[math.pi, 0.0]]), torch.tensor([0.0]))
    >>> round(rewards.item(), 4)                                                  # hanging at rest: -pi^2
    -9.8696
    """

    state_size: ClassVar[int] = 2
    observation_size: ClassVar[int] = 3
    output_size: ClassVar[int] = 1
    discrete: ClassVar[bool] = False

    horizon: int = 200
    gravity: float = 10.0

    def start(
        self,
        shape: Sequence[int],
        generator: torch.Generator,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str | None = None,
    ) -> Tensor:
        """Anywhere: the angle is uniform in (-pi, pi), the speed in (-1, 1)."""
        return self._uniform((math.pi, 1.0), shape, generator, dtype).to(device)

    def observe(self, states: Tensor) -> Tensor:
        angle, speed = states.unbind(-1)
        return torch.stack((angle.cos(), angle.sin(), speed), -1)

    def act(self, outputs: Tensor) -> Tensor:
        """The output is the torque, (...)."""
        self._check_outputs(outputs)
        return outputs[..., 0]

    def step(self, states: Tensor, actions: Tensor) -> Transition:
        self._check_states(states)
        self._check_actions(states, actions)
        angle, speed = states.unbind(-1)
        torque = actions.clamp(-STRONGEST, STRONGEST)
        from_upright = torch.remainder(angle + math.pi, 2 * math.pi) - math.pi
        costs = from_upright.square() + 0.1 * speed.square() + 0.001 * torque.square()
        pull, turn = 3 * self.gravity / (2 * LENGTH), 3 / (MASS * LENGTH**2)
        speed = torch.add(speed, pull * angle.sin() + turn * torque, alpha=SECONDS).clamp(-FASTEST, FASTEST)
        angle = torch.add(angle, speed, alpha=SECONDS)
        return Transition(torch.stack((angle, speed), -1), -costs, torch.zeros_like(angle, dtype=torch.bool))
