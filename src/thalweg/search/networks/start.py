"""The strategy that searches the weights of a module, from where these are."""

from __future__ import annotations

from typing import Any

import torch

from thalweg.search.algorithm import Algorithm
from thalweg.search.networks.weights import FlatWeights
from thalweg.search.strategy import Strategy

# Arguments of a strategy that follow from the module, and by what they can be changed.
FOLLOWS = {
    "bounds": "the weights of a network have none",
    "dim": "it is the number of the weights that are searched; params says which",
    "x0": "a search begins at the weights of the network",
    "sigma0": "scale says how far around the weights a search begins",
    "runs": "one network is one run; call once a seed for several",
    "dtype": "it is that of the network",
    "device": "it is that of the network",
}


def strategy_for(
    weights: FlatWeights,
    strategy: str | Algorithm,
    hyperparameters: dict[str, Any],
    *,
    population: int | None,
    scale: float,
    budget: int | None,
    generator: torch.Generator,
) -> Strategy:
    """The strategy, which begins at the weights, `scale` of their spread around them.

    Raises ValueError where a hyperparameter is what follows from the module, or a weight is not finite.
    """
    for name, why in FOLLOWS.items():
        if name in hyperparameters:
            raise ValueError(f"{name} must be left out, for {why}; got {hyperparameters[name]!r:.80}")
    for name, part in weights.unflatten(weights.start).items():
        if not bool(part.isfinite().all()):
            raise ValueError(f"module must have finite weights, where its search begins, got inf or nan in {name}")
    if population is not None:
        hyperparameters = hyperparameters | {"population": population}
    return Strategy(
        strategy,
        x0=weights.start,
        sigma0=scale * weights.spread,
        budget=budget,
        generator=generator,
        dtype=weights.dtype,
        **hyperparameters,
    )
