"""`ESGradient`: an evolution strategy's estimate of the gradient, for any optimizer to follow."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from thalweg.search.checks import check_positive, checked_generator
from thalweg.search.networks.chunks import AUTO
from thalweg.search.networks.evaluators import Loss, number, seeded
from thalweg.search.networks.norms import running, take_statistics
from thalweg.search.networks.population import Population
from thalweg.search.networks.weights import Chosen, FlatWeights
from thalweg.search.strategies.fitness_shaping import centered, check_population, shaped

SHAPINGS = ("ranks", "raw")


class ESGradient:
    """Writes into `.grad` what evaluations of the loss alone say of its slope:

        gradient = sum over pairs of (u(w + sigma e) - u(w - sigma e)) e / (population sigma),   e normal

    With shaping="raw", u is the loss, and the mean of the estimate is the gradient of the loss smoothed by a normal of
    width sigma (Nesterov and Spokoiny, Random gradient-free minimization of convex functions, 2017), which a loss made
    of steps has too. With "ranks" it is the rank among the population, from -1/2 for the lowest loss to 1/2 (Salimans
    et al., Evolution strategies as a scalable alternative to reinforcement learning, 2017): a direction that no outlier
    spoils, whose length says nothing of the loss, so that it wants an optimizer that rescales, such as Adam.

    Arguments:
        module: the module, or the parameters of one, which serve `backward_of` alone.
        loss_fn: `loss_fn(outputs, targets)`, one number; for `backward`.
        population: how often the loss is evaluated, an even number: in pairs, on both sides of the weights.
        sigma: how far from them, a number or (D,), as `FlatWeights` lays them out.
        params, training, chunk: as `Population` has them.
        generator: where directions and dropout masks come from; without one, a generator with seed 0.

    Raises ValueError, naming the argument and quoting the value.

    >>> from thalweg.tasks import mlp
    >>> model = mlp((3, 1), torch.Generator().manual_seed(0))
    >>> es = ESGradient(model, nn.functional.mse_loss, sigma=0.1)
    >>> optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    >>> x, y = torch.eye(3), torch.ones(3, 1)
    >>> for _ in range(100):
    ...     loss = es.backward(x, y)
    ...     optimizer.step()
    >>> bool(loss < 0.05)
    True
    """

    def __init__(
        self,
        module: nn.Module | Iterable[nn.Parameter],
        loss_fn: Loss | None = None,
        *,
        population: int = 100,
        sigma: float | Tensor = 0.02,
        shaping: str = "ranks",
        params: Chosen | None = None,
        training: bool = True,
        chunk: Any = AUTO,
        generator: torch.Generator | None = None,
    ) -> None:
        check_population(population, even=True)
        if shaping not in SHAPINGS:
            raise ValueError(f"shaping must be one of {', '.join(SHAPINGS)}, got {shaping!r}")
        if not isinstance(module, nn.Module):
            if loss_fn is not None:
                raise ValueError(
                    "loss_fn must be None where module is parameters alone, through which no inputs pass; give the "
                    "module, or use backward_of(closure)"
                )
            module = _listed(module)
        self.module, self.population, self.shaping, self.training = module, population, shaping, training
        options = {"params": params, "training": training, "chunk": chunk, "generator": generator}
        self.members = None if loss_fn is None else Population(module, loss_fn, **options)
        self.weights = self.members or FlatWeights(module, params)
        device = self.weights.device
        self.generator = self.members.generator if self.members else checked_generator(generator, device)
        check_positive(sigma=sigma)
        self.sigma = torch.as_tensor(sigma, dtype=self.weights.dtype, device=device)
        if self.sigma.numel() != 1 and self.sigma.shape != (self.weights.dim,):
            raise ValueError(f"sigma must be a number or ({self.weights.dim},), got shape {tuple(self.sigma.shape)}")
        self.sigma = self.sigma.expand(self.weights.dim)

    @torch.no_grad()
    def backward(self, inputs: Any, targets: Any) -> Tensor:
        """Gives every searched parameter its part of the gradient, in place of what it had. Returns the mean loss of
        the population, (). Running statistics of the module move as in a step of training. The batch is of tensors or
        of arrays."""
        if self.members is None:
            raise ValueError(
                "loss_fn must be given for backward(inputs, targets), got None; or use backward_of(closure)"
            )
        inputs, targets = self.members.batch("inputs", inputs), self.members.batch("targets", targets)
        x, directions = self._around()
        losses = self.members.losses(x, inputs, targets)
        if self.training and running(self.module):
            take_statistics(self.module, [inputs], momentum=True)
        return self._write(losses, directions)

    @torch.no_grad()
    def backward_of(self, closure: Callable[[], Any]) -> Tensor:
        """The same for a loss that is a closure of the parameters, one number, called once for each member with its
        weights in place. It needs no `backward()`. What it draws from torch's global generator is the same for all, and
        that generator is left as it was."""
        if not callable(closure):
            raise ValueError(f"closure must be a function without arguments, got {closure!r:.80}")
        x, directions = self._around()
        kept = self.weights.weights()
        seed = int(torch.randint(2**62, (), generator=self.generator, device=self.generator.device))
        losses = x.new_empty(len(x))
        try:
            for i, row in enumerate(x):
                self.weights.load(row)
                with seeded(seed, self.weights.device):
                    losses[i] = number(closure())
        finally:
            self.weights.load(kept)
        return self._write(losses, directions)

    def _around(self) -> tuple[Tensor, Tensor]:
        """The members (P, D), those of one side first, and their directions (P/2, D)."""
        where, shape = self.generator.device, (self.population // 2, self.weights.dim)
        directions = torch.randn(shape, generator=self.generator, device=where, dtype=self.weights.dtype)
        directions = directions.to(self.weights.device)
        center, step = self.weights.weights(), self.sigma * directions
        return torch.cat([center + step, center - step]), directions

    def _write(self, losses: Tensor, directions: Tensor) -> Tensor:
        if self.shaping == "ranks":
            u = -shaped(losses.nan_to_num(torch.inf, torch.inf, -torch.inf).unsqueeze(0), centered).reshape(-1)
        else:
            u = losses
        ahead, behind = u.chunk(2)
        slopes = (ahead - behind).nan_to_num(0.0, 0.0, 0.0)  # one that is not finite counts as flat
        self.weights.set_gradient(slopes @ directions / (self.population * self.sigma))
        return losses.mean()


def _listed(parameters: Any) -> nn.Module:
    """Parameters that stand alone, as a module."""
    listed = list(parameters) if isinstance(parameters, Iterable) else []
    if not listed or not all(isinstance(w, nn.Parameter) for w in listed):
        raise ValueError(f"module must be a torch.nn.Module, or parameters of one, got {parameters!r:.80}")
    return nn.ParameterList(listed)
