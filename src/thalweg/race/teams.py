"""Networks that are trained together, one a trial: what a team is told, what it has spent, and what all teams share."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from thalweg.race.method import Method
from thalweg.race.seeds import Seed, Stream
from thalweg.tasks import Examples, Workload, dropout

# Examples of each member that are evaluated at once. It does not depend on the number of members, so that no result
# does.
EVALUATED = 512


class Team(Protocol):
    """Networks that are trained together, one a trial: a `Stack`, or one network `Alone`.

    `counts` are what each member has spent. `step` takes one batch a member, as rows of its training part; `factors`
    scale the learning rates; members that are not `active` stay as they are. `outputs`, `losses` and `metrics` are of
    a part of the data: "train", "validation" or "test". `keep` notes the weights of those that are better than ever,
    and `swap_kept` puts those in place of the weights, or back.
    """

    members: int
    parameters: int
    counts: Counts
    init_hashes: list[str]

    def step(self, rows: Tensor, factors: np.ndarray, active: np.ndarray) -> None: ...
    def outputs(self, part: str) -> Tensor: ...
    def losses(self, outputs: Tensor, part: str) -> np.ndarray: ...
    def metrics(self, outputs: Tensor, part: str) -> np.ndarray: ...
    def keep(self, better: np.ndarray) -> None: ...
    def swap_kept(self) -> None: ...


class Counts:
    """What each member of a team has spent: arrays of shape (members,)."""

    def __init__(self, members: int) -> None:
        self.steps, self.losses, self.examples, self.state_bytes = np.zeros((4, members), np.int64)
        self.seconds, self.forward, self.backward = np.zeros((3, members))

    def add(self, active: np.ndarray, *, forward: np.ndarray, backward: np.ndarray, examples: int, losses: int) -> None:
        """Adds a step of those that are active: `forward` and `backward` passes of each member through the network,
        not always whole ones, so many examples, and as many evaluations of the loss."""
        self.steps += active
        self.forward += active * forward
        self.backward += active * backward
        self.losses += active * losses
        self.examples += active * examples


class Member:
    """What a team is told of a trial."""

    def __init__(self, method: Method, workload: Workload, seed: Seed, test: Examples | None) -> None:
        self.method, self.workload, self.seed, self.test = method, workload, seed, test
        self.recipe, self.through, self.hyperparameters = method.split()

    @property
    def batch(self) -> int:
        """The examples of a step."""
        return self.recipe.batch_of(self.workload.batch_size, len(self.workload.train))

    @property
    def epochs(self) -> int:
        """For how long it trains at most."""
        return max(1, round(self.recipe.length * self.workload.epochs))

    @property
    def parts(self) -> list[str]:
        """The parts of the data that there are."""
        return ["train", "validation", *["test"] * (self.test is not None)]

    def part(self, name: str) -> Examples:
        """One of them: "train", "validation" or "test"."""
        part = self.test if name == "test" else getattr(self.workload, name)
        assert part is not None
        return part

    def network(self) -> nn.Module:
        """A fresh network, with dropout as the method has it. Raises ValueError where it has none to set."""
        network = dropout.with_own_dropout(self.workload.network(self.seed.generator(Stream.INIT)))
        rate = self.recipe.dropout
        if rate is not None:
            layers = dropout.layers(network)
            if rate and not layers:
                raise ValueError(
                    f"dropout of {self.method.name} is {rate}, but the network of {self.workload.task} has no dropout "
                    "layer"
                )
            for layer in layers.values():
                layer.set_rate(rate)
        return network

    def dropout_generator(self, device: torch.device) -> torch.Generator:
        """Where dropout masks are drawn from."""
        return self._generator(Stream.DROPOUT, device)

    def candidates_generator(self, device: torch.device) -> torch.Generator:
        """Where the outputs are drawn from that swarms and estimators try."""
        return self._generator(Stream.CANDIDATES, device)

    def _generator(self, stream: Stream, device: torch.device) -> torch.Generator:
        return torch.Generator(device).manual_seed(self.seed.generator(stream).initial_seed())


def metrics_of(workload: Workload, outputs: Tensor, targets: Tensor) -> np.ndarray:
    """The metric of each member, float64 (members,)."""
    metric = workload.metric.function
    with torch.no_grad(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="There is a performance drop")  # vmap's, of no use to anybody here
        try:
            values = torch.vmap(metric)(outputs, targets)
        except Exception:  # one that is not torch alone: whatever it raises here, it raises again below if it is broken
            return np.array([float(metric(o, t)) for o, t in zip(outputs, targets, strict=True)])
    return values.reshape(len(outputs)).double().cpu().numpy()


def order_of(trials: Sequence[Member]) -> list[int]:
    """The places of the trials in the order in which a `Stack` wants them: rule by rule."""
    return sorted(range(len(trials)), key=lambda i: repr(kind_of(trials[i])))


def together_of(trial: Member) -> tuple[int, int, str, str]:
    """What members must share to be one cohort: batches, epochs, where their gradients come from, and how their blocks
    are stepped."""
    through, sweep = trial.method.through, trial.method.sweep
    gradients = "" if through is None else through.kind(trial.through)
    return trial.batch, trial.epochs, gradients, "" if sweep is None else sweep.schedule


def kind_of(trial: Member) -> tuple[Any, ...]:
    """What members must share to be stepped by one optimizer."""
    return str(trial.method.optimizer.definition()), trial.recipe.decay, tuple(trial.hyperparameters)


def size_of(network: nn.Module) -> int:
    """How many weights a network has."""
    return sum(weight.numel() for weight in network.parameters())


def synchronise(device: torch.device) -> None:
    """Waits for a GPU, so that what was asked of it counts in the seconds that it took."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
