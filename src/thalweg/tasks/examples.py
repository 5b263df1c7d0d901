"""Labelled examples, and how they are read from tensors, Datasets and DataLoaders."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    Subset,
    TensorDataset,
    default_collate,
)

from thalweg.tasks.folder import DataMissing

READ_AT_ONCE = 1024  # examples; a Dataset is asked for that many before they become one tensor


@dataclass(frozen=True, eq=False)
class Examples:
    """Labelled examples in memory.

    `inputs` have shape (n, ...), float32, or int64 where they are tokens; `targets` have shape (n, ...), int64 where
    they are class numbers and float32 where they are values.
    """

    inputs: Tensor
    targets: Tensor

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, rows: Tensor | slice) -> "Examples":
        return Examples(self.inputs[rows], self.targets[rows])

    @property
    def classified(self) -> bool:
        """Whether the targets are one class number an example, int64 of shape (n,)."""
        return self.targets.dtype == torch.int64 and self.targets.dim() == 1


@runtime_checkable
class Source(Protocol):
    """Data from files: called, it reads them; it knows their checksums, and `look` raises where they are missing."""

    def __call__(self) -> Examples: ...
    def checksums(self) -> dict[str, str]: ...
    def look(self) -> None: ...


Loadable = Examples | Dataset[Any] | DataLoader[Any] | tuple[Any, Any]
Data = Loadable | Callable[[], Loadable]


def read_examples(data: Any, where: str) -> Examples:
    """Examples in memory from what a task was given: see `Task` for what that may be.

    `where` is for the errors: "task iris: train". Raises ValueError where it cannot be read.
    """
    if callable(data) and not isinstance(data, (Dataset, DataLoader)):
        data = _called(data, where)
    if isinstance(data, Examples):
        inputs, targets = data.inputs, data.targets
    elif isinstance(data, (DataLoader, Dataset)):
        inputs, targets = _read_dataset(data, where)
    elif isinstance(data, (tuple, list)) and len(data) == 2:
        inputs, targets = data
    else:
        raise ValueError(
            f"{where} must be Examples, a Dataset, a DataLoader, a pair (inputs, targets), or a function that returns "
            f"one of these, got {type(data).__name__}"
        )
    examples = Examples(_inputs(inputs, f"{where} inputs"), _targets(targets, f"{where} targets"))
    if len(examples.inputs) != len(examples.targets):
        raise ValueError(f"{where} has {len(examples.inputs)} inputs but {len(examples.targets)} targets")
    if len(examples) == 0:
        raise ValueError(f"{where} is empty: it has no examples")
    return examples


def check_finite(examples: Examples, where: str) -> None:
    """Raises ValueError that says where the first NaN or infinite number stands."""
    for name, values in (("inputs", examples.inputs), ("targets", examples.targets)):
        if not values.is_floating_point() or torch.isfinite(values.sum()):
            continue  # a sum is finite where all are, and quicker than to look at each; else it may have overflowed
        bad = ~torch.isfinite(values.reshape(len(values), -1))
        if bad.any():
            row, column = (int(index) for index in bad.nonzero()[0])
            raise ValueError(
                f"{where} {name} hold {int(bad.sum())} numbers that are NaN or infinite, the first in row {row}, "
                f"column {column}: drop or fill them before the task gets them"
            )


def batch_size_of(data: Any) -> int | None:
    """That of a DataLoader; None where the data say nothing of batches."""
    return data.batch_size if isinstance(data, DataLoader) else None


def _called(function: Callable[[], Any], where: str) -> Any:
    try:
        return function()
    except (DataMissing, ValueError):
        raise
    except Exception as error:  # whatever a user's own function raises
        name = getattr(function, "__qualname__", type(function).__name__)
        raise ValueError(f"{where}: {name}() failed: {type(error).__name__}: {error}") from error


def _read_dataset(data: DataLoader[Any] | Dataset[Any], where: str) -> tuple[Any, Any]:
    if isinstance(data, DataLoader):
        _refuse_own_order(data, where)
        if data.collate_fn is not default_collate:
            at_once = READ_AT_ONCE if data.batch_sampler else None  # else what it gives are batches already
            return _collect(data.dataset, where, at_once, data.collate_fn)
        data = data.dataset
    if isinstance(data, TensorDataset) and len(data.tensors) == 2:
        return data.tensors[0], data.tensors[1]
    if isinstance(data, Subset) and isinstance(data.dataset, TensorDataset) and len(data.dataset.tensors) == 2:
        rows = torch.as_tensor(data.indices)
        return data.dataset.tensors[0][rows], data.dataset.tensors[1][rows]
    return _collect(data, where)


def _refuse_own_order(loader: DataLoader[Any], where: str) -> None:
    """A sampler may hide part of the dataset, such as the rows meant for validation, and the race has its own order."""
    if isinstance(loader.dataset, IterableDataset):
        return  # which takes no sampler
    known = (BatchSampler, SequentialSampler, RandomSampler)
    for sampler in (loader.batch_sampler, loader.sampler):
        if sampler is not None and type(sampler) not in known:
            raise ValueError(
                f"{where}: a DataLoader with a {type(sampler).__name__} may leave examples out, and the task reads its "
                f"whole dataset: give a torch.utils.data.Subset instead"
            )


def _collect(
    dataset: Dataset[Any], where: str, at_once: int | None = READ_AT_ONCE, collate: Callable[..., Any] | None = None
) -> tuple[Tensor, Tensor]:
    """Reads a dataset once, from first to last. What its transforms draw from torch is drawn from seed 0, so that every
    process reads the same."""
    try:
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(0)
            loader = DataLoader(dataset, at_once, collate_fn=collate, generator=torch.Generator())
            pairs = [(torch.as_tensor(inputs), torch.as_tensor(targets)) for inputs, targets in loader]
            if not pairs:
                raise ValueError("it is empty")
            return torch.cat([inputs for inputs, _ in pairs]), torch.cat([targets for _, targets in pairs])
    except Exception as error:  # whatever a user's own dataset raises
        raise ValueError(
            f"{where}: reading its {type(dataset).__name__} failed, which must give pairs of an input and a target, "
            f"all of one shape: {type(error).__name__}: {error}"
        ) from error


def _inputs(values: Any, where: str) -> Tensor:
    tensor = _tensor(values, where)
    if tensor.dtype == torch.uint8:
        raise ValueError(f"{where} are uint8: divide pixels by 255, or make tokens int64")
    if tensor.is_floating_point() or tensor.dtype == torch.bool:
        return tensor.to(torch.float32)
    return tensor.to(torch.int64)


def _targets(values: Any, where: str) -> Tensor:
    tensor = _tensor(values, where)
    return tensor.to(torch.float32 if tensor.is_floating_point() else torch.int64)


def _tensor(values: Any, where: str) -> Tensor:
    try:
        tensor = torch.as_tensor(values).detach().cpu().contiguous()
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"{where} cannot become one tensor: {error}") from error
    if tensor.is_complex():
        raise ValueError(f"{where} are complex, which no task takes")
    if tensor.dim() == 0:
        raise ValueError(f"{where} are one number, not a list of them")
    return tensor
