"""What is measured of every experiment: the published runs with their seconds, and the same from other seeds, with
other learning rates and with other initial weights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any

import torch
from torch import Tensor, nn

from thalweg.race.charts.panel import thinned
from thalweg.reproduce.paper import Tell
from thalweg.reproduce.position_wise.protocol import (
    METHODS,
    SEED,
    Descent,
    Goal,
    answers,
    descend,
    drawn,
    network,
)
from thalweg.reproduce.position_wise.span import in_span
from thalweg.reproduce.records import Measured
from thalweg.sweep import block_costs, nested_cost, plain_cost

Runs = Mapping[str, Sequence[tuple[Descent, nn.Sequential]]]  # by method, the same run as often as it was timed
Counts = dict[str, Any]  # the epochs of each method, and what they were run with

POINTS = 200  # of a curve
BEFORE = "_before"  # what follows a method's name where the loss that epochs begin with is counted by
MACHINE = "not said: the machine"


def published_runs(x: Tensor, targets: Tensor, goal: Goal, repeats: int, tell: Tell) -> Runs:
    """All methods from the published seed, in turns, so that what else the machine does is the same for all."""
    weights = drawn(x.shape[1], targets.shape[1], SEED)
    found: dict[str, list[tuple[Descent, nn.Sequential]]] = {method: [] for method in METHODS}
    for turn in range(repeats):
        for method, name in METHODS.items():
            run, net = descend(weights, x, targets, goal, method)
            found[method].append((run, net))
            tell(f"{name}, run {turn + 1} of {repeats}: {run.epochs:,.0f} epochs in {run.seconds:.0f} s")
    return found


def cells(
    place: tuple[str, str], runs: Runs, seeds: Sequence[Counts], x: Tensor, targets: Tensor, constant: float, scale: str
) -> list[Measured]:
    """Epochs, seconds and accuracies of the published runs in a row of a table, and whether position-wise training is
    faster. Fairly, epochs are those from all seeds, all methods' counted by the loss that epochs begin with."""
    table, row = place
    found = []
    for method, timed in runs.items():
        first, net = timed[0]
        fair = tuple(_alike(counts, method) for counts in seeds)
        seconds = tuple(run.seconds for run, _ in timed)
        right = accuracy(net, x, targets)
        found += [
            Measured(table, row, method, "epochs", (first.epochs,), fair, scale=scale),
            Measured(table, row, method, "seconds", seconds, missing=MACHINE, scale=scale),
            Measured(table, row, method, "train_accuracy", (right,), constant=constant, scale=scale),
        ]
    pairs = zip(runs["position_wise"], runs["gradient_descent"], strict=True)
    ratios = tuple(ours.seconds / theirs.seconds for (ours, _), (theirs, _) in pairs)
    found.append(Measured("text", f"faster_on_{row}", "position_wise", "at_most", ratios, missing=MACHINE, scale=scale))
    return found


def accuracy(net: nn.Module, x: Tensor, targets: Tensor) -> float:
    """Of the examples that were trained on, in per cent."""
    with torch.no_grad():
        answer = answers(net(x))
    several = targets.shape[1] > 1
    said, true = (each.argmax(1) if several else each > 0.5 for each in (answer, targets))
    return 100 * float((said == true).double().mean())


def from_seeds(
    x: Tensor, targets: Tensor, goal: Goal, seeds: Iterable[int], tell: Tell, *, xavier: bool = False, span: bool = True
) -> list[Counts]:
    """The epochs of all methods from each seed, also by the loss that epochs begin with. `span`: see `in_span`."""
    found = []
    for seed in seeds:
        weights = drawn(x.shape[1], targets.shape[1], seed, xavier=xavier)
        inputs, weights = in_span(x, weights) if span else (x, weights)
        counts: Counts = {"seed": seed}
        for method in METHODS:
            counts |= _epochs(method, descend(weights, inputs, targets, goal, method, further=True)[0])
        found.append(counts)
        tell(f"seed {seed}: " + ", ".join(f"{name} {counts[method]:,.0f}" for method, name in METHODS.items()))
    return found


def at_rates(
    x: Tensor, targets: Tensor, goal: Goal, factors: Mapping[str, Sequence[float]], tell: Tell
) -> list[Counts]:
    """The epochs of methods with multiples of the learning rate, from the published seed."""
    inputs, weights = in_span(x, drawn(x.shape[1], targets.shape[1], SEED))
    found = []
    for method, of_method in factors.items():
        for factor in of_method:
            run, _ = descend(weights, inputs, targets, goal, method, factor=factor, further=True)
            found.append({"method": method, "factor": factor, "epochs": run.epochs, "before": run.epochs_before})
            tell(f"{METHODS[method]}, learning rate x {factor:g}: {run.epochs:,.0f} epochs")
    return found


def curves(runs: Mapping[str, Descent]) -> dict[str, dict[str, list[float]]]:
    """Losses by epoch as they are published, thinned."""
    return {method: _curve(run.losses) for method, run in runs.items()}


def cost_ratios(runs: Runs, x: Tensor, targets: Tensor) -> dict[str, float]:
    """What an epoch of position-wise training takes over one of gradient descent: by the formula for the
    multiplications, and in measured seconds."""
    forward = block_costs(network(drawn(x.shape[1], targets.shape[1], SEED), x.dtype), x[:1])
    each = {method: fmean(run.seconds_an_epoch for run, _ in timed) for method, timed in runs.items()}
    return {
        "formula": nested_cost(forward) / plain_cost(forward),
        "measured": each["position_wise"] / each["gradient_descent"],
        **{f"seconds_{method}": value for method, value in each.items()},
    }


def largest_difference(one: Descent, other: Descent) -> float:
    """Between the losses of two runs, epoch by epoch, over the larger; infinite where they stop elsewhere."""
    if one.epochs != other.epochs:
        return float("inf")
    pairs = zip(one.losses, other.losses, strict=True)
    return max(abs(a - b) / max(abs(a), abs(b)) for a, b in pairs)


def _epochs(method: str, run: Descent) -> Counts:
    """Of gradient descent the two are one."""
    found = {method: run.epochs}
    return found | {method + BEFORE: run.epochs_before} if method == "position_wise" else found


def _alike(counts: Counts, method: str) -> float:
    """Epochs by the loss that epochs begin with."""
    return float(counts[method + BEFORE if method + BEFORE in counts else method])


def _curve(losses: Sequence[float]) -> dict[str, list[float]]:
    places = thinned(len(losses), POINTS).tolist()
    return {"epoch": places, "loss": [losses[place] for place in places]}
