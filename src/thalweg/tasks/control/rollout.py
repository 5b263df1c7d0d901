"""`rollout`: many episodes at once, step by step together."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from thalweg.tasks.control.environment import Environment

# So many steps lie between two looks at whether all episodes have ended: a look waits for the device.
BETWEEN_LOOKS = 8


@dataclass(frozen=True)
class Episodes:
    """What came of episodes: `returns`, the sums of their rewards, and `lengths` in steps, int64; both (...)."""

    returns: Tensor
    lengths: Tensor


@torch.no_grad()
def rollout(environment: Environment, policy: Callable[[Tensor], Tensor], states: Tensor) -> Episodes:
    """Plays an episode from each of the states (..., S), all in lockstep, until the last has ended.

    `policy` is called once a step with the observations (..., observation_size) of all episodes, those that have ended
    too, and answers (..., output_size). For a population it is a stack of policies: states are (members, episodes, S),
    the same for every member where members are to be compared.

    An episode in which a running policy answers NaN ends there, and its return is -inf: no return is worse.
    """
    batch = states.shape[:-1]
    returns = states.new_zeros(batch)
    lengths = torch.zeros(batch, dtype=torch.int64, device=states.device)
    running = torch.ones(batch, dtype=torch.bool, device=states.device)
    for at in range(environment.horizon):
        if at % BETWEEN_LOOKS == 0 and not bool(running.any()):
            break
        outputs = policy(environment.observe(states))
        lost = outputs.isnan().any(-1)
        after, rewards, terminated = environment.step(states, environment.act(outputs))
        returns += torch.where(running, rewards.masked_fill(lost, -math.inf), 0.0)
        lengths += running
        states = torch.where(running.unsqueeze(-1), after, states)
        running = running & ~(terminated | lost)
    return Episodes(returns, lengths)
