"""The result of a trial."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

SCHEMA = 1  # raise it whenever the meaning of a record, or of what leads to one, changes

Value = float | tuple[float, ...]


@dataclass(frozen=True)
class Record:
    """What one method did on one task with one seed. It is written once and never changed.

    The curves have one value an epoch, the first of them before any training. A diverged trial (train loss not finite
    at the end of an epoch) stops there: its curves end with the last finite epoch, and it scores the worst, accuracy 0.
    The accuracies on the test part are None in a tuning trial, which has no test part. `seconds` is the time spent in
    steps; evaluation is not counted. The hashes are of the data with its split, of the initial weights, and of the
    order of all batches: they are equal across methods exactly when the trials are paired.
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
    validation_accuracy: tuple[float, ...]
    test_accuracy: float | None
    constant_accuracy: float | None
    diverged: bool
    seconds: float
    forward_passes: int
    backward_passes: int
    examples: int
    data_hash: str
    init_hash: str
    order_hash: str
    schema: int = SCHEMA

    @property
    def pairing(self) -> tuple[str, str, str]:
        """The hashes that must be equal for two trials to be paired."""
        return self.data_hash, self.init_hash, self.order_hash

    def to_json(self) -> str:
        """The record as one JSON object; every float is written so that it is read back to the bit."""
        return json.dumps(dataclasses.asdict(self), indent=1, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> "Record":
        """Reads what `to_json` wrote. Raises ValueError, KeyError or TypeError when the text is not a record."""
        fields: dict[str, Any] = json.loads(text)
        if fields["schema"] != SCHEMA:
            raise ValueError(f"schema must be {SCHEMA}, got {fields['schema']}")
        for name in ("train_loss", "validation_loss", "validation_accuracy"):
            fields[name] = tuple(fields[name])
        fields["hyperparameters"] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in fields["hyperparameters"].items()
        }
        return cls(**fields)
