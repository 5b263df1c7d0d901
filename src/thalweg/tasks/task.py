"""A task: data, how it is split and preprocessed, the network, its loss and its metric."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

VALIDATION_SHARE = 0.2
TEST_SHARE = 0.2

Network = Callable[[torch.Generator], nn.Module]
Loss = Callable[[Tensor, Tensor], Tensor]
Metric = Callable[[Tensor, Tensor], float]


@dataclass(frozen=True, eq=False)
class Examples:
    """Labelled examples: `inputs` float32 of shape (n, features), `targets` int64 class numbers of shape (n,)."""

    inputs: Tensor
    targets: Tensor

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, rows: Tensor | slice) -> "Examples":
        return Examples(self.inputs[rows], self.targets[rows])


@dataclass(frozen=True, eq=False)
class Workload:
    """All that a trial may see while it trains. It has no test part, so tuning cannot read one."""

    task: str
    train: Examples
    validation: Examples
    network: Network
    loss: Loss
    metric: Metric
    batch_size: int
    epochs: int
    data_hash: str


@dataclass(frozen=True)
class Task:
    """A classification task.

    `load()` gives the whole data set, `network(generator)` a fresh network, `metric(outputs, targets)` a number that
    is better when higher. Each seed cuts the data anew, stratified by class, 60/20/20 into train, validation and test.
    Inputs are standardised by the mean and the standard deviation of the training part alone.
    """

    name: str
    title: str
    load: Callable[[], Examples]
    network: Network
    loss: Loss
    metric: Metric
    batch_size: int
    epochs: int

    def workload(self, split: torch.Generator) -> Workload:
        """The training and validation parts of the split that the generator draws."""
        return self.workload_and_test(split)[0]

    def workload_and_test(self, split: torch.Generator) -> tuple[Workload, Examples]:
        """The same workload, and the test part beside it, for the final stage alone."""
        examples = self.load()
        rows = stratified_split(examples.targets, split)
        train, validation, test = (examples[part] for part in rows)
        standardise = _standardiser(train.inputs)
        workload = Workload(
            task=self.name,
            train=standardise(train),
            validation=standardise(validation),
            network=self.network,
            loss=self.loss,
            metric=self.metric,
            batch_size=self.batch_size,
            epochs=self.epochs,
            data_hash=tensor_hash(examples.inputs, examples.targets, *rows),
        )
        return workload, standardise(test)


def accuracy(outputs: Tensor, targets: Tensor) -> float:
    """The share of rows whose largest output, of shape (n, classes), is at the target class, of shape (n,)."""
    return (outputs.argmax(dim=1) == targets).double().mean().item()


def stratified_split(targets: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Row numbers of train, validation and test: each class is shuffled, then cut 60/20/20 (rounded to whole rows)."""
    parts: tuple[list[Tensor], list[Tensor], list[Tensor]] = ([], [], [])
    for label in targets.unique():
        rows = torch.nonzero(targets == label).flatten()
        rows = rows[torch.randperm(len(rows), generator=generator)]
        validation, test = round(VALIDATION_SHARE * len(rows)), round(TEST_SHARE * len(rows))
        sizes = [len(rows) - validation - test, validation, test]
        for part, chunk in zip(parts, rows.split(sizes), strict=True):
            part.append(chunk)
    train, validation_rows, test_rows = (torch.cat(part).sort().values for part in parts)
    return train, validation_rows, test_rows


def tensor_hash(*tensors: Tensor) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of the tensors' shapes and bytes."""
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(f"{tuple(tensor.shape)}{tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def _standardiser(inputs: Tensor) -> Callable[[Examples], Examples]:
    mean = inputs.mean(dim=0)
    deviation = inputs.std(dim=0, correction=0)
    scale = torch.where(deviation > 0, deviation, 1.0)  # a pixel that is blank everywhere stays zero

    def standardise(examples: Examples) -> Examples:
        return Examples((examples.inputs - mean) / scale, examples.targets)

    return standardise
