"""The losses of a population of small networks on the same rows of data, by ours and by the peers' evaluators.

Each step takes the population as vectors of weights, as a strategy has them, and gives the cross-entropy of each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from timing import Step
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from thalweg.search.networks.population import Population
from thalweg.tasks.models import mlp

SIZES = (64, 32, 10)  # 2,410 weights
SCALE = 0.1


@dataclass(frozen=True)
class Networks:
    """Data, and weights (population, 2410)."""

    inputs: Tensor
    targets: Tensor
    weights: Tensor
    device: str

    @classmethod
    def drawn(cls, population: int, rows: int, device: str) -> Networks:
        generator = torch.Generator().manual_seed(0)
        count = sum(p.numel() for p in network().parameters())
        inputs = torch.randn(rows, SIZES[0], generator=generator)
        targets = torch.randint(SIZES[-1], (rows,), generator=generator)
        weights = SCALE * torch.randn(population, count, generator=generator)
        return cls(inputs.to(device), targets.to(device), weights.to(device), device)


def network() -> nn.Module:
    return mlp(SIZES, torch.Generator().manual_seed(0))


def evaluators(population: int, rows: int, device: str) -> Mapping[str, Callable[[], Step]]:
    given = Networks.drawn(population, rows, device)
    makers = {
        "thalweg": thalweg,
        "EvoTorch, vectorised": evotorch_vectorised,
        "EvoTorch, SupervisedNE": evotorch_supervised,
        "EvoX, SupervisedLearningProblem": evox,
    }
    return {name: lambda make=make: make(given) for name, make in makers.items()}


def thalweg(given: Networks) -> Step:
    members = Population(network().to(given.device), cross_entropy)
    return lambda: members.losses(given.weights, given.inputs, given.targets)


def evotorch_vectorised(given: Networks) -> Step:
    """As its documentation evaluates many networks at once: a vmap of the network as a function of its weights."""
    from evotorch import Problem
    from evotorch.decorators import vectorized
    from evotorch.neuroevolution.net import make_functional_module

    outputs = torch.vmap(make_functional_module(network().to(given.device)), in_dims=(0, None))
    losses = torch.vmap(cross_entropy, in_dims=(0, None))

    @vectorized
    @torch.no_grad()
    def fitness(weights: Tensor) -> Tensor:
        return losses(outputs(weights, given.inputs), given.targets)

    count = given.weights.shape[1]
    options = {"initial_bounds": (-SCALE, SCALE), "dtype": torch.float32, "device": given.device, "seed": 0}
    return _evotorch_evaluation(Problem("min", fitness, solution_length=count, **options), given)


def evotorch_supervised(given: Networks) -> Step:
    from evotorch.neuroevolution import SupervisedNE
    from torch.utils.data import TensorDataset

    data = TensorDataset(given.inputs, given.targets)
    loss, rows = nn.CrossEntropyLoss(), len(given.inputs)
    return _evotorch_evaluation(SupervisedNE(data, network, loss, minibatch_size=rows, device=given.device), given)


def _evotorch_evaluation(problem: object, given: Networks) -> Step:
    batch = problem.generate_batch(len(given.weights))
    batch.set_values(given.weights)
    return lambda: problem.evaluate(batch)


def evox(given: Networks) -> Step:
    """With the whole data as the one batch of a list, which costs less than a DataLoader."""
    from evox.problems.neuroevolution.supervised_learning import SupervisedLearningProblem
    from evox.utils import ParamsAndVector

    model = network().to(given.device)
    vectors = ParamsAndVector(model)
    problem = SupervisedLearningProblem(
        model, [(given.inputs, given.targets)], nn.CrossEntropyLoss(reduction="none"), n_batch_per_eval=1,
        pop_size=len(given.weights), device=given.device,
    )  # fmt: skip
    return lambda: problem.evaluate(vectors.batched_to_params(given.weights))
