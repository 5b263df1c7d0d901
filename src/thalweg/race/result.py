"""What a race found, as the store holds it and the report reads it: no data and no user's code are needed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean
from typing import TYPE_CHECKING, Any

from thalweg.race.record import Record, Value
from thalweg.race.spaces import Space

if TYPE_CHECKING:
    import pandas

    from thalweg.race.summary import Summary, Verdict

Place = tuple[str, str]  # a task and a method, by name


@dataclass(frozen=True)
class Protocol:
    """What is the same for every method and task of a race.

    Each of `studies` independent studies tries `draws` settings on a split, seed and batch order of its own; the three
    best run on `repeats` further ones, and the best mean is chosen. Repetition r of the `seeds` final ones trains with
    the setting that study r modulo `studies` chose. All randomness comes from `master`. Verdicts are against
    `baseline`; `margin` is the difference that is too small to matter, None for the default of spec: the larger of
    half a point and half the baseline's standard deviation over the seeds.
    """

    seeds: int = 15
    draws: int = 9
    studies: int = 3
    repeats: int = 2
    sampler: str = "qmc"
    master: int = 0
    baseline: str = ""
    margin: float | None = None
    device: str = "cpu"

    def __post_init__(self) -> None:
        for name, least in (("seeds", 0), ("draws", 1), ("studies", 1), ("repeats", 0), ("master", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be >= {least}, got {getattr(self, name)}")
        if self.margin is not None and not (math.isfinite(self.margin) and self.margin >= 0):
            raise ValueError(f"margin must be >= 0, or None for the default, got {self.margin}")

    @property
    def finalists(self) -> int:
        """How many draws of a study are run on further seeds."""
        return min(3, self.draws) if self.repeats and self.draws > 1 else 0

    @property
    def tuning_trials(self) -> int:
        """Of one method on one task."""
        return self.studies * (self.draws + self.finalists * self.repeats)

    @property
    def trials_per_cell(self) -> int:
        """Tuning and final trials of one method on one task."""
        return self.tuning_trials + self.seeds


@dataclass(frozen=True)
class TaskInfo:
    """A task as the report shows it. `examples` counts the whole data set; `network` is its text."""

    name: str
    title: str
    metric: str
    percent: bool
    batch_size: int
    epochs: int
    examples: int
    parameters: int
    network: str
    source: str
    fingerprint: str


@dataclass(frozen=True)
class MethodInfo:
    """A method as the report shows it. `text` has its equations, or the class that it is. `code` is the expression that
    makes its optimizer, with {} where the hyperparameters go: `thalweg.optim.Adam(model.parameters(), {})`; `loss_code`
    the one that makes its loss, of the hyperparameters in `loss_names`, where that is not just differentiated;
    `step_code` the one that makes what is stepped, where that is not the optimizer."""

    name: str
    title: str
    text: str
    code: str
    source: str
    space: Space
    ablations: tuple[str, ...]
    loss_code: str = ""
    loss_names: tuple[str, ...] = ()
    step_code: str = ""


@dataclass(frozen=True)
class Draw:
    """A setting tried by tuning, and its records: one on the study's own seed, and further ones for the best three."""

    hyperparameters: Mapping[str, Value]
    records: tuple[Record, ...]

    @property
    def diverged(self) -> bool:
        """Whether any of its trials did."""
        return any(record.diverged for record in self.records)

    @property
    def score(self) -> float:
        """Mean validation metric after the last epoch; minus infinity if a trial diverged."""
        return -math.inf if self.diverged else fmean(record.validation_metric[-1] for record in self.records)

    @property
    def loss(self) -> float:
        """Mean validation loss after the last epoch; infinite if a trial diverged."""
        return math.inf if self.diverged else fmean(record.validation_loss[-1] for record in self.records)


@dataclass(frozen=True)
class Study:
    """One independent tuning of one method on one task: all its draws, draw 0 being the published default."""

    index: int
    draws: tuple[Draw, ...]

    @cached_property
    def chosen(self) -> Draw:
        """Of the draws with most records the one of highest score; of equals that of lower loss, of equals the
        first."""
        most = max(len(draw.records) for draw in self.draws)
        return min((d for d in self.draws if len(d.records) == most), key=lambda draw: (-draw.score, draw.loss))


@dataclass(frozen=True)
class RaceResult:
    """All that a race found: for each (task, method), by name, its studies and its records in the order of seeds.

    `manifest` says with what it was run: the specification and its hash, versions, machine, checksums of the data.
    `store` is the folder that it is kept in; `found` counts the trials that were there before.
    """

    tasks: tuple[TaskInfo, ...]
    methods: tuple[MethodInfo, ...]
    protocol: Protocol
    studies: Mapping[Place, tuple[Study, ...]]
    records: Mapping[Place, tuple[Record, ...]]
    manifest: Mapping[str, Any]
    store: str = ""
    found: int = 0

    @property
    def trials(self) -> int:
        """How many trials the race has."""
        return len(self.studies) * self.protocol.trials_per_cell

    @cached_property
    def summary(self) -> Summary:
        """Every figure that is read from the records."""
        from thalweg.race.summary import Summary

        return Summary(self)

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """Each method against the baseline on each task: better, equivalent, worse or undecided, and by how much."""
        return self.summary.verdicts

    @property
    def table(self) -> str:
        """The race in a few lines, as the terminal shows it."""
        from thalweg.race import plaintext

        return f"{plaintext.table(self.summary)}\n{plaintext.notes(self.summary)}"

    def to_pandas(self) -> pandas.DataFrame:
        """One row a record: its place, its fields, a column a hyperparameter.

        Raises ImportError, saying how to get it, where pandas is not installed.
        """
        from thalweg.race.export import to_pandas

        return to_pandas(self)

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        from thalweg.race.report.notebook import small_table

        return small_table(self.summary)
