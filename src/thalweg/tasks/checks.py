"""Whether data can be learnt from, and whether network, loss and metric fit them: said before anything trains."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from thalweg.tasks.examples import Examples, check_finite
from thalweg.tasks.hashes import described
from thalweg.tasks.splits import split_rows

if TYPE_CHECKING:
    from thalweg.tasks.task import Workload

SMALLEST_CLASS = 2
SMALLEST_PART = 2


def check_divisible(examples: Examples, where: str) -> None:
    """Raises ValueError where the examples cannot be cut into three parts that each mean something."""
    check_finite(examples, f"{where}: train")
    _check_targets_differ(examples, where)
    if examples.classified:
        labels, counts = examples.targets.unique(return_counts=True)
        if counts.min() < SMALLEST_CLASS:
            label, count = int(labels[counts.argmin()]), int(counts.min())
            raise ValueError(f"{where}: class {label} has {count} example, each class needs {SMALLEST_CLASS} or more")
    rows = split_rows(examples, torch.Generator())  # the sizes of the parts are the same for every generator
    for part, name in zip(rows, ("train", "validation", "test"), strict=True):
        _check_size(len(part), examples, f"{where}: the {name} part")


def check_fixed(train: Examples, validation: Examples, test: Examples, where: str) -> None:
    """Raises ValueError where parts that came as such do not fit together or are too small."""
    _check_targets_differ(train, f"{where}: train")
    for part, name in ((train, "train"), (validation, "validation"), (test, "test")):
        check_finite(part, f"{where}: {name}")
        _check_size(len(part), train, f"{where}: the {name} part")
        if train.classified and part.classified:
            _check_classes(part, train, f"{where}: {name}")
        for mine, first, kind in ((part.inputs, train.inputs, "inputs"), (part.targets, train.targets, "targets")):
            if (mine.shape[1:], mine.dtype) != (first.shape[1:], first.dtype):
                raise ValueError(
                    f"{where}: {name} {kind} are {_shown(mine)}, but those of train are {_shown(first)} an example"
                )


def check_fit(workload: "Workload", where: str) -> nn.Module:
    """Tries network, loss and metric on two examples; returns the network, its weights drawn from seed 0.

    Raises ValueError that says which of them failed.
    """
    targets = workload.train.targets.reshape(len(workload.train), -1)
    few = workload.train[torch.stack([targets.amin(1).argmin(), targets.amax(1).argmax()])]  # the classes at both ends
    network = _tried(workload.network, (torch.Generator().manual_seed(0),), f"{where}: making the network")
    if not isinstance(network, nn.Module):
        raise ValueError(f"{where}: model must return a torch.nn.Module, got {type(network).__name__}")
    training = network.training
    with torch.no_grad():
        outputs = _tried(network.eval(), (few.inputs,), f"{where}: the network, on inputs of {_shown(few.inputs)} each")
        network.train(training)
        _check_not_broadcast(outputs, few.targets, where)
        for function, name in ((workload.loss, "loss"), (workload.metric.function, "metric")):
            before = described(function)
            value = _tried(function, (outputs, few.targets), f"{where}: the {name}")
            if described(function) != before:
                raise ValueError(
                    f"{where}: the {name} keeps something from call to call, which all trials would share: make it a "
                    "function of outputs and targets alone"
                )
            if not isinstance(value, Tensor) or value.numel() != 1:
                raise ValueError(f"{where}: the {name} must return a tensor of one number, got {value!r}")
    return network


def _tried(function: Callable[..., Any], arguments: tuple[Any, ...], where: str) -> Any:
    try:
        return function(*arguments)
    except Exception as error:  # whatever a user's own code raises
        raise ValueError(f"{where} failed: {type(error).__name__}: {error}") from error


def _check_not_broadcast(outputs: Any, targets: Tensor, where: str) -> None:
    """Values of shape (n, 1) against (n,) would become a square of n by n: torch warns of it, at best."""
    if not (isinstance(outputs, Tensor) and targets.is_floating_point()) or outputs.shape == targets.shape:
        return
    if outputs.numel() == targets.numel():
        raise ValueError(f"{where}: outputs are {_shown(outputs)} but targets {_shown(targets)} each: reshape one")


def _check_targets_differ(examples: Examples, where: str) -> None:
    targets = examples.targets
    if bool((targets == targets.flatten()[0]).all()):
        kind = "values are" if targets.is_floating_point() else "classes are"
        raise ValueError(f"{where}: all target {kind} {targets.flatten()[0].item()}: there is nothing to learn")


def _check_classes(part: Examples, train: Examples, where: str) -> None:
    """The network need not have an output for a class that train does not have."""
    unknown = sorted(set(part.targets.unique().tolist()) - set(train.targets.unique().tolist()))
    if unknown:
        raise ValueError(f"{where} has class {unknown[0]}, which train has not")


def _check_size(size: int, examples: Examples, where: str) -> None:
    classes = len(examples.targets.unique()) if examples.classified else 0
    needed = max(SMALLEST_PART, classes)
    if size < needed:
        why = f", one for each of {classes} classes" if classes > SMALLEST_PART else ""
        raise ValueError(f"{where} is too small: it has {size} examples and needs {needed} or more{why}")


def _shown(values: Tensor) -> str:
    return f"{tuple(values.shape[1:])} {str(values.dtype).removeprefix('torch.')}"
