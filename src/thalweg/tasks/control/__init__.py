"""Control tasks: environments whose dynamics are batched tensors, and episodes played in lockstep."""

from thalweg.tasks.control.cart_pole import CartPole
from thalweg.tasks.control.environment import Environment, Transition
from thalweg.tasks.control.named import ENVIRONMENTS, environment_named
from thalweg.tasks.control.pendulum import Pendulum
from thalweg.tasks.control.rollout import Episodes, rollout

__all__ = [
    "ENVIRONMENTS",
    "CartPole",
    "Environment",
    "Episodes",
    "Pendulum",
    "Transition",
    "environment_named",
    "rollout",
]
