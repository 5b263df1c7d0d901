"""`AdaSwarm`: Adam, fed with swarm gradients."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from thalweg.optim import Adam
from thalweg.swarm.gradient import SwarmGradient
from thalweg.swarm.objective import LossFunction


class AdaSwarm(Adam):
    """Adam on the gradient of `SwarmGradient` (Mohapatra et al. 2021, section V): the rule is Adam's, unchanged.

    Arguments: `params`, `lr`, `betas`, `eps`, `weight_decay` are Adam's; `loss_fn` and all others `SwarmGradient`'s.
    Its state dict holds the swarm's state too, so that training goes on where it was. Raises what the two raise.

    >>> import torch
    >>> from thalweg.swarm import AdaSwarm
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Sigmoid())
    >>> opt = AdaSwarm(model.parameters(), torch.nn.BCELoss(reduction="none"), lr=0.01)
    >>> inputs, targets = torch.ones(8, 4), torch.eye(3)[torch.tensor([0, 1, 2, 0, 1, 2, 0, 1])]
    >>> opt.zero_grad()
    >>> loss = opt.loss(model(inputs), targets)
    >>> loss.backward()
    >>> opt.step()
    """

    def __init__(
        self,
        params: Iterable[Any],
        loss_fn: LossFunction,
        *,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        **swarm: Any,
    ) -> None:
        self.loss = SwarmGradient(loss_fn, **swarm)
        super().__init__(params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)

    def state_dict(self) -> dict[str, Any]:
        """Adam's, and under "swarm" the swarm's."""
        return {**super().state_dict(), "swarm": self.loss.state_dict()}

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "loss": self.loss}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Goes on where `state_dict` was taken."""
        own = dict(state_dict)
        swarm = own.pop("swarm", None)
        super().load_state_dict(own)
        if swarm is not None:
            self.loss.load_state_dict(swarm)
