"""Trials small enough for tests of who trains them: a workload, methods with hyperparameters of their own, and plain
training to compare with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from thalweg.race.alone import Alone
from thalweg.race.method import Method, method_named
from thalweg.race.recipe import Recipe
from thalweg.race.seeds import Stream, final_seed
from thalweg.race.stack import Stack
from thalweg.race.teams import Member, order_of
from thalweg.race.training import Curves, batch_order, train
from thalweg.rules.gallery import GALLERY
from thalweg.tasks import Examples, Workload
from thalweg.tasks.dropout import Dropout
from thalweg.tasks.metrics import ACCURACY, Loss, Metric
from thalweg.tasks.models.layers import Linear

CPU = torch.device("cpu")
RULES = [name for name, entry in GALLERY.items() if not entry.reference]


def network(generator: torch.Generator, dtype: torch.dtype = torch.float64) -> nn.Module:
    """Smooth, so that no rounding decides which side of a corner a gradient is taken on."""
    return redrawn(nn.Sequential(Linear(4, 10), nn.Tanh(), Dropout(0.0), Linear(10, 3)).to(dtype), generator)


def redrawn(made: nn.Module, generator: torch.Generator) -> nn.Module:
    """With weights from the generator."""
    with torch.no_grad():
        for weight in made.parameters():
            weight.copy_(torch.randn(weight.shape, generator=generator, dtype=torch.float64) / 2)
    return made


def workload(
    seed: int = 0,
    dtype: torch.dtype = torch.float64,
    make: Callable[..., nn.Module] = network,
    *,
    examples: int = 40,
    batch: int = 8,
    epochs: int = 10,
    loss: Loss = cross_entropy,
    metric: Metric = ACCURACY,
) -> Workload:
    generator = torch.Generator().manual_seed(seed)
    teacher = torch.randn(4, 3, generator=generator, dtype=torch.float64)

    def part(count: int) -> Examples:
        inputs = torch.randn(count, 4, generator=generator, dtype=torch.float64)
        answers = (inputs @ teacher).argmax(1)
        return Examples(inputs.to(dtype), answers)

    def made(random: torch.Generator) -> nn.Module:
        return make(random, dtype)

    return Workload("small", part(examples), part(20), made, loss, metric, batch, epochs, f"split {seed}")


def member(method: Method | str, place: int = 0, given: Workload | None = None, **hyperparameters: Any) -> Member:
    """A trial on the seed with this number, and unless it is given on a split of its own."""
    found = method_named(method) if isinstance(method, str) else method
    own = workload(place) if given is None else given
    return Member(found.at({**found.hyperparameters, **hyperparameters}), own, final_seed(0, "small", place), None)


def stacked(members: Sequence[Member]) -> tuple[Stack, list[Member]]:
    """A stack, and its members in its order."""
    ordered = [members[i] for i in order_of(members)]
    return Stack(ordered, CPU), ordered


def trained(team: Stack | Alone, members: Sequence[Member]) -> Curves:
    recipes: list[Recipe] = [one.recipe for one in members]
    return train(team, recipes, [order_for(one) for one in members], members[0].batch)


def order_for(one: Member) -> Tensor:
    return batch_order(len(one.workload.train), one.workload.epochs, one.seed.generator(Stream.ORDER))


def weights_of(team: Stack | Alone, i: int = 0) -> dict[str, Tensor]:
    """Parameters and buffers of a member."""
    if isinstance(team, Stack):
        return {name: x[i] for name, x in (team.cohort.params | team.cohort.frozen | team.cohort.buffers).items()}
    return {name: x.detach() for name, x in (*team.network.named_parameters(), *team.network.named_buffers())}


def difference(some: Mapping[str, Tensor], others: Mapping[str, Tensor]) -> float:
    """Relative, over all weights together."""
    assert some.keys() == others.keys()
    a, b = (torch.cat([each[name].detach().flatten().double() for name in some]) for each in (some, others))
    return ((a - b).norm() / b.norm()).item()
