"""`CartPole`: a pole to be balanced on a cart that is pushed left or right."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from thalweg.tasks.control.environment import Environment, Transition

GRAVITY = 9.8
POLE_MASS, MASS = 0.1, 1.1  # of the pole; of cart and pole
HALF_LENGTH = 0.5  # of the pole, in metres
FORCE = 10.0
SECONDS = 0.02  # a step
FARTHEST, STEEPEST = 2.4, math.radians(12)  # where the cart leaves its track; where the pole counts as fallen


@dataclass(frozen=True)
class CartPole(Environment):
    """The cart and pole of Barto, Sutton and Anderson (1983) as Gymnasium has it in CartPole-v1, without friction.

    States are position, velocity, angle (0 is upright) and angular velocity, (..., 4), and a policy sees all of them.
    Actions push the cart with 10 N: True or 1 to the right, False or 0 to the left. Each step of 0.02 s by Euler's
    method has reward 1, the last one too. An episode ends where the cart is more than 2.4 m or the pole more than 12
    degrees from the middle, and is cut off after 500 steps.

    Source: Barto, Sutton and Anderson, Neuronlike adaptive elements that can solve difficult learning control problems,
    IEEE Transactions on Systems, Man, and Cybernetics 13, 1983.

    >>> cart_pole = CartPole()
    >>> states = torch.zeros(3, 4)                                         # three at rest, poles upright
    >>> states, rewards, terminated = cart_pole.step(states, torch.tensor([True, False, True]))
    >>> states[:, 1].sign().tolist(), rewards.tolist(), terminated.tolist()
    ([1.0, -1.0, 1.0], [1.0, 1.0, 1.0], [False, False, False])
    """

    state_size: ClassVar[int] = 4
    observation_size: ClassVar[int] = 4
    output_size: ClassVar[int] = 2
    discrete: ClassVar[bool] = True

    horizon: int = 500

    def start(
        self,
        shape: Sequence[int],
        generator: torch.Generator,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str | None = None,
    ) -> Tensor:
        """Near the middle: every part of a state is uniform in (-0.05, 0.05)."""
        return self._uniform((0.05,) * 4, shape, generator, dtype).to(device)

    def observe(self, states: Tensor) -> Tensor:
        return states

    def act(self, outputs: Tensor) -> Tensor:
        """Right where the second output is higher than the first, bool (...)."""
        self._check_outputs(outputs)
        return outputs[..., 1] > outputs[..., 0]

    def step(self, states: Tensor, actions: Tensor) -> Transition:
        """Raises ValueError where actions are neither bool nor whole numbers 0 and 1."""
        self._check_states(states)
        self._check_actions(states, actions)
        _, velocity, angle, spin = states.unbind(-1)
        force = 2 * FORCE * self._right(actions).to(states.dtype) - FORCE
        sin, cos = angle.sin(), angle.cos()
        # The cart's acceleration if the pole's angle did not change; then how the pole's angle does (equations of
        # the paper's appendix, with friction 0), and what that takes from the cart.
        push = (force + POLE_MASS * HALF_LENGTH * spin.square() * sin) / MASS
        turning = (GRAVITY * sin - cos * push) / (HALF_LENGTH * (4 / 3 - POLE_MASS * cos.square() / MASS))
        acceleration = push - POLE_MASS * HALF_LENGTH * turning * cos / MASS
        after = torch.add(states, torch.stack((velocity, acceleration, spin, turning), -1), alpha=SECONDS)
        terminated = (after[..., 0].abs() > FARTHEST) | (after[..., 2].abs() > STEEPEST)
        return Transition(after, torch.ones_like(angle), terminated)

    def _right(self, actions: Tensor) -> Tensor:
        if actions.dtype == torch.bool:
            return actions
        if actions.is_floating_point() or actions.is_complex():
            raise ValueError(f"actions must be bool, or whole numbers 0 and 1, got {actions.dtype}")
        odd = (actions != 0) & (actions != 1)
        if bool(odd.any()):
            raise ValueError(f"actions must be 0 (left) or 1 (right), got {int(actions[odd][0])}")
        return actions == 1
