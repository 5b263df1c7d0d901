"""The result of a trial."""

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

SCHEMA = 3  # raise it whenever the meaning of a record, or of what leads to one, changes

Value = float | int | str | tuple[float, ...]
CURVES = ("train_loss", "validation_loss", "validation_metric")
# What may differ between two runs of the same trial: time, and what else was trained beside it.
CIRCUMSTANCES = ("seconds", "members")

_encoded = json.JSONEncoder(allow_nan=False).encode


@dataclass(frozen=True)
class Record:
    """What one method did on one task with one seed. It is written once and never changed.

    The curves have one value an epoch, the first of them before any training. A diverged trial (a loss not finite at
    the end of an epoch) stops there: its curves end with the last finite epoch, and it scores the task's worst.
    `stopped` is the epoch after which training ended. What concerns the test part is None in a tuning trial, which has
    none: the metric with the weights of the last epoch, the same with those of lowest validation loss, the loss, and
    the metrics of the constant answer and of the untrained network. `seconds` is the time spent in steps, shared among
    the `members` that were trained together; evaluation is not counted. `loss_evaluations` counts how often the loss of
    a batch was evaluated for gradients: once a pass by autograd, as often as it takes otherwise. The hashes are of the
    data with its split, of the initial weights, and of the first batches: they are equal across methods exactly when
    the trials are paired.
    """

    key: str
    task: str
    method: str
    hyperparameters: Mapping[str, Value]
    master: int
    rep: int
    role: str
    train_loss: tuple[float, ...]
    validation_loss: tuple[float, ...]
    validation_metric: tuple[float, ...]
    train_metric: float | None
    test_metric: float | None
    test_metric_best: float | None
    test_loss: float | None
    constant_metric: float | None
    untrained_metric: float | None
    diverged: bool
    stopped: int
    seconds: float
    steps: int
    forward_passes: int
    backward_passes: int
    loss_evaluations: int
    examples: int
    state_bytes: int
    parameters: int
    members: int
    data_hash: str
    init_hash: str
    order_hash: str
    schema: int = SCHEMA

    @property
    def pairing(self) -> tuple[str, str, str]:
        """The hashes that must be equal for two trials to be paired."""
        return self.data_hash, self.init_hash, self.order_hash

    @property
    def result_hash(self) -> str:
        """A hash of all but the circumstances: equal for two runs of a trial that came to the same bits."""
        fields = {name: value for name, value in self._fields() if name not in CIRCUMSTANCES}
        return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()[:16]

    def to_json(self) -> str:
        """The record as one JSON object, a line a field; every float is written so that it is read back to the bit.

        Raises ValueError where a number is not finite.
        """
        lines = (f'"{name}": {_encoded(value)}' for name, value in self._fields())
        return "{\n" + ",\n".join(lines) + "\n}"

    @classmethod
    def from_json(cls, text: str) -> "Record":
        """Reads what `to_json` wrote. Raises ValueError, KeyError or TypeError when the text is not a record."""
        fields: dict[str, Any] = json.loads(text, parse_constant=_refused)
        if fields["schema"] != SCHEMA:
            raise ValueError(f"schema must be {SCHEMA}, got {fields['schema']}")
        for name in CURVES:
            fields[name] = tuple(fields[name])
        fields["hyperparameters"] = values_from_json(fields["hyperparameters"])
        return cls(**fields)

    def _fields(self) -> Iterator[tuple[str, Any]]:
        """The fields by name, as JSON takes them. (`dataclasses.asdict` copies every number: a race has millions.)"""
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            yield field.name, dict(value) if isinstance(value, Mapping) else value


def _refused(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number that a record holds")


def values_from_json(values: Mapping[str, Any]) -> dict[str, Value]:
    """Hyperparameters as JSON gave them back: its lists were tuples."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
