"""A task: data, how they are split and preprocessed, the network, its loss and its metric."""

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, field
from functools import partial
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn

from thalweg.tasks.checks import check_divisible, check_fit, check_fixed
from thalweg.tasks.examples import Data, Examples, Source, batch_size_of, read_examples
from thalweg.tasks.hashes import add_tensors, described, digest_of, network_described, shown_digits, tensor_hash
from thalweg.tasks.metrics import Loss, Metric, named_metric, negative_loss
from thalweg.tasks.networks import Network, network_from
from thalweg.tasks.splits import Standardiser, split_rows, validation_cut

__all__ = ["Loss", "Task", "Workload", "tensor_hash"]

BATCH_SIZE = 32
KEPT_WHEN_PICKLED = ("fingerprint", "checksums")

Made = TypeVar("Made")


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


@dataclass(frozen=True, eq=False)
class Task:
    """What is to be learnt: data, network, loss, and the metric by which methods are compared.

    - `model`: a function that returns a fresh network. One that takes a `torch.Generator` draws its weights from it;
      for one that takes nothing, torch's global generator is seeded for as long as the call takes.
    - `loss(outputs, targets)`: a tensor of shape ().
    - `train`, `val`, `test`: each `Examples`, a Dataset, a DataLoader, a pair of tensors or arrays
      `(inputs, targets)`, or a function that returns one of these and is called when the data are first needed. A
      Dataset is read once, as a whole, into memory: inputs become float32 (int64 if whole numbers), targets int64
      classes or float32 values.
    - Without `test`, each seed cuts `train` anew, 60/20/20 into train, validation and test, stratified where targets
      are classes. With `test` but without `val`, a tenth of `train` validates, the same for every seed. With all
      three, they are used as they are.
    - `metric`: a `Metric`, or a function `(outputs, targets)` that is better when higher; without it, minus the loss.
    - `batch_size`: without it that of a DataLoader given as `train` (not of one that a function returns), else 32.
    - `standardise`: whether inputs are shifted and scaled by the mean and the standard deviation of the training part
      alone; without it, they are where they are float32 of shape (n, features). `standardise_targets` does the same
      for the targets of a regression.

    Raises ValueError, which names the task and the trouble: at once where an argument cannot be right, and when the
    data are first needed where these are not fit to learn from.

    >>> x = torch.randn(100, 4, generator=torch.Generator().manual_seed(0))
    >>> task = Task(lambda: nn.Linear(4, 2), nn.functional.cross_entropy, (x, (x[:, 0] > 0).long()), name="sign")
    >>> len(task.workload(torch.Generator()).train)
    60
    """

    model: Callable[..., nn.Module]
    loss: Loss
    train: Data
    val: Data | None = None
    test: Data | None = None
    metric: Metric = None  # type: ignore[assignment]  # set by __post_init__, as those below
    _: KW_ONLY
    name: str = "task"
    title: str = None  # type: ignore[assignment]
    batch_size: int = None  # type: ignore[assignment]
    epochs: int = 20
    standardise: bool | None = None
    standardise_targets: bool = False
    source: str = ""
    _made: dict[str, Any] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", self.name):
            raise ValueError(f"name must be of letters, digits, '_', '.' and '-', got {self.name!r}")
        self._set("title", self.title or self.name.replace("_", " ").capitalize())
        if self.batch_size is None:
            self._set("batch_size", batch_size_of(self.train) or BATCH_SIZE)
        for name in ("batch_size", "epochs"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise self._trouble(f"{name} must be a whole number of at least 1, got {value!r}")
        if not callable(self.loss):
            raise self._trouble(f"loss must be a function (outputs, targets) -> tensor, got {self.loss!r}")
        if self.metric is None:
            self._set("metric", negative_loss(self.loss))
        elif not isinstance(self.metric, Metric):
            if not callable(self.metric):
                raise self._trouble(f"metric must be a Metric or a function (outputs, targets), got {self.metric!r}")
            self._set("metric", named_metric(self.metric))
        if self.val is not None and self.test is None:
            raise self._trouble("val is given but test is not: give both, or neither (each seed then cuts train)")
        try:
            network_from(self.model)
        except ValueError as error:
            raise self._trouble(str(error)) from error

    @property
    def network(self) -> Network:
        """The model as a function of a generator."""
        return network_from(self.model)

    def workload(self, split: torch.Generator) -> Workload:
        """The training and validation parts of the split that the generator draws."""
        return self.workload_and_test(split)[0]

    def workload_and_test(self, split: torch.Generator) -> tuple[Workload, Examples]:
        """The same workload, and the test part beside it, for the final stage alone.

        Where the data came with a test part, these are the same objects at every call.
        """
        if self.test is not None:
            return self._once("fixed", self._fixed)
        examples = self._once("examples", self._divisible)
        digest = self._once("digest", partial(digest_of, examples.inputs, examples.targets)).copy()
        rows = split_rows(examples, split)
        add_tensors(digest, *rows)
        parts = (examples[part] for part in rows)
        return self._prepared(*parts, data_hash=shown_digits(digest))

    def fingerprint(self) -> str:
        """The SHA-256 of all that makes the task: data, network and its weights from seed 0, loss, metric, settings.

        Two tasks with equal fingerprints give equal results. Raises ValueError where network, loss or metric fail on
        the data.
        """
        return self._once("fingerprint", self._fingerprint)

    def checksums(self) -> dict[str, str]:
        """The SHA-256 of each file the data were read from, or of each array where they were given as such."""
        return self._once("checksums", self._checksums)

    def look_for_data(self) -> None:
        """Raises DataMissing where files that the data come from are not there; reads and downloads nothing."""
        for data in (self.train, self.val, self.test):
            if isinstance(data, Source):
                data.look()

    def check(self) -> nn.Module:
        """Tries network, loss and metric on a few examples, and returns the network, its weights drawn from seed 0.

        Raises ValueError that says which of the three failed, and on what.
        """
        return check_fit(self.workload(torch.Generator().manual_seed(0)), self._where)

    def __getstate__(self) -> dict[str, Any]:
        """Without what was made from the data: another process makes it anew rather than be sent it."""
        kept = {key: made for key, made in self._made.items() if key in KEPT_WHEN_PICKLED}
        return {**self.__dict__, "_made": kept}

    def _divisible(self) -> Examples:
        examples = self._read("train", self.train)
        check_divisible(examples, self._where)
        return examples

    def _fixed(self) -> tuple[Workload, Examples]:
        train, test = self._read("train", self.train), self._read("test", self.test)
        train, validation = validation_cut(train) if self.val is None else (train, self._read("val", self.val))
        check_fixed(train, validation, test, self._where)
        tensors = [tensor for part in (train, validation, test) for tensor in (part.inputs, part.targets)]
        return self._prepared(train, validation, test, data_hash=tensor_hash(*tensors))

    def _prepared(
        self, train: Examples, validation: Examples, test: Examples, *, data_hash: str
    ) -> tuple[Workload, Examples]:
        standardise = self._standardiser(train)
        workload = Workload(
            task=self.name,
            train=standardise(train),
            validation=standardise(validation),
            network=self.network,
            loss=self.loss,
            metric=self.metric,
            batch_size=self.batch_size,
            epochs=self.epochs,
            data_hash=data_hash,
        )
        return workload, standardise(test)

    def _standardiser(self, train: Examples) -> Callable[[Examples], Examples]:
        floats = train.inputs.is_floating_point()
        wanted = floats and train.inputs.dim() == 2 if self.standardise is None else self.standardise
        if wanted and not floats:
            raise self._trouble("inputs are whole numbers (tokens), which cannot be standardised: standardise=False")
        if self.standardise_targets and not train.targets.is_floating_point():
            raise self._trouble("targets are classes, which cannot be standardised: standardise_targets=False")
        inputs = Standardiser(train.inputs) if wanted else _unchanged
        targets = Standardiser(train.targets) if self.standardise_targets else _unchanged
        return lambda part: Examples(inputs(part.inputs), targets(part.targets))

    def _fingerprint(self) -> str:
        network = self.check()
        data = self._once("fixed", self._fixed)[0].data_hash if self.test is not None else self._made["digest"]
        decides = {
            "data": data if isinstance(data, str) else shown_digits(data),
            "network": network_described(network),
            "loss": described(self.loss),
            "metric": [self.metric.name, described(self.metric.function), self.metric.worst],
            "batch_size": self.batch_size,
            "epochs": self.epochs,
            "standardise": [self.standardise, self.standardise_targets],
        }
        return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()

    def _checksums(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for part, data in (("train", self.train), ("val", self.val), ("test", self.test)):
            if isinstance(data, Source):
                found |= data.checksums()
            elif data is not None:
                examples = self._read(part, data)
                found[f"{part}.inputs"] = digest_of(examples.inputs).hexdigest()
                found[f"{part}.targets"] = digest_of(examples.targets).hexdigest()
        return found

    def _read(self, part: str, data: Data | None) -> Examples:
        return read_examples(data, f"{self._where}: {part}")

    def _once(self, key: str, make: Callable[[], Made]) -> Made:
        if key not in self._made:
            self._made[key] = make()
        return cast(Made, self._made[key])

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)  # the dataclass is frozen for everybody else

    def _trouble(self, message: str) -> ValueError:
        return ValueError(f"{self._where}: {message}")

    @property
    def _where(self) -> str:
        return f"task {self.name}"


def _unchanged(values: Tensor) -> Tensor:
    return values
