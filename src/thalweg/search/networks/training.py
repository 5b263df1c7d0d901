"""`train_without_gradients`: a network trained by any strategy, with a loss that needs no gradient."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from thalweg.search.algorithm import Algorithm
from thalweg.search.checkpoint import Checkpoint
from thalweg.search.checks import (
    check_callback,
    check_whole,
    checked_generator,
    checked_number,
    checked_target,
    is_whole,
    says_stop,
)
from thalweg.search.networks.asked import asked_for
from thalweg.search.networks.batches import Batches
from thalweg.search.networks.chunks import AUTO, Chunk
from thalweg.search.networks.evaluators import Loss
from thalweg.search.networks.generations import Generation, Training
from thalweg.search.networks.population import Population
from thalweg.search.networks.start import strategy_for
from thalweg.search.networks.weights import Chosen
from thalweg.search.progress import Line, Progress
from thalweg.search.strategy import Strategy
from thalweg.tasks import Examples
from thalweg.tasks.examples import read_examples

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KEEPS = ("best", "center")


@dataclass(frozen=True)
class TrainingResult:
    """What `train_without_gradients` made.

    Attributes:
        module: a copy of the module, with the weights that were found, in evaluation mode.
        loss: its loss on all validation data, or without them on all of the data, in evaluation mode.
        history: one `Generation` after another.
        evals: how often one member was evaluated on one batch.
        reason: why it stopped: "target", "budget", "patience", "seconds", "callback", or a reason of the algorithm's.
        strategy: the strategy as it is now.
        chunk: how members were evaluated: so many at once, or "loop". Told as `chunk=`, it is not timed again.
    """

    module: nn.Module
    loss: float
    history: tuple[Generation, ...]
    evals: int
    reason: str
    strategy: Strategy
    chunk: Chunk

    def plot(self, path: str | Path | None = None) -> Figure:
        """The lowest loss of each generation over evaluations; saved where a path is given, in the format that its
        suffix says."""
        from thalweg.search.convergence import convergence  # matplotlib takes a second, and few plot

        evals = torch.tensor([each.evals for each in self.history])
        lowest = torch.tensor([each.lowest for each in self.history], dtype=torch.float64)
        figure = convergence([(evals.numpy(), lowest.numpy())], self.evals)
        if path is not None:
            figure.savefig(path)
        return figure


def train_without_gradients(
    module: nn.Module,
    loss_fn: Loss,
    data: Any,
    strategy: str | Algorithm = "snes",
    budget: int = 20_000,
    *,
    population: int | None = None,
    batch_size: int | None = None,
    scale: float = 0.3,
    params: Chosen | None = None,
    training: bool = True,
    validation: Any = None,
    validate_every: int | None = None,
    keep: str | None = None,
    target: float | None = None,
    patience: int | None = None,
    seconds: float | None = None,
    chunk: Any = AUTO,
    seed: int = 0,
    generator: torch.Generator | None = None,
    store: str | Path | None = None,
    store_every: float = 10.0,
    callback: Callable[[Generation], Any] | None = None,
    progress: bool = False,
    **hyperparameters: Any,
) -> TrainingResult:
    """Looks for weights of low loss, by evaluating many vectors of them at once; nothing is differentiated.

    Arguments:
        module: where the search begins; it is not changed.
        loss_fn: `loss_fn(outputs, targets)`, one number, better when lower: a loss, or any metric with its sign turned.
        data: `Examples`, a pair (inputs, targets), a Dataset or a DataLoader, read once into memory.
        strategy: a name (`thalweg.search.names()`), with `hyperparameters` other than its defaults, or an `Algorithm`.
        budget: how many evaluations there are, each of one member on one batch; it stops before a generation that would
            exceed it.
        population: the members of a generation; None: as many as the strategy takes by itself.
        batch_size: rows that a generation is evaluated on, drawn epoch by epoch without replacement, and the same for
            all its members; None: all.
        scale: how far from the weights of the module the search begins, in standard deviations of its tensors
            (`FlatWeights.spread`).
        params, training, chunk: as `Population` has them.
        validation: data by which the weights that are returned are chosen, in evaluation mode, once in `validate_every`
            generations (None: once an epoch) and at the end. That counts as no evaluation.
        keep: which weights are returned: "best", those of the lowest loss that a member ever had, which is luck where
            batches differ; "center", the middle of the strategy's distribution. None: whichever is better on all of
            the data (or on the validation data); where batches or masks differ, the middle, and of strategies that
            have none the best of the last generation's ten best.
        target: it stops at a loss of at most this: the lowest of a generation, or that on the validation data.
        patience: it stops after so many generations without a lower one.
        seconds: it stops after so long, counted from this call.
        seed, generator: where all draws come from: the generator, or one with that seed.
        store: a file. It is written every `store_every` seconds, at the end, and on Ctrl-C or another exception; the
            same call then goes on from it, and ends with the bits of one that was never interrupted, its chunk
            included. Budget, target, patience and seconds may be others: so it can be trained for longer. What else
            differs, the module and the loss with it, is refused.
        callback: told of every generation; it stops where that returns True, or anything true.
        progress: whether to show a line on the terminal.

    Batch normalisation goes by the batch while members are compared, each by its own; the running statistics of what is
    returned or validated are taken from the data. Torch's global generator is never touched.

    Raises ValueError, naming the argument and quoting the value; also where all members of the first generation have a
    loss of NaN.

    >>> from thalweg.tasks import mlp
    >>> x = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    >>> y = torch.tensor([0, 1, 1, 0])
    >>> model = mlp((2, 8, 2), torch.Generator().manual_seed(0))
    >>> result = train_without_gradients(model, nn.functional.cross_entropy, (x, y), budget=10_000, population=50)
    >>> result.module(x).argmax(1).tolist()
    [0, 1, 1, 0]
    """
    check_callback(callback)
    check_whole(budget=budget, batch_size=batch_size, validate_every=validate_every, patience=patience)
    budget, target = int(budget), checked_target(target)
    seconds = None if seconds is None else checked_number("seconds", seconds)
    if seconds is not None and not seconds > 0:
        raise ValueError(f"seconds must be > 0, or None for no limit, got {seconds!r}")
    scale = checked_number("scale", scale)
    if not 0 < scale < math.inf:
        raise ValueError(f"scale must be > 0 and finite, got {scale!r}")
    if keep is not None and keep not in KEEPS:
        raise ValueError(f"keep must be None or one of {', '.join(KEEPS)}, got {keep!r}")
    root = _root(seed, generator)
    seeds = torch.randint(2**62, (3,), generator=root, device=root.device).tolist()
    members = Population(module, loss_fn, params=params, training=training, chunk=chunk)
    members.generator.manual_seed(seeds[0])
    examples = _examples(data, "data", members)
    batches = Batches(
        examples, None if batch_size is None else int(batch_size), torch.Generator().manual_seed(seeds[1])
    )
    judged = None if validation is None else _examples(validation, "validation", members)
    searched = strategy_for(
        members,
        strategy,
        hyperparameters,
        population=population,
        scale=scale,
        budget=budget,
        generator=torch.Generator(members.device).manual_seed(seeds[2]),
    )
    under_way = Training(members, searched, batches, judged, validate_every, keep)
    kept = None
    if store is not None:
        given: dict[str, Any] = {"batch_size": batch_size, "scale": scale, "validate_every": validate_every}
        given["seed"] = int(seed) if generator is None else f"of a generator that gave {seeds[0]}"
        kept = Checkpoint(store, asked_for(under_way, **given), store_every)
        if (state := kept.load()) is not None:
            under_way.load(state)
    reason = _run(under_way, (budget, target, patience, seconds), kept, callback, Line(budget) if progress else None)
    x, loss = under_way.found()
    found = members.member(x, batches.inputs())
    evals, history = int(searched.evals), tuple(under_way.history)
    return TrainingResult(found, loss, history, evals, reason, searched, members.chunk)


def _run(
    training: Training,
    limits: tuple[int, float | None, int | None, float | None],
    kept: Checkpoint | None,
    callback: Callable[[Generation], Any] | None,
    line: Line | None,
) -> str:
    """Goes on until there is a reason not to, which it returns."""
    with line or nullcontext(), nullcontext() if kept is None else kept.guarded():
        while not (reason := training.reason(*limits)):
            done = training.step()
            if kept is not None:
                kept.take(training.state)
            if line is not None:
                evals, lowest = torch.tensor([done.evals]), torch.tensor([training.lowest])
                line(Progress(evals, lowest, len(training.history), 0, 1, limits[0]))
            if callback is not None and says_stop(callback(done)):
                reason = "callback"
                break
    if kept is not None:
        kept.save(training.state())
    return reason


def _examples(data: Any, where: str, members: Population) -> Examples:
    """The data on the members' device and, but for classes and tokens, in their dtype."""
    read = read_examples(data, where)
    inputs, targets = (
        values.to(members.device, members.stored if values.is_floating_point() else values.dtype)
        for values in (read.inputs, read.targets)
    )
    return Examples(inputs, targets)


# Checks


def _root(seed: Any, generator: Any) -> torch.Generator:
    if generator is not None:
        return checked_generator(generator)
    if not is_whole(seed) or not 0 <= seed < 2**63:
        raise ValueError(f"seed must be a whole number from 0 to 2**63 - 1, got {seed!r}")
    return torch.Generator().manual_seed(int(seed))
